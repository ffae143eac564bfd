package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// versions answers: did the roll-out break it, and who lags behind?
func versions(p *page) {
	p.dashboard.Time.From = "now-24h" // a roll-out takes its time
	p.panel(41, "age", 3, 4, p.pulse())
	tried, failed := counted("", clientAttempts, ofClient, whole), counted("", clientFailures, ofClient, whole)
	p.panel(42, "attempts", 4, 4, p.number(counts, known(tried), linked(p.shows(13, "agent_version_table"))))
	p.panel(43, "failures", 4, 4, p.number(counts, known(orZero(failed, tried)), isFailure, linked(p.triage(""))))
	p.panel(44, "agents_failing", 4, 4, p.number(counts, failingVersions("agent_version", clientAttempts, clientFailures), isFailure, linked(p.shows(13, "agent_version_table"))))
	p.panel(45, "clients_failing", 5, 4, p.number(counts, failingVersions("client_version", versionAttempts, versionFailures), isFailure, linked(p.shows(23, "client_version_table"))))
	p.panel(46, "unreached", 4, 4, p.number(counts, known(orZero(counted("", clientFailures, ofClient+`, agent_version=""`, whole), tried)), isFailure, linked(p.showsOn("login-failures", 43, "unreached_codes"))))

	p.heading(10, "agents", false)
	p.versionRow(11, clientAttempts, clientFailures, "agent_version", ofClient)
	p.heading(20, "clients", false)
	p.versionRow(21, versionAttempts, versionFailures, "client_version", ofClient)
	p.heading(30, "systems", false)
	p.versionRow(31, clientAttempts, clientFailures, "client_type", ofClient)
	p.heading(50, "connect_types", false)
	p.versionRow(51, connectAttempts, connectFailures, "connect_type", all)
}

// connectTypes are the values that the exporter has words for.
var connectTypes = []string{"application", "shared_desktop"}

// namesOf writes words for the values of a label in a graph.
func (p *page) namesOf(label string) change {
	return func(v *dashboard.Panel) {
		for _, value := range connectTypes {
			if label == "connect_type" {
				override("byName", value, "displayName", p.word("connect."+value))(v)
			}
		}
	}
}

// having matches attempts that have the label: without it they reached no server, or
// their client did not say.
func having(label, match string) string { return match + ", " + label + `!=""` }

// failingVersions are those of which most attempts fail.
func failingVersions(label, attempts, failures string) string {
	match := having(label, ofClient)
	tried := counted(label, attempts, match, whole)
	return known("count(" + share(counted(label, failures, match, whole), tried, "20") + " > 0.2) or 0 * count(" + tried + " > 0)")
}

// versionRow are three panels with ids from first on: shares, ratios of failures, and
// a table.
func (p *page) versionRow(first uint32, attempts, failures, label, match string) {
	legend := "{{" + label + "}}"
	match = having(label, match)
	p.panel(first, label+"_share", 12, 8, graph(counts, []query{
		{where("", counted("", attempts, match, step), enough, counted(label, attempts, match, step)), legend}}, stacked(true), toldApart, interval("30m"), p.namesOf(label)))
	p.panel(first+1, label+"_ratio", 12, 8, graph(ratio, []query{
		{share(counted(label, failures, match, step), counted(label, attempts, match, step), enough), legend}}, alertBands, interval("30m"), p.namesOf(label)))
	tried, failed := counted(label, attempts, match, whole), counted(label, failures, match, whole)
	name := column{word: label, label: label, link: p.triage("")}
	if knows("versions", label) {
		name.link = p.leads("versions", label)
	}
	if label == "connect_type" {
		name.words = map[string]dashboard.ValueMappingResult{}
		for _, value := range connectTypes {
			name.words[value] = dashboard.ValueMappingResult{Text: ptr(p.word("connect." + value))}
		}
	}
	columns := []column{
		name,
		{word: "attempts", expr: tried},
		{word: "share", expr: "clamp_max(" + tried + " / scalar(" + counted("", attempts, match, whole) + "), 1)", unit: ratio},
		{word: "failures", expr: orZero(failed, tried), shade: failureShade(), plain: true},
		{word: "ratio", expr: share(failed, tried, "20"), unit: ratio, shade: ratioShade()},
	}
	if label != "connect_type" { // of which there is never a new one
		columns = append(columns, column{word: "first_seen", unit: "dateTimeFromNow",
			expr: "1000 * ((min by (" + label + ") (min_over_time(timestamp(" + attempts + "{" + match + "})[$__range:$__interval]))" +
				" or min by (" + label + ") (timestamp(" + attempts + "{" + match + "}))) unless on (" + label +
				") last_over_time(" + attempts + "{" + match + "}[1h] offset $__range))"}) // newer than the last step; there before the time shown
	}
	p.panel(first+2, label+"_table", 24, 8, p.tabular("attempts", columns, coarse))
}
