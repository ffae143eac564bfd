package collector

import (
	"bufio"
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// History is how the counters of one source would have grown over a stretch of the
// past, had they been scraped at every step. It counts records by their own time. It
// is an accumulator in memory: of each series it keeps the steps in which it grew.
type History struct {
	period Period
	state  *state
	lookback,
	pendingTimeout time.Duration
	cursor  time.Time
	growths map[*series]*growths
}

// Period is a stretch of time from Since until before Until, in steps of whole seconds.
type Period struct {
	Since, Until time.Time
	Step         time.Duration
	// Sparse is to have few samples where nothing happens, instead of one at each step.
	Sparse bool
}

// first is the time of the first sample: steps are multiples of themselves, so that
// samples lie on whole minutes and hours.
func (p Period) first() int64 {
	step := int64(p.Step / time.Second)
	return p.Since.Unix() / step * step
}

// stepOf is the number of the step in which a time lies.
func (p Period) stepOf(t time.Time) int32 {
	return int32((t.Unix() - p.first()) / int64(p.Step/time.Second))
}

// steps is how many steps there are; the last one may be cut short.
func (p Period) steps() int32 { return p.stepOf(p.Until.Add(-time.Nanosecond)) + 1 }

// growths are the values of a series (see counted), step by step.
type growths struct {
	seen    []int64 // what the series held when it was last looked at
	columns [][]growth
}

// growth is by how much a value grew within a step.
type growth struct {
	step int32
	by   int64
}

// NewHistory returns a history in which nothing has happened yet.
func NewHistory(o Options, p Period) *History {
	o.UserWindows = nil // there are no people in a history
	t := &families{options: &o, start: seriesStart{created: p.Since}}
	h := &History{period: p, lookback: o.Lookback, pendingTimeout: o.Rules.PendingTimeout,
		state: &state{families: t, ledger: ledger.New(o.Rules)}, growths: map[*series]*growths{}}
	h.state.aggregators = aggregators[o.Kind](t, o)
	return h
}

// Position says how far the history has been read.
func (h *History) Position() (record.Position, error) { return record.Position{Cursor: h.cursor}, nil }

// Unfinished lists nothing: a history is read once.
func (h *History) Unfinished(time.Time) ([]time.Time, error) { return nil, nil }

// CountUnfinished counts nothing, likewise.
func (h *History) CountUnfinished() (int, error) { return 0, nil }

// Skip takes note of records that belong to the counters which begin at the end, so that
// they are not counted here.
func (h *History) Skip(r *record.Batch) error {
	h.state.ledger.Apply(r, func(*ledger.Event) {})
	return nil
}

// Commit counts a batch.
func (h *History) Commit(r *record.Batch) error {
	h.state.ledger.Apply(r, h.count)
	h.cursor = r.To
	h.state.ledger.Forget(r.To.Add(-h.lookback - 2*margin))
	if r.UpToDate {
		h.state.ledger.Expire(r.Now, h.count)
	}
	return nil
}

// count adds what one version of a record changes.
func (h *History) count(e *ledger.Event) {
	if e.Login == nil {
		return // a connection that is not there any more
	}
	for _, a := range h.state.aggregators {
		a.observe(e)
	}
	for _, f := range h.state.families.list {
		if isInHistories(f.Metric) {
			for s := range f.changed {
				h.grow(s, h.when(f.Metric, e.Login))
			}
		}
		clear(f.changed)
	}
}

// isInHistories reports whether a metric tells of what happened, and not of what is.
func isInHistories(m *Metric) bool { return m.Type != Gauge && !m.AboutSource }

// when is the time at which a record makes a metric grow. A session has lasted when it
// ends; all else is at the record's own time. That may be a moment after the end of the
// last window which shows the record.
func (h *History) when(m *Metric, l *record.Login) time.Time {
	last := h.period.Until.Add(-time.Nanosecond)
	if m == sessionDuration && !l.End.IsZero() {
		return l.End
	}
	if t := l.Time(); !t.IsZero() && t.Before(last) {
		return t
	}
	return last
}

// grow takes note of how a series has changed since it was last looked at, unless that
// happened before or after the history.
func (h *History) grow(s *series, at time.Time) {
	values := s.counted()
	g := h.growths[s]
	if g == nil {
		g = &growths{seen: make([]int64, len(values)), columns: make([][]growth, len(values))}
		h.growths[s] = g
	}
	for i, v := range values {
		if by := v - g.seen[i]; by != 0 && !at.Before(h.period.Since) && at.Before(h.period.Until) {
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

// counted is all that a series counts: one number, or those of a histogram's classic
// buckets, each by itself, and the sum in milliseconds.
func (s *series) counted() []int64 {
	if s.histogram == nil {
		return []int64{s.count}
	}
	return append(slices.Clone(s.histogram.classic), s.histogram.sumMillis)
}

// HistoryMetrics names the metrics that histories have.
func HistoryMetrics() []string {
	var names []string
	for _, kind := range []Kind{Logins, DesktopLogins} {
		t := &families{options: &Options{}}
		aggregators[kind](t, Options{})
		for _, f := range t.list {
			if isInHistories(f.Metric) && !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// WriteHistories writes histories as OpenMetrics, for promtool to make blocks of: by
// family, series by series, each in the order of time. Every series begins at 0, has
// samples at the steps and one at the end, and is 0 again a second later: so whatever
// the counters that begin there have reached when they are first scraped, Prometheus
// takes for their increase since, no more and no less. Only the metrics that are named
// are written.
func WriteHistories(out io.Writer, histories []*History, metrics []string) error {
	w := &historyWriter{Writer: bufio.NewWriterSize(out, 1<<20)}
	for _, m := range Metrics {
		if !slices.Contains(metrics, m.Name) {
			continue
		}
		headed := false
		for _, h := range histories {
			for _, f := range h.state.families.list {
				if f.Metric != m || len(f.series) == 0 {
					continue
				}
				if !headed {
					w.header(m)
					headed = true
				}
				for _, s := range f.inOrder() {
					w.series(h, f, s)
				}
			}
		}
	}
	w.text("# EOF\n")
	return w.Flush() // it remembers the first error
}

type historyWriter struct {
	*bufio.Writer
	line  []byte
	steps []int64 // scratch
}

func (w *historyWriter) text(parts ...string) {
	for _, p := range parts {
		_, _ = w.WriteString(p)
	}
}

var escaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

func (w *historyWriter) header(m *Metric) {
	name := strings.TrimSuffix(m.Name, "_total")
	w.text("# HELP ", name, " ", escaper.Replace(m.Help), "\n# TYPE ", name, " ", string(m.Type), "\n")
}

func (w *historyWriter) series(h *History, f *family, s *series) {
	g := h.growths[s]
	if g == nil { // made, and never counted in
		g = &growths{columns: make([][]growth, len(s.counted()))}
	}
	steps := int(h.period.steps())
	w.steps = slices.Grow(w.steps[:0], steps)[:steps]
	clear(w.steps)
	if s.histogram == nil {
		w.add(g.columns[0])
		w.samples(h.period, sampleName(f.Name, s.labels, ""), wholes)
		return
	}
	for i, bound := range f.Buckets { // cumulative, so each begins as the one before it
		w.add(g.columns[i])
		w.samples(h.period, sampleName(f.Name+"_bucket", s.labels, openMetricsFloat(bound)), wholes)
	}
	w.add(g.columns[len(f.Buckets)])
	w.samples(h.period, sampleName(f.Name+"_bucket", s.labels, "+Inf"), wholes)
	w.samples(h.period, sampleName(f.Name+"_count", s.labels, ""), wholes)
	clear(w.steps)
	w.add(g.columns[len(f.Buckets)+1])
	w.samples(h.period, sampleName(f.Name+"_sum", s.labels, ""), thousandths)
}

func (w *historyWriter) add(column []growth) {
	for _, g := range column {
		w.steps[g.step] += g.by
	}
}

func wholes(b []byte, v int64) []byte { return strconv.AppendInt(b, v, 10) }

func thousandths(b []byte, v int64) []byte {
	return strconv.AppendFloat(b, float64(v)/1000, 'f', -1, 64)
}

// resting is how many steps a series that does not grow goes without a sample, and how
// close to its growing it has all of them. So whatever stretch of time a query looks at,
// the samples around a growth are close together, as increase() needs them to be.
const resting = 30

// samples writes one series. A sample tells what happened before its time.
func (w *historyWriter) samples(p Period, name string, format func([]byte, int64) []byte) {
	sample := func(value, at int64) {
		w.line = append(append(w.line[:0], name...), ' ')
		w.line = append(format(w.line, value), ' ')
		w.line = append(strconv.AppendInt(w.line, at, 10), '\n')
		_, _ = w.Write(w.line)
	}
	first, step := p.first(), int64(p.Step/time.Second)
	value, last, next := int64(0), -resting-1, 0 // last and next are the steps in which it grew and will
	for k := range w.steps {
		for next = max(next, k); next < len(w.steps) && w.steps[next] == 0; {
			next++
		}
		at := first + int64(k)*step
		grows := k-last <= resting+1 || next < len(w.steps) && next-k <= resting
		if k == 0 || !p.Sparse || grows || at%(resting*step) == 0 {
			sample(value, at)
		}
		if w.steps[k] != 0 {
			value += w.steps[k]
			last = k
		}
	}
	sample(value, p.Until.Unix())
	sample(0, p.Until.Unix()+1)
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

// Began is the time from which on the counters of a stored accumulator count. It is not ok if
// there are none.
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
