package collector

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// life is a record: all that ever happens to it.
type life struct {
	n        int
	events   string // p: it is there, without an outcome; s: it started; e: it ended; f: it failed
	versions []record.Login
	visible  []time.Time // from when each version is shown in place of the one before
	deleted  bool        // at the source, when nothing happens any more
}

// reference is all that is to be known of counting: what a record adds, whoever reads
// it how, in the end.
func (l *life) reference(add func(m *Metric, labels ...string)) {
	group, last := l.versions[0].Group, l.events[len(l.events)-1]
	add(loginAttempts, group) // all settle, or expire
	switch last {
	case 'p':
		add(loginFailures, group, ledger.CodePendingTimeout)
	case 'f':
		add(loginFailures, group, "7")
	case 's':
		add(loginDuration, group)
		if !l.deleted {
			add(openConnections, group)
		}
	case 'e':
		add(loginDuration, group)
		add(sessionDuration, group)
	}
}

const (
	modelLookback = 15 * time.Minute
	modelLength   = 3 * time.Hour
)

func drawLife(t *rapid.T, n int) *life {
	upTo := func(most time.Duration, what string) time.Duration {
		return time.Duration(rapid.IntRange(0, int(most/time.Second)).Draw(t, what)) * time.Second
	}
	l := &life{n: n, events: rapid.SampledFrom([]string{"p", "ps", "pse", "pf", "s", "se", "sf", "f"}).Draw(t, "life")}
	l.deleted = rapid.Bool().Draw(t, "is deleted in the end")
	asked := t0.Add(upTo(modelLength, "asked"))
	v := login(n, asked, inGroup(fmt.Sprint("g", n%3)))
	v.PreConnect, v.Start = asked, time.Time{}
	if l.events == "sf" {
		v.PreConnect = time.Time{} // whether its login is timed would depend on when one looks
	}
	for i, event := range l.events {
		at := asked
		if i > 0 {
			at = v.Updated.Add(time.Second + upTo(40*time.Minute, "until the next event"))
		}
		v.Updated = at
		switch event {
		case 's':
			v.Start = at
		case 'e':
			v.End = at
		case 'f':
			v.FailedCode = "7"
		}
		shown := at.Add(upTo(modelLookback/2, "late"))
		if i > 0 && !shown.After(l.visible[i-1]) {
			shown = l.visible[i-1].Add(time.Second)
		}
		l.versions, l.visible = append(l.versions, v), append(l.visible, shown)
	}
	return l
}

// at is the time by which a list takes a version.
func listedAt(v *record.Login, by string) time.Time {
	switch {
	case by == "update":
		return v.Updated
	case by == "start" && !v.Start.IsZero(), v.PreConnect.IsZero():
		return v.Start
	}
	return v.PreConnect
}

// model is an accumulator, the source that it reads, and what may come in between.
type model struct {
	*bench
	rt    *rapid.T
	lives []*life
	by    string
	calm  bool               // nothing comes in between any more
	over  bool               // what is deleted in the end is deleted
	shown map[string]float64 // the highest that was ever shown
}

var (
	errBefore = errors.New("the disk is full")
	errAfter  = errors.New("the machine has lost its power")
)

// list is what a window holds at a time. A file may have no ids, and a list that moves
// holds a record twice, in two versions.
func (m *model) list(from, to, now time.Time) (logins []record.Login) {
	nameless := rapid.IntRange(0, 3).Draw(m.rt, "without ids") == 0
	for _, l := range m.lives {
		i := len(l.versions) - 1
		for i >= 0 && l.visible[i].After(now) {
			i--
		}
		if i < 0 || l.deleted && m.over {
			continue
		}
		if at := listedAt(&l.versions[i], m.by); at.Before(from) || at.After(to) {
			continue
		}
		for _, v := range l.versions[max(0, i-rapid.IntRange(0, 1).Draw(m.rt, "and an older version")) : i+1] {
			if nameless {
				v.ID = v.Invariant
			}
			logins = append(logins, v)
		}
	}
	return rapid.Permutation(logins).Draw(m.rt, "order")
}

// commit commits a batch, unless something comes in between, of which the process may
// die. It reports whether all is well.
func (m *model) commit(r *record.Batch) bool {
	m.storage.fail, m.storage.failAfter = nil, nil
	switch accident := rapid.IntRange(0, 11).Draw(m.rt, "accident"); {
	case m.calm:
	case accident == 1:
		m.storage.fail = errBefore
	case accident == 2:
		m.storage.failAfter = errAfter
	}
	m.clock = r.Now
	err := m.accumulator.Commit(r)
	m.storage.fail, m.storage.failAfter = nil, nil
	if !m.calm && rapid.IntRange(0, 5).Draw(m.rt, "restart") == 1 {
		m.restart()
	}
	m.look()
	return err == nil
}

// look scrapes: nothing falls, and no group has more failures than attempts.
func (m *model) look() {
	families := m.families()
	now := totals(families)
	for name, before := range m.shown {
		require.GreaterOrEqual(m.rt, now[name], before, name)
	}
	for name, n := range now {
		if name[0] != '~' {
			m.shown[name] = n
		}
	}
	by := func(m *Metric, label string) map[string]float64 { return valuesOf(families[m.Name], []string{label}) }
	for group, n := range by(loginFailures, "desktop_group") {
		require.LessOrEqual(m.rt, n, by(loginAttempts, "desktop_group")[group]+by(recordsTotal, "disposition")["reclassified"], group)
	}
}

// totals are the metrics that the reference knows, without what is 0; gauges begin with ~.
func totals(families map[string]*dto.MetricFamily) map[string]float64 {
	totals := map[string]float64{}
	for _, metric := range []*Metric{loginAttempts, loginFailures, loginDuration, sessionDuration, openConnections} {
		labels := slices.DeleteFunc(labelNames(metric), func(l string) bool { return l == "machine_name" })
		for values, n := range valuesOf(families[metric.Name], labels) {
			if n != 0 {
				totals[modelKey(metric, values)] = n
			}
		}
	}
	return totals
}

func labelNames(m *Metric) []string {
	names := make([]string, len(m.Labels))
	for i, l := range m.Labels {
		names[i] = string(l)
	}
	return names
}

func modelKey(m *Metric, values string) string {
	if m.Type == Gauge {
		return "~" + m.Name + " " + values
	}
	return m.Name + " " + values
}

// poll reads up to now as the fetcher does: from the lookback behind the cursor, in
// pieces that overlap, each in parts that follow each other; and then what is unfinished.
func (m *model) poll(now time.Time) {
	position, err := m.accumulator.Position()
	require.NoError(m.rt, err)
	from := t0.Add(-time.Hour)
	if !position.Cursor.IsZero() {
		from = position.Cursor.Add(-modelLookback)
		if from.Before(position.Horizon) {
			from = position.Horizon
		}
	}
	pieces := time.Duration(rapid.SampledFrom([]int{5, 20, 600}).Draw(m.rt, "minutes of a piece")) * time.Minute
	parts := rapid.IntRange(1, 3).Draw(m.rt, "parts")
	for begin := from; ; begin = begin.Add(-2 * time.Second) {
		end := begin.Add(pieces)
		if end.After(now) {
			end = now
		}
		if !m.piece(begin, end, now, parts) {
			return // the next poll tries again
		}
		if begin = end; begin.Equal(now) {
			break
		}
	}
	times, err := m.accumulator.Unfinished(from.Add(4 * time.Second))
	require.NoError(m.rt, err)
	for _, at := range times {
		first, last := at.Add(-4*time.Second), at.Add(4*time.Second)
		m.commit(&record.Batch{From: first, To: last, Now: now, Logins: m.list(first, last, now), Reread: true})
	}
}

// piece reads a window at once and commits it in parts, from old to new.
func (m *model) piece(from, to, now time.Time, parts int) bool {
	logins := m.list(from, to, now)
	for i := range parts {
		upTo := to
		if i < parts-1 {
			upTo = from.Add(to.Sub(from) / time.Duration(parts)).Truncate(time.Second)
		}
		var part, rest []record.Login
		for _, l := range logins {
			if at := listedAt(&l, m.by); i < parts-1 && at.After(upTo) {
				rest = append(rest, l)
			} else {
				part = append(part, l)
			}
		}
		if !m.commit(&record.Batch{From: from, To: upTo, Now: now, Logins: part, UpToDate: upTo.Equal(now)}) {
			return false
		}
		from, logins = upTo, rest
	}
	return true
}

// Over any history, in whatever order, pieces and parts it is read, with whatever
// accident at each commit, what is shown never falls, and in the end is the reference.
func TestTheAccumulatorAgreesWithTheReference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{rt: rt, shown: map[string]float64{}, by: rapid.SampledFrom([]string{"pre-connect", "start", "update"}).Draw(rt, "filter"),
			bench: newBench(t, func(o *Options) { o.Lookback, o.Rules.PendingTimeout = modelLookback, 2*time.Hour })}
		want := map[string]float64{}
		for n := range rapid.IntRange(1, 12).Draw(rt, "records") {
			l := drawLife(rt, n)
			m.lives = append(m.lives, l)
			l.reference(func(metric *Metric, labels ...string) {
				name := labels[0]
				for _, l := range labels[1:] {
					name += "/" + l
				}
				want[modelKey(metric, name)]++
			})
		}
		now := t0
		for now.Before(t0.Add(modelLength + 2*time.Hour)) {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{1, 5, 20, 90}).Draw(rt, "minutes to the next poll")) * time.Minute)
			m.poll(now)
		}
		m.calm = true
		for range 20 { // what is pending expires
			now = now.Add(13 * time.Minute)
			m.poll(now)
			m.over = true
		}
		require.Equal(rt, want, totals(m.families()))
	})
}
