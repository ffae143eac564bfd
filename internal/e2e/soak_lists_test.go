package e2e

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// What happens to uses of applications, servers and desktops in a life, and what the metrics
// of it must be.

// listGauges are those that show a list as it is now.
var listGauges = []string{
	"workspace_app_open",
	"workspace_server_info", "workspace_server_maintenance", "workspace_server_unregistered", "workspace_server_current_sessions",
	"workspace_server_max_sessions", "workspace_server_group_servers", "workspace_server_group_max_sessions", "workspace_agent_latest_version_info",
	"workspace_desktops", "workspace_desktops_by_login_state", "workspace_desktops_by_run_state", "workspace_desktops_by_attach_state",
}

// launch has a user open an application. The caller holds l.mu.
func (l *life) launch(at time.Time, late time.Duration) {
	l.n++
	a := opened(l.n, at)
	switch l.IntN(6) {
	case 0:
		a = crashed(a, pick(l.Rand, "7", "8", ""))
	case 1:
		a = closed(a, 0)
	case 2:
		a.AppGroupName = turncoats
	}
	a.VisibleAt = at.Add(late)
	l.s.world.PutStages(l.project, a.TransactionID, failedStages(a.UserName, at, "CLICK_ICON", "7"))
	l.s.world.PutApps(l.project, a)
	if isOpen(&a) {
		l.apps[a.ID] = a
	}
}

// changeLists lets applications end, and changes servers and desktops. The caller holds l.mu.
func (l *life) changeLists(now time.Time) {
	for id, a := range sample(l.Rand, l.apps, 2) {
		switch {
		case a.VisibleAt.After(now):
			continue
		case a.AppGroupName == turncoats:
			a = crashed(a, "9")
		default:
			a.EndTime = millis(now)
		}
		l.s.world.PutApps(l.project, a)
		delete(l.apps, id)
	}
	if l.IntN(3) == 0 {
		l.changeServer()
	}
	if l.IntN(4) == 0 {
		l.changeDesktops()
	}
}

// mostServers is how many servers there may be: more than a page.
const mostServers = 120

// changeServer has a server of a group come, go or change. A group comes with its first server.
func (l *life) changeServer() {
	n := l.IntN(mostServers)
	group := fmt.Sprintf("g%d", n%5)
	// What the administrator has set is what the bundle has: a group that a fault hides for once
	// is shown by its bundle.
	most := 10 + n%5
	l.s.world.PutServerGroups(l.project, simulator.ServerGroup{ID: group, Name: "G" + group,
		ProductInfo: &simulator.ProductInfo{Sessions: most}, RoutePolicy: &simulator.RoutePolicy{MaxSession: most}})
	v := appServer(n, group, pick(l.Rand, "REGISTERED", "REGISTERED", "UNREGISTER", "MAINTAINING", "FREEZE", "THAWED"), l.IntN(20))
	v.ServerGroupName, v.MaintainStatus, v.CurrentVersion = "G"+group, l.IntN(4) == 0, pick(l.Rand, "25.3", "25.6")
	if l.IntN(4) == 0 {
		l.s.world.DeleteServer(l.project, v.ServerID)
	} else {
		l.s.world.PutServers(l.project, v)
	}
}

// changeDesktops changes the numbers of dedicated desktops and of a pool.
func (l *life) changeDesktops() {
	id := fmt.Sprintf("pool-%d", l.IntN(3))
	dedicated, pool := l.park(), simulator.DesktopPool{ID: id, Name: "The " + id, DesktopStatistics: l.park()}
	l.s.world.PutDesktopStatistics(l.project, dedicated, pool)
	if l.IntN(5) == 0 {
		l.s.world.DeleteDesktopPool(l.project, id)
	}
}

func (l *life) park() simulator.DesktopStatistics {
	n := func() int { return l.IntN(50) }
	return simulator.DesktopStatistics{TotalNum: n(), Attach: &simulator.AttachStatistics{Attached: n(), Unattached: n()},
		RunState:   &simulator.RunStateStatistics{Stop: n(), Active: n(), Error: n()},
		LoginState: &simulator.LoginStateStatistics{InUse: n(), Ready: n(), UnableToConnect: n(), Disconnected: n()}}
}

// succeeds reports whether a launch did, by all the ways in which the API says so.
func succeeds(a *simulator.AppConnection) bool {
	return slices.Contains([]string{"0", "WKS.00000000", "成功"}, a.FailedCode) || a.FailedCode == "" && a.ConnectionFailureReason == ""
}

// endOf is when the use of an application ended; zero if it has not.
func endOf(a *simulator.AppConnection) time.Time {
	if end, err := time.Parse(time.RFC3339, a.EndTime); err == nil && end.Year() > 1 {
		return end
	}
	return time.Time{}
}

func isOpen(a *simulator.AppConnection) bool { return succeeds(a) && endOf(a).IsZero() }

// launch adds the use of an application.
func (s series) launch(project string, a *simulator.AppConnection) {
	group := []string{"project", project, "product", "app_streaming", "app_group", a.AppGroupName}
	app := append(group, "app_name", a.AppName)
	s[key("workspace_app_launches_total", app...)]++
	switch end := endOf(a); {
	case !succeeds(a):
		s[key("workspace_app_launch_failures_total", append(app, "failed_code", cmp.Or(a.FailedCode, "unknown"))...)]++
	case end.IsZero():
		s[key("workspace_app_open", app...)]++
	default:
		s.observe("workspace_app_use_duration_seconds", end.Sub(moment(a.BrokeringTime)), group...)
	}
}

// lists adds what the lists of a project hold.
func (s series) lists(w *world, project string, from, to time.Time) {
	for _, a := range w.TruthApps(project, from, to) {
		s.launch(project, &a)
		s[key("workspace_exporter_records_total", "project", project, "source", "app_connections", "disposition", "counted")]++
	}
	most := map[string]float64{}
	for _, g := range w.TruthServerGroups(project) {
		most[g.ID] = float64(g.RoutePolicy.MaxSession)
	}
	for _, v := range w.TruthServers(project) {
		s.server(project, v, most[v.ServerGroupID])
	}
	dedicated, pools := w.TruthDesktopStatistics(project)
	s.desktops(project, "", &dedicated)
	for i := range pools {
		s.desktops(project, pools[i].Name, &pools[i].DesktopStatistics)
	}
	s[key("workspace_agent_latest_version_info", "project", project, "product", "app_streaming", "agent_version", soakAgent)] = 1
}

// soakAgent is the latest version of the agent.
const soakAgent = "25.6"

func (s series) server(project string, v simulator.Server, most float64) {
	group := []string{"project", project, "product", "app_streaming", "server_group", v.ServerGroupName}
	one := append(group, "machine_name", v.MachineName)
	maintained := v.MaintainStatus || v.Status == "MAINTAINING"
	s[key("workspace_server_info", append(one, "agent_version", v.CurrentVersion)...)] = 1
	s[key("workspace_server_current_sessions", one...)] = float64(v.SessionCount)
	s[key("workspace_server_max_sessions", one...)] = most
	s[key("workspace_server_group_servers", append(group, "status", v.Status)...)]++
	if maintained {
		s[key("workspace_server_maintenance", one...)] = 1
	}
	if v.Status == "UNREGISTER" {
		s[key("workspace_server_unregistered", one...)] = 1
	}
	if v.Status == "REGISTERED" && !maintained {
		s[key("workspace_server_group_max_sessions", group...)] += most
	}
}

func (s series) desktops(project, pool string, d *simulator.DesktopStatistics) {
	scope := []string{"project", project, "product", "desktop", "desktop_pool", pool}
	s[key("workspace_desktops", scope...)] = float64(d.TotalNum)
	if d.Attach == nil {
		return
	}
	for family, states := range map[string]map[string]int{
		"attach": {"attached": d.Attach.Attached, "unattached": d.Attach.Unattached},
		"run":    {"stop": d.RunState.Stop, "active": d.RunState.Active, "error": d.RunState.Error},
		"login": {"in_use": d.LoginState.InUse, "ready": d.LoginState.Ready, "unable_to_connect": d.LoginState.UnableToConnect,
			"disconnected": d.LoginState.Disconnected},
	} {
		for state, n := range states {
			s[key("workspace_desktops_by_"+family+"_state", append(scope, "state", state)...)] = float64(n)
		}
	}
}
