package fetcher

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// reload makes another poller of the same source.
func (w *world) reload(old *Poller) *Poller {
	p := w.poller()
	p.Inherit(old)
	return p
}

// However often the configuration is reloaded, unfinished records have their turn.
func TestReloadsLeaveNoRecordUnread(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.position.Cursor = w.now()
		for i := range 100 {
			w.unfinished = append(w.unfinished, w.now().Add(-29*day+time.Duration(i)*time.Hour))
		}
		p := w.poller()
		for range rereadEvery + 4 {
			require.NoError(t, p.Poll(t.Context()))
			p = w.reload(p)
			time.Sleep(interval)
		}
		assert.Empty(t, w.unseen())
	})
}

// A reload does not begin at the horizon again, as a process does whose cursor may have
// followed a wrong clock.
func TestReloadKnowsHowFarItHasRead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.position = cursor.Position{Cursor: w.now(), Horizon: w.now().Add(-6 * time.Hour)}
		p := w.poller()
		require.NoError(t, p.Poll(t.Context()))
		require.Equal(t, w.position.Horizon, w.asked[0].From)
		p = w.reload(p)
		require.NoError(t, p.Poll(t.Context()))
		assert.Equal(t, w.now().Add(-lookback), w.asked[1].From)
	})
}

// Under a quota a reload goes on with pieces that it pays for.
func TestReloadKnowsTheQuota(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		refused := true
		var wanted []int
		w.read = func(_ context.Context, _ cursor.Window, most int) ([]record.Login, error) {
			if wanted = append(wanted, most); refused {
				return nil, &workspace.Error{Status: 429}
			}
			return nil, nil
		}
		p := w.poller()
		require.Error(t, p.Poll(t.Context()))
		refused = false
		require.NoError(t, w.reload(p).Poll(t.Context()))
		assert.Equal(t, []int{maxRecords, pageLimit}, wanted)
	})
}

// What was logged is not logged again, and the time that records have shown has passed.
func TestReloadKnowsTheClock(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		shown := w.now().Add(day)
		w.skew = 2 * day
		w.read = func(context.Context, cursor.Window, int) ([]record.Login, error) {
			return []record.Login{{Start: shown}, {Start: shown}}, nil
		}
		p := w.poller()
		require.NoError(t, p.Poll(t.Context()))
		w.read, w.position.Newest = nil, time.Time{}
		w.skew = 0
		p = w.reload(p)
		require.NoError(t, p.Poll(t.Context()))
		assert.Equal(t, shown, w.asked[len(w.asked)-1].To)
		w.skew = 2 * day
		p = w.reload(p)
		require.NoError(t, p.Poll(t.Context()))
		p = w.reload(p)
		require.NoError(t, p.Poll(t.Context()))
		assert.Equal(t, 2, strings.Count(w.log.String(), "the local one disagree"), w.log.String())
	})
}

// A list that ignores its windows is reported once.
func TestReloadKnowsThatWindowsAreIgnored(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := &strict{times: spreadOver(6_000, 20*day), deaf: true}
		p, _, _ := s.reader(t, w, "query")
		for range 3 {
			before := p
			p, _, _ = s.reader(t, w, "query")
			p.Logger = w.logger()
			p.Inherit(before)
			require.NoError(t, p.Poll(t.Context()))
		}
		assert.Equal(t, 1, strings.Count(w.log.String(), "ignores the window"), w.log.String())
	})
}
