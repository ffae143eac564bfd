package stack

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
)

const (
	rulesFile = "../../dashboards/rules/workspace.rules.yml"
	grafana   = "http://localhost:3000/d/"
	runbooks  = "https://github.com/workspace-exporter/workspace_exporter/blob/main/docs/runbooks.md#"
)

// rule is a rule of the rules file: one that records, or one that alerts.
type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	decode(t, rulesFile, &file)
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	require.NotEmpty(t, all)
	return all
}

func alerts(t *testing.T) []rule {
	all := slices.DeleteFunc(rules(t), func(r rule) bool { return r.Alert == "" })
	require.NotEmpty(t, all)
	return all
}

func decode(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, into), file)
}

// TestAlertsExplainThemselves lets every alert carry what a person needs who is woken
// by it.
func TestAlertsExplainThemselves(t *testing.T) {
	sections, known := runbookSections(t), exportedAndRecorded(t)
	for _, a := range alerts(t) {
		assert.Contains(t, []string{"critical", "warning", "info"}, a.Labels["severity"], a.Alert)
		assert.Equal(t, []string{"dashboard_url", "description", "runbook_url", "summary"}, slices.Sorted(maps.Keys(a.Annotations)), a.Alert)
		if regexp.MustCompile("^Workspace(Login|ServerLogin|Exporter)").MatchString(a.Alert) && a.Alert != "WorkspaceExporterAbsent" { // of no project
			assert.Regexp(t, `\$labels\.(project|instance|job)`, a.Annotations["summary"], "%s: the summary, which is a mail's subject, says where", a.Alert)
		}
		assert.Equal(t, runbooks+strings.ToLower(a.Alert), a.Annotations["runbook_url"], a.Alert)
		for _, part := range []string{"Meaning", "Impact", "Diagnosis", "Mitigation"} {
			assert.Contains(t, sections[a.Alert], "**"+part+".**", "the runbook of %s", a.Alert)
		}
		link := a.Annotations["dashboard_url"]
		has, variables := outerLabels(a.Expr, known), linkedVariables(t, link)
		if strings.HasPrefix(strings.TrimSpace(a.Expr), "absent(") {
			has = nil
		}
		for _, label := range has {
			if label != "job" && slices.Contains(variables, label) {
				assert.Contains(t, link, "var-"+label+"={{ $labels."+label+" | urlquery }}", a.Alert)
			}
		}
		for _, set := range regexp.MustCompile(`var-(\w+)=`).FindAllStringSubmatch(link, -1) {
			assert.Contains(t, variables, set[1], "%s: the dashboard has no such variable", a.Alert)
		}
		for _, field := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(link+a.Annotations["description"], -1) {
			assert.Contains(t, append(has, "instance", "job"), field[1], "%s speaks of a label that it has not", a.Alert)
		}
	}
}

// linkedVariables are the variables of the dashboard that a link goes to.
func linkedVariables(t *testing.T, link string) (names []string) {
	t.Helper()
	path, ok := strings.CutPrefix(link, grafana)
	require.True(t, ok, link)
	uid, _, _ := strings.Cut(path, "?")
	d := readDashboard(t, "../../dashboards/en/"+uid+".json")
	require.Equal(t, uid, d.UID)
	for _, v := range d.Templating.List {
		names = append(names, v.Name)
	}
	return names
}

// runbookSections are the runbooks by their headings.
func runbookSections(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/runbooks.md")
	require.NoError(t, err)
	sections := map[string]string{}
	for section := range strings.SplitSeq(string(text), "\n## ") {
		heading, body, _ := strings.Cut(section, "\n")
		sections[heading] = body
	}
	return sections
}

// TestRunbooksAreOfAlerts finds runbooks of alerts that are no more.
func TestRunbooksAreOfAlerts(t *testing.T) {
	known := map[string]bool{}
	for _, a := range alerts(t) {
		known[a.Alert] = true
	}
	for heading := range runbookSections(t) {
		if strings.HasPrefix(heading, "Workspace") {
			assert.True(t, known[heading], heading)
		}
	}
}

// TestEveryAlertIsTried lets every alert be seen firing and silent in promtool's tests,
// which scripts/check-rules runs. Those of one name differ by their labels.
func TestEveryAlertIsTried(t *testing.T) {
	type expectation struct {
		Alert  string `yaml:"alertname"`
		Alerts []struct {
			Labels map[string]string `yaml:"exp_labels"`
		} `yaml:"exp_alerts"`
	}
	files, err := filepath.Glob("../../dashboards/rules/tests/*.test.yml")
	require.NoError(t, err)
	var tried []expectation
	for _, file := range files {
		var tests struct {
			Tests []struct {
				Expect []expectation `yaml:"alert_rule_test"`
			}
		}
		decode(t, file, &tests)
		for _, test := range tests.Tests {
			tried = append(tried, test.Expect...)
		}
	}
	for _, a := range alerts(t) {
		fires := func(e expectation) bool {
			for _, alert := range e.Alerts {
				if isPart(a.Labels, alert.Labels) {
					return true
				}
			}
			return false
		}
		var firing, silent int
		for _, e := range tried {
			switch {
			case e.Alert != a.Alert:
			case fires(e):
				firing++
			default:
				silent++
			}
		}
		assert.Positive(t, firing, "%s %v is in no test seen firing", a.Alert, a.Labels)
		assert.Positive(t, silent, "%s %v is in no test seen silent", a.Alert, a.Labels)
	}
}

func isPart(part, of map[string]string) bool {
	for name, value := range part {
		if of[name] != value {
			return false
		}
	}
	return true
}

// TestRulesUseWhatThereIs compares the names and labels in the rules with what the
// exporter shows.
func TestRulesUseWhatThereIs(t *testing.T) {
	known := exportedAndRecorded(t)
	for _, r := range rules(t) {
		for _, problem := range misused(r.Expr, known) {
			t.Errorf("%s%s: %s", r.Record, r.Alert, problem)
		}
	}
}

func TestMisuseIsNoticed(t *testing.T) {
	known := map[string][]string{"a_total": {"x"}, "b_seconds": {"y"}}
	assert.Empty(t, misused(`sum by (x) (increase(a_total{x="1"}[5m])) / on (x) max by (x) (label_replace(b_seconds_count, "x", "$1", "y", ".*"))`, known))
	for expr, problem := range map[string]string{
		`increase(c_total[5m])`:                   "c_total does not exist",
		`increase(a_total{y="1"}[5m])`:            "a_total has no label y",
		`sum by (x, y) (increase(a_total[5m]))`:   "a_total has no label y",
		`sum by (x) (rate(b_seconds_bucket[5m]))`: "b_seconds_bucket has no label x",
	} {
		assert.Equal(t, []string{problem}, misused(expr, known), expr)
	}
}

var (
	selector = regexp.MustCompile(`([a-zA-Z_:][\w:]*_[\w:]*)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
	grouping = regexp.MustCompile(`\bby \(([^)]*)\) \(`)
	quoted   = regexp.MustCompile(`"[^"]*"`)
	// word is what looks like a metric and is a function or a label.
	word = regexp.MustCompile(`^(\w+_over_time|label_replace|clamp_min|histogram_(quantile|count|sum)|group_(left|right)|\w+_(group|name|code|version|type|pool))$`)
)

// misused lists what an expression uses and there is not. It knows as much of PromQL
// as the rules need: selectors, and `by` before its operand.
func misused(expr string, known map[string][]string) (problems []string) {
	use := func(part string, labels []string) {
		for _, s := range selectors(part) {
			has, ok := labelsOf(s.metric, known)
			if !ok {
				problems = append(problems, s.metric+" does not exist")
				continue
			}
			for _, label := range slices.Concat(labels, s.labels) {
				given := strings.Contains(part, `"`+label+`", "`) // by label_replace
				if !given && !slices.Contains(append(has, "job", "instance"), label) {
					problems = append(problems, s.metric+" has no label "+label)
				}
			}
		}
	}
	use(expr, nil)
	for _, at := range grouping.FindAllStringSubmatchIndex(expr, -1) {
		summed, _, _ := strings.Cut(operand(expr[at[1]:]), "and on (") // what filters need not have the labels
		use(summed, split(expr[at[2]:at[3]]))
	}
	slices.Sort(problems)
	return slices.Compact(problems)
}

type selected struct {
	metric string
	labels []string
}

func selectors(expr string) (all []selected) {
	for _, m := range selector.FindAllStringSubmatch(withoutText(expr), -1) {
		if word.MatchString(m[1]) {
			continue
		}
		s := selected{metric: m[1]}
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			s.labels = append(s.labels, l[1])
		}
		all = append(all, s)
	}
	return all
}

// withoutText empties the strings of an expression.
func withoutText(expr string) string { return quoted.ReplaceAllString(expr, `""`) }

// operand is what stands before the parenthesis that closes the one before it.
func operand(rest string) string {
	open := 1
	for i, c := range rest {
		switch c {
		case '(':
			open++
		case ')':
			if open--; open == 0 {
				return rest[:i]
			}
		}
	}
	return rest
}

// outerLabels are the labels that an expression's result has: those of its first `by`,
// or of the recorded metric before it.
func outerLabels(expr string, known map[string][]string) []string {
	by := grouping.FindStringSubmatchIndex(expr)
	recorded := regexp.MustCompile(`\w+:\w+:\w+`).FindStringIndex(expr)
	switch {
	case recorded != nil && (by == nil || recorded[0] < by[0]):
		return known[expr[recorded[0]:recorded[1]]]
	case by != nil:
		return slices.DeleteFunc(split(expr[by[2]:by[3]]), func(l string) bool { return l == "le" })
	}
	return nil
}

func split(list string) []string {
	labels := strings.Split(list, ",")
	for i := range labels {
		labels[i] = strings.TrimSpace(labels[i])
	}
	return labels
}

// labelsOf knows the series of histograms too.
func labelsOf(metric string, known map[string][]string) ([]string, bool) {
	if metric == "up" {
		return nil, true
	}
	if labels, ok := known[metric]; ok {
		return labels, true
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if family, cut := strings.CutSuffix(metric, suffix); cut {
			labels, ok := known[family]
			return append(slices.Clone(labels), "le"), ok
		}
	}
	return nil, false
}

// exportedAndRecorded is every metric that there is, with its labels.
func exportedAndRecorded(t *testing.T) map[string][]string {
	t.Helper()
	known := exported(t)
	for _, r := range rules(t) { // in order: each may use those before it
		if r.Record != "" {
			known[r.Record] = outerLabels(r.Expr, known)
		}
	}
	return known
}

// exported is every metric of the exporter, with its labels.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{"workspace_exporter_build_info": nil}
	for _, m := range collector.Metrics {
		scope := "product"
		if m.AboutSource {
			scope = "source"
		}
		all[m.Name] = []string{"project", scope}
		for _, l := range m.Labels {
			all[m.Name] = append(all[m.Name], string(l))
		}
	}
	registry := prometheus.NewRegistry()
	e := collector.NewExporter(registry)
	s := e.Source("p", "s")
	s.Polled(nil, time.Second)
	s.At(cursor.Position{Cursor: time.Unix(1, 0), LastSuccess: time.Unix(1, 0)})
	s.CatchingUp(false)
	s.ExportTask("created")
	s.Reconciled(0)
	e.Request("p")("o", "200", time.Second)
	e.Sharded(0, 2)
	e.ShowLeases(func() (collector.Leases, bool) { return collector.Leases{Held: map[string]bool{"p": true}}, true })
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		all[f.GetName()] = nil
		for _, l := range f.Metric[0].Label {
			all[f.GetName()] = append(all[f.GetName()], l.GetName())
		}
	}
	return all
}
