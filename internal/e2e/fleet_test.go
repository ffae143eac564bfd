package e2e

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// appServer is a server with a number, of a group.
func appServer(n int, group, status string, sessions int) simulator.Server {
	return simulator.Server{ServerID: fmt.Sprintf("id-%03d", n), MachineName: fmt.Sprintf("APS-%d", n), ServerName: fmt.Sprintf("APS-%d", n), ServerGroupID: group,
		ServerGroupName: strings.ToUpper(group), SID: fmt.Sprint("S-1-5-21-", n), SessionCount: sessions, Status: status, CurrentVersion: "25.3"}
}

func ofGroup(name, group string, more ...string) string {
	return key(name, append([]string{"project", project, "product", "app_streaming", "server_group", group}, more...)...)
}

// paths are the last parts of the paths that were asked for, each with how often.
func (p *tap) paths() map[string]int {
	n := map[string]int{}
	for _, a := range p.requests("") {
		n[a.URL.Path[strings.LastIndex(a.URL.Path, "/")+1:]]++
	}
	return n
}

// What changes rarely is read once, and the list of servers in each poll, by one request.
func TestServers(t *testing.T) {
	t.Parallel()
	w, tap := tapped(t, simulator.Options{})
	w.PutServerGroups(project, simulator.ServerGroup{ID: "g", Name: "G", RoutePolicy: &simulator.RoutePolicy{MaxSession: 10}, ProductInfo: &simulator.ProductInfo{Sessions: 40}},
		simulator.ServerGroup{ID: "h", Name: "H"}, simulator.ServerGroup{ID: "v", Name: "V", IsVDI: true, RoutePolicy: &simulator.RoutePolicy{MaxSession: 10}},
		simulator.ServerGroup{ID: "b", Name: "B", ProductInfo: &simulator.ProductInfo{Sessions: 40}})
	w.SetTenant(project, "25.6", 60)
	lazy := appServer(2, "g", "REGISTERED", 0)
	lazy.MaintainStatus, lazy.CurrentVersion = true, "24.12"
	w.PutServers(project, appServer(1, "g", "REGISTERED", 7), lazy, appServer(3, "g", "UNREGISTER", 0), appServer(4, "h", "REGISTERED", 1), appServer(5, "v", "REGISTERED", 1))
	e := runExporter(t, setup{URL: w.url, Sources: "{servers: {poll_interval: 300ms}}"})
	e.pollsEnd(project, "servers", "success", 3)
	before := tap.paths()["list"]
	polls := int(e.metrics().sum("workspace_exporter_polls_total", `"success"`))
	asked := tap.paths()
	assert.GreaterOrEqual(t, polls, before-1, "one request for each poll; the last may be under way")
	assert.LessOrEqual(t, polls, asked["list"], "one request for each poll")
	delete(asked, "list")
	assert.Equal(t, map[string]int{"app-server-groups": 1, "g": 1, "h": 1, "v": 1, "b": 1, "restrict": 1, "latest-version": 1}, asked)

	m := e.metrics()
	assert.Equal(t, 5, len(m.named("workspace_server_info")))
	assert.Equal(t, 1.0, m[ofGroup("workspace_server_info", "G", "machine_name", "APS-2", "agent_version", "24.12")])
	assert.Equal(t, 7.0, m[ofGroup("workspace_server_current_sessions", "G", "machine_name", "APS-1")])
	assert.Equal(t, 1.0, m[key("workspace_agent_latest_version_info", "project", project, "product", "app_streaming", "agent_version", "25.6")])
	assert.Equal(t, []float64{0, 1}, []float64{m[ofGroup("workspace_server_maintenance", "G", "machine_name", "APS-1")], m[ofGroup("workspace_server_maintenance", "G", "machine_name", "APS-2")]})
	for group, want := range map[string]float64{"G": 10, "H": 60, "V": 1} {
		assert.Equal(t, want, m[ofGroup("workspace_server_group_max_sessions", group)], group)
	}
	assert.Equal(t, 10.0, m[ofGroup("workspace_server_max_sessions", "G", "machine_name", "APS-3")])
	for status, want := range map[string]float64{"REGISTERED": 2, "UNREGISTER": 1, "MAINTAINING": 0, "FREEZE": 0, "STOPPED": 0, "NONE": 0} {
		assert.Equal(t, want, m[ofGroup("workspace_server_group_servers", "G", "status", status)], status)
		require.Contains(t, m, ofGroup("workspace_server_group_servers", "B", "status", status), "a group without servers")
	}

	w.DeleteServer(project, "id-005")
	w.PutServerGroups(project, simulator.ServerGroup{ID: "n", Name: "N", RoutePolicy: &simulator.RoutePolicy{MaxSession: 3}})
	w.PutServers(project, appServer(6, "n", "REGISTERED", 1))
	eventually(t, "a server goes and another comes, with its group", func() bool {
		m := e.metrics()
		_, gone := m[ofGroup("workspace_server_info", "V", "machine_name", "APS-5", "agent_version", "25.3")]
		return !gone && m[ofGroup("workspace_server_group_max_sessions", "N")] == 3
	})
	asked = tap.paths()
	assert.Equal(t, []int{2, 1, 1}, []int{asked["app-server-groups"], asked["n"], asked["g"]}, "only the new group is asked for")
}

// A failed poll leaves the last values, and they survive a crash until there is an answer.
func TestServersOfAFailedPollStay(t *testing.T) {
	t.Parallel()
	w, _ := tapped(t, simulator.Options{})
	w.PutServerGroups(project, simulator.ServerGroup{ID: "g", Name: "G", RoutePolicy: &simulator.RoutePolicy{MaxSession: 10}})
	for n := range 250 {
		w.PutServers(project, appServer(n, "g", "REGISTERED", 1))
	}
	e := runExporter(t, setup{URL: w.url, Sources: "{servers: {poll_interval: 300ms}}"})
	e.pollsEnd(project, "servers", "success", 1)
	shown := func() series {
		all := series{}
		for name, value := range e.metrics() {
			if strings.HasPrefix(name, "workspace_server_") || strings.HasPrefix(name, "workspace_agent_") {
				all[name] = value
			}
		}
		return all
	}
	before := shown()
	require.Equal(t, 250.0, before.sum("workspace_server_info"), "all of three pages")
	require.Equal(t, 2500.0, before.sum("workspace_server_group_max_sessions"))

	list := "/v1/" + project + "/app-servers/access-agent/list"
	for _, fault := range []simulator.Fault{
		{Kind: simulator.FaultError, Status: 500, Path: list}, {Kind: simulator.FaultError, Status: 403, Code: "WKS.0003", Path: list},
		{Kind: simulator.FaultTruncate, Path: list}, {Kind: simulator.FaultError, Status: 429, Code: "APIGW.0308", Path: list, RetryAfter: "1"},
	} {
		id := w.AddFault(fault)
		w.DeleteServer(project, "id-000")
		was := e.metrics().sum("workspace_exporter_polls_total", `"error"`)
		eventually(t, "a poll fails", func() bool { return e.metrics().sum("workspace_exporter_polls_total", `"error"`) > was })
		assert.Empty(t, shown().diff(before), fault.Kind)
		assert.Zero(t, e.metrics().sum("workspace_exporter_source_up"))
		if fault.Status == 403 {
			assert.Contains(t, e.log.String(), "workspace:server:listAccessAgentDetails")
		}
		w.PutServers(project, appServer(0, "g", "REGISTERED", 1))
		w.RemoveFault(id)
		eventually(t, "it heals", func() bool { return e.metrics().sum("workspace_exporter_source_up") == 1 })
	}

	id := w.AddFault(simulator.Fault{Kind: simulator.FaultError, Status: 503})
	e.kill()
	e.start()
	e.pollsEnd(project, "servers", "error", 1)
	assert.Empty(t, shown().diff(before), "known until there is an answer")
	w.DeleteServer(project, "id-000")
	w.RemoveFault(id)
	eventually(t, "the new answer", func() bool { return shown().sum("workspace_server_info") == 249 })
}

// A count that lies hides no server, and a list that moves while it is paged is read whole.
func TestServersOfAListThatLies(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]simulator.Fault{
		"too few": {Kind: simulator.FaultCountIs, Count: 3}, "too many": {Kind: simulator.FaultCount, Count: 40}, "negative": {Kind: simulator.FaultCountIs, Count: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := tapped(t, simulator.Options{})
			for n := range 130 {
				w.PutServers(project, appServer(n, "g", "REGISTERED", 1))
			}
			fault.Path = "/v1/" + project + "/app-servers/access-agent/list"
			w.AddFault(fault)
			e := runExporter(t, setup{URL: w.url, Sources: "{servers: {poll_interval: 300ms}}"})
			e.pollsEnd(project, "servers", "success", 2)
			assert.Equal(t, 130.0, e.metrics().sum("workspace_server_info"))
		})
	}
	t.Run("moving", func(t *testing.T) {
		t.Parallel()
		w, _ := tapped(t, simulator.Options{})
		for n := range 230 {
			w.PutServers(project, appServer(n, "g", "REGISTERED", 1))
		}
		var moves atomic.Int32
		w.BeforePage(func(_ string, offset int) {
			if n := moves.Load(); offset > 0 && n < 3 && moves.CompareAndSwap(n, n+1) { // what stands at the beginning goes: all others move up
				w.DeleteServer(project, fmt.Sprintf("id-%03d", n))
			}
		})
		e := runExporter(t, setup{URL: w.url, Sources: "{servers: {poll_interval: 300ms}}"})
		e.pollsEnd(project, "servers", "success", 1)
		m := e.metrics()
		for n := 3; n < 230; n++ {
			require.Contains(t, m, ofGroup("workspace_server_info", "G", "machine_name", fmt.Sprintf("APS-%d", n), "agent_version", "25.3"))
		}
		eventually(t, "those that are gone are not shown", func() bool { return e.metrics().sum("workspace_server_info") == 227 })
	})
}

func ofPool(name, pool string, more ...string) string {
	return key(name, append([]string{"project", project, "product", "desktop", "desktop_pool", pool}, more...)...)
}

// Two requests a poll give the numbers of each pool, and of the desktops that are in none.
func TestDesktopNumbers(t *testing.T) {
	t.Parallel()
	for word, before := range map[string]int{"": 0, simulator.TypePool: 1} { // the first poll tries POOLED
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			w, tap := tapped(t, simulator.Options{PoolType: word})
			w.PutDesktopStatistics(project, simulator.DesktopStatistics{TotalNum: 9, Attach: &simulator.AttachStatistics{Attached: 8, Unattached: 1},
				RunState: &simulator.RunStateStatistics{Active: 7, Stop: 2}, LoginState: &simulator.LoginStateStatistics{InUse: 3, Ready: 4, Unregistered: 2}},
				simulator.DesktopPool{ID: "p", Name: "Training", DesktopStatistics: simulator.DesktopStatistics{TotalNum: 5, LoginState: &simulator.LoginStateStatistics{InUse: 4, UnableToConnect: 1}}},
				simulator.DesktopPool{ID: "q", DesktopStatistics: simulator.DesktopStatistics{TotalNum: 1, LoginState: &simulator.LoginStateStatistics{Ready: 1}}})
			e := runExporter(t, setup{URL: w.url, Sources: "{desktops: {poll_interval: 300ms}}"})
			e.pollsEnd(project, "desktops", "success", 3)
			least := len(tap.requests("/statistics")) - before
			polls := int(e.metrics().sum("workspace_exporter_polls_total", `"success"`))
			assert.GreaterOrEqual(t, 2*polls, least-2, "two requests for each poll; the last may be under way")
			assert.LessOrEqual(t, 2*polls, len(tap.requests("/statistics"))-before, "two requests for each poll")
			for _, a := range tap.requests("/statistics") {
				assert.Equal(t, []string{"attach-state", "login-state", "run-state"}, a.URL.Query()["statistics_type"], "an array is a key that is repeated")
			}
			m := e.metrics()
			for pool, want := range map[string]float64{"": 9, "Training": 5, "q": 1} {
				assert.Equal(t, want, m[ofPool("workspace_desktops", pool)], pool)
			}
			for state, want := range map[string]float64{"in_use": 3, "ready": 4, "unregistered": 2, "unable_to_connect": 0, "disconnected": 0} {
				assert.Equal(t, want, m[ofPool("workspace_desktops_by_login_state", "", "state", state)], state)
			}
			assert.Equal(t, 1.0, m[ofPool("workspace_desktops_by_login_state", "Training", "state", "unable_to_connect")])
			assert.Equal(t, 2.0, m[ofPool("workspace_desktops_by_run_state", "", "state", "stop")])
			assert.Equal(t, 1.0, m[ofPool("workspace_desktops_by_attach_state", "", "state", "unattached")])

			w.AddFault(simulator.Fault{Kind: simulator.FaultError, Status: 500, Path: "/v2/" + project + "/statistics"})
			w.DeleteDesktopPool(project, "q")
			e.kill()
			e.start()
			e.pollsEnd(project, "desktops", "error", 1)
			assert.Equal(t, 1.0, e.metrics()[ofPool("workspace_desktops", "q")], "known until there is an answer")
			w.RemoveFault(0)
			eventually(t, "a pool that is gone is not shown", func() bool { return len(e.metrics().named("workspace_desktops")) == 2 })
		})
	}
}

// The doctor tries each call, and names the permission that is missing.
func TestDoctorExaminesLists(t *testing.T) {
	t.Parallel()
	examine := func(denied ...string) (int, string) {
		w, _ := tapped(t, simulator.Options{Denied: denied})
		w.PutServerGroups(project, simulator.ServerGroup{ID: "g", Name: "G"})
		w.PutServers(project, appServer(1, "g", "REGISTERED", 1))
		w.PutDesktopStatistics(project, simulator.DesktopStatistics{TotalNum: 3})
		e := install(t, setup{URL: w.url, Sources: "{servers: {}, desktops: {}}"})
		code, stdout, _ := command(t, e.dir, "doctor")
		return code, stdout
	}
	permissions := []string{"workspace:server:listAccessAgentDetails", "workspace:serverGroup:list", "workspace:serverGroup:get",
		"workspace:serverGroup:getRestrict", "workspace:accessAgent:listLatestVersion", "workspace:statistics:listDesktopStatus"}
	code, stdout := examine()
	assert.Zero(t, code, stdout)
	assert.True(t, containsAll(stdout, append(permissions, "records now: 1", "records now: 3")...), stdout)
	for _, p := range permissions {
		code, stdout := examine(p)
		assert.Equal(t, 1, code)
		assert.True(t, containsAll(stdout, "WRONG", p, "403"), stdout)
	}
}

// A series stands for a pool or a server, and never for a desktop or a person.
func TestOnceReadsLists(t *testing.T) {
	t.Parallel()
	w, _ := tapped(t, simulator.Options{LoginsPerHour: 600, AllDay: true, History: time.Hour})
	e := install(t, setup{URL: w.url, Sources: "{servers: {}, desktops: {}}"})
	code, stdout, stderr := command(t, e.dir, "--once")
	require.Zero(t, code, stderr)
	assert.True(t, containsAll(stdout, "workspace_server_info", "workspace_desktops_by_login_state"), stdout)
	assert.NotContains(t, stdout, "user0")
}
