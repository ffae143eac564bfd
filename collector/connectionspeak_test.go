package collector

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// modelledConnection is a connection as the source has it, and what the last poll has seen
// of it.
type modelledConnection struct {
	login    record.Login
	deleted  bool
	known    bool
	takenFor time.Time // when it was taken for closed
	touched  time.Time // when it last changed
}

// span is when it was open. There is no end while it is.
func (c *modelledConnection) span() (start, end time.Time, ok bool) {
	if !c.known || c.login.FailedCode != "" || c.login.Start.IsZero() {
		return start, end, false
	}
	end = c.login.End
	if end.IsZero() {
		end = c.takenFor
	}
	return c.login.Start, end, true
}

// peakOf counts, at every time that matters, what is open.
func peakOf(connections []*modelledConnection, after, now time.Time) float64 {
	openAt := func(t time.Time) (n float64) {
		for _, c := range connections {
			if start, end, ok := c.span(); ok && !start.After(t) && (end.IsZero() || end.After(t)) {
				n++
			}
		}
		return n
	}
	peak := openAt(after)
	for _, c := range connections {
		if start, _, ok := c.span(); ok && start.After(after) && !start.After(now) {
			peak = max(peak, openAt(start))
		}
	}
	return peak
}

// Whatever happens to connections, in whatever order and however late it is known, with
// restarts and failed commits in between, the peaks are those that counting by hand gives.
func TestPeaksAgreeWithCountingByHand(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, nil)
		ago := func(now time.Time, most time.Duration, what string) time.Time {
			return now.Add(-10*time.Second - time.Duration(rapid.IntRange(0, int(most/time.Millisecond)).Draw(rt, what))*time.Millisecond)
		}
		var all []*modelledConnection
		now := t0
		for range rapid.IntRange(1, 12).Draw(rt, "polls") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{20, 60, 600, 1800}).Draw(rt, "seconds to the next poll")) * time.Second)
			for range rapid.IntRange(0, 4).Draw(rt, "new ones") {
				start := ago(now, 12*time.Minute, "start")
				all = append(all, &modelledConnection{login: login(len(all), start), touched: start})
			}
			for _, c := range all {
				lasts := c.login.End.IsZero() && c.login.FailedCode == "" && !c.deleted
				changed := lasts
				switch what := rapid.SampledFrom([]string{"", "", "", "end", "start", "failure", "deleted", "back"}).Draw(rt, "change"); {
				case what == "end" && lasts:
					c.login.End = c.login.Start.Add(time.Duration(rapid.Int64Range(0, (now.Sub(c.login.Start)-10*time.Second).Milliseconds()).Draw(rt, "milliseconds")) * time.Millisecond)
				case what == "start" && lasts:
					c.login.Start = ago(now, 50*time.Minute, "another start")
				case what == "failure" && lasts:
					c.login.FailedCode = "7"
				case what == "deleted" && lasts && c.known:
					c.deleted = true
					changed = false
				case what == "back" && c.deleted && now.Sub(c.touched) < 10*time.Minute:
					c.deleted, changed = false, true
				default:
					changed = false
				}
				if changed {
					c.touched = now
					c.login.Updated = now.Add(-10 * time.Second)
				}
			}
			var logins []record.Login
			for _, c := range all {
				finished := !c.login.End.IsZero() || c.login.FailedCode != ""
				switch {
				case c.deleted || finished && now.Sub(c.touched) > 10*time.Minute:
				case c.known && !finished && c.touched != now && rapid.IntRange(0, 1).Draw(rt, "also twice") == 0:
					logins = append(logins, c.login, c.login)
				default:
					logins = append(logins, c.login)
				}
			}
			batch := &record.Batch{From: now.Add(-8 * time.Hour), To: now, Now: now, Logins: logins, UpToDate: true}
			for b.storage.fail, b.storage.failAfter = accidentOf(rt); ; b.storage.fail, b.storage.failAfter = nil, nil {
				b.clock = now
				if b.accumulator.Commit(batch) == nil {
					break
				}
			}
			require.NoError(rt, b.accumulator.Commit(batch)) // what it does not show is deleted if that is seen twice
			for _, c := range all {
				switch {
				case !c.deleted:
					c.known, c.takenFor = true, time.Time{}
				case c.takenFor.IsZero():
					c.takenFor, c.touched = now, now
				}
			}
			if rapid.IntRange(0, 2).Draw(rt, "restart") == 0 {
				b.restart()
			}
			want := map[string]float64{"15m": peakOf(all, now.Add(-15*time.Minute), now), "1h": peakOf(all, now.Add(-time.Hour), now)}
			require.Equal(rt, want, b.values(connectionsPeak, "window"))
		}
	})
}

// After clocks have leaped, ahead or back, peaks are right again as soon as the longest window
// is over, and never below 0.
func TestPeaksComeRightAfterLeaps(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, nil)
		var all []*modelledConnection
		now, leap := t0, time.Duration(0)
		poll := func(logins ...record.Login) {
			b.clock = now.Add(leap)
			require.NoError(rt, b.accumulator.Commit(&record.Batch{From: now.Add(-8 * time.Hour), To: b.clock, Now: b.clock, Logins: logins, UpToDate: true}))
			if rapid.IntRange(0, 3).Draw(rt, "restart") == 0 {
				b.restart()
			}
			for window, peak := range b.values(connectionsPeak, "window") {
				require.GreaterOrEqual(rt, peak, 0.0, window)
			}
		}
		step := func() {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{20, 60, 600}).Draw(rt, "seconds to the next poll")) * time.Second)
			var logins []record.Login
			for range rapid.IntRange(0, 3).Draw(rt, "new ones") {
				c := &modelledConnection{login: login(len(all), now.Add(-time.Duration(rapid.IntRange(10, 600).Draw(rt, "age"))*time.Second)), known: true}
				all = append(all, c)
			}
			for _, c := range all {
				if !c.login.End.IsZero() || c.login.FailedCode != "" {
					continue // it has been read
				}
				switch rapid.IntRange(0, 5).Draw(rt, "change") {
				case 0:
					c.login.End = now.Add(-5 * time.Second)
				case 1:
					c.login.FailedCode = "7"
				}
				c.login.Updated = now
				logins = append(logins, c.login)
			}
			poll(logins...)
		}
		for range rapid.IntRange(1, 8).Draw(rt, "polls") {
			leap = time.Duration(rapid.SampledFrom([]int{0, 0, -1800, -300, 300, 3600, 40 * 86400}).Draw(rt, "leap")) * time.Second
			step()
		}
		for leap = 0; now.Before(t0.Add(3 * time.Hour)); {
			step()
		}
		want := map[string]float64{"15m": peakOf(all, now.Add(-15*time.Minute), now), "1h": peakOf(all, now.Add(-time.Hour), now)}
		require.Equal(rt, want, b.values(connectionsPeak, "window"))
	})
}

func accidentOf(t *rapid.T) (before, after error) {
	switch rapid.IntRange(0, 5).Draw(t, "accident") {
	case 1:
		return errBefore, nil
	case 2:
		return nil, errAfter
	}
	return nil, nil
}

func openRows(b *bench) (rows []string) {
	for row := range b.storage.rows {
		if strings.HasPrefix(row, connectionsTable+"\x00") {
			rows = append(rows, row)
		}
	}
	return rows
}

// What is kept follows the changes within the longest window, not the history.
func TestPeaksForget(t *testing.T) {
	b := newBench(t, nil)
	var logins []record.Login
	for i := range 100 {
		logins = append(logins, login(i, t0.Add(-time.Duration(i)*time.Second-time.Minute)))
	}
	require.NoError(t, b.read(t0, logins...))
	assert.Len(t, openRows(b), 100)
	for i := range logins {
		logins[i].End = t0.Add(10 * time.Minute)
	}
	require.NoError(t, b.read(t0.Add(30*time.Minute), logins...))
	assert.Len(t, openRows(b), 101)
	assert.Equal(t, map[string]float64{"15m": 0, "1h": 100}, b.values(connectionsPeak, "window"))
	var again store.Changes
	peaks, _ := b.accumulator.state.aggregators.table(connectionsTable)
	peaks.save(&again)
	assert.True(t, again.Empty(), "what has not changed is not written again")
	require.NoError(t, b.read(t0.Add(2*time.Hour)))
	assert.Empty(t, openRows(b))
	assert.Equal(t, map[string]float64{"15m": 0, "1h": 0}, b.values(connectionsPeak, "window"))
}

// A store of a release that did not keep when connections started gives what the ledger
// knows to be open, and is right when the windows are over. So is one to which such a release
// has come back in between.
func TestPeaksOfAnotherRelease(t *testing.T) {
	b := newBench(t, nil)
	require.NoError(t, b.read(t0, login(1, t0.Add(-5*time.Minute)), login(2, t0.Add(-4*time.Minute)), login(3, t0.Add(-3*time.Minute))))
	for _, row := range openRows(b) {
		delete(b.storage.rows, row)
	}
	b.restart()
	assert.Equal(t, map[string]float64{"15m": 3, "1h": 3}, b.values(connectionsPeak, "window"))
	end := func(l *record.Login) { l.End, l.Updated = t0.Add(time.Minute), t0.Add(time.Minute) }
	for range 2 { // so that the others pass for deleted
		require.NoError(t, b.read(t0.Add(2*time.Minute), login(1, t0.Add(-5*time.Minute), end), login(4, t0.Add(90*time.Second))))
	}
	assert.Equal(t, map[string]float64{"15m": 3, "1h": 3}, b.values(connectionsPeak, "window"))
	b.storage.rows[connectionsTable+"\x00"+string([]byte{0, 0, 1, 0x9a, 0, 0, 0, 0})] = string([]byte{10}) // of times long gone
	b.restart()
	require.NoError(t, b.read(t0.Add(2*time.Hour)))
	assert.Empty(t, openRows(b))
	require.Equal(t, map[string]float64{"15m": 1, "1h": 1}, b.values(connectionsPeak, "window"), "what is open still")
}

// A start or an end to come is a wrong clock's: it has its time when the record was read.
func TestPeaksOfTimesToCome(t *testing.T) {
	b := newBench(t, nil)
	far := t0.Add(1000 * time.Hour)
	require.NoError(t, b.read(t0, login(1, far), login(2, t0.Add(-time.Minute), func(l *record.Login) { l.End = far })))
	assert.Equal(t, map[string]float64{"15m": 1, "1h": 1}, b.values(connectionsPeak, "window"))
	assert.Len(t, openRows(b), 1, "one ends as the other begins")
	require.NoError(t, b.read(t0.Add(time.Minute), login(1, far), login(3, t0.Add(time.Second))))
	assert.Equal(t, map[string]float64{"15m": 2, "1h": 2}, b.values(connectionsPeak, "window"))
}

// Another project's connections are not ours.
func TestPeaksAreOfTheProject(t *testing.T) {
	b := newBench(t, func(o *Options) { o.ProjectID = "a" })
	require.NoError(t, b.read(t0, login(1, t0.Add(-time.Minute))))
	b.options.ProjectID = "b"
	b.restart()
	require.NoError(t, b.read(t0.Add(time.Minute)))
	assert.Equal(t, map[string]float64{"15m": 0, "1h": 0}, b.values(connectionsPeak, "window"))
	assert.Empty(t, openRows(b))
}

// BenchmarkPeaks reads a poll's 100 records while 200,000 changes are in the longest window.
func BenchmarkPeaks(b *testing.B) {
	w := newBench(b, nil)
	w.options.Limits = NewLimits(1<<20, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "x"}, []string{"family"}))
	c := newConnectionPeaks(&families{options: &w.options}, w.options).(*connectionPeaks)
	for i := range 200_000 {
		c.added = append(c.added, step{t0.Add(-time.Hour).UnixMilli() + int64(i)*18, int64(1 - 2*(i%2))})
	}
	c.merge()
	now := t0
	for b.Loop() {
		for i := range 100 {
			c.added = append(c.added, step{now.UnixMilli() - int64(i), 1})
		}
		c.merge()
		c.peaks(now, 5)
		now = now.Add(time.Second)
	}
}
