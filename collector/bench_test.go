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

// BenchmarkScrape answers scrapes of about 100,000 series, of which a share has changed since
// the one before: as we do, and as the library does.
func BenchmarkScrape(b *testing.B) {
	w := crowded(b, 100_000)
	a := w.accumulator
	e := NewExposition(prometheus.NewRegistry())
	e.CreatedSamples = true
	e.Publish([]*Accumulator{a}, nil)
	library := promhttp.HandlerFor(e, promhttp.HandlerOpts{EnableOpenMetrics: true, EnableOpenMetricsTextCreatedSamples: true})
	request := httptest.NewRequest("GET", "/metrics", nil)
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
			run := func(by string, scrape func()) {
				b.Run(format+"/changed="+c.changed+"/by="+by, func(b *testing.B) {
					b.ReportAllocs()
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
			ours := func(zipped bool) func() {
				return func() {
					answer, err := e.Answer(b.Context(), Scrape{Format: as, Gzip: zipped})
					require.NoError(b, err)
					for _, chunk := range answer.Chunks {
						_, _ = io.Discard.Write(chunk)
					}
				}
			}
			change(1)
			run("us", ours(false))
			run("us-gzip", ours(true))
			request.Header.Set("Accept", accepts[as])
			run("library", func() { library.ServeHTTP(discard{http.Header{}}, request) })
		}
	}
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
