package e2e

import (
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

const allSources = "{user_connections: {mode: export}, sessions: {}, access_statistics: {settle: 1s}, desktop_connections: {}, app_connections: {}}"

func TestDoctorExaminesEverySource(t *testing.T) {
	t.Parallel()
	lists := map[string]string{
		"user_connections":    "workspace:session:listUserConnection",
		"sessions":            "workspace:session:listSessions",
		"access_statistics":   "workspace:statistics:listAppUserAccessData",
		"desktop_connections": "workspace:connections:securityList",
		"app_connections":     "workspace:session:listAppConnection",
	}
	exports := []string{"workspace:session:exportUserConnection", "workspace:session:exportSessions", "workspace:session:exportAppConnection",
		"workspace:statistics:exportAppUserAccessData", "workspace:connections:securityExport", "workspace:tenants:listExportTasks", "workspace:tenants:exportData"}
	examine := func(t *testing.T, denied ...string) (code int, stdout string) {
		w, tap := tapped(t, simulator.Options{Denied: denied})
		at := time.Now().Add(-time.Hour)
		w.put(started(1, at))
		w.PutSessions(project, session(1, "Active", at))
		w.PutAccess(project, access("user1", "7", 3, at))
		w.PutDesktops(project, connected(1, at))
		w.PutApps(project, opened(1, at))
		e := install(t, setup{URL: w.url, Sources: allSources})
		code, stdout, stderr := command(t, e.dir, "doctor")
		assert.Empty(t, w.Tasks(project), "it makes no exports")
		assert.Len(t, tap.requests(""), 6, "one call for each source, and one for export tasks")
		assert.NotContains(t, stdout+stderr, secretKey)
		return code, stdout
	}
	t.Run("all is well", func(t *testing.T) {
		t.Parallel()
		code, stdout := examine(t)
		assert.Zero(t, code, stdout)
		for source, permission := range lists {
			assert.Contains(t, stdout, project+"/"+source)
			assert.Contains(t, stdout, permission)
		}
		for _, permission := range exports {
			assert.Contains(t, stdout, permission, "it says what else is needed")
		}
		assert.Equal(t, 6, strings.Count(stdout, "ok:"), stdout)
		assert.Equal(t, 5, strings.Count(stdout, "newest of the 1 records"), stdout)
	})
	lists["export tasks"] = "workspace:tenants:listExportTasks"
	for source, permission := range lists {
		t.Run(permission, func(t *testing.T) {
			t.Parallel()
			code, stdout := examine(t, permission)
			assert.Equal(t, 5, strings.Count(stdout, "ok:"), stdout)
			if source == "sessions" || source == "access_statistics" || source == "desktop_connections" { // their polls read files alone
				assert.Zero(t, code, stdout)
				assert.Contains(t, stdout, "newest record: not known; the list shows it, and permission "+permission)
				return
			}
			assert.Equal(t, 1, code)
			_, after, found := strings.Cut("\n"+stdout, "\n"+project+"/"+source+"\n")
			require.True(t, found, stdout)
			wrong, _, _ := strings.Cut(after, "\n"+project+"/")
			assert.True(t, containsAll(wrong, "WRONG", permission, "403"), stdout)
		})
	}
}

// Of each permission that a mode needs, the error says that it is missing.
func TestAMissingExportPermissionIsNamed(t *testing.T) {
	t.Parallel()
	for permission, sources := range map[string]string{
		"workspace:session:exportUserConnection":       "{user_connections: {mode: export}}",
		"workspace:session:exportSessions":             "{sessions: {}}",
		"workspace:statistics:exportAppUserAccessData": "{access_statistics: {settle: 1s}}",
		"workspace:session:exportAppConnection":        "{app_connections: {mode: export}}",
		"workspace:connections:securityExport":         "{desktop_connections: {}}",
		"workspace:tenants:listExportTasks":            "{sessions: {}}",
		"workspace:tenants:exportData":                 "{sessions: {}}",
	} {
		t.Run(permission, func(t *testing.T) {
			t.Parallel()
			w, _ := tapped(t, simulator.Options{Denied: []string{permission}, TaskDuration: atOnce})
			e := install(t, setup{URL: w.url, Sources: sources})
			code, _, stderr := command(t, e.dir, "--once")
			assert.Equal(t, 1, code)
			assert.True(t, containsAll(stderr, permission, "403"), stderr)
		})
	}
	t.Run("to delete, which is not needed", func(t *testing.T) {
		t.Parallel()
		w, _ := tapped(t, simulator.Options{Denied: []string{"workspace:tenants:deleteExportTasks"}, TaskDuration: atOnce})
		e := runExporter(t, setup{URL: w.url, Sources: "{sessions: {poll_interval: 300ms}}"})
		e.pollsEnd(project, "sessions", "success", 3)
		assert.Equal(t, 1, strings.Count(e.log.String(), "export tasks cannot be deleted"), "it is logged once")
	})
}

// One source that fails delays none of the others.
func TestOneSourceThatFailsLeavesTheOthers(t *testing.T) {
	t.Parallel()
	w, _ := tapped(t, simulator.Options{TaskDuration: atOnce})
	w.AddFault(simulator.Fault{Kind: simulator.FaultHang, Path: "/v1/" + project + "/session/list-sessions"})
	w.put(spread(0, 20, time.Now().Add(-10*time.Minute), time.Second)...)
	e := runExporter(t, setup{URL: w.url, RequestTimeout: "60s", Sources: allSources})
	e.shows(w)
	e.pollsEnd(project, "access_statistics", "success", 1)
	e.pollsEnd(project, "desktop_connections", "success", 1)
	up := key("workspace_exporter_source_up", "project", project, "source", "sessions")
	m := e.metrics()
	assert.Zero(t, m[up])
	assert.Empty(t, m.named("workspace_server_sessions"))
}

// startDemo runs the demo, with a folder of its own for temporary files.
func startDemo(t *testing.T) *exporter {
	t.Helper()
	e := &exporter{t: t, dir: t.TempDir(), client: &http.Client{Timeout: patience}, scheme: "http"}
	e.env = []string{"TMPDIR=" + e.dir}
	t.Cleanup(e.kill)
	e.launch("demo")
	return e
}

// It is not parallel: the demo has a day of history to make and to read.
func TestTheDemoHasEverySourceUp(t *testing.T) {
	e := startDemo(t)
	eventually(t, "all sources are up", func() bool {
		m := e.metrics()
		return m.sum("workspace_exporter_source_up") == 7 && m.sum("workspace_access_failures_total") > 0
	})
	m := e.metrics()
	for _, name := range []string{
		"workspace_login_attempts_total", "workspace_login_failures_total", "workspace_server_sessions", "workspace_session_failures_total",
		"workspace_server_info", "workspace_server_max_sessions", "workspace_agent_latest_version_info", "workspace_desktops_by_login_state",
		"workspace_desktop_network_round_trip_seconds_count", "workspace_login_failure_code_info", "workspace_exporter_export_tasks_total",
		"workspace_app_launches_total", "workspace_app_launch_failures_total", "workspace_app_open", "workspace_app_use_duration_seconds_count", "workspace_app_launch_failure_code_info",
	} {
		assert.NotEmpty(t, m.named(name), name)
	}
	for _, product := range []string{`product="app_streaming"`, `product="desktop"`} {
		assert.Positive(t, m.sum("workspace_login_attempts_total", product), product)
	}
	assert.Zero(t, m.sum("workspace_exporter_polls_total", `"error"`))
	for _, bad := range []string{"level=error", "level=warn"} {
		assert.NotContains(t, e.log.String(), bad)
	}
	page := e.get("/").body
	assert.Contains(t, page, "Demo data")
	assert.NotContains(t, page, `class="unread"`, "it opens with a whole day")
	assert.NotContains(t, page, "not read")
	assert.Contains(t, page, "<dt>Sessions now</dt>")
	assert.Contains(t, e.log.String(), `msg="demo: open this address in a browser" url=http://`+e.hostPort+"/\n")
	assert.Equal(t, 0, e.stop())
	left, err := os.ReadDir(e.dir)
	require.NoError(t, err)
	assert.Empty(t, left, "no temporary folder is left")
}

// Closing its terminal ends the demo. What a killed one has left, the next removes.
func TestTheDemoLeavesNothingBehind(t *testing.T) {
	e := startDemo(t)
	folders := func() []string {
		found, err := filepath.Glob(filepath.Join(e.dir, "workspace_exporter-demo-*"))
		require.NoError(t, err)
		return found
	}
	e.kill()
	require.Len(t, folders(), 1)
	old := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(folders()[0], old, old))
	killed := folders()[0]
	e.launch("demo")
	eventually(t, "the folder of the killed demo is gone", func() bool { return !slices.Contains(folders(), killed) })
	require.Len(t, folders(), 1, "its own is still there")
	end := syscall.SIGHUP
	if signal.Ignored(end) { // under nohup, so that the demo does, too
		end = syscall.SIGTERM
	}
	e.signal(end)
	assert.Equal(t, 0, e.exitCode(patience))
	assert.Empty(t, folders())
}
