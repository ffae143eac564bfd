package collector

import (
	"errors"
	"iter"
	"maps"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// nativeSchema gives eight native buckets for each power of two: 9 % a bucket.
const nativeSchema = 3

// maxNativeIndex is beyond the bucket of every duration.
const maxNativeIndex = 1 << 14

// histogram counts durations in classic and in native buckets. Its sum is in whole
// milliseconds, so that it does not depend on the order of observations.
type histogram struct {
	count, sumMillis int64
	classic          []int64       // observations per bucket, not cumulative; the last is above all bounds
	native           map[int]int64 // by native index
	zero             int64         // observations of 0
}

func newHistogram(bounds []float64) *histogram {
	return &histogram{classic: make([]int64, len(bounds)+1), native: map[int]int64{}}
}

func (h *histogram) observe(bounds []float64, d time.Duration) {
	v := d.Seconds()
	h.count++
	h.sumMillis += d.Milliseconds()
	h.classic[sort.SearchFloat64s(bounds, v)]++
	if v <= 0 {
		h.zero++
	} else {
		h.native[nativeIndex(v)]++
	}
}

// nativeIndex is the i for which 2^((i-1)/8) < v <= 2^(i/8).
func nativeIndex(v float64) int {
	frac, exp := math.Frexp(v) // v is frac times 2^exp, and frac at least 0.5
	return sort.SearchFloat64s(nativeBounds[:], frac) + (exp-1)*len(nativeBounds)
}

// nativeBounds are those of the buckets from 0.5 to 1.
var nativeBounds = func() (bounds [1 << nativeSchema]float64) {
	for i := range bounds {
		bounds[i] = math.Exp2(float64(i)/float64(len(bounds)) - 1)
	}
	return bounds
}()

func (h *histogram) write(bounds []float64, created *timestamppb.Timestamp) *dto.Histogram {
	// The library encodes the native buckets' spans and deltas.
	m, err := prometheus.NewConstNativeHistogram(nativeDesc, uint64(h.count), float64(h.sumMillis)/1000,
		h.native, nil, uint64(h.zero), nativeSchema, prometheus.DefNativeHistogramZeroThreshold, created.AsTime())
	if err != nil {
		panic(err) // only if the counts do not add up
	}
	var out dto.Metric
	if err := m.Write(&out); err != nil {
		panic(err)
	}
	var cumulative int64
	for i, bound := range bounds {
		cumulative += h.classic[i]
		out.Histogram.Bucket = append(out.Histogram.Bucket, &dto.Bucket{
			UpperBound: proto.Float64(bound), CumulativeCount: proto.Uint64(uint64(cumulative)),
		})
	}
	return out.Histogram
}

var nativeDesc = prometheus.NewDesc("native", "Not exposed: a vessel for buckets.", nil, nil)

// add adds the observations of another histogram with the same buckets.
func (h *histogram) add(o *histogram) {
	h.count += o.count
	h.sumMillis += o.sumMillis
	h.zero += o.zero
	for i, n := range o.classic {
		h.classic[i] += n
	}
	for i, n := range o.native {
		h.native[i] += n
	}
}

func (h *histogram) save(r *store.Row) {
	r.Int(h.count)
	r.Int(h.sumMillis)
	r.Int(h.zero)
	r.Uint(uint64(len(h.classic)))
	for _, n := range h.classic {
		r.Int(n)
	}
	r.Uint(uint64(len(h.native)))
	for i, n := range h.native {
		r.Int(int64(i))
		r.Int(n)
	}
}

var errHistogram = errors.New("a histogram whose buckets do not add up")

// load reads what save wrote, with the same bounds.
func (h *histogram) load(r *store.Reader) error {
	h.count, h.sumMillis, h.zero = r.Int(), r.Int(), r.Int()
	if r.Uint() != uint64(len(h.classic)) {
		return errHistogram
	}
	for i := range h.classic {
		h.classic[i] = r.Int()
	}
	for range min(r.Uint(), 1<<16) {
		i := r.Int()
		if i < -maxNativeIndex || i > maxNativeIndex {
			return errHistogram
		}
		h.native[int(i)] = r.Int()
	}
	// Every observation is in a native bucket; classic ones may have had other bounds.
	_, classicFit := subtract(h.count, slices.Values(h.classic))
	rest, nativeFit := subtract(h.count-h.zero, maps.Values(h.native))
	if h.count < 0 || h.zero < 0 || !classicFit || !nativeFit || rest != 0 {
		return errHistogram
	}
	return nil
}

// subtract takes counts from a total. It fails if one is negative, or more than is left.
func subtract(total int64, counts iter.Seq[int64]) (rest int64, ok bool) {
	for n := range counts {
		if n < 0 || n > total {
			return total, false
		}
		total -= n
	}
	return total, true
}
