package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
)

// series has a sample each minute, of which those are kept that differ from the one
// before; or it is recorded by a rule, and has what the rule gave.
type series struct {
	labels   labels.Labels
	minutes  []int32
	values   []float64
	recorded bool
	offset   int64 // of its samples within the minute, in milliseconds
	held     int32 // until this minute it is shown as 0
	now      float64
}

// show keeps a sample.
func (s *series) show(m int32, v float64) {
	if n := len(s.values); n == 0 || s.recorded || s.values[n-1] != v {
		s.minutes, s.values = append(s.minutes, m), append(s.values, v)
	}
}

func (s *series) Labels() labels.Labels { return s.labels }

// database is a storage for Prometheus' engine.
type database struct {
	byName map[string][]*series
	byKey  map[string]*series
	last   int32 // minute with samples
}

func newDatabase() *database {
	return &database{byName: map[string][]*series{}, byKey: map[string]*series{}}
}

func (d *database) series(all labels.Labels) *series {
	key := all.String()
	s := d.byKey[key]
	if s == nil {
		s = &series{labels: all}
		d.byKey[key] = s
		d.byName[all.Get(model.MetricNameLabel)] = append(d.byName[all.Get(model.MetricNameLabel)], s)
	}
	return s
}

// Querier is for times in milliseconds.
func (d *database) Querier(from, to int64) (storage.Querier, error) {
	return &querier{d, from, to}, nil
}

type querier struct {
	d        *database
	from, to int64
}

// Select finds series. All selectors of the rules have a name, or match names by a
// pattern in an annotation.
func (q *querier) Select(_ context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	from, to := q.from, q.to
	if hints != nil {
		from, to = hints.Start, hints.End
	}
	var found []*series
	name := slices.IndexFunc(matchers, func(m *labels.Matcher) bool {
		return m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual
	})
	if name >= 0 {
		found = q.d.byName[matchers[name].Value]
	} else {
		for _, s := range q.d.byKey {
			found = append(found, s)
		}
	}
	set := &seriesSet{from: from, to: to, last: q.d.last}
	for _, s := range found {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.labels.Get(m.Name)) }) {
			set.all = append(set.all, s)
		}
	}
	slices.SortFunc(set.all, func(a, b *series) int { return labels.Compare(a.labels, b.labels) })
	return set
}

func (q *querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (q *querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (q *querier) Close() error { return nil }

type seriesSet struct {
	all      []*series
	at       int
	from, to int64
	last     int32
}

func (s *seriesSet) Next() bool                        { s.at++; return s.at <= len(s.all) }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

func (s *seriesSet) At() storage.Series {
	return &section{s.all[s.at-1], s.from, s.to, s.last}
}

// section is a series within a range of time.
type section struct {
	*series
	from, to int64
	last     int32
}

// Iterator writes the samples out, and reads them again: Prometheus' own iterators are
// the ones that its engine is sure to understand.
func (s *section) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	chunk := chunkenc.NewXORChunk()
	samples, err := chunk.Appender()
	if err != nil {
		panic(err) // only a chunk that was read from somewhere can be bad
	}
	at := func(m int32) int64 { return epoch*1000 + int64(m)*60000 + s.offset }
	if s.recorded {
		i, _ := slices.BinarySearchFunc(s.minutes, s.from, func(m int32, from int64) int { return cmp.Compare(at(m), from) })
		for ; i < len(s.minutes) && at(s.minutes[i]) <= s.to; i++ {
			samples.Append(0, at(s.minutes[i]), s.values[i])
		}
		return chunk.Iterator(nil)
	}
	if len(s.minutes) == 0 {
		return chunk.Iterator(nil)
	}
	m := max(s.minutes[0], int32(math.Ceil(float64(s.from-epoch*1000)/60000)))
	i := sort.Search(len(s.minutes), func(k int) bool { return s.minutes[k] > m }) - 1
	for ; m <= s.last && at(m) <= s.to; m++ {
		for i+1 < len(s.minutes) && s.minutes[i+1] <= m {
			i++
		}
		samples.Append(0, at(m), s.values[i])
	}
	return chunk.Iterator(nil)
}

// window counts distinct users, as the exporter does.
type window struct {
	name                    string
	length                  int64
	in                      []login
	users, failed, ips      map[int]int
	groupUsers, groupFailed map[[2]int]int
}

func newWindow(name string, length int64) *window {
	return &window{name: name, length: length, users: map[int]int{}, failed: map[int]int{}, ips: map[int]int{}, groupUsers: map[[2]int]int{}, groupFailed: map[[2]int]int{}}
}

func (w *window) count(t *tenant, l login, n int) {
	member := [2]int{t.people[l.person].group, l.person}
	bump(w.users, l.person, n)
	bump(w.groupUsers, member, n)
	if l.code != "" {
		bump(w.failed, l.person, n)
		bump(w.ips, l.address, n)
		bump(w.groupFailed, member, n)
	}
}

func (w *window) slide(t *tenant, now int64) {
	w.in = slices.DeleteFunc(w.in, func(l login) bool {
		gone := l.at <= now-w.length
		if gone {
			w.count(t, l, -1)
		}
		return gone
	})
}

func bump[K comparable](m map[K]int, k K, n int) {
	if m[k] += n; m[k] == 0 {
		delete(m, k)
	}
}

func most(m map[int]int) (n int) {
	for _, v := range m {
		n = max(n, v)
	}
	return n
}

// exporter is what workspace_exporter would show of the tenant, minute by minute.
type exporter struct {
	*database
	t   *tenant
	now int32
}

func (e *exporter) get(name string, more ...string) *series {
	all := append([]string{model.MetricNameLabel, name, "job", "workspace", "instance", "exporter:9914", "project", e.t.name}, more...)
	s := e.series(labels.FromStrings(all...))
	if len(s.minutes) == 0 && s.held == 0 && e.now > 0 {
		s.held = e.now + 2 // new_series_hold
	}
	return s
}

func (e *exporter) count(name string, more ...string) { e.get(name, more...).now++ }

func (e *exporter) set(v float64, name string, more ...string) { e.get(name, more...).now = v }

// expose runs the exporter over so many days, and returns what a Prometheus would have
// of it.
func (t *tenant) expose(days int) *database {
	e := &exporter{database: newDatabase(), t: t}
	windows := []*window{newWindow("15m", 15*minute), newWindow("1h", hour)}
	trouble, badUntil, next := random(t.seed, "trouble"), int32(-1), 0
	source := []string{"source", "user_connections"}
	for g := range t.groupName { // known from the start
		e.get("workspace_login_attempts_total", t.group(g)...)
	}
	for m := range int32(days * 24 * 60) {
		e.now = m
		now := int64(m) * minute
		if trouble.Float64() < 1.0/(5*24*60) && m > badUntil { // of the API, for some minutes
			badUntil = m + 2 + trouble.Int32N(7)
		}
		if t.apiAnswers(now) && (m >= badUntil || t.during(float64(now)) != nil) {
			for ; next < len(t.logins) && t.logins[next].shown <= now; next++ {
				e.read(t.logins[next], now, windows)
			}
			for _, w := range windows {
				w.slide(t, now)
				e.showPeople(w)
			}
			e.set(epoch+float64(now), "workspace_exporter_source_cursor_timestamp_seconds", source...)
			e.set(epoch+float64(now), "workspace_exporter_source_last_success_timestamp_seconds", source...)
			e.count("workspace_exporter_polls_total", append(source, "result", "success")...)
			e.set(1, "workspace_exporter_source_up", source...)
		} else {
			e.count("workspace_exporter_polls_total", append(source, "result", "error")...)
			e.set(0, "workspace_exporter_source_up", source...)
		}
		e.set(1, "workspace_exporter_build_info")
		e.set(1, "up")
		for _, s := range e.byKey {
			v := s.now
			if m < s.held {
				v = 0
			}
			s.show(m, v)
		}
		e.last = m
	}
	return e.database
}

func (t *tenant) apiAnswers(now int64) bool {
	return !slices.ContainsFunc(t.incidents, func(c *incident) bool { return now >= c.apiFrom && now < c.apiTo })
}

func (t *tenant) group(g int) []string {
	return []string{"product", "app_streaming", "desktop_group", t.groupName[g]}
}

// read counts a record.
func (e *exporter) read(l login, now int64, windows []*window) {
	p := &e.t.people[l.person]
	group := e.t.group(p.group)
	product := group[:2:2]
	families := map[string][]string{
		"workspace_login":                group,
		"workspace_client_login":         append(product, "client_type", p.client, "agent_version", l.agent),
		"workspace_client_version_login": append(product, "client_type", p.client, "client_version", l.version),
		"workspace_server_login":         append(group[:4:4], "machine_name", fmt.Sprintf("APS-%04d", l.server)),
	}
	for family, of := range families {
		e.count(family+"_attempts_total", of...)
		if l.code != "" {
			e.count(family+"_failures_total", append(of[:len(of):len(of)], "failed_code", l.code)...)
		}
	}
	if l.code == "" {
		e.count("workspace_login_duration_seconds_count", group...)
		for _, le := range []float64{1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300, math.Inf(1)} {
			bucket := e.get("workspace_login_duration_seconds_bucket", append(group[:4:4], "le", fmt.Sprint(le))...)
			if l.took <= le {
				bucket.now++
			}
		}
	}
	for _, w := range windows {
		if l.at > now-w.length {
			w.in = append(w.in, l)
			w.count(e.t, l, 1)
		}
	}
}

func (e *exporter) showPeople(w *window) {
	of := []string{"product", "app_streaming", "window", w.name}
	e.set(float64(len(w.users)), "workspace_login_users", of...)
	e.set(float64(len(w.failed)), "workspace_login_failed_users", of...)
	e.set(float64(most(w.failed)), "workspace_login_max_failures_per_user", of...)
	e.set(float64(most(w.ips)), "workspace_login_max_failures_per_client_ip", of...)
	users, failed := make([]float64, e.t.groups), make([]float64, e.t.groups)
	for member := range w.groupUsers {
		users[member[0]]++
	}
	for member := range w.groupFailed {
		failed[member[0]]++
	}
	for g := range e.t.groupName {
		of := append(e.t.group(g), "window", w.name)
		e.set(users[g], "workspace_group_login_users", of...)
		e.set(failed[g], "workspace_group_login_failed_users", of...)
	}
}
