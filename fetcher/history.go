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

// History reads login records of the past, once: from one time, in whole seconds, to
// another. A poll that fails goes on where the one before it ended; Finish polls to the end.
//
// First it reads what a window that begins at the end shows, so that the accumulator knows
// which records are not of this history, whatever time windows select by.
type History struct {
	Source   LoginSource
	From, To time.Time
	// Skip is the accumulator's.
	Skip func(*record.Batch) error

	windowReader
	seamRead bool
}

func (s *History) attach(p *progress) {
	s.windowReader = windowReader{progress: p, ignoresWindow: s.Source.IgnoresWindow, ahead: ahead{source: s.Source.Ahead()}}
}

func (s *History) inherit(Strategy) {}

func (s *History) poll(ctx context.Context) error {
	counted := s.position().Cursor
	claim := s.clock.now()
	now := s.clock.confirmed(claim, counted)
	if now.IsZero() {
		now = claim
	}
	if !s.seamRead {
		if err := s.readSeam(ctx, now); err != nil {
			return err
		}
		s.seamRead = true
	}
	if !s.hasLeft(now) {
		s.begin(cursor.Window{From: later(s.From, counted.Add(-cursor.Seam)), To: s.To}, cursor.Seam, maxPiece, 0)
	}
	return s.readPieces(ctx, s.logins(s.Source, now, s.commit))
}

// readSeam reads the first of what comes after the history.
func (s *History) readSeam(ctx context.Context, now time.Time) error {
	after := cursor.Window{From: s.To, To: s.To.Add(cursor.Seam)}
	if after.To.After(now) {
		return nil // there is nothing yet
	}
	logins, err := gather(ctx, s.Source, after, 0)
	if err != nil {
		return fmt.Errorf("window from %s: %w", s.To.Format(time.RFC3339), err)
	}
	if s.clock.wasWrong() {
		return errWrongClock
	}
	return s.Skip(&record.Batch{From: after.From, To: after.To, Now: now, Logins: logins})
}

// Finish polls until a poll has succeeded, or too many have failed without getting on.
func (p *Poller) Finish(ctx context.Context) error {
	var reached time.Time
	for failures := 1; ; failures++ {
		begun, failed := time.Now(), "poll failed, will retry"
		if failures == maxFailures {
			failed = "poll failed"
		}
		err := p.poll(ctx, failed)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if counted := p.position().Cursor; counted.After(reached) {
			reached, failures = counted, 1
		}
		if failures == maxFailures {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(p.wait(err, time.Since(begun))):
		}
	}
}
