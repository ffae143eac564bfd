package collector

import (
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// maxBlock is how many series a block has at most. It is a matter of how much is written again
// for a series that has changed, and of how well a block is compressed by itself.
const maxBlock = 512

// block is a stretch of the series of a family that are exposed, in the order of their values:
// what changes is copied, written and compressed with its block, and nothing else is.
type block struct {
	series []*series
	part   *part
}

// expose returns what /metrics shows of the family until the next commit: 0 for a
// series that is held. What has not changed is taken as it was exposed last.
func (f *family) expose() []*part {
	if len(f.stale) == 0 {
		return f.exposed
	}
	f.byBlock(f.made[f.inBlocks:], f.insert)
	f.inBlocks = len(f.made)
	f.byBlock(f.stale, f.update)
	f.stale = f.stale[:0]
	f.exposed = make([]*part, len(f.blocks))
	for i, b := range f.blocks {
		f.exposed[i] = b.part
	}
	return f.exposed
}

// byBlock calls do with the series that belong to each block, in order.
func (f *family) byBlock(list []*series, do func(block int, list []*series)) {
	list = slices.SortedFunc(slices.Values(list), compareSeries)
	for len(list) > 0 {
		i, first := slices.BinarySearchFunc(f.blocks, list[0], func(b block, s *series) int { return compareSeries(b.series[0], s) })
		if !first {
			i = max(i-1, 0)
		}
		n := len(list)
		if i+1 < len(f.blocks) {
			n, _ = slices.BinarySearchFunc(list, f.blocks[i+1].series[0], compareSeries)
		}
		do(i, list[:n])
		list = list[n:]
	}
}

// insert puts new series into a block, and divides it if it becomes too large.
func (f *family) insert(i int, fresh []*series) {
	end := min(i+1, len(f.blocks)) // there is none yet for the first series
	var all []*series
	var metrics []*dto.Metric
	var labels []string
	for _, b := range f.blocks[i:end] {
		all, metrics, labels = b.series, slices.Clone(b.part.metrics), slices.Clone(b.part.labels.text)
	}
	at := places(all, fresh, compareSeries)
	all = insertAt(all, at, fresh)
	metrics = insertAt(metrics, at, make([]*dto.Metric, len(fresh)))
	labels = insertAt(labels, at, texts(fresh))
	size := len(all)
	if size > maxBlock {
		halves := size / (maxBlock / 2)
		size = (size + halves - 1) / halves
	}
	var blocks []block
	for from := 0; from < len(all); from += size {
		to := min(from+size, len(all))
		blocks = append(blocks, block{slices.Clone(all[from:to]), &part{metrics: metrics[from:to], labels: &labelBytes{text: sideBySide(labels[from:to])}}})
	}
	f.blocks = slices.Replace(f.blocks, i, end, blocks...)
}

func texts(list []*series) []string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = labelText(s.labels)
	}
	return texts
}

// update shows the series of a block that have changed.
func (f *family) update(i int, changed []*series) {
	b := &f.blocks[i]
	b.part = &part{metrics: slices.Clone(b.part.metrics), labels: b.part.labels}
	for _, s := range changed {
		place, _ := slices.BinarySearchFunc(b.series, s, compareSeries)
		b.part.metrics[place] = f.shown(s)
		s.stale = false
	}
}
