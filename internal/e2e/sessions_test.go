package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// session number n on one of three servers, in a state.
func session(n int, state string, at time.Time) simulator.Session {
	s := simulator.Session{
		ID: fmt.Sprintf("%032x", n), SessionStamp: fmt.Sprintf("%016x", n), LoginUser: fmt.Sprintf("user%d@corp.example", n), SessionType: "2",
		AppServerGroupID: "g-1", AppServerGroupName: "finance", MachineName: fmt.Sprintf("APS-%d", n%3), MachineSID: fmt.Sprintf("S-1-5-21-%d", n%3),
		PreConnTime: format(at), StartTime: format(at), LastUpdateStatusTime: format(at), SessionState: state, ClientIP: "10.1.1.1",
	}
	if state == "InitFail" {
		s.FailedCode, s.FailedReason = "1011", "The session of "+s.LoginUser+" could not start."
	}
	return s
}

// onServers is the gauge of sessions.
func onServers(machine, group, state string) string {
	return key("workspace_server_sessions", "project", project, "product", "app_streaming",
		"machine_name", machine, "server_group", group, "session_state", state)
}

func sessionFailures(group, code string) string {
	return key("workspace_session_failures_total", "project", project, "product", "app_streaming", "server_group", group, "failed_code", code)
}

// named keeps the series of one name.
func (s series) named(name string) series {
	out := series{}
	for key, value := range s {
		if nameOf(key) == name {
			out[key] = value
		}
	}
	return out
}

func TestSessionsAreThoseOfTheNewestSnapshot(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"query", "export"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w, _ := tapped(t, simulator.Options{TaskDuration: atOnce})
			now := time.Now().Add(-time.Hour)
			var many []simulator.Session
			for n := range 240 { // several pages
				many = append(many, session(3*n, "Active", now.Add(time.Duration(n)*time.Second)))
			}
			old, unnamed := session(1, "Disconnected", now.Add(-29*24*time.Hour)), session(4, "AppcInit", now)
			unnamed.AppServerGroupName = ""
			w.PutSessions(project, many...)
			w.PutSessions(project, old, unnamed, session(7, "SignedOut", now), session(2, "Active", now), session(1000, "InitFail", now))
			e := runExporter(t, setup{URL: w.url, Sources: "{sessions: {mode: " + mode + ", poll_interval: 1500ms}}"})
			e.pollsEnd(project, "sessions", "success", 1)
			want := series{
				onServers("APS-0", "finance", "Active"):       240,
				onServers("APS-1", "finance", "Disconnected"): 1,
				onServers("APS-1", "g-1", "AppcInit"):         1,
				onServers("APS-2", "finance", "Active"):       1,
			}
			gauge := func() series { return e.metrics().named("workspace_server_sessions") }
			assert.Empty(t, gauge().diff(want))
			assert.Equal(t, 1.0, e.metrics()[sessionFailures("finance", "1011")])

			w.DeleteSession(project, session(2, "", now).ID)
			nobody := onServers("APS-2", "finance", "Active")
			want[nobody] = 0
			eventually(t, "a server that nobody uses any more shows 0", func() bool { return len(gauge().diff(want)) == 0 })
			delete(want, nobody)
			eventually(t, "and is gone then", func() bool { return len(gauge().diff(want)) == 0 })
		})
	}
}

func TestAFailedSessionIsCountedOnce(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"query", "export"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w, _ := tapped(t, simulator.Options{TaskDuration: atOnce})
			now := time.Now().Add(-time.Hour)
			codeless, becoming := session(3, "InitFail", now), session(5, "AppcInit", now)
			codeless.FailedCode = ""
			w.PutSessions(project, session(1, "InitFail", now), session(2, "InitFail", now), codeless, becoming)
			e := runExporter(t, setup{URL: w.url, Sources: "{sessions: {mode: " + mode + ", poll_interval: 300ms}}"})
			e.pollsEnd(project, "sessions", "success", 3)
			want := series{sessionFailures("finance", "1011"): 2, sessionFailures("finance", "unknown"): 1}
			shown := func() series { return e.metrics().named("workspace_session_failures_total") }
			assert.Empty(t, shown().diff(want))

			e.kill()
			w.PutSessions(project, session(5, "InitFail", now))
			want[sessionFailures("finance", "1011")] = 3
			e.start()
			e.pollsEnd(project, "sessions", "success", 2)
			assert.Empty(t, shown().diff(want))
			mode := map[string]string{"query": "export", "export": "query"}[mode]
			e.configure(setup{URL: w.url, Sources: "{sessions: {mode: " + mode + ", poll_interval: 300ms}}"})
			e.restart()
			e.pollsEnd(project, "sessions", "success", 2)
			assert.Empty(t, shown().diff(want), "the other mode gives the same sessions")
			for _, name := range []string{"user1", "10.1.1.1"} {
				assert.NotContains(t, e.get("/metrics").body, name)
			}
		})
	}
}

func TestAFailedSnapshotLeavesTheOldOne(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"query", "export"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			var broken atomic.Bool
			w := newWorld(t, simulator.Options{TaskDuration: atOnce}, func(api http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					second := r.URL.Query().Get("offset") != "" && r.URL.Query().Get("offset") != "0"
					if broken.Load() && (second || strings.HasSuffix(r.URL.Path, "/download")) {
						http.Error(w, `{"error_code": "WKS.1", "error_msg": "no more today"}`, http.StatusInternalServerError)
						return
					}
					api.ServeHTTP(w, r)
				})
			})
			now := time.Now().Add(-time.Hour)
			for n := range 150 {
				w.PutSessions(project, session(n, "Active", now))
			}
			e := runExporter(t, setup{URL: w.url, Sources: "{sessions: {mode: " + mode + ", poll_interval: 300ms}}"})
			e.pollsEnd(project, "sessions", "success", 1)
			gauge := func() series { return e.metrics().named("workspace_server_sessions") }
			before := gauge()
			require.Equal(t, 150.0, before.sum("workspace_server_sessions"))
			broken.Store(true)
			for n := range 140 {
				w.PutSessions(project, session(n, "Disconnected", now))
			}
			e.pollsEnd(project, "sessions", "error", 1)
			assert.Empty(t, gauge().diff(before))
			assert.Zero(t, e.metrics().sum("workspace_exporter_source_up"))
			broken.Store(false)
			eventually(t, "it heals", func() bool {
				return gauge().sum("workspace_server_sessions", `"Disconnected"`) == 140 && gauge().sum("workspace_server_sessions", `"Active"`) == 10
			})
		})
	}
}
