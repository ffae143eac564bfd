package main

// loginTime shows how long people wait, and how long they stay.
func loginTime(p *page) {
	p.groupFilters()
	const logins = loginSeconds + "_count"

	p.heading(10, "now", false)
	p.panel(11, "p50", 4, 4, number(seconds, quantile("0.5", "", loginSeconds, inGroup, whole)))
	p.panel(12, "p90", 4, 4, number(seconds, quantile("0.9", "", loginSeconds, inGroup, whole), colours("green", 30.0, "orange", 60.0, "red")))
	p.panel(13, "p99", 4, 4, number(seconds, quantile("0.99", "", loginSeconds, inGroup, whole)))
	p.panel(14, "quick", 4, 4, number(ratio, within("30", "", loginSeconds, inGroup, whole), colours("red", 0.8, "orange", 0.95, "green")))
	p.panel(15, "short_sessions", 4, 4, number(ratio, within("60", "", sessionSeconds, inGroup, whole), colours("green", 0.05, "orange", 0.2, "red")))
	p.panel(16, "measured", 4, 4, number(counts, counted("", logins, inGroup, whole)))

	p.heading(20, "waiting", false)
	p.panel(21, "density", 12, 9, density(seconds, counted("le", loginSeconds+"_bucket", inGroup, step)))
	p.panel(22, "percentiles", 12, 9, graph(seconds, percentiles(loginSeconds, inGroup), banded("transparent", 30.0, "orange", 60.0, "red")))
	p.panel(23, "by_group", 12, 8, graph(seconds, []query{{quantile("0.9", "product, desktop_group", loginSeconds, inGroup, step), "{{product}} {{desktop_group}}"}}))
	p.panel(24, "quick_trend", 12, 8, graph(ratio, []query{{within("30", "", loginSeconds, inGroup, step), p.word("within_30s")}}, bounds(0, 1)))
	const by = "product, desktop_group"
	p.panel(25, "groups_table", 24, 8, p.tabular("p90", []column{
		{word: "desktop_group", label: "desktop_group", link: p.triage("desktop_group")},
		{word: "product", label: "product"},
		{word: "logins", expr: counted(by, logins, inGroup, whole)},
		{word: "p50", expr: quantile("0.5", by, loginSeconds, inGroup, whole), unit: seconds},
		{word: "p90", expr: quantile("0.9", by, loginSeconds, inGroup, whole), unit: seconds, shade: steps("transparent", 30.0, "orange", 60.0, "red")},
		{word: "p99", expr: quantile("0.99", by, loginSeconds, inGroup, whole), unit: seconds},
		{word: "within_30s", expr: within("30", by, loginSeconds, inGroup, whole), unit: ratio},
	}))

	p.heading(30, "round_trip", false)
	const network, endToEnd = "workspace_desktop_network_round_trip_seconds", "workspace_desktop_end_to_end_round_trip_seconds"
	p.panel(31, "round_trips", 12, 8, graph(seconds, []query{
		{quantile("0.5", "", network, all, step), p.word("network") + " p50"},
		{quantile("0.95", "", network, all, step), p.word("network") + " p95"},
		{quantile("0.5", "", endToEnd, all, step), p.word("end_to_end") + " p50"},
		{quantile("0.95", "", endToEnd, all, step), p.word("end_to_end") + " p95"},
	}))
	p.panel(32, "round_trip_density", 12, 8, density(seconds, counted("le", network+"_bucket", all, step)))

	p.heading(40, "staying", false)
	p.panel(41, "lengths", 12, 8, density(seconds, counted("le", sessionSeconds+"_bucket", inGroup, step)))
	p.panel(42, "length_by_group", 12, 8, graph(seconds, []query{
		{quantile("0.5", "product, desktop_group", sessionSeconds, inGroup, step), "{{product}} {{desktop_group}}"}}, interval("5m")))
	p.panel(43, "short_trend", 12, 8, graph(ratio, []query{{within("60", "", sessionSeconds, inGroup, step), p.word("within_60s")}}, interval("5m")))
	p.panel(44, "states", 12, 8, graph(counts, []query{{"sum by (session_state) (workspace_server_sessions{" + all + "})", "{{session_state}}"}}, stacked(false)))
	p.panel(45, "init_failures", 24, 7, bars([]query{
		{counted("server_group, failed_code", "workspace_session_failures_total", all, step) + " > 0", "{{server_group}} {{failed_code}}"}},
		stacked(false), interval("5m")))
}
