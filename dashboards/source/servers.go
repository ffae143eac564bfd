package main

// servers compares the servers: load, failures, balance.
func servers(p *page) {
	p.groupFilters()
	p.filter("machine_name", "label_values("+serverAttempts+"{"+inGroup+"}, machine_name)", ".*")

	const (
		by       = "desktop_group, machine_name"
		sessions = "workspace_server_sessions{" + all + `, machine_name=~"$machine_name", session_state=~"Active|Disconnected"}`
		open     = "workspace_server_open_connections{" + onServer + "}"
	)
	tried, failed := counted(by, serverAttempts, onServer, whole), counted(by, serverFailures, onServer, whole)
	tries, fails := counted("machine_name", serverAttempts, onServer, whole), counted("machine_name", serverFailures, onServer, whole)
	p.heading(10, "now", false)
	p.panel(11, "used", 4, 4, number(counts, "count("+tries+" > 0)"))
	p.panel(12, "silent", 4, 4, number(counts, "count("+counted("machine_name", serverAttempts, onServer, "7d")+" > 0) - (count("+
		counted("machine_name", serverAttempts, onServer, "1h")+" > 0) or vector(0))"))
	p.panel(13, "failing", 4, 4, number(counts, "count("+share(fails, tries, "5")+" > 0.5) or vector(0)", colours("green", 1.0, "red")))
	p.panel(14, "sessions", 4, 4, number(counts, "sum("+sessions+")"))
	p.panel(15, "open", 4, 4, number(counts, "sum("+open+")"))
	p.panel(16, "imbalance", 4, 4, number("none", "max("+imbalance(sessions)+")", colours("green", 3.0, "orange")))

	p.heading(20, "each", false)
	busiest := "topk(300, " + tried + ")"
	among := func(expr string) string { return "(" + expr + ") and on (" + by + ") " + busiest }
	in := func(state string) string {
		return onEach(tried, "sum by (machine_name) (workspace_server_sessions{"+all+`, machine_name=~"$machine_name", session_state="`+state+`"})`)
	}
	p.panel(21, "table", 24, 12, p.tabular("failures", []column{
		{word: "machine_name", label: "machine_name", link: p.triage("machine_name")},
		{word: "desktop_group", label: "desktop_group", link: p.triage("desktop_group")},
		{word: "attempts", expr: busiest},
		{word: "failures", expr: among(orZero(failed, tried))},
		{word: "ratio", expr: among(share(failed, tried, "5")), unit: ratio, shade: ratioShade()},
		{word: "open", expr: among("sum by (" + by + ") (" + open + ")")},
		{word: "active", expr: among(in("Active"))},
		{word: "disconnected", expr: among(in("Disconnected"))},
	}))

	p.heading(30, "time", false)
	p.panel(31, "failures_grid", 12, 10, grid([]query{{named("machine_name", leading("20", "machine_name", counted("machine_name", serverFailures, onServer, step))), "{{machine_name}}"}},
		colours("transparent", 1.0, "yellow", 5.0, "orange", 20.0, "red")))
	p.panel(32, "attempts_grid", 12, 10, grid([]query{{named("machine_name", leading("20", "machine_name", counted("machine_name", serverAttempts, onServer, step))), "{{machine_name}}"}},
		colours("transparent", 1.0, "super-light-blue", 5.0, "light-blue", 20.0, "blue", 50.0, "dark-blue")))
	p.panel(33, "sessions_by_server", 12, 9, graph(counts, []query{
		{"sum by (machine_name) (" + sessions + ") and on (machine_name) topk(20, sum by (machine_name) (" + sessions + " @ end()))", "{{machine_name}}"}}))
	p.panel(34, "open_by_server", 12, 9, graph(counts, []query{
		{"sum by (machine_name) (" + open + ") and on (machine_name) topk(20, sum by (machine_name) (" + open + " @ end()))", "{{machine_name}}"}}))
	p.panel(35, "imbalance_trend", 24, 8, graph("none", []query{{imbalance(sessions), "{{server_group}}"}}))
}

// imbalance is how many times the mean of its group the fullest server holds.
func imbalance(sessions string) string {
	each := "sum by (server_group, machine_name) (" + sessions + ")"
	return "max by (server_group) (" + each + ") / (avg by (server_group) (" + each + ") > 0)"
}
