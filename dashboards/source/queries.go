package main

import "strings"

// What a query matches, from the process to the failure. Values come from the page's
// variables. Record metrics are not chosen by instance: they keep one identity,
// whichever process shows them.
const (
	ofJob        = `job=~"$job"`
	process      = ofJob + `, instance=~"$instance"`
	matchProject = ofJob + `, project=~"$project"`
	all          = matchProject + `, product=~"$product"`
	inGroup      = all + `, desktop_group=~"$desktop_group"`
	withCode     = inGroup + `, failed_code=~"$failed_code"`
	ofClient     = all + `, client_type=~"$client_type"`
	ofSource     = process + `, project=~"$project", source=~"$source"`

	// Servers are those of application streaming. Desktops are no servers, and have no
	// series by server unless desktop_names is on. A login without a server reached none.
	serversInGroup = inGroup + `, product!="desktop"`
	reached        = `, machine_name!=""`
	unreached      = `, machine_name=""`
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
	connectAttempts = "workspace_connect_type_login_attempts_total"
	connectFailures = "workspace_connect_type_login_failures_total"
)

// Spans of time. Graphs count in steps, and everything else over one of the others.
const (
	step   = "$__rate_interval"
	whole  = "$__range"
	window = "$window"
)

// enough attempts or logins for a ratio or percentile to say something. A server has
// fewer logins than a group.
const (
	enough          = "10"
	enoughForServer = "5"
)

// objective is the share of logins that should succeed.
const objective = 0.98

// counted is by how much a counter grew within a span, summed by labels. In a graph, the
// rate of $__rate_interval times the step: increase() over a step would lose what happens
// between the last sample of one step and the first of the next, and the bars would not
// add up to the counter.
func counted(by, counter, match, span string) string { return countedAt(by, counter, match, span, "") }

// before is counted, a week earlier.
func before(by, counter, match, span string) string {
	return countedAt(by, counter, match, span, " offset 1w")
}

func countedAt(by, counter, match, span, at string) string {
	series := counter + "{" + match + "}[" + span + "]" + at
	if span == step {
		return "(sum" + grouped(by) + "(rate(" + series + ")) * $__interval_ms / 1000)"
	}
	return "sum" + grouped(by) + "(increase(" + series + "))"
}

// growth of a histogram's series, of which only the proportions matter.
func growth(by, series, match, span string) string {
	function := "increase"
	if span == step {
		function = "rate"
	}
	return "sum" + grouped(by) + "(" + function + "(" + series + "{" + match + "}[" + span + "]))"
}

// labelList takes a list of labels apart.
func labelList(by string) []string { return strings.Split(by, ", ") }

func grouped(by string) string {
	if by == "" {
		return " "
	}
	return " by (" + by + ") "
}

// orZero adds zeros where there are attempts and no failures.
func orZero(failures, attempts string) string { return failures + " or 0 * " + attempts }

// share of a part, where the whole is at least so much. Part and whole are extrapolated
// each by itself, so their ratio can exceed 1 by a little.
func share(part, whole, least string) string {
	return "clamp_max((" + orZero(part, whole) + ") / (" + whole + " >= " + least + "), 1)"
}

// orFew is a number that needs enough of something, and -1 where there is less of it.
func orFew(number, count string) string { return number + " or 0 * " + count + " - 1" }

// succeeded is the share of attempts that succeeded.
func succeeded(failures, attempts, least string) string {
	return "1 - " + share(failures, attempts, least)
}

// touched is the share of the values of a label of whose attempts many failed, among those
// with enough of them. Any failure at all would say nothing: everything has some.
func touched(label, failures, attempts, match, matchFailures string) string {
	tried := counted(label, attempts, match, whole)
	many := share(counted(label, failures, matchFailures, whole), tried, enoughForServer) + " >= 0.05"
	return known(orFew("(count("+many+") or vector(0)) / count("+tried+" >= "+enoughForServer+")", counted("", attempts, match, whole)))
}

// Histograms are asked for in both forms, since Prometheus may keep classic buckets,
// native ones, or both.

// quantile of a histogram.
func quantile(q, by, histogram, match, span string) string {
	labels := "le"
	if by != "" {
		labels += ", " + by
	}
	return "(histogram_quantile(" + q + ", " + growth(labels, histogram+"_bucket", match, span) + ")" +
		" or histogram_quantile(" + q + ", " + growth(by, histogram, match, span) + "))"
}

// usual is a quantile in each step of a graph, where there is enough of it.
func usual(q, by, histogram, match string) string {
	return where(by, observed(by, histogram, match, step), enough, quantile(q, by, histogram, match, step))
}

// observed is how many observations a histogram took.
func observed(by, histogram, match, span string) string {
	number := counted(by, histogram+"_count", match, span) + " or histogram_count(" + growth(by, histogram, match, span) + ")"
	if span == step {
		number += " * $__interval_ms / 1000"
	}
	return "(" + number + ")"
}

// within is the share of a histogram's observations up to a bound of its buckets.
// Prometheus 3 writes 30.0 for what Prometheus 2 read as 30.
func within(bound, by, histogram, match, span string) string {
	count := growth(by, histogram+"_count", match, span)
	return "((" + orZero(growth(by, histogram+"_bucket", match+`, le=~"`+bound+`|`+bound+`\\.0"`, span), count) + // a bucket that rests may have no samples
		") / (" + count + " > 0)" +
		" or histogram_fraction(-Inf, " + bound + ", " + growth(by, histogram, match, span) + "))"
}

// buckets are what a heat map draws: those of a classic histogram by their bounds, or a
// native histogram, which has them inside.
func buckets(histogram, match string) string {
	return counted("le", histogram+"_bucket", match, step) + " or (" + growth("", histogram, match, step) + " * $__interval_ms / 1000)"
}

// where keeps the series for which a count is large enough.
func where(by, count, least, expr string) string {
	return expr + " and on (" + by + ") (" + count + " >= " + least + ")"
}

// people are distinct users: the greatest number that any instance knows, so that
// two exporters do not count somebody twice. The labels of the gauge tell its series
// apart.
func people(by, gauge, labels, match string) string {
	return "sum" + grouped(by) + "(max by (" + labels + ") (" + gauge + "{" + match + `, window="$window"}))`
}

// failingUsers are those of whole products, without a desktop group.
func failingUsers() string {
	return people("", "workspace_login_failed_users", "project, product", all)
}

// groupUsers are those of desktop groups: who used two groups is in both.
func groupUsers(by, gauge string) string {
	return people(by, gauge, "project, product, desktop_group", inGroup)
}

// leading are the n greatest series of the whole time shown, the same ones at every
// step.
func leading(n, by, counter, match string) string {
	return counted(by, counter, match, step) + " and on (" + by + ") topk(" + n + ", " +
		countedAt(by, counter, match, whole, " @ end()") + " > 0)"
}

// ours keeps of what every process exposes the series of exporters: a job that is "All"
// chooses every target of Prometheus.
func ours(expr string) string {
	return "(" + expr + " and on (job, instance) last_over_time(" + buildInfo + "{" + process + "}[$__range]))"
}

// loginSources are those that the logins come from, appSources those of launches, and
// currentSources those of what is there now.
const (
	loginSources   = `, source=~"user_connections|desktop_connections"`
	currentSources = `, source=~"servers|desktops"`
	appSources     = `, source="app_connections"`
)

const (
	buildInfo     = "workspace_exporter_build_info"
	lastSuccess   = "workspace_exporter_source_last_success_timestamp_seconds"
	catchingUp    = "workspace_exporter_source_catching_up"
	sourceUp      = "workspace_exporter_source_up"
	sourceFailing = "workspace_exporter_source_failing"
)

// tooOld is the age of the data, in seconds, from which nothing is known of the present.
// The alert about stale data begins there.
const tooOld = "900"

// known is an expression while the data is fresh, and nothing afterwards: gauges keep
// their last value, and counters that rest look like nobody logging in.
func known(expr string) string { return knownOf(loginSources, expr) }

// knownOf is known, of the data of other sources.
func knownOf(sources, expr string) string {
	return "(" + expr + ") and on () count(time() - " + lastSuccess + "{" + matchProject + sources + "} < " + tooOld + ")"
}

// The age of the data, by what keeps it from being fresh. What matches are the sources
// of logins.

// ageByReason is about sources whose last poll failed. One that never succeeded has the
// age of the epoch.
func ageByReason(match string) string {
	failed := sourceFailing + "{" + match + "} == 1"
	since := "(max by (project, source) (" + lastSuccess + "{" + match + "}) or 0 * max by (project, source) (" + failed + "))"
	return "max by (reason) (time() - max by (project, source, reason) (" + failed + ") * on (project, source) group_left () " + since + ")"
}

// ageWithoutReason is about sources that work.
func ageWithoutReason(match string) string {
	return "max(time() - max by (project, source) (" + lastSuccess + "{" + match + "})) unless on () (" + sourceFailing + "{" + match + "} == 1)"
}

// ageUnreached is about exporters that Prometheus does not reach: their targets are
// down, or have been gone for less than an hour.
func ageUnreached(targets, match string) string {
	last := lastSuccess + "{" + match + "}"
	return "max(time() - max by (project, source) (" +
		"(last_over_time(" + last + "[1d]) and on (job, instance) up{" + targets + "} == 0) unless on (project, source) " + last +
		" or last_over_time(" + last + "[1h]) unless on (project, source) " + last + "))"
}
