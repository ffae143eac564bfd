// Package fetcher gets records. A Poller reads one source of one project again and again,
// by a Strategy: incremental windows, snapshots, windows that follow each other, or a
// history. What was read is handed over only when every record of it has been seen.
//
// It knows nothing of what is counted: what it reads goes to an Accumulator, which says how
// far the source has been counted.
package fetcher

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/cespare/xxhash/v2"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Strategy is a way of reading a source. Its type says what it reads, and why that loses
// nothing and counts nothing twice. A new one needs no more than these methods; what it
// reads it commits by the progress that it is attached to.
type Strategy interface {
	// attach is called once, before the first poll.
	attach(*progress)
	// poll reads and commits all up to now. If it fails, what it has committed stays. It
	// returns errWrongClock, without having committed what it read by that clock, to be
	// called again by another time.
	poll(ctx context.Context) error
	// inherit takes over what the strategy of the same source has learnt before a reload.
	inherit(before Strategy)
}

// Accumulator counts what is read.
type Accumulator interface {
	// Position says how far the source has been counted.
	Position() (cursor.Position, error)
	// Commit counts a batch as a whole, or fails and counts nothing of it.
	Commit(*record.Batch) error
	// Unfinished lists the times before t at which unfinished records may be found.
	Unfinished(t time.Time) ([]time.Time, error)
	// CountUnfinished is how many records are unfinished, wherever they lie.
	CountUnfinished() (int, error)
}

// Metrics observes polls.
type Metrics interface {
	Polled(err error, d time.Duration)
	At(cursor.Position)
	// Failing says why the last poll failed; empty if it did not.
	Failing(Reason)
	CatchingUp(bool)
	// ServerClock says how far the server's clock is ahead of the local one, if it is known.
	ServerClock(ahead time.Duration, known bool)
	Gap(time.Duration)
	// ShowUnfinished is called with how many records are pending or open.
	ShowUnfinished(int)
	// RereadFailed counts a window of unfinished records that was given up for a round.
	RereadFailed()
}

// Options of a Poller.
type Options struct {
	Project, Source string
	Interval        time.Duration
	// Host is the server's name.
	Host string
	// ServerTime is the server's clock, if it is known yet.
	ServerTime func() (time.Time, bool)
	// LocalTime is the machine's clock. Nil is time.Now.
	LocalTime func() time.Time
	Logger    log.Logger
}

// Poller reads one source again and again.
type Poller struct {
	*progress
	strategy Strategy
	retry    backoff.BackOff
}

// NewPoller returns a poller that has not polled yet. The strategy is its own.
func NewPoller(strategy Strategy, accumulator Accumulator, metrics Metrics, o Options) (*Poller, error) {
	p := &progress{Options: o, accumulator: accumulator, metrics: metrics, status: Status{Project: o.Project, Source: o.Source, Interval: o.Interval}}
	p.Logger = log.With(o.Logger, "project", o.Project, "source", o.Source)
	if err := p.refresh(); err != nil {
		return nil, err
	}
	p.clock = newClock(o.ServerTime, o.LocalTime, p.position().Newest)
	strategy.attach(p)
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval = min(o.Interval, 2*time.Second)
	retry.MaxInterval = max(o.Interval, retry.InitialInterval)
	retry.Multiplier = 2
	return &Poller{p, strategy, retry}, nil
}

// Status reports how the source is doing.
func (p *Poller) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Inherit takes over what is known of the source from the poller before a reload, which
// does not run any more.
func (p *Poller) Inherit(old *Poller) {
	before := old.Status()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Polled, p.status.LastError, p.status.Reason, p.status.FailedAt = before.Polled, before.LastError, before.Reason, before.FailedAt
	p.clock.inherit(&old.clock)
	p.strategy.inherit(old.strategy)
}

// Run polls until ctx ends, or last is closed: then the poll under way is the last one.
// The first poll is at once; those after the first that succeeds are spread.
func (p *Poller) Run(ctx context.Context, last <-chan struct{}) {
	for spread := false; ; {
		begun := time.Now()
		err := p.poll(ctx, "poll failed, will retry")
		if ctx.Err() != nil {
			return
		}
		wait := p.wait(err, time.Since(begun))
		if err == nil && !spread {
			spread, wait = true, min(wait, p.offset())
		}
		select {
		case <-ctx.Done():
			return
		case <-last:
			return
		case <-time.After(wait):
		}
	}
}

// offset spreads the polls of all sources over their interval, so that they do not all want
// the machine and the disk at once: always the same for one source.
func (p *Poller) offset() time.Duration {
	return time.Duration(xxhash.Sum64String(p.Project+"\x00"+p.Source) % uint64(p.Interval))
}

// wait is how long to wait after a poll that took so long.
func (p *Poller) wait(err error, took time.Duration) time.Duration {
	if err == nil || p.committed {
		p.retry.Reset()
	}
	p.committed = false
	if err == nil {
		return max(0, p.Interval-took)
	}
	wait := p.retry.NextBackOff()
	var refused *workspace.Error
	if errors.As(err, &refused) {
		wait = max(wait, refused.RetryAfter)
	}
	return wait
}

// Poll polls once.
func (p *Poller) Poll(ctx context.Context) error { return p.poll(ctx, "poll failed") }

// poll polls once, and reports how that went: by a log message if it failed.
func (p *Poller) poll(ctx context.Context, failed string) error {
	begun := time.Now()
	err := p.read(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // it is shutting down, which is no failure of the source
	}
	p.metrics.Polled(err, time.Since(begun))
	p.metrics.Failing(reasonOf(err))
	before := p.Status()
	switch {
	case err != nil:
		level.Error(p.Logger).Log("msg", failed, "reason", reasonOf(err), "err", err)
	case !before.Polled || before.LastError != nil:
		level.Info(p.Logger).Log("msg", "poll succeeded", "cursor", before.Position.Cursor.Format(time.RFC3339))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Polled, p.status.LastError, p.status.Reason = true, err, reasonOf(err)
	if err != nil {
		p.status.FailedAt = time.Now()
	}
	return err
}

// read has the strategy read up to now. What the clock says of now may be long ago, or was
// never the server's: the answer to the first request must agree, or all is done again by
// the clock as that answer has set it. The clock sees to it that this ends.
func (p *Poller) read(ctx context.Context) error {
	p.clock.redone = 0
	for {
		if err := p.refresh(); err != nil {
			return err
		}
		err := p.strategy.poll(ctx)
		if errors.Is(err, errWrongClock) {
			continue
		}
		p.reportClock()
		return err
	}
}

// reportClock shows how far the server's clock and the local one are apart.
func (p *Poller) reportClock() {
	state, ahead := p.clock.state()
	if state == clockGuessed {
		return // there was no answer
	}
	p.metrics.ServerClock(ahead, state != clockUndated)
	if state == p.clock.reported {
		return
	}
	p.clock.reported = state
	switch state {
	case clockUndated:
		level.Warn(p.Logger).Log("msg", "answers have no Date: the local clock is believed only as far as records confirm it", "host", p.Host)
	case clocksDiffer:
		level.Warn(p.Logger).Log("msg", "the server's clock and the local one disagree: both are believed only as far as one of them, or records, confirm them; correct the one that is wrong",
			"host", p.Host, "server_is_ahead_by", ahead.Round(time.Second))
	case clocksAgree:
		level.Info(p.Logger).Log("msg", "the server's clock and the local one agree", "host", p.Host)
	}
}
