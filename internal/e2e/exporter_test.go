package e2e

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long anything may take that should take a second: a busy machine has
// taken two minutes for ten seconds of work.
const patience = 5 * time.Minute

// endsWithin is how long the exporter may take to end after a SIGTERM, on a busy machine.
const endsWithin = 30 * time.Second

// setup is what the tests vary in a configuration. The zero value is a usual one
// that polls often.
type setup struct {
	URL                       string
	Projects                  []string // names, which are ids too; default "p"
	Interval, RequestTimeout  string
	Lookback, InitialLookback string
	PendingTimeout, Hold      string
	MaxSeries, Concurrency    int
	Credentials               string
	Storage                   string
	Postgres                  string // DSN, in place of Storage
	// Sources, in YAML, are those of every project. Default: user_connections.
	Sources string
	// More, in YAML, comes at the end.
	More string
}

var configTemplate = template.Must(template.New("config").Parse(`global:
  poll_interval: {{.Interval}}
  request_timeout: {{.RequestTimeout}}
storage:
{{- if .Postgres}}
  postgres: {dsn: "{{.Postgres}}", lease_duration: 4s}
{{- else}}
  path: {{.Storage}}
{{- end}}
projects:
{{- range .Projects}}
  - name: {{.}}
    project_id: {{.}}
    endpoints: {appstream: "{{$.URL}}", workspace: "{{$.URL}}", iam: "{{$.URL}}"}
    credentials:
      {{$.Credentials}}
    rate_limit: {requests_per_second: 1000, burst: 1000}
{{- if $.Concurrency}}
    concurrency: {{$.Concurrency}}
{{- end}}
    sources:
    {{- if $.Sources}} {{$.Sources}}{{else}}
      user_connections:
        lookback: {{$.Lookback}}
        initial_lookback: {{$.InitialLookback}}
        pending_timeout: {{$.PendingTimeout}}
    {{- end}}
{{- end}}
metrics:
  new_series_hold: {{.Hold}}
  max_series: {{.MaxSeries}}
{{.More}}
`))

// text is the configuration as a file.
func (s setup) text() string {
	if len(s.Projects) == 0 {
		s.Projects = []string{project}
	}
	s.Interval = cmp.Or(s.Interval, "300ms")
	s.RequestTimeout = cmp.Or(s.RequestTimeout, "30s") // a busy machine is no fault
	s.Lookback, s.InitialLookback = cmp.Or(s.Lookback, "15m"), cmp.Or(s.InitialLookback, "1h")
	s.PendingTimeout, s.Hold = cmp.Or(s.PendingTimeout, "1h"), cmp.Or(s.Hold, "0s")
	s.MaxSeries = cmp.Or(s.MaxSeries, 20000)
	s.Credentials = cmp.Or(s.Credentials, "aksk: {access_key: "+accessKey+", secret_key: "+secretKey+"}")
	s.Storage = cmp.Or(s.Storage, "data")
	var b strings.Builder
	if err := configTemplate.Execute(&b, s); err != nil {
		panic(err)
	}
	return b.String()
}

// buffer collects what the program writes.
type buffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	gone bool
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return 0, os.ErrClosed // the end of the pipe is closed then
	}
	return b.b.Write(p)
}

// goAway is what a reader does that ends before the program.
func (b *buffer) goAway() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = true
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// exporter is a folder with a configuration in it, and the program that runs there
// at the moment.
type exporter struct {
	t      *testing.T
	dir    string
	client *http.Client
	scheme string
	user   string   // for basic authentication, with password
	env    []string // more environment of the process

	process  *exec.Cmd
	log      *buffer // of the process
	ended    chan struct{}
	logs     buffer // of all processes
	mu       sync.Mutex
	hostPort string
}

// install makes a folder for an exporter.
func install(t *testing.T, s setup) *exporter {
	t.Helper()
	e := &exporter{t: t, dir: t.TempDir(), client: &http.Client{Timeout: patience}, scheme: "http"}
	e.configure(s)
	t.Cleanup(e.kill)
	return e
}

// runExporter makes a folder for an exporter and starts it.
func runExporter(t *testing.T, s setup, flags ...string) *exporter {
	t.Helper()
	e := install(t, s)
	e.start(flags...)
	return e
}

func (e *exporter) configFile() string { return filepath.Join(e.dir, "workspace_exporter.yml") }

// configure writes the configuration.
func (e *exporter) configure(s setup) { e.write("workspace_exporter.yml", s.text()) }

func (e *exporter) write(name, text string) {
	e.t.Helper()
	require.NoError(e.t, os.WriteFile(filepath.Join(e.dir, name), []byte(text), 0o600))
}

var listening = regexp.MustCompile(`msg="Listening on" address=(\S+)|"address":"([^"]+)",.*"msg":"Listening on"`)

// start runs the program and waits until it listens.
func (e *exporter) start(flags ...string) {
	e.t.Helper()
	e.launch(append([]string{"--config.file=" + e.configFile()}, flags...)...)
}

// launch is start with all of the flags but the address.
func (e *exporter) launch(flags ...string) {
	e.t.Helper()
	log := &buffer{}
	process := exec.Command(binary, append(flags, "--web.listen-address=127.0.0.1:0")...)
	process.Dir, process.Env = e.dir, append(os.Environ(), e.env...)
	process.Stdout, process.Stderr = io.MultiWriter(log, &e.logs), io.MultiWriter(log, &e.logs)
	require.NoError(e.t, process.Start())
	e.process, e.log, e.ended = process, log, make(chan struct{})
	go func(ended chan struct{}) {
		_ = process.Wait() // the exit code is in process
		close(ended)
	}(e.ended)
	var address []string
	eventually(e.t, "the exporter listens", func() bool {
		address = listening.FindStringSubmatch(log.String())
		return address != nil || e.hasEnded()
	})
	require.NotNil(e.t, address, "the exporter ended at once: %s", log)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hostPort = cmp.Or(address[1:]...)
}

func (e *exporter) hasEnded() bool {
	select {
	case <-e.ended:
		return true
	default:
		return false
	}
}

// kill ends the program as a crash does, and looks for what must not be in its log.
func (e *exporter) kill() {
	if e.process == nil {
		return
	}
	_ = e.process.Process.Kill() // it may have ended already
	<-e.ended
	e.process = nil
	for _, bad := range []string{"DATA RACE", "panic:", "goroutine 1 ["} {
		if strings.Contains(e.log.String(), bad) {
			e.t.Errorf("the log has %q:\n%s", bad, e.log)
		}
	}
	if e.t.Failed() {
		text := e.log.String()
		e.t.Logf("the end of the log:\n%s", text[max(0, len(text)-4000):])
	}
}

func (e *exporter) signal(s os.Signal) {
	e.t.Helper()
	require.NoError(e.t, e.process.Process.Signal(s))
}

// stop ends the program as an administrator does, and returns its exit code.
func (e *exporter) stop() int {
	e.t.Helper()
	e.signal(syscall.SIGTERM)
	return e.exitCode(patience)
}

// exitCode waits for the program to end.
func (e *exporter) exitCode(within time.Duration) int {
	e.t.Helper()
	select {
	case <-e.ended:
	case <-time.After(within):
		require.Fail(e.t, "the exporter does not end", "log: %s", e.log)
	}
	return e.process.ProcessState.ExitCode()
}

func (e *exporter) restart(flags ...string) {
	e.t.Helper()
	require.Equal(e.t, 0, e.stop(), "log: %s", e.log)
	e.kill()
	e.start(flags...)
}

// response is an answer of the exporter.
type response struct {
	status int
	header http.Header
	body   string
}

// request asks the exporter; the error is about the connection.
func (e *exporter) request(method, path string, header http.Header) (response, error) {
	return e.requestBy(e.client, method, path, header)
}

func (e *exporter) requestBy(client *http.Client, method, path string, header http.Header) (response, error) {
	e.mu.Lock()
	hostPort := e.hostPort
	e.mu.Unlock()
	r, err := http.NewRequest(method, e.scheme+"://"+hostPort+path, nil)
	if err != nil {
		return response{}, err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	if e.user != "" {
		r.SetBasicAuth(e.user, webPassword)
	}
	resp, err := client.Do(r)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return response{resp.StatusCode, resp.Header, string(body)}, err
}

func (e *exporter) get(path string) response {
	e.t.Helper()
	r, err := e.request(http.MethodGet, path, nil)
	require.NoError(e.t, err, "log: %s", e.log)
	return r
}

// metrics scrapes.
func (e *exporter) metrics() series {
	e.t.Helper()
	r := e.get("/metrics")
	require.Equal(e.t, http.StatusOK, r.status, r.body)
	return parse(e.t, r.body)
}

// polls waits until n more polls of a project have succeeded.
func (e *exporter) polls(name string, n float64) {
	e.t.Helper()
	e.pollsEnd(name, "user_connections", "success", n)
}

// pollsEnd waits until n more polls of a source have had a result.
func (e *exporter) pollsEnd(name, source, result string, n float64) {
	e.t.Helper()
	key := key("workspace_exporter_polls_total", "project", name, "source", source, "result", result)
	count := func() float64 { return e.only("workspace_exporter_polls_total")[key] }
	before := count()
	eventually(e.t, "polls of "+source+" end in "+result, func() bool { return count() >= before+n })
}

// only scrapes some metrics.
func (e *exporter) only(names ...string) series {
	e.t.Helper()
	r := e.get("/metrics?name[]=" + strings.Join(names, "&name[]="))
	require.Equal(e.t, http.StatusOK, r.status, r.body)
	return parse(e.t, r.body)
}

func pollsOf(name, result string) string {
	return key("workspace_exporter_polls_total", "project", name, "source", "user_connections", "result", result)
}

// shows waits until the record metrics are what the world's records make them, and
// makes sure that they stay so.
func (e *exporter) shows(w *world) {
	e.t.Helper()
	var diff []string
	compare := func() bool {
		diff = e.metrics().records().diff(w.expect())
		return len(diff) == 0
	}
	if !holdsWithin(patience, compare) {
		require.Fail(e.t, "the metrics are not what the records make them", strings.Join(diff, "\n"))
	}
	e.polls(w.name, 2)
	if !holdsWithin(patience, compare) { // a person may just be leaving a window; a counter that is wrong stays so
		require.Fail(e.t, "the metrics were right and are wrong two polls later", strings.Join(diff, "\n"))
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	if !holdsWithin(patience, ok) {
		require.Fail(t, "it never came true that "+what)
	}
}

func holdsWithin(d time.Duration, ok func() bool) bool {
	deadline, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.Done():
			return ok()
		case <-tick.C:
		}
	}
	return true
}

// command runs the program to its end.
func command(t *testing.T, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, binary, args...)
	c.Dir = dir
	var out, err bytes.Buffer
	c.Stdout, c.Stderr = &out, &err
	runErr := c.Run()
	require.NoError(t, ctx.Err(), "%v does not end", args)
	if runErr != nil {
		require.IsType(t, &exec.ExitError{}, runErr)
	}
	require.NotContains(t, err.String(), "DATA RACE")
	return c.ProcessState.ExitCode(), out.String(), err.String()
}

func containsAll(text string, parts ...string) bool {
	return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
}
