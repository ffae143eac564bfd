package main

import (
	"fmt"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/logs"
	"github.com/grafana/grafana-foundation-sdk/go/loki"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statushistory"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	textpanel "github.com/grafana/grafana-foundation-sdk/go/text"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// query is one line of a panel: an expression and what its series are called.
type query struct{ expr, legend string }

// shape is how queries are asked.
type shape struct {
	instant bool
	format  prometheus.PromQueryFormat
}

func targets(s shape, queries []query) []variants.Dataquery {
	var list []variants.Dataquery
	for i, q := range queries {
		t := prometheus.Dataquery{
			Datasource: &prometheusSource, RefId: cog.ToPtr(refID(i)), Expr: q.expr, Format: &s.format,
			Instant: cog.ToPtr(s.instant), Range: cog.ToPtr(!s.instant), EditorMode: cog.ToPtr(prometheus.QueryEditorModeCode),
		}
		if q.legend != "" {
			t.LegendFormat = &q.legend
		}
		list = append(list, t)
	}
	return list
}

func refID(i int) string { return string(rune('A' + i)) }

// change alters a panel after it was made.
type change func(*dashboard.Panel)

func altered(v dashboard.Panel, changes []change) dashboard.Panel {
	for _, c := range changes {
		c(&v)
	}
	return v
}

// interval is the least step of a panel's graph.
func interval(least string) change { return func(v *dashboard.Panel) { v.Interval = &least } }

// bounds are the ends of the axis.
func bounds(least, most float64) change {
	return func(v *dashboard.Panel) { v.FieldConfig.Defaults.Min, v.FieldConfig.Defaults.Max = &least, &most }
}

// colours changes with the value: the colour, then pairs of a limit and the colour
// from there on.
func colours(first string, more ...any) change {
	return func(v *dashboard.Panel) { v.FieldConfig.Defaults.Thresholds = steps(first, more...) }
}

func steps(first string, more ...any) *dashboard.ThresholdsConfig {
	t := &dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: []dashboard.Threshold{{Color: first}}}
	for i := 0; i < len(more); i += 2 {
		t.Steps = append(t.Steps, dashboard.Threshold{Value: cog.ToPtr(more[i].(float64)), Color: more[i+1].(string)})
	}
	return t
}

// words shows values as words, with colours.
func words(values map[string]dashboard.ValueMappingResult) change {
	return func(v *dashboard.Panel) {
		v.FieldConfig.Defaults.Mappings = []dashboard.ValueMapping{
			{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: values}}}
	}
}

func said(text, colour string) dashboard.ValueMappingResult {
	return dashboard.ValueMappingResult{Text: &text, Color: &colour}
}

// linked makes values lead somewhere.
func linked(links ...dashboard.DashboardLink) change {
	return func(v *dashboard.Panel) { v.FieldConfig.Defaults.Links = links }
}

func field(unit string) *dashboard.FieldConfigSource {
	f := &dashboard.FieldConfigSource{
		Defaults: dashboard.FieldConfig{
			Unit: &unit, Thresholds: steps("green"), Color: &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdThresholds}},
		Overrides: []dashboard.DashboardFieldConfigSourceOverrides{},
	}
	if unit == counts {
		f.Defaults.Decimals = cog.ToPtr(0.0)
	}
	return f
}

// Units. Counts are whole numbers, since increase() extrapolates and people do not, and
// are written out, not as thousands.
const (
	counts  = "locale"
	ratio   = "percentunit"
	seconds = "s"
)

// number is a stat: one value now.
func number(unit, expr string, changes ...change) dashboard.Panel {
	return numbers(unit, []query{{expr: expr}}, changes...)
}

// numbers is a stat with several values.
func numbers(unit string, queries []query, changes ...change) dashboard.Panel {
	options := stat.NewOptions()
	options.GraphMode = common.BigValueGraphModeNone
	options.ReduceOptions = common.ReduceDataOptions{Calcs: []string{"lastNotNull"}}
	options.Orientation = common.VizOrientationAuto
	if len(queries) > 1 {
		options.TextMode = common.BigValueTextModeValueAndName
	}
	return altered(dashboard.Panel{
		Type: "stat", Targets: targets(shape{instant: true, format: prometheus.PromQueryFormatTimeSeries}, queries),
		FieldConfig: field(unit), Options: options,
	}, changes)
}

// graph draws lines.
func graph(unit string, queries []query, changes ...change) dashboard.Panel {
	return drawn(unit, common.GraphFieldConfig{
		DrawStyle: cog.ToPtr(common.GraphDrawStyleLine), LineWidth: cog.ToPtr(1.0), FillOpacity: cog.ToPtr(5.0),
		ShowPoints: cog.ToPtr(common.VisibilityModeAuto), SpanNulls: &common.BoolOrFloat64{Bool: cog.ToPtr(false)},
	}, queries, changes)
}

// bars draws what happened in each interval. They are few, so that each holds enough
// logins to say something.
func bars(queries []query, changes ...change) dashboard.Panel {
	return drawn(counts, common.GraphFieldConfig{
		DrawStyle: cog.ToPtr(common.GraphDrawStyleBars), LineWidth: cog.ToPtr(0.0), FillOpacity: cog.ToPtr(70.0),
		ShowPoints: cog.ToPtr(common.VisibilityModeNever), BarAlignment: cog.ToPtr(common.BarAlignmentBefore),
	}, queries, changes)
}

func drawn(unit string, style common.GraphFieldConfig, queries []query, changes []change) dashboard.Panel {
	options := timeseries.NewOptions()
	options.Legend.ShowLegend = true
	options.Tooltip = common.VizTooltipOptions{Mode: common.TooltipDisplayModeMulti, Sort: common.SortOrderDescending}
	v := dashboard.Panel{
		Type: "timeseries", Targets: targets(shape{format: prometheus.PromQueryFormatTimeSeries}, queries),
		FieldConfig: field(unit), Options: options, Interval: cog.ToPtr(twoPolls), MaxDataPoints: cog.ToPtr(240.0),
	}
	v.FieldConfig.Defaults.Min = cog.ToPtr(0.0)
	v.FieldConfig.Defaults.Color = &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdPaletteClassic}
	v.FieldConfig.Defaults.Custom = &style
	return altered(v, changes)
}

// twoPolls is the least step of what logins are counted into: with less, a graph
// would show the polls, not the logins.
const twoPolls = "2m"

// fine lets a graph have as many points as there is room for.
func fine(v *dashboard.Panel) { v.MaxDataPoints = nil }

// logarithmic lets small values be seen beside large ones.
func logarithmic(v *dashboard.Panel) {
	v.FieldConfig.Defaults.Min = nil
	v.FieldConfig.Defaults.Custom.(*common.GraphFieldConfig).ScaleDistribution =
		&common.ScaleDistributionConfig{Type: common.ScaleDistributionLog, Log: cog.ToPtr(10.0)}
}

// stacked puts series on top of each other; as shares of the whole if percent.
func stacked(percent bool) change {
	mode := common.StackingModeNormal
	if percent {
		mode = common.StackingModePercent
	}
	return func(v *dashboard.Panel) {
		style := v.FieldConfig.Defaults.Custom.(*common.GraphFieldConfig)
		style.Stacking = &common.StackingConfig{Mode: &mode, Group: cog.ToPtr("A")}
		style.FillOpacity = cog.ToPtr(70.0)
	}
}

// banded draws the thresholds into the graph.
func banded(first string, more ...any) change {
	return func(v *dashboard.Panel) {
		v.FieldConfig.Defaults.Thresholds = steps(first, more...)
		style := v.FieldConfig.Defaults.Custom.(*common.GraphFieldConfig)
		style.ThresholdsStyle = &common.GraphThresholdsStyleConfig{Mode: common.GraphThresholdsStyleModeDashed}
	}
}

// coloured gives the series of a legend a fixed colour.
func coloured(legend, colour string) change {
	return override("byName", legend, "color", dashboard.FieldColor{Mode: dashboard.FieldColorModeIdFixed, FixedColor: &colour})
}

// thin draws a series as a dashed line: what is compared with.
func thin(legend string) change {
	return func(v *dashboard.Panel) {
		for _, p := range []dashboard.DynamicConfigValue{
			{Id: "custom.drawStyle", Value: common.GraphDrawStyleLine},
			{Id: "custom.lineWidth", Value: 1},
			{Id: "custom.fillOpacity", Value: 0},
			{Id: "custom.lineStyle", Value: map[string]any{"fill": "dash", "dash": []int{8, 8}}},
		} {
			override("byName", legend, p.Id, p.Value)(v)
		}
	}
}

func override(matcher string, what any, id string, value any) change {
	return func(v *dashboard.Panel) {
		property := dashboard.DynamicConfigValue{Id: id, Value: value}
		for i := range v.FieldConfig.Overrides {
			if o := &v.FieldConfig.Overrides[i]; o.Matcher.Id == matcher && o.Matcher.Options == what {
				o.Properties = append(o.Properties, property)
				return
			}
		}
		v.FieldConfig.Overrides = append(v.FieldConfig.Overrides, dashboard.DashboardFieldConfigSourceOverrides{
			Matcher: dashboard.MatcherConfig{Id: matcher, Options: what}, Properties: []dashboard.DynamicConfigValue{property}})
	}
}

// density is a heat map of a classic histogram; unit is that of its buckets.
func density(unit, expr string, changes ...change) dashboard.Panel {
	options := heatmap.NewOptions()
	options.YAxis.Unit = &unit
	options.YAxis.AxisPlacement = cog.ToPtr(common.AxisPlacementLeft)
	options.Color.Mode = cog.ToPtr(heatmap.HeatmapColorModeScheme)
	options.CellValues = &heatmap.CellValues{Unit: cog.ToPtr(counts), Decimals: cog.ToPtr(float32(0))}
	options.Tooltip.YHistogram = cog.ToPtr(true)
	return altered(dashboard.Panel{
		Type: "heatmap", Targets: targets(shape{format: prometheus.PromQueryFormatHeatmap}, []query{{expr, "{{le}}"}}),
		FieldConfig: field(unit), Options: options, Interval: cog.ToPtr(twoPolls), MaxDataPoints: cog.ToPtr(96.0),
	}, changes)
}

// grid shows a row of coloured cells for each series.
func grid(queries []query, changes ...change) dashboard.Panel {
	options := statushistory.NewOptions()
	options.ShowValue = common.VisibilityModeNever
	options.Legend = common.VizLegendOptions{DisplayMode: common.LegendDisplayModeList, Placement: common.LegendPlacementBottom, Calcs: []string{}}
	options.Tooltip = common.VizTooltipOptions{Mode: common.TooltipDisplayModeSingle, Sort: common.SortOrderNone}
	return altered(dashboard.Panel{
		Type: "status-history", Targets: targets(shape{format: prometheus.PromQueryFormatTimeSeries}, queries),
		FieldConfig: field(counts), Options: options, Interval: cog.ToPtr(twoPolls), MaxDataPoints: cog.ToPtr(96.0),
	}, changes)
}

// column of a table: a label that the queries have in common, or a query's value.
type column struct {
	word  string // key of its heading
	label string
	expr  string
	unit  string
	shade *dashboard.ThresholdsConfig // colours the cell
	link  *dashboard.DashboardLink
	words map[string]dashboard.ValueMappingResult
	width float64
}

// tabular joins the queries of its columns by their labels. It is sorted by the
// column named by the word sort, the greatest first.
func (p *page) tabular(sort string, columns []column, changes ...change) dashboard.Panel {
	var queries []query
	rename, order := map[string]string{}, map[string]int{}
	v := dashboard.Panel{Type: "table", FieldConfig: field(counts)}
	for i, c := range columns {
		title := p.word(c.word)
		name := c.label
		if c.expr != "" {
			name = "Value #" + refID(len(queries))
			queries = append(queries, query{expr: c.expr})
		}
		rename[name], order[name] = title, i
		p.format(title, c)(&v)
	}
	if len(queries) == 1 { // then Grafana leaves the letter away
		rename["Value"], order["Value"] = rename["Value #A"], order["Value #A"]
	}
	v.Targets = targets(shape{instant: true, format: prometheus.PromQueryFormatTable}, queries)
	options := tableOptions()
	options.SortBy = []common.TableSortByFieldState{{DisplayName: p.word(sort), Desc: cog.ToPtr(true)}}
	v.Options = options
	v.Transformations = []dashboard.DataTransformerConfig{
		{Id: "merge", Options: map[string]any{}},
		{Id: "organize", Options: map[string]any{"excludeByName": map[string]bool{"Time": true}, "indexByName": order, "renameByName": rename}},
	}
	return altered(v, changes)
}

// format is how a column looks.
func (p *page) format(title string, c column) change {
	return func(v *dashboard.Panel) {
		set := func(id string, value any) { override("byName", title, id, value)(v) }
		if c.label != "" {
			empty := p.word("none")
			set("mappings", []dashboard.ValueMapping{{SpecialValueMap: &dashboard.SpecialValueMap{
				Type:    dashboard.MappingTypeSpecialValue,
				Options: dashboard.DashboardSpecialValueMapOptions{Match: dashboard.SpecialValueMatchEmpty, Result: dashboard.ValueMappingResult{Text: &empty}},
			}}})
		}
		if c.unit != "" && c.unit != counts {
			set("unit", c.unit)
			set("decimals", 1)
		}
		if c.words != nil {
			set("mappings", []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: c.words}}})
		}
		if c.shade != nil {
			set("thresholds", c.shade)
			set("custom.cellOptions", map[string]any{"type": "color-background", "mode": "basic"})
		}
		if c.link != nil {
			set("links", []dashboard.DashboardLink{*c.link})
		}
		if c.width != 0 {
			set("custom.width", c.width)
		}
	}
}

// tableOptions leave out the footer, which newer Grafanas keep elsewhere.
func tableOptions() *table.Options {
	options := table.NewOptions()
	options.Footer = nil
	return options
}

// matrix is a table with the values of one label as columns and those of another as
// rows.
func matrix(columns, rows, expr string, shade *dashboard.ThresholdsConfig) dashboard.Panel {
	v := dashboard.Panel{
		Type: "table", FieldConfig: field(counts), Options: tableOptions(),
		Targets: targets(shape{instant: true, format: prometheus.PromQueryFormatTable}, []query{{expr: expr}}),
		Transformations: []dashboard.DataTransformerConfig{
			{Id: "groupingToMatrix", Options: map[string]any{"columnField": columns, "rowField": rows, "valueField": "Value", "emptyValue": "null"}}},
	}
	v.FieldConfig.Defaults.Thresholds = shade
	override("byType", "number", "custom.cellOptions", map[string]any{"type": "color-background", "mode": "basic"})(&v)
	return v
}

// note is a text panel.
func (p *page) note(key string) dashboard.Panel {
	options := textpanel.NewOptions()
	options.Content = p.word(key)
	return dashboard.Panel{Type: "text", Options: options, FieldConfig: field("none")}
}

// logLines shows what Loki finds.
func logLines(expr string) dashboard.Panel {
	options := logs.NewOptions()
	options.ShowTime, options.EnableLogDetails, options.WrapLogMessage, options.PrettifyLogMessage = true, true, true, false
	options.SortOrder, options.DedupStrategy = common.LogsSortOrderDescending, common.LogsDedupStrategyNone
	return dashboard.Panel{
		Type: "logs", Datasource: &lokiSource, Options: options, FieldConfig: field("none"),
		Targets: []variants.Dataquery{loki.Dataquery{Datasource: &lokiSource, RefId: cog.ToPtr("A"), Expr: expr,
			QueryType: cog.ToPtr("range"), MaxLines: cog.ToPtr(int64(500))}},
	}
}

// triage leads to the failures with what is chosen here and the value that was
// clicked as one more filter.
func (p *page) triage(filter string) *dashboard.DashboardLink {
	var kept []string
	for _, name := range []string{"datasource", "job", "instance", "project", "product", "desktop_group", "machine_name",
		"failed_code", "window", "loki_datasource", "loki_job"} {
		if name != filter && p.has(name) {
			kept = append(kept, fmt.Sprintf("${%s:queryparam}", name))
		}
	}
	if filter != "" {
		kept = append(kept, "var-"+filter+"=${__value.raw:percentencode}")
	}
	kept = append(kept, "${__url_time_range}")
	url := "/d/" + p.uid("login-failures") + "?" + strings.Join(kept, "&")
	return &dashboard.DashboardLink{Title: p.word("triage"), Type: dashboard.DashboardLinkTypeLink, Url: &url, Tags: []string{}}
}
