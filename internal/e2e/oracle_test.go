package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// series are values by name and labels. A histogram is its _count, _sum and _bucket.
type series map[string]float64

// nameOf is the part of a key before its labels.
func nameOf(key string) string {
	name, _, _ := strings.Cut(key, "{")
	return name
}

// key names a series; labels are names and values in turn.
func key(name string, labels ...string) string {
	var pairs []string
	for i := 0; i < len(labels); i += 2 {
		pairs = append(pairs, labels[i]+"="+strconv.Quote(labels[i+1]))
	}
	slices.Sort(pairs)
	return name + "{" + strings.Join(pairs, ",") + "}"
}

// parse reads the text format.
func parse(t *testing.T, text string) series {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	s := series{}
	for name, family := range families {
		for _, m := range family.Metric {
			s.read(name, m)
		}
	}
	return s
}

func (s series) read(name string, m *dto.Metric) {
	var labels []string
	for _, l := range m.Label {
		labels = append(labels, l.GetName(), l.GetValue())
	}
	switch h := m.GetHistogram(); {
	case h != nil:
		s[key(name+"_count", labels...)] = float64(h.GetSampleCount())
		s[key(name+"_sum", labels...)] = h.GetSampleSum()
		for _, b := range h.Bucket {
			s[key(name+"_bucket", append(slices.Clip(labels), "le", fmt.Sprint(b.GetUpperBound()))...)] = float64(b.GetCumulativeCount())
		}
	default:
		s[key(name, labels...)] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
	}
}

// records are the series that come from records and are not 0. Of the readings, they
// have those of which the number does not depend on how often there was a poll.
func (s series) records() series {
	out := maps.Clone(s)
	maps.DeleteFunc(out, func(key string, value float64) bool {
		switch {
		case value == 0, strings.Contains(key, "_bucket{"):
			return true
		case strings.HasPrefix(key, "workspace_exporter_records_total{"):
			return strings.Contains(key, `"duplicate"`) || strings.Contains(key, `"updated"`) || strings.Contains(key, `"pending"`)
		case strings.HasPrefix(key, "workspace_exporter_record_delay_seconds_count{"):
			return false
		case strings.HasPrefix(key, "workspace_login_failure_code_info{"):
			return strings.Contains(key, `"pending_timeout"`) // its text is the exporter's own
		case strings.HasPrefix(key, "workspace_login_failure_code_advice_info{"):
			return true // not of records, but of what is built in
		case strings.HasPrefix(key, "workspace_connections_peak{"):
			return true // it depends on when a deleted record is missed; see TestPeakOfConnections
		}
		return strings.HasPrefix(key, "workspace_exporter_") || !strings.HasPrefix(key, "workspace_")
	})
	return out
}

// sum adds up all series of a name.
func (s series) sum(name string, having ...string) float64 {
	total := 0.0
	for key, value := range s {
		if !strings.HasPrefix(key, name+"{") || slices.ContainsFunc(having, func(h string) bool { return !strings.Contains(key, h) }) {
			continue
		}
		total += value
	}
	return total
}

// diff lists where s is not as wanted.
func (s series) diff(want series) []string {
	var lines []string
	for key, value := range want {
		if got, ok := s[key]; !ok || got != value {
			lines = append(lines, fmt.Sprintf("%s: want %v, got %v (there: %t)", key, value, got, ok))
		}
	}
	for key, value := range s {
		if _, ok := want[key]; !ok {
			lines = append(lines, fmt.Sprintf("%s: want none, got %v", key, value))
		}
	}
	slices.Sort(lines)
	const most = 20
	if more := len(lines) - most; more > 0 {
		lines = append(lines[:most], fmt.Sprintf("and %d more", more))
	}
	return lines
}

// oracle says what the metrics must be, from the rules alone: each record adds to the
// attempts when it first has an outcome, to the failures when it first fails, and to
// each histogram once.
type oracle struct {
	series
	project string
	now     time.Time
	// expire is true once pending_timeout has passed for every record.
	expire bool

	users, failedUsers, failures map[string]map[string]float64 // by gauge and labels, by person
}

// history is one record in all its versions, oldest first.
type history []simulator.Record

func newOracle(project string, now time.Time, expire bool) *oracle {
	return &oracle{series{}, project, now, expire, map[string]map[string]float64{}, map[string]map[string]float64{}, map[string]map[string]float64{}}
}

func (o *oracle) add(value float64, name string, labels ...string) {
	o.series[o.key(name, labels...)] += value
}

func (o *oracle) key(name string, labels ...string) string {
	return key(name, append(labels, "project", o.project, "product", "app_streaming")...)
}

func (o *oracle) reading(disposition string) {
	o.series[key("workspace_exporter_records_total", "disposition", disposition, "project", o.project, "source", "user_connections")]++
}

// outcome of a version: a code if it is a failure, else whether it is a success.
func outcome(r simulator.Record) (code string, success bool) {
	if r.FailedCode != "" && r.FailedCode != "0" {
		return r.FailedCode, false
	}
	if r.FailedCode == "" && r.FailedReason != "" {
		return "unknown", false
	}
	return "", r.StartTime != ""
}

func (o *oracle) count(h history) {
	var attempted, failed, succeeded, timed, sessionTimed bool
	for _, r := range h {
		code, success := outcome(r)
		if code == "" && !success {
			continue
		}
		if !attempted {
			o.attempt(r)
			o.reading("counted")
		} else if code != "" && !failed {
			o.reading("reclassified")
		}
		attempted = true
		if code != "" && !failed {
			failed = true
			o.fail(r, code)
		}
		if succeeded = succeeded || success; !succeeded {
			continue
		}
		if r.PreConnTime != "" && r.StartTime != "" && !timed {
			timed = true
			o.duration("workspace_login_duration_seconds", r, r.PreConnTime, r.StartTime)
		}
		if r.StartTime != "" && r.EndTime != "" && !sessionTimed {
			sessionTimed = true
			o.duration("workspace_session_duration_seconds", r, r.StartTime, r.EndTime)
		}
	}
	last := h[len(h)-1]
	if _, success := outcome(last); success && last.EndTime == "" {
		o.add(1, "workspace_server_open_connections", "desktop_group", last.DesktopGroupName, "machine_name", last.MachineName)
	}
	if !attempted && o.expire {
		o.attempt(last)
		o.fail(last, "pending_timeout")
		o.reading("expired")
	}
}

// connectType is the label for what a record is to.
func connectType(r simulator.Record) string {
	return cmp.Or(map[string]string{"1": "shared_desktop", "2": "application"}[r.ConnectType], r.ConnectType)
}

func (o *oracle) attempt(r simulator.Record) {
	o.add(1, "workspace_login_attempts_total", "desktop_group", r.DesktopGroupName)
	o.add(1, "workspace_client_login_attempts_total", "client_type", r.ClientType, "agent_version", r.AgentVersion)
	o.add(1, "workspace_client_version_login_attempts_total", "client_type", r.ClientType, "client_version", r.ClientVersion)
	o.add(1, "workspace_server_login_attempts_total", "desktop_group", r.DesktopGroupName, "machine_name", r.MachineName)
	o.add(1, "workspace_connect_type_login_attempts_total", "connect_type", connectType(r))
	o.series[key("workspace_exporter_record_delay_seconds_count", "project", o.project, "source", "user_connections")]++
	o.windows(r, func(window string) {
		person(o.users, o.key("workspace_login_users", "window", window), r.UserName)
		person(o.users, o.key("workspace_group_login_users", "desktop_group", r.DesktopGroupName, "window", window), r.UserName)
	})
}

func (o *oracle) fail(r simulator.Record, code string) {
	o.add(1, "workspace_login_failures_total", "desktop_group", r.DesktopGroupName, "failed_code", code)
	o.add(1, "workspace_client_login_failures_total", "client_type", r.ClientType, "agent_version", r.AgentVersion, "failed_code", code)
	o.add(1, "workspace_client_version_login_failures_total", "client_type", r.ClientType, "client_version", r.ClientVersion, "failed_code", code)
	o.add(1, "workspace_server_login_failures_total", "desktop_group", r.DesktopGroupName, "machine_name", r.MachineName, "failed_code", code)
	o.add(1, "workspace_connect_type_login_failures_total", "connect_type", connectType(r), "failed_code", code)
	if code != "pending_timeout" {
		class, explanation := "", ""
		if code == "unknown" {
			class, explanation = "unknown", "The login failed with a reason, but without a code"
		}
		o.series[o.key("workspace_login_failure_code_info", "failed_code", code, "reason", r.FailedReason, "class", class, "explanation", explanation)] = 1
	}
	o.windows(r, func(window string) {
		person(o.failedUsers, o.key("workspace_login_failed_users", "window", window), r.UserName)
		person(o.failedUsers, o.key("workspace_group_login_failed_users", "desktop_group", r.DesktopGroupName, "window", window), r.UserName)
		person(o.failures, o.key("workspace_login_max_failures_per_user", "window", window), r.UserName)
		person(o.failures, o.key("workspace_login_max_failures_per_client_ip", "window", window), r.ClientIP)
	})
}

func (o *oracle) duration(name string, r simulator.Record, from, to string) {
	o.add(1, name+"_count", "desktop_group", r.DesktopGroupName)
	o.add(moment(to).Sub(moment(from)).Seconds(), name+"_sum", "desktop_group", r.DesktopGroupName)
}

// windows calls f for each window in which the record is.
func (o *oracle) windows(r simulator.Record, f func(window string)) {
	age := o.now.Sub(moment(cmp.Or(r.StartTime, r.PreConnTime, r.UpdateTime)))
	if age < 15*time.Minute {
		f("15m")
	}
	if age < time.Hour {
		f("1h")
	}
}

// person adds one to what is known of a person.
func person(gauge map[string]map[string]float64, key, name string) {
	if gauge[key] == nil {
		gauge[key] = map[string]float64{}
	}
	gauge[key][name]++
}

// finish turns people into numbers.
func (o *oracle) finish() series {
	for _, gauge := range []map[string]map[string]float64{o.users, o.failedUsers} {
		for key, people := range gauge {
			o.series[key] = float64(len(people))
		}
	}
	for key, people := range o.failures {
		o.series[key] = slices.Max(slices.Collect(maps.Values(people)))
	}
	return o.records()
}

func moment(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}
