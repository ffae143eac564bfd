package collector

import (
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// maxBlock is how many series a block has at most. It is a matter of how much is written again
// for a series that has changed, and of how well a block is compressed by itself.
const maxBlock = 512

// block is a stretch of the series of a family that are exposed, in the order of their values.
// It is replaced when there is a new series.
type block struct {
	series  []*series
	created []*timestamppb.Timestamp
	labels  []string // as labelText writes them
	wire    []string // as labelWire does; nil until they are asked for; guarded by the turn of the exposition

	// Of the family alone: where its part is among those that are exposed, and whether that part
	// is a new one, of the commit under way.
	index int
	fresh bool
}

// part is what /metrics shows of a block, until one of its series changes: it is copied, written
// and compressed by itself, once in each format that is asked for, and not at all in others.
type part struct {
	*block
	values  []value
	written [formats]written // guarded by the turn of the exposition
}

// value is what is shown of a series: the number of a counter or a gauge, or a histogram.
type value struct {
	number    float64
	histogram *dto.Histogram
}

// metric is a series as the library knows it.
func (p *part) metric(m *Metric, i int) *dto.Metric {
	shown, v := &dto.Metric{Label: p.series[i].Labels()}, p.values[i]
	switch m.Type {
	case Counter:
		shown.Counter = &dto.Counter{Value: &v.number, CreatedTimestamp: p.created[i]}
	case Gauge:
		shown.Gauge = &dto.Gauge{Value: &v.number}
	case Histogram:
		shown.Histogram = v.histogram
	}
	return shown
}

// expose returns what /metrics shows of the family until the next commit: 0 for a
// series that is held. What has not changed is taken as it was exposed last.
func (f *family) expose() []*part {
	if len(f.stale) == 0 {
		return f.exposed
	}
	f.exposed = slices.Clone(f.exposed)
	f.insertAll(f.made[f.inBlocks:])
	f.inBlocks = len(f.made)
	for _, s := range f.stale {
		f.update(s)
	}
	for _, p := range f.exposed {
		p.fresh = false
	}
	f.stale = f.stale[:0]
	return f.exposed
}

// insertAll puts new series into the blocks where they belong.
func (f *family) insertAll(list []*series) {
	list = slices.SortedFunc(slices.Values(list), compareSeries)
	for len(list) > 0 {
		i, _ := slices.BinarySearchFunc(f.exposed, list[0], func(p *part, s *series) int { return compareSeries(p.series[0], s) })
		i = max(i-1, 0)
		n := len(list)
		if i+1 < len(f.exposed) {
			n, _ = slices.BinarySearchFunc(list, f.exposed[i+1].series[0], compareSeries)
		}
		f.insert(i, list[:n])
		list = list[n:]
	}
}

// insert puts new series into a block, and divides it if it becomes too large.
func (f *family) insert(i int, fresh []*series) {
	end := min(i+1, len(f.exposed)) // there is none yet for the first series
	old := &part{block: &block{}}
	if i < end {
		old = f.exposed[i]
	}
	labels, created := make([]string, len(fresh)), make([]*timestamppb.Timestamp, len(fresh))
	for i, s := range fresh {
		labels[i], created[i] = labelText(s.Labels()), f.timestamp(s.start.created)
	}
	at := places(old.series, fresh, compareSeries)
	all := block{
		series:  insertAt(slices.Clone(old.series), at, fresh),
		labels:  insertAt(slices.Clone(old.labels), at, labels),
		created: insertAt(slices.Clone(old.created), at, created),
	}
	values := insertAt(slices.Clone(old.values), at, make([]value, len(fresh)))
	size := len(values)
	if size > maxBlock {
		halves := size / (maxBlock / 2) // new blocks are half full: there is room for more series
		size = (size + halves - 1) / halves
	}
	var parts []*part
	for from := 0; from < len(values); from += size {
		to := min(from+size, len(values))
		b := &block{series: all.series[from:to], labels: sideBySide(all.labels[from:to]), created: all.created[from:to], fresh: true}
		for at, s := range b.series {
			s.block, s.at = b, at
		}
		parts = append(parts, &part{block: b, values: values[from:to]})
	}
	f.exposed = slices.Replace(f.exposed, i, end, parts...)
	for ; i < len(f.exposed); i++ {
		f.exposed[i].index = i
	}
}

// update shows what has changed in a series.
func (f *family) update(s *series) {
	b := s.block
	if !b.fresh { // what is shown does not change
		b.fresh = true
		f.exposed[b.index] = &part{block: b, values: slices.Clone(f.exposed[b.index].values)}
	}
	f.exposed[b.index].values[s.at] = f.shown(s)
	s.stale = false
}

// shown is what is exposed of a series.
func (f *family) shown(s *series) value {
	count, h := s.count, s.histogram
	if _, held := f.held[s]; held {
		count, h = 0, newHistogram(f.Buckets)
	}
	if f.Type == Histogram {
		return value{histogram: h.write(f.Buckets, f.timestamp(s.start.created))}
	}
	return value{number: float64(count)}
}

// timestamp is when a series began. Those that follow each other and began together share it.
func (f *family) timestamp(t time.Time) *timestamppb.Timestamp {
	if f.began == nil || !f.began.AsTime().Equal(t) {
		f.began = timestamppb.New(t)
	}
	return f.began
}

// inProtobuf are the labels in protobuf.
func (b *block) inProtobuf(check func(error)) []string {
	if b.wire == nil {
		wire := make([]string, len(b.series))
		for i, s := range b.series {
			var err error
			wire[i], err = labelWire(s.Labels())
			check(err)
		}
		b.wire = sideBySide(wire)
	}
	return b.wire
}
