package backfill

import (
	"cmp"
	"slices"
	"time"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// history is how the counters of one source would have grown over a stretch of the
// past, had they been scraped at every step. It counts records by their own time. It
// is an accumulator in memory: of each series it keeps the steps in which it grew.
type history struct {
	period   period
	ledger   *ledger.Ledger
	counters *collector.Counters
	lookback time.Duration
	cursor   time.Time
	growths  map[*collector.Series]*growths
}

// period is a stretch of time from Since until before Until, in steps of whole seconds.
type period struct {
	since, until time.Time
	step         time.Duration
	// sparse is to have few samples where nothing happens, instead of one at each step.
	sparse bool
}

// first is the time of the first sample: steps are multiples of themselves, so that
// samples lie on whole minutes and hours.
func (p period) first() int64 {
	step := int64(p.step / time.Second)
	return p.since.Unix() / step * step
}

// stepOf is the number of the step in which a time lies.
func (p period) stepOf(t time.Time) int32 {
	return int32((t.Unix() - p.first()) / int64(p.step/time.Second))
}

// steps is how many steps there are; the last one may be cut short.
func (p period) steps() int32 { return p.stepOf(p.until.Add(-time.Nanosecond)) + 1 }

// growths are by how much each number of a series grew, step by step.
type growths struct {
	seen    []int64 // what the series had counted when it was last looked at
	columns [][]growth
}

// growth is by how much a value grew within a step.
type growth struct {
	step int32
	by   int64
}

// newHistory returns a history in which nothing has happened yet.
func newHistory(o collector.Options, p period) *history {
	return &history{period: p, ledger: ledger.New(o.Rules), counters: collector.NewCounters(o, p.since),
		lookback: o.Lookback, growths: map[*collector.Series]*growths{}}
}

// Position says how far the history has been read.
func (h *history) Position() (cursor.Position, error) { return cursor.Position{Cursor: h.cursor}, nil }

// Unfinished lists nothing: a history is read once.
func (h *history) Unfinished(time.Time) ([]time.Time, error) { return nil, nil }

// CountUnfinished counts nothing, likewise.
func (h *history) CountUnfinished() (int, error) { return 0, nil }

// Skip takes note of records that belong to the counters which begin at the end, so that
// they are not counted here.
func (h *history) Skip(r *record.Batch) error {
	h.ledger.Apply(r, func(*ledger.Event) {})
	return nil
}

// Commit counts a batch.
func (h *history) Commit(b *record.Batch) error {
	h.ledger.Apply(b, h.count)
	h.cursor = b.To
	h.ledger.Forget(cursor.Forgettable(cursor.Horizon(b.To, h.lookback)))
	if b.UpToDate {
		h.ledger.Expire(b.Now, h.count)
	}
	return nil
}

// count adds what one version of a record changes.
func (h *history) count(e *ledger.Event) {
	if e.Login == nil {
		return // a connection that is not there any more
	}
	h.counters.Count(e, func(m *collector.Metric, s *collector.Series) { h.grow(s, h.when(m, e.Login)) })
}

// when is the time at which a record makes a metric grow. That may be a moment after the
// end of the last window which shows the record.
func (h *history) when(m *collector.Metric, l *record.Login) time.Time {
	if m.AtEnd && !l.End.IsZero() {
		return l.End
	}
	last := h.period.until.Add(-time.Nanosecond)
	if t := l.Time(); !t.IsZero() && t.Before(last) {
		return t
	}
	return last
}

// grow takes note of how a series has changed since it was last looked at, unless that
// happened before or after the history.
func (h *history) grow(s *collector.Series, at time.Time) {
	values := s.Counts()
	g := h.growths[s]
	if g == nil {
		g = &growths{seen: make([]int64, len(values)), columns: make([][]growth, len(values))}
		h.growths[s] = g
	}
	for i, v := range values {
		if by := v - g.seen[i]; by != 0 && !at.Before(h.period.since) && at.Before(h.period.until) {
			g.columns[i] = insertGrowth(g.columns[i], growth{h.period.stepOf(at), by})
		}
	}
	g.seen = values
}

// insertGrowth keeps one growth for each step, in order. Records come nearly so.
func insertGrowth(column []growth, g growth) []growth {
	i, found := slices.BinarySearchFunc(column, g.step, func(g growth, step int32) int { return cmp.Compare(g.step, step) })
	if found {
		column[i].by += g.by
		return column
	}
	return slices.Insert(column, i, g)
}
