package main

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// exporter tells whether the other pages can be believed.
func exporter(p *page) {
	p.filter("source", "label_values(workspace_exporter_source_up{"+matchProject+"}, source)", ".+")
	const rates = "$__rate_interval"
	yesNo := words(map[string]dashboard.ValueMappingResult{"0": said(p.word("no"), "red"), "1": said(p.word("yes"), "green")})

	p.heading(10, "now", false)
	p.panel(11, "up", 4, 4, numbers("none", []query{{"up{" + process + "}", "{{instance}}"}}, yesNo))
	p.panel(12, "sources_up", 4, 4, number(ratio, "avg(workspace_exporter_source_up{"+ofSource+"})", colours("red", 1.0, "green")))
	p.panel(13, "age", 4, 4, number(seconds, age("", lastSuccess, matchProject+loginSources), colours("green", 300.0, "orange", 900.0, "red")))
	p.panel(14, "reload", 4, 4, number("none", "min(workspace_exporter_config_last_reload_successful{"+process+"})", yesNo))
	p.panel(15, "lost", 4, 4, number(seconds, "sum(increase(workspace_exporter_gap_seconds_total{"+ofSource+"}[$__range])) or vector(0)", colours("green", 1.0, "red")))
	p.panel(16, "limited", 4, 4, number(counts, "sum(increase(workspace_exporter_series_limited_total{"+process+"}[$__range])) or vector(0)", colours("green", 1.0, "orange")))
	p.panel(17, "build", 24, 5, p.tabular("uptime", []column{
		{word: "instance", label: "instance"},
		{word: "version", label: "version"},
		{word: "revision", label: "revision"},
		{word: "goversion", label: "goversion"},
		{word: "uptime", unit: seconds, expr: "max by (instance, version, revision, goversion) (workspace_exporter_build_info{" + process + "})" +
			" * on (instance) group_left () max by (instance) (time() - process_start_time_seconds{" + process + "})"},
	}))

	p.heading(20, "freshness", false)
	p.panel(21, "ages", 12, 8, graph(seconds, []query{{age("project, source", lastSuccess, ofSource), "{{project}} {{source}}"}},
		fine, banded("transparent", 900.0, "red")))
	p.panel(22, "cursors", 12, 8, graph(seconds, []query{{age("project, source", "workspace_exporter_source_cursor_timestamp_seconds", ofSource), "{{project}} {{source}}"}}, fine))
	p.panel(23, "delays", 12, 8, graph(seconds, []query{
		{quantile("0.5", "source", "workspace_exporter_record_delay_seconds", ofSource, step), "{{source}} p50"},
		{quantile("0.9", "source", "workspace_exporter_record_delay_seconds", ofSource, step), "{{source}} p90"},
	}))
	p.panel(24, "catching_up", 12, 8, graph("bool_yes_no", []query{{"max by (project, source) (" + catchingUp + "{" + ofSource + "})", "{{project}} {{source}}"}}, bounds(0, 1)))

	p.heading(30, "polls", false)
	p.panel(31, "poll_rate", 12, 8, graph("ops", []query{
		{"sum by (source, result) (rate(workspace_exporter_polls_total{" + ofSource + "}[" + rates + "]))", "{{source}} {{result}}"}}, fine))
	p.panel(32, "poll_time", 12, 8, graph(seconds, []query{{quantile("0.9", "source", "workspace_exporter_poll_duration_seconds", ofSource, rates), "{{source}}"}}, fine))
	p.panel(33, "dispositions", 12, 8, graph(counts, []query{
		{counted("disposition", "workspace_exporter_records_total", ofSource, step) + " > 0", "{{disposition}}"}}, logarithmic))
	p.panel(34, "doubts", 12, 8, graph(counts, []query{
		{counted("", "workspace_exporter_count_mismatches_total", ofSource, step), p.word("mismatches")},
		{counted("", "workspace_exporter_invalid_fields_total", ofSource, step) + " or vector(0)", p.word("invalid_fields")},
		{"sum(workspace_exporter_reconciliation_difference{" + ofSource + "}) or vector(0)", p.word("reconciliation")},
	}))

	p.heading(40, "api", false)
	p.panel(41, "requests", 12, 8, graph("reqps", []query{
		{"sum by (operation, code) (rate(workspace_exporter_api_requests_total{" + matchProject + "}[" + rates + "]))", "{{operation}} {{code}}"}}, fine))
	p.panel(42, "request_time", 12, 8, graph(seconds, []query{
		{quantile("0.9", "operation", "workspace_exporter_api_request_duration_seconds", matchProject, rates), "{{operation}}"}}, fine))
	p.panel(43, "request_errors", 12, 8, graph(ratio, []query{{share(
		counted("operation", "workspace_exporter_api_requests_total", matchProject+`, code!~"2.."`, step),
		counted("operation", "workspace_exporter_api_requests_total", matchProject, step), "1"), "{{operation}}"}}, bounds(0, 1)))
	p.panel(44, "tasks", 12, 8, bars([]query{
		{counted("source, status", "workspace_exporter_export_tasks_total", ofSource, step), "{{source}} {{status}}"}}, stacked(false), interval("5m")))

	p.heading(50, "process", false)
	p.panel(51, "commits", 6, 8, graph(seconds, []query{
		{quantile("0.99", "", "workspace_exporter_store_commit_duration_seconds", process, rates), "p99"}}, fine))
	p.panel(52, "cpu", 6, 8, graph("percentunit", []query{{"rate(process_cpu_seconds_total{" + process + "}[" + rates + "])", "{{instance}}"}}, fine))
	p.panel(53, "memory", 6, 8, graph("bytes", []query{{"process_resident_memory_bytes{" + process + "}", "{{instance}}"}}, fine))
	p.panel(54, "samples", 6, 8, graph(counts, []query{{"scrape_samples_scraped{" + process + "}", "{{instance}}"}}, fine))
}
