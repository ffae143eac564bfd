package main

const (
	appLaunches = "workspace_app_launches_total"
	appFailures = "workspace_app_launch_failures_total"
	appSeconds  = "workspace_app_use_duration_seconds"

	inApps       = matchProject + `, app_group=~"$app_group", app_name=~"$app_name"`
	appsWithCode = inApps + ofCode
)

// applications answers which application fails, why, and how many people open what.
func applications(p *page) {
	const by = "app_group, app_name"
	launched, failed := counted("", appLaunches, inApps, whole), counted("", appFailures, appsWithCode, whole)
	each, failing := counted(by, appLaunches, inApps, whole), counted(by, appFailures, appsWithCode, whole)
	users := func(gauge string) string { return people(by, gauge, "project, "+by, inApps) }
	toApps := linked(p.shows(21, "apps_table"))

	p.heading(10, "now", false)
	p.panel(11, "age", 3, 4, p.pulse())
	p.panel(12, "launches", 4, 4, p.number(counts, knownOf(appSources, launched), linked(p.shows(41, "trend"))))
	p.panel(13, "failures", 3, 4, p.number(counts, knownOf(appSources, orZero(failed, launched)), isFailure, linked(p.shows(31, "codes_table"))))
	p.panel(14, "ratio", 3, 4, p.number(ratio, knownOf(appSources, orFew(share(failed, launched, enough), launched)), colours("green", 0.05, "yellow", 0.2, "orange", 0.5, "red"),
		p.few(), toApps))
	p.panel(15, "failing", 4, 4, p.number(counts, knownOf(appSources, "count("+share(failing, each, enoughForServer)+" >= 0.2) or 0 * count("+each+")"), isFailure, toApps))
	p.panel(16, "people", 4, 4, p.number(counts, knownOf(appSources, "sum("+users("workspace_app_failed_users")+")"), isFailure, toApps))
	p.panel(17, "open", 3, 4, p.number(counts, knownOf(appSources, "sum(workspace_app_open{"+inApps+"})"), linked(p.shows(44, "open_by_app"))))

	p.heading(20, "which", false)
	busiest := "topk(300, " + each + ")"
	among := func(expr string) string { return "(" + expr + ") and on (" + by + ") " + busiest }
	p.panel(21, "apps_table", 24, 11, p.tabular("failures", []column{
		{word: "app_name", label: "app_name", link: p.leads("applications", "app_name")},
		{word: "app_group", label: "app_group", link: p.leads("applications", "app_group")},
		{word: "launches", expr: busiest},
		{word: "failures", expr: among(orZero(failing, each)), shade: failureShade(), plain: true},
		{word: "ratio", expr: among(share(failing, each, enoughForServer)), unit: ratio, shade: ratioShade()},
		{word: "users", expr: knownOf(appSources, among(users("workspace_app_users")))},
		{word: "failed_users", expr: knownOf(appSources, among(users("workspace_app_failed_users")))},
		{word: "apps_open", expr: knownOf(appSources, among("sum by ("+by+") (workspace_app_open{"+inApps+"})"))},
	}))
	p.panel(22, "failures_grid", 24, 9, grid([]query{{leading("15", by, appFailures, appsWithCode), "{{app_group}} {{app_name}}"}}, failureCells))
	p.panel(23, "launches_by_group", 12, 8, bars([]query{{leading("10", "app_group", appLaunches, inApps), "{{app_group}}"}}, stacked(false)))
	p.panel(24, "failures_by_group", 12, 8, bars([]query{{leading("10", "app_group", appFailures, appsWithCode), "{{app_group}}"}}, stacked(false), shades(0, failureColour)))

	p.heading(30, "why", false)
	p.panel(31, "codes_table", 24, 9, p.codeTable(appFailures, appsWithCode, whole, wideCode))
	p.panel(32, "codes", 24, 8, p.codeBars(appFailures, appsWithCode))

	p.heading(40, "use", false)
	p.panel(41, "trend", 12, 8, bars([]query{
		{counted("", appLaunches, inApps, step), p.word("launches")},
		{counted("", appFailures, appsWithCode, step), p.word("failures")},
	}, coloured(p.word("launches"), "blue"), coloured(p.word("failures"), failureColour)))
	p.panel(42, "ratio_trend", 12, 8, graph(ratio, []query{
		{share(counted("", appFailures, appsWithCode, step), counted("", appLaunches, inApps, step), enough), p.word("ratio")},
	}, alertBands, interval("5m"), coloured(p.word("ratio"), failureColour)))
	p.panel(43, "users_by_app", 12, 8, graph(counts, []query{{"topk(10, " + users("workspace_app_users") + ")", "{{app_group}} {{app_name}}"}}))
	p.panel(44, "open_by_app", 12, 8, graph(counts, []query{{"topk(10, sum by (" + by + ") (workspace_app_open{" + inApps + "}))", "{{app_group}} {{app_name}}"}}))
	p.panel(45, "durations", 24, 8, graph(hours, []query{{scaled(hours, usual("0.5", "app_group", appSeconds, matchProject+`, app_group=~"$app_group"`)), "{{app_group}}"}}, interval("15m")))
}
