package stack

import (
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// crashConfig scrapes an exporter as docs/installation.md has it, and as the Prometheus
// operator does.
const crashConfig = `
global: {scrape_interval: 250ms, scrape_timeout: 250ms}
scrape_configs:
  - job_name: workspace
    static_configs: [{targets: [%[1]q]}]
    metric_relabel_configs: %[2]s
  - job_name: operator
    static_configs: [{targets: [%[1]q], labels: {%[3]s}}]
    metric_relabel_configs: %[2]s
`

// recordCounters are those of login records, and the count of a histogram.
var recordCounters = []string{
	"workspace_login_attempts_total", "workspace_login_failures_total",
	"workspace_client_login_attempts_total", "workspace_client_login_failures_total",
	"workspace_client_version_login_attempts_total", "workspace_client_version_login_failures_total",
	"workspace_server_login_attempts_total", "workspace_server_login_failures_total",
	"workspace_connect_type_login_attempts_total", "workspace_connect_type_login_failures_total",
	"workspace_login_duration_seconds_count",
}

// logins are what happens, of ever new groups, servers, versions and codes.
type logins struct {
	*rand.Rand
	api   *simulator.Simulator
	n     int
	truth map[string]float64 // by family
}

func newLogins(api *simulator.Simulator) *logins {
	return &logins{Rand: rand.New(rand.NewPCG(1, 2)), api: api, truth: map[string]float64{}}
}

// happen lets so many logins of so many kinds happen, in one project after the other.
func (l *logins) happen(count, kinds int, projects ...string) {
	for range count {
		l.n++
		at := time.Now().UTC()
		kind := l.IntN(kinds)
		r := simulator.Record{ID: fmt.Sprint(l.n), UserName: fmt.Sprint("user", l.n), DesktopGroupName: fmt.Sprint("g", kind%3), ConnectType: fmt.Sprint(1 + kind%2),
			MachineName: fmt.Sprint("m", kind), AgentVersion: fmt.Sprint("1.", kind), ClientVersion: fmt.Sprint("2.", kind), ClientType: "Windows 10",
			PreConnTime: at.Add(-20 * time.Second).Format(time.RFC3339), UpdateTime: at.Format(time.RFC3339)}
		if l.n%3 == 0 {
			r.FailedCode = fmt.Sprint("C", kind)
		} else {
			r.StartTime = at.Format(time.RFC3339)
			l.truth["workspace_login_duration_seconds_count"]++
		}
		l.api.Put(projects[l.n%len(projects)], r)
		for _, family := range recordCounters {
			if strings.HasSuffix(family, "_attempts_total") || strings.HasSuffix(family, "_failures_total") && r.FailedCode != "" {
				l.truth[family]++
			}
		}
		<-time.After(50 * time.Millisecond) // as logins come, and scrapes see them
	}
}

// TestCrashesInRealServers kills an exporter again and again while logins of ever new groups,
// servers, versions and codes go on. What increase() of a real Prometheus sees of each family
// must be what happened, the first event of every new series included.
func TestCrashesInRealServers(t *testing.T) {
	if !*servers {
		t.Skip("it takes a minute: make test-stack")
	}
	t.Parallel()
	api := simulator.New(simulator.Options{ProjectIDs: []string{"p"}, AccessKey: "EXAMPLEACCESSKEY0001", SecretKey: "example-secret-key-0001"})
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	program := filepath.Join(dir, "workspace_exporter")
	run(t, "go", "build", "-o", program, "../..")
	config := writeFile(t, dir, "workspace_exporter.yml", fmt.Sprintf(`
global: {poll_interval: 500ms}
metrics: {new_series_hold: 10s}
projects:
  - name: p
    project_id: p
    endpoints: {appstream: %[1]q, workspace: %[1]q, iam: %[1]q}
    credentials: {aksk: {access_key: EXAMPLEACCESSKEY0001, secret_key: example-secret-key-0001}}
    rate_limit: {requests_per_second: 1000, burst: 1000}
`, server.URL))
	// Prometheus finds a new address only after seconds: it scrapes one that stays.
	var now atomic.Pointer[url.URL]
	gate := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(now.Load()) }, ErrorLog: log.New(io.Discard, "", 0)})
	t.Cleanup(gate.Close)
	start := func() *process {
		e := start(t, "the exporter", program, "--config.file="+config)
		at, err := url.Parse(e.url)
		require.NoError(t, err)
		now.Store(at)
		return e
	}
	l := newLogins(api)
	first := map[string]float64{}
	l.happen(6, 2, "p")
	e := start()
	s := &stack{}
	s.prometheus = startPrometheus(t, filepath.Join(dir, "data"), writeFile(t, dir, "prometheus.yml", fmt.Sprintf(crashConfig, strings.TrimPrefix(gate.URL, "http://"), relabelings(t), operatorLabels)))
	sees := func() {
		s.prometheus.wait(t, "sees all logins", time.Minute, func() bool {
			for _, job := range []string{"workspace", "operator"} {
				for family, count := range l.truth {
					found := s.query(t, fmt.Sprintf("sum(%s{job=%q})", family, job), 0, 0)
					if len(found) == 0 || fmt.Sprint(found[0].Value[1]) != fmt.Sprint(count) {
						return false
					}
				}
			}
			return true
		})
	}
	sees()
	maps.Copy(first, l.truth)
	for round := range 4 {
		l.happen(30, 4+4*round, "p")
		stop := syscall.SIGKILL
		if round == 1 {
			stop = syscall.SIGTERM
		}
		require.NoError(t, e.command.Process.Signal(stop)) // a new series may be held at 0
		<-e.ended
		l.happen(10, 6+4*round, "p")
		e = start()
	}
	sees()
	for _, job := range []string{"workspace", "operator"} {
		for _, family := range slices.Sorted(maps.Keys(l.truth)) {
			seen := s.number(t, fmt.Sprintf("sum(increase(%s{job=%q}[10m]))", family, job))
			t.Logf("%s %s: %v happened, increase() sees %.1f", job, family, l.truth[family]-first[family], seen)
			assert.InEpsilon(t, l.truth[family]-first[family], seen, 0.1, "%s: %s", job, family)
		}
	}
}
