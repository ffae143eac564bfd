package fetcher

import (
	"context"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Disjoint reads windows that follow each other without gap or overlap, for rows that have
// no identity and so cannot be distinguished from those that are counted already. A window ends
// when it is as old as Settle: what is in it does not change any more. So all can be
// counted, and nothing is read twice.
//
// What is counted is not read again, so a window must not end too late: a time that no
// clock but the server's shows is believed as far as rows confirm it, which are looked for
// first, and not counted.
type Disjoint struct {
	Source DisjointSource
	// Settle is how old rows are that do not change any more.
	Settle time.Duration

	windowReader
}

// DisjointSource is what windows that follow each other are read from.
type DisjointSource interface {
	WindowSource
	TaskResumer
}

// firstDisjoint is how far back the first window begins.
const firstDisjoint = time.Hour

func (s *Disjoint) attach(p *progress) { s.windowReader = windowReader{progress: p} }

func (s *Disjoint) inherit(before Strategy) {
	if b, ok := before.(*Disjoint); ok {
		s.windowReader.inherit(&b.windowReader)
	}
}

func (s *Disjoint) poll(ctx context.Context) error {
	now, err := s.now(ctx)
	if err != nil {
		return err
	}
	if s.hasLeft(now) {
		if err := s.readPieces(ctx, s.readPiece); err != nil || s.quota.isLimited() {
			return err
		}
	}
	w, gap, err := s.next(now)
	if err != nil {
		return err
	}
	if !w.To.After(w.From) {
		return s.nothingSettled(ctx, w.To, now)
	}
	s.catchingUp(w.Length() > 2*s.Interval+firstDisjoint)
	s.begin(w, 0, w.Length(), gap)
	if err := s.readPieces(ctx, s.readPiece); err != nil {
		return err
	}
	s.quota.kept()
	return nil
}

// now is the time up to which rows may be counted, once they have settled.
func (s *Disjoint) now(ctx context.Context) (time.Time, error) {
	claim := s.clock.now()
	confirmed := s.clock.confirmed(claim, s.position().Cursor)
	switch state, _ := s.clock.state(); {
	case state == clockGuessed:
		return claim, nil // the first answer says whether it is right
	case state == clockUndated, claim.Sub(confirmed) > cursor.MaxDrift:
		return s.lookForRows(ctx, claim)
	}
	return confirmed, nil
}

// lookForRows reads, and does not count, what is not counted yet, up to a time that is
// not confirmed, for what the rows show of the time.
func (s *Disjoint) lookForRows(ctx context.Context, claim time.Time) (confirmed time.Time, err error) {
	counted := s.position().Cursor
	w, _ := s.position().Following(s.Settle, firstDisjoint, claim)
	if w.To.After(w.From) {
		b, err := s.Source.ReadAll(ctx, w.From, w.To)
		if err != nil {
			return claim, windowError(w, err)
		}
		if s.clock.wasWrong() {
			return claim, errWrongClock
		}
		s.clock.learn(timesOfBatch(b, w.To), s.clock.confirmed(claim, counted))
	}
	if confirmed = s.clock.confirmed(claim, counted); !confirmed.IsZero() {
		return confirmed, nil
	}
	// There is nothing to go by: the first window begins where it may, and ends later.
	return confirmed, s.commit(&record.Batch{From: w.From, To: w.From, Now: w.From})
}

// next is the window to be read. The first one moves with the time, but not that of an
// export task under way.
func (s *Disjoint) next(now time.Time) (w cursor.Window, gap time.Duration, err error) {
	position := s.position()
	w, gap = position.Following(s.Settle, firstDisjoint, now)
	if !position.Cursor.IsZero() {
		return w, gap, nil
	}
	begun, found, err := s.Source.ResumeWindow(w, time.Time{})
	if found {
		w = cursor.Window{From: begun.From, To: begun.To.Add(time.Second)}
	}
	return w, gap, err
}

// readPiece reads a piece, commits it, and returns where it ended.
func (s *Disjoint) readPiece(ctx context.Context, piece cursor.Window, _ int, _ *readingAhead) (records int, end time.Time, err error) {
	b, err := s.readWhole(ctx, s.Source, piece)
	if err != nil {
		return 0, piece.To, err
	}
	last := piece.To.Equal(s.unread.todo.To)
	b.UpToDate = last
	if err := s.commit(b); err != nil {
		return 0, piece.To, err
	}
	s.pieceCommitted()
	s.catchingUp(!last || piece.To.Sub(b.To) > 2*s.Interval)
	return len(b.Accesses), b.To, nil
}

// nothingSettled is a poll without a window, as long as the clock is right. A clock that
// shows a time which is counted already was wrong, or is: a small window, of which
// nothing is counted, asks for the right time.
func (s *Disjoint) nothingSettled(ctx context.Context, to, now time.Time) error {
	counted := s.position().Cursor
	if !now.Before(counted) {
		return nil
	}
	if _, err := s.Source.ReadAll(ctx, to.Add(-time.Minute), to); err != nil {
		return err
	}
	if s.clock.wasWrong() {
		return errWrongClock
	}
	return s.clockBehind(now, counted)
}
