package collector

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// persons are sets by label values.
type persons map[string]map[record.Person]bool

// add makes the set, and adds a person who is one.
func (s persons) add(key string, p record.Person) {
	if s[key] == nil {
		s[key] = map[record.Person]bool{}
	}
	if p != 0 {
		s[key][p] = true
	}
}

func (s persons) sizes() map[string]float64 {
	sizes := map[string]float64{}
	for key, set := range s {
		sizes[key] = float64(len(set))
	}
	return sizes
}

// naiveGauges computes the gauges of logins from all of them.
func naiveGauges(logins []record.Login, now time.Time, windows []Window) map[*Metric]map[string]float64 {
	open, top := map[string]float64{}, map[string]float64{}
	users, failed, inGroup, failedInGroup := persons{}, persons{}, persons{}, persons{}
	for _, l := range logins {
		open[l.Group+"/"+l.Machine] += 0
		if l.FailedCode == "" && l.End.IsZero() {
			open[l.Group+"/"+l.Machine]++
		}
	}
	for _, w := range windows {
		failures := map[record.Person]float64{}
		users.add(w.Name, 0)
		failed.add(w.Name, 0)
		top[w.Name] = 0
		for _, l := range logins {
			who, whoFailed := l.User, record.Person(0)
			if !l.Time().After(now.Add(-w.Length)) {
				who = 0
			}
			if l.FailedCode != "" && who != 0 {
				whoFailed = who
				failures[who]++
				top[w.Name] = max(top[w.Name], failures[who])
			}
			users.add(w.Name, who)
			failed.add(w.Name, whoFailed)
			inGroup.add(l.Group+"/"+w.Name, who)
			failedInGroup.add(l.Group+"/"+w.Name, whoFailed)
		}
	}
	return map[*Metric]map[string]float64{openConnections: open, loginUsers: users.sizes(), loginFailedUsers: failed.sizes(),
		groupUsers: inGroup.sizes(), groupFailedUsers: failedInGroup.sizes(), maxFailuresPerUser: top}
}

// drawLogins makes logins of the last minutes, many of them in the same seconds, and lets some
// of those that are open end.
func drawLogins(t *rapid.T, known []record.Login, now time.Time) (changed []record.Login) {
	for i := range known {
		if l := &known[i]; l.FailedCode == "" && l.End.IsZero() && rapid.IntRange(0, 3).Draw(t, "ends") == 0 {
			l.End, l.Updated = now, now
			changed = append(changed, *l)
		}
	}
	for i := range rapid.IntRange(0, 6).Draw(t, "new logins") {
		at := now.Add(-time.Duration(rapid.IntRange(0, 5).Draw(t, "minutes ago")) * time.Minute)
		changed = append(changed, login(len(known)+i, at, func(l *record.Login) {
			l.Group, l.Machine = fmt.Sprint("g", rapid.IntRange(0, 3).Draw(t, "group")), fmt.Sprint("m", rapid.IntRange(0, 2).Draw(t, "machine"))
			l.User = record.Person(rapid.IntRange(0, 4).Draw(t, "user"))
			if rapid.Bool().Draw(t, "fails") {
				l.FailedCode = fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "code"))
			}
		}))
	}
	return changed
}

// newest replaces what has changed.
func newest(known, changed []record.Login) []record.Login {
	for _, c := range changed {
		if i := slices.IndexFunc(known, func(l record.Login) bool { return l.ID == c.ID }); i >= 0 {
			known[i] = c
		} else {
			known = append(known, c)
		}
	}
	return known
}

// After each of any commits, and after restarts, gauges that follow what has changed are what
// they would be if all were counted, and what is exposed is in order and of all series.
func TestGaugesThatFollowChangesAreWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, func(o *Options) { o.Lookback = 3 * time.Hour })
		require.NoError(rt, b.accumulator.Commit(&record.Batch{From: t0.Add(-time.Hour), To: t0, Now: t0})) // from when on all is known
		var known []record.Login
		now := t0
		for range rapid.IntRange(1, 12).Draw(rt, "commits") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20).Draw(rt, "minutes")) * time.Minute)
			changed := drawLogins(rt, known, now)
			before := b.accumulator.published()[serverAttempts]
			values, labels := contentOf(before)
			b.clock = now
			require.NoError(rt, b.accumulator.Commit(&record.Batch{From: now.Add(-time.Second), To: now, Now: now, Logins: changed, UpToDate: true}))
			valuesNow, labelsNow := contentOf(before)
			require.Equal(rt, values, valuesNow, "what is published does not change any more")
			require.Equal(rt, labels, labelsNow, "what is published does not change any more")
			known = newest(known, changed)
			if rapid.IntRange(0, 4).Draw(rt, "restart") == 0 {
				b.restart()
			}
			families := b.families()
			for m, want := range naiveGauges(known, now, b.options.UserWindows) {
				var labels []string
				for _, l := range m.Labels {
					labels = append(labels, string(l))
				}
				require.Equal(rt, want, valuesOf(families[m.Name], labels), m.Name)
			}
			requireWhole(rt, b.accumulator)
		}
	})
}

// Without room for all, nothing is lost: what has no series of its own is in that for the rest.
func TestGaugesWithoutRoomAddUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, func(o *Options) {
			o.Lookback, o.Limits = 3*time.Hour, NewLimits(rapid.IntRange(1, 6).Draw(rt, "limit"), nil)
		})
		require.NoError(rt, b.accumulator.Commit(&record.Batch{From: t0.Add(-time.Hour), To: t0, Now: t0})) // from when on all is known
		var known []record.Login
		for n := range rapid.IntRange(1, 8).Draw(rt, "commits") {
			now := t0.Add(time.Duration(n) * time.Minute)
			changed := drawLogins(rt, known, now)
			require.NoError(rt, b.accumulator.Commit(&record.Batch{From: now.Add(-time.Second), To: now, Now: now, Logins: changed, UpToDate: true}))
			known = newest(known, changed)
			if rapid.Bool().Draw(rt, "room comes") {
				for _, m := range []*Metric{serverAttempts, openConnections} {
					b.options.Limits.add(m.Name, -rapid.IntRange(0, 2).Draw(rt, "more room"))
				}
			}
			want := 0.0
			naive := naiveGauges(known, now, b.options.UserWindows)[openConnections]
			for _, n := range naive {
				want += n
			}
			shown := b.values(openConnections, "desktop_group", "machine_name")
			for place, n := range shown {
				if want -= n; place != "other/other" {
					require.Equal(rt, naive[place], n, place)
				}
			}
			require.Zero(rt, want)
			requireWhole(rt, b.accumulator)
		}
	})
}

// contentOf are the values of all parts, and their labels.
func contentOf(parts []*part) (values []value, labels []string) {
	for _, p := range parts {
		values, labels = append(values, p.values...), append(labels, p.labels...)
	}
	return values, labels
}

// requireWhole compares what is exposed, and the failures by code, with all series.
func requireWhole(t *rapid.T, a *Accumulator) {
	failures := map[string]int64{}
	for _, f := range a.state.families.list {
		var values []value
		var labels []string
		for _, s := range f.inOrder() {
			labels = append(labels, labelText(s.Labels()))
			values = append(values, f.shown(s))
			if f.Metric == loginFailures && s.count > 0 {
				failures[s.values[1]] += s.count
			}
		}
		exposedValues, exposedLabels := contentOf(f.exposed)
		require.Equal(t, values, exposedValues, f.Name)
		require.Equal(t, labels, exposedLabels, f.Name)
	}
	got := map[string]int64{}
	for _, c := range a.FailureCodes() {
		got[c.Code] = c.Failures
	}
	require.Equal(t, failures, got)
}

// What is inserted stands behind what is equal, and nothing else moves.
func TestInsertAt(t *testing.T) {
	type pair struct{ key, n int }
	byKey := func(a, b pair) int { return a.key - b.key }
	rapid.Check(t, func(t *rapid.T) {
		draw := func(from int, what string) (list []pair) {
			for i, key := range rapid.SliceOf(rapid.IntRange(0, 5)).Draw(t, what) {
				list = append(list, pair{key, from + i})
			}
			slices.SortStableFunc(list, byKey)
			return list
		}
		list, more := draw(0, "list"), draw(1000, "more")
		want := slices.Concat(list, more)
		slices.SortStableFunc(want, byKey)
		got := insertAt(slices.Clone(list), places(list, more, byKey), more)
		require.True(t, slices.Equal(want, got), "%v, not %v", got, want)
	})
}
