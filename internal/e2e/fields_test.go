package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// The most connections at once are those that starts and ends show, by page and by file,
// also when ends come late, and over a crash.
func TestPeakOfConnections(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"query", "export"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Options{TaskDuration: atOnce}, nil)
			begun := time.Now().Add(-10 * time.Minute)
			var records []simulator.Record
			for n := range 5 { // at 0 to 4 minutes
				records = append(records, started(30*n, begun.Add(time.Duration(n)*time.Minute)))
			}
			w.put(records...)
			w.put(end(started(150, begun.Add(-40*time.Minute)), 10*time.Minute), failed(attempt(151, begun), "1001", begun))
			e := runExporter(t, setup{URL: w.url, Sources: "{user_connections: {mode: " + mode + ", poll_interval: 500ms, reconcile_interval: 0s}}"})
			peak := func(quarter, hour float64) {
				t.Helper()
				of := func(window string) string {
					return key("workspace_connections_peak", "project", project, "product", "app_streaming", "window", window)
				}
				want := series{of("15m"): quarter, of("1h"): hour}
				eventually(t, "the peaks", func() bool { return len(e.metrics().named("workspace_connections_peak").diff(want)) == 0 })
			}
			peak(5, 5)
			w.put(end(records[0], 30*time.Second))
			peak(4, 4)
			e.kill()
			e.start()
			peak(4, 4)
			w.put(end(records[1], 90*time.Second), end(records[2], 30*time.Second), started(152, begun.Add(5*time.Minute)))
			peak(3, 3)
		})
	}
}

func TestLoginsByWhatTheyAreTo(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"query", "export"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Options{TaskDuration: atOnce}, nil)
			at := time.Now().Add(-5 * time.Minute)
			for n, kind := range []string{"1", "2", "2", "3", ""} {
				r := started(n, at)
				if n == 2 {
					r = failed(attempt(n, at), "1001", at)
				}
				r.ConnectType = kind
				w.put(r)
			}
			e := runExporter(t, setup{URL: w.url, Sources: "{user_connections: {mode: " + mode + ", poll_interval: 500ms}}"})
			e.pollsEnd(project, "user_connections", "success", 1)
			attempts := func(kind string) string {
				return key("workspace_connect_type_login_attempts_total", "project", project, "product", "app_streaming", "connect_type", kind)
			}
			assert.Empty(t, e.metrics().named("workspace_connect_type_login_attempts_total").diff(
				series{attempts("shared_desktop"): 1, attempts("application"): 2, attempts("3"): 1, attempts(""): 1}))
			assert.Empty(t, e.metrics().named("workspace_connect_type_login_failures_total").diff(
				series{key("workspace_connect_type_login_failures_total", "project", project, "product", "app_streaming", "connect_type", "application", "failed_code", "1001"): 1}))
		})
	}
}

func TestReconnectsToDesktops(t *testing.T) {
	t.Parallel()
	for name, c := range desktopModes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Options{TaskDuration: atOnce, File: c.file}, nil)
			at := time.Now().Add(-10 * time.Minute)
			for n := range 12 {
				d := connected(n, at.Add(time.Duration(n)*time.Second))
				if n == 7 {
					d = refused(n, at, "The desktop is not reachable.")
				}
				d.IsReconnect = n%3 == 1 // 1, 4, 7, 10
				w.PutDesktops(project, d)
			}
			e := runExporter(t, setup{URL: w.url, Sources: "{desktop_connections: {poll_interval: 500ms, " + c.mode + "}}"})
			e.pollsEnd(project, "desktop_connections", "success", 1)
			of := func(client string) string {
				return desktopKey("workspace_desktop_reconnects_total", "client_type", client)
			}
			assert.Empty(t, e.metrics().named("workspace_desktop_reconnects_total").diff(series{of("Linux"): 1, of("Windows 10"): 2}))
		})
	}
}

func TestSessionsWithoutAUser(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"query", "export"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Options{TaskDuration: atOnce}, nil)
			now := time.Now()
			for n, ago := range []time.Duration{30 * time.Minute, 2 * time.Hour, 9 * time.Hour, 25 * time.Hour} {
				w.PutSessions(project, session(n, "Disconnected", now.Add(-ago)), session(10+n, "Active", now.Add(-ago)))
			}
			undated, unreadable := session(20, "Disconnected", now.Add(-48*time.Hour)), session(21, "Disconnected", now.Add(-48*time.Hour))
			undated.LastUpdateStatusTime, unreadable.LastUpdateStatusTime = "", "yesterday"
			other := session(22, "Active", now)
			other.AppServerGroupName = "design"
			w.PutSessions(project, undated, unreadable, other)
			e := runExporter(t, setup{URL: w.url, Sources: "{sessions: {mode: " + mode + ", poll_interval: 1500ms}}"})
			e.pollsEnd(project, "sessions", "success", 1)
			want := series{}
			for group, counts := range map[string][]float64{"finance": {3, 2, 1, 2}, "design": {0, 0, 0, 0}} {
				labels := []string{"project", project, "product", "app_streaming", "server_group", group}
				for i, longer := range []string{"1h", "8h", "24h"} {
					want[key("workspace_sessions_disconnected", append(labels, "longer_than", longer)...)] = counts[i]
				}
				want[key("workspace_sessions_disconnected_undated", labels...)] = counts[3]
			}
			got := e.metrics()
			shown := got.named("workspace_sessions_disconnected")
			for k, v := range got.named("workspace_sessions_disconnected_undated") {
				shown[k] = v
			}
			assert.Empty(t, shown.diff(want))
		})
	}
}
