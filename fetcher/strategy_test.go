package fetcher

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// current is a strategy that reads a list as it is now: all that a new one needs.
type current struct {
	list func() ([]record.Session, error)

	*progress
	polls int
}

func (s *current) attach(p *progress) { s.progress = p }

func (s *current) inherit(before Strategy) {
	if b, ok := before.(*current); ok {
		s.polls = b.polls
	}
}

func (s *current) poll(context.Context) error {
	s.polls++
	now := s.clock.now()
	sessions, err := s.list()
	switch {
	case err != nil:
		return err
	case s.clock.wasWrong():
		return errWrongClock
	}
	return s.commit(&record.Batch{From: now, To: now, Now: now, Sessions: sessions, UpToDate: true})
}

func (w *world) current(list func() ([]record.Session, error)) (*Poller, *current) {
	s := &current{list: list}
	o := options()
	o.ServerTime = w.serverTime
	o.Logger = w.logger()
	p, err := NewPoller(s, w, w, o)
	require.NoError(w.t, err)
	return p, s
}

// The loop does for any strategy what it does for those of logins.
func TestAnyStrategy(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.skew, w.unknown = time.Hour, true
		var fails error
		p, s := w.current(func() ([]record.Session, error) {
			w.unknown = false
			return make([]record.Session, 3), fails
		})
		require.NoError(t, p.Poll(t.Context()))
		assert.Equal(t, 2, s.polls, "the first answer shows that the local clock is behind")
		require.Len(t, w.batches, 1)
		assert.Equal(t, w.now(), w.batches[0].To)
		assert.Equal(t, w.position, p.Status().Position)

		fails = errors.New("no network")
		require.ErrorIs(t, p.Poll(t.Context()), fails)
		assert.ErrorIs(t, p.Status().LastError, fails)
		assert.NotContains(t, w.log.String(), "will retry", "who polls once does not")
		ctx, cancel := context.WithTimeout(t.Context(), interval)
		defer cancel()
		p.Run(ctx, nil)
		assert.Contains(t, w.log.String(), "poll failed, will retry")

		reloaded, after := w.current(nil)
		reloaded.Inherit(p)
		assert.Equal(t, s.polls, after.polls)
		assert.ErrorIs(t, reloaded.Status().LastError, fails)
	})
}

// A store that cannot be read is not taken for an answer that cannot be.
func TestStoreThatCannotBeRead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p, s := w.current(nil)
		p.accumulator = &unreadable{w}
		require.ErrorIs(t, p.Poll(t.Context()), errFault)
		assert.Equal(t, []Reason{Disk}, w.failing)
		assert.Zero(t, s.polls)
	})
}

// unreadable is an accumulator whose store cannot be read.
type unreadable struct{ *world }

func (unreadable) Position() (cursor.Position, error) { return cursor.Position{}, errFault }

// Each state of the server's clock is logged once, when it begins; none before an answer.
func TestStatesOfTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t}
		answers := false
		p, s := w.current(nil)
		s.list = func() ([]record.Session, error) {
			if !answers {
				return nil, errFault
			}
			return nil, nil
		}
		lines := func(what string) int { return strings.Count(w.log.String(), what) }
		poll := func() {
			for range 3 {
				_ = p.Poll(t.Context())
			}
		}
		w.unknown = true
		poll()
		w.unknown = false
		poll()
		assert.Zero(t, lines("clock"), "as it should be")
		answers, w.unknown = true, true
		poll()
		assert.Equal(t, 1, lines("answers have no Date"))
		w.unknown, w.skew = false, time.Hour
		poll()
		assert.Equal(t, 1, lines("the local one disagree"))
		assert.Equal(t, time.Hour, w.ahead)
		w.skew = 0
		poll()
		assert.Equal(t, 1, lines("the local one agree"))
		assert.Equal(t, 3, lines("clock"))
	})
}
