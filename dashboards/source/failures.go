package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// loginFailures is where every alert leads. Its rows ask, in this order: is it real
// and how big, how wide, why, where, which client, who.
func loginFailures(p *page) {
	p.groupFilters()
	p.filter("machine_name", "label_values(workspace_server_login_attempts_total{"+inGroup+"}, machine_name)", ".*")
	p.filter("failed_code", "label_values(workspace_login_failures_total{"+inGroup+"}, failed_code)", ".*")
	p.windowChoice()
	p.variable(dashboard.VariableModel{Name: "loki_datasource", Type: dashboard.VariableTypeDatasource, Query: plain("loki")})
	p.variable(dashboard.VariableModel{Name: "loki_job", Type: dashboard.VariableTypeTextbox, Query: plain(".+"), Current: option(".+", ".+")})
	p.dashboard.Time.From = "now-6h"

	tried, failed := counted("", serverAttempts, onServer, whole), counted("", serverFailures, withCode, whole)
	failing := people("", "workspace_group_login_failed_users", inGroup)
	p.heading(10, "size", false)
	p.panel(11, "age", 3, 4, dataAge())
	p.panel(12, "catching_up", 3, 4, number("none", "max("+catchingUp+"{"+matchProject+loginSources+"})",
		words(map[string]dashboard.ValueMappingResult{"0": said(p.word("no"), "green"), "1": said(p.word("yes"), "orange")})))
	p.panel(13, "attempts", 3, 4, number(counts, tried))
	p.panel(14, "failures", 3, 4, number(counts, orZero(failed, tried)))
	p.panel(15, "ratio", 3, 4, number(ratio, share(failed, tried, "1"), colours("green", 0.05, "yellow", 0.2, "orange", 0.5, "red")))
	p.panel(16, "people", 3, 4, number(counts, failing))
	perPerson := counted("", failures, inGroup, "$window") + " / (" + failing + " > 0)"
	p.panel(17, "per_person", 3, 4, number("none", perPerson, colours("green", 5.0, "orange"), func(v *dashboard.Panel) {
		v.FieldConfig.Defaults.Decimals = cog.ToPtr(1.0)
	}))
	p.panel(18, "worst_user", 3, 4, number(counts, `max(workspace_login_max_failures_per_user{`+all+`, window="$window"})`, colours("green", 10.0, "orange")))
	p.panel(21, "logins", 12, 8, p.attemptsAndFailures(serverAttempts, serverFailures, onServer, withCode))
	p.panel(22, "ratio_trend", 12, 8, graph(ratio, []query{
		{share(counted("", serverFailures, withCode, step), counted("", serverAttempts, onServer, step), "1"), p.word("ratio")}}, alertBands))

	p.heading(30, "width", false)
	p.panel(31, "groups_touched", 6, 4, number(ratio, touched("product, desktop_group", failures, attempts, inGroup, inGroup)))
	p.panel(32, "servers_touched", 6, 4, number(ratio, touched("machine_name", serverFailures, serverAttempts, onServer, withCode)))
	p.panel(33, "versions_touched", 6, 4, number(ratio, touched("client_type, client_version", versionFailures, versionAttempts, all, all+`, failed_code=~"$failed_code"`)))
	p.panel(34, "top_code", 6, 4, number(ratio, "max("+counted("failed_code", serverFailures, withCode, whole)+") / ("+failed+" > 0)"))

	p.heading(40, "why", false)
	p.panel(41, "codes", 12, 10, bars([]query{{counted("failed_code", serverFailures, withCode, step) + " > 0", "{{failed_code}}"}}, stacked(false)))
	p.panel(42, "codes_table", 12, 10, p.codeTable())

	p.heading(50, "where", false)
	p.panel(51, "groups_table", 24, 7, p.groupTable(inGroup))
	p.panel(52, "servers_table", 14, 10, p.failingServers())
	p.panel(53, "servers_grid", 10, 10, grid([]query{{named("machine_name", leading("15", "machine_name", counted("machine_name", serverFailures, withCode, step))), "{{machine_name}}"}},
		colours("transparent", 1.0, "yellow", 5.0, "orange", 20.0, "red")))

	p.heading(60, "client", false)
	p.panel(61, "clients_table", 12, 9, p.clientTable(versionAttempts, versionFailures, "client_version"))
	p.panel(62, "agents_table", 12, 9, p.clientTable(clientAttempts, clientFailures, "agent_version"))
	p.panel(63, "codes_by_version", 24, 9, matrix("client_version", "failed_code",
		counted("failed_code, client_version", versionFailures, all+`, failed_code=~"$failed_code"`, whole)+" > 0",
		steps("transparent", 1.0, "yellow", 20.0, "orange", 100.0, "red")))

	p.heading(70, "who", false)
	p.panel(71, "users", 12, 8, graph(counts, []query{
		{people("", "workspace_group_login_users", inGroup), p.word("users")},
		{failing, p.word("failed_users")},
	}, coloured(p.word("failed_users"), "red")))
	p.panel(72, "worst", 12, 8, graph(counts, []query{
		{`max(workspace_login_max_failures_per_user{` + all + `, window="$window"})`, p.word("worst_user")},
		{`max(workspace_login_max_failures_per_client_ip{` + all + `, window="$window"})`, p.word("worst_address")},
	}))

	p.heading(80, "vendor", true)
	p.panel(81, "accesses", 12, 8, bars([]query{{counted("error_code", "workspace_access_failures_total", all, step), "{{error_code}}"}},
		stacked(false), interval("15m")))
	p.panel(82, "access_users", 12, 8, graph(counts, []query{{"sum(workspace_access_failed_users{" + all + "})", p.word("failed_users")}}, interval("15m")))

	p.heading(90, "records", true)
	p.panel(91, "lines", 24, 12, logLines(`{job=~"$loki_job"} | json | msg="login failed" | project=~"$project" | product=~"$product"`+
		` | desktop_group=~"$desktop_group" | machine_name=~"$machine_name" | failed_code=~"$failed_code"`))
}

// codeTable joins codes with their latest reason. Of several reasons for one code, one
// is shown; codes without one are shown too.
func (p *page) codeTable() dashboard.Panel {
	failed := counted("failed_code", serverFailures, withCode, whole) + " > 0"
	reasons := "topk by (failed_code) (1, max by (failed_code, reason) (workspace_login_failure_code_info{" + all + "}))"
	seen := counted("failed_code", failures, inGroup+`, failed_code=~"$failed_code"`, whole) + " > 0 unless " +
		"sum by (failed_code) (increase(" + failures + "{" + inGroup + `, failed_code=~"$failed_code"}[7d] offset $__range)) > 0`
	described := func(expr string) string {
		return "(" + expr + ") * on (failed_code) group_left (reason) " + reasons + " or on (failed_code) (" + expr + ")"
	}
	return p.tabular("failures", []column{
		{word: "failed_code", label: "failed_code", link: p.triage("failed_code")},
		{word: "reason", label: "reason"},
		{word: "failures", expr: described(failed), width: 90},
		{word: "share", expr: described("(" + failed + ") / scalar(" + counted("", serverFailures, withCode, whole) + ")"), unit: ratio, width: 80},
		{word: "new", expr: described("count by (failed_code) (" + seen + ")"), width: 70,
			words: map[string]dashboard.ValueMappingResult{"1": said(p.word("new"), "orange")}},
	})
}

// failingServers are those with the most failures, with what else is known of them.
func (p *page) failingServers() dashboard.Panel {
	const by = "desktop_group, machine_name"
	tried, failed := counted(by, serverAttempts, onServer, whole), counted(by, serverFailures, withCode, whole)
	worst := "topk(50, " + failed + " > 0)"
	among := func(expr string) string { return "(" + expr + ") and on (" + by + ") " + worst }
	return p.tabular("failures", []column{
		{word: "machine_name", label: "machine_name", link: p.triage("machine_name")},
		{word: "desktop_group", label: "desktop_group"},
		{word: "attempts", expr: among(tried)},
		{word: "failures", expr: worst},
		{word: "ratio", expr: among(share(failed, tried, "5")), unit: ratio, shade: ratioShade()},
		{word: "share_of_group", expr: among(failed + " / on (desktop_group) group_left () " + counted("desktop_group", serverFailures, withCode, whole)), unit: ratio},
		{word: "sessions", expr: among(onEach(tried, "sum by (machine_name) (workspace_server_sessions{"+all+`, machine_name=~"$machine_name"})`))},
	})
}

// onEach gives every series of a set, which has a machine_name, the value of its server.
func onEach(set, value string) string {
	return "0 * " + set + " + on (machine_name) group_left () " + value
}

// clientTable compares versions; ratios are of versions with 20 attempts or more.
func (p *page) clientTable(attempts, failures, version string) dashboard.Panel {
	by := "client_type, " + version
	tried := counted(by, attempts, all, whole)
	failed := counted(by, failures, all+`, failed_code=~"$failed_code"`, whole)
	return p.tabular("failures", []column{
		{word: "client_type", label: "client_type"},
		{word: version, label: version},
		{word: "attempts", expr: tried},
		{word: "failures", expr: orZero(failed, tried)},
		{word: "ratio", expr: share(failed, tried, "20"), unit: ratio, shade: ratioShade()},
	})
}
