package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

const (
	loginSeconds   = "workspace_login_duration_seconds"
	sessionSeconds = "workspace_session_duration_seconds"
)

// overview answers: are people getting in?
func overview(p *page) {
	p.groupFilters()
	p.windowChoice()

	p.panel(1, "note", 24, 3, p.note("overview.note.content"))
	p.heading(10, "now", false)
	p.panel(11, "success", 3, 4, number(ratio, "1 - "+share(counted("", failures, inGroup, "1h"), counted("", attempts, inGroup, "1h"), "1"),
		colours("red", 0.8, "orange", 0.95, "green"), linked(*p.triage(""))))
	p.panel(12, "attempts", 3, 4, number(counts, counted("", attempts, inGroup, "1h")))
	p.panel(13, "failures", 3, 4, number(counts, orZero(counted("", failures, inGroup, "1h"), counted("", attempts, inGroup, "1h")),
		linked(*p.triage(""))))
	p.panel(14, "people", 3, 4, number(counts, people("", "workspace_login_failed_users", all)))
	p.panel(15, "slow", 3, 4, number(seconds, quantile("0.9", "", loginSeconds, inGroup, "1h"), colours("green", 30.0, "orange", 60.0, "red")))
	p.panel(16, "open", 3, 4, number(counts, "sum(workspace_server_open_connections{"+inGroup+"})"))
	p.panel(17, "age", 3, 4, dataAge())
	p.panel(18, "alerts", 3, 4, number(counts, `count(ALERTS{alertname=~"Workspace.+", alertstate="firing"}) or vector(0)`,
		colours("green", 1.0, "red")))

	p.heading(20, "trend", false)
	p.panel(21, "logins", 12, 8, p.attemptsAndFailures(attempts, failures, inGroup, inGroup))
	p.panel(22, "ratio", 12, 8, graph(ratio, []query{{share(counted("", failures, inGroup, step), counted("", attempts, inGroup, step), "1"), p.word("ratio")}},
		alertBands))
	p.panel(23, "users", 12, 8, graph(counts, []query{
		{people("", "workspace_login_users", all), p.word("users")},
		{people("", "workspace_login_failed_users", all), p.word("failed_users")},
	}, coloured(p.word("failed_users"), "red")))
	p.panel(24, "durations", 12, 8, graph(seconds, percentiles(loginSeconds, inGroup)))

	p.heading(30, "groups", false)
	p.panel(31, "groups_table", 24, 9, p.groupTable(inGroup))

	p.heading(40, "sessions", false)
	p.panel(41, "states", 12, 8, graph(counts, []query{{"sum by (session_state) (workspace_server_sessions{" + all + "})", "{{session_state}}"}}, stacked(false)))
	p.panel(42, "connections", 12, 8, graph(counts, []query{
		{"sum by (product, desktop_group) (workspace_server_open_connections{" + inGroup + "})", "{{product}} {{desktop_group}}"}}, stacked(false)))

	p.heading(50, "objective", true)
	budget := "1 - " + share(counted("", failures, inGroup, "28d"), counted("", attempts, inGroup, "28d"), "1") + " / 0.02"
	p.panel(51, "budget", 6, 6, number(ratio, budget, colours("red", 0.0, "orange", 0.25, "green")))
	p.panel(52, "month", 6, 6, number(ratio, "1 - "+share(counted("", failures, inGroup, "28d"), counted("", attempts, inGroup, "28d"), "1"),
		colours("red", 0.98, "green")))
	p.panel(53, "days", 12, 6, graph(ratio, []query{
		{"1 - " + share(counted("", failures, inGroup, "1d"), counted("", attempts, inGroup, "1d"), "1"), p.word("success")}},
		interval("1h"), colours("red", 0.98, "green")))
}

// alertBands are the limits of the alerts about the ratio of failures.
var alertBands = banded("transparent", 0.2, "orange", 0.5, "red")

func dataAge() dashboard.Panel {
	return number(seconds, age("", lastSuccess, matchProject+loginSources), colours("green", 300.0, "orange", 900.0, "red"))
}

func percentiles(histogram, match string) []query {
	return []query{
		{quantile("0.5", "", histogram, match, step), "p50"},
		{quantile("0.9", "", histogram, match, step), "p90"},
		{quantile("0.99", "", histogram, match, step), "p99"},
	}
}

// attemptsAndFailures are bars in front of each other, since failures are attempts
// too, and what was usual a week before.
func (p *page) attemptsAndFailures(attempts, failures, match, matchFailures string) dashboard.Panel {
	return bars([]query{
		{counted("", attempts, match, step), p.word("attempts")},
		{counted("", failures, matchFailures, step), p.word("failures")},
		{before("", attempts, match, step), p.word("attempts_before")},
		{before("", failures, matchFailures, step), p.word("failures_before")},
	}, coloured(p.word("attempts"), "blue"), coloured(p.word("failures"), "red"),
		coloured(p.word("attempts_before"), "light-blue"), thin(p.word("attempts_before")),
		coloured(p.word("failures_before"), "light-red"), thin(p.word("failures_before")))
}

func (p *page) groupTable(match string) dashboard.Panel {
	const by = "product, desktop_group"
	tried, failed := counted(by, attempts, match, whole), counted(by, failures, match, whole)
	return p.tabular("failures", []column{
		{word: "desktop_group", label: "desktop_group", link: p.triage("desktop_group")},
		{word: "product", label: "product"},
		{word: "attempts", expr: tried},
		{word: "failures", expr: orZero(failed, tried)},
		{word: "ratio", expr: share(failed, tried, "1"), unit: ratio, shade: ratioShade()},
		{word: "failures_before", expr: before(by, failures, match, whole)},
		{word: "failed_users", expr: "max by (" + by + `) (workspace_group_login_failed_users{` + match + `, window="$window"})`},
		{word: "p90", expr: quantile("0.9", by, loginSeconds, match, whole), unit: seconds},
	})
}

func ratioShade() *dashboard.ThresholdsConfig {
	return steps("transparent", 0.05, "yellow", 0.2, "orange", 0.5, "red")
}
