package main

import (
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

const (
	loginSeconds   = "workspace_login_duration_seconds"
	sessionSeconds = "workspace_session_duration_seconds"
)

// overview answers on its first screen: can people log in, how many cannot, why, where,
// with which client. All of that is of the same window.
func overview(p *page) {
	tried, failed := counted("", attempts, inGroup, window), counted("", failures, inGroup, window)
	p.panel(17, "age", 3, 4, p.pulse())
	p.panel(11, "success", 5, 4, p.successRatio(tried, failed))
	p.panel(14, "people", 4, 4, p.number(counts, known(failingUsers()), isFailure, linked(p.triage(""))))
	p.panel(13, "failures", 3, 4, p.number(counts, known(orZero(failed, tried)), isFailure, linked(p.triage(""))))
	p.panel(12, "attempts", 3, 4, p.number(counts, known(tried), linked(p.triage(""))))
	p.panel(15, "slow", 3, 4, p.number(seconds, known(orFew(where("", observed("", loginSeconds, inGroup, window), enough,
		quantile("0.9", "", loginSeconds, inGroup, window)), observed("", loginSeconds, inGroup, window))), loginLimits, p.few(), linked(p.leads("login-time", ""))))
	p.panel(16, "open", 3, 4, p.number(counts, known("sum(workspace_server_open_connections{"+inGroup+"})"), linked(p.leads("servers", ""))))

	p.panel(32, "codes_table", 12, 8, p.codeTable(failures, inGroup, window, 200))
	p.panel(18, "alerts", 12, 8, p.alertTable())
	p.panel(31, "groups_table", 7, 8, p.tabular("failures", []column{
		{word: "desktop_group", label: "desktop_group", link: p.triage("desktop_group")},
		{word: "failures", expr: worst("product, desktop_group", failures, inGroup), width: 92, shade: failureShade(), plain: true},
		{word: "short_ratio", expr: worstShare("product, desktop_group", attempts, failures, inGroup, enough), unit: ratio, shade: ratioShade(), width: 75},
		{word: "users", width: 70, expr: groupUsers("product, desktop_group", "workspace_group_login_failed_users") +
			" and on (product, desktop_group) (" + worst("product, desktop_group", failures, inGroup) + ")"},
	}, without("product"), p.otherwise("no_failures")))
	p.panel(33, "servers_table", 6, 8, p.worstTable("servers", "machine_name", "machine_name", serverAttempts, serverFailures, serversInGroup+reached, enough))
	p.panel(34, "clients_table", 6, 8, p.worstTable("login-failures", "client_type, client_version", "client_version", versionAttempts, versionFailures, all, enough))
	p.panel(35, "agents_table", 5, 8, p.worstTable("versions", "agent_version", "agent_version", clientAttempts, clientFailures, all+`, agent_version!=""`, enough))

	p.heading(20, "trend", false)
	p.panel(21, "logins", 12, 8, p.attemptsAndFailures(inGroup, inGroup))
	p.panel(22, "ratio", 12, 8, p.failureRatio(inGroup, inGroup))
	p.panel(23, "users", 12, 8, graph(counts, []query{
		{people("", "workspace_login_users", "project, product", all), p.word("users")},
		{failingUsers(), p.word("failed_users")},
	}, coloured(p.word("users"), "blue"), coloured(p.word("failed_users"), failureColour)))
	p.panel(24, "durations", 12, 8, graph(plainSeconds, percentiles(loginSeconds, inGroup), interval("5m"), percentileColours))

	p.heading(40, "sessions", false)
	p.panel(41, "states", 12, 8, graph(counts, []query{{"sum by (session_state) (workspace_server_sessions{" + all + "})", "{{session_state}}"}}, stacked(false), p.states))
	p.panel(42, "connections", 12, 8, graph(counts, []query{
		{"sum by (product, desktop_group) (workspace_server_open_connections{" + inGroup + "})", "{{product}} {{desktop_group}}"}}, stacked(false)))

	p.heading(50, "objective", true)
	month := succeeded(counted("", failures, inGroup, "28d"), counted("", attempts, inGroup, "28d"), "1")
	p.panel(51, "budget", 6, 6, p.number(ratio, "1 - (1 - ("+month+")) / 0.02", colours("red", 0.0, "yellow", 0.25, "green"), linked(p.triage(""))))
	p.panel(52, "month", 6, 6, p.number(ratio, month, successLimits, decimals(2), linked(p.triage(""))))
	p.panel(53, "days", 12, 6, graph(ratio, []query{
		{succeeded(sumOfDay(failures), sumOfDay(attempts), "1"), p.word("success")}},
		interval("1h"), closeUp, coloured(p.word("success"), "blue"), banded("transparent", objective, "green")))
}

// sumOfDay is a count over the day before each moment.
func sumOfDay(counter string) string { return counted("", counter, inGroup, "1d") }

// Verdicts on the share of logins that succeed: less than the objective, and less than
// what the alerts allow.
var successLimits = colours("red", 0.5, "orange", 0.8, "yellow", objective, "green")

// loginLimits are verdicts on how long a login takes, in seconds.
var loginLimits = colours("green", 30.0, "orange", 60.0, "red")

// alertBands are the limits of the alerts about the ratio of failures.
var alertBands = banded("transparent", 0.2, "orange", 0.5, "red")

func ratioShade() *dashboard.ThresholdsConfig {
	return steps("transparent", 0.05, "yellow", 0.2, "orange", 0.5, "red")
}

func failureShade() *dashboard.ThresholdsConfig { return steps(neutralColour, 1.0, failureColour) }

// successRatio says so in words if there are too few logins for a ratio.
func (p *page) successRatio(tried, failed string) dashboard.Panel {
	return p.number(ratio, known(orFew(succeeded(failed, tried, enough), tried)), successLimits, p.few(), linked(p.triage("")))
}

func percentiles(histogram, match string) []query {
	return []query{
		{usual("0.5", "", histogram, match), "p50"},
		{usual("0.9", "", histogram, match), "p90"},
		{usual("0.99", "", histogram, match), "p99"},
	}
}

// percentileColours and those of states keep clear of the colours of verdicts.
func percentileColours(v *dashboard.Panel) {
	for _, c := range [][2]string{{"p50", "light-blue"}, {"p90", "blue"}, {"p99", "purple"}} {
		coloured(c[0], c[1])(v)
	}
}

// states names and colours the states of sessions.
func (p *page) states(v *dashboard.Panel) {
	for _, c := range [][2]string{{"Active", "blue"}, {"Disconnected", "light-blue"}, {"AppcInit", "purple"}, {"InitFail", failureColour}} {
		coloured(c[0], c[1])(v)
		override("byName", c[0], "displayName", p.word("state."+c[0]))(v)
	}
}

// attemptsAndFailures are bars in front of each other, since failures are attempts
// too, and what was usual a week before.
func (p *page) attemptsAndFailures(match, matchFailures string) dashboard.Panel {
	return p.attemptsAndFailuresOf(attempts, failures, match, matchFailures)
}

func (p *page) attemptsAndFailuresOf(attempts, failures, match, matchFailures string) dashboard.Panel {
	return bars([]query{
		{counted("", attempts, match, step), p.word("attempts")},
		{counted("", failures, matchFailures, step), p.word("failures")},
		{before("", attempts, match, step), p.word("attempts_before")},
		{before("", failures, matchFailures, step), p.word("failures_before")},
	}, coloured(p.word("attempts"), "blue"), coloured(p.word("failures"), failureColour),
		coloured(p.word("attempts_before"), "light-blue"), thin(p.word("attempts_before")),
		coloured(p.word("failures_before"), "light-red"), thin(p.word("failures_before")))
}

// failureRatio over time. Its steps are longer than those of the bars, and there is none
// of a few logins.
func (p *page) failureRatio(match, matchFailures string) dashboard.Panel {
	return graph(ratio, []query{
		{share(counted("", failures, matchFailures, step), counted("", attempts, match, step), enough), p.word("ratio")},
	}, alertBands, interval("5m"), coloured(p.word("ratio"), failureColour))
}

// worst are the ten with the most failures within the window.
func worst(by, failures, match string) string {
	return known("topk(10, " + counted(by, failures, match, window) + " > 0)")
}

func worstShare(by, attempts, failures, match, least string) string {
	return share(counted(by, failures, match, window), counted(by, attempts, match, window), least) +
		" and on (" + by + ") (" + worst(by, failures, match) + ")"
}

// worstTable is a short list for the first screen. Its names lead to a page.
func (p *page) worstTable(to, by, filter, attempts, failures, match, least string) dashboard.Panel {
	var columns []column
	for _, label := range labelList(by) {
		c := column{word: label, label: label, link: p.leads(to, "")}
		if len(labelList(by)) > 1 {
			c.width = 100
		}
		if knows(to, label) {
			c.link = p.leads(to, label)
		}
		columns = append(columns, c)
	}
	return p.tabular("failures", append(columns,
		column{word: "failures", expr: worst(by, failures, match), width: 92, shade: failureShade(), plain: true},
		column{word: "short_ratio", expr: worstShare(by, attempts, failures, match, least), unit: ratio, shade: ratioShade(), width: 75},
	), p.otherwise("no_failures"))
}

// alertPages are the pages that alerts lead to, by the names of the alerts. Later ones
// win.
var alertPages = [][2]string{
	{"login-failures", "WorkspaceLogin.+"}, {"login-time", "WorkspaceLoginSlow"}, {"versions", "WorkspaceLoginFailuresOfVersion"}, {"servers", "WorkspaceServer.+"}, {"applications", "WorkspaceApp.+"}, {"exporter", "WorkspaceExporter.+"},
	{"capacity", "WorkspaceServerGroupFull|WorkspaceServerUnregistered|WorkspaceAgents.+|WorkspaceDesktop.+"}, {"overview", "-"},
}

// alertSubjects are the labels that say what an alert is about, beside the desktop group.
var alertSubjects = []string{"product", "failed_code", "machine_name", "agent_version", "client_version", "app_group", "app_name", "server_group",
	"desktop_pool", "source", "operation", "field", "family", "instance"}

// alertTable lists what fires, the most urgent first. An alert leads to where its rule
// does: the page is a label that is not shown.
func (p *page) alertTable() dashboard.Panel {
	of := func(urgency, severity string) string {
		return urgency + ` * max by (alertname, project, desktop_group, about) (label_replace(label_join(ALERTS{alertname=~"Workspace.+", alertstate="firing", severity="` +
			severity + `", project=~"$project|", product=~"$product|"}, "about", " ", "` + strings.Join(alertSubjects, `", "`) + `"), "about", "$1", "about", " *(.*?) *"))`
	}
	firing := of("3", "critical") + " or " + of("2", "warning") + " or " + of("1", "info") + ` or on () label_replace(vector(0), "alertname", "-", "", "")`
	for _, a := range alertPages {
		firing = fmt.Sprintf(`label_replace(%s, "page", %q, "alertname", %q)`, firing, a[0], a[1])
	}
	toPage := func(filter string) *dashboard.DashboardLink {
		link := p.leads("login-failures", filter)
		link.Title = p.word("link.alert")
		*link.Url = strings.Replace(*link.Url, p.uid("login-failures"), p.uid("${__data.fields.page}"), 1)
		return link
	}
	return p.tabular("severity", []column{
		{word: "severity", width: 90, plain: true, shade: steps(neutralColour), words: map[string]dashboard.ValueMappingResult{
			"3": said(p.word("critical"), "red"), "2": said(p.word("warning"), "orange"), "1": said(p.word("info"), "blue"), "0": said(p.word("ok"), unknownColour)},
			expr: firing},
		{word: "alertname", label: "alertname", link: toPage(""), words: map[string]dashboard.ValueMappingResult{"-": {Text: ptr(p.word("no_alert"))}}},
		{word: "desktop_group", label: "desktop_group", width: 105, empty: "–", link: toPage("desktop_group")},
		{word: "about", label: "about", width: 200, wraps: true, empty: "–"},
		{word: "project", label: "project", width: 90, empty: "–", link: toPage("project")},
		{word: "page", label: "page", bare: true},
	})
}

// groupTable compares desktop groups over the time shown.
func (p *page) groupTable(match string) dashboard.Panel {
	const by = "product, desktop_group"
	tried, failed := counted(by, attempts, match, whole), counted(by, failures, match, whole)
	return p.tabular("failures", []column{
		{word: "desktop_group", label: "desktop_group", link: p.triage("desktop_group")},
		{word: "product", label: "product"},
		{word: "attempts", expr: tried},
		{word: "failures", expr: orZero(failed, tried), shade: failureShade(), plain: true},
		{word: "ratio", expr: share(failed, tried, enough), unit: ratio, shade: ratioShade()},
		{word: "failures_before", expr: before(by, failures, match, whole)},
		{word: "failed_users", expr: known(groupUsers(by, "workspace_group_login_failed_users"))},
		{word: "p90", expr: where(by, observed(by, loginSeconds, match, whole), enough, quantile("0.9", by, loginSeconds, match, whole)), unit: seconds},
	})
}
