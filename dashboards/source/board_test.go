package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

// board is a dashboard as Grafana reads it: decoded from the file, without the SDK.
type board struct {
	UID, Title, Description, Timezone, Refresh string
	Language                                   string `json:"-"`
	Tags                                       []string
	Editable                                   bool
	SchemaVersion                              int
	GraphTooltip                               int
	Panels                                     []boardPanel
	Templating                                 struct{ List []variable }
	Annotations                                struct {
		List []struct {
			Name, Expr, TitleFormat string
			Datasource              datasource
		}
	}
	Links []struct {
		Tags                              []string
		IncludeVars, KeepTime, AsDropdown bool
	}
}

type datasource struct{ Type, UID string }

type boardPanel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Collapsed                bool
	Datasource               datasource
	Targets                  []target
	FieldConfig              struct {
		Defaults struct {
			Unit   string
			Links  []link
			Color  struct{ FixedColor string }
			Max    *float64
			Custom struct{ AxisSoftMax *float64 }
		}
		Overrides []struct {
			Matcher struct {
				ID      string
				Options any
			}
			Properties []struct {
				ID    string
				Value json.RawMessage
			}
		}
	}
	Transformations []struct {
		ID      string
		Options struct{ RenameByName map[string]string }
	}
	Panels []boardPanel
}

type link struct{ URL, Title string }

// links of a panel: those of its values, and those of its columns.
func (p boardPanel) links(t *testing.T) []link {
	all := p.FieldConfig.Defaults.Links
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if property.ID == "links" {
				var own []link
				require.NoError(t, json.Unmarshal(property.Value, &own))
				all = append(all, own...)
			}
		}
	}
	return all
}

type target struct {
	RefID, Expr, LegendFormat string
	Instant                   bool
	Datasource                datasource
}

type variable struct {
	Name, Label, Description, Type, Query, AllValue string
	Refresh                                         int
	Multi, IncludeAll                               bool
	Datasource                                      datasource
	Current                                         struct{ Value any }
}

// boards reads every dashboard from its file.
func boards(t *testing.T) []board {
	var all []board
	for _, language := range languages {
		files, err := filepath.Glob("../" + language + "/*.json")
		require.NoError(t, err)
		require.Len(t, files, len(pages))
		for _, file := range files {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			b := board{Language: language}
			require.NoError(t, json.Unmarshal(content, &b), file)
			require.Equal(t, b.UID+".json", filepath.Base(file))
			all = append(all, b)
		}
	}
	return all
}

// everyPanel are the panels, those in folded rows and the rows themselves too.
func (b board) everyPanel() []boardPanel {
	var all []boardPanel
	for _, p := range b.Panels {
		all = append(append(all, p), p.Panels...)
	}
	return all
}

func (b board) variable(name string) (variable, bool) {
	for _, v := range b.Templating.List {
		if v.Name == name {
			return v, true
		}
	}
	return variable{}, false
}

// prometheusTargets calls f for every query that Prometheus answers.
func (b board) prometheusTargets(f func(boardPanel, target)) {
	for _, p := range b.everyPanel() {
		for _, t := range p.Targets {
			if t.Datasource.Type == "prometheus" {
				f(p, t)
			}
		}
	}
}

// sample values of what stands for a time in queries. Matchers keep their variables.
var spans = strings.NewReplacer("$__rate_interval", "4m17s", "$__interval_ms", "300000", "$__interval", "5m", "$__range", "6h",
	"[$window]", "[1h]", "offset $window", "offset 1h")

// rateInterval is what $__rate_interval becomes.
const rateInterval = "4m17s"

func parse(t *testing.T, expr string) parser.Expr {
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(spans.Replace(expr))
	require.NoError(t, err, expr)
	return parsed
}
