package collector

import (
	"fmt"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// other is the value of every label of the series that takes what max_series has no
// room for.
const other = "other"

// seriesStart is how a series begins.
type seriesStart struct {
	created   time.Time // since when they count
	heldUntil time.Time // until when they are shown as 0
}

// family holds the series of one metric in one accumulator. It is not safe for concurrent
// use; what it exposes is.
type family struct {
	*Metric
	limits *Limits
	scope  []*dto.LabelPair
	start  *seriesStart

	series  map[string]*series
	made    []*series              // all of them, as they were made
	changed []*series              // to be saved
	held    map[*series]struct{}   // shown as 0
	key     store.Row              // scratch
	ordered []string               // scratch
	began   *timestamppb.Timestamp // see timestamp

	stale    []*series // those that have changed since they were exposed
	exposed  []*part
	inBlocks int // how many of made are exposed
}

type series struct {
	values    []string
	start     seriesStart
	count     int64 // of a counter or gauge
	histogram *histogram
	family    *family
	changed   bool   // since it was saved
	stale     bool   // it has changed since it was exposed
	block     *block // where it is exposed
	at        int    // in the block
	summed    int64  // what of the count is in the sums by code: see state.failureCodes
}

func compareSeries(a, b *series) int { return slices.Compare(a.values, b.values) }

func newFamily(m *Metric, scope []*dto.LabelPair, start *seriesStart, limits *Limits) *family {
	return &family{Metric: m, scope: scope, start: start, limits: limits,
		series: map[string]*series{}, held: map[*series]struct{}{}}
}

// volatile reports whether the series are set with each batch, and not stored.
func (f *family) volatile() bool { return f.Type == Gauge }

// find returns the series of the labels, or nil.
func (f *family) find(labels ...pair) *series { return f.withValues(f.inOwnOrder(labels)) }

// inOwnOrder are the values of the labels, in the order of the family's own labels. They
// are valid until the next call. It panics if the labels are not the family's: a mistake
// in the code that any test shows.
func (f *family) inOwnOrder(labels []pair) []string {
	f.ordered = f.ordered[:0]
	for i, own := range f.Labels {
		if i < len(labels) && labels[i].label == own { // as nearly always
			f.ordered = append(f.ordered, labels[i].value)
			continue
		}
		for _, l := range labels {
			if l.label == own {
				f.ordered = append(f.ordered, l.value)
			}
		}
	}
	if len(f.ordered) != len(f.Labels) || len(labels) != len(f.Labels) {
		panic(fmt.Sprintf("%s has the labels %s, and not %v", f.Name, f.Labels, slices.Clone(labels))) // else all labels would be on the heap
	}
	return f.ordered
}

// withValues returns the series with values in the family's own order, or nil.
func (f *family) withValues(values []string) *series {
	f.key = f.key[:0]
	for _, v := range values {
		f.key.String(v)
	}
	return f.series[string(f.key)]
}

// admits reports whether the labels have a series of their own, and makes it, at 0, if
// there is room.
func (f *family) admits(labels ...pair) bool { return f.admitsWithin(1, labels...) }

// admitsWithin is admits with only a share of the limit as room.
func (f *family) admitsWithin(share float64, labels ...pair) bool { return f.own(share, labels) != nil }

// own is the series of the labels, made if there is room; nil if there is not.
func (f *family) own(share float64, labels []pair) *series {
	values := f.inOwnOrder(labels)
	if s := f.withValues(values); s != nil {
		return s
	}
	if !f.limits.take(f.Name, share) {
		return nil
	}
	return f.make(values)
}

func (f *family) make(values []string) *series {
	s := &series{family: f, values: slices.Clone(values), start: *f.start}
	switch f.Type {
	case Gauge:
		s.start.heldUntil = time.Time{} // a gauge has no increase to be missed
	case Histogram:
		s.histogram = newHistogram(f.Buckets)
	}
	if !s.start.heldUntil.IsZero() {
		f.held[s] = struct{}{}
	}
	f.withValues(s.values)
	f.series[string(f.key)] = s
	f.made = append(f.made, s)
	f.touch(s)
	return s
}

// at is the series of the labels, or the one that takes what there is no room for.
func (f *family) at(labels []pair) *series {
	if s := f.own(1, labels); s != nil {
		return s
	}
	f.limits.limited.WithLabelValues(f.Name).Inc()
	return f.other()
}

func (f *family) other() *series {
	values := f.others()
	if s := f.withValues(values); s != nil {
		return s
	}
	return f.make(values) // always there is room for it
}

// others are the values of the series that takes what there is no room for.
func (f *family) others() []string { return slices.Repeat([]string{other}, len(f.Labels)) }

// endHolds ends, for good, the holds whose time has come. What it changes is shown only
// after it is on disk: a clock that is set back must not make a counter fall.
func (f *family) endHolds(now time.Time) {
	for s := range f.held {
		if !now.Before(s.start.heldUntil) {
			s.start.heldUntil = time.Time{}
			delete(f.held, s)
			f.touch(s)
		}
	}
}

func (f *family) touch(s *series) {
	f.change(s)
	if !s.stale {
		s.stale = true
		f.stale = append(f.stale, s)
	}
}

// change has a series saved with the next commit.
func (f *family) change(s *series) {
	if !s.changed {
		s.changed = true
		f.changed = append(f.changed, s)
	}
}

// eachChanged calls do with each series that is to be saved, for the last time.
func (f *family) eachChanged(do func(*series)) {
	for _, s := range f.changed {
		s.changed = false
		do(s)
	}
	f.changed = f.changed[:0]
}

func (f *family) add(n int64, labels ...pair) {
	s := f.at(labels)
	s.count += n
	f.touch(s)
}

// recount sets all values of a gauge: what count does not add is 0. It is for those of few
// series.
func (f *family) recount(count func(adder)) {
	before := make(map[*series]int64, len(f.series))
	for _, s := range f.series {
		before[s], s.count = s.count, 0
	}
	count(func(n int64, labels ...pair) { f.at(labels).count += n })
	for _, s := range f.series {
		if was, known := before[s]; !known || was != s.count {
			f.touch(s)
		}
	}
}

func (f *family) observe(d time.Duration, labels ...pair) {
	s := f.at(labels)
	s.histogram.observe(f.Buckets, d)
	f.touch(s)
}

// clear drops all series of a volatile family, to be set again.
func (f *family) clear() {
	f.limits.add(f.Name, -f.size())
	clear(f.series)
	clear(f.held)
	f.made, f.changed, f.stale, f.exposed, f.inBlocks = nil, nil, nil, nil, 0
}

// size is the number of series that count against the limit.
func (f *family) size() int {
	if len(f.Labels) > 0 && f.withValues(f.others()) != nil {
		return len(f.series) - 1
	}
	return len(f.series)
}

func sortLabels(pairs []*dto.LabelPair) []*dto.LabelPair {
	slices.SortFunc(pairs, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	return pairs
}

// pairs are the labels of a series.
func (f *family) pairs(s *series) []pair {
	pairs := make([]pair, len(f.Labels))
	for i, l := range f.Labels {
		pairs[i] = l.is(s.values[i])
	}
	return pairs
}

// inOrder are the series, sorted by their values.
func (f *family) inOrder() []*series { return slices.SortedFunc(slices.Values(f.made), compareSeries) }

// heldUntil is when the first hold ends; zero if nothing is held.
func (f *family) heldUntil() (first time.Time) {
	for s := range f.held {
		if first.IsZero() || s.start.heldUntil.Before(first) {
			first = s.start.heldUntil
		}
	}
	return first
}

// seriesTable is the table of the stored series: the key is the family's name and
// the label values, the value what the series has counted.
const seriesTable = "series"

func (f *family) save(changes *store.Changes) {
	var value store.Row
	f.eachChanged(func(s *series) {
		if f.volatile() {
			return
		}
		value = value[:0]
		value.Int(s.start.created.UnixMilli())
		value.Int(s.start.heldUntil.UnixMilli())
		value.Int(s.count)
		if s.histogram != nil {
			s.histogram.save(&value)
		}
		changes.Put(seriesTable, seriesKey(f.Name, f.pairs(s)), value)
	})
}

// seriesKey is where the row of a series stands: under the metric's name, and each label
// with its value, in the order of the labels' names. An empty label is none, so that a
// label can be added without touching a row.
func seriesKey(name string, labels []pair) []byte {
	slices.SortFunc(labels, func(a, b pair) int { return strings.Compare(string(a.label), string(b.label)) })
	var key store.Row
	key.String(name)
	for _, l := range labels {
		if l.value != "" {
			key.String(string(l.label))
			key.String(l.value)
		}
	}
	return key
}

func readSeriesKey(key []byte) (name string, labels []pair, err error) {
	r := store.ReadRow(key)
	name = r.String()
	for !r.End() {
		labels = append(labels, Label(r.String()).is(r.String()))
	}
	return name, labels, r.Err()
}

// load takes a stored series, or adds it to one with the same labels that was loaded
// before. No hold lasts longer than until latest, which is that of a series made now. One
// that is cut short so is to be saved before its value is shown.
func (f *family) load(labels []pair, value []byte, latest time.Time) (*series, error) {
	values := make([]string, len(f.Labels))
	for _, l := range labels {
		values[slices.Index(f.Labels, l.label)] = l.value
	}
	row := series{start: seriesStart{}, histogram: newHistogram(f.Buckets)}
	r := store.ReadRow(value)
	row.start = seriesStart{created: time.UnixMilli(r.Int()), heldUntil: time.UnixMilli(r.Int()).UTC()}
	row.count = r.Int()
	if f.Type == Histogram {
		if err := row.histogram.load(r); err != nil {
			return nil, err
		}
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	s := f.withValues(values)
	if s == nil {
		s = f.restore(values, row.start)
	} else {
		s.start = s.start.earlier(row.start)
	}
	s.count += row.count
	if s.histogram != nil {
		s.histogram.add(row.histogram)
	}
	f.hold(s, latest)
	return s, nil
}

// restore makes a series that is stored.
func (f *family) restore(values []string, b seriesStart) *series {
	s := f.make(values)
	s.changed, f.changed = false, f.changed[:len(f.changed)-1]
	s.start = b
	if len(values) == 0 || !slices.Equal(values, f.others()) {
		f.limits.add(f.Name, 1)
	}
	return s
}

// hold shows a stored series as 0 for as long as it is held.
func (f *family) hold(s *series, latest time.Time) {
	delete(f.held, s)
	if s.start.heldUntil.After(latest) {
		s.start.heldUntil = latest
		f.change(s)
	}
	if !s.start.heldUntil.IsZero() {
		f.held[s] = struct{}{}
	}
}

// earlier is how the sum of two series begins: with the older one, and shown as soon as
// either is.
func (b seriesStart) earlier(o seriesStart) seriesStart {
	if o.created.Before(b.created) {
		b.created = o.created
	}
	if o.heldUntil.Before(b.heldUntil) {
		b.heldUntil = o.heldUntil
	}
	return b
}
