package e2e

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

func TestEveryFaultHealsWithoutLoss(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault simulator.Fault
		code  string // of the requests that failed, in api_requests_total
	}{
		"503":                         {simulator.Fault{Kind: simulator.FaultError, Status: 503, Times: 2}, "503"},
		"500":                         {simulator.Fault{Kind: simulator.FaultError, Status: 500, Times: 6}, "500"},
		"400":                         {simulator.Fault{Kind: simulator.FaultError, Status: 400, Times: 2}, "400"},
		"429 with Retry-After":        {simulator.Fault{Kind: simulator.FaultError, Status: 429, Code: "APIGW.0308", RetryAfter: "1", Times: 2}, "429"},
		"429 without Retry-After":     {simulator.Fault{Kind: simulator.FaultError, Status: 429, Code: "APIG.0308", Times: 1}, "429"},
		"hang":                        {simulator.Fault{Kind: simulator.FaultHang, Times: 2}, "error"},
		"hang up":                     {simulator.Fault{Kind: simulator.FaultHang, Seconds: 0.3, Times: 5}, "error"},
		"drop":                        {simulator.Fault{Kind: simulator.FaultDrop, Times: 3}, "error"},
		"drop_body":                   {simulator.Fault{Kind: simulator.FaultDropBody, Times: 3}, "200"},
		"truncate":                    {simulator.Fault{Kind: simulator.FaultTruncate, Times: 5}, "200"},
		"oversize":                    {simulator.Fault{Kind: simulator.FaultOversize, Times: 1}, "200"},
		"garbage":                     {simulator.Fault{Kind: simulator.FaultGarbage, Times: 5}, "200"},
		"slow":                        {simulator.Fault{Kind: simulator.FaultSlow, Seconds: 0.5, Times: 3}, "200"},
		"slower than request_timeout": {simulator.Fault{Kind: simulator.FaultSlow, Seconds: 20, Times: 2}, "200"},
		"empty":                       {simulator.Fault{Kind: simulator.FaultEmpty, Times: 5}, "200"},
		"a count that is too high":    {simulator.Fault{Kind: simulator.FaultCount, Count: 7, Times: 20}, "200"},
		"a count that is too low":     {simulator.Fault{Kind: simulator.FaultCount, Count: -1, Times: 20}, "200"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Options{}, nil)
			from := time.Now().Add(-10 * time.Minute)
			w.put(spread(0, 70, from, time.Second)...)
			s := setup{URL: w.url}
			if name == "hang" || name == "slower than request_timeout" {
				s.RequestTimeout = "2s"
			}
			e := runExporter(t, s)
			e.polls(project, 1)
			w.AddFault(c.fault)
			w.put(spread(1000, 70, from.Add(30*time.Second), time.Second)...)
			eventually(t, "the fault is over", func() bool { return len(w.Faults()) == 0 })
			e.shows(w)
			m := e.metrics()
			assert.Positive(t, m.sum("workspace_exporter_api_requests_total", `code="`+c.code+`"`))
			assert.Equal(t, 1.0, m.sum("workspace_exporter_source_up"))
			assert.Empty(t, w.Violations())
		})
	}
}

// An answer with a wrong date must not move the cursor into the future: what happens
// until then would never be read.
func TestAnswersWithAWrongDateLoseNothing(t *testing.T) {
	t.Parallel()
	tokens := simulator.Options{Domain: "example-domain", User: "example-user", Password: "example-password-0001"}
	for name, c := range map[string]struct{ seconds, times int }{
		"an hour ahead, once":         {3600, 1},
		"an hour ahead, three times":  {3600, 3},
		"an hour behind, once":        {-3600, 1},
		"an hour behind, three times": {-3600, 3},
		"two minutes ahead, once":     {120, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tokens, nil) // with keys, a wrong clock makes signatures that are refused
			now := time.Now()
			w.put(spread(0, 30, now.Add(-10*time.Minute), time.Second)...)
			e := runExporter(t, setup{URL: w.url, Lookback: "1m", Credentials: withPassword})
			e.polls(project, 1)
			w.AddFault(simulator.Fault{Kind: simulator.FaultSkew, Seconds: float64(c.seconds), Times: c.times})
			eventually(t, "the fault is over", func() bool { return len(w.Faults()) == 0 })
			e.polls(project, 2)
			w.put(spread(100, 30, time.Now().Add(-40*time.Second), 0)...)
			e.shows(w)
			cursor := e.metrics().sum("workspace_exporter_source_cursor_timestamp_seconds")
			assert.LessOrEqual(t, cursor, float64(time.Now().Unix()+1), "the cursor is in the future")
		})
	}
}

func TestAFailureThatLastsLeavesEveryValueAndIsSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 50, time.Now().Add(-5*time.Minute), time.Second)...)
	e := runExporter(t, setup{URL: w.url})
	e.shows(w)
	fault := w.AddFault(simulator.Fault{Kind: simulator.FaultError, Status: 503, Message: "maintenance"})
	failed := func(n float64) func() bool {
		return func() bool { return e.metrics()[pollsOf(project, "error")] >= n }
	}
	eventually(t, "no poll that began before is under way", failed(1))
	before := e.metrics()
	want := w.expect()
	w.put(spread(100, 50, time.Now().Add(-5*time.Minute), time.Second)...)
	eventually(t, "polls fail", failed(3))
	m := e.metrics()
	assert.Empty(t, m.records().diff(want))
	assert.Zero(t, m.sum("workspace_exporter_source_up"))
	for _, name := range []string{"workspace_exporter_source_last_success_timestamp_seconds", "workspace_exporter_source_cursor_timestamp_seconds"} {
		assert.InDelta(t, before.sum(name), m.sum(name), 1)
	}
	assert.Equal(t, http.StatusOK, e.get("/-/ready").status)
	assert.Equal(t, http.StatusOK, e.get("/-/healthy").status)
	landing := e.get("/").body
	assert.Contains(t, landing, "503")
	assert.Contains(t, landing, "maintenance")
	w.RemoveFault(fault)
	e.shows(w)
	assert.NotContains(t, e.get("/").body, "maintenance")
}

const withPassword = "password: {domain: example-domain, user: example-user, password: example-password-0001}"

func TestARevokedTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{Domain: "example-domain", User: "example-user", Password: "example-password-0001"}, nil)
	w.put(spread(0, 20, time.Now().Add(-5*time.Minute), time.Second)...)
	e := runExporter(t, setup{URL: w.url, Credentials: withPassword})
	e.shows(w)
	w.RevokeTokens()
	w.put(spread(100, 20, time.Now().Add(-5*time.Minute), time.Second)...)
	e.shows(w)
	m := e.metrics()
	assert.Equal(t, 1.0, m.sum("workspace_exporter_api_requests_total", `code="401"`))
	assert.Equal(t, 2.0, m.sum("workspace_exporter_api_requests_total", `code="201"`))
	assert.Zero(t, m[pollsOf(project, "error")])
}

func TestAWrongPasswordIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{Domain: "example-domain", User: "example-user", Password: "another"}, nil)
	e := runExporter(t, setup{URL: w.url, Credentials: withPassword})
	eventually(t, "polls fail", func() bool { return e.metrics()[pollsOf(project, "error")] >= 1 })
	assert.Contains(t, e.get("/").body, "401")
	assert.NotContains(t, e.logs.String(), "example-password-0001")
	assert.Less(t, w.calls(), 20, "a wrong password must not be tried again and again")
}

func TestAMissingPermissionIsNamed(t *testing.T) {
	t.Parallel()
	const permission = "workspace:session:listUserConnection"
	w := newWorld(t, simulator.Options{Denied: []string{permission}}, nil)
	e := runExporter(t, setup{URL: w.url})
	eventually(t, "the log names the permission", func() bool {
		return containsAll(e.logs.String(), permission, "403")
	})
	assert.True(t, containsAll(e.get("/").body, permission, "403"))
	assert.Zero(t, e.metrics().sum("workspace_exporter_source_up"))
}

func TestOneProjectThatHangsDoesNotDelayAnother(t *testing.T) {
	t.Parallel()
	good := newWorld(t, simulator.Options{ProjectIDs: []string{"good", "bad"}}, nil)
	bad := good.another("bad")
	from := time.Now().Add(-5 * time.Minute)
	good.put(spread(0, 20, from, time.Second)...)
	bad.put(spread(0, 20, from, time.Second)...)
	fault := good.AddFault(simulator.Fault{Kind: simulator.FaultHang, Project: "bad"})
	e := runExporter(t, setup{URL: good.url, Projects: []string{"bad", "good"}, RequestTimeout: "30s"})
	eventually(t, "the good one is shown", func() bool { return len(e.metrics().records().diff(good.expect())) == 0 })
	good.put(spread(100, 20, from, time.Second)...)
	e.shows(good)
	e.polls("good", 5)
	assert.Zero(t, e.metrics().sum("workspace_exporter_polls_total", `project="bad"`))
	assert.Equal(t, http.StatusServiceUnavailable, e.get("/-/ready").status, "the bad one has neither succeeded nor failed yet")
	good.RemoveFault(fault)
}

// Not parallel: it measures time.
func TestAScrapeNeverWaitsForThePollAndNeverCallsTheAPI(t *testing.T) {
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 300, time.Now().Add(-10*time.Minute), time.Second)...)
	e := runExporter(t, setup{URL: w.url, RequestTimeout: "1m"})
	e.shows(w)
	w.AddFault(simulator.Fault{Kind: simulator.FaultHang})
	e.pollsNoMore(w)
	calls, took := w.calls(), make([]time.Duration, 40)
	for i := range took {
		begun := time.Now()
		e.get("/metrics")
		took[i] = time.Since(begun)
	}
	slices.Sort(took)
	assert.Less(t, took[len(took)/4], 200*time.Millisecond) // a quarter: the machine may be busy
	assert.Less(t, took[len(took)-1], 30*time.Second)
	assert.Equal(t, calls, w.calls())
}

func TestAnIdlePollIsOneRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 80, time.Now().Add(-10*time.Minute), time.Second)...)
	e := runExporter(t, setup{URL: w.url, Interval: "100ms"})
	e.shows(w)
	before := e.metrics()
	e.polls(project, 20)
	after := e.metrics()
	polls := after.sum("workspace_exporter_polls_total") - before.sum("workspace_exporter_polls_total")
	requests := after.sum("workspace_exporter_api_requests_total") - before.sum("workspace_exporter_api_requests_total")
	require.GreaterOrEqual(t, polls, 20.0)
	assert.InDelta(t, polls, requests, 1) // one scrape gives both: a poll under way has asked already
}
