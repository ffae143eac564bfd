package collector

import (
	"bytes"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
	"github.com/workspace-exporter/workspace_exporter/internal/tasknotes"
)

// This file handles what a release, or a configuration, changes in the metrics, when it loads
// an accumulator that another one has written. CONTRIBUTING.md says how to make each change.
//
//	label added      it is empty in what was counted before
//	label removed    its values are summed over
//	labels reordered nothing to do: rows have the names of labels
//	metric renamed   Metric.Formerly has the old name: its series go on
//	metric removed   its rows stay as they are, for a release that knows it
//	type, buckets    the metric restarts at 0, with a new creation time
//	desktop_names    taken away: the series that have names of desktops are removed
//	project_id       the records are those of another project: see ofProject
//
// Loading writes nothing. What has to change in the store is written with the next
// commit, so that a configuration that is refused leaves no trace.
//
// The head of an accumulator describes its rows.
const familyHead = "family " // and the metric's name: its schema

// schema is what the rows of a metric are like.
type schema struct {
	kind    Type
	labels  []string // sorted
	buckets []float64
}

func schemaOf(m *Metric) schema {
	s := schema{kind: m.Type, buckets: m.Buckets}
	for _, l := range m.Labels {
		s.labels = append(s.labels, string(l))
	}
	slices.Sort(s.labels)
	return s
}

func (s schema) row() []byte {
	var r store.Row
	r.String(string(s.kind))
	r.Uint(uint64(len(s.labels)))
	for _, l := range s.labels {
		r.String(l)
	}
	r.Uint(uint64(len(s.buckets)))
	for _, b := range s.buckets {
		r.Uint(math.Float64bits(b))
	}
	return r
}

func readSchema(value []byte) (s schema, err error) {
	r := store.ReadRow(value)
	s.kind = Type(r.String())
	for range min(r.Uint(), maxSchema) {
		s.labels = append(s.labels, r.String())
	}
	for range min(r.Uint(), maxSchema) {
		s.buckets = append(s.buckets, math.Float64frombits(r.Uint()))
	}
	return s, r.Err()
}

// maxSchema is more labels or buckets than any metric has.
const maxSchema = 1000

// loading is an accumulator being loaded. Rows are taken as they are stored; what must
// change for them to be as this release writes them is collected.
type loading struct {
	state *state

	// What the head holds.
	project  string
	families map[string]schema

	begun    bool
	headless bool               // the head describes no metric
	stored   map[string]*family // by the name under which rows are stored
	isOther  bool               // the rows are those of another project

	// What is reported: names of metrics and tables.
	kept, restarted, summed, hidden map[string]bool
}

func newLoading(s *state) *loading {
	return &loading{state: s, families: map[string]schema{}, stored: map[string]*family{},
		kept: map[string]bool{}, restarted: map[string]bool{}, summed: map[string]bool{}, hidden: map[string]bool{}}
}

// row takes one stored row. Those of the head come first.
func (l *loading) row(table string, key, value []byte) error {
	if table == store.Head {
		return l.head(string(key), value)
	}
	l.begin()
	switch table {
	case seriesTable:
		return l.series(key, value)
	case positionTable:
		return loadPosition(&l.state.position, value)
	case ledger.Table:
		return l.ofProject(table, key, value, l.state.ledger.Load)
	case tasknotes.Table:
		return l.ofProject(table, key, value, func(key, value []byte) error { return nil }) // read elsewhere
	}
	t, known := l.state.aggregators.table(table)
	switch {
	case !known:
		l.kept["table "+table] = true
		return nil
	case t.ofProject:
		return l.ofProject(table, key, value, t.load)
	}
	return t.load(key, value)
}

// ofProject loads a row that means nothing in another project: its ids are those of other
// records, its users other people. There, it is deleted.
func (l *loading) ofProject(table string, key, value []byte, load func(key, value []byte) error) error {
	if l.isOther {
		l.state.otherProject.Delete(table, key)
		return nil
	}
	return load(key, value)
}

func (l *loading) head(key string, value []byte) (err error) {
	switch name, isFamily := strings.CutPrefix(key, familyHead); {
	case isFamily:
		l.families[name], err = readSchema(value)
	case key == store.ProjectKey:
		r := store.ReadRow(value)
		l.project, err = r.String(), r.Err()
	}
	return err // a row that is neither is of another release
}

// begin compares, once the head is read, what is stored with what this release has.
func (l *loading) begin() {
	if l.begun {
		return
	}
	l.begun = true
	if l.headless = len(l.families) == 0; l.headless {
		l.families = format1Schemas()
	}
	id := l.state.families.options.ProjectID
	l.isOther = id != "" && l.project != "" && id != l.project
	for name, was := range l.families {
		f := l.state.families.stored(name)
		if f == nil {
			continue // its rows are kept
		}
		l.stored[name] = f
		now := schemaOf(f.Metric)
		if was.kind != now.kind || !slices.Equal(was.buckets, now.buckets) {
			l.restarted[name] = true
		} else if slices.ContainsFunc(was.labels, func(label string) bool { return !slices.Contains(now.labels, label) }) {
			l.summed[name] = true
		}
	}
}

// series takes the row of a series.
func (l *loading) series(key, value []byte) error {
	name, stored, err := readSeriesKey(key)
	f := l.stored[name]
	if _, described := l.families[name]; !described {
		f = l.state.families.stored(name)
	}
	switch {
	case l.state.families.options.Rules.HideMachines && l.namesMachines(name, stored):
		l.hidden[name] = true
		l.state.stale.Scrub = true // the names are not to stay in free pages
		l.remove(key)
		return nil
	case f == nil:
		l.kept[name] = true
		return nil
	case l.restarted[name]:
		l.remove(key)
		return nil
	case err != nil:
		return err
	}
	labels := slices.DeleteFunc(stored, func(p pair) bool { return !slices.Contains(f.Labels, p.label) })
	moves := f.Name != name || len(labels) < len(stored) // the row will stand under another key
	s, err := f.load(labels, value, l.state.families.latestHold())
	if err == nil && moves {
		l.remove(key)
		f.touch(s)
	}
	return err
}

// namesMachines reports whether the series of a metric may have names of machines.
func (l *loading) namesMachines(name string, labels []pair) bool {
	return slices.Contains(l.families[name].labels, string(machineName)) ||
		slices.ContainsFunc(labels, func(p pair) bool { return p.label == machineName })
}

func (l *loading) remove(key []byte) { l.state.stale.Delete(seriesTable, key) }

// finish completes what has to change in the store.
func (l *loading) finish() {
	s := l.state
	for _, name := range slices.Sorted(maps.Keys(l.families)) {
		if f := l.stored[name]; f != nil && f.Name != name {
			s.stale.Delete(store.Head, []byte(familyHead+name))
		}
	}
	for _, f := range s.families.list {
		if f.volatile() {
			continue
		}
		now := schemaOf(f.Metric).row()
		if was, known := l.families[f.Name]; !known || l.headless || !bytes.Equal(was.row(), now) {
			s.stale.Put(store.Head, []byte(familyHead+f.Name), now)
		}
	}
	id := s.families.options.ProjectID
	if id == "" || id == l.project {
		return
	}
	var row store.Row
	row.String(id)
	s.otherProject.Put(store.Head, []byte(store.ProjectKey), row)
	if l.isOther {
		s.position.Cursor, s.position.Horizon, s.position.Newest = time.Time{}, time.Time{}, time.Time{}
	}
}

// report logs what was found and what becomes of it.
func (l *loading) report() {
	o := l.state.families.options
	logger := log.With(o.Logger, "project", o.Project, "source", o.Source)
	warn := func(names map[string]bool, msg string) {
		if len(names) > 0 {
			level.Warn(logger).Log("msg", msg, "names", strings.Join(slices.Sorted(maps.Keys(names)), " "))
		}
	}
	warn(l.kept, "the store has what this release does not know; it is kept for the release that does, and not shown")
	warn(l.restarted, "metrics restart at 0: their type or their buckets have changed")
	warn(l.summed, "metrics have lost a label: what was counted is summed over it")
	warn(l.hidden, "series with names of desktops are removed, since desktop_names is off")
	if l.isOther {
		level.Warn(logger).Log("msg", "project_id has changed under this project's name: from the next poll that succeeds, records are those of another project, and counters go on; give the project another name if they should not",
			"before", l.project, "now", o.ProjectID)
	}
}
