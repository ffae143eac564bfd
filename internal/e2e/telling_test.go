package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// symptoms are a row of the table "What is wrong, from /metrics alone" of docs/runbooks.md.
type symptoms struct {
	up, failing, throttled, late, counted string
}

// runbook reads the table.
func runbook(t *testing.T) map[string]symptoms {
	text, err := os.ReadFile("../../docs/runbooks.md")
	require.NoError(t, err)
	_, after, found := strings.Cut(string(text), "\n## What is wrong, from /metrics alone\n")
	require.True(t, found)
	section, _, _ := strings.Cut(after, "\n### ")
	rows := map[string]symptoms{}
	for _, row := range regexp.MustCompile(`(?m)^\| (.+) \| (\w+) \| (.+) \| (\w+) \| (\w+) \| (\w+) \| .* \|$`).FindAllStringSubmatch(section, -1) {
		rows[row[1]] = symptoms{row[2], row[3], row[4], row[5], row[6]}
	}
	require.Len(t, rows, 6)
	return rows
}

// fit reports whether what two scrapes show is what the row says.
func (s symptoms) fit(before, after series) bool {
	moves := func(want string, metric func(series) float64) bool {
		grown := metric(after) > metric(before)
		return want == "any" || want == "grows" && grown || want == "stands" && !grown
	}
	failing := "nothing"
	for key, value := range after.named("workspace_exporter_source_failing") {
		if value == 1 {
			failing = regexp.MustCompile(`reason="(\w+)"`).FindStringSubmatch(key)[1]
		}
	}
	up := map[float64]string{0: "0", 1: "1"}[after.sum("workspace_exporter_source_up")]
	return (s.up == "any" || s.up == up) && strings.Contains(strings.ReplaceAll(s.failing, "`", "")+",", failing+",") &&
		moves(s.throttled, func(m series) float64 { return m.sum("workspace_exporter_api_requests_total", `code="429"`) }) &&
		moves(s.late, func(m series) float64 {
			return m.sum("workspace_exporter_record_delay_seconds_count") - m.sum("workspace_exporter_record_delay_seconds_bucket", `le="300"`)
		}) &&
		moves(s.counted, func(m series) float64 {
			return m.sum("workspace_exporter_records_total", `disposition="counted"`)
		})
}

// The problem can be diagnosed from two scrapes alone, by the table of the runbooks.
func TestFaultsCanBeToldApart(t *testing.T) {
	t.Parallel()
	rows := runbook(t)
	put := func(ago time.Duration) func(*world) {
		return func(w *world) { w.put(spread(100, 20, time.Now().Add(-ago), 0)...) }
	}
	fault := func(f simulator.Fault) func(*world) {
		return func(w *world) {
			put(time.Minute)(w)
			w.AddFault(f)
		}
	}
	for name, c := range map[string]struct {
		matter  string
		happens func(*world)
		options simulator.Options
	}{
		"503":                    {"API down", fault(simulator.Fault{Kind: simulator.FaultError}), simulator.Options{}},
		"no connection":          {"API down", fault(simulator.Fault{Kind: simulator.FaultDrop}), simulator.Options{}},
		"no answer":              {"API down", fault(simulator.Fault{Kind: simulator.FaultHang}), simulator.Options{}},
		"403":                    {"no permission", put(time.Minute), simulator.Options{Denied: []string{"workspace:session:listUserConnection"}}},
		"401":                    {"no permission", fault(simulator.Fault{Kind: simulator.FaultError, Status: 401}), simulator.Options{}},
		"429 always":             {"throttled", fault(simulator.Fault{Kind: simulator.FaultError, Status: 429, Code: "APIGW.0308", RetryAfter: "1"}), simulator.Options{}},
		"429 now and then":       {"throttled", fault(simulator.Fault{Kind: simulator.FaultError, Status: 429, Code: "APIGW.0308", RetryAfter: "1", Times: 1}), simulator.Options{}},
		"ten minutes late":       {"records late", put(10 * time.Minute), simulator.Options{}},
		"nothing":                {"nothing happened", func(*world) {}, simulator.Options{}},
		"a minute late, a crowd": {"all is well", put(time.Minute), simulator.Options{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.options, nil)
			w.put(spread(0, 20, time.Now().Add(-30*time.Minute), time.Second)...)
			s := setup{URL: w.url}
			if name == "no answer" {
				s.RequestTimeout = "1s"
			}
			e := runExporter(t, s)
			result := "success"
			if len(c.options.Denied) > 0 {
				result = "error"
			}
			e.pollsEnd(project, "user_connections", result, 1)
			before := e.metrics()
			c.happens(w)
			diagnoses := func() (fitting []string) {
				after := e.metrics()
				for matter, row := range rows {
					if row.fit(before, after) {
						fitting = append(fitting, matter)
					}
				}
				return fitting
			}
			want := []string{c.matter}
			eventually(t, "it can be diagnosed: "+c.matter, func() bool { return assert.ObjectsAreEqual(want, diagnoses()) })
			if c.matter == "nothing happened" {
				e.polls(project, 3)
			}
			assert.Equal(t, want, diagnoses())
		})
	}
}

// A server's clock that leaps ahead is logged, and costs no record, then or when it is right
// again.
func TestAClockThatLeapsIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 20, time.Now().Add(-5*time.Minute), time.Second)...)
	e := runExporter(t, setup{URL: w.url, Sources: by("query", "poll_interval: 300ms")})
	e.shows(w)
	const metric = "workspace_exporter_server_clock_ahead_seconds"
	fault := w.AddFault(simulator.Fault{Kind: simulator.FaultSkew, Seconds: 7200})
	eventually(t, "it is shown", func() bool { return e.metrics().sum(metric) > 7000 })
	assert.Contains(t, e.logs.String(), "the server's clock and the local one disagree")
	w.put(spread(100, 20, time.Now().Add(-time.Minute), time.Second)...)
	e.shows(w)
	w.RemoveFault(fault)
	eventually(t, "it is over", func() bool { return e.metrics().sum(metric) < 60 })
	w.put(spread(200, 20, time.Now().Add(-time.Minute), time.Second)...)
	e.shows(w)
	assert.Zero(t, e.metrics().sum("workspace_exporter_polls_total", `"error"`))
}

// Every fault of the API that lasts leaves a reason in the metrics, and a line in the
// log that says in words what is the matter; and both end with it.
func TestEveryFaultTells(t *testing.T) {
	t.Parallel()
	tokens := simulator.Options{Domain: "example-domain", User: "example-user", Password: "example-password-0001", TaskDuration: atOnce}
	for name, c := range map[string]struct {
		fault  simulator.Fault
		reason string
		says   []string
	}{
		"error":       {simulator.Fault{Kind: simulator.FaultError, Status: 502}, "server_error", []string{"502 Bad Gateway", "X-Request-Id"}},
		"throttled":   {simulator.Fault{Kind: simulator.FaultError, Status: 429, Code: "APIGW.0308", RetryAfter: "1"}, "throttled", []string{"429 Too Many Requests", "lower the rate limit"}},
		"401":         {simulator.Fault{Kind: simulator.FaultError, Status: 401}, "credentials", []string{"401 Unauthorized", "check"}},
		"403":         {simulator.Fault{Kind: simulator.FaultError, Status: 403}, "permission", []string{"403 Forbidden", "grant the permission workspace:session:exportUserConnection"}},
		"404":         {simulator.Fault{Kind: simulator.FaultError, Status: 404}, "refused", []string{"404 Not Found", "check the project id and the endpoint"}},
		"hang":        {simulator.Fault{Kind: simulator.FaultHang}, "unreachable", []string{"no complete answer within 1s"}},
		"drop":        {simulator.Fault{Kind: simulator.FaultDrop}, "unreachable", []string{"EOF"}},
		"drop_body":   {simulator.Fault{Kind: simulator.FaultDropBody}, "unreachable", []string{"reading the answer", "unexpected EOF"}},
		"slow":        {simulator.Fault{Kind: simulator.FaultSlow, Seconds: 20}, "unreachable", []string{"no complete answer within 1s"}},
		"truncate":    {simulator.Fault{Kind: simulator.FaultTruncate}, "unreadable", []string{"unexpected EOF"}},
		"oversize":    {simulator.Fault{Kind: simulator.FaultOversize}, "unreadable", []string{"larger than 32 MiB"}},
		"garbage":     {simulator.Fault{Kind: simulator.FaultGarbage}, "unreadable", []string{"200 OK", "<html>"}},
		"empty":       {simulator.Fault{Kind: simulator.FaultEmpty}, "unreadable", []string{"200 OK"}},
		"task_fail":   {simulator.Fault{Kind: simulator.FaultTaskFail, Message: "The disk is full.", Code: "WKS.1"}, "export_task", []string{"FAIL", "The disk is full.", "WKS.1"}},
		"task_expire": {simulator.Fault{Kind: simulator.FaultTaskExpire}, "export_task", []string{"EXPIRED"}},
		"task_hang":   {simulator.Fault{Kind: simulator.FaultTaskHang}, "export_task", []string{"still CREATING after 3s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tokens, nil)
			w.put(spread(0, 20, time.Now().Add(-5*time.Minute), time.Second)...)
			timeout := "30s"
			if name == "hang" || name == "slow" {
				timeout = "1s"
			}
			e := runExporter(t, setup{URL: w.url, RequestTimeout: timeout, Credentials: withPassword,
				Sources: by("export", "poll_interval: 1s", "export_timeout: 3s")})
			e.shows(w)
			if !strings.HasPrefix(name, "task_") {
				c.fault.Path = "/v1/" // tokens and tasks are well
			}
			fault := w.AddFault(c.fault)
			failing := func(reason string) float64 {
				return e.only("workspace_exporter_source_failing").sum("workspace_exporter_source_failing", `reason="`+reason+`"`)
			}
			eventually(t, "the reason is shown", func() bool { return failing(c.reason) == 1 })
			assert.Equal(t, 1.0, e.only("workspace_exporter_source_failing").sum("workspace_exporter_source_failing"), "there is one reason")
			var line string
			for _, l := range strings.Split(e.logs.String(), "\n") {
				if strings.Contains(l, "poll failed") && strings.Contains(l, "reason="+c.reason+" ") {
					line = l
				}
			}
			assert.True(t, containsAll(line, c.says...), "%q in %q", c.says, line)
			w.RemoveFault(fault)
			eventually(t, "there is no reason any more", func() bool {
				m := e.only("workspace_exporter_source_failing", "workspace_exporter_source_up")
				return m.sum("workspace_exporter_source_failing") == 0 && m.sum("workspace_exporter_source_up") == 1
			})
			e.shows(w)
		})
	}
}
