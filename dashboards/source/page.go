package main

import (
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
)

// schemaVersion is the newest that Grafana 11 to 13 all load as it is.
const schemaVersion = 39

var (
	prometheusSource = common.DataSourceRef{Type: ptr("prometheus"), Uid: ptr("${datasource}")}
	lokiSource       = common.DataSourceRef{Type: ptr("loki"), Uid: ptr("${loki_datasource}")}
)

// page is a dashboard being drawn in one language. Panels flow from left to right
// and wrap at the full width.
type page struct {
	name, language string
	dashboard      dashboard.Dashboard
	row            *dashboard.RowPanel // where panels go, if it is folded
	x, y, bottom   uint32
	used           map[string]bool // keys of texts
	missing        []string        // those without a text
}

func newPage(name, language string) *page {
	p := &page{name: name, language: language, used: map[string]bool{}}
	own := p.text(name)
	p.dashboard = dashboard.Dashboard{
		Uid:           ptr(p.uid(name)),
		Title:         &own.title,
		Description:   &own.description,
		Tags:          []string{p.tag()},
		Timezone:      ptr("browser"),
		Editable:      ptr(false),
		GraphTooltip:  ptr(dashboard.DashboardCursorSyncCrosshair),
		Time:          &dashboard.DashboardDashboardTime{From: "now-6h", To: "now"},
		Refresh:       ptr("1m"),
		SchemaVersion: schemaVersion,
		Links: []dashboard.DashboardLink{{
			Title: p.word("dashboards"), Type: dashboard.DashboardLinkTypeDashboards, Tags: []string{p.tag()},
			Icon: "external link", AsDropdown: true, IncludeVars: true, KeepTime: true,
		}},
	}
	p.variable(dashboard.VariableModel{Name: "datasource", Type: dashboard.VariableTypeDatasource, Query: plain("prometheus")})
	p.filter("job", "label_values("+buildInfo+", job)", ".+")
	return p
}

// variables that a page adds to the data source and the job, by page.
var variables = map[string][]string{
	"overview":       {"project", "product", "desktop_group", "window"},
	"login-failures": {"project", "product", "desktop_group", "failed_code", "window"},
	"login-time":     {"project", "product", "desktop_group"},
	"versions":       {"project", "product", "client_type"},
	"servers":        {"project", "desktop_group", "machine_name"},
	"capacity":       {"project"},
	"applications":   {"project", "app_group", "app_name", "failed_code", "window"},
	"exporter":       {"instance", "project", "source"},
	"records":        {"project", "product", "desktop_group", "app_group", "app_name", "machine_name", "failed_code", "loki_datasource", "loki_job"},
}

// knows tells whether a page has a variable.
func knows(page, variable string) bool {
	return variable == "datasource" || variable == "job" || slices.Contains(variables[page], variable)
}

// now is how far back a page looks at first: the overview as far as the alerts do, and
// the page about failures as far as the time that it shows.
func (p *page) now() string {
	if p.name == "login-failures" {
		return "1h"
	}
	return "15m"
}

// offer adds the variables of the page.
func (p *page) offer() {
	for _, name := range variables[p.name] {
		switch name {
		case "instance":
			p.filter(name, "label_values("+buildInfo+"{"+ofJob+"}, instance)", ".+")
		case "project":
			p.filter(name, "label_values("+sourceUp+"{"+ofJob+"}, project)", ".+")
		case "product":
			p.filter(name, "label_values("+attempts+"{"+matchProject+"}, product)", ".+")
		case "desktop_group": // an empty one is a value too: desktops have none
			match := all
			if !p.has("product") {
				match = matchProject
			}
			p.filter(name, "label_values("+attempts+"{"+match+"}, desktop_group)", ".*")
		case "machine_name":
			p.filter(name, "label_values("+serverAttempts+"{"+matchProject+`, desktop_group=~"$desktop_group"}, machine_name)`, ".*")
		case "app_group":
			p.filter(name, "label_values("+appLaunches+"{"+matchProject+"}, app_group)", ".*")
		case "app_name":
			p.filter(name, "label_values("+appLaunches+"{"+matchProject+`, app_group=~"$app_group"}, app_name)`, ".*")
		case "failed_code":
			series := failures + "{" + inGroup + "}"
			switch p.name {
			case "applications":
				series = appFailures + "{" + inApps + "}"
			case "records": // of both
				series = `{__name__=~"` + failures + "|" + appFailures + `", ` + all + "}"
			}
			p.filter(name, "label_values("+series+", failed_code)", ".*")
		case "client_type":
			p.filter(name, "label_values("+clientAttempts+"{"+all+"}, client_type)", ".*")
		case "source":
			p.filter(name, "label_values("+sourceUp+"{"+matchProject+"}, source)", ".+")
		case "window": // not asked of Prometheus, which has no gauges of backfilled time
			p.typed(name, p.now())
		case "loki_datasource":
			p.variable(dashboard.VariableModel{Name: name, Type: dashboard.VariableTypeDatasource, Query: plain("loki")})
		case "loki_job":
			p.typed(name, ".+")
		}
	}
}

// uid of a dashboard in the page's language. Alerts link to the English ones.
func (p *page) uid(name string) string { return "workspace-" + name + p.suffix() }

// tag keeps the languages apart in the drop-down list of dashboards.
func (p *page) tag() string { return "workspace" + p.suffix() }

func (p *page) suffix() string {
	if p.language == "en" {
		return ""
	}
	return "-" + p.language
}

// text finds what is said in the page's language.
func (p *page) text(key string) text {
	p.used[key] = true
	found := texts[key][p.language]
	if found.title == "" {
		p.missing = append(p.missing, key)
	}
	return found
}

// word is a text without description: a heading, a column, a legend.
func (p *page) word(key string) string { return p.text(key).title }

func (p *page) variable(v dashboard.VariableModel) {
	own := p.text("variable." + v.Name)
	v.Label, v.Description = &own.title, &own.description
	p.dashboard.Templating.List = append(p.dashboard.Templating.List, v)
}

// filter adds a variable of which several or all values may be chosen.
func (p *page) filter(name, query, all string) {
	p.variable(dashboard.VariableModel{
		Name: name, Type: dashboard.VariableTypeQuery, Query: plain(query), Definition: &query, Datasource: &prometheusSource,
		Refresh: ptr(dashboard.VariableRefreshOnTimeRangeChanged), Sort: ptr(dashboard.VariableSortNaturalAsc),
		Multi: ptr(true), IncludeAll: ptr(true), AllValue: &all, Current: option("All", "$__all"),
	})
}

// typed adds a variable that is written by hand.
func (p *page) typed(name, first string) {
	p.variable(dashboard.VariableModel{Name: name, Type: dashboard.VariableTypeTextbox, Query: plain(first), Current: option(first, first)})
}

func plain(s string) *dashboard.StringOrMap { return &dashboard.StringOrMap{String: &s} }

func option(label, value string) *dashboard.VariableOption {
	return &dashboard.VariableOption{
		Selected: ptr(true),
		Text:     dashboard.StringOrArrayOfString{String: &label},
		Value:    dashboard.StringOrArrayOfString{String: &value},
	}
}

// heading starts a row. A folded one keeps its panels, and asks nothing until it is
// opened.
func (p *page) heading(id uint32, name string, folded bool) {
	p.wrap()
	row := &dashboard.RowPanel{
		Type: "row", Id: id, Title: ptr(p.word(p.name + "." + name)), Collapsed: folded,
		GridPos: &dashboard.GridPos{X: 0, Y: p.y, W: width, H: 1}, Panels: []dashboard.Panel{},
	}
	p.dashboard.Panels = append(p.dashboard.Panels, dashboard.PanelOrRowPanel{RowPanel: row})
	p.row = nil
	if folded {
		p.row = row
	}
	p.y++
	p.bottom = p.y
}

// width of the grid.
const width = 24

func (p *page) wrap() { p.x, p.y = 0, p.bottom }

// panel places a panel. Its id never changes, so that links to it hold.
func (p *page) panel(id uint32, name string, w, h uint32, v dashboard.Panel) {
	own := p.text(p.name + "." + name)
	v.Id, v.Title, v.Description = &id, &own.title, &own.description
	if v.Datasource == nil {
		v.Datasource = &prometheusSource
	}
	if p.x+w > width {
		p.wrap()
	}
	v.GridPos = &dashboard.GridPos{X: p.x, Y: p.y, W: w, H: h}
	p.x += w
	p.bottom = max(p.bottom, p.y+h)
	if p.row != nil {
		p.row.Panels = append(p.row.Panels, v)
		return
	}
	p.dashboard.Panels = append(p.dashboard.Panels, dashboard.PanelOrRowPanel{Panel: &v})
}

// has tells whether the page has a variable.
func (p *page) has(variable string) bool { return knows(p.name, variable) }

// reasons why a poll failed, as the exporter names them.
var reasons = []string{"unreachable", "server_error", "throttled", "credentials", "permission", "refused", "export_task",
	"unreadable", "clock", "disk", "storage"}

// pulse stands on every page: whether its numbers are alive, how old they are, and why.
func (p *page) pulse() dashboard.Panel {
	targets := ofJob
	if p.has("instance") {
		targets = process
	}
	sources := loginSources
	switch {
	case p.name == "capacity":
		sources = currentSources
	case p.has("app_name"):
		sources = appSources
	}
	match := targets + `, project=~"$project"` + sources
	cause := p.leads("exporter", "")
	if p.name == "exporter" {
		cause = p.shows(18, "sources")
	}
	v := p.numbers(seconds, []query{
		{ageByReason(match), "{{reason}}"}, {ageUnreached(targets, match), p.word("unreached")}, {ageWithoutReason(match), p.word("polls_succeed")},
	}, colours("green", 300.0, "orange", 900.0, "red"), linked(cause))
	v.FieldConfig.Defaults.Decimals = ptr(0.0)
	v.Options.(*stat.Options).WideLayout = false // the reason above the age, so that both can be read
	never := p.word("never")
	v.FieldConfig.Defaults.Mappings = append(v.FieldConfig.Defaults.Mappings, dashboard.ValueMapping{RangeMap: &dashboard.RangeMap{
		Type: dashboard.MappingTypeRangeToText, Options: dashboard.DashboardRangeMapOptions{
			From: ptr(1e9), To: ptr(1e12), Result: said(never, "red")}}})
	override("byName", p.word("unreached"), "thresholds", steps("orange", 300.0, "red"))(&v)
	for _, reason := range reasons {
		override("byName", reason, "displayName", p.word("reason."+reason))(&v)
	}
	return v
}

// annotations mark on every graph what may explain a change, and only where it begins:
// what lasts would bury the graph. The queries find what began within five minutes, which
// is Grafana's step for 6 hours; the value is when it began. Alerts that only inform are
// left out.
func (p *page) annotations() []any {
	mark := func(name, colour, expr, title string, valueIsTime bool) any {
		return map[string]any{
			"name": p.word("annotation." + name), "datasource": prometheusSource, "enable": true, "iconColor": colour,
			"expr": expr, "step": "60s", "titleFormat": title, "useValueForTime": valueIsTime,
		}
	}
	const (
		loud    = `alertname=~"Workspace.+", severity!="info"`
		firing  = `ALERTS{` + loud + `, alertstate="firing"}`
		started = "process_start_time_seconds{" + ofJob + "}"
		agents  = clientAttempts + "{" + matchProject + `, agent_version!=""}`
	)
	return []any{
		mark("alerts", "red", "1000 * min by (alertname) (ALERTS_FOR_STATE{"+loud+"} and ignoring (alertstate) ("+
			firing+" unless on (alertname) "+firing+" offset 5m))", "{{alertname}}", true),
		mark("restarts", "purple", "1000 * ("+started+" > time() - 300) and on (job, instance) "+buildInfo+"{"+ofJob+"}", "{{instance}}", true),
		// With data of an hour ago: when Prometheus has just begun, every version is new.
		mark("agents", "blue", "count by (agent_version) ("+agents+") unless on (agent_version) last_over_time("+agents+"[1h] offset 5m)"+
			" and on () count(last_over_time("+agents+"[5m] offset 1h))", "{{agent_version}}", false),
	}
}
