package fetcher

import (
	"fmt"
	"sync"
	"time"

	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// progress is what a poller and its strategy share: how far the source has been counted,
// what time it is, and what is to be shown of both.
type progress struct {
	Options
	accumulator Accumulator
	metrics     Metrics
	clock       clock
	committed   bool // something was committed since the last wait

	mu     sync.Mutex
	status Status
}

// Status is what the landing page shows of a poller.
type Status struct {
	Project, Source string
	Interval        time.Duration
	Position        cursor.Position
	// Polled is false until a first poll has ended, well or not.
	Polled bool
	// LastError is nil if the last poll that ended went well; Reason is why it did not.
	LastError error
	Reason    Reason
	FailedAt  time.Time
	CatchUp   bool
}

// position is how far the source has been counted.
func (p *progress) position() cursor.Position {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status.Position
}

// refresh asks the accumulator for the position.
func (p *progress) refresh() error {
	position, err := p.accumulator.Position()
	if err != nil {
		return ofStore(err)
	}
	p.metrics.At(position)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Position = position
	return nil
}

// commit counts a batch as a whole, or nothing of it.
func (p *progress) commit(b *record.Batch) error {
	if err := p.accumulator.Commit(b); err != nil {
		return ofStore(err)
	}
	p.committed = true
	return p.refresh()
}

// catchingUp shows whether the source is more than one poll behind.
func (p *progress) catchingUp(on bool) {
	p.metrics.CatchingUp(on)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.CatchUp = on
}

// lost reports time whose records the API does not have any more.
func (p *progress) lost(gap time.Duration) {
	if gap > 0 {
		level.Error(p.Logger).Log("msg", "records are lost: the exporter did not run for longer than the API keeps them", "gap", gap)
		p.metrics.Gap(gap)
	}
}

// clockBehind is the error of a poll at a time that has been counted already.
func (p *progress) clockBehind(now, counted time.Time) error {
	return reasonError{fmt.Errorf("the clock of %s shows %s, but records up to %s are counted already; if that clock was wrong before, counting goes on when it has passed that time",
		p.Host, now.Format(time.RFC3339), counted.Format(time.RFC3339)), Clock}
}

// windowError says in which window an error came up.
func windowError(w cursor.Window, err error) error {
	return fmt.Errorf("window %s: %w", w, err)
}
