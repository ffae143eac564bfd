package collector

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// counted is a registry that counts how often it is gathered. One of its metrics says it.
type counted struct {
	*prometheus.Registry
	gathers prometheus.Counter
	slow    time.Duration
}

func newCounted() *counted {
	c := &counted{Registry: prometheus.NewRegistry()}
	ofProject := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "workspace_exporter_source_up", Help: "Of a project.\nOr two \\ lines."}, []string{"project"})
	ofProject.WithLabelValues("p").Set(1)
	ofProject.WithLabelValues("q").Set(0.5)
	latency := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "go_latency", Help: "of no project", NativeHistogramBucketFactor: 1.1})
	latency.Observe(3)
	c.gathers = prometheus.NewCounter(prometheus.CounterOpts{Name: "zz_gathers_total", Help: "Is the last."})
	c.MustRegister(ofProject, latency, prometheus.NewSummary(prometheus.SummaryOpts{Name: "empty_summary", Help: "#"}))
	return c
}

func (c *counted) Gather() (families []*dto.MetricFamily, err error) {
	c.gathers.Inc()
	time.Sleep(c.slow)
	return c.Registry.Gather()
}

// busy shows two projects with metrics of every kind, some of them large.
func busy(t testing.TB) (*Exposition, []*bench) {
	var benches []*bench
	var accumulators []*Accumulator
	for i, project := range []string{"q", "p"} {
		for _, kind := range formatKinds {
			b := newBench(t, func(o *Options) {
				ofKind(kind)(o)
				o.Project, o.Source = project, fmt.Sprint(kind)
				o.ConstantLabels = map[string]string{"region": "北京\n\"x\\"}
				o.Limits = NewLimits(1<<20, o.Limits.limited)
				o.NewSeriesHold = time.Minute
			})
			var logins []record.Login
			count := 60 * (i + 1)
			if kind == Logins {
				count *= 10 // servers: more than a block of them
			}
			for n := range count {
				logins = append(logins, login(n, t0, inGroup(fmt.Sprint("group ", n%20)), func(l *record.Login) {
					l.Machine = fmt.Sprint("m", n)
					if n%3 == 0 {
						l.FailedCode, l.FailedReason = fmt.Sprint("WKS.", n%12), "ein \\ \"Grund\" \u2028"
					}
				}))
			}
			require.NoError(t, b.read(t0, logins...))
			require.NoError(t, b.read(t0.Add(time.Minute), login(1000, t0, inGroup("held"), failing("new")))) // held at 0
			benches, accumulators = append(benches, b), append(accumulators, b.accumulator)
		}
	}
	e := NewExposition(newCounted())
	e.Publish(accumulators, map[string]string{"region": "北京\n\"x\\"})
	return e, benches
}

// plain is all of an answer, uncompressed.
func plain(t testing.TB, a *Answer, zipped bool) string {
	t.Helper()
	all := bytes.Join(a.Chunks, nil)
	require.Len(t, all, a.Size)
	if !zipped {
		return string(all)
	}
	z, err := gzip.NewReader(bytes.NewReader(all))
	require.NoError(t, err)
	z.Multistream(false) // some clients read no more than the first
	text, err := io.ReadAll(z)
	require.NoError(t, err)
	return string(text)
}

var accepts = map[Format]string{Text: "text/plain", OpenMetrics: "application/openmetrics-text;version=1.0.0",
	Protobuf: "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"}

// What we write is, byte for byte, what the library would.
func TestAnswersAreTheLibrarys(t *testing.T) {
	for _, created := range []bool{false, true} {
		e, benches := busy(t)
		e.CreatedSamples = created
		library := promhttp.HandlerFor(e, promhttp.HandlerOpts{EnableOpenMetrics: true, EnableOpenMetricsTextCreatedSamples: created})
		for round := range 3 {
			for format, accept := range accepts {
				for _, names := range [][]string{nil, {"workspace_login_failures_total", "workspace_exporter_source_up", "none"}, {"none"}} {
					r := httptest.NewRequest("GET", "/metrics", nil)
					r.URL.RawQuery = "name[]=" + strings.Join(names, "&name[]=")
					if names == nil {
						r.URL.RawQuery = ""
					}
					r.Header.Set("Accept", accept)
					w := httptest.NewRecorder()
					library.ServeHTTP(w, r)
					for _, zipped := range []bool{false, true} {
						a, err := e.Answer(t.Context(), Scrape{Format: format, Gzip: zipped, Names: names})
						require.NoError(t, err)
						require.Equal(t, w.Body.String(), plain(t, a, zipped), "%s, %s, created %t, gzip %t, round %d", accept, names, created, zipped, round)
					}
				}
			}
			// Some changes, one accumulator's holds end, and the next round is another.
			require.NoError(t, benches[0].read(t0.Add(time.Duration(round+2)*time.Minute), login(2000+round, t0, inGroup("more"))))
			benches[1].clock = t0.Add(time.Hour)
			require.NoError(t, benches[1].accumulator.EndHolds())
		}
	}
}

// So are values and labels that no source gives today.
func TestSeriesAreTheLibrarys(t *testing.T) {
	values := []float64{0, math.Copysign(0, -1), 1, -1, 2, 0.1, -0.5, 1e-7, 5e-324, 123456, 999999, 999999.5, 1e6, -1e6, 1234567, 1e15, 1 << 53, 1e21, math.MaxFloat64,
		math.NaN(), math.Inf(1), math.Inf(-1)}
	labels := [][]*dto.LabelPair{nil, {}}
	for _, value := range []string{"", "a", `\`, `\n`, "\n", `"`, "ends in \\", "\xff\x00\u2028", "北京", "{a=\"b\"} 1\n# EOF\n"} {
		labels = append(labels, []*dto.LabelPair{{Name: proto.String("a"), Value: &value}, {Name: proto.String("b_2"), Value: &value}})
	}
	created := []*timestamppb.Timestamp{nil, {}, timestamppb.New(t0), timestamppb.New(t0.Add(123456789)), {Seconds: -1}}
	var wants [3][]*dto.Metric
	var parts [3]part
	types := []Type{Counter, Gauge, Histogram}
	for i := range parts {
		parts[i].block = &block{}
	}
	for _, l := range labels {
		for i, v := range values {
			created, bound := created[i%len(created)], values[(i+1)%len(values)]
			n := uint64(math.Abs(max(-1e15, min(v, 1e15)))) // NaN is some number
			h := &dto.Histogram{SampleSum: &v, SampleCount: &n, CreatedTimestamp: created}
			for range i % 3 {
				h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &bound, CumulativeCount: &n})
			}
			if bound == math.Inf(1) {
				h.Bucket = nil // we have none
			}
			wants[0] = append(wants[0], &dto.Metric{Label: l, Counter: &dto.Counter{Value: &v, CreatedTimestamp: created}})
			wants[1] = append(wants[1], &dto.Metric{Label: l, Gauge: &dto.Gauge{Value: &v}})
			wants[2] = append(wants[2], &dto.Metric{Label: l, Histogram: h})
			for k := range parts {
				p := &parts[k]
				wire, err := labelWire(l)
				require.NoError(t, err)
				p.labels, p.wire = append(p.labels, labelText(l)), append(p.wire, wire)
				p.created, p.values = append(p.created, created), append(p.values, value{v, h})
			}
		}
	}
	for i, kind := range types {
		for _, name := range []string{"a_total", "a"} {
			m := &Metric{Name: name, Type: kind}
			for _, created := range []bool{false, true} {
				e := &Exposition{CreatedSamples: created, Failed: func(err error) { t.Error(err) }}
				f := m.family()
				f.Metric = wants[i]
				for _, format := range []Format{Text, OpenMetrics} {
					require.Equal(t, string(withoutComments(e.encode(f, format))), string(e.text(nil, m, &parts[i], format)), "%s %s, %d, %t", kind, name, format, created)
				}
			}
		}
		want, err := proto.Marshal(&dto.MetricFamily{Metric: wants[i]})
		require.NoError(t, err)
		got := NewExposition(nil).protobuf(nil, &Metric{Type: kind}, &parts[i])
		require.Equal(t, want, got, kind)
	}
}

// The checksum of two texts is that of both.
func TestJoinChecksums(t *testing.T) {
	text := []byte(strings.Repeat("some text, ", 3000))
	for _, whole := range []int{0, 1, 2, 3, 255, 256, 257, 4096, len(text)} {
		for _, first := range []int{0, 1, 7, whole / 3, whole} {
			first = min(first, whole)
			require.Equal(t, crc32.ChecksumIEEE(text[:whole]),
				joinChecksums(crc32.ChecksumIEEE(text[:first]), crc32.ChecksumIEEE(text[first:whole]), shiftOf(whole-first)), "%d of %d", first, whole)
		}
	}
}

// A project alone is what the whole says of it.
func TestAScrapeOfOneProject(t *testing.T) {
	e, _ := busy(t)
	lines := func(projects ...string) (series []string) {
		a, err := e.Answer(t.Context(), Scrape{Projects: projects})
		require.NoError(t, err)
		for line := range strings.Lines(plain(t, a, false)) {
			if line[0] != '#' {
				series = append(series, line)
			}
		}
		return series
	}
	ofP := slices.DeleteFunc(lines(), func(line string) bool { return !strings.Contains(line, `project="p"`) })
	require.Equal(t, ofP, lines("p"))
	require.Contains(t, lines("p"), `workspace_exporter_source_up{project="p",region="北京\n\"x\\"} 1`+"\n")
	require.Empty(t, lines("r"))
	require.Len(t, lines("p", "q"), len(lines("p"))+len(lines("q")))
}

// What has not changed is written once for all who ask, and what nobody asks for never.
func TestAnswersShareWhatHasNotChanged(t *testing.T) {
	e, benches := busy(t)
	version := func(s Scrape) Version {
		a, err := e.Answer(t.Context(), s)
		require.NoError(t, err)
		return a.Version
	}
	first := version(Scrape{})
	for _, s := range []Scrape{{}, {Names: []string{"workspace_login_failures_total"}}, {Projects: []string{"p"}}} {
		require.Equal(t, first, version(s))
	}
	require.NoError(t, benches[0].read(t0.Add(2*time.Minute), login(2000, t0)))
	require.NotEqual(t, first, version(Scrape{}))
	for _, b := range benches {
		for _, parts := range b.accumulator.published() {
			for _, p := range parts {
				require.Nil(t, p.written[Protobuf].plain)
				require.Nil(t, p.written[Text].packed)
			}
		}
	}
}

// smallProjects are accumulators of which each has few series in a family.
func smallProjects(t *testing.T) (projects []*bench, accumulators []*Accumulator) {
	for i := range 40 {
		b := newBench(t, func(o *Options) { o.Project, o.Limits = fmt.Sprint("p", i), NewLimits(1<<20, o.Limits.limited) })
		var logins []record.Login
		for n := range 40 {
			logins = append(logins, login(n, t0, inGroup(fmt.Sprint("group ", n%4)), func(l *record.Login) { l.Machine = fmt.Sprint("m", n%8) }))
		}
		require.NoError(t, b.read(t0, logins...))
		projects, accumulators = append(projects, b), append(accumulators, b.accumulator)
	}
	return projects, accumulators
}

// Of many small projects, too, nearly all of an answer is shared with the next one, and what is
// not shared is known. Answers of one version share all the same memory.
func TestAnswersOfManyProjectsShareMemory(t *testing.T) {
	projects, accumulators := smallProjects(t)
	e := NewExposition(newCounted())
	at := t0
	for format := range accepts {
		for _, zipped := range []bool{false, true} {
			e.Publish(accumulators, nil)
			known := map[*byte]bool{}
			answer := func() (a *Answer, shared int) {
				a, err := e.Answer(t.Context(), Scrape{Format: format, Gzip: zipped})
				require.NoError(t, err)
				for _, chunk := range a.Chunks {
					if known[&chunk[0]] {
						shared += len(chunk)
					}
					known[&chunk[0]] = true
				}
				return a, shared
			}
			first, _ := answer()
			second, shared := answer()
			require.Equal(t, first.Version, second.Version)
			require.Equal(t, second.Size-second.Own, shared, "%d, gzip %t", format, zipped)
			require.Less(t, 2*second.Own, second.Size, "%d, gzip %t", format, zipped)

			at = at.Add(time.Minute)
			require.NoError(t, projects[0].read(at, login(int(at.Unix()), at)))
			e.Publish(accumulators, nil)
			third, shared := answer()
			require.NotEqual(t, second.Version, third.Version)
			require.Less(t, shared, third.Size-third.Own, "%d, gzip %t", format, zipped)
		}
	}
}

// What is compressed together with others does not keep more than these in memory.
func TestPartsThatHaveChangedAreFreed(t *testing.T) {
	projects, accumulators := smallProjects(t)
	e := NewExposition(newCounted())
	answer := func() {
		e.Publish(accumulators, nil)
		_, err := e.Answer(t.Context(), Scrape{Format: Text, Gzip: true})
		require.NoError(t, err)
	}
	answer()
	last := projects[len(projects)-1]
	exposed := func() (parts []weak.Pointer[part]) {
		for _, f := range last.accumulator.state.families.list {
			for _, p := range f.exposed {
				parts = append(parts, weak.Make(p))
			}
		}
		return parts
	}
	before := exposed()
	at := t0.Add(time.Minute)
	require.NoError(t, last.read(at, login(1000, at, inGroup("group 0"))))
	answer()
	runtime.GC()
	now, freed := exposed(), 0
	for _, p := range before {
		if p.Value() == nil {
			freed++
		} else {
			require.Contains(t, now, p, "nothing shows it any more")
		}
	}
	require.Positive(t, freed)
	runtime.KeepAlive(e)
}

// Whoever waits when the metrics of the process are gathered next shares them, and no one
// sees what was gathered before they asked. Who has gone waits for nothing.
func TestScrapesThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		process := newCounted()
		process.slow = time.Second
		process.MustRegister(process.gathers)
		e := NewExposition(process)
		gone, leave := context.WithCancel(t.Context())
		answers := make(chan string, 200)
		scrape := func() {
			a, err := e.Answer(t.Context(), Scrape{Names: []string{"zz_gathers_total"}})
			require.NoError(t, err)
			answers <- plain(t, a, false)
		}
		go scrape()
		synctest.Wait() // the first is being gathered
		begun := time.Now()
		time.Sleep(time.Millisecond)
		for range 100 {
			go scrape()
			go func() {
				_, err := e.Answer(gone, Scrape{})
				require.ErrorIs(t, err, context.Canceled)
				answers <- "gone"
			}()
		}
		leave()
		synctest.Wait()
		got := map[string]int{}
		count := func(n int) {
			for range n {
				a := <-answers
				got[a[strings.LastIndexByte(strings.TrimSpace(a), ' ')+1:]]++
			}
		}
		count(100)
		require.Equal(t, map[string]int{"gone": 100}, got, "at once")
		count(101)
		require.Equal(t, map[string]int{"gone": 100, "1\n": 1, "2\n": 100}, got)
		require.Equal(t, 2*time.Second, time.Since(begun))
		scrape()
		count(1)
		require.Equal(t, 1, got["3\n"])
	})
}
