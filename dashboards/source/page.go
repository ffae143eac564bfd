package main

import (
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// schemaVersion is the newest that Grafana 11 to 13 all load as it is.
const schemaVersion = 39

var (
	prometheusSource = common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}
	lokiSource       = common.DataSourceRef{Type: cog.ToPtr("loki"), Uid: cog.ToPtr("${loki_datasource}")}
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
		Uid:           cog.ToPtr(p.uid(name)),
		Title:         &own.title,
		Description:   &own.description,
		Tags:          []string{p.tag()},
		Timezone:      cog.ToPtr("browser"),
		Editable:      cog.ToPtr(false),
		GraphTooltip:  cog.ToPtr(dashboard.DashboardCursorSyncCrosshair),
		Time:          &dashboard.DashboardDashboardTime{From: "now-24h", To: "now"},
		Refresh:       cog.ToPtr("1m"),
		SchemaVersion: schemaVersion,
		Links: []dashboard.DashboardLink{{
			Title: p.word("dashboards"), Type: dashboard.DashboardLinkTypeDashboards, Tags: []string{p.tag()},
			Icon: "external link", AsDropdown: true, IncludeVars: true, KeepTime: true,
		}},
	}
	p.variable(dashboard.VariableModel{Name: "datasource", Type: dashboard.VariableTypeDatasource, Query: plain("prometheus")})
	p.filter("job", "label_values(workspace_exporter_build_info, job)", ".+")
	p.filter("instance", `label_values(workspace_exporter_build_info{job=~"$job"}, instance)`, ".+")
	p.filter("project", "label_values(workspace_exporter_source_up{"+process+"}, project)", ".+")
	return p
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
		Refresh: cog.ToPtr(dashboard.VariableRefreshOnTimeRangeChanged), Sort: cog.ToPtr(dashboard.VariableSortNaturalAsc),
		Multi: cog.ToPtr(true), IncludeAll: cog.ToPtr(true), AllValue: &all, Current: option("All", "$__all"),
	})
}

// choice adds a variable with one value.
func (p *page) choice(name, query, current string) {
	p.variable(dashboard.VariableModel{
		Name: name, Type: dashboard.VariableTypeQuery, Query: plain(query), Definition: &query, Datasource: &prometheusSource,
		Refresh: cog.ToPtr(dashboard.VariableRefreshOnTimeRangeChanged), Current: option(current, current),
	})
}

// groupFilters are the variables of pages about logins. An empty group is a value
// too: desktops have none.
func (p *page) groupFilters() {
	p.filter("product", "label_values(workspace_login_attempts_total{"+process+`, project=~"$project"}, product)`, ".+")
	p.filter("desktop_group", "label_values(workspace_login_attempts_total{"+all+"}, desktop_group)", ".*")
}

func (p *page) windowChoice() {
	p.choice("window", "label_values(workspace_login_users{"+all+"}, window)", "1h")
}

func plain(s string) *dashboard.StringOrMap { return &dashboard.StringOrMap{String: &s} }

func option(label, value string) *dashboard.VariableOption {
	return &dashboard.VariableOption{
		Selected: cog.ToPtr(true),
		Text:     dashboard.StringOrArrayOfString{String: &label},
		Value:    dashboard.StringOrArrayOfString{String: &value},
	}
}

// heading starts a row. A folded one keeps its panels, and asks nothing until it is
// opened.
func (p *page) heading(id uint32, name string, folded bool) {
	p.wrap()
	row := &dashboard.RowPanel{
		Type: "row", Id: id, Title: cog.ToPtr(p.word(p.name + "." + name)), Collapsed: folded,
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
func (p *page) has(variable string) bool {
	return slices.ContainsFunc(p.dashboard.Templating.List, func(v dashboard.VariableModel) bool { return v.Name == variable })
}

// annotations mark on every graph what may explain a change.
func (p *page) annotations() []any {
	mark := func(name, colour, expr, title string) any {
		return map[string]any{
			"name": p.word("annotation." + name), "datasource": prometheusSource, "enable": true, "iconColor": colour,
			"expr": expr, "step": "60s", "titleFormat": title,
		}
	}
	return []any{
		mark("alerts", "red", `max by (alertname, severity, desktop_group) (ALERTS{alertname=~"Workspace.+", alertstate="firing"})`,
			"{{alertname}} {{desktop_group}}"),
		mark("restarts", "purple", "changes(process_start_time_seconds{"+process+"}[5m]) > 0", "{{instance}}"),
		mark("agents", "blue", "count by (agent_version) (workspace_client_login_attempts_total{"+matchProject+"})"+
			" unless count by (agent_version) (workspace_client_login_attempts_total{"+matchProject+"} offset 1h)", "{{agent_version}}"),
	}
}
