package collector

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
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

// BenchmarkScrape answers scrapes of about so many series, of which a share has changed since
// the one before: as we do, and as the library does.
func BenchmarkScrape(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		benchmarkScrape(b, n)
	}
}

func benchmarkScrape(b *testing.B, n int) {
	w := crowded(b, n)
	a := w.accumulator
	e := NewExposition(prometheus.NewRegistry())
	e.CreatedSamples = true
	e.Publish([]*Accumulator{a}, nil)
	series := 0
	change := func(every int) {
		n := 0
		for _, f := range a.state.families.list {
			for _, s := range f.inOrder() {
				if n++; every > 0 && n%every == 0 {
					s.count++
					f.touch(s)
				}
			}
		}
		series = n
		a.publish()
	}
	for _, format := range []string{"text", "openmetrics", "protobuf"} {
		as := map[string]Format{"text": Text, "openmetrics": OpenMetrics, "protobuf": Protobuf}[format]
		for _, c := range []struct {
			changed string
			every   int
		}{{"none", 0}, {"some", 100}, {"all", 1}} {
			// Each gets ready by itself, so that none has to collect the garbage of others.
			run := func(by string, ready func() (scrape func())) {
				b.Run(fmt.Sprintf("%s/changed=%s/series=%d/by=%s", format, c.changed, n, by), func(b *testing.B) {
					b.ReportAllocs()
					scrape := ready()
					scrape()
					var took time.Duration
					for b.Loop() {
						b.StopTimer()
						if c.every > 0 {
							change(c.every)
						}
						b.StartTimer()
						before := processorTime(b)
						scrape()
						took += processorTime(b) - before
					}
					b.ReportMetric(took.Seconds()*1000/float64(b.N), "cpu-ms/op")
					b.ReportMetric(float64(series), "series")
				})
			}
			ours := func(zipped bool) func() func() {
				return func() func() {
					return func() {
						answer, err := e.Answer(b.Context(), Scrape{Format: as, Gzip: zipped})
						require.NoError(b, err)
						for _, chunk := range answer.Chunks {
							_, _ = io.Discard.Write(chunk)
						}
					}
				}
			}
			library := func(of func(*testing.B, *Exposition) prometheus.Gatherer) func() func() {
				return func() func() {
					h := promhttp.HandlerFor(of(b, e), promhttp.HandlerOpts{EnableOpenMetrics: true, EnableOpenMetricsTextCreatedSamples: true})
					request := httptest.NewRequest("GET", "/metrics", nil)
					request.Header.Set("Accept", accepts[as])
					return func() { h.ServeHTTP(discard{http.Header{}}, request) }
				}
			}
			change(1)
			run("us", ours(false))
			run("us-gzip", ours(true))
			run("client_golang", library(registryOf))
			run("expfmt", library(gathered))
		}
	}
}

// gathered is what is shown, gathered once: the library has nothing to do but write it.
func gathered(b *testing.B, e *Exposition) prometheus.Gatherer {
	families, err := e.Gather()
	require.NoError(b, err)
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return families, nil })
}

// registryOf is a registry of the library with the series that are shown. It gathers and writes
// all of them each time, whether they have changed or not.
func registryOf(b *testing.B, e *Exposition) prometheus.Gatherer {
	families, err := e.Gather()
	require.NoError(b, err)
	r := prometheus.NewRegistry()
	for _, f := range families {
		var names []string
		for _, l := range f.Metric[0].Label {
			names = append(names, l.GetName())
		}
		counters := prometheus.NewCounterVec(prometheus.CounterOpts{Name: f.GetName(), Help: f.GetHelp()}, names)
		gauges := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: f.GetName(), Help: f.GetHelp()}, names)
		histograms := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: f.GetName(), Help: f.GetHelp(),
			Buckets: loginDuration.Buckets, NativeHistogramBucketFactor: 1.1}, names)
		for _, m := range f.Metric {
			var values []string
			for _, l := range m.Label {
				values = append(values, l.GetValue())
			}
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				counters.WithLabelValues(values...).Add(m.Counter.GetValue())
			case dto.MetricType_GAUGE:
				gauges.WithLabelValues(values...).Set(m.Gauge.GetValue())
			case dto.MetricType_HISTOGRAM:
				histograms.WithLabelValues(values...).Observe(1)
			}
		}
		r.MustRegister(map[dto.MetricType]prometheus.Collector{dto.MetricType_COUNTER: counters, dto.MetricType_GAUGE: gauges, dto.MetricType_HISTOGRAM: histograms}[f.GetType()])
	}
	return r
}

// processorTime is what the process has used: a busy machine changes it less than the time
// that passes.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// discard is a response that goes nowhere.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

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
	accumulator, err := Open(s.Partition("p", "user_connections", nil), w.options)
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

// BenchmarkCommit counts ten records beside much that is known, none of which changes.
func BenchmarkCommit(b *testing.B) {
	one := func(int, int) string { return "one" }
	group := func(i, n int) string { return fmt.Sprint("group ", i%n) }
	server := func(i, n int) string { return fmt.Sprint("APS-", i%n) }
	newServer := func(i, _ int) string { return fmt.Sprint("APS-", i) }
	someServer := func(i, _ int) string { return fmt.Sprint("APS-", i%100) }
	for _, beside := range []struct {
		what           string
		most           int
		group, machine func(i, n int) string
		open           bool
		codes          int
	}{
		{what: "servers", most: 100_000, group: one, machine: server},
		{what: "servers-and-new-ones", most: 100_000, group: one, machine: newServer},
		{what: "groups", most: 10_000, group: group, machine: one, codes: 3},
		{what: "open", most: 100_000, group: one, machine: someServer, open: true},
		{what: "visits", most: 100_000, group: one, machine: someServer, codes: 3},
		{what: "visits-in-one-second", most: 100_000, group: one, machine: someServer, codes: 3},
	} {
		for _, n := range []int{beside.most / 100, beside.most / 10, beside.most} {
			b.Run(fmt.Sprintf("%s=%d", beside.what, n), func(b *testing.B) {
				w := newBench(b, nil)
				w.options.Limits = NewLimits(1<<20, nil)
				a, err := Open(store.Discard{}, w.options)
				require.NoError(b, err)
				newLogin := func(i int, at time.Time) record.Login {
					return login(i, at, func(l *record.Login) {
						l.Group, l.Machine = beside.group(i, n), beside.machine(i, n)
						if l.End = at; beside.open {
							l.End = time.Time{}
						}
						if beside.codes > 0 && i%10 == 0 {
							l.FailedCode = fmt.Sprint("WKS.", i/10%beside.codes)
						}
					})
				}
				commit := func(now time.Time, from, n int, step time.Duration) { // of a window so short that nothing is missed in it
					logins := make([]record.Login, n)
					for i := range logins {
						logins[i] = newLogin(from+i, now.Add(-time.Duration(i)*step))
					}
					require.NoError(b, a.Commit(&record.Batch{From: now.Add(-3 * time.Second), To: now, Now: now, Logins: logins, UpToDate: true}))
				}
				now, step := t0, 50*time.Minute/time.Duration(n)
				if beside.what == "visits-in-one-second" {
					step = 0
				}
				commit(now, 0, n, step)
				before := processorTime(b)
				for from := 0; b.Loop(); from += 10 {
					if step > 0 {
						now = now.Add(time.Millisecond)
					}
					commit(now, n+from, 10, 0)
				}
				b.ReportMetric((processorTime(b)-before).Seconds()*1000/float64(b.N), "cpu-ms/op")
			})
		}
	}
}
