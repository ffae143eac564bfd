package collector

import (
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// Series is one series of a counter or a histogram.
type Series = series

// Labels are all labels of the series, sorted by name.
func (s *series) Labels() []*dto.LabelPair {
	labels := slices.Clone(s.family.scope)
	for i, name := range s.family.Labels {
		labels = append(labels, &dto.LabelPair{Name: (*string)(&name), Value: &s.values[i]})
	}
	return sortLabels(labels)
}

// Counts is all that the series counts: one number, or those of a histogram's classic
// buckets, each by itself, and the sum in milliseconds.
func (s *series) Counts() []int64 {
	if s.histogram == nil {
		return []int64{s.count}
	}
	return append(slices.Clone(s.histogram.classic), s.histogram.sumMillis)
}

// Counters are the counters and histograms of one source in memory: after each event, the
// series that it changed can be seen. What is scraped is in an Accumulator.
type Counters struct {
	families    *families
	aggregators *aggregatorSet
}

// NewCounters returns counters of which none has counted anything.
func NewCounters(o Options, created time.Time) *Counters {
	o.UserWindows = nil // these are gauges
	f := &families{options: &o, start: seriesStart{created: created}}
	return &Counters{families: f, aggregators: f.aggregators(o.Kind)}
}

// Count counts an event, and calls changed with each series that it changed.
func (c *Counters) Count(e *ledger.Event, changed func(*Metric, *Series)) {
	c.aggregators.observe(e)
	for _, f := range c.families.list {
		f.eachChanged(func(s *series) {
			if f.isOfRecords() {
				changed(f.Metric, s)
			}
		})
	}
}

// Series are all series of a metric, sorted by the values of their labels.
func (c *Counters) Series(m *Metric) []*Series {
	for _, f := range c.families.list {
		if f.Metric == m {
			return f.inOrder()
		}
	}
	return nil
}

// CountersOf lists the counters and histograms that sources of these kinds have.
func CountersOf(kinds ...Kind) []*Metric {
	return slices.DeleteFunc(metricsOf(kinds), func(m *Metric) bool { return !m.isOfRecords() })
}

// isOfRecords reports whether a metric counts what records hold, and neither shows a state
// nor how the exporter does.
func (m *Metric) isOfRecords() bool { return m.Type != Gauge && !m.AboutSource && !m.AskedFor }

// Began is the time from which on the counters of a stored accumulator count. It is not ok
// if there are none.
func Began(storage Storage) (began time.Time, ok bool, err error) {
	err = storage.Load(func(table string, _, value []byte) error {
		if table != seriesTable {
			return nil
		}
		r := store.ReadRow(value) // see save: it begins with the time of creation
		if created := time.UnixMilli(r.Int()).UTC(); !ok || created.Before(began) {
			began, ok = created, true
		}
		return nil
	})
	return began, ok, err
}
