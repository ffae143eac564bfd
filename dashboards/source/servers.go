package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// servers compares the servers of application streaming: load, failures, balance.
// Desktops are no servers: they have a row of their own, if they have series at all.
func servers(p *page) {
	const (
		by       = "desktop_group, machine_name"
		servers  = matchProject + `, product!="desktop", desktop_group=~"$desktop_group"`
		chosen   = servers + reached + `, machine_name=~"$machine_name"`
		sessions = "workspace_server_sessions{" + matchProject + `, machine_name=~"$machine_name", session_state=~"Active|Disconnected"}`
		open     = "workspace_server_open_connections{" + chosen + "}"
	)
	tried, failed := counted(by, serverAttempts, chosen, whole), counted(by, serverFailures, chosen, whole)
	tries, fails := counted("machine_name", serverAttempts, chosen, whole), counted("machine_name", serverFailures, chosen, whole)
	p.heading(10, "now", false)
	p.panel(18, "age", 3, 4, p.pulse())
	p.panel(11, "used", 3, 4, p.number(counts, known("count("+tries+" > 0)"), linked(p.shows(21, "table"))))
	p.panel(13, "failing", 3, 4, p.number(counts, known("count("+share(fails, tries, enoughForServer)+" > 0.5) or 0 * count("+tries+" > 0)"), isFailure, linked(p.shows(21, "table"))))
	busy := "(" + counted("desktop_group", serverAttempts, servers+reached, "1h") + " >= 20)"
	lately := counted(by, serverAttempts, chosen, "1h")
	silent := "((" + counted(by, serverAttempts, chosen, "7d") + " > 0 unless on (" + by + ") " + lately + " > 0) and on (desktop_group) " + busy + ")"
	p.panel(12, "silent", 3, 4, p.number(counts, known("count("+silent+") or 0 * count("+lately+" > 0)"), colours(neutralColour, 1.0, "orange"), linked(p.shows(21, "table"))))
	p.panel(17, "unreached", 3, 4, p.number(counts, known(orZero(counted("", serverFailures, servers+unreached, whole), "count("+tries+")")), isFailure, linked(p.showsOn("login-failures", 43, "unreached_codes"))))
	p.panel(14, "sessions", 3, 4, p.number(counts, known("sum("+sessions+")"), linked(p.shows(33, "sessions_by_server"))))
	p.panel(15, "open", 3, 4, p.number(counts, known("sum("+open+")"), linked(p.shows(34, "open_by_server"))))
	p.panel(16, "imbalance", 3, 4, p.number("none", known("max("+imbalance(sessions)+")"), colours(neutralColour, 3.0, "orange"), decimals(1), linked(p.shows(35, "imbalance_trend"))))

	p.heading(20, "each", false)
	busiest := "topk(300, " + tried + ")"
	among := func(expr string) string { return "(" + expr + ") and on (" + by + ") " + busiest }
	in := func(state string) string {
		return onEach(tried, "sum by (machine_name) (workspace_server_sessions{"+matchProject+`, machine_name=~"$machine_name", session_state="`+state+`"})`)
	}
	p.panel(21, "table", 24, 12, p.tabular("failures", []column{
		{word: "machine_name", label: "machine_name", link: p.leads("servers", "machine_name")},
		{word: "desktop_group", label: "desktop_group", link: p.triage("desktop_group")},
		{word: "attempts", expr: busiest},
		{word: "last_hour", expr: among("0 * " + silent + " - 1 or " + lately), plain: true, shade: steps(neutralColour),
			words: map[string]dashboard.ValueMappingResult{"-1": said(p.word("silent"), "orange")}},
		{word: "failures", expr: among(orZero(failed, tried)), shade: failureShade(), plain: true},
		{word: "ratio", expr: among(share(failed, tried, enoughForServer)), unit: ratio, shade: ratioShade()},
		{word: "open", expr: known(among("sum by (" + by + ") (" + open + ")"))},
		{word: "active", expr: known(among(in("Active")))},
		{word: "disconnected", expr: known(among(in("Disconnected")))},
	}))

	p.heading(50, "why", false)
	p.panel(51, "codes_table", 24, 8, p.codeTable(serverFailures, chosen, whole, wideCode))
	p.panel(52, "logins", 12, 8, p.attemptsAndFailuresOf(serverAttempts, serverFailures, chosen, chosen))
	p.panel(53, "codes", 12, 8, p.codeBars(serverFailures, chosen))

	p.heading(30, "time", false)
	p.panel(31, "failures_grid", 12, 10, grid([]query{{leading("20", "machine_name", serverFailures, chosen), "{{machine_name}}"}}, failureCells))
	p.panel(32, "attempts_grid", 12, 10, grid([]query{{leading("20", "machine_name", serverAttempts, chosen), "{{machine_name}}"}},
		colours("transparent", 0.5, "super-light-blue", 5.0, "light-blue", 20.0, "blue", 50.0, "dark-blue")))
	p.panel(33, "sessions_by_server", 12, 9, graph(counts, []query{
		{"sum by (machine_name) (" + sessions + ") and on (machine_name) topk(20, sum by (machine_name) (" + sessions + " @ end()))", "{{machine_name}}"}}))
	p.panel(34, "open_by_server", 12, 9, graph(counts, []query{
		{"sum by (machine_name) (" + open + ") and on (machine_name) topk(20, sum by (machine_name) (" + open + " @ end()))", "{{machine_name}}"}}))
	p.panel(35, "imbalance_trend", 24, 8, graph("none", []query{{imbalance(sessions), "{{server_group}}"}}))
	const ofSessions = `, source="sessions"`
	unused := func(by, match string) string {
		return "sum by (" + by + ") (workspace_sessions_disconnected{" + matchProject + match + "})"
	}
	p.panel(36, "unused_table", 12, 8, p.tabular("unused_8h", whileFresh(ofSessions, []column{
		{word: "server_group", label: "server_group", link: p.shows(33, "sessions_by_server")},
		{word: "unused_1h", expr: unused("server_group", `, longer_than="1h"`)},
		{word: "unused_8h", expr: unused("server_group", `, longer_than="8h"`)},
		{word: "unused_24h", expr: unused("server_group", `, longer_than="24h"`)},
		{word: "undated", expr: "sum by (server_group) (workspace_sessions_disconnected_undated{" + matchProject + "})"},
	}), p.otherwise("unknown")))
	p.panel(37, "unused", 12, 8, graph(counts, []query{{unused("longer_than", ""), "> {{longer_than}}"}}))

	p.heading(40, "desktops", true)
	const desktops = matchProject + `, product="desktop", machine_name=~"$machine_name"` + reached
	triedDesktops := counted("machine_name", serverAttempts, desktops, whole)
	failedDesktops := "topk(50, " + counted("machine_name", serverFailures, desktops, whole) + " > 0)"
	p.panel(41, "desktop_table", 24, 10, p.tabular("failures", []column{
		{word: "desktop", label: "machine_name", link: p.leads("records", "machine_name")},
		{word: "attempts", expr: triedDesktops + " and on (machine_name) " + failedDesktops},
		{word: "failures", expr: failedDesktops, shade: failureShade(), plain: true},
		{word: "ratio", expr: share(failedDesktops, triedDesktops, enoughForServer) + " and on (machine_name) " + failedDesktops, unit: ratio, shade: ratioShade()},
	}, p.otherwise("no_failures")))
}

// imbalance is how many times the mean of its group the fullest server holds.
func imbalance(sessions string) string {
	each := "sum by (server_group, machine_name) (" + sessions + ")"
	return "max by (server_group) (" + each + ") / (avg by (server_group) (" + each + ") > 0)"
}
