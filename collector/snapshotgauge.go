package collector

import (
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// snapshotGauge is a gauge of what the newest snapshot of a list holds, for kinds of
// records of which each batch is a whole snapshot. It survives a restart: what was known
// is shown until there is a newer snapshot. A series that disappears reports 0 once, then
// is dropped.
type snapshotGauge struct {
	family     *family
	tableName  string
	count      func(*record.Batch, adder)
	dropAtOnce bool // a series that disappears does not report 0 first

	values  map[string]int64 // by the row's key, which holds the values of the labels in order
	changed map[string]bool
}

// adder adds to the series of the labels.
type adder func(n int64, labels ...pair)

// newSnapshotGauge returns the gauge to which count adds all that a snapshot holds. It is
// stored in a table of its own.
func newSnapshotGauge(f *families, m *Metric, tableName string, count func(*record.Batch, adder)) aggregator {
	return &snapshotGauge{family: f.of(m), tableName: tableName, count: count, values: map[string]int64{}, changed: map[string]bool{}}
}

// snapshotGauges are several gauges of one list that says by itself what there is: a series that
// disappears is dropped at once.
type snapshotGauges []*snapshotGauge

func (g *snapshotGauges) add(f *families, m *Metric, tableName string, count func(*record.Batch, adder)) {
	gauge := newSnapshotGauge(f, m, tableName, count).(*snapshotGauge)
	gauge.dropAtOnce = true
	*g = append(*g, gauge)
}

func (g snapshotGauges) read(b *record.Batch) {
	for _, gauge := range g {
		gauge.read(b)
	}
}

func (g snapshotGauges) refresh(now time.Time, l *ledger.Ledger) {
	for _, gauge := range g {
		gauge.refresh(now, l)
	}
}

func (g snapshotGauges) tables() (tables []table) {
	for _, gauge := range g {
		tables = append(tables, gauge.tables()...)
	}
	return tables
}

// read takes a snapshot.
func (g *snapshotGauge) read(b *record.Batch) {
	values := map[string]int64{}
	g.count(b, func(n int64, labels ...pair) { values[g.key(labels)] += n })
	for key, before := range g.values {
		n, still := values[key]
		if !still && before != 0 && !g.dropAtOnce {
			values[key] = 0
		}
		if !still || n != before {
			g.changed[key] = true
		}
	}
	for key := range values {
		if _, known := g.values[key]; !known {
			g.changed[key] = true
		}
	}
	g.values = values
}

func (g *snapshotGauge) refresh(time.Time, *ledger.Ledger) {
	if len(g.changed) == 0 && g.family.size() == len(g.values) {
		return // all is shown as it is
	}
	g.family.clear()
	for key, n := range g.values {
		labels, _ := g.labels(key)
		g.family.add(n, labels...)
	}
}

func (g *snapshotGauge) key(labels []pair) string {
	var key store.Row
	for _, value := range g.family.inOwnOrder(labels) {
		key.String(value)
	}
	return string(key)
}

// labels are those of a row. They are not ok if another release wrote it, with other labels.
func (g *snapshotGauge) labels(key string) (labels []pair, ok bool) {
	r := store.ReadRow([]byte(key))
	for _, l := range g.family.Labels {
		labels = append(labels, l.is(r.String()))
	}
	return labels, r.End() && r.Err() == nil
}

func (g *snapshotGauge) tables() []table {
	return []table{{name: g.tableName, ofProject: true, load: g.load, save: g.save}}
}

func (g *snapshotGauge) load(key, value []byte) error {
	if _, ok := g.labels(string(key)); !ok {
		g.changed[string(key)] = true // to be deleted; the next snapshot has them
		return nil
	}
	r := store.ReadRow(value)
	g.values[string(key)] = r.Int()
	return r.Err()
}

func (g *snapshotGauge) save(changes *store.Changes) {
	for key := range g.changed {
		if n, still := g.values[key]; still {
			var value store.Row
			value.Int(n)
			changes.Put(g.tableName, []byte(key), value)
		} else {
			changes.Delete(g.tableName, []byte(key))
		}
	}
	clear(g.changed)
}
