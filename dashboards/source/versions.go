package main

// versions answers: did the roll-out break it, and who lags behind?
func versions(p *page) {
	p.filter("product", "label_values("+attempts+"{"+matchProject+"}, product)", ".+")
	p.filter("client_type", "label_values("+clientAttempts+"{"+all+"}, client_type)", ".*")

	p.heading(10, "agents", false)
	p.versionRow(11, clientAttempts, clientFailures, "agent_version")
	p.heading(20, "clients", false)
	p.versionRow(21, versionAttempts, versionFailures, "client_version")
	p.heading(30, "systems", false)
	p.versionRow(31, clientAttempts, clientFailures, "client_type")
}

// versionRow are three panels with ids from first on: shares, ratios of failures, and
// a table.
func (p *page) versionRow(first uint32, attempts, failures, label string) {
	legend := "{{" + label + "}}"
	p.panel(first, label+"_share", 12, 8, graph(counts, []query{{named(label, counted(label, attempts, ofClient, step)), legend}}, stacked(true)))
	p.panel(first+1, label+"_ratio", 12, 8, graph(ratio, []query{
		{named(label, share(counted(label, failures, ofClient, step), counted(label, attempts, ofClient, step), "5")), legend}}, alertBands, interval("10m")))
	tried, failed := counted(label, attempts, ofClient, whole), counted(label, failures, ofClient, whole)
	p.panel(first+2, label+"_table", 24, 8, p.tabular("attempts", []column{
		{word: label, label: label},
		{word: "attempts", expr: tried},
		{word: "share", expr: tried + " / scalar(" + counted("", attempts, ofClient, whole) + ")", unit: ratio},
		{word: "failures", expr: orZero(failed, tried)},
		{word: "ratio", expr: share(failed, tried, "20"), unit: ratio, shade: ratioShade()},
		{word: "first_seen", unit: "dateTimeFromNow",
			expr: "1000 * min by (" + label + ") (min_over_time(timestamp(" + attempts + "{" + ofClient + "})[$__range:5m]))"},
	}))
}
