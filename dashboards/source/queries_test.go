package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
)

// TestQueriesAskForWhatThereIs looks up every metric and label of every query of
// panels, variables and annotations among those of the program.
func TestQueriesAskForWhatThereIs(t *testing.T) {
	there := exposed(t)
	for _, b := range boards(t) {
		check := func(where, query, legend string) {
			expr := parse(t, query)
			known := []string{"le"}
			parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
				if s, ok := n.(*parser.VectorSelector); ok {
					for _, name := range metricsOf(s) {
						has, ok := there[name]
						assert.True(t, ok, "%s: %s: no metric %q", b.UID, where, name)
						for _, m := range s.LabelMatchers {
							assert.True(t, m.Name == model.MetricNameLabel || slices.Contains(has, m.Name), "%s: %s: %s has no label %s", b.UID, where, name, m.Name)
						}
						known = append(known, has...)
					}
				}
				return nil
			})
			known = append(known, replaced(expr)...)
			for _, label := range slices.Concat(groupings(expr), legendLabels(legend)) {
				assert.Contains(t, known, label, "%s: %s: no metric of it has the label: %s", b.UID, where, query)
			}
		}
		b.prometheusTargets(func(p boardPanel, q target) {
			check(p.Title, q.Expr, q.LegendFormat)
			assertSurvives(t, b.UID+": "+p.Title, parse(t, q.Expr), legendLabels(q.LegendFormat))
		})
		for _, v := range b.Templating.List {
			if m := labelValues.FindStringSubmatch(v.Query); m != nil {
				check(v.Name, m[1], "{{"+m[2]+"}}")
			}
		}
		for _, a := range b.Annotations.List {
			check(a.Name, a.Expr, a.TitleFormat)
		}
		for _, p := range b.everyPanel() {
			checkColumns(t, b, p)
		}
	}
}

// metricsOf are the metrics that a selector names: one, or those of a regular expression.
func metricsOf(s *parser.VectorSelector) []string {
	for _, m := range s.LabelMatchers {
		if m.Name == model.MetricNameLabel {
			return strings.Split(m.Value, "|")
		}
	}
	return nil
}

// replaced are the labels that label_replace() makes.
func replaced(expr parser.Expr) []string {
	var all []string
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if c, ok := n.(*parser.Call); ok && c.Func.Name == "label_replace" {
			all = append(all, c.Args[1].(*parser.StringLiteral).Val)
		}
		return nil
	})
	return all
}

// groupings are the labels of all by, on and group_left.
func groupings(expr parser.Expr) []string {
	var all []string
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.AggregateExpr:
			all = append(all, n.Grouping...)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				all = append(append(all, n.VectorMatching.MatchingLabels...), n.VectorMatching.Include...)
			}
		}
		return nil
	})
	return all
}

var legendLabel = regexp.MustCompile(`\{\{(\w+)\}\}`)

func legendLabels(legend string) []string {
	var all []string
	for _, m := range legendLabel.FindAllStringSubmatch(legend, -1) {
		all = append(all, m[1])
	}
	return all
}

// assertSurvives sees that what a legend names is not summed away.
func assertSurvives(t *testing.T, where string, expr parser.Expr, names []string) {
	if len(names) == 0 {
		return
	}
	kept := groupings(expr)
	aggregated := false
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		_, is := n.(*parser.AggregateExpr)
		aggregated = aggregated || is
		return nil
	})
	for _, name := range names {
		assert.True(t, !aggregated || slices.Contains(kept, name), "%s: {{%s}} is summed away", where, name)
	}
}

// checkColumns sees that every column of a table is a label that its queries keep, or
// the value of one of its queries.
func checkColumns(t *testing.T, b board, p boardPanel) {
	kept := []string{"Time"}
	for _, q := range p.Targets {
		if q.Datasource.Type == "prometheus" {
			kept = append(kept, "Value #"+q.RefID)
			kept = append(kept, groupings(parse(t, q.Expr))...)
			kept = append(kept, replaced(parse(t, q.Expr))...)
		}
	}
	for _, transformation := range p.Transformations {
		titles := map[string]bool{}
		for name, title := range transformation.Options.RenameByName {
			if name == "Value" && len(p.Targets) == 1 {
				continue
			}
			for _, label := range strings.Split(name, `\`) { // two in the corner of a matrix
				assert.Contains(t, kept, label, "%s: %s", b.UID, p.Title)
			}
			assert.False(t, titles[title], "%s: %s: two columns are called %s", b.UID, p.Title, title)
			titles[title] = true
		}
		for _, o := range p.FieldConfig.Overrides {
			if title, ok := o.Matcher.Options.(string); ok && transformation.ID == "organize" && o.Matcher.ID == "byName" {
				assert.True(t, titles[title], "%s: %s: no column %s", b.UID, p.Title, title)
			}
		}
	}
}

// exposed are the program's metrics with their labels, and those that Prometheus makes.
func exposed(t *testing.T) map[string][]string {
	there := map[string][]string{
		"up": {}, "scrape_samples_scraped": {},
		"ALERTS":           {"alertname", "alertstate", "severity", "project", "product", "desktop_group"},
		"ALERTS_FOR_STATE": {"alertname", "severity", "project", "product", "desktop_group"},
	}
	add := func(name, kind string, names ...string) {
		if kind == "histogram" {
			there[name+"_bucket"] = append(slices.Clone(names), "le")
			there[name+"_sum"], there[name+"_count"], there[name] = names, names, names // the last one is native
			return
		}
		there[name] = names
	}
	for _, m := range collector.Metrics {
		scope := "product"
		if m.AboutSource {
			scope = "source"
		}
		labels := []string{"project", scope}
		for _, l := range m.Labels {
			labels = append(labels, string(l))
		}
		add(m.Name, string(m.Type), labels...)
	}
	for _, f := range processMetrics(t) {
		var names []string
		for _, l := range f.Metric[0].Label {
			names = append(names, l.GetName())
		}
		add(f.GetName(), strings.ToLower(f.GetType().String()), names...)
	}
	for name := range maps.Keys(there) {
		there[name] = append(there[name], "job", "instance")
	}
	return there
}

// processMetrics feeds every metric of the process once.
func processMetrics(t *testing.T) []*dto.MetricFamily {
	registry := prometheus.NewRegistry()
	registry.MustRegister(versioncollector.NewCollector("workspace_exporter"), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	e := collector.NewExporter(registry, reasons...)
	s := e.Source("p", "s")
	s.Polled(nil, time.Second)
	s.Failing("")
	s.At(cursor.Position{Cursor: time.Unix(1, 0), LastSuccess: time.Unix(1, 0)})
	s.CatchingUp(false)
	s.ExportTask("created")
	s.Reconciled(0)
	s.RowsSkipped("r", 1)
	s.ShowUnfinished(0)
	s.RereadFailed()
	e.Request("p")("o", "200", time.Second)
	e.Sharded(0, 2)
	e.Limited().WithLabelValues("f")
	families, err := registry.Gather()
	require.NoError(t, err)
	return families
}
