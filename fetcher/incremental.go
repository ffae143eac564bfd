package fetcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Incremental reads login records, which appear late and change. Each poll reads from the
// lookback before the cursor until now, so that it sees what came up to a lookback late, and
// then what is unfinished and older than that (see reread). The accumulator knows which
// versions of a record it has counted.
//
// None is lost: the cursor is the end of what was read whole, and the next window begins
// before it. A cursor that followed wrong clocks may be ahead of what was read; then the
// window begins at readUpTo, or at the horizon. None is counted twice: no window begins
// before the horizon, from which on every record that was counted is remembered.
type Incremental struct {
	Source LoginSource
	// Reread is what unfinished records are read from, in many small windows.
	Reread LoginReader
	// Lookback is how far behind the cursor each poll begins; InitialLookback is how far
	// behind now the first one does.
	Lookback, InitialLookback time.Duration

	windowReader
	reread reread
	// readUpTo is how far this process has read, by a time that is certain; zero if
	// nothing, or if that may not be so.
	readUpTo time.Time
}

func (s *Incremental) attach(p *progress) {
	s.windowReader = windowReader{progress: p, ignoresWindow: s.Source.IgnoresWindow, ahead: ahead{source: s.Source.Ahead()}}
	s.reread = reread{progress: p, source: s.Reread, commit: s.commit}
	s.showUnfinished()
}

func (s *Incremental) inherit(before Strategy) {
	if b, ok := before.(*Incremental); ok {
		s.windowReader.inherit(&b.windowReader)
		s.reread.inherit(&b.reread)
		s.readUpTo = b.readUpTo
	}
}

// poll reads what is new, and then what is unfinished.
func (s *Incremental) poll(ctx context.Context) error {
	to, now, err := s.times(ctx)
	if err != nil {
		return err
	}
	position := s.position()
	s.catchingUp(s.isBehind(position, s.expected(to, now)))
	if err := s.reread.beginPoll(ctx, position.Cursor.Add(-s.Lookback), now); err != nil {
		return err
	}
	from, err := s.readNew(ctx, to, now)
	if err != nil {
		return err
	}
	position = s.position()
	now = s.clock.confirmed(s.clock.claim, position.Cursor)
	s.catchingUp(s.isBehind(position, now))
	s.quota.kept()
	if err := s.reread.read(ctx, from, now, rereadRequests); err != nil && ctx.Err() == nil {
		// All that is new is counted: this poll has succeeded.
		level.Warn(s.Logger).Log("msg", "open and pending records behind the lookback could not be read, the next poll retries", "err", err)
	}
	return nil
}

// times are where the window that is to be read ends, and what is believed to be now.
func (s *Incremental) times(ctx context.Context) (to, now time.Time, err error) {
	counted := s.position().Cursor
	to = s.clock.now()
	if s.clock.doubts(counted) {
		s.readUpTo = time.Time{} // what clocks that were ahead took for read may not have been
	}
	now = s.clock.confirmed(to, counted)
	if !now.IsZero() && to.Sub(now) > cursor.Reach {
		if to, now, err = s.lookAhead(ctx, to, counted); err != nil {
			return to, now, err
		}
	}
	if now.IsZero() {
		now = to // there is nothing to go by but the local clock
	}
	return to, now, nil
}

// expected is up to when there may be records: by the local clock, if no other is known.
func (s *Incremental) expected(to, now time.Time) time.Time {
	if s.clock.isKnown() {
		return now
	}
	return to
}

// isBehind reports whether a position is more than one poll behind a time.
func (s *Incremental) isBehind(position cursor.Position, now time.Time) bool {
	return now.Sub(position.Cursor) > 2*s.Interval+time.Second
}

// lookAhead asks whether there are records at a time that is further ahead of all that is
// known than the API keeps records. If there are, that is the time. If not, the window
// that is read ends within the time for which the API keeps records.
func (s *Incremental) lookAhead(ctx context.Context, to, counted time.Time) (end, believed time.Time, err error) {
	ahead := cursor.Window{From: to.Add(-cursor.Reach), To: to}
	logins, err := gather(ctx, s.Reread, ahead, 1)
	var many *paging.TooManyError
	switch {
	case errors.As(err, &many) && many.Count > 1: // two that agree
		s.clock.show(ahead.From)
	case err != nil && !errors.As(err, &many):
		return to, believed, windowError(ahead, err)
	default:
		s.clock.learn(timesOf(logins, ahead.To), counted)
	}
	if s.clock.wasWrong() {
		return to, believed, errWrongClock
	}
	believed = s.clock.confirmed(to, counted)
	if to.Sub(believed) > cursor.Reach && counted.IsZero() {
		return to, believed, reasonError{fmt.Errorf("the clock of %s shows %s, and the local one %s; there is no record to tell which is right: correct the one that is wrong",
			s.Host, to.Format(time.RFC3339), s.clock.wall().UTC().Format(time.RFC3339)), Clock}
	}
	if to.Sub(believed) > cursor.Reach {
		to = believed.Add(cursor.Reach - 24*time.Hour)
	}
	return to, believed, nil
}

// backlog is all that a poll has to read, up to what is believed to be now, and the gap
// before it. The cursor may be ahead of what was read, if clocks were wrong: a process
// begins at the horizon, unless records are so rare that this is far behind, and goes on
// behind what it has read itself.
func (s *Incremental) backlog(believed time.Time) (w cursor.Window, gap time.Duration) {
	position := s.position()
	w, gap = position.Backlog(s.Lookback, s.InitialLookback, believed)
	if position.Cursor.IsZero() || position.Horizon.IsZero() {
		return w, gap
	}
	from := position.Horizon
	switch {
	case !s.readUpTo.IsZero():
		from = later(from, s.readUpTo.Add(-s.overlap()))
	case !s.clock.doubts(position.Cursor) && position.Cursor.Sub(from) > maxPiece:
		return w, gap
	}
	if from = later(from, believed.Add(-cursor.Reach)); from.Before(w.From) {
		w.From = from.Truncate(time.Second)
	}
	return w, gap
}

// overlap is how far behind what has been read the next window begins.
func (s *Incremental) overlap() time.Duration { return max(s.Lookback, cursor.Seam) }

// readNew reads what an earlier poll has left, and then all up to a time, which what is
// believed to be now may be before. Under a quota the latter is for the next poll: what is
// unfinished is to have its turn, too. It returns from when on all has been read.
func (s *Incremental) readNew(ctx context.Context, to, now time.Time) (from time.Time, err error) {
	read := s.logins(s.Source, now, s.commitPart)
	if s.hasLeft(to) {
		from := s.unread.todo.From
		if err := s.readPieces(ctx, read); err != nil || s.quota.isLimited() {
			return from, err
		}
	}
	todo, gap := s.backlog(now)
	todo.To = later(todo.To, to)
	resumed, found, err := s.resumeWindow(todo, now)
	if err != nil {
		return todo.From, err
	}
	overlap, from := cursor.Seam, todo.From
	if s.Source.CreatesTasks() {
		overlap = s.overlap() // so that after a restart the same piece is asked for again
	}
	if found {
		todo.From = resumed.From
	}
	s.begin(todo, overlap, maxPiece, gap)
	if found {
		s.unread.first = &resumed
	}
	s.unread.sure = s.expected(to, now)
	return from, s.readPieces(ctx, read)
}

// resumeWindow finds a piece that was asked for before a restart. What lies behind the
// horizon is counted, and not remembered any more; what is too old the API refuses.
func (s *Incremental) resumeWindow(todo cursor.Window, now time.Time) (piece cursor.Window, found bool, err error) {
	position := s.position()
	if from := position.Cursor.Add(-s.overlap()).Truncate(time.Second); s.readUpTo.IsZero() && from.After(todo.From) && from.Before(todo.To) {
		todo.From = from // where the process before this one began
	}
	return s.Source.ResumeWindow(todo, later(position.Horizon.Truncate(time.Second), now.Add(-cursor.Reach)))
}

// commitPart commits a part of what is new.
func (s *Incremental) commitPart(b *record.Batch) error {
	if err := s.commit(b); err != nil {
		return err
	}
	s.readUpTo = earlier(b.To, s.clock.certain())
	return nil
}

func (s *Incremental) commit(b *record.Batch) error {
	if err := s.progress.commit(b); err != nil {
		return err
	}
	s.showUnfinished()
	return nil
}

// showUnfinished shows how many records are unfinished, as far as that is known.
func (s *Incremental) showUnfinished() {
	if n, err := s.accumulator.CountUnfinished(); err == nil {
		s.metrics.ShowUnfinished(n)
	}
}
