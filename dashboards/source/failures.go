package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// loginFailures is where most alerts lead. Its rows ask, in this order: is it real and
// how big, how wide, why, where, which client, who. It counts logins by group and code:
// those to desktops have no server.
func loginFailures(p *page) {
	p.dashboard.Time.From = "now-" + p.now()

	tried, failed := counted("", attempts, inGroup, whole), counted("", failures, withCode, whole)
	users := groupUsers("", "workspace_group_login_failed_users")
	p.heading(10, "size", false)
	p.panel(11, "age", 3, 4, p.pulse())
	p.panel(12, "catching_up", 3, 4, p.number("none", "max("+catchingUp+"{"+matchProject+loginSources+"})",
		words(p.yesNo("orange", neutralColour)), linked(p.leads("exporter", ""))))
	p.panel(13, "attempts", 3, 4, p.number(counts, known(tried), linked(p.shows(21, "logins"))))
	p.panel(14, "failures", 3, 4, p.number(counts, known(orZero(failed, tried)), isFailure, linked(p.shows(42, "codes_table"))))
	p.panel(15, "ratio", 3, 4, p.number(ratio, known(orFew(share(failed, tried, enough), tried)), colours("green", 0.05, "yellow", 0.2, "orange", 0.5, "red"),
		p.few(), linked(p.shows(51, "groups_table"))))
	p.panel(16, "people", 3, 4, p.number(counts, known(users), isFailure, linked(p.shows(51, "groups_table"))))
	p.panel(17, "per_person", 3, 4, p.number("none", known("clamp_min("+counted("", failures, inGroup, window)+" / ("+users+" > 0), 1)"), decimals(1), linked(p.shows(72, "worst"))))
	p.panel(18, "worst_user", 3, 4, p.number(counts, known(`max(workspace_login_max_failures_per_user{`+all+`, window="$window"})`), colours(neutralColour, 10.0, "orange"), linked(p.shows(72, "worst"))))
	p.panel(21, "logins", 12, 8, p.attemptsAndFailures(inGroup, withCode))
	p.panel(22, "ratio_trend", 12, 8, p.failureRatio(inGroup, withCode))

	p.heading(30, "width", false)
	width := colours(neutralColour, 0.5, "orange", 0.8, "red")
	p.panel(31, "groups_touched", 5, 4, p.number(ratio, touched("product, desktop_group", failures, attempts, inGroup, withCode), width, decimals(0), p.few(), linked(p.shows(51, "groups_table"))))
	p.panel(32, "servers_touched", 5, 4, p.number(ratio, touched("machine_name", serverFailures, serverAttempts, serversInGroup+reached, serversInGroup+reached+ofCode), width, decimals(0), p.few(), linked(p.shows(52, "servers_table"))))
	p.panel(33, "versions_touched", 5, 4, p.number(ratio, touched("client_type, client_version", versionFailures, versionAttempts, all, all+ofCode), width, decimals(0), p.few(), linked(p.shows(61, "clients_table"))))
	p.panel(35, "unreached", 4, 4, p.number(counts, known(orZero(counted("", serverFailures, serversInGroup+unreached+ofCode, whole), tried)), isFailure, linked(p.shows(43, "unreached_codes"))))
	p.panel(34, "top_code", 5, 4, p.number(ratio, known(orFew("clamp_max(max("+counted("failed_code", failures, withCode, whole)+") / ("+failed+" > 0), 1)", tried)), decimals(0),
		words(map[string]dashboard.ValueMappingResult{"-1": said(p.word("ok"), unknownColour)}), linked(p.shows(42, "codes_table"))))

	p.heading(40, "why", false)
	p.panel(42, "codes_table", 24, 10, p.codeTable(failures, withCode, whole, wideCode))
	p.panel(41, "codes", 16, 8, p.codeBars(failures, withCode))
	p.panel(44, "stages", 8, 8, p.stageTable())
	p.panel(43, "unreached_codes", 24, 7, p.codeTable(serverFailures, serversInGroup+unreached+ofCode, whole, wideCode))

	p.heading(50, "where", false)
	p.panel(51, "groups_table", 24, 9, p.groupTable(inGroup))
	p.panel(52, "servers_table", 24, 10, p.failingServers())
	p.panel(53, "servers_grid", 24, 10, grid([]query{{leading("15", "machine_name", serverFailures, serversInGroup+reached+ofCode), "{{machine_name}}"}}, failureCells))

	p.heading(60, "client", false)
	p.panel(61, "clients_table", 12, 9, p.clientTable(versionAttempts, versionFailures, "client_version", all))
	p.panel(62, "agents_table", 12, 9, p.clientTable(clientAttempts, clientFailures, "agent_version", all+`, agent_version!=""`))
	perVersion := counted("client_version", versionAttempts, all, whole) + " >= 20"
	p.panel(63, "codes_by_version", 24, 10, p.matrix("client_version", "failed_code", ratio,
		"clamp_max("+counted("failed_code, client_version", versionFailures, all+ofCode, whole)+" / on (client_version) group_left () ("+perVersion+"), 1) > 0.005"+
			" and on (failed_code) topk(15, "+counted("failed_code", versionFailures, all+ofCode, whole)+" > 0)", ratioShade()))

	p.heading(70, "who", false)
	p.panel(71, "users", 12, 8, graph(counts, []query{
		{groupUsers("", "workspace_group_login_users"), p.word("users")},
		{users, p.word("failed_users")},
	}, coloured(p.word("users"), "blue"), coloured(p.word("failed_users"), failureColour)))
	p.panel(72, "worst", 12, 8, graph(counts, []query{
		{`max(workspace_login_max_failures_per_user{` + all + `, window="$window"})`, p.word("worst_user")},
		{`max(workspace_login_max_failures_per_client_ip{` + all + `, window="$window"})`, p.word("worst_address")},
	}, coloured(p.word("worst_user"), failureColour), coloured(p.word("worst_address"), "dark-red")))

	p.heading(80, "vendor", true)
	p.panel(81, "accesses", 12, 8, bars([]query{{counted("error_code", "workspace_access_failures_total", all, step), "{{error_code}}"}},
		stacked(false), interval("15m"), shades(0, failureColour)))
	p.panel(82, "access_users", 12, 8, graph(counts, []query{{"sum(workspace_access_failed_users{" + all + "})", p.word("failed_users")}}, interval("15m"),
		coloured(p.word("failed_users"), failureColour)))
}

// ofCode is what chooses a code where groups and servers do not matter.
const ofCode = `, failed_code=~"$failed_code"`

// failureCells colours the cells of a grid of failures.
var failureCells = colours("transparent", 0.5, "light-red", 5.0, "red", 20.0, "dark-red")

// records shows the single failed logins and launches that the exporter logs. Only this page
// needs Loki.
func records(p *page) {
	lines := func(message, of string) dashboard.Panel {
		return logLines(`{job=~"$loki_job"} | json | msg="` + message + `" | project=~"$project"` + of +
			` | machine_name=~"$machine_name" | failed_code=~"$failed_code"`)
	}
	p.panel(91, "lines", 24, 16, lines("login failed", ` | product=~"$product" | desktop_group=~"$desktop_group"`))
	p.panel(92, "launch_lines", 24, 12, lines("application launch failed", ` | app_group=~"$app_group" | app_name=~"$app_name"`))
}

// wideCode is the width of a column in which most codes can be read that are made of
// reasons.
const wideCode = 360

// codeTable joins codes with what they mean. Of several meanings for one code, one is shown;
// codes without one are shown too.
func (p *page) codeTable(counter, match, span string, codeWidth float64) dashboard.Panel {
	failed := counted("failed_code", counter, match, span) + " > 0"
	if span == window {
		failed = known(failed)
	}
	event, to := "login", "login-failures"
	if counter == appFailures {
		event, to = "app_launch", "applications"
	}
	meanings := "topk by (failed_code) (1, max by (failed_code, class, meaning) (" + p.meaning(event) + "))"
	seen := failed + " unless " + countedAt("failed_code", counter, match, "7d", " offset "+span) + " > 0"
	described := func(expr string) string {
		return "(" + expr + ") * on (failed_code) group_left (class, meaning) " + meanings + " or on (failed_code) (" + expr + ")"
	}
	return p.tabular("failures", []column{
		{word: "failed_code", label: "failed_code", link: p.leads(to, "failed_code"), width: codeWidth},
		{word: "class", label: "class", width: 90},
		{word: "meaning", label: "meaning", wraps: true},
		{word: "failures", expr: described(failed), width: 92, shade: failureShade(), plain: true},
		{word: "share", expr: described("(" + failed + ") / scalar(" + counted("", counter, match, span) + ")"), unit: ratio, width: 70},
		{word: "new", expr: described("count by (failed_code) (" + seen + ")"), width: 70, plain: true, shade: steps(neutralColour),
			words: map[string]dashboard.ValueMappingResult{"1": said(p.word("new"), "orange")}},
	}, p.otherwise("no_failures"))
}

// meaning is, in the label of that name, what is known of a code: its explanation in the
// page's language, or else a reason that came with it. Events are logins or app launches.
func (p *page) meaning(event string) string {
	metric := "workspace_" + event + "_failure_code_"
	explanation := "explanation"
	if p.language != "en" {
		explanation += "_" + p.language
	}
	explained := metric + `advice_info{` + matchProject + `, ` + explanation + `!=""}`
	// What holds now comes before what held until the configuration changed.
	explained = explained + " or on (failed_code) last_over_time(" + explained + "[$__range])"
	return `label_replace(` + explained + `, "meaning", "$1", "` + explanation + `", "(.*)") or on (failed_code) ` +
		`label_replace(last_over_time(` + metric + `info{` + matchProject + `}[$__range]), "meaning", "$1", "reason", "(.*)")`
}

// stageTable is at which stages accesses failed: a password, a gateway, a desktop.
func (p *page) stageTable() dashboard.Panel {
	failed := counted("stage", "workspace_access_stage_failures_total", all, whole) + " > 0"
	words := map[string]dashboard.ValueMappingResult{}
	for _, stage := range []string{"LOGIN", "MAIN_AUTH", "MFA_AUTH", "CLICK_ICON", "PRECONNECT", "CONNECT"} {
		words[stage] = dashboard.ValueMappingResult{Text: ptr(p.word("stage." + stage))}
	}
	return p.tabular("failures", []column{
		{word: "stage", label: "stage", words: words, link: p.shows(42, "codes_table")},
		{word: "failures", expr: failed, width: 92, shade: failureShade(), plain: true},
		{word: "share", expr: "(" + failed + ") / scalar(" + counted("", "workspace_access_stage_failures_total", all, whole) + ")", unit: ratio, width: 70},
	}, p.otherwise("no_stages"))
}

// codeBars are the seven codes with the most failures, and the rest.
func (p *page) codeBars(counter, match string) dashboard.Panel {
	top := leading("7", "failed_code", counter, match)
	total := counted("", counter, match, step)
	return bars([]query{
		{top, "{{failed_code}}"},
		{"clamp_min(" + total + " - (sum(" + top + ") or 0 * " + total + "), 0)", p.word("other_codes")},
	}, stacked(false), shades(0, failureColour), coloured(p.word("other_codes"), unknownColour))
}

// failingServers are those with the most failures, with what else is known of them.
func (p *page) failingServers() dashboard.Panel {
	const (
		by    = "desktop_group, machine_name"
		match = serversInGroup + reached
	)
	tried, failed := counted(by, serverAttempts, match, whole), counted(by, serverFailures, match+ofCode, whole)
	worst := "topk(50, " + failed + " > 0)"
	among := func(expr string) string { return "(" + expr + ") and on (" + by + ") " + worst }
	return p.tabular("failures", []column{
		{word: "machine_name", label: "machine_name", link: p.leads("servers", "machine_name")},
		{word: "desktop_group", label: "desktop_group", link: p.triage("desktop_group")},
		{word: "attempts", expr: among(tried), width: 110},
		{word: "failures", expr: worst, width: 110, shade: failureShade(), plain: true},
		{word: "ratio", expr: among(share(failed, tried, enoughForServer)), unit: ratio, shade: ratioShade(), width: 120},
		{word: "share_of_group", expr: among("clamp_max(" + failed + " / on (desktop_group) group_left () " + counted("desktop_group", serverFailures, match+ofCode, whole) + ", 1)"), unit: ratio},
		{word: "sessions", expr: known(among(onEach(tried, "sum by (machine_name) (workspace_server_sessions{"+matchProject+"})"))), width: 110},
	}, p.otherwise("no_failures"))
}

// onEach gives every series of a set, which has a machine_name, the value of its server.
func onEach(set, value string) string {
	return "0 * " + set + " + on (machine_name) group_left () " + value
}

// clientTable compares versions; ratios are of versions with 20 attempts or more.
func (p *page) clientTable(attempts, failures, version, match string) dashboard.Panel {
	by := "client_type, " + version
	tried := counted(by, attempts, match, whole)
	failed := counted(by, failures, match+ofCode, whole)
	return p.tabular("failures", []column{
		{word: "client_type", label: "client_type", link: p.leads("versions", "client_type")},
		{word: version, label: version},
		{word: "attempts", expr: tried, width: 110},
		{word: "failures", expr: orZero(failed, tried), width: 110, shade: failureShade(), plain: true},
		{word: "ratio", expr: share(failed, tried, "20"), unit: ratio, shade: ratioShade(), width: 120},
	})
}
