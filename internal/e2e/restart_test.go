package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

func TestALargerLookbackAfterARestartCountsNothingTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	now := time.Now()
	w.put(spread(0, 250, now.Add(-50*time.Minute), 11*time.Second)...)
	s := setup{URL: w.url, Lookback: "1m"}
	e := runExporter(t, s)
	e.shows(w)
	for _, lookback := range []string{"45m", "0s", "2h"} {
		s.Lookback, s.InitialLookback = lookback, "3h"
		e.configure(s)
		e.restart()
		assert.Equal(t, w.expect().sum("workspace_login_attempts_total"), e.metrics().sum("workspace_login_attempts_total"), "what was shown before is shown at once")
		e.shows(w)
	}
	w.put(spread(1000, 20, time.Now().Add(-50*time.Second), time.Second/2)...)
	e.shows(w)
}

func TestTheFirstPollReadsBackTheInitialLookback(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	now := time.Now()
	w.Put(project, spread(0, 30, now.Add(-62*time.Minute), time.Second)...) // is not to be counted
	w.put(spread(100, 30, now.Add(-57*time.Minute), time.Second)...)
	e := runExporter(t, setup{URL: w.url, InitialLookback: "1h", Lookback: "2h"})
	e.shows(w)
}

// The exporter has not run for three days.
func TestABacklogOfThreeDaysIsCaughtUpWithAndACrashResumesIt(t *testing.T) {
	t.Parallel()
	var behind atomic.Int64
	behind.Store(int64(72 * time.Hour))
	clock := func() time.Time { return time.Now().Add(-time.Duration(behind.Load())) }
	w := newWorld(t, simulator.Options{Now: clock}, nil)
	w.put(spread(0, 40, clock().Add(-30*time.Minute), 30*time.Second)...)
	e := runExporter(t, setup{URL: w.url})
	e.shows(w)
	require.Equal(t, 0, e.stop())
	e.kill()

	w.put(spread(1000, 700, clock().Add(time.Minute), 6*time.Minute)...)
	behind.Store(0)
	slow := w.AddFault(simulator.Fault{Kind: simulator.FaultSlow, Seconds: 0.3})
	e.start()
	cursor := func() float64 {
		return e.only("workspace_exporter_source_cursor_timestamp_seconds").sum("workspace_exporter_source_cursor_timestamp_seconds")
	}
	begun := cursor()
	assert.InDelta(t, time.Now().Add(-72*time.Hour).Unix(), begun, 600)
	eventually(t, "it catches up", func() bool { return cursor() > begun+20*3600 })
	m := e.metrics()
	assert.Equal(t, 1.0, m.sum("workspace_exporter_source_catching_up"))
	assert.Greater(t, m.sum("workspace_login_attempts_total"), 40.0, "what is read is shown while it catches up")
	reached := cursor()
	e.kill()
	e.start()
	assert.GreaterOrEqual(t, cursor(), reached)
	assert.GreaterOrEqual(t, e.metrics().sum("workspace_login_attempts_total"), m.sum("workspace_login_attempts_total"))
	w.RemoveFault(slow)
	e.shows(w)
	m = e.metrics()
	assert.Equal(t, 740.0, m.sum("workspace_login_attempts_total"))
	assert.Zero(t, m.sum("workspace_exporter_source_catching_up"))
	assert.Zero(t, m.sum("workspace_exporter_gap_seconds_total"))
}

// Also a server's clock that is off by days does not keep the exporter from polling.
func TestOnlyTheServersClockMatters(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"two days behind": -48 * time.Hour, "ten minutes ahead": 10 * time.Minute, "two days ahead": 48 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := func() time.Time { return time.Now().Add(off) }
			w := newWorld(t, simulator.Options{Now: clock}, nil)
			w.put(spread(0, 50, clock().Add(-10*time.Minute), time.Second)...)
			e := runExporter(t, setup{URL: w.url})
			e.shows(w)
			w.put(spread(100, 50, clock().Add(-2*time.Minute), 0)...)
			e.shows(w)
		})
	}
}

func TestADamagedStoreIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 10, time.Now().Add(-5*time.Minute), time.Second)...)
	e := runExporter(t, setup{URL: w.url})
	e.shows(w)
	require.Equal(t, 0, e.stop())
	files, err := filepath.Glob(filepath.Join(e.dir, "data", "*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	whole, err := os.ReadFile(files[0])
	require.NoError(t, err)
	for name, damage := range map[string][]byte{
		"empty":      {},
		"cut off":    whole[:len(whole)/2],
		"not at all": []byte(strings.Repeat("this is no store\n", 2000)),
	} {
		require.NoError(t, os.WriteFile(files[0], damage, 0o600))
		code, _, stderr := command(t, e.dir, "--web.listen-address=127.0.0.1:0")
		assert.Equal(t, 1, code, name)
		assert.True(t, containsAll(stderr, filepath.Join("data", filepath.Base(files[0])), "backup"), "%s: %s", name, stderr)
		after, err := os.ReadFile(files[0])
		require.NoError(t, err)
		assert.Equal(t, damage, after, "%s: a damaged store is left as it is", name)
	}
	require.NoError(t, os.WriteFile(files[0], whole, 0o600))
	e.kill()
	e.start()
	e.shows(w)
}
