package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// exporter tells whether the other pages can be believed.
func exporter(p *page) {
	const (
		rates     = step
		ofProject = process + `, project=~"$project"`
	)
	yesNo := p.yesNo("green", "red")
	yesNo["-1"] = said(p.word("unknown"), unknownColour)

	p.panel(13, "age", 4, 5, p.pulse())
	p.panel(11, "up", 4, 5, p.number(ratio, "avg("+ours("up{"+process+"}")+")", colours("red", 1.0, "green"), decimals(0), linked(p.shows(17, "build"))))
	p.panel(12, "sources_up", 4, 5, p.number(ratio, "avg("+sourceUp+"{"+ofSource+"})", colours("red", 1.0, "green"), decimals(0), linked(p.shows(18, "sources"))))
	p.panel(14, "reload", 4, 5, p.number("none", "min(workspace_exporter_config_last_reload_successful{"+process+"})", words(yesNo), linked(p.shows(17, "build"))))
	p.panel(15, "lost", 4, 5, p.number(seconds, "sum(increase(workspace_exporter_gap_seconds_total{"+ofSource+"}[$__range]))", colours(neutralColour, 1.0, "red"), linked(p.shows(18, "sources"))))
	p.panel(16, "limited", 4, 5, p.number(counts, "sum(increase(workspace_exporter_series_limited_total{"+process+"}[$__range]))", colours(neutralColour, 1.0, "orange"), linked(p.shows(55, "limited_families"))))
	p.panel(18, "sources", 24, 10, p.sourceTable(yesNo))
	p.panel(17, "build", 24, 5, p.processTable(yesNo))

	p.heading(20, "freshness", false)
	p.panel(21, "ages", 12, 8, graph(minutes, []query{{scaled(minutes, age("project, source", lastSuccess, ofSource)), "{{project}} {{source}}"}},
		fine, banded("transparent", 15.0, "red")))
	p.panel(22, "cursors", 12, 8, graph(minutes, []query{{scaled(minutes, age("project, source", "workspace_exporter_source_cursor_timestamp_seconds", ofSource)), "{{project}} {{source}}"}}, fine))
	p.panel(23, "delays", 12, 8, graph(minutes, []query{
		{scaled(minutes, quantile("0.5", "source", "workspace_exporter_record_delay_seconds", ofSource, step)), "{{source}} p50"},
		{scaled(minutes, quantile("0.9", "source", "workspace_exporter_record_delay_seconds", ofSource, step)), "{{source}} p90"},
	}))
	p.panel(24, "catching_up", 12, 8, graph("none", []query{{"max by (project, source) (" + catchingUp + "{" + ofSource + "})", "{{project}} {{source}}"}}, bounds(0, 1), decimals(0), words(p.yesNo("orange", neutralColour))))

	p.heading(30, "polls", false)
	p.panel(31, "poll_rate", 12, 8, bars([]query{
		{counted("source", "workspace_exporter_polls_total", ofSource+`, result="success"`, step), "{{source}}"},
		{counted("source", "workspace_exporter_polls_total", ofSource+`, result!="success"`, step), "{{source}} " + p.word("failed")},
	}, stacked(false), shades(0, "blue"), shades(1, failureColour)))
	p.panel(32, "poll_time", 12, 8, graph(plainSeconds, []query{{quantile("0.9", "source", "workspace_exporter_poll_duration_seconds", ofSource, rates), "{{source}}"}}, fine))
	p.panel(33, "dispositions", 12, 8, graph(counts, []query{
		{counted("disposition", "workspace_exporter_records_total", ofSource+`, disposition!~"invalid|given_up|forgotten"`, step) + " > 0", "{{disposition}}"},
		{counted("disposition", "workspace_exporter_records_total", ofSource+`, disposition=~"invalid|given_up|forgotten"`, step) + " > 0", "{{disposition}}"},
	}, logarithmic, shades(1, failureColour), p.inWords))
	p.panel(34, "doubts", 12, 8, graph(counts, []query{
		{counted("", "workspace_exporter_count_mismatches_total", ofSource, step), p.word("mismatches")},
		{counted("", "workspace_exporter_doubtful_windows_total", ofSource, step), p.word("doubtful")},
		{counted("", "workspace_exporter_invalid_fields_total", ofSource, step), p.word("invalid_fields")},
		{"sum(workspace_exporter_reconciliation_difference{" + ofSource + "})", p.word("reconciliation")},
		{counted("", "workspace_exporter_file_rows_skipped_total", ofSource, step), p.word("rows_skipped")},
		{counted("", "workspace_exporter_reread_failures_total", ofSource, step), p.word("reread_failures")},
	}, tinted("orange")))
	p.panel(35, "unfinished", 12, 8, graph(counts, []query{{"max by (project, source) (workspace_exporter_unfinished_records{" + ofSource + "})", "{{project}} {{source}}"}}, fine))
	p.panel(36, "unwritten", 12, 8, graph(counts, []query{
		{counted("", "workspace_exporter_failed_logins_unlogged_total", process, step), p.word("unlogged")},
		{counted("", "workspace_exporter_log_lines_lost_total", process, step), p.word("log_lost")},
	}, tinted("orange")))

	p.heading(40, "api", false)
	p.panel(41, "requests", 12, 8, bars([]query{
		{counted("operation", "workspace_exporter_api_requests_total", ofProject+`, code=~"2.."`, step), "{{operation}}"},
		{counted("operation, code", "workspace_exporter_api_requests_total", ofProject+`, code!~"2.."`, step), "{{operation}} {{code}}"},
	}, stacked(false), shades(0, "blue"), shades(1, failureColour)))
	p.panel(42, "request_time", 12, 8, graph(seconds, []query{
		{quantile("0.9", "operation", "workspace_exporter_api_request_duration_seconds", ofProject, rates), "{{operation}}"}}, fine))
	p.panel(43, "request_errors", 12, 8, graph(ratio, []query{{share(
		counted("operation", "workspace_exporter_api_requests_total", ofProject+`, code!~"2.."`, step),
		counted("operation", "workspace_exporter_api_requests_total", ofProject, step), "1"), "{{operation}}"}}, bounds(0, 1)))
	p.panel(44, "tasks", 12, 8, bars([]query{
		{counted("source, status", "workspace_exporter_export_tasks_total", ofSource+`, status!~"fail|expired|missing|timeout"`, step) + " > 0", "{{source}} {{status}}"},
		{counted("source, status", "workspace_exporter_export_tasks_total", ofSource+`, status=~"fail|expired|missing|timeout"`, step) + " > 0", "{{source}} {{status}}"},
	}, stacked(false), shades(0, "blue"), shades(1, failureColour), interval("10m")))

	p.heading(50, "process", false)
	p.panel(51, "commits", 6, 8, graph(seconds, []query{
		{quantile("0.99", "", "workspace_exporter_store_commit_duration_seconds", process, rates), "p99"}}, fine))
	p.panel(52, "cpu", 6, 8, graph("percentunit", []query{{ours("rate(process_cpu_seconds_total{" + process + "}[" + rates + "])"), "{{instance}}"}}, fine))
	p.panel(53, "memory", 6, 8, graph("bytes", []query{{ours("process_resident_memory_bytes{" + process + "}"), "{{instance}}"}}, fine))
	p.panel(54, "samples", 6, 8, graph(counts, []query{{ours("scrape_samples_scraped{" + process + "}"), "{{instance}}"}}, fine))
	p.panel(55, "limited_families", 24, 7, bars([]query{
		{counted("", "workspace_exporter_series_limited_total", process, step), p.word("all_metrics")},
		{counted("family", "workspace_exporter_series_limited_total", process, step) + " > 0", "{{family}}"},
	}, coloured(p.word("all_metrics"), unknownColour), shades(1, "orange")))
}

// dispositions are what may become of records, as the exporter names it.
var dispositions = []string{"counted", "duplicate", "updated", "pending", "expired", "reclassified", "invalid", "given_up", "forgotten"}

// inWords names what became of records.
func (p *page) inWords(v *dashboard.Panel) {
	for _, name := range dispositions {
		override("byName", name, "displayName", p.word("disposition."+name))(v)
	}
}

// sourceTable says of each source whether it works, and why not. What Prometheus does not
// see now, because it does not reach the exporter, is not known.
func (p *page) sourceTable(yesNo map[string]dashboard.ValueMappingResult) dashboard.Panel {
	const by = "project, source"
	failed := "max by (project, source, reason) (" + sourceFailing + "{" + ofSource + "} == 1)"
	explained := func(expr string) string {
		return "(" + expr + ") * on (" + by + ") group_left (reason) topk by (" + by + ") (1, " + failed + ") or on (" + by + ") (" + expr + ")"
	}
	now := "max by (" + by + ") (" + sourceUp + "{" + ofSource + "})"
	past := "max by (" + by + ") (last_over_time(" + sourceUp + "{" + ofSource + "}[$__range]))"
	last := "max by (" + by + ") (last_over_time(" + lastSuccess + "{" + ofSource + "}[$__range]))"
	reasonWords := map[string]dashboard.ValueMappingResult{}
	for _, reason := range reasons {
		reasonWords[reason] = dashboard.ValueMappingResult{Text: ptr(p.word("reason." + reason)), Color: ptr("red")}
	}
	return p.tabular("last_success", []column{
		{word: "project", label: "project", link: p.triage("project")},
		{word: "source", label: "source", link: p.leads("exporter", "source")},
		{word: "source_up", expr: explained(now + " or 0 * " + past + " - 1"), plain: true, shade: steps(neutralColour), words: yesNo},
		{word: "reason", label: "reason", words: reasonWords, plain: true, shade: steps(neutralColour)},
		{word: "last_success", expr: explained("time() - " + last), unit: seconds, plain: true, shade: steps(neutralColour, 900.0, "orange", 3600.0, "red")},
		{word: "catching_up", expr: explained("max by (" + by + ") (" + catchingUp + "{" + ofSource + "})"), plain: true, shade: steps(neutralColour), words: p.yesNo("orange", neutralColour)},
		{word: "lost", expr: explained("sum by (" + by + ") (increase(workspace_exporter_gap_seconds_total{" + ofSource + "}[$__range]))"), unit: seconds,
			plain: true, shade: steps(neutralColour, 1.0, "red")},
	})
}

// processTable lists the exporters, those that Prometheus no longer reaches too.
func (p *page) processTable(yesNo map[string]dashboard.ValueMappingResult) dashboard.Panel {
	info := `label_replace(max by (instance, version, revision, goversion) (last_over_time(` + buildInfo + `{` + process + `}[$__range])), "revision", "$1", "revision", "(.{12}).+")`
	onInfo := func(value string) string { return info + " * on (instance) group_left () " + value }
	return p.tabular("uptime", []column{
		{word: "instance", label: "instance", link: p.leads("exporter", "instance")},
		{word: "up", expr: onInfo("max by (instance) (up{" + process + "})"), plain: true, shade: steps(neutralColour), words: yesNo},
		{word: "reload", expr: onInfo("max by (instance) (workspace_exporter_config_last_reload_successful{" + process + "})"), plain: true, shade: steps(neutralColour), words: yesNo},
		{word: "version", label: "version"},
		{word: "revision", label: "revision"},
		{word: "goversion", label: "goversion"},
		{word: "uptime", unit: seconds, expr: onInfo("max by (instance) (time() - process_start_time_seconds{" + process + "})")},
	})
}

// age is how long ago something was.
func age(by, timestamp, match string) string {
	return "time() - max" + grouped(by) + "(" + timestamp + "{" + match + "})"
}
