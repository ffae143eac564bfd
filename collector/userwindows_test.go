package collector

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// naiveSample is an attempt, or a failure, of which nothing but itself is known.
type naiveSample struct {
	at           int64 // Unix milliseconds
	key, group   string
	user, client record.Person
	failed       bool
}

// naiveWindows count all samples each time.
type naiveWindows struct {
	windows []Window
	samples []naiveSample
	stored  []naiveSample // as of the last commit that was written
}

func (n *naiveWindows) longest() (longest time.Duration) {
	for _, w := range n.windows {
		longest = max(longest, w.Length)
	}
	return longest
}

// sampleOf is the sample of an event, if it has one that a window may show. Of a group without
// attempts of its own, it is in the group for the rest.
func (n *naiveWindows) sampleOf(e *ledger.Event, attempts *family) (s naiveSample, ok bool) {
	at := e.Login.Time()
	if at.IsZero() || at.After(e.Now) {
		at = e.Now
	}
	if !e.Attempt && e.FailedCode == "" || e.Now.Sub(at) >= n.longest() {
		return s, false
	}
	s = naiveSample{at.UnixMilli(), fmt.Sprint(at.UnixMilli(), e.Login.ID, e.Attempt), e.Login.Group, e.Login.User, e.Login.ClientIP, e.FailedCode != ""}
	if attempts.find(desktopGroup.is(s.group)) == nil {
		s.group = other
	}
	return s, true
}

// refresh forgets the samples that no window before now shows.
func (n *naiveWindows) refresh(now time.Time) {
	n.samples = slices.DeleteFunc(n.samples, func(s naiveSample) bool {
		return s.at <= now.Add(-n.longest()).UnixMilli() || s.at > now.Add(n.longest()).UnixMilli()
	})
}

// save stores the samples, one for each key.
func (n *naiveWindows) save() {
	n.stored = nil
	for _, s := range n.samples {
		n.stored = slices.DeleteFunc(n.stored, func(k naiveSample) bool { return k.key == s.key })
		n.stored = append(n.stored, s)
	}
}

// gauges are what the windows before now show; those that are 0 are left out.
func (n *naiveWindows) gauges(now time.Time) map[*Metric]map[string]float64 {
	all := map[*Metric]map[string]float64{}
	for _, m := range []*Metric{loginUsers, loginFailedUsers, groupUsers, groupFailedUsers, maxFailuresPerUser, maxFailuresPerClientIP} {
		all[m] = map[string]float64{}
	}
	for _, w := range n.windows {
		users, failed, failures, clientFailures := persons{}, persons{}, map[record.Person]float64{}, map[record.Person]float64{}
		for _, s := range n.samples {
			if s.at <= now.Add(-w.Length).UnixMilli() {
				continue
			}
			users.add("", s.user)
			users.add(s.group+"/", s.user)
			if !s.failed {
				continue
			}
			failed.add("", s.user)
			failed.add(s.group+"/", s.user)
			if failures[s.user]++; s.user != 0 {
				all[maxFailuresPerUser][w.Name] = max(all[maxFailuresPerUser][w.Name], failures[s.user])
			}
			if clientFailures[s.client]++; s.client != 0 {
				all[maxFailuresPerClientIP][w.Name] = max(all[maxFailuresPerClientIP][w.Name], clientFailures[s.client])
			}
		}
		set := func(total, byGroup *Metric, of persons) {
			for group, n := range of.sizes() {
				if m := byGroup; n > 0 {
					if group == "" {
						m = total
					}
					all[m][group+w.Name] = n
				}
			}
		}
		set(loginUsers, groupUsers, users)
		set(loginFailedUsers, groupFailedUsers, failed)
	}
	return all
}

// userWindowsOf are those of the accumulator's state.
func userWindowsOf(s *state) *userWindows {
	for _, a := range s.aggregators.all {
		if u, ok := a.(*userWindows); ok {
			return u
		}
	}
	panic("there are none")
}

// drawWindows draws some as a configuration may have them.
func drawWindows(t *rapid.T) (windows []Window) {
	lengths := rapid.SliceOfN(rapid.SampledFrom([]time.Duration{100 * time.Millisecond, time.Second, time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour}), 1, 4)
	for i, length := range lengths.Draw(t, "windows") {
		windows = append(windows, Window{fmt.Sprint(i, "-", length), length})
	}
	return windows
}

// drawVersions draws versions of some records: new ones, and others that have changed.
func drawVersions(t *rapid.T, now time.Time, windows []Window) (logins []record.Login) {
	for range rapid.IntRange(0, 8).Draw(t, "records") {
		at := now.Add(-time.Duration(rapid.IntRange(-3, 100).Draw(t, "minutes ago")) * time.Minute)
		if rapid.Bool().Draw(t, "at an edge") {
			length := rapid.SampledFrom(windows).Draw(t, "of").Length
			beside := rapid.SampledFrom([]time.Duration{-time.Millisecond, -1, 0, 1, 500 * time.Microsecond, time.Millisecond})
			at = now.Add(beside.Draw(t, "beside it") - length)
		}
		logins = append(logins, login(rapid.IntRange(0, 30).Draw(t, "record"), at, func(l *record.Login) {
			l.Group = rapid.SampledFrom([]string{"", "g1", "g2", "g3"}).Draw(t, "group")
			l.User, l.ClientIP = record.Person(rapid.IntRange(0, 3).Draw(t, "user")), record.Person(rapid.IntRange(0, 3).Draw(t, "client"))
			switch rapid.IntRange(0, 4).Draw(t, "outcome") {
			case 0:
				l.Start = time.Time{} // none yet
			case 1:
				l.FailedCode, l.Start = "7", time.Time{}
			case 2:
				l.FailedCode = "8"
			case 3:
				l.FailedCode, l.PreConnect, l.Start = "8", time.Time{}, time.Time{}
			}
		}))
	}
	return logins
}

// After any history, the gauges of users and clients are what a count of all samples gives, and
// nothing is kept of whom no window will show: with clocks that go back and far ahead, commits
// that fail before and after they are written, restarts, other windows, and too little room.
func TestUserWindowsAreThoseOfANaiveCount(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		naive := naiveWindows{windows: drawWindows(rt)}
		limited := rapid.IntRange(0, 3).Draw(rt, "limited") == 0
		var counted []naiveSample // by the commit under way
		var counting *state
		b := newBench(t, func(o *Options) {
			o.UserWindows, o.Lookback = naive.windows, 3*time.Hour
			if limited {
				o.Limits = NewLimits(rapid.IntRange(1, 5).Draw(rt, "limit"), nil)
			}
			o.Trace = func(e *ledger.Event) {
				if s, ok := naive.sampleOf(e, userWindowsOf(counting).attempts); ok {
					counted = append(counted, s)
				}
			}
		})
		now, shownAt, known := t0, t0, false
		// load is what the naive count does when the accumulator loads its state.
		load := func() {
			naive.samples = slices.Clone(naive.stored)
			if cursor := b.accumulator.state.position.Cursor; !cursor.IsZero() {
				naive.refresh(cursor)
				shownAt = cursor
			}
		}
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch step := rapid.IntRange(0, 9).Draw(rt, "step"); step {
			case 0:
				if rapid.Bool().Draw(rt, "other windows") {
					naive.windows = drawWindows(rt)
					b.options.UserWindows = naive.windows
				}
				b.restart()
				load()
			default:
				minutes := rapid.IntRange(0, 20)
				if step == 1 {
					minutes = rapid.IntRange(-400, 400) // a clock that is wrong, or has been
				}
				now = now.Add(time.Duration(minutes.Draw(rt, "minutes"))*time.Minute + time.Duration(rapid.IntRange(0, 2).Draw(rt, "ticks"))*700*time.Microsecond)
				b.clock, counted = now, nil
				if b.accumulator.state == nil {
					_, err := b.accumulator.Position() // loads it
					require.NoError(rt, err)
					load()
				}
				counting = b.accumulator.state
				if b.storage.fail, b.storage.failAfter = nil, nil; step == 2 {
					b.storage.fail = errors.New("no space")
				} else if step == 3 {
					b.storage.failAfter = errors.New("the answer is lost")
				}
				err := b.accumulator.Commit(&record.Batch{From: now.Add(-time.Second), To: now, Now: now, Logins: drawVersions(rt, now, naive.windows), UpToDate: true})
				if b.storage.fail != nil {
					require.Error(rt, err)
					continue
				}
				naive.samples = append(naive.samples, counted...)
				naive.refresh(now)
				naive.save()
				if b.storage.failAfter != nil {
					require.Error(rt, err)
					continue
				}
				require.NoError(rt, err)
				shownAt, known = now, true
			}
			if s := b.accumulator.state; s != nil && known {
				requireGauges(rt, b, naive.gauges(shownAt))
				requireNothingElse(rt, userWindowsOf(s), naive.samples)
			}
		}
	})
}

// requireGauges compares the gauges that are not 0. What has no room is in the group for the
// rest: then sums are compared.
func requireGauges(t *rapid.T, b *bench, want map[*Metric]map[string]float64) {
	families := b.families()
	for m, want := range want {
		var labels []string
		for _, l := range m.Labels {
			labels = append(labels, string(l))
		}
		got := valuesOf(families[m.Name], labels)
		_, noRoom := got[other]
		if noRoom {
			continue // for all windows
		}
		maps.DeleteFunc(got, func(_ string, n float64) bool { return n == 0 })
		sums := map[string]float64{}
		for key, n := range got {
			group, window, ok := strings.Cut(key, "/")
			if ok && (group == other || window == other) {
				delete(got, key)
				sums[window] += n
			}
		}
		if len(labels) == 1 || len(sums) == 0 {
			require.Equal(t, want, got, m.Name)
			continue
		}
		total := func(of map[string]float64) (sum float64) {
			for _, n := range of {
				sum += n
			}
			return sum
		}
		require.Equal(t, total(want), total(got)+total(sums), m.Name)
		for key, n := range got {
			require.Equal(t, want[key], n, "%s %s", m.Name, key)
		}
	}
}

// requireNothingElse compares what is kept in memory, and in the store, with the samples.
func requireNothingElse(t *rapid.T, u *userWindows, samples []naiveSample) {
	users, clients, members, groups := map[record.Person]int{}, map[record.Person]int{}, map[string]map[record.Person]int{}, map[string]int{}
	for _, s := range samples {
		groups[s.group]++
		if members[s.group] == nil {
			members[s.group] = map[record.Person]int{}
		}
		if s.user != 0 {
			users[s.user]++
			members[s.group][s.user]++
		}
		if s.failed && s.client != 0 {
			clients[s.client]++
		}
	}
	requirePeople(t, users, &u.users)
	requirePeople(t, clients, &u.clients)
	require.Len(t, u.samples, len(samples))
	require.Len(t, u.groups, len(groups))
	for name, g := range u.groups {
		require.Equal(t, groups[name], g.samples, name)
		require.False(t, g.changed)
		requirePeople(t, members[name], &g.people)
	}
	require.Empty(t, u.inserted)
	for _, list := range [][]sample{u.inserted, u.added, u.removed} {
		for _, s := range list[len(list):cap(list)] {
			require.Equal(t, sample{}, s, "kept by memory that is not in use")
		}
	}
	for _, g := range u.changed[:cap(u.changed)] {
		require.Nil(t, g)
	}
}

func requirePeople(t *rapid.T, want map[record.Person]int, p *people) {
	got := map[record.Person]int{}
	for name, who := range p.persons {
		require.Equal(t, name, who.Person)
		got[name] = who.samples
	}
	require.Equal(t, want, got)
	for _, w := range p.windows {
		for failures, n := range w.with {
			require.Positive(t, failures)
			require.Positive(t, n)
		}
	}
}
