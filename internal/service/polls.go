package service

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/lease"
)

// polls are the polls of a project's sources.
type polls struct {
	lease *lease.Lease // nil if the store is not shared

	stopping bool        // guarded by the service's mu
	stopped  atomic.Bool // nothing runs any more

	ctx           context.Context
	cancel        context.CancelFunc
	last          chan struct{}
	close         sync.Once // of last
	polls, others sync.WaitGroup
}

// startPolls polls sources until stop is called, the lease is lost, or ctx ends.
func startPolls(ctx context.Context, l *lease.Lease, sources []*Source) *polls {
	p := &polls{lease: l, last: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(ctx)
	if l != nil {
		context.AfterFunc(l.Context(), p.cancel)
	}
	for _, src := range sources {
		p.polls.Go(func() { src.poller.Run(p.ctx, p.last) })
		if src.reconciler != nil {
			p.others.Go(func() { src.reconciler.Run(p.ctx) })
		}
		if src.stages != nil {
			p.others.Go(func() { src.stages.Run(p.ctx) })
		}
	}
	return p
}

// stop lets the polls under way take up to timeout, cancels them then, and waits until all
// have ended.
func (p *polls) stop(timeout time.Duration) {
	p.close.Do(func() { close(p.last) })
	waitFor(p.ctx, timeout, &p.polls)
	p.cancel()
	p.polls.Wait()
	p.others.Wait()
}

// waitFor waits for a group, but no longer than timeout or until ctx is done.
func waitFor(ctx context.Context, timeout time.Duration, group *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}
