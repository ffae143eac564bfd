package fetcher

import (
	"context"
	"fmt"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// WholeSource reads all that a window holds, however much that is. The reading may say
// in To that it is of a shorter window.
type WholeSource interface {
	ReadAll(ctx context.Context, from, to time.Time) (*record.Reading, error)
}

// NewSnapshotPoller returns a poller that reads, each time, everything of the API's
// 30 days (system S3).
func NewSnapshotPoller(source WholeSource, book Book, metrics Metrics, o Options) (*Poller, error) {
	p, err := newPoller(book, metrics, o)
	if err != nil {
		return nil, err
	}
	p.once = func(ctx context.Context) error {
		now := p.clock.now()
		w := window{now.Add(-maxAge), now}
		if _, err := p.readWhole(ctx, source, w, now, true); err != nil {
			return fmt.Errorf("window %s to %s: %w", w.from.Format(time.RFC3339), w.to.Format(time.RFC3339), err)
		}
		return nil
	}
	return p, nil
}

// firstStatistics is how far back the first window of statistics begins.
const firstStatistics = time.Hour

// NewStatisticsPoller returns a poller that reads windows which follow each other
// without gap or overlap, and end when they are as old as settle (system S4): what is
// in them can be counted, and nothing of it twice.
func NewStatisticsPoller(source WholeSource, settle time.Duration, book Book, metrics Metrics, o Options) (*Poller, error) {
	p, err := newPoller(book, metrics, o)
	if err != nil {
		return nil, err
	}
	p.once = func(ctx context.Context) error {
		position, err := p.book.Position()
		if err != nil {
			return err
		}
		now := p.clock.now()
		read := func(ctx context.Context, piece window, _ int) (int, time.Time, error) {
			w := p.pieces
			r, err := p.readWhole(ctx, source, piece, now, piece.to.Equal(w.todo.to))
			if err != nil {
				return 0, piece.to, err
			}
			w.cursor = p.Status().Position.Cursor
			p.lost(w.gap)
			w.gap = 0
			return len(r.Accesses), r.To, nil
		}
		if p.left(position.Cursor, now) {
			if err := p.readPieces(ctx, read); err != nil || p.quota.records > 0 {
				return err
			}
			position = p.Status().Position
		}
		w, gap := statistics(position, settle, now)
		if r, ok := source.(resumer); ok && position.Cursor.IsZero() {
			// The first window moves with the time, that of a task under way does not.
			begun, found, err := r.resume(w, time.Time{})
			if err != nil {
				return err
			}
			if found {
				w = window{begun.from, begun.to.Add(time.Second)}
			}
		}
		if !w.to.After(w.from) {
			return p.nothingSettled(ctx, source, w.to, now)
		}
		p.behind(w.to.Sub(w.from) > 2*p.Interval+firstStatistics)
		p.pieces = p.quota.begin(w, 0)
		p.pieces.length, p.pieces.gap, p.pieces.cursor = w.to.Sub(w.from), gap, position.Cursor
		if err := p.readPieces(ctx, read); err != nil {
			return err
		}
		p.quota.kept()
		return nil
	}
	return p, nil
}

// nothingSettled is a poll without a window, as long as the clock is right. A clock
// that no answer has set yet, and that shows a time which is counted already, must be
// wrong: a small window, of which nothing is counted, asks for the right time.
func (p *Poller) nothingSettled(ctx context.Context, source WholeSource, to, now time.Time) error {
	cursor := p.Status().Position.Cursor
	if !now.Before(cursor) {
		return nil
	}
	if _, known := p.ServerTime(); known {
		return p.clockBehind(now, cursor)
	}
	if _, err := source.ReadAll(ctx, to.Add(-time.Minute), to); err != nil {
		return err
	}
	return errWrongClock
}

// statistics is the next window of statistics: [from, to).
func statistics(p record.Position, settle time.Duration, now time.Time) (w window, gap time.Duration) {
	w = window{p.Cursor, now.Add(-settle).Truncate(time.Second)}
	if p.Cursor.IsZero() {
		w.from = w.to.Add(-firstStatistics)
	}
	if oldest := now.Add(-maxAge); w.from.Before(oldest) {
		gap = oldest.Sub(w.from)
		w.from = oldest
	}
	return w, gap
}

// readWhole reads and commits a window. It may be the last one of a poll.
func (p *Poller) readWhole(ctx context.Context, source WholeSource, w window, now time.Time, last bool) (*record.Reading, error) {
	r, err := source.ReadAll(ctx, w.from, w.to)
	if err != nil {
		return nil, err
	}
	if p.clock.wasWrong() {
		return nil, errWrongClock
	}
	if r.To.IsZero() {
		r.To = w.to
	}
	r.From, r.Now, r.UpToDate = w.from, now, last
	if err := p.commit(r); err != nil {
		return nil, err
	}
	p.behind(!last || w.to.Sub(r.To) > 2*p.Interval)
	return r, nil
}
