package collector

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// Exposition is what /metrics shows: the metrics of the process, and those of every
// book as of its last commit. Gathering takes no lock that a poll holds.
type Exposition struct {
	process prometheus.Gatherer
	books   atomic.Pointer[[]*Book]
	now     func() time.Time
}

// NewExposition shows the metrics of process, and of the books that Show is given.
// A nil clock is time.Now.
func NewExposition(process prometheus.Gatherer, now func() time.Time) *Exposition {
	if now == nil {
		now = time.Now
	}
	return &Exposition{process: process, now: now}
}

// Show replaces the books that are shown.
func (e *Exposition) Show(books []*Book) {
	books = slices.Clone(books)
	slices.SortFunc(books, (*Book).compare)
	e.books.Store(&books)
}

// Gather implements prometheus.Gatherer.
func (e *Exposition) Gather() ([]*dto.MetricFamily, error) {
	families, err := e.process.Gather()
	if books := e.books.Load(); books != nil {
		now := e.now()
		for _, m := range BookMetrics {
			if f := gather(m, *books, now); len(f.Metric) > 0 {
				families = append(families, f)
			}
		}
	}
	slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return families, err
}

func gather(m *Metric, books []*Book, now time.Time) *dto.MetricFamily {
	kind := dto.MetricType(dto.MetricType_value[strings.ToUpper(string(m.Kind))])
	f := &dto.MetricFamily{Name: proto.String(m.Name), Help: proto.String(m.Help), Type: &kind}
	for _, b := range books {
		f.Metric = append(f.Metric, b.exposition(m, now)...)
	}
	return f
}
