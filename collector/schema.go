package collector

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// What a release changes in the metrics is handled here, when a book is loaded that
// another release, or another configuration, has written. CONTRIBUTING.md says how to
// make each change.
//
//	label added      it is empty in what was counted before
//	label removed    its values are summed over
//	labels reordered nothing to do: rows have the names of labels
//	metric renamed   Metric.Formerly has the old name: its series go on
//	metric removed   its rows stay as they are, for a release that knows it
//	type, buckets    the metric begins anew, with a new creation time
//	layout of rows   the format's number goes up: see format1.go
//
// The head of a book says what its rows are like.
const (
	formatHead  = "format"
	projectHead = "project_id"
	familyHead  = "family " // and the metric's name: its schema
)

// bookFormat is the layout of the rows. Format 1 had no head.
const bookFormat = 2

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

// ofOneProject are the tables whose rows mean nothing in another project: its ids are
// those of other records.
var ofOneProject = map[string]bool{ledger.Table: true, failedSessionsTable: true, serverSessionsTable: true, taskTable: true}

// loading is a book being loaded. Rows are taken as they are stored; what must be
// written, so that they are as this release writes them, is collected.
type loading struct {
	page *page

	// What the head says.
	format   uint64 // 0: nothing, as in a book without rows
	project  string
	families map[string]schema

	begun          bool
	stored         map[string]*family // by the name under which rows are stored
	anotherProject bool
	deletes, puts  store.Batch

	// What is to be told: names of metrics and tables.
	kept, restarted, summed map[string]bool
}

func newLoading(p *page) *loading {
	return &loading{page: p, families: map[string]schema{}, stored: map[string]*family{},
		kept: map[string]bool{}, restarted: map[string]bool{}, summed: map[string]bool{}}
}

// row takes one stored row. Those of the head come first.
func (l *loading) row(table string, key, value []byte) error {
	if table == store.Head {
		return l.head(string(key), value)
	}
	if err := l.begin(); err != nil {
		return err
	}
	if l.format == 1 {
		var err error
		if key, value, err = fromFormat1(table, key, value); err != nil {
			return err
		}
	}
	if table == seriesTable {
		return l.series(key, value)
	}
	if l.anotherProject && ofOneProject[table] {
		l.deletes.Delete(table, bytes.Clone(key))
		return nil
	}
	if l.format == 1 {
		l.puts.Put(table, bytes.Clone(key), bytes.Clone(value))
	}
	known, err := l.page.row(table, key, value)
	if !known {
		l.kept["table "+table] = true
	}
	return err
}

func (l *loading) head(key string, value []byte) (err error) {
	r := store.ReadRow(value)
	switch name, isFamily := strings.CutPrefix(key, familyHead); {
	case isFamily:
		l.families[name], err = readSchema(value)
		return err
	case key == formatHead:
		l.format = r.Uint()
	case key == projectHead:
		l.project = r.String()
	default:
		return nil // of another release
	}
	return r.Err()
}

// begin compares, once the head is read, what is stored with what this release has.
func (l *loading) begin() error {
	if l.begun {
		return nil
	}
	l.begun = true
	if l.format == 0 {
		l.format, l.families = 1, format1Schemas()
	}
	if l.format > bookFormat {
		return fmt.Errorf("%w: it has format %d, written by a newer release; this one knows formats up to %d: use the newer release, or another storage.path",
			store.ErrRefused, l.format, bookFormat)
	}
	id := l.page.tables.options.ProjectID
	l.anotherProject = id != "" && l.project != "" && id != l.project
	for name, was := range l.families {
		f := l.page.tables.named(name)
		if f == nil {
			continue // its rows are kept
		}
		now := schemaOf(f.Metric)
		if was.kind != now.kind || !slices.Equal(was.buckets, now.buckets) {
			l.restarted[name] = true
			continue
		}
		if slices.ContainsFunc(was.labels, func(label string) bool { return !slices.Contains(now.labels, label) }) {
			l.summed[name] = true
		}
		l.stored[name] = f
	}
	return nil
}

// named is the stored family of a name, be it the present one or a former one.
func (t *tables) named(name string) *family {
	for _, f := range t.families {
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
	if l.restarted[name] || l.page.tables.options.Rules.HideMachines && (name == serverAttempts.Name || name == serverFailures.Name) {
		l.deletes.Delete(seriesTable, bytes.Clone(key))
		return nil
	}
	f := l.stored[name]
	if f == nil {
		l.kept[name] = true
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
	s, err := f.load(labels, value, l.page.tables.latestHold())
	if err != nil {
		return err
	}
	if moves {
		l.deletes.Delete(seriesTable, bytes.Clone(key))
	}
	if moves || l.format == 1 {
		f.touch(s)
	}
	return nil
}

// finish returns what is to be written, and the rows of the head that are to be written
// with whatever is written next. A book without rows needs nothing before that.
func (l *loading) finish() (batch *store.Batch, head []headRow) {
	batch = &store.Batch{Clear: l.format == 1}
	if !batch.Clear {
		batch.Append(&l.deletes)
	}
	batch.Append(&l.puts)
	if l.anotherProject {
		p := &l.page.position
		p.Cursor, p.Horizon = time.Time{}, time.Time{}
		batch.Put(positionTable, []byte(positionKey), positionRow(p))
	}
	for _, name := range slices.Sorted(maps.Keys(l.families)) {
		if f := l.stored[name]; f != nil && f.Name != name {
			batch.Delete(store.Head, []byte(familyHead+name))
		}
	}
	return batch, l.newHead()
}

// headRow is a row of the head.
type headRow struct {
	key   string
	value []byte
}

// newHead is what the head does not say yet.
func (l *loading) newHead() (head []headRow) {
	add := func(key string, row store.Row) { head = append(head, headRow{key, row}) }
	if l.format != bookFormat {
		var r store.Row
		r.Uint(bookFormat)
		add(formatHead, r)
	}
	if id := l.page.tables.options.ProjectID; id != "" && id != l.project {
		var r store.Row
		r.String(id)
		add(projectHead, r)
	}
	for _, f := range l.page.tables.families {
		if f.volatile {
			continue
		}
		now := schemaOf(f.Metric).row()
		if was, known := l.families[f.Name]; l.format != bookFormat || !known || !bytes.Equal(was.row(), now) {
			add(familyHead+f.Name, now)
		}
	}
	return head
}

// report tells what was found and what becomes of it.
func (l *loading) report() {
	o := l.page.tables.options
	logger := log.With(o.Logger, "project", o.Project, "source", o.Source)
	list := func(names map[string]bool) string { return strings.Join(slices.Sorted(maps.Keys(names)), " ") }
	if l.format == 1 {
		level.Info(logger).Log("msg", "the store of an earlier release is converted; earlier releases cannot open it any more")
	}
	if len(l.kept) > 0 {
		level.Warn(logger).Log("msg", "the store has what this release does not know; it is kept for the release that does, and not shown", "names", list(l.kept))
	}
	if len(l.restarted) > 0 {
		level.Warn(logger).Log("msg", "metrics begin anew: their type or their buckets have changed", "names", list(l.restarted))
	}
	if len(l.summed) > 0 {
		level.Warn(logger).Log("msg", "metrics have lost a label: what was counted is summed over it", "names", list(l.summed))
	}
	if l.anotherProject {
		level.Warn(logger).Log("msg", "project_id has changed under this project's name: records are those of another project now, counters go on; give the project another name if they should not",
			"before", l.project, "now", o.ProjectID)
	}
}
