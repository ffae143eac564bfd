package collector

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// crowded is an accumulator with at least n series of counters.
func crowded(b *testing.B, n int) *bench {
	w := newBench(b, func(o *Options) { o.Limits = NewLimits(1<<20, nil) })
	var logins []record.Login
	for i := range n / 5 {
		logins = append(logins, login(i, t0, func(l *record.Login) {
			l.Group, l.Machine = fmt.Sprint("group ", i%20), fmt.Sprint("APS-", i)
			l.ClientVersion, l.FailedCode = fmt.Sprint("23.", i), fmt.Sprint("WKS.", i%10)
		}))
	}
	require.NoError(b, w.read(t0, logins...))
	return w
}

// BenchmarkScrape answers one scrape of about 10,000 series.
func BenchmarkScrape(b *testing.B) {
	formats := map[string]string{"text": "text/plain", "openmetrics": "application/openmetrics-text",
		"protobuf": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"}
	for name, accept := range formats {
		b.Run(name, func(b *testing.B) {
			w := crowded(b, 7_000)
			e := NewExposition(prometheus.NewRegistry())
			e.Publish([]*Accumulator{w.accumulator}, nil)
			h := promhttp.HandlerFor(e, promhttp.HandlerOpts{EnableOpenMetrics: true, EnableOpenMetricsTextCreatedSamples: true})
			request := httptest.NewRequest("GET", "/metrics", nil)
			request.Header.Set("Accept", accept)
			series := 0
			families, _ := e.Gather()
			for _, f := range families {
				series += len(f.Metric)
			}
			for b.Loop() {
				h.ServeHTTP(httptest.NewRecorder(), request)
			}
			b.ReportMetric(float64(series), "series")
		})
	}
}

// BenchmarkCount counts a page of 100 new records, without the store.
func BenchmarkCount(b *testing.B) {
	w := newBench(b, nil)
	w.options.Limits = NewLimits(1<<20, nil)
	accumulator, err := Open(store.Discard{}, w.options)
	require.NoError(b, err)
	now, n := t0, 0
	for b.Loop() {
		now = now.Add(time.Minute)
		commitPage(b, accumulator, now, &n)
	}
}

// BenchmarkPoll counts a page of 100 new records and commits it to a store on disk,
// fsync included.
func BenchmarkPoll(b *testing.B) {
	s, err := store.Open(b.TempDir())
	require.NoError(b, err)
	defer s.Close()
	w := newBench(b, nil)
	accumulator, err := Open(s.Partition("p", "user_connections"), w.options)
	require.NoError(b, err)
	now, n := t0, 0
	for b.Loop() {
		now = now.Add(time.Minute)
		commitPage(b, accumulator, now, &n)
	}
}

func commitPage(b *testing.B, accumulator *Accumulator, now time.Time, n *int) {
	logins := make([]record.Login, 100)
	for i := range logins {
		*n++
		logins[i] = login(*n, now.Add(-time.Duration(i)*time.Second/4), func(l *record.Login) {
			l.Machine, l.End = fmt.Sprint("APS-", i%20), now
			if i%30 == 0 {
				l.FailedCode = "WKS.1"
			}
		})
	}
	require.NoError(b, accumulator.Commit(&record.Batch{From: now.Add(-16 * time.Minute), To: now, Now: now, Logins: logins, UpToDate: true}))
}
