package fetcher

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Over any history, with another lookback and another mode after each restart, files with
// and without ids, and faults at every step: every record is counted once, and for what
// it was; and no counter ever falls.
func FuzzSettings(f *testing.F) {
	for seed := range uint64(12) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		readAhead(t, seed)
		r := rand.New(&locked{Source: rand.NewPCG(seed, 77)})
		a := &api{Rand: r, size: 4 + r.IntN(9), by: [...]string{"start or pre-connect", "pre-connect", "start", "update"}[r.IntN(4)],
			descending: r.IntN(2) == 0, exclusive: r.IntN(2) == 0, faults: true}
		least := [...]time.Duration{0, time.Minute, 10 * time.Minute}[r.IntN(3)] // what records keep to
		for id := range 10 + r.IntN(41) {
			a.logins = append(a.logins, drawLogin(r, id, span, least, a.by))
		}
		synctest.Test(t, func(t *testing.T) {
			require.Equal(t, a.truth(), counted(t, a.liveWithSettings(t, least)), "by %s, least lookback %s", a.by, least)
		})
	})
}

// fileWithoutIDs is the file of a window without its first column.
func (a *api) fileWithoutIDs(w cursor.Window) string {
	lines := strings.Split(a.file(w), "\n")
	for i, line := range lines {
		if _, rest, ok := strings.Cut(line, ","); ok {
			lines[i] = rest
		}
	}
	return strings.Join(lines, "\n")
}

func (a *api) liveWithSettings(t *testing.T, least time.Duration) *collector.Accumulator {
	a.begin = time.Now()
	fault := func(one int) func() bool { return func() bool { return a.faults && a.IntN(one) == 0 } }
	storage, c := newShelf(), newCloud(nil)
	c.file = func(w cursor.Window) string {
		if a.IntN(2) == 0 {
			return a.fileWithoutIDs(w)
		}
		return a.file(w)
	}
	storage.fails = fault(25)
	c.fails = func(string) error {
		if fault(4)() {
			return errFault
		}
		return nil
	}
	var accumulator *collector.Accumulator
	restart := func() *Poller {
		lookback := [...]time.Duration{least, least, 2*least + time.Minute, 20 * time.Minute}[a.IntN(4)]
		accumulator = openAccumulator(t, storage, collector.Logins, lookback)
		pages := loginPages(a, func() {})
		exports := c.loginExports(notesOn(t, storage))
		auto := &Auto{Pages: pages, Export: exports, Threshold: 3, Logger: log.NewNopLogger()}
		strategy := incremental([]LoginSource{pages, exports, auto}[a.IntN(3)], pages, lookback)
		strategy.InitialLookback = span
		p, err := NewPoller(strategy, accumulator, nothing{}, options())
		require.NoError(t, err)
		return p
	}
	p := restart()
	last := time.Duration(0)
	for _, l := range a.logins {
		last = max(last, l.shown, l.settled, l.ended)
	}
	before := map[string]float64{}
	for time.Since(a.begin) < last+least {
		time.Sleep(time.Duration(a.Int64N(int64(2 * step))))
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(5+a.IntN(300))*time.Second)
		err := p.Poll(ctx)
		cancel()
		if err != nil && !errors.Is(err, errFault) {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		if errors.Is(err, context.DeadlineExceeded) || a.IntN(6) == 0 {
			p = restart()
		}
		now := counted(t, accumulator)
		for name, v := range before {
			if !strings.Contains(name, "open_connections") {
				require.GreaterOrEqual(t, now[name], v, name)
			}
		}
		before = now
	}
	a.faults = false
	for range 2*rereadEvery + 1 {
		require.NoError(t, p.Poll(t.Context()))
		time.Sleep(step)
	}
	return accumulator
}

// A window that was begun by an earlier poll and is read late shows no more what has
// changed since: that what was in it is gone, or has waited too long.
func TestWhatIsReadLateEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accumulator, err := collector.Open(newShelf(), collector.Options{Kind: collector.Logins, Project: "p", Product: "app_streaming", Source: "s", Lookback: lookback,
			Limits: collector.NewLimits(100, prometheus.NewCounterVec(prometheus.CounterOpts{}, []string{"family"})),
			Rules:  ledger.Rules{SuccessCodes: []string{""}, PendingTimeout: time.Minute}})
		require.NoError(t, err)
		now := time.Now()
		pending := record.Login{ID: record.Identity{1}, Invariant: record.Identity{1}, Group: "g", PreConnect: now.Add(-10 * time.Minute)}
		require.NoError(t, accumulator.Commit(&record.Batch{From: now.Add(-time.Hour), To: now, Now: now, Logins: []record.Login{pending}, UpToDate: true}))
		late := record.Batch{From: now.Add(-time.Hour), To: now, Now: now.Add(time.Hour), UpToDate: true, Late: true}
		require.NoError(t, accumulator.Commit(&late))
		assert.Empty(t, counted(t, accumulator))
		position, err := accumulator.Position()
		require.NoError(t, err)
		assert.WithinDuration(t, now, position.LastSuccess, 0, "that is when it was up to date")
		late.Late = false
		require.NoError(t, accumulator.Commit(&late))
		require.NoError(t, accumulator.Commit(&late), "what is gone is looked for twice")
		assert.Equal(t, map[string]float64{"workspace_login_attempts_total g": 1, "workspace_login_failures_total g pending_timeout": 1}, counted(t, accumulator))
	})
}
