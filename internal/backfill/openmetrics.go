package backfill

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/workspace-exporter/workspace_exporter/collector"
)

// write writes the named metrics of histories as OpenMetrics, from which promtool makes
// blocks: family by family, series by series, each in the order of time. A series begins
// at 0, has samples at the steps and one at the end, and is 0 again a second later. So
// Prometheus takes all that the exporter's counters show, which begin there, as an increase.
func write(out io.Writer, histories []*history, metrics []string) error {
	w := &writer{Writer: bufio.NewWriterSize(out, 1<<20)}
	for _, m := range collector.Metrics {
		if !slices.Contains(metrics, m.Name) {
			continue
		}
		headed := false
		for _, h := range histories {
			for _, s := range h.counters.Series(m) {
				if !headed {
					w.header(m)
					headed = true
				}
				w.series(h, m, s)
			}
		}
	}
	w.text("# EOF\n")
	return w.Flush() // it remembers the first error
}

type writer struct {
	*bufio.Writer
	line  []byte
	steps []int64 // scratch
}

func (w *writer) text(parts ...string) {
	for _, p := range parts {
		_, _ = w.WriteString(p)
	}
}

var escaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

func (w *writer) header(m *collector.Metric) {
	name := strings.TrimSuffix(m.Name, "_total")
	w.text("# HELP ", name, " ", escaper.Replace(m.Help), "\n# TYPE ", name, " ", string(m.Type), "\n")
}

func (w *writer) series(h *history, m *collector.Metric, s *collector.Series) {
	steps := h.series[s]
	if steps == nil { // it exists, and has counted nothing
		steps = newSteps(s)
	}
	n := int(h.period.length())
	w.steps = slices.Grow(w.steps[:0], n)[:n]
	clear(w.steps)
	if m.Type != collector.Histogram {
		w.add(steps.increases[0])
		w.samples(h.period, sampleName(m.Name, s.Labels(), ""), wholes)
		return
	}
	for i, bound := range m.Buckets { // cumulative: each adds to the one before it
		w.add(steps.increases[i])
		w.samples(h.period, sampleName(m.Name+"_bucket", s.Labels(), openMetricsFloat(bound)), wholes)
	}
	w.add(steps.increases[len(m.Buckets)])
	w.samples(h.period, sampleName(m.Name+"_bucket", s.Labels(), "+Inf"), wholes)
	w.samples(h.period, sampleName(m.Name+"_count", s.Labels(), ""), wholes)
	clear(w.steps)
	w.add(steps.increases[len(m.Buckets)+1])
	w.samples(h.period, sampleName(m.Name+"_sum", s.Labels(), ""), thousandths)
}

func (w *writer) add(increases []increase) {
	for _, x := range increases {
		w.steps[x.step] += x.by
	}
}

func wholes(b []byte, v int64) []byte { return strconv.AppendInt(b, v, 10) }

func thousandths(b []byte, v int64) []byte {
	return strconv.AppendFloat(b, float64(v)/1000, 'f', -1, 64)
}

// sparseSteps is the number of steps from one sample to the next while a series does not
// change, if samples are sparse. Within as many steps of a change, all samples are written:
// increase() needs them close together.
const sparseSteps = 30

// samples writes one series. A sample counts what happened before its time.
func (w *writer) samples(p period, name string, format func([]byte, int64) []byte) {
	sample := func(value, at int64) {
		w.line = append(append(w.line[:0], name...), ' ')
		w.line = append(format(w.line, value), ' ')
		w.line = append(strconv.AppendInt(w.line, at, 10), '\n')
		_, _ = w.Write(w.line)
	}
	first, step := p.first(), int64(p.step/time.Second)
	value, last, next := int64(0), -sparseSteps-1, 0 // last and next are steps in which the series changes
	for k := range w.steps {
		for next = max(next, k); next < len(w.steps) && w.steps[next] == 0; {
			next++
		}
		at := first + int64(k)*step
		near := k-last <= sparseSteps+1 || next < len(w.steps) && next-k <= sparseSteps
		if k == 0 || !p.sparse || near || at%(sparseSteps*step) == 0 {
			sample(value, at)
		}
		if w.steps[k] != 0 {
			value += w.steps[k]
			last = k
		}
	}
	sample(value, p.until.Unix())
	sample(0, p.until.Unix()+1)
}

// sampleName is a name with labels, of which le is the last. An empty label is none, as
// for Prometheus.
func sampleName(name string, labels []*dto.LabelPair, le string) string {
	var pairs []string
	for _, l := range append(slices.Clip(labels), &dto.LabelPair{Name: proto.String("le"), Value: &le}) {
		if l.GetValue() != "" {
			pairs = append(pairs, l.GetName()+`="`+escaper.Replace(l.GetValue())+`"`)
		}
	}
	return name + "{" + strings.Join(pairs, ",") + "}"
}

// openMetricsFloat writes a bound as OpenMetrics has it: 1 is 1.0.
func openMetricsFloat(v float64) string {
	s := strconv.FormatFloat(v, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}
