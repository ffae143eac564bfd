package main

import "strings"

// What a query matches, from the process to the failure. Values come from the page's
// variables.
const (
	process      = `job=~"$job", instance=~"$instance"`
	matchProject = process + `, project=~"$project"`
	all          = matchProject + `, product=~"$product"`
	inGroup      = all + `, desktop_group=~"$desktop_group"`
	onServer     = inGroup + `, machine_name=~"$machine_name"`
	withCode     = onServer + `, failed_code=~"$failed_code"`
	ofClient     = all + `, client_type=~"$client_type"`
	ofSource     = matchProject + `, source=~"$source"`
)

const (
	attempts        = "workspace_login_attempts_total"
	failures        = "workspace_login_failures_total"
	serverAttempts  = "workspace_server_login_attempts_total"
	serverFailures  = "workspace_server_login_failures_total"
	clientAttempts  = "workspace_client_login_attempts_total"
	clientFailures  = "workspace_client_login_failures_total"
	versionAttempts = "workspace_client_version_login_attempts_total"
	versionFailures = "workspace_client_version_login_failures_total"
)

// Spans of time. Bars use step, so that they add up to the whole.
const (
	step  = "$__interval"
	whole = "$__range"
)

// counted is by how much a counter grew within a span, summed by labels.
func counted(by, counter, match, span string) string {
	return "sum" + grouped(by) + "(" + grown(by, counter, match, span+"]") + ")"
}

// byGroup are the counters by group, which count what those by server count.
var byGroup = map[string]string{serverAttempts: attempts, serverFailures: failures}

// grown is by how much a counter grew. Desktops have no counters by server, unless their
// names are wanted: those by group take their place where no server is asked for.
func grown(by, counter, match, span string) string {
	grown := "increase(" + counter + "{" + match + "}[" + span + ")"
	group, ok := byGroup[counter]
	if !ok || strings.Contains(by, "machine_name") {
		return grown
	}
	return grown + " or (increase(" + group + "{" + match + "}[" + span + ") unless on (job, project, product) increase(" + serverAttempts + "{" + all + "}[" + span + "))"
}

// before is counted, a week earlier.
func before(by, counter, match, span string) string {
	return "sum" + grouped(by) + "(" + grown(by, counter, match, span+"] offset 1w") + ")"
}

func grouped(by string) string {
	if by == "" {
		return " "
	}
	return " by (" + by + ") "
}

// orZero adds zeros where there are attempts and no failures.
func orZero(failures, attempts string) string { return failures + " or 0 * " + attempts }

// share of a part, where the whole is at least so much.
func share(part, whole, least string) string {
	return "(" + orZero(part, whole) + ") / (" + whole + " >= " + least + ")"
}

// touched is how many of the values of a label that had attempts also had failures,
// as a share.
func touched(label, failures, attempts, match, matchFailures string) string {
	return "(count(" + counted(label, failures, matchFailures, whole) + " > 0) or vector(0)) / count(" +
		counted(label, attempts, match, whole) + " > 0)"
}

// quantile of a classic histogram.
func quantile(q, by, histogram, match, span string) string {
	labels := "le"
	if by != "" {
		labels += ", " + by
	}
	return "histogram_quantile(" + q + ", " + counted(labels, histogram+"_bucket", match, span) + ")"
}

// within is the share of a histogram's observations in the buckets up to a bound.
// Prometheus 3 writes 30.0 for what Prometheus 2 read as 30.
func within(bound, by, histogram, match, span string) string {
	return counted(by, histogram+"_bucket", match+`, le=~"`+bound+`|`+bound+`\\.0"`, span) +
		" / (" + counted(by, histogram+"_count", match, span) + " > 0)"
}

// people are distinct users: the greatest number that any instance knows, so that
// two exporters do not count somebody twice.
func people(by, gauge, match string) string {
	labels := []string{"project", "product"}
	if by != "" {
		labels = append(labels, by)
	}
	return "sum" + grouped(by) + "(max by (" + strings.Join(labels, ", ") + ") (" + gauge + "{" + match + `, window="$window"}))`
}

// leading are the n greatest series of the whole time shown, the same ones at every
// step.
func leading(n, by, expr string) string {
	return expr + " and on (" + by + ") topk(" + n + ", " + atEnd(expr) + ")"
}

// atEnd asks for a count over the whole time shown, as of its end.
func atEnd(expr string) string { return strings.ReplaceAll(expr, "["+step+"]", "["+whole+"] @ end()") }

// named gives series without a value of a label a dash in its place: a legend would
// else call them "Value".
func named(label, expr string) string {
	return "label_replace(" + expr + `, "` + label + `", "-", "` + label + `", "")`
}

// age is how long ago something was.
func age(by, timestamp, match string) string {
	return "time() - min" + grouped(by) + "(" + timestamp + "{" + match + "})"
}

// loginSources are those that the logins come from.
const loginSources = `, source=~"user_connections|desktop_connections"`

const (
	lastSuccess = "workspace_exporter_source_last_success_timestamp_seconds"
	catchingUp  = "workspace_exporter_source_catching_up"
)
