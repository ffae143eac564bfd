package collector

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
)

// TestReferenceListsTheMetrics compares docs/metrics.md with what there is. Of the
// names, types, labels and help texts none may differ.
func TestReferenceListsTheMetrics(t *testing.T) {
	text, err := os.ReadFile("../docs/metrics.md")
	require.NoError(t, err)
	row := regexp.MustCompile("(?m)^\\| `(workspace_\\w+)` \\| (\\w+) \\| (.*?) \\| (.*) \\|$")
	var documented []string
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, strings.Join(m[1:], " | "))
	}
	var want []string
	for _, m := range Metrics {
		want = append(want, reference(m.Name, string(m.Type), labelNames(m), m.Help))
	}
	want = append(want, processReference(t)...)
	slices.Sort(want)
	if *update {
		rewriteTable(t, string(text), want)
		return
	}
	assert.Equal(t, strings.Join(want, "\n"), strings.Join(documented, "\n"))
}

var update = flag.Bool("update", false, "write the table of docs/metrics.md")

func rewriteTable(t *testing.T, text string, rows []string) {
	const heading = "| metric | type | more labels | meaning |\n|---|---|---|---|\n"
	head, rest, found := strings.Cut(text, heading)
	require.True(t, found)
	_, tail, _ := strings.Cut(rest, "\n\n")
	var table strings.Builder
	for _, row := range rows {
		name, more, _ := strings.Cut(row, " | ")
		table.WriteString("| `" + name + "` | " + more + " |\n")
	}
	require.NoError(t, os.WriteFile("../docs/metrics.md", []byte(head+heading+table.String()+"\n"+tail), 0o644))
}

func reference(name, kind string, labels []string, help string) string {
	quoted := make([]string, len(labels))
	for i, l := range labels {
		quoted[i] = "`" + l + "`"
	}
	return strings.Join([]string{name, kind, strings.Join(quoted, ", "), help}, " | ")
}

// processReference feeds every metric of the process once.
func processReference(t *testing.T) []string {
	registry := prometheus.NewRegistry()
	registry.MustRegister(versioncollector.NewCollector("workspace_exporter"))
	e := NewExporter(registry, "x")
	s := e.Source("p", "s")
	s.Polled(nil, time.Second)
	s.Failing("x")
	s.At(cursor.Position{Cursor: t0, LastSuccess: t0})
	s.CatchingUp(false)
	s.ServerClock(0, true)
	s.ExportTask("created")
	s.Reconciled(0)
	s.ShowUnfinished(0)
	e.Request("p")("o", "200", time.Second)
	e.Sharded(0, 2)
	e.ShowLeases(func() (Leases, bool) { return Leases{Held: map[string]bool{"p": true}}, true })
	e.Limited().WithLabelValues("f")
	families, err := registry.Gather()
	require.NoError(t, err)
	var rows []string
	for _, f := range families {
		var labels []string
		for _, l := range f.Metric[0].Label {
			// Those of the build are its own affair.
			if !slices.Contains([]string{"project", "source"}, l.GetName()) && !strings.HasSuffix(f.GetName(), "_build_info") {
				labels = append(labels, l.GetName())
			}
		}
		kind := strings.ToLower(dto.MetricType_name[int32(f.GetType())])
		rows = append(rows, reference(f.GetName(), kind, labels, f.GetHelp()))
	}
	return rows
}
