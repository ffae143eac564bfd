package fetcher

import (
	"context"
	"fmt"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// maxFailures is how many polls of a history may fail one after the other.
const maxFailures = 5

// HistoryAccumulator counts a history.
type HistoryAccumulator interface {
	Accumulator
	// Skip takes note of records that are not to be counted.
	Skip(*record.Batch) error
}

// NewHistory returns a poller of a window of the past: from one time, in whole seconds,
// to another. A poll that fails goes on where the one before it ended.
//
// First it reads what a window that begins at the end shows, so that the accumulator knows
// which records are not of this history, whatever time windows select by.
func NewHistory(source Source, accumulator HistoryAccumulator, metrics Metrics, from, to time.Time, o Options) (*Poller, error) {
	p, err := newPoller(accumulator, metrics, o)
	if err != nil {
		return nil, err
	}
	p.source = source
	seamRead := false
	p.once = func(ctx context.Context) error {
		claim := p.clock.now()
		now := p.clock.borneOut(claim, p.Status().Position.Cursor)
		if now.IsZero() {
			now = claim
		}
		if !seamRead {
			if err := p.readSeam(ctx, accumulator, to, now); err != nil {
				return err
			}
			seamRead = true
		}
		if !p.left(p.Status().Position.Cursor, now) {
			todo := cursor.Window{From: from, To: to}
			if done := p.Status().Position.Cursor.Add(-cursor.Seam); done.After(from) {
				todo.From = done
			}
			if err := p.begin(todo, now); err != nil {
				return err
			}
			p.pieces.cursor = p.Status().Position.Cursor
		}
		return p.readPieces(ctx, p.pieceOf(now))
	}
	return p, nil
}

// readSeam reads the first of what comes after a history.
func (p *Poller) readSeam(ctx context.Context, accumulator HistoryAccumulator, end, now time.Time) error {
	after := cursor.Window{From: end, To: end.Add(cursor.Seam)}
	if after.To.After(now) {
		return nil // there is nothing yet
	}
	logins, err := gather(ctx, p.source, after, 0)
	if err != nil {
		return fmt.Errorf("window from %s: %w", end.Format(time.RFC3339), err)
	}
	if p.clock.wasWrong() {
		return errWrongClock
	}
	return accumulator.Skip(&record.Batch{From: after.From, To: after.To, Now: now, Logins: logins})
}

// Finish polls until a poll has succeeded, or too many have failed without getting on.
func (p *Poller) Finish(ctx context.Context) error {
	var reached time.Time
	for failures := 0; ; {
		begun := time.Now()
		err := p.Poll(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if cursor := p.Status().Position.Cursor; cursor.After(reached) {
			reached, failures = cursor, 0
		}
		if failures++; failures == maxFailures {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(p.wait(err, time.Since(begun))):
		}
	}
}
