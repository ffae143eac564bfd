//go:build load

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// What takes long and is measured, not checked: docs/performance.md has the figures,
// `make load` measures them again.

// plenty is an API with as many logins a second as is wanted, and as many machines and
// client versions as each login gets one of.
type plenty struct {
	everyMilli int64
	distinct   int64
	takes      time.Duration // that a call takes
	atOnce     chan struct{} // with room for so many calls; nil: any number
	calls      atomic.Int64
}

func (p *plenty) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	p.calls.Add(1)
	if p.atOnce != nil {
		p.atOnce <- struct{}{}
		defer func() { <-p.atOnce }()
	}
	ended := time.After(p.takes)
	defer func() { <-ended }()
	var window struct {
		From time.Time `json:"login_start_time"`
		To   time.Time `json:"login_end_time"`
	}
	if err := json.NewDecoder(r.Body).Decode(&window); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	limit, _ := strconv.ParseInt(r.URL.Query().Get("limit"), 10, 64)
	offset, _ := strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
	first := (window.From.UnixMilli() + p.everyMilli - 1) / p.everyMilli
	last := window.To.UnixMilli() / p.everyMilli
	var items []string
	for n := first + offset; n <= last && int64(len(items)) < limit; n++ {
		at := time.UnixMilli(n * p.everyMilli).UTC().Format("2006-01-02T15:04:05Z")
		code, reason := "", ""
		if n%10 == 0 {
			code, reason = "1001", "The server is not reachable."
		}
		items = append(items, fmt.Sprintf(`{"id":"%d","connect_type":"2","user_name":"user%d@corp.example","desktop_group_name":"group-%d","pre_conn_time":%q,"start_time":%q,"end_time":%q,`+
			`"machine_sid":"S-1-5-21-%d","machine_name":"APS-%d","failed_reason":%q,"failed_code":%q,"client_mac":"c8-d9-d2-11-3a-57","client_name":"laptop-%d","client_ip":"10.%d.%d.%d",`+
			`"client_version":"23.2.%d.0","client_type":"Windows 10","agent_version":"23.2.2.0423","vm_ip":"10.1.248.1","update_time":%q}`,
			n, n%20_000, n%10, at, at, at, n%p.distinct, n%p.distinct, reason, code, n%20_000, n%3, n%100, n%250, n%p.distinct, at))
	}
	rw.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(rw, `{"count":%d,"items":[%s]}`, max(0, last-first+1), strings.Join(items, ","))
}

// attack is what came of many scrapes.
type attack struct {
	took   []time.Duration // sorted, of those that were answered with 200
	failed int             // had another status, or none
}

func (a *attack) quantile(q float64) time.Duration { return a.took[int(q*float64(len(a.took)-1))] }

// scrapeOften scrapes so many times a second, whether or not answers come, for a while.
func (e *exporter) scrapeOften(perSecond int, length time.Duration) *attack {
	var a attack
	var mu sync.Mutex
	var scrapes sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for range int(length.Seconds() * float64(perSecond)) {
		<-tick.C
		scrapes.Go(func() {
			begun := time.Now()
			r, err := e.request(http.MethodGet, "/metrics", nil)
			took := time.Since(begun)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || r.status != http.StatusOK {
				a.failed++
				return
			}
			a.took = append(a.took, took)
		})
	}
	scrapes.Wait()
	slices.Sort(a.took)
	return &a
}

// resident is how much memory the exporter has now, and had at most, in MB.
func (e *exporter) resident() (now, most int) {
	e.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.process.Process.Pid))
	require.NoError(e.t, err)
	read := func(name string) int {
		m := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(status)
		require.NotNil(e.t, m)
		kb, err := strconv.Atoi(string(m[1]))
		require.NoError(e.t, err)
		return kb >> 10
	}
	return read("VmRSS"), read("VmHWM")
}

func (e *exporter) stored() int64 {
	info, err := os.Stat(filepath.Join(e.dir, "data", "state.db"))
	require.NoError(e.t, err)
	return info.Size() >> 20
}

func (e *exporter) report(what string) {
	now, most := e.resident()
	e.t.Logf("%s: %d MB resident, %d MB at most, store %d MB", what, now, most, e.stored())
}

// caughtUp waits until a first poll has ended, however long it takes.
func (e *exporter) caughtUp() time.Duration {
	begun := time.Now()
	for e.only("workspace_exporter_polls_total")[pollsOf(project, "success")] < 1 {
		require.False(e.t, e.hasEnded(), "%s", e.log)
		<-time.After(time.Second)
	}
	return time.Since(begun)
}

func servePlenty(t *testing.T, p *plenty, s setup) *exporter {
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	s.URL = server.URL
	e := install(t, s)
	e.write("workspace_exporter.yml", strings.Replace(s.text(), "requests_per_second: 1000, burst: 1000", "requests_per_second: 100000, burst: 100000", 1))
	e.start()
	return e
}

func TestLoadScrapesWhileABacklogIsRead(t *testing.T) {
	// Each poll reads 15 minutes with 9,000 records again, for ever.
	e := servePlenty(t, &plenty{everyMilli: 100, distinct: 1000}, setup{InitialLookback: "30m", Interval: "100ms"})
	e.caughtUp()
	a := e.scrapeOften(200, 30*time.Second)
	body := e.get("/metrics").body
	t.Logf("200 scrapes/s for 30 s of %d lines, %d polls meanwhile: %d failed, median %s, 90 %% %s, 99 %% %s, worst %s",
		strings.Count(body, "\n"), int(e.metrics()[pollsOf(project, "success")]), a.failed, a.quantile(0.5), a.quantile(0.9), a.quantile(0.99), a.quantile(1))
	e.report("then")
}

func TestLoad100000Series(t *testing.T) {
	// Each login has a server and a client version of its own.
	e := servePlenty(t, &plenty{everyMilli: 100, distinct: 1 << 40}, setup{InitialLookback: "57m", Interval: "1h", MaxSeries: 200_000})
	e.caughtUp()
	body := e.get("/metrics").body
	t.Logf("%d lines, %d MB", strings.Count(body, "\n"), len(body)>>20)
	e.report("100,000 series")
	for _, accept := range []string{"text/plain", "application/openmetrics-text; version=1.0.0", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"} {
		var all []time.Duration
		for range 5 {
			begun := time.Now()
			_, err := e.request(http.MethodGet, "/metrics", http.Header{"Accept": {accept}})
			require.NoError(t, err)
			all = append(all, time.Since(begun))
		}
		t.Logf("a scrape as %s: %v", accept, all)
	}
	e.report("after the scrapes")
}

func TestLoadAMillionRecordsInTheLookback(t *testing.T) {
	p := &plenty{everyMilli: 43, distinct: 200}
	s := setup{InitialLookback: "12h", Lookback: "12h", Interval: "1s"}
	e := servePlenty(t, p, s)
	took := e.caughtUp()
	t.Logf("read in %s, %d requests, %v attempts", took.Round(time.Second), p.calls.Load(), e.metrics().sum("workspace_login_attempts_total"))
	e.report("1,000,000 records")
	ending := time.Now()
	require.Equal(t, 0, e.stop())
	e.kill()
	starting := time.Now()
	e.start()
	eventually(t, "all is shown again", func() bool { return e.metrics().sum("workspace_login_attempts_total") >= 1_000_000 })
	t.Logf("it ended in %s, and showed all %s after its start, which took %s of the processor",
		starting.Sub(ending).Round(time.Second/100), time.Since(starting).Round(time.Second/100), e.processorTime().Round(time.Second/100))
	e.report("after a restart")
}

// A backlog of 50,000 logins of an API that takes 20 ms a call, and answers 8 at once: beside a
// client that does nothing but ask for all of its pages.
func TestLoadCatchUp(t *testing.T) {
	const calls, atOnce = 500, 8
	for range 3 {
		p := &plenty{everyMilli: (10 * time.Hour).Milliseconds() / (100 * calls), distinct: 20, takes: 20 * time.Millisecond, atOnce: make(chan struct{}, atOnce)}
		e := servePlenty(t, p, setup{InitialLookback: "10h", Interval: "1h", Concurrency: atOnce})
		e.caughtUp()
		took := e.metrics().sum("workspace_exporter_poll_duration_seconds_sum")
		requests := p.calls.Load()
		server := httptest.NewServer(p)
		bare := askForPages(t, server.URL, calls, atOnce).Seconds()
		server.Close()
		t.Logf("%.2f s and %d requests, a bare client %.2f s: at %.2f of its pace; %.2f s of the processor",
			took, requests, bare, bare/took, e.processorTime().Seconds())
		e.kill()
	}
}

// askForPages asks for so many pages of 100 logins, and returns how long that took.
func askForPages(t *testing.T, url string, pages, atOnce int) time.Duration {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: atOnce}}
	defer client.CloseIdleConnections()
	to := time.Now().UTC()
	window := fmt.Sprintf(`{"login_start_time":%q,"login_end_time":%q}`, to.Add(-10*time.Hour).Format(time.RFC3339), to.Format(time.RFC3339))
	var group errgroup.Group
	group.SetLimit(atOnce)
	begun := time.Now()
	for page := range pages {
		group.Go(func() error {
			r, err := client.Post(fmt.Sprintf("%s/?limit=100&offset=%d", url, 100*page), "application/json", strings.NewReader(window))
			if err != nil {
				return err
			}
			defer func() { _ = r.Body.Close() }()
			_, err = io.Copy(io.Discard, r.Body)
			return err
		})
	}
	require.NoError(t, group.Wait())
	return time.Since(begun)
}

// The polls of many projects are spread over the interval, and commits that queue are joined:
// here beside a disk that something else keeps busy.
func TestLoad2000Projects(t *testing.T) {
	var projects []string
	for i := range 2000 {
		projects = append(projects, fmt.Sprintf("project%d", i))
	}
	e := servePlenty(t, &plenty{everyMilli: 20_000, distinct: 10}, setup{Projects: projects, Interval: "60s", InitialLookback: "15m"})
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() { keepDiskBusy(t, e.dir, stop) })
	defer writer.Wait()
	defer close(stop)
	polls := func() (n, seconds float64) {
		m := e.metrics()
		return m.sum("workspace_exporter_poll_duration_seconds_count"), m.sum("workspace_exporter_poll_duration_seconds_sum")
	}
	firstPolls := time.Now()
	for n, _ := polls(); n < 2000; n, _ = polls() {
		<-time.After(time.Second)
	}
	t.Logf("the first polls of all took %s", time.Since(firstPolls).Round(time.Second))
	<-time.After(time.Minute) // until they are spread
	busy := e.processorTime()
	before, seconds := polls()
	<-time.After(2 * time.Minute)
	n, total := polls()
	t.Logf("%.0f polls in 2 minutes, mean %.1f ms, %.1f s of the processor", n-before, 1000*(total-seconds)/(n-before), (e.processorTime() - busy).Seconds())
	e.report("2,000 projects")
}

// keepDiskBusy writes to a file, and waits for the disk each time, until it is stopped.
func keepDiskBusy(t *testing.T, dir string, stop chan struct{}) {
	f, err := os.Create(filepath.Join(dir, "busy"))
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = f.Close() }()
	for block := make([]byte, 1<<20); ; {
		select {
		case <-stop:
			return
		default:
		}
		if _, err := f.WriteAt(block, 0); err != nil {
			t.Error(err)
			return
		}
		if err := f.Sync(); err != nil {
			t.Error(err)
			return
		}
	}
}

func TestLoadIdle(t *testing.T) {
	e := servePlenty(t, &plenty{everyMilli: 1 << 50, distinct: 1}, setup{Interval: "60s"})
	e.caughtUp()
	<-time.After(30 * time.Second)
	const minutes = 3
	before := e.processorTime()
	<-time.After(minutes * time.Minute)
	t.Logf("%.1f ms of the processor a minute", (e.processorTime()-before).Seconds()*1000/minutes)
	e.report("idle")
}

// processorTime is what all threads of the exporter have used.
func (e *exporter) processorTime() (used time.Duration) {
	e.t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", e.process.Process.Pid))
	require.NoError(e.t, err)
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		require.NoError(e.t, err)
		var ns int64
		_, err = fmt.Sscan(string(stat), &ns)
		require.NoError(e.t, err)
		used += time.Duration(ns)
	}
	return used
}
