package stack

import (
	"fmt"
	"io"
	"log"
	"maps"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/pgtest"
	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// replicasConfig scrapes three replicas as docs/installation.md has it, and evaluates the rules
// of the repository.
const replicasConfig = `
global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 2s}
rule_files: [%[1]q]
scrape_configs:
  - job_name: workspace
    static_configs: [{targets: [%[2]s]}]
    metric_relabel_configs: %[3]s
`

// replica is an exporter at an address that stays, whichever process answers there.
type replica struct {
	*process
	address string
	now     *atomic.Pointer[url.URL]
}

func newReplica(t *testing.T) *replica {
	r := &replica{now: &atomic.Pointer[url.URL]{}}
	r.now.Store(&url.URL{Scheme: "http", Host: "127.0.0.1:1"})
	gate := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(r.now.Load()) }, ErrorLog: log.New(io.Discard, "", 0)})
	t.Cleanup(gate.Close)
	r.address = strings.TrimPrefix(gate.URL, "http://")
	return r
}

func (r *replica) run(t *testing.T, program, config string) {
	t.Helper()
	r.process = start(t, "a replica", program, "--config.file="+config)
	at, err := url.Parse(r.url)
	require.NoError(t, err)
	r.now.Store(at)
}

func (r *replica) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	require.NoError(t, r.command.Process.Signal(s))
}

// TestHandOversInRealServers stops, kills, pauses and restarts replicas that share a database,
// while logins of ever new groups, servers, versions and codes go on. What a real Prometheus
// adds up of each family must be what happened: no more, and no less.
func TestHandOversInRealServers(t *testing.T) {
	if !*servers {
		t.Skip("it takes a minute: make test-stack")
	}
	t.Parallel()
	projects := []string{"a", "b", "c", "d", "e", "f"}
	api := simulator.New(simulator.Options{ProjectIDs: projects, AccessKey: "EXAMPLEACCESSKEY0001", SecretKey: "example-secret-key-0001"})
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	database := pgtest.Start(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "workspace_exporter")
	run(t, "go", "build", "-o", program, "../..")
	text := fmt.Sprintf("global: {poll_interval: 500ms}\nstorage: {postgres: {dsn: %q, lease_duration: 4s}}\nmetrics: {new_series_hold: 20s}\nprojects:\n", database.DSN())
	for _, project := range projects {
		text += fmt.Sprintf("- {name: %[1]s, project_id: %[1]s, endpoints: {appstream: %[2]q, workspace: %[2]q, iam: %[2]q}, rate_limit: {requests_per_second: 1000, burst: 1000},"+
			" credentials: {aksk: {access_key: EXAMPLEACCESSKEY0001, secret_key: example-secret-key-0001}}}\n", project, server.URL)
	}
	config := writeFile(t, dir, "workspace_exporter.yml", text)
	l, first := newLogins(api), map[string]float64{}
	l.happen(12, 2, projects...)
	replicas := []*replica{newReplica(t), newReplica(t), newReplica(t)}
	targets := make([]string, len(replicas))
	for i, r := range replicas {
		r.run(t, program, config)
		targets[i] = strconv.Quote(r.address)
	}
	rules, err := filepath.Abs(rulesFile)
	require.NoError(t, err)
	s := &stack{prometheus: startPrometheus(t, filepath.Join(dir, "data"),
		writeFile(t, dir, "prometheus.yml", fmt.Sprintf(replicasConfig, rules, strings.Join(targets, ", "), relabelings(t))))}
	sees := func() {
		t.Helper()
		s.prometheus.wait(t, "sees all logins", 2*time.Minute, func() bool {
			for family, count := range l.truth {
				found := s.query(t, fmt.Sprintf("sum(%s)", family), 0, 0)
				if len(found) == 0 || fmt.Sprint(found[0].Value[1]) != fmt.Sprint(count) {
					return false
				}
			}
			return true
		})
	}
	sees()
	maps.Copy(first, l.truth)

	one, two, three := replicas[0], replicas[1], replicas[2]
	l.happen(30, 4, projects...)
	one.signal(t, syscall.SIGTERM)
	<-one.ended
	l.happen(30, 6, projects...)
	one.run(t, program, config)
	l.happen(30, 8, projects...)
	two.signal(t, syscall.SIGKILL)
	<-two.ended
	l.happen(100, 10, projects...) // longer than its leases last
	two.run(t, program, config)
	l.happen(30, 12, projects...)
	three.signal(t, syscall.SIGSTOP)
	l.happen(140, 14, projects...)
	three.signal(t, syscall.SIGCONT)
	l.happen(30, 16, projects...)
	for _, r := range replicas {
		r.signal(t, syscall.SIGTERM)
		<-r.ended
		r.run(t, program, config)
		l.happen(20, 18, projects...)
	}
	sees()

	for _, family := range slices.Sorted(maps.Keys(l.truth)) {
		truth := l.truth[family] - first[family]
		seen := s.number(t, fmt.Sprintf("sum(increase(%s[10m]))", family))
		grown := 0.0
		for _, series := range s.query(t, family+"[10m]", 0, 0) {
			grown += growth(t, series)
		}
		t.Logf("%s: %v happened, increase() sees %.1f", family, truth, seen)
		assert.Equal(t, truth, grown, family)
		assert.InEpsilon(t, truth, seen, 0.04, family) // increase() adds half an interval at each end
	}
	assert.Len(t, s.query(t, `count by (instance, pod, node, container) (count_over_time(workspace_login_attempts_total[10m]))`, 0, 0), 1)
	assert.Len(t, s.query(t, `count by (instance) (count_over_time(workspace_exporter_build_info[10m]))`, 0, 0), len(replicas), "what is said of an exporter stays its own")
	for what, expr := range map[string]string{
		"each project has one holder":       `count(sum by (project) (workspace_exporter_lease_held) == 1) == %d`,
		"each source is on one replica":     `count(count by (project, source) (workspace_exporter_source_up == 1) == 1) == %d`,
		"each source is known to the rules": `count(source:workspace_exporter_source_last_success_timestamp_seconds:max) == %d`,
	} {
		s.prometheus.wait(t, "sees that "+what, 2*time.Minute, func() bool { return len(s.query(t, fmt.Sprintf(expr, len(projects)), 0, 0)) == 1 })
	}
	t.Logf("increase() of what the store has of the exporter's own: %.1f records", s.number(t, `sum(increase(workspace_exporter_records_total{disposition="counted"}[10m]))`))
	requests := s.number(t, `sum(increase(workspace_exporter_api_requests_total[10m]))`)
	asked := 0
	for _, n := range api.Calls() {
		asked += n
	}
	assert.LessOrEqual(t, requests, 1.04*float64(asked), "counters of a process stay where they were counted, and count nothing twice")
	assert.NotContains(t, s.prometheus.log.String(), "Evaluating rule failed")
	assert.Empty(t, s.query(t, `ALERTS{alertstate="firing"}`, 0, 0))
}

// growth is by how much a counter has grown in its samples, in which it may never fall.
func growth(t *testing.T, s sample) float64 {
	t.Helper()
	var first, last float64
	for i, v := range s.Values {
		value, err := strconv.ParseFloat(v[1].(string), 64)
		require.NoError(t, err)
		if i == 0 {
			first, last = value, value
		}
		assert.GreaterOrEqual(t, value, last, s.Metric)
		last = value
	}
	return last - first
}
