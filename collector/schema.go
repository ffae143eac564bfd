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

// What a release, or a configuration, changes in the metrics is handled here, when an accumulator
// is loaded that another one has written. CONTRIBUTING.md says how to make each change.
//
//	label added      it is empty in what was counted before
//	label removed    its values are summed over
//	labels reordered nothing to do: rows have the names of labels
//	metric renamed   Metric.Formerly has the old name: its series go on
//	metric removed   its rows stay as they are, for a release that knows it
//	type, buckets    the metric restarts at 0, with a new creation time
//	desktop_names    taken away: the series that have names of desktops are removed
//	project_id       the records are those of another project: see ofOneProject
//
// Loading writes nothing. What has to change in the store is written with the next
// commit, so that a configuration that is refused leaves no trace.
//
// The head of an accumulator says what its rows are like.
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

// namesMachines are the stored metrics that have names of machines.
var namesMachines = map[string]bool{serverAttempts.Name: true, serverFailures.Name: true}

// ofOneProject are the tables whose rows mean nothing in another project: its ids are
// those of other records, its users other people.
var ofOneProject = map[string]bool{
	ledger.Table: true, failedSessionsTable: true, userWindowsTable: true, failedUsersTable: true, serverSessionsTable: true, tasknotes.Table: true,
}

// loading is an accumulator being loaded. Rows are taken as they are stored; what must change for
// them to be as this release writes them is collected.
type loading struct {
	state *state

	// What the head says.
	project  string
	families map[string]schema

	begun          bool
	headless       bool               // the head describes no metric
	stored         map[string]*family // by the name under which rows are stored
	anotherProject bool

	// What is to be told: names of metrics and tables.
	kept, restarted, summed, hidden map[string]bool
}

func newLoading(p *state) *loading {
	return &loading{state: p, families: map[string]schema{}, stored: map[string]*family{},
		kept: map[string]bool{}, restarted: map[string]bool{}, summed: map[string]bool{}, hidden: map[string]bool{}}
}

// row takes one stored row. Those of the head come first.
func (l *loading) row(table string, key, value []byte) error {
	if table == store.Head {
		return l.head(string(key), value)
	}
	l.begin()
	if table == seriesTable {
		return l.series(key, value)
	}
	if l.anotherProject && ofOneProject[table] {
		l.state.another.Delete(table, bytes.Clone(key))
		return nil
	}
	known, err := l.state.row(table, key, value)
	if !known {
		l.kept["table "+table] = true
	}
	return err
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
	l.anotherProject = id != "" && l.project != "" && id != l.project
	for name, was := range l.families {
		f := l.state.families.named(name)
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

// named is the stored family of a name, be it the present one or a former one.
func (t *families) named(name string) *family {
	for _, f := range t.list {
		if !f.volatile && (f.Name == name || slices.Contains(f.Formerly, name)) {
			return f
		}
	}
	return nil
}

// series takes the row of a series.
func (l *loading) series(key, value []byte) error {
	r := store.ReadRow(key)
	name := r.String()
	f := l.stored[name]
	if _, described := l.families[name]; !described {
		f = l.state.families.named(name)
	}
	switch {
	case l.state.families.options.Rules.HideMachines && namesMachines[name]:
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
	}
	var labels []pair
	moves := f.Name != name // the series' row will stand under another key
	for !r.End() {
		p := Label(r.String()).is(r.String())
		if slices.Contains(f.Labels, p.label) {
			labels = append(labels, p)
		} else {
			moves = true
		}
	}
	if err := r.Err(); err != nil {
		return err
	}
	s, err := f.load(labels, value, l.state.families.latestHold())
	if err == nil && moves {
		l.remove(key)
		f.touch(s)
	}
	return err
}

func (l *loading) remove(key []byte) { l.state.stale.Delete(seriesTable, bytes.Clone(key)) }

// finish completes what has to change in the store.
func (l *loading) finish() {
	p := l.state
	for _, name := range slices.Sorted(maps.Keys(l.families)) {
		if f := l.stored[name]; f != nil && f.Name != name {
			p.stale.Delete(store.Head, []byte(familyHead+name))
		}
	}
	for _, f := range p.families.list {
		if f.volatile {
			continue
		}
		now := schemaOf(f.Metric).row()
		if was, known := l.families[f.Name]; !known || l.headless || !bytes.Equal(was.row(), now) {
			p.stale.Put(store.Head, []byte(familyHead+f.Name), now)
		}
	}
	id := p.families.options.ProjectID
	if id == "" || id == l.project {
		return
	}
	var row store.Row
	row.String(id)
	p.another.Put(store.Head, []byte(store.ProjectKey), row)
	if l.anotherProject {
		p.position.Cursor, p.position.Horizon = time.Time{}, time.Time{}
	}
}

// report tells what was found and what becomes of it.
func (l *loading) report() {
	o := l.state.families.options
	logger := log.With(o.Logger, "project", o.Project, "source", o.Source)
	tell := func(names map[string]bool, msg string) {
		if len(names) > 0 {
			level.Warn(logger).Log("msg", msg, "names", strings.Join(slices.Sorted(maps.Keys(names)), " "))
		}
	}
	tell(l.kept, "the store has what this release does not know; it is kept for the release that does, and not shown")
	tell(l.restarted, "metrics restart at 0: their type or their buckets have changed")
	tell(l.summed, "metrics have lost a label: what was counted is summed over it")
	tell(l.hidden, "series with names of desktops are removed, since desktop_names is off")
	if l.anotherProject {
		level.Warn(logger).Log("msg", "project_id has changed under this project's name: from the next poll that succeeds, records are those of another project, and counters go on; give the project another name if they should not",
			"before", l.project, "now", o.ProjectID)
	}
}
