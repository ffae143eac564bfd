package e2e

import (
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

const (
	stagesPath       = "/v2/" + project + "/statistics/metrics/access-stages"
	stagesPermission = "workspace:statistics:getUserAccessStages"
)

// stagesSource reads desktop connections often, with so many questions for stages a minute.
func stagesSource(perMinute int) string {
	return fmt.Sprintf("{desktop_connections: {poll_interval: 300ms, mode: query, stages: {max_per_minute: %d}}}", perMinute)
}

const withoutStages = "{desktop_connections: {poll_interval: 300ms, mode: query}}"

// failedAt has the API show an access that failed at a stage.
func (w *world) failedAt(n int, stage, code string) {
	d := refused(n, time.Now().Add(-time.Minute), "No desktop is free.")
	w.PutStages(project, d.TransactionID, failedStages(d.UserName, moment(d.ConnectionStartTime), stage, code))
	w.PutDesktops(project, d)
}

// failedStages are those of an access of which the second failed.
func failedStages(user string, begun time.Time, stage, code string) simulator.AccessStages {
	at := begun.UnixMilli()
	return simulator.AccessStages{Username: user, BizType: "DESKTOP", Stages: []simulator.AccessStage{
		{Stage: "LOGIN", Duration: 10, IsSuccess: true, StartTime: at, EndTime: at + 10, ErrorCode: "WKS.00000000", ErrorMsg: "OK"},
		{Stage: stage, Duration: 10, StartTime: at + 10, EndTime: at + 20, ErrorCode: code, ErrorMsg: "login failed."},
	}}
}

func stageOf(stage, code string) string {
	return key("workspace_access_stage_failures_total", "project", project, "product", "desktop", "stage", stage, "error_code", code)
}

func lookupsOf(result string) string {
	return key("workspace_exporter_stage_lookups_total", "project", project, "source", "desktop_connections", "result", result)
}

func (e *exporter) showsStages(what string, want series) {
	e.t.Helper()
	var got series
	if !holdsWithin(patience, func() bool {
		got = e.only("workspace_access_stage_failures_total", "workspace_exporter_stage_lookups_total")
		maps.DeleteFunc(got, func(_ string, n float64) bool { return n == 0 })
		return maps.Equal(got, want)
	}) {
		require.Fail(e.t, "stages are not as they should be: "+what, "%v, and should be %v", got, want)
	}
}

// asksOnce makes sure that each of the accesses was asked for so often.
func asksOnce(t *testing.T, tap *tap, accesses int) {
	t.Helper()
	times := map[string]int{}
	for _, a := range tap.requests("/access-stages") {
		times[a.URL.Query().Get("transaction_id")]++
	}
	assert.Len(t, times, accesses)
	for id, n := range times {
		assert.Equal(t, 1, n, id)
	}
}

// Each failed access is asked for once, of either source, and counted by its stage.
func TestStages(t *testing.T) {
	t.Parallel()
	w, tap := tapped(t, simulator.Options{})
	for i := range 4 {
		w.failedAt(i, []string{"MAIN_AUTH", "MFA_AUTH"}[i%2], "WKS.7")
	}
	w.failedAt(4, "WARP_DRIVE", "42")
	w.PutDesktops(project, connected(5, time.Now().Add(-time.Minute)))
	w.PutApps(project, crashed(opened(6, time.Now().Add(-time.Minute)), "WKS.00160001"), opened(7, time.Now().Add(-time.Minute)))
	w.PutStages(project, "tx-6", simulator.AccessStages{BizType: "APP", Stages: []simulator.AccessStage{{Stage: "LOGIN", IsSuccess: true}}})
	nobody := refused(8, time.Now().Add(-time.Minute), "No desktop is free.")
	nobody.TransactionID = ""
	w.PutDesktops(project, nobody)
	sources := strings.TrimSuffix(stagesSource(30), "}") + ", app_connections: {poll_interval: 300ms, stages: {}}}"
	e := runExporter(t, setup{URL: w.url, Sources: sources})
	want := series{stageOf("MAIN_AUTH", "WKS.7"): 2, stageOf("MFA_AUTH", "WKS.7"): 2, stageOf("WARP_DRIVE", "42"): 1, lookupsOf("found"): 5, lookupsOf("no_transaction_id"): 1,
		key("workspace_exporter_stage_lookups_total", "project", project, "source", "app_connections", "result", "no_failed_stage"): 1}
	e.showsStages("all are asked for", want)
	e.restart()
	e.pollsEnd(project, "desktop_connections", "success", 2)
	e.showsStages("counters are stored", want)
	asksOnce(t, tap, 6)
	assert.NotContains(t, e.logs.String(), nobody.UserName)
	assert.Contains(t, e.logs.String(), "set mode: query")
	assert.Zero(t, e.metrics().sum("workspace_exporter_api_requests_total", "ShowUserAccessStages"), "since the restart")
}

// However records come, their accesses are asked for.
func TestStagesInEveryMode(t *testing.T) {
	t.Parallel()
	for _, sources := range []string{
		"{desktop_connections: {poll_interval: 300ms, stages: {}}}", "{desktop_connections: {poll_interval: 300ms, mode: export_v3, stages: {}}}",
		"{app_connections: {poll_interval: 300ms, mode: export, stages: {}}}", "{app_connections: {poll_interval: 300ms, export_threshold: 1, stages: {}}}",
	} {
		t.Run(sources, func(t *testing.T) {
			t.Parallel()
			w, tap := tapped(t, simulator.Options{TaskDuration: 100 * time.Millisecond})
			for i := range 3 {
				w.failedAt(i, "CONNECT", "7")
				use := crashed(opened(i, time.Now().Add(-time.Minute)), "WKS.00160001")
				w.PutApps(project, use)
				w.PutStages(project, use.TransactionID, failedStages(use.UserName, time.Now(), "CONNECT", "7"))
			}
			e := runExporter(t, setup{URL: w.url, Sources: sources})
			eventually(t, "each is counted by its stage", func() bool { return e.metrics().sum("workspace_access_stage_failures_total", "CONNECT") == 3 })
			asksOnce(t, tap, 3)
		})
	}
}

// The budget is that of a minute, and what it leaves out is counted and told.
func TestStagesKeepToTheirBudget(t *testing.T) {
	t.Parallel()
	w, tap := tapped(t, simulator.Options{})
	for i := range 10 {
		w.failedAt(i, "CONNECT", "7")
	}
	e := runExporter(t, setup{URL: w.url, Sources: stagesSource(3)})
	want := series{stageOf("CONNECT", "7"): 3, lookupsOf("found"): 3, lookupsOf("left_out"): 7}
	e.showsStages("as many as may be", want)
	w.failedAt(10, "CONNECT", "7")
	w.failedAt(11, "CONNECT", "7")
	reloaded := setup{URL: w.url, Sources: stagesSource(3), Lookback: "14m", Hold: "1ms"}
	e.configure(reloaded)
	e.signal(syscall.SIGHUP)
	e.pollsEnd(project, "desktop_connections", "success", 3)
	e.showsStages("a reload renews nothing", want)
	assert.Equal(t, 2.0, e.metrics().sum("workspace_exporter_stage_lookups_waiting"))
	asksOnce(t, tap, 3)
	assert.Equal(t, 1, strings.Count(e.logs.String(), "raise stages.max_per_minute"))
}

// When the API throttles questions for stages, these wait, and polls go on.
func TestThrottledStagesHoldUpNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	fault := w.AddFault(simulator.Fault{Kind: simulator.FaultError, Path: stagesPath, Status: 429, Code: "APIGW.0308", RetryAfter: "600"})
	w.failedAt(1, "CONNECT", "7")
	e := runExporter(t, setup{URL: w.url, Sources: stagesSource(30)})
	throttled := func() float64 {
		return e.metrics().sum("workspace_exporter_api_requests_total", "ShowUserAccessStages", `"429"`)
	}
	eventually(t, "a question is refused", func() bool { return throttled() == 1 })
	e.pollsEnd(project, "desktop_connections", "success", 5)
	w.RemoveFault(fault)
	w.failedAt(2, "CONNECT", "7")
	e.pollsEnd(project, "desktop_connections", "success", 3)
	m := e.metrics()
	assert.Equal(t, 2.0, m.sum("workspace_exporter_stage_lookups_waiting"))
	assert.Zero(t, m.sum("workspace_exporter_source_failing"))
	assert.Equal(t, 1.0, throttled(), "nobody asks before that time")
	assert.Equal(t, 1, strings.Count(e.logs.String(), "throttles questions for the stages"))

	// Another process does not know of the pause.
	e.restart()
	e.showsStages("what waited is asked for", series{stageOf("CONNECT", "7"): 2, lookupsOf("found"): 2})
}

// A missing permission is told once, with its name, and is no failure of polls.
func TestStagesWithoutThePermission(t *testing.T) {
	t.Parallel()
	w, tap := tapped(t, simulator.Options{Denied: []string{stagesPermission}})
	for i := range 3 {
		w.failedAt(i, "CONNECT", "7")
	}
	e := runExporter(t, setup{URL: w.url, Sources: stagesSource(30)})
	e.showsStages("one is asked for", series{lookupsOf("denied"): 1})
	e.pollsEnd(project, "desktop_connections", "success", 3)
	m := e.metrics()
	assert.Zero(t, m.sum("workspace_exporter_source_failing"))
	assert.Equal(t, 1.0, m.sum("workspace_exporter_source_up"))
	assert.Equal(t, 1, strings.Count(e.logs.String(), "grant "+stagesPermission+" to the owner"))
	asksOnce(t, tap, 1)
	code, out, _ := command(t, e.dir, "doctor", "--config.file="+e.configFile())
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "WRONG: ShowUserAccessStages")
	assert.Contains(t, out, "grant the permission "+stagesPermission)
}

// The doctor asks for stages where there is an access to ask for.
func TestDoctorAsksForStages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	e := install(t, setup{URL: w.url, Sources: stagesSource(30)})
	code, out, _ := command(t, e.dir, "doctor", "--config.file="+e.configFile())
	assert.Equal(t, 0, code, out)
	assert.Contains(t, out, "not tried, since no access has a transaction_id: permission "+stagesPermission)
	w.failedAt(1, "CONNECT", "7")
	code, out, _ = command(t, e.dir, "doctor", "--config.file="+e.configFile())
	assert.Equal(t, 0, code, out)
	assert.Contains(t, out, "ok: permission "+stagesPermission+" is granted")
}

// A crash while the API is silent costs no count; then the access is asked for again. To end
// takes no time.
func TestStagesSurviveACrash(t *testing.T) {
	t.Parallel()
	w, tap := tapped(t, simulator.Options{})
	silent := w.AddFault(simulator.Fault{Kind: simulator.FaultHang, Path: stagesPath})
	for i := range 3 {
		w.failedAt(i, "CONNECT", "7")
	}
	e := runExporter(t, setup{URL: w.url, Sources: stagesSource(30), RequestTimeout: "5m"})
	asked := func(n int) func() bool { return func() bool { return len(tap.requests("/access-stages")) == n } }
	eventually(t, "one is asked for", asked(1))
	e.pollsEnd(project, "desktop_connections", "success", 3)
	e.kill()
	e.start()
	eventually(t, "it is asked for again", asked(2))
	assert.Equal(t, 3.0, e.metrics().sum("workspace_exporter_stage_lookups_waiting"))
	begun := time.Now()
	require.Equal(t, 0, e.stop())
	assert.Less(t, time.Since(begun), 30*time.Second)
	e.kill()
	w.RemoveFault(silent)
	e.start()
	e.showsStages("each is counted once", series{stageOf("CONNECT", "7"): 3, lookupsOf("found"): 3})
}

// A reload turns them on and off; what is counted stays.
func TestReloadTurnsStagesOnAndOff(t *testing.T) {
	t.Parallel()
	w, tap := tapped(t, simulator.Options{})
	w.failedAt(1, "CONNECT", "7")
	e := runExporter(t, setup{URL: w.url, Sources: withoutStages})
	change := func(sources string, n int) {
		e.configure(setup{URL: w.url, Sources: sources})
		e.signal(syscall.SIGHUP)
		eventually(t, "the configuration is reloaded", func() bool { return strings.Count(e.logs.String(), `msg="configuration reloaded"`) == n })
		e.pollsEnd(project, "desktop_connections", "success", 2)
	}
	e.pollsEnd(project, "desktop_connections", "success", 2)
	assert.Empty(t, e.metrics().named("workspace_exporter_stage_lookups_total"))

	change(stagesSource(30), 1)
	w.failedAt(2, "CONNECT", "7")
	want := series{stageOf("CONNECT", "7"): 1, lookupsOf("found"): 1}
	e.showsStages("those that fail from now on", want)
	silent := w.AddFault(simulator.Fault{Kind: simulator.FaultHang, Path: stagesPath})
	w.failedAt(3, "CONNECT", "7")
	eventually(t, "the API is silent", func() bool { return len(tap.requests("/access-stages")) == 2 })
	w.RemoveFault(silent)

	change(withoutStages, 2)
	w.failedAt(4, "CONNECT", "7")
	want[lookupsOf("left_out")] = 1
	e.showsStages("what waited is left out", want)
	change(stagesSource(30), 3)
	w.failedAt(5, "CONNECT", "7")
	want[stageOf("CONNECT", "7")]++
	want[lookupsOf("found")]++
	e.showsStages("and on again", want)
	assert.NotContains(t, e.logs.String(), "does not know; it is kept")
}

// Run once, it asks for what the budget allows.
func TestStagesOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.failedAt(1, "CONNECT", "7")
	e := install(t, setup{URL: w.url, Sources: stagesSource(30)})
	code, out, _ := command(t, e.dir, "--config.file="+e.configFile(), "--once")
	assert.Equal(t, 0, code)
	assert.Equal(t, 1.0, parse(t, out)[stageOf("CONNECT", "7")])
}
