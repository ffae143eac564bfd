package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// capacity tells whether there is room: on the servers of application streaming, and among
// the cloud desktops. Both are lists of what is there now.
func capacity(p *page) {
	const server = "server_group, machine_name"
	// Each series once, though two exporters may show it.
	each := func(by, gauge, match string) string {
		return "max by (" + by + ") (" + gauge + "{" + matchProject + match + "})"
	}
	of := func(gauge string) string { return each(server, gauge, "") }
	maintained := " unless on (" + server + ") " + of("workspace_server_maintenance") + " == 1"
	lost := "(" + of("workspace_server_unregistered") + " == 1" + maintained + ")"
	sessions := "sum by (server_group) (" + of("workspace_server_current_sessions") + maintained + ")"
	room := each("server_group", "workspace_server_group_max_sessions", "")
	fill := sessions + " / (" + room + " > 0)"
	serverFill := of("workspace_server_current_sessions") + " / (" + of("workspace_server_max_sessions") + " > 0)"
	agents := each(server+", agent_version", "workspace_server_info", `, agent_version!=""`)
	behind := "(" + agents + " unless on (agent_version) " + each("agent_version", "workspace_agent_latest_version_info", "") + ")"
	full := []any{0.85, "orange", 0.95, "red"}
	const ofServers, ofDesktops = `, source="servers"`, `, source="desktops"`

	p.heading(10, "servers", false)
	p.panel(11, "age", 4, 4, p.pulse())
	p.panel(12, "all_servers", 4, 4, p.number(counts, knownOf(ofServers, "count("+of("workspace_server_maintenance")+")"), linked(p.shows(21, "groups"))))
	p.panel(13, "lost", 4, 4, p.number(counts, knownOf(ofServers, "count("+lost+") or 0 * count("+of("workspace_server_unregistered")+")"), isFailure, linked(p.shows(22, "look_first"))))
	p.panel(14, "fullest", 4, 4, p.number(ratio, knownOf(ofServers, "max("+fill+")"), colours(neutralColour, full...), linked(p.shows(23, "fill"))))
	p.panel(15, "room", 4, 4, p.number(counts, knownOf(ofServers, "sum("+room+") - sum("+sessions+")"), linked(p.shows(21, "groups"))))
	p.panel(16, "behind", 4, 4, p.number(counts, knownOf(ofServers, "count("+behind+") or 0 * count("+agents+")"), colours(neutralColour, 1.0, "orange"), linked(p.shows(25, "agents"))))

	inState := func(status string) string {
		return each("server_group", "workspace_server_group_servers", `, status="`+status+`"`)
	}
	p.panel(21, "groups", 12, 8, p.tabular("fill", whileFresh(ofServers, []column{
		{word: "server_group", label: "server_group", link: p.leads("servers", "")},
		{word: "fill", expr: fill, unit: ratio, shade: steps("transparent", full...), width: 85},
		{word: "sessions", expr: sessions, width: 85},
		{word: "room", expr: room, width: 115},
		{word: "registered", expr: inState("REGISTERED"), width: 95},
		{word: "unregistered", expr: inState("UNREGISTER"), plain: true, shade: failureShade(), width: 115},
	}), p.otherwise("unknown")))
	look := "(" + lost + " or " + serverFill + " >= 0.85)"
	among := func(expr string) string { return expr + " and on (" + server + ") " + look }
	p.panel(22, "look_first", 12, 8, p.tabular("unregistered", whileFresh(ofServers, []column{
		{word: "machine_name", label: "machine_name", link: p.leads("servers", "machine_name")},
		{word: "server_group", label: "server_group"},
		{word: "unregistered", expr: among(of("workspace_server_unregistered")), plain: true, shade: steps(neutralColour), words: p.yesNo("red", neutralColour)},
		{word: "sessions", expr: among(of("workspace_server_current_sessions"))},
		{word: "fill", expr: among(serverFill), unit: ratio, shade: steps("transparent", full...)},
	}), p.otherwise("no_server")))
	p.panel(23, "fill", 12, 8, graph(ratio, []query{{fill, "{{server_group}}"}}, banded("transparent", full...)))
	p.panel(24, "statuses", 12, 8, graph(counts, []query{{"sum by (status) (" + each("server_group, status", "workspace_server_group_servers", "") + ") > 0", "{{status}}"}}, stacked(false), p.statuses))
	p.panel(25, "agents", 24, 6, graph(counts, []query{{"count by (agent_version) (" + agents + ")", "{{agent_version}}"}}, stacked(false), toldApart))

	p.heading(30, "desktops", false)
	login := func(state string) string {
		return each("desktop_pool", "workspace_desktops_by_login_state", `, state="`+state+`"`)
	}
	byPool := func(state string) []query {
		pools := func(match string) string {
			return each("desktop_pool", "workspace_desktops_by_login_state", `, state="`+state+`", `+match)
		}
		return []query{{pools(`desktop_pool!=""`), "{{desktop_pool}}"}, {pools(`desktop_pool=""`), p.word("dedicated")}}
	}
	total := each("desktop_pool", "workspace_desktops", "")
	p.panel(31, "all_desktops", 6, 4, p.number(counts, knownOf(ofDesktops, "sum("+total+")"), linked(p.shows(35, "pools"))))
	p.panel(32, "in_use", 6, 4, p.number(counts, knownOf(ofDesktops, "sum("+login("in_use")+")"), linked(p.shows(36, "use"))))
	p.panel(33, "ready", 6, 4, p.number(counts, knownOf(ofDesktops, "sum("+login("ready")+")"), linked(p.shows(35, "pools"))))
	p.panel(34, "unable", 6, 4, p.number(counts, knownOf(ofDesktops, "sum("+login("unable_to_connect")+")"), isFailure, linked(p.shows(37, "unable_trend"))))
	p.panel(35, "pools", 24, 8, p.tabular("all", whileFresh(ofDesktops, []column{
		{word: "desktop_pool", label: "desktop_pool", empty: p.word("dedicated"), link: p.leads("login-failures", "")},
		{word: "all", expr: total},
		{word: "fill", expr: "1 - " + login("ready") + " / (" + each("desktop_pool", "workspace_desktops", `, desktop_pool!=""`) + " > 0)", unit: ratio, shade: steps("transparent", full...)},
		{word: "in_use", expr: login("in_use")},
		{word: "disconnected_desktops", expr: login("disconnected")},
		{word: "ready", expr: login("ready")},
		{word: "unregistered", expr: login("unregistered"), plain: true, shade: failureShade()},
		{word: "unable", expr: login("unable_to_connect"), plain: true, shade: failureShade()},
		{word: "unattached", expr: each("desktop_pool", "workspace_desktops_by_attach_state", `, state="unattached"`)},
		{word: "running", expr: each("desktop_pool", "workspace_desktops_by_run_state", `, state="active"`)},
	}), p.otherwise("unknown")))
	p.panel(36, "use", 12, 8, graph(counts, byPool("in_use"), stacked(false)))
	p.panel(37, "unable_trend", 12, 8, graph(counts, byPool("unable_to_connect"), tinted(failureColour)))
}

// statuses names and colours the statuses of servers.
func (p *page) statuses(v *dashboard.Panel) {
	for _, c := range [][2]string{{"REGISTERED", "blue"}, {"MAINTAINING", "light-blue"}, {"UNREGISTER", failureColour},
		{"FREEZE", "purple"}, {"STOPPED", "light-purple"}, {"NONE", unknownColour}} {
		coloured(c[0], c[1])(v)
		override("byName", c[0], "displayName", p.word("status."+c[0]))(v)
	}
}
