package stack

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	servers  = flag.Bool("servers", false, "test with a real Prometheus and Alertmanager, in real time: 9 minutes")
	recovery = flag.Bool("recovery", false, "wait, too, until the alert is resolved: 45 minutes")
)

// What the rules promise: with a scrape every 30 s and an evaluation every minute, an
// alert about a group of which most logins fail is at Alertmanager so long after the
// failures began, and is resolved so long after they ended.
const (
	alarmWithin    = 8 * time.Minute
	resolvedWithin = 25 * time.Minute
)

// process is a server that runs beside the test.
type process struct {
	name, url string
	command   *exec.Cmd
	log       buffer
	ended     chan struct{}
}

var listening = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// start runs a server until the test ends.
func start(t *testing.T, name, program string, args ...string) *process {
	t.Helper()
	command := exec.Command(program, append(args, "--web.listen-address=127.0.0.1:0")...)
	// What scripts/tool has unpacked finds its files from the folder it was unpacked to.
	if root, unpacked := strings.CutSuffix(program, "/usr/bin/"+filepath.Base(program)); unpacked {
		command.Dir = root
	}
	p := &process{name: name, command: command, ended: make(chan struct{})}
	command.Stdout, command.Stderr = &p.log, &p.log
	require.NoError(t, command.Start())
	go func() {
		_ = command.Wait() // it is killed
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill() // it may have ended already
		<-p.ended
		if t.Failed() {
			text := p.log.String()
			t.Logf("the end of the log of %s:\n%s", name, text[max(0, len(text)-3000):])
		}
	})
	p.wait(t, "listens", time.Minute, func() bool {
		m := listening.FindStringSubmatch(p.log.String())
		if m != nil {
			p.url = "http://" + m[1]
		}
		return m != nil
	})
	p.wait(t, "is ready", time.Minute, func() bool {
		resp, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// wait waits for something that the server should come to.
func (p *process) wait(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	deadline := time.After(within)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-p.ended:
			require.Fail(t, p.name+" has ended", p.log.String())
		case <-deadline:
			require.Fail(t, fmt.Sprintf("%s: within %s it has not come true that it %s", p.name, within, what))
		}
	}
}

// get asks for JSON.
func (p *process) get(t *testing.T, path string, parameters url.Values, into any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path+"?"+parameters.Encode(), nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err, p.name)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s %s: %s", path, parameters, body)
	require.NoError(t, json.Unmarshal(body, into), "%s", body)
}

// buffer collects what a server writes.
type buffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// tool is the path of a program that scripts/tool brings.
func tool(t *testing.T, name string) string {
	t.Helper()
	command := exec.Command("../../scripts/tool", name)
	command.Stderr = os.Stderr
	out, err := command.Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// writeFile writes a file that another program reads, whole or not at all.
func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	name = filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(name+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(name+".new", name))
	return name
}

// startPrometheus runs a Prometheus until the test ends.
func startPrometheus(t *testing.T, data, config string, args ...string) *process {
	t.Helper()
	return start(t, "Prometheus", tool(t, "prometheus"), append(args, "--config.file="+config, "--storage.tsdb.path="+data)...)
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", program, args, out)
}

// prometheusConfig scrapes the demo so often that a series which is held at 0 for 5 s
// is seen at 0. The rules are those of the repository, as they are.
const prometheusConfig = `
global: {scrape_interval: 2s, evaluation_interval: %s}
rule_files: [%s]
alerting: {alertmanagers: [{static_configs: [{targets: ["%s"]}]}]}
scrape_configs:
  - job_name: workspace
    static_configs: [{targets: ["%s"], labels: {%s}}]
`

// operatorLabels are those that the Prometheus operator gives to what it scrapes.
const operatorLabels = "namespace: monitoring, pod: workspace-exporter-0, container: exporter, endpoint: http, service: workspace-exporter"

// stack is the demo with all that an administrator puts behind it.
type stack struct {
	exporter, prometheus, alertmanager *process

	// native is a Prometheus that keeps native histograms alone, of a target with the
	// operator's labels.
	native *process

	began time.Time     // the demo
	cycle time.Duration // of its incidents
}

func startStack(t *testing.T, cycle time.Duration) *stack {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "workspace_exporter")
	run(t, "go", "build", "-o", program, "../..")
	prometheus, alertmanager := tool(t, "prometheus"), tool(t, "prometheus-alertmanager")
	data := filepath.Join(dir, "prometheus")
	writePast(t, data)

	s := &stack{cycle: cycle}
	example, err := filepath.Abs("../../dashboards/rules/alertmanager.example.yml")
	require.NoError(t, err)
	s.alertmanager = start(t, "Alertmanager", alertmanager, "--config.file="+example,
		"--storage.path="+filepath.Join(dir, "alertmanager"), "--cluster.listen-address=")
	s.began = time.Now()
	s.exporter = start(t, "the demo", program, "demo", "--cycle="+cycle.String())
	file, err := filepath.Abs(rulesFile)
	require.NoError(t, err)
	watch := func(name, evaluate, alertmanager, labels, data string, args ...string) *process {
		config := filepath.Join(dir, name+".yml")
		text := fmt.Sprintf(prometheusConfig, evaluate, file, strings.TrimPrefix(alertmanager, "http://"), strings.TrimPrefix(s.exporter.url, "http://"), labels)
		require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
		return start(t, name, prometheus, append(args, "--config.file="+config, "--storage.tsdb.path="+data, "--storage.tsdb.retention.time=60d")...)
	}
	s.prometheus = watch("Prometheus", "10s", s.alertmanager.url, "", data)
	s.native = watch("Prometheus with native histograms", "30s", "http://127.0.0.1:1", operatorLabels, filepath.Join(dir, "native"), "--enable-feature=native-histograms")
	return s
}

// at is the time at which so much of the demo's cycle has passed.
func (s *stack) at(share float64) time.Time {
	return s.began.Add(time.Duration(share * float64(s.cycle)))
}

// writePast makes blocks of three weeks and a day of another exporter of the same project: what
// the rules compare today with. Its logins end half an hour ago, and its cursors now.
func writePast(t *testing.T, data string) {
	t.Helper()
	const step = time.Minute
	now := time.Now()
	from := now.Add(-22 * 24 * time.Hour)
	file := filepath.Join(t.TempDir(), "past.om")
	f, err := os.Create(file)
	require.NoError(t, err)
	defer f.Close()
	write := func(name, kind, sample, labels string, value func(i int, at int64) float64) {
		if kind != "" {
			fmt.Fprintf(f, "# TYPE %s %s\n", name, kind)
		}
		i, to := 0, now
		if strings.HasSuffix(sample, "_total") {
			to = now.Add(-30 * time.Minute)
		}
		for at := from; at.Before(to); at = at.Add(step) {
			fmt.Fprintf(f, "%s{job=\"workspace\",instance=\"past\",project=\"demo\",%s} %g %d\n", sample, labels, value(i, at.Unix()), at.Unix())
			i++
		}
	}
	grows := func(by float64) func(int, int64) float64 {
		return func(i int, _ int64) float64 { return float64(i) * by }
	}
	is := func(_ int, at int64) float64 { return float64(at) }
	const attempts, failures, server, cursor = "workspace_login_attempts", "workspace_login_failures", "workspace_server_login_", "workspace_exporter_source_cursor_timestamp_seconds"
	write(attempts, "counter", attempts+"_total", `product="app_streaming",desktop_group="Call Center"`, grows(1))
	write(attempts, "", attempts+"_total", `product="desktop",desktop_group=""`, grows(1))
	write(failures, "counter", failures+"_total", `product="app_streaming",desktop_group="Call Center",failed_code="WKS.40010001"`, grows(0.02))
	write(failures, "", failures+"_total", `product="desktop",desktop_group="",failed_code="the_username_or_password_is_incorrect"`, grows(0.02))
	write(server+"attempts", "counter", server+"attempts_total", `product="app_streaming",desktop_group="Call Center",machine_name="past"`, grows(1))
	write(server+"failures", "counter", server+"failures_total", `product="app_streaming",desktop_group="Call Center",machine_name="past",failed_code="WKS.40010001"`, grows(0.02))
	write(cursor, "gauge", cursor, `source="user_connections"`, is)
	write(cursor, "", cursor, `source="desktop_connections"`, is)
	_, err = fmt.Fprintln(f, "# EOF")
	require.NoError(t, err)
	run(t, tool(t, "promtool"), "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=720h", "--quiet", file, data)
}

// sample is an element of a vector, or the last one of a series.
type sample struct {
	Metric map[string]string
	Value  [2]any
	Values [][2]any
}

// query asks for an expression now, or over a span up to now.
func (s *stack) query(t *testing.T, expr string, span, step time.Duration) []sample {
	t.Helper()
	return s.prometheus.query(t, expr, time.Now(), span, step)
}

// query asks a Prometheus for an expression at a time, or over a span up to it.
func (p *process) query(t *testing.T, expr string, now time.Time, span, step time.Duration) []sample {
	t.Helper()
	var answer struct {
		Data struct{ Result json.RawMessage }
	}
	path, parameters := "/api/v1/query", url.Values{"query": {expr}}
	if span > 0 {
		path += "_range"
		parameters.Set("start", fmt.Sprint(now.Add(-span.Truncate(step)).Unix()))
		parameters.Set("end", fmt.Sprint(now.Unix()))
		parameters.Set("step", fmt.Sprint(step.Seconds()))
	}
	if span == 0 {
		parameters.Set("time", fmt.Sprint(now.Unix()))
	}
	p.get(t, path, parameters, &answer)
	var result []sample
	require.NoError(t, json.Unmarshal(answer.Data.Result, &result), "%s is no vector", expr)
	return result
}

// find is query, a few times: a machine that is busy misses a scrape now and then, after
// which there is nothing until the next one.
func (s *stack) find(t *testing.T, expr string, span, step time.Duration) (result []sample) {
	t.Helper()
	return s.prometheus.find(t, expr, span, step)
}

func (p *process) find(t *testing.T, expr string, span, step time.Duration) (result []sample) {
	t.Helper()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for range 10 {
		if result = p.query(t, expr, time.Now(), span, step); len(result) > 0 {
			break
		}
		<-tick.C
	}
	return result
}

// number is an instant query with one answer.
func (s *stack) number(t *testing.T, expr string) float64 {
	t.Helper()
	result := s.find(t, expr, 0, 0)
	require.Len(t, result, 1, expr)
	var value float64
	_, err := fmt.Sscan(result[0].Value[1].(string), &value)
	require.NoError(t, err)
	return value
}

// alertAt asks Alertmanager whether an alert with the labels fires.
func (s *stack) alertAt(t *testing.T, labels map[string]string) (annotations map[string]string, fires bool) {
	t.Helper()
	var all []struct {
		Labels, Annotations map[string]string
		EndsAt              time.Time
	}
	s.alertmanager.get(t, "/api/v2/alerts", nil, &all)
	for _, a := range all {
		if isPart(labels, a.Labels) {
			return a.Annotations, true
		}
	}
	return nil, false
}
