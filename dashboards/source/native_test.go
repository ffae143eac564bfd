package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

type rule struct {
	Record, Alert, Expr string
	Annotations         map[string]string
}

func allRules(t *testing.T) (all []rule) {
	t.Helper()
	text, err := os.ReadFile("../rules/workspace.rules.yml")
	require.NoError(t, err)
	var file struct{ Groups []struct{ Rules []rule } }
	require.NoError(t, yaml.Unmarshal(text, &file))
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// TestRulesInTheNewestPrometheus: promtool, which tests the rules, is of an older one.
func TestRulesInTheNewestPrometheus(t *testing.T) {
	all := allRules(t)
	require.NotEmpty(t, all)
	for _, r := range all {
		ask(t, "a 0x120", r.Expr)
	}
}

// TestRulesWithEitherHistogram: a Prometheus may keep classic buckets alone, or native
// ones alone, or both. promtool's tests know classic ones only.
func TestRulesWithEitherHistogram(t *testing.T) {
	exprs := map[string]string{}
	for _, r := range allRules(t) {
		exprs[r.Alert] = r.Expr
	}
	for alert, c := range map[string]struct{ family, labels, beside string }{
		"WorkspaceLoginSlow": {"workspace_login_duration_seconds", `job="w",project="p",product="app_streaming",desktop_group="g"`,
			`product:workspace_login_users:last1h{job="w",project="p",product="app_streaming"} 9x120`},
		"WorkspaceExporterRecordsLate": {"workspace_exporter_record_delay_seconds", `job="w",project="p",source="user_connections"`,
			`source:workspace_exporter_source_cursor:advance1h{job="w",project="p",source="user_connections"} 3600x120`},
	} {
		// One observation a minute, in the bucket from 512 s to 1024 s or from 1 s to 2 s.
		kinds := func(slow bool) map[string]string {
			name := c.family + "_bucket{" + c.labels + `,le="`
			fast, offset := "0+1x120", "1"
			if slow {
				fast, offset = "0x120", "10"
			}
			return map[string]string{
				"classic": name + `2"} ` + fast + "\n" + name + `512"} ` + fast + "\n" + name + `1024"} 0+1x120` + "\n" + name + `+Inf"} 0+1x120` + "\n" +
					c.family + "_count{" + c.labels + "} 0+1x120",
				"native": c.family + "{" + c.labels + "} {{schema:0 count:0 sum:0 buckets:[0] offset:" + offset + "}}+{{schema:0 count:1 sum:600 buckets:[1] offset:" + offset + "}}x120",
			}
		}
		for _, slow := range []bool{true, false} {
			of := kinds(slow)
			of["both"] = of["classic"] + "\n" + of["native"]
			for kind, series := range of {
				found := ask(t, series+"\n"+c.beside, exprs[alert])
				if slow {
					if assert.Len(t, found, 1, "%s, %s", alert, kind) {
						assert.InDelta(t, 900, found[0].F, 200, "%s, %s", alert, kind)
					}
				} else {
					assert.Empty(t, found, "%s, %s", alert, kind)
				}
			}
		}
	}
}

// ask loads series, a sample a minute, and asks for an expression two hours later.
func ask(t *testing.T, series, expr string) promql.Vector {
	t.Helper()
	storage := promqltest.LoadedStorage(t, "load 1m\n  "+strings.ReplaceAll(series, "\n", "\n  "))
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	q, err := engine.NewInstantQuery(t.Context(), storage, nil, expr, time.Unix(7200, 0))
	require.NoError(t, err)
	defer q.Close()
	result := q.Exec(t.Context())
	require.NoError(t, result.Err)
	require.Empty(t, result.Warnings)
	v, err := result.Vector()
	require.NoError(t, err)
	return v
}
