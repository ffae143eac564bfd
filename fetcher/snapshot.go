package fetcher

import (
	"context"
	"errors"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Snapshot reads, each time, everything of the time for which the API keeps records: what
// is not in a snapshot any more is over. Nothing has to be known of what was read before,
// so a failed poll loses nothing.
//
// But a snapshot of a wrong time would show nothing at all, and end everything. One that is
// far ahead of all that is known counts only if its records confirm that time.
type Snapshot struct {
	Source WindowSource

	*progress
}

// maxAhead is how far ahead of all that is known a snapshot may be taken.
const maxAhead = 24 * time.Hour

// errNotConfirmed is when what was read does not show that it is as late as it should be.
var errNotConfirmed = errors.New("no record confirms the time")

func (s *Snapshot) attach(p *progress) { s.progress = p }

func (s *Snapshot) inherit(Strategy) {}

func (s *Snapshot) poll(ctx context.Context) error {
	now := s.clock.now()
	confirmed := s.clock.confirmed(now, s.position().Cursor)
	if !confirmed.IsZero() && now.Sub(confirmed) > maxAhead {
		if err := s.read(ctx, now, now.Add(-maxAhead)); !errors.Is(err, errNotConfirmed) {
			return err
		}
		now = s.clock.confirmed(now, confirmed).Add(maxAhead)
	}
	return s.read(ctx, now, time.Time{})
}

// read reads and commits what the API keeps at a time, if it confirms at least another.
func (s *Snapshot) read(ctx context.Context, now, least time.Time) error {
	w := cursor.Window{From: now.Add(-cursor.Reach), To: now}
	b, err := s.readWhole(ctx, s.Source, w)
	if err == nil && b.Now.Before(least) {
		err = errNotConfirmed
	}
	if err == nil {
		b.UpToDate = true
		err = s.commit(b)
	}
	if err != nil {
		return windowError(w, err)
	}
	s.catchingUp(w.To.Sub(b.To) > 2*s.Interval)
	return nil
}

// readWhole reads a window whole, and learns from it what time it is.
func (p *progress) readWhole(ctx context.Context, source WindowSource, w cursor.Window) (*record.Batch, error) {
	guessed := p.clock.is(clockGuessed)
	b, err := source.ReadAll(ctx, w.From, w.To)
	if err != nil {
		return nil, err
	}
	if p.clock.wasWrong() || guessed && p.clock.is(clockUndated) { // the window was made in the hope of a Date
		return nil, errWrongClock
	}
	if b.To.IsZero() {
		b.To = w.To
	}
	counted := p.position().Cursor
	p.clock.learn(timesOfBatch(b, w.To), p.clock.confirmed(w.To, counted))
	b.From, b.Now = w.From, p.clock.confirmed(p.clock.claim, counted)
	if b.Now.IsZero() {
		b.Now = w.To // there is nothing to go by yet
	}
	return b, nil
}
