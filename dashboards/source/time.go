package main

// loginTime shows how long people wait, and how long they stay.
func loginTime(p *page) {
	p.heading(10, "now", false)
	p.panel(17, "age", 3, 4, p.pulse())
	measured, ended := observed("", loginSeconds, inGroup, whole), observed("", sessionSeconds, inGroup, whole)
	enoughLogins := func(expr string) string { return known(orFew(where("", measured, enough, expr), measured)) }
	byGroup := linked(p.shows(25, "groups_table"))
	p.panel(11, "p50", 3, 4, p.number(seconds, enoughLogins(quantile("0.5", "", loginSeconds, inGroup, whole)), p.few(), byGroup))
	p.panel(12, "p90", 3, 4, p.number(seconds, enoughLogins(quantile("0.9", "", loginSeconds, inGroup, whole)), loginLimits, p.few(), byGroup))
	p.panel(13, "p99", 3, 4, p.number(seconds, enoughLogins(quantile("0.99", "", loginSeconds, inGroup, whole)), p.few(), byGroup))
	p.panel(14, "quick", 4, 4, p.number(ratio, enoughLogins(within("30", "", loginSeconds, inGroup, whole)), colours("red", 0.8, "orange", 0.95, "green"), p.few(), byGroup))
	p.panel(15, "short_sessions", 4, 4, p.number(ratio, known(orFew(where("", ended, enough, within("60", "", sessionSeconds, inGroup, whole)), ended)),
		colours("green", 0.05, "orange", 0.2, "red"), decimals(1), p.few(), byGroup))
	p.panel(16, "measured", 4, 4, p.number(counts, known(measured), byGroup))

	const by = "product, desktop_group"
	p.heading(20, "waiting", false)
	p.panel(21, "density", 12, 9, density(seconds, buckets(loginSeconds, inGroup)))
	p.panel(22, "percentiles", 12, 9, graph(plainSeconds, percentiles(loginSeconds, inGroup), interval("5m"), banded("transparent", 30.0, "orange", 60.0, "red"), percentileColours))
	p.panel(23, "by_group", 12, 8, graph(plainSeconds, []query{{usual("0.9", by, loginSeconds, inGroup), "{{product}} {{desktop_group}}"}}, interval("10m")))
	p.panel(24, "quick_trend", 12, 8, graph(ratio, []query{{
		where("", observed("", loginSeconds, inGroup, step), enough, within("30", "", loginSeconds, inGroup, step)), p.word("within_30s")}}, interval("5m"), bounds(0, 1), coloured(p.word("within_30s"), "blue")))
	logins := observed(by, loginSeconds, inGroup, whole)
	p.panel(25, "groups_table", 24, 9, p.tabular("p90", []column{
		{word: "desktop_group", label: "desktop_group", link: p.triage("desktop_group")},
		{word: "product", label: "product"},
		{word: "logins", expr: logins},
		{word: "p50", expr: where(by, logins, enough, quantile("0.5", by, loginSeconds, inGroup, whole)), unit: seconds},
		{word: "p90", expr: where(by, logins, enough, quantile("0.9", by, loginSeconds, inGroup, whole)), unit: seconds, shade: steps("transparent", 30.0, "orange", 60.0, "red")},
		{word: "p99", expr: where(by, logins, enough, quantile("0.99", by, loginSeconds, inGroup, whole)), unit: seconds},
		{word: "within_30s", expr: where(by, logins, enough, within("30", by, loginSeconds, inGroup, whole)), unit: ratio},
		{word: "within_60s", expr: where(by, observed(by, sessionSeconds, inGroup, whole), enough, within("60", by, sessionSeconds, inGroup, whole)), unit: ratio,
			shade: steps("transparent", 0.05, "orange", 0.2, "red")},
	}))

	p.heading(30, "round_trip", false)
	const network, endToEnd = "workspace_desktop_network_round_trip_seconds", "workspace_desktop_end_to_end_round_trip_seconds"
	p.panel(31, "round_trips", 12, 8, graph(seconds, []query{
		{usual("0.5", "", network, all), p.word("network") + " p50"},
		{usual("0.95", "", network, all), p.word("network") + " p95"},
		{usual("0.5", "", endToEnd, all), p.word("end_to_end") + " p50"},
		{usual("0.95", "", endToEnd, all), p.word("end_to_end") + " p95"},
	}, interval("5m"), coloured(p.word("network")+" p50", "light-blue"), coloured(p.word("network")+" p95", "blue"),
		coloured(p.word("end_to_end")+" p50", "light-purple"), coloured(p.word("end_to_end")+" p95", "purple")))
	p.panel(32, "round_trip_density", 12, 8, density(seconds, buckets(network, all)))
	p.panel(33, "round_trip_by_system", 12, 8, graph(seconds, []query{{usual("0.95", "client_type", network, all), "{{client_type}}"}}, interval("5m")))
	p.panel(34, "reconnects", 12, 8, bars([]query{{counted("client_type", "workspace_desktop_reconnects_total", all, step), "{{client_type}}"}},
		stacked(false), interval("10m")))

	p.heading(40, "staying", false)
	p.panel(41, "lengths", 12, 8, density(seconds, buckets(sessionSeconds, inGroup)))
	p.panel(42, "length_by_group", 12, 8, graph(hours, []query{
		{scaled(hours, usual("0.5", by, sessionSeconds, inGroup)), "{{product}} {{desktop_group}}"}}, interval("15m")))
	p.panel(43, "short_trend", 12, 8, graph(ratio, []query{{
		where("", observed("", sessionSeconds, inGroup, step), enough, within("60", "", sessionSeconds, inGroup, step)), p.word("within_60s")}}, interval("10m"), bounds(0, 1),
		coloured(p.word("within_60s"), failureColour)))
	p.panel(44, "states", 12, 8, graph(counts, []query{{"sum by (session_state) (workspace_server_sessions{" + all + "})", "{{session_state}}"}}, stacked(false), p.states))
	p.panel(46, "peaks", 24, 8, graph(counts, []query{
		{"max by (project, product, window) (workspace_connections_peak{" + all + "})", "{{project}} {{product}} {{window}}"}}))
	p.panel(45, "init_failures", 24, 7, bars([]query{
		{leading("7", "server_group, failed_code", "workspace_session_failures_total", all), "{{server_group}} {{failed_code}}"}},
		stacked(false), interval("10m"), shades(0, failureColour), p.otherwise("no_failures")))
}
