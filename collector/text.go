package collector

import (
	"bytes"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// textWriter writes the series of our own metrics in the text formats, byte for byte as the
// library does: after each commit, many are rewritten. It knows no more than what our
// metrics have: neither exemplars nor timestamps, and names that need no quotes.
type textWriter struct {
	*Metric
	openMetrics, createdLines bool
	text                      []byte

	name      string                 // of the line
	labels    string                 // of the series
	bound     []byte                 // scratch
	created   *timestamppb.Timestamp // that was written last
	timestamp []byte                 // as it was written
}

// series writes the samples of a series. Its labels are as labelText writes them.
func (w *textWriter) series(labels string, created *timestamppb.Timestamp, v value) {
	w.labels = labels
	if w.Type == Histogram {
		w.histogram(v.histogram)
	} else {
		w.line("", "")
		w.float(v.number)
	}
	if w.openMetrics && w.createdLines && w.Type != Gauge && created != nil {
		w.creation(created)
	}
}

func (w *textWriter) histogram(h *dto.Histogram) {
	for _, b := range h.Bucket {
		w.bound = w.appendFloat(w.bound[:0], b.GetUpperBound())
		w.line("_bucket", string(w.bound))
		w.count(b.GetCumulativeCount())
	}
	w.line("_bucket", "+Inf")
	w.count(h.GetSampleCount())
	w.line("_sum", "")
	w.float(h.GetSampleSum())
	w.line("_count", "")
	w.count(h.GetSampleCount())
}

// creation writes when a series began. Most began together.
func (w *textWriter) creation(created *timestamppb.Timestamp) {
	if w.created != created {
		w.created = created
		w.timestamp = append(w.appendFloat(w.timestamp[:0], float64(created.AsTime().UnixNano())/1e9), '\n')
	}
	if w.Type == Counter {
		w.name = strings.TrimSuffix(w.Name, "_total")
	}
	w.line("_created", "")
	w.text = append(w.text, w.timestamp...)
	w.name = w.Name
}

// line begins a line: all but its value. A bound is that of a bucket.
func (w *textWriter) line(suffix, bound string) {
	w.text = append(append(w.text, w.name...), suffix...)
	if w.labels != "" || bound != "" {
		w.text = append(append(w.text, '{'), w.labels...)
		if bound != "" {
			if w.labels != "" {
				w.text = append(w.text, ',')
			}
			w.text = append(append(append(w.text, `le="`...), bound...), '"')
		}
		w.text = append(w.text, '}')
	}
	w.text = append(w.text, ' ')
}

func (w *textWriter) float(v float64) { w.text = append(w.appendFloat(w.text, v), '\n') }

// count ends a line with a number of observations, which has no point in OpenMetrics.
func (w *textWriter) count(n uint64) {
	if w.openMetrics {
		w.text = append(strconv.AppendUint(w.text, n, 10), '\n')
		return
	}
	w.float(float64(n))
}

func (w *textWriter) appendFloat(b []byte, v float64) []byte {
	n := len(b)
	whole := int64(v)
	isWhole := float64(whole) == v && -1e6 < v && v < 1e6
	if isWhole {
		b = strconv.AppendInt(b, whole, 10) // the same, and sooner
	} else {
		b = strconv.AppendFloat(b, v, 'g', -1, 64)
	}
	if w.openMetrics && (isWhole || !bytes.ContainsAny(b[n:], "e.IN")) {
		b = append(b, ".0"...)
	}
	return b
}
