package fetcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// WholeSource reads all that a window holds, however much that is. The reading may say
// in To that it is of a shorter window.
type WholeSource interface {
	ReadAll(ctx context.Context, from, to time.Time) (*record.Batch, error)
}

// NewSnapshotPoller returns a poller that reads, each time, everything of the API's
// 30 days (system S3).
func NewSnapshotPoller(source WholeSource, accumulator Accumulator, metrics Metrics, o Options) (*Poller, error) {
	p, err := newPoller(accumulator, metrics, o)
	if err != nil {
		return nil, err
	}
	p.once = func(ctx context.Context) error {
		to := p.clock.now()
		known := p.clock.borneOut(to, p.Status().Position.Cursor)
		if !known.IsZero() && to.Sub(known) > maxAhead {
			// A snapshot of another time would show no session at all: it must show some.
			if err := p.snapshot(ctx, source, to, to.Add(-maxAhead)); !errors.Is(err, errNotBorneOut) {
				return err
			}
			to = p.clock.borneOut(to, known).Add(maxAhead)
		}
		return p.snapshot(ctx, source, to, time.Time{})
	}
	return p, nil
}

// snapshot reads all that the API keeps at a time, which is to be later than least.
func (p *Poller) snapshot(ctx context.Context, source WholeSource, to, least time.Time) error {
	w := cursor.Window{From: to.Add(-cursor.Reach), To: to}
	if _, err := p.readWhole(ctx, source, w, least, true); err != nil {
		return fmt.Errorf("window %s: %w", w, err)
	}
	return nil
}

// maxAhead is how far ahead of all that is known a snapshot may be taken.
const maxAhead = 24 * time.Hour

// errNotBorneOut is when what was read does not show that it is as late as it should be.
var errNotBorneOut = errors.New("no record bears out the time")

// firstStatistics is how far back the first window of statistics begins.
const firstStatistics = time.Hour

// NewStatisticsPoller returns a poller that reads windows which follow each other
// without gap or overlap, and end when they are as old as settle (system S4): what is
// in them can be counted, and nothing of it twice.
func NewStatisticsPoller(source WholeSource, settle time.Duration, accumulator Accumulator, metrics Metrics, o Options) (*Poller, error) {
	p, err := newPoller(accumulator, metrics, o)
	if err != nil {
		return nil, err
	}
	p.once = func(ctx context.Context) error {
		position, err := p.accumulator.Position()
		if err != nil {
			return err
		}
		claim := p.clock.now()
		now := p.clock.borneOut(claim, position.Cursor)
		if _, known := p.ServerTime(); !known && !p.dateless {
			now = claim // the first answer says whether it is right
		} else if !known || claim.Sub(now) > cursor.MaxDrift {
			// What is counted is not read again: a window must not end too late.
			if now, err = p.lookForRows(ctx, source, claim, settle); err != nil {
				return err
			}
			position = p.Status().Position
		}
		read := func(ctx context.Context, piece cursor.Window, _ int) (int, time.Time, error) {
			w := p.pieces
			r, err := p.readWhole(ctx, source, piece, time.Time{}, piece.To.Equal(w.todo.To))
			if err != nil {
				return 0, piece.To, err
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
		w, gap := position.Following(settle, firstStatistics, now)
		if r, ok := source.(resumer); ok && position.Cursor.IsZero() {
			// The first window moves with the time, that of a task under way does not.
			begun, found, err := r.resume(w, time.Time{})
			if err != nil {
				return err
			}
			if found {
				w = cursor.Window{From: begun.From, To: begun.To.Add(time.Second)}
			}
		}
		if !w.To.After(w.From) {
			return p.nothingSettled(ctx, source, w.To, now)
		}
		p.behind(w.Length() > 2*p.Interval+firstStatistics)
		p.pieces = p.quota.begin(w, 0, w.Length())
		p.pieces.gap, p.pieces.cursor = gap, position.Cursor
		if err := p.readPieces(ctx, read); err != nil {
			return err
		}
		p.quota.kept()
		return nil
	}
	return p, nil
}

// lookForRows reads, and does not count, what is not counted yet, up to a time that is
// not borne out, for what the rows show of the time.
func (p *Poller) lookForRows(ctx context.Context, source WholeSource, claim time.Time, settle time.Duration) (borneOut time.Time, err error) {
	counted := p.Status().Position.Cursor
	w, _ := cursor.Position{Cursor: counted}.Following(settle, firstStatistics, claim)
	if w.To.After(w.From) {
		r, err := source.ReadAll(ctx, w.From, w.To)
		if err != nil {
			return claim, fmt.Errorf("window %s: %w", w, err)
		}
		if p.clock.wasWrong() {
			return claim, errWrongClock
		}
		p.clock.learn(timesOfBatch(r, w.To), p.clock.borneOut(claim, counted))
	}
	if borneOut = p.clock.borneOut(claim, counted); !borneOut.IsZero() {
		return borneOut, nil
	}
	// There is nothing to go by: the first window begins where it may, and ends later.
	return borneOut, p.commit(&record.Batch{From: w.From, To: w.From, Now: w.From})
}

// nothingSettled is a poll without a window, as long as the clock is right. A clock that
// shows a time which is counted already was wrong, or is: a small window, of which
// nothing is counted, asks for the right time.
func (p *Poller) nothingSettled(ctx context.Context, source WholeSource, to, now time.Time) error {
	cursor := p.Status().Position.Cursor
	if !now.Before(cursor) {
		return nil
	}
	if _, err := source.ReadAll(ctx, to.Add(-time.Minute), to); err != nil {
		return err
	}
	if p.clock.wasWrong() {
		return errWrongClock
	}
	return p.clockBehind(now, cursor)
}

// readWhole reads and commits a window, unless only what is before least is borne out. It
// may be the last one of a poll.
func (p *Poller) readWhole(ctx context.Context, source WholeSource, w cursor.Window, least time.Time, last bool) (*record.Batch, error) {
	r, err := source.ReadAll(ctx, w.From, w.To)
	if err != nil {
		return nil, err
	}
	if p.clock.wasWrong() {
		return nil, errWrongClock
	}
	if _, known := p.ServerTime(); !known && !p.dateless {
		p.dateless = true
		return nil, errWrongClock // the window was made in the hope of a Date
	}
	if r.To.IsZero() {
		r.To = w.To
	}
	cursor := p.Status().Position.Cursor
	p.clock.learn(timesOfBatch(r, w.To), p.clock.borneOut(w.To, cursor))
	r.From, r.Now, r.UpToDate = w.From, p.clock.borneOut(p.clock.claim, cursor), last
	if r.Now.Before(least) {
		return nil, errNotBorneOut
	}
	if r.Now.IsZero() {
		r.Now = w.To // there is nothing to go by yet
	}
	if err := p.commit(r); err != nil {
		return nil, err
	}
	p.behind(!last || w.To.Sub(r.To) > 2*p.Interval)
	return r, nil
}
