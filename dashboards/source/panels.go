package main

import (
	"cmp"
	"fmt"
	"strings"

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
			Datasource: &prometheusSource, RefId: ptr(refID(i)), Expr: q.expr, Format: &s.format,
			Instant: ptr(s.instant), Range: ptr(!s.instant), EditorMode: ptr(prometheus.QueryEditorModeCode),
		}
		if q.legend != "" {
			t.LegendFormat = &q.legend
		}
		list = append(list, t)
	}
	return list
}

func ptr[T any](v T) *T { return &v }

func refID(i int) string { return string(rune('A' + i)) }

// change alters a panel after it was made.
type change func(*dashboard.Panel)

func altered(v dashboard.Panel, changes []change) dashboard.Panel {
	for _, c := range changes {
		c(&v)
	}
	return v
}

// closeUp lets the axis begin where the values do.
func closeUp(v *dashboard.Panel) {
	v.FieldConfig.Defaults.Min, v.FieldConfig.Defaults.Max = nil, ptr(1.0)
	v.FieldConfig.Defaults.Custom.(*common.GraphFieldConfig).AxisSoftMax = nil
}

// decimals of all values.
func decimals(n float64) change {
	return func(v *dashboard.Panel) { v.FieldConfig.Defaults.Decimals = &n }
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
		t.Steps = append(t.Steps, dashboard.Threshold{Value: ptr(more[i].(float64)), Color: more[i+1].(string)})
	}
	return t
}

// words shows values as words, with colours.
func words(values map[string]dashboard.ValueMappingResult) change {
	return func(v *dashboard.Panel) {
		v.FieldConfig.Defaults.Mappings = append(v.FieldConfig.Defaults.Mappings, valued(values))
	}
}

// few says in words that there are too few logins for a number: see orFew.
func (p *page) few() change {
	few := "few"
	if p.has("app_name") {
		few = "few_launches"
	}
	return words(map[string]dashboard.ValueMappingResult{"-1": said(p.word(few), unknownColour)})
}

// yesNo are the words for 1 and 0, with their colours.
func (p *page) yesNo(yes, no string) map[string]dashboard.ValueMappingResult {
	return map[string]dashboard.ValueMappingResult{"1": said(p.word("yes"), yes), "0": said(p.word("no"), no)}
}

// otherwise is what a panel says when it has nothing to show.
func (p *page) otherwise(word string) change {
	text := p.word(word)
	return func(v *dashboard.Panel) { v.FieldConfig.Defaults.NoValue = &text }
}

func said(text, colour string) dashboard.ValueMappingResult {
	return dashboard.ValueMappingResult{Text: &text, Color: &colour}
}

// linked makes values lead somewhere.
func linked(links ...*dashboard.DashboardLink) change {
	return func(v *dashboard.Panel) {
		for _, l := range links {
			v.FieldConfig.Defaults.Links = append(v.FieldConfig.Defaults.Links, *l)
		}
	}
}

// Colours, one for each meaning, on every page: what is counted is neutral, failures
// are red, and what nobody knows is grey. Green, yellow, orange and red are verdicts.
const (
	neutralColour = "text"
	failureColour = "red"
	unknownColour = "#8e8e8e"
)

// isFailure colours a count of failures.
var isFailure = colours(neutralColour, 1.0, failureColour)

// specially says something instead of a number that is none.
func specially(match dashboard.SpecialValueMatch, text, colour string) dashboard.ValueMapping {
	result := dashboard.ValueMappingResult{Text: &text}
	if colour != "" {
		result.Color = &colour
	}
	return dashboard.ValueMapping{SpecialValueMap: &dashboard.SpecialValueMap{
		Type: dashboard.MappingTypeSpecialValue, Options: dashboard.DashboardSpecialValueMapOptions{Match: match, Result: result}}}
}

func valued(values map[string]dashboard.ValueMappingResult) dashboard.ValueMapping {
	return dashboard.ValueMapping{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: values}}
}

func field(unit string) *dashboard.FieldConfigSource {
	f := &dashboard.FieldConfigSource{
		Defaults: dashboard.FieldConfig{
			Unit: &unit, Thresholds: steps(neutralColour), Color: &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdThresholds}},
		Overrides: []dashboard.DashboardFieldConfigSourceOverrides{},
	}
	if unit == counts {
		f.Defaults.Decimals = ptr(0.0)
	}
	return f
}

// Units. Counts are whole numbers, since increase() extrapolates and people do not, and
// are written out, not as thousands.
const (
	counts  = "locale"
	ratio   = "percentunit"
	seconds = "s"
	asText  = "string" // else a code is written like a number

	// On an axis, where "s" writes 1.33 mins.
	plainSeconds = "suffix: s"
	minutes      = "suffix: min"
	hours        = "suffix: h"
)

// scaled converts seconds to a unit of an axis.
func scaled(unit, expr string) string {
	if unit == hours {
		return "(" + expr + ") / 3600"
	}
	return "(" + expr + ") / 60"
}

// number is a stat: one value now. Without one it is grey: not known, which is neither
// good nor bad.
func (p *page) number(unit, expr string, changes ...change) dashboard.Panel {
	return p.numbers(unit, []query{{expr: expr}}, changes...)
}

// numbers is a stat with several values.
func (p *page) numbers(unit string, queries []query, changes ...change) dashboard.Panel {
	options := stat.NewOptions()
	options.GraphMode = common.BigValueGraphModeNone
	options.ReduceOptions = common.ReduceDataOptions{Calcs: []string{"lastNotNull"}}
	options.Orientation = common.VizOrientationAuto
	if unit == ratio {
		changes = append([]change{decimals(1)}, changes...)
	}
	if len(queries) > 1 {
		options.TextMode = common.BigValueTextModeValueAndName
	}
	v := dashboard.Panel{
		Type: "stat", Targets: targets(shape{instant: true, format: prometheus.PromQueryFormatTimeSeries}, queries),
		FieldConfig: field(unit), Options: options,
	}
	v.FieldConfig.Defaults.Mappings = []dashboard.ValueMapping{specially(dashboard.SpecialValueMatchNullAndNan, p.word("unknown"), unknownColour)}
	return altered(v, changes)
}

// graph draws lines.
func graph(unit string, queries []query, changes ...change) dashboard.Panel {
	return drawn(unit, common.GraphFieldConfig{
		DrawStyle: ptr(common.GraphDrawStyleLine), LineWidth: ptr(1.0), FillOpacity: ptr(5.0),
		ShowPoints: ptr(common.VisibilityModeAuto), SpanNulls: &common.BoolOrFloat64{Bool: ptr(false)},
	}, queries, changes)
}

// bars draws what happened in each interval. They are few, so that each holds enough
// logins to say something.
func bars(queries []query, changes ...change) dashboard.Panel {
	return drawn(counts, common.GraphFieldConfig{
		DrawStyle: ptr(common.GraphDrawStyleBars), LineWidth: ptr(0.0), FillOpacity: ptr(70.0),
		ShowPoints: ptr(common.VisibilityModeNever), BarAlignment: ptr(common.BarAlignmentBefore),
	}, queries, changes)
}

func drawn(unit string, style common.GraphFieldConfig, queries []query, changes []change) dashboard.Panel {
	options := timeseries.NewOptions()
	options.Legend.ShowLegend = true
	options.Tooltip = common.VizTooltipOptions{Mode: common.TooltipDisplayModeMulti, Sort: common.SortOrderDescending}
	v := dashboard.Panel{
		Type: "timeseries", Targets: targets(shape{format: prometheus.PromQueryFormatTimeSeries}, queries),
		FieldConfig: field(unit), Options: options, Interval: ptr(leastStep), MaxDataPoints: ptr(120.0),
	}
	v.FieldConfig.Defaults.Min = ptr(0.0)
	v.FieldConfig.Defaults.Color = &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdPaletteClassic}
	switch unit { // else Grafana draws an axis up to 10,000 % or 100 where all is 0
	case ratio:
		style.AxisSoftMax = ptr(0.2)
	case counts:
		style.AxisSoftMax = ptr(5.0)
	}
	v.FieldConfig.Defaults.Custom = &style
	return altered(v, changes)
}

// leastStep is the least step of what logins are counted into. With less, a graph would
// show the polls, not the logins; and it takes three scrapes of a minute for bars to add
// up exactly.
const leastStep = "3m"

// fine lets a graph have as many points as there is room for.
func fine(v *dashboard.Panel) { v.MaxDataPoints = nil }

// coarse takes few steps in a query that looks at each of them.
func coarse(v *dashboard.Panel) { v.MaxDataPoints = ptr(200.0) }

// logarithmic lets small values be seen beside large ones.
func logarithmic(v *dashboard.Panel) {
	v.FieldConfig.Defaults.Min = nil
	v.FieldConfig.Defaults.Custom.(*common.GraphFieldConfig).ScaleDistribution =
		&common.ScaleDistributionConfig{Type: common.ScaleDistributionLog, Log: ptr(10.0)}
}

// stacked puts series on top of each other; as shares of the whole if percent.
func stacked(percent bool) change {
	mode := common.StackingModeNormal
	if percent {
		mode = common.StackingModePercent
	}
	return func(v *dashboard.Panel) {
		style := v.FieldConfig.Defaults.Custom.(*common.GraphFieldConfig)
		style.Stacking = &common.StackingConfig{Mode: &mode, Group: ptr("A")}
		style.FillOpacity = ptr(70.0)
		tinted("blue")(v) // a red area among others would look like a failure
	}
}

// toldApart gives each series of a stack a colour of its own, where a reader looks for one of
// them, such as a version.
func toldApart(v *dashboard.Panel) {
	v.FieldConfig.Defaults.Color = &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdPaletteClassic}
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

// shades gives all series of a query shades of one colour.
func shades(query int, colour string) change {
	return override("byFrameRefID", refID(query), "color", dashboard.FieldColor{Mode: dashboard.FieldColorModeIdShades, FixedColor: &colour})
}

// tinted gives all series of a graph shades of one colour.
func tinted(colour string) change {
	return func(v *dashboard.Panel) {
		v.FieldConfig.Defaults.Color = &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdShades, FixedColor: &colour}
	}
}

// density is a heat map of a histogram; unit is that of its buckets.
func density(unit, expr string, changes ...change) dashboard.Panel {
	options := heatmap.NewOptions()
	options.YAxis.Unit = &unit
	options.YAxis.AxisPlacement = ptr(common.AxisPlacementLeft)
	options.Color.Mode = ptr(heatmap.HeatmapColorModeScheme)
	options.CellValues = &heatmap.CellValues{Unit: ptr(counts), Decimals: ptr(float32(0))}
	options.Tooltip.YHistogram = ptr(true)
	return altered(dashboard.Panel{
		Type: "heatmap", Targets: targets(shape{format: prometheus.PromQueryFormatHeatmap}, []query{{expr, "{{le}}"}}),
		FieldConfig: field(unit), Options: options, Interval: ptr(leastStep), MaxDataPoints: ptr(96.0),
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
		FieldConfig: field(counts), Options: options, Interval: ptr(leastStep), MaxDataPoints: ptr(96.0),
	}, changes)
}

// column of a table: a label that the queries have in common, or a query's value.
type column struct {
	word  string // key of its heading
	label string
	expr  string
	unit  string
	shade *dashboard.ThresholdsConfig // colours the cell
	plain bool                        // the shade colours the text alone
	link  *dashboard.DashboardLink
	words map[string]dashboard.ValueMappingResult
	width float64
	wraps bool
	empty string // instead of "(none)"
	bare  bool   // not shown: links use it
}

// whileFresh empties columns about what is there now when the data of sources is old.
func whileFresh(sources string, columns []column) []column {
	for i := range columns {
		if columns[i].expr != "" {
			columns[i].expr = knownOf(sources, columns[i].expr)
		}
	}
	return columns
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
	options.SortBy = []common.TableSortByFieldState{{DisplayName: p.word(sort), Desc: ptr(true)}}
	v.Options = options
	v.Transformations = []dashboard.DataTransformerConfig{
		{Id: "merge", Options: map[string]any{}},
		{Id: "organize", Options: map[string]any{"excludeByName": map[string]bool{"Time": true}, "indexByName": order, "renameByName": rename}},
	}
	return altered(v, changes)
}

// without leaves labels out that tell rows apart and have no column.
func without(labels ...string) change {
	return func(v *dashboard.Panel) {
		organize := v.Transformations[len(v.Transformations)-1].Options.(map[string]any)
		for _, label := range labels {
			organize["excludeByName"].(map[string]bool)[label] = true
		}
	}
}

// format is how a column looks.
func (p *page) format(title string, c column) change {
	return func(v *dashboard.Panel) {
		set := func(id string, value any) { override("byName", title, id, value)(v) }
		var mappings []dashboard.ValueMapping
		if c.words != nil {
			mappings = append(mappings, valued(c.words))
		}
		if c.label != "" {
			set("unit", asText)
			set("mappings", append(mappings, specially(dashboard.SpecialValueMatchEmpty, cmp.Or(c.empty, p.word("none")), "")))
		} else {
			set("mappings", append(mappings, specially(dashboard.SpecialValueMatchNullAndNan, "–", "")))
		}
		if c.unit != "" && c.unit != counts {
			set("unit", c.unit)
			set("decimals", 1)
		}
		if c.shade != nil {
			set("thresholds", c.shade)
		}
		switch {
		case c.wraps:
			set("custom.cellOptions", map[string]any{"type": "auto", "wrapText": true}) // Grafana 11
			set("custom.wrapText", true)                                                // from 12 on
		case c.plain:
			set("custom.cellOptions", map[string]any{"type": "color-text"})
		case c.shade != nil:
			set("custom.cellOptions", map[string]any{"type": "color-background", "mode": "basic"})
		}
		if c.link != nil {
			set("links", []dashboard.DashboardLink{*c.link})
		}
		if c.width != 0 {
			set("custom.width", c.width)
		}
		if c.bare {
			set("custom.hidden", true)                          // Grafana 11
			set("custom.hideFrom", map[string]any{"viz": true}) // from 12 on
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
// rows, both in the order of the query's values.
func (p *page) matrix(columns, rows, unit, expr string, shade *dashboard.ThresholdsConfig) dashboard.Panel {
	corner, title := rows+"\\"+columns, p.word(rows)
	v := dashboard.Panel{
		Type: "table", FieldConfig: field(unit), Options: tableOptions(),
		Targets: targets(shape{instant: true, format: prometheus.PromQueryFormatTable}, []query{{expr: "sort_desc(" + expr + ")"}}),
		Transformations: []dashboard.DataTransformerConfig{
			{Id: "groupingToMatrix", Options: map[string]any{"columnField": columns, "rowField": rows, "valueField": "Value", "emptyValue": "null"}},
			{Id: "organize", Options: map[string]any{"excludeByName": map[string]bool{}, "indexByName": map[string]int{}, "renameByName": map[string]string{corner: title}}},
		},
	}
	v.FieldConfig.Defaults.Thresholds = shade
	v.FieldConfig.Defaults.Decimals = ptr(0.0)
	v.FieldConfig.Defaults.Mappings = []dashboard.ValueMapping{specially(dashboard.SpecialValueMatchNullAndNan, "", "transparent")}
	override("byType", "number", "custom.cellOptions", map[string]any{"type": "color-background", "mode": "basic"})(&v)
	override("byName", title, "unit", asText)(&v)
	override("byName", title, "custom.width", 320)(&v)
	override("byName", title, "links", []dashboard.DashboardLink{*p.triage(rows)})(&v)
	return v
}

// logLines shows what Loki finds.
func logLines(expr string) dashboard.Panel {
	options := logs.NewOptions()
	options.ShowTime, options.EnableLogDetails, options.WrapLogMessage, options.PrettifyLogMessage = true, true, true, false
	options.SortOrder, options.DedupStrategy = common.LogsSortOrderDescending, common.LogsDedupStrategyNone
	return dashboard.Panel{
		Type: "logs", Datasource: &lokiSource, Options: options, FieldConfig: field("none"),
		Targets: []variants.Dataquery{loki.Dataquery{Datasource: &lokiSource, RefId: ptr("A"), Expr: expr,
			QueryType: ptr("range"), MaxLines: ptr(int64(500))}},
	}
}

// filters that pages hand to each other.
var filters = []string{"datasource", "job", "instance", "project", "product", "desktop_group", "machine_name", "app_group", "app_name", "failed_code",
	"client_type", "source", "window", "loki_datasource", "loki_job"}

// leads is a link to a page, with what is chosen here as far as that page knows it, and
// the value that was clicked as one more filter.
func (p *page) leads(to, filter string) *dashboard.DashboardLink {
	link := p.link(to, p.word("link."+to), filter)
	if filter != "" {
		*link.Url += "&var-" + filter + "=${__value.raw:percentencode}"
	}
	return link
}

// shows is a link to a panel of this page, which then fills the screen: where the parts
// of a number are seen.
func (p *page) shows(id uint32, name string) *dashboard.DashboardLink {
	return p.showsOn(p.name, id, name)
}

// showsOn is such a link to a panel of another page.
func (p *page) showsOn(page string, id uint32, name string) *dashboard.DashboardLink {
	link := p.link(page, p.word(page+"."+name), "")
	*link.Url += fmt.Sprintf("&viewPanel=%d", id)
	return link
}

// link carries the time shown and what is chosen here, but for one filter, as far as the
// page that it leads to knows it.
func (p *page) link(to, title, without string) *dashboard.DashboardLink {
	kept := []string{"${__url_time_range}"}
	for _, name := range filters {
		if name != without && p.has(name) && knows(to, name) {
			kept = append(kept, fmt.Sprintf("${%s:queryparam}", name))
		}
	}
	url := "/d/" + p.uid(to) + "?" + strings.Join(kept, "&")
	return &dashboard.DashboardLink{Title: title, Type: dashboard.DashboardLinkTypeLink, Url: &url, Tags: []string{}}
}

// triage leads to the failures.
func (p *page) triage(filter string) *dashboard.DashboardLink {
	return p.leads("login-failures", filter)
}
