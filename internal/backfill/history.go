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

// history is how the counters of one source would have increased over a period of the past,
// had they been scraped at every step. It counts records by their own time. It is an
// accumulator in memory: of each series it keeps the steps in which it increased.
type history struct {
	period   period
	ledger   *ledger.Ledger
	counters *collector.Counters
	lookback time.Duration
	position cursor.Position
	// misplaced is how many records were shown by windows that are not theirs, and are not
	// in the history: they may be in it already, or are the exporter's.
	misplaced int
	series    map[*collector.Series]*steps
}

// period is the time from since until before until, in steps of whole seconds.
type period struct {
	since, until time.Time
	step         time.Duration
	// sparse leaves out most samples of series that do not change.
	sparse bool
}

// first is the time of the first sample. Samples lie on multiples of the step, such as
// whole minutes.
func (p period) first() int64 {
	step := int64(p.step / time.Second)
	return p.since.Unix() / step * step
}

// stepOf is the number of the step in which a time lies.
func (p period) stepOf(t time.Time) int32 {
	return int32((t.Unix() - p.first()) / int64(p.step/time.Second))
}

// length is the number of steps; the last one may be cut short.
func (p period) length() int32 { return p.stepOf(p.until.Add(-time.Nanosecond)) + 1 }

// steps are the steps in which the numbers of a series (see collector.Series) increased.
type steps struct {
	counts    []int64 // of the series, up to now
	increases [][]increase
}

func newSteps(s *collector.Series) *steps {
	n := len(s.Counts())
	return &steps{counts: make([]int64, n), increases: make([][]increase, n)}
}

// increase is by how much a number increased within a step.
type increase struct {
	step int32
	by   int64
}

// newHistory returns a history in which nothing has happened yet.
func newHistory(o collector.Options, p period) *history {
	o.Rules.Unsaved = true
	return &history{period: p, ledger: ledger.New(o.Rules), counters: collector.NewCounters(o, p.since),
		lookback: o.Lookback, series: map[*collector.Series]*steps{}}
}

// Position is how far the history has been read.
func (h *history) Position() (cursor.Position, error) { return h.position, nil }

// Unfinished lists nothing: a history is read once.
func (h *history) Unfinished(time.Time) ([]time.Time, error) { return nil, nil }

// CountUnfinished counts nothing, likewise.
func (h *history) CountUnfinished() (int, error) { return 0, nil }

// Skip remembers records that are counted by the exporter whose counters begin at the end of
// the history, so that they are not counted here.
func (h *history) Skip(b *record.Batch) error {
	h.ledger.Apply(b, func(e *ledger.Event) {
		if e.Login == nil {
			return // a connection that has been open for too long
		}
		if newest := e.Login.Latest(); !newest.IsZero() && newest.Before(b.From.Add(-cursor.MemoryMargin)) {
			h.misplaced++
		}
	})
	return nil
}

// Commit counts a batch.
func (h *history) Commit(b *record.Batch) error {
	h.ledger.Apply(b, h.count)
	h.position.Advance(cursor.Window{From: b.From, To: b.To}, b.Now, b.Newest(), h.lookback)
	h.ledger.Forget(cursor.Forgettable(h.position.Horizon))
	h.ledger.KnownFrom(h.position.KnownFrom(h.lookback))
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
	if e.Disposition == ledger.Forgotten {
		h.misplaced++
	}
	h.counters.Count(e, func(m *collector.Metric, s *collector.Series) { h.observe(s, h.when(m, e.Login)) })
}

// when is the time at which a metric counts a record. A time of the last window that lies
// behind the end of the history is moved to it.
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

// observe notes how a series has changed, unless that happened before or after the history.
func (h *history) observe(s *collector.Series, at time.Time) {
	if h.series[s] == nil {
		h.series[s] = newSteps(s)
	}
	steps, counts := h.series[s], s.Counts()
	for i, n := range counts {
		if by := n - steps.counts[i]; by != 0 && !at.Before(h.period.since) && at.Before(h.period.until) {
			steps.increases[i] = insert(steps.increases[i], increase{h.period.stepOf(at), by})
		}
	}
	steps.counts = counts
}

// insert keeps one increase for each step, in order. Records come nearly so.
func insert(list []increase, add increase) []increase {
	i, found := slices.BinarySearchFunc(list, add.step, func(x increase, step int32) int { return cmp.Compare(x.step, step) })
	if found {
		list[i].by += add.by
		return list
	}
	return slices.Insert(list, i, add)
}
