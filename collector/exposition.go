package collector

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// Exposition is what /metrics shows: the metrics of the process, and those of every
// accumulator as of its last commit. Gathering takes no lock that a poll holds.
type Exposition struct {
	// CreatedSamples adds _created lines to OpenMetrics.
	CreatedSamples bool
	// Failed is called with errors of metrics that could not be gathered or written. May be nil.
	Failed func(error)

	process  prometheus.Gatherer
	contents atomic.Pointer[contents]
	held     chan struct{} // has something in it when series may have begun to be held

	turn      chan struct{} // taken while an answer is made; it guards what follows
	gathered  time.Time     // when the metrics of the process were
	processed []*dto.MetricFamily
	version   uint64 // another with each part that is written
	scratch   []byte
}

// contents are what Publish was called with.
type contents struct {
	accumulators []*Accumulator
	constants    []*dto.LabelPair
}

// NewExposition shows the metrics of process, and of the accumulators that Publish is given.
func NewExposition(process prometheus.Gatherer) *Exposition {
	e := &Exposition{process: process, held: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
	e.contents.Store(&contents{})
	return e
}

// Publish replaces the accumulators that are shown, and the labels that every metric of the
// process has. Those of the accumulators come from their options.
func (e *Exposition) Publish(accumulators []*Accumulator, constantLabels map[string]string) {
	s := &contents{accumulators: slices.Clone(accumulators)}
	slices.SortFunc(s.accumulators, (*Accumulator).compare)
	for name, value := range constantLabels {
		s.constants = append(s.constants, &dto.LabelPair{Name: proto.String(name), Value: proto.String(value)})
	}
	e.contents.Store(s)
	e.Held()
}

// Holds are looked at as often as this at most, and after a failure that much later.
const (
	holdInterval = time.Second
	holdRetry    = 30 * time.Second
)

// Held is to be called after series have begun to be held: see Options.
func (e *Exposition) Held() {
	select {
	case e.held <- struct{}{}:
	default:
	}
}

// EndHolds lets the holds of all accumulators end in time, until ctx ends. While nothing is
// held it sleeps: an idle process is woken by its polls alone.
func (e *Exposition) EndHolds(ctx context.Context, logger log.Logger) {
	for wait := holdInterval; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		select {
		case <-ctx.Done():
			return
		case <-e.holdEnds():
		case <-e.held:
		}
		wait = holdInterval
		for _, b := range e.contents.Load().accumulators {
			if err := b.EndHolds(); err != nil {
				level.Warn(logger).Log("msg", "new series stay at 0 until the store can be written, will retry",
					"project", b.options.Project, "source", b.options.Source, "err", err)
				wait = holdRetry
			}
		}
	}
}

// holdEnds is when a hold may end next, of those that there are: nil if there is none. It is
// within a minute, since clocks may be set, and machines suspended.
func (e *Exposition) holdEnds() <-chan time.Time {
	none := time.Duration(math.MaxInt64)
	wait := none
	for _, a := range e.contents.Load().accumulators {
		if until := a.heldUntil(); !until.IsZero() {
			wait = min(wait, time.Minute, until.Sub(a.options.Now()))
		}
	}
	if wait == none {
		return nil
	}
	return time.After(wait)
}

// Gather implements prometheus.Gatherer.
func (e *Exposition) Gather() ([]*dto.MetricFamily, error) {
	families, err := e.process.Gather()
	s := e.contents.Load()
	for _, f := range families {
		addLabels(f, s.constants)
	}
	// Each accumulator is looked at once: all that a scrape shows of it is of one commit.
	snapshots := make([]map[*Metric][]*part, len(s.accumulators))
	for i, b := range s.accumulators {
		snapshots[i] = b.published()
	}
	for _, m := range Metrics {
		if f := gather(m, snapshots); len(f.Metric) > 0 {
			families = append(families, f)
		}
	}
	slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return families, err
}

func addLabels(f *dto.MetricFamily, labels []*dto.LabelPair) {
	if len(labels) == 0 {
		return
	}
	for _, m := range f.Metric {
		m.Label = sortLabels(slices.Concat(m.Label, labels))
	}
}

func gather(m *Metric, snapshots []map[*Metric][]*part) *dto.MetricFamily {
	f := m.family()
	for _, snapshot := range snapshots {
		for _, p := range snapshot[m] {
			for i := range p.values {
				f.Metric = append(f.Metric, p.metric(m, i))
			}
		}
	}
	return f
}

// family is the metric as the library knows it, without series.
func (m *Metric) family() *dto.MetricFamily {
	kind := dto.MetricType(dto.MetricType_value[strings.ToUpper(string(m.Type))])
	return &dto.MetricFamily{Name: &m.Name, Help: &m.Help, Type: &kind}
}
