package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"

	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/loginlog"
)

// excluded are the findings that are meant, by rule, page and panel, each with its
// reason.
var excluded = map[string]string{
	"template-datasource-rule records":    "a second data source, for Loki: `datasource` has the same name on all pages, so that links carry it",
	"target-job-rule overview 18":         "ALERTS comes from Prometheus, not from a scrape",
	"target-counter-agg-rule versions 13": "asks when the series began, not what it counts",
	"target-counter-agg-rule versions 23": "asks when the series began, not what it counts",
	"target-counter-agg-rule versions 33": "asks when the series began, not what it counts",
}

// TestLint looks for what grafana/dashboard-linter does, by the names of its rules, in
// panels of every type.
func TestLint(t *testing.T) {
	met := map[string]bool{}
	for _, b := range boards(t) {
		l := &linter{t: t, board: b, page: pageOf(b.UID), met: met}
		l.dashboard()
		for _, p := range b.everyPanel() {
			l.panel(p)
		}
		b.prometheusTargets(l.target)
	}
	assert.ElementsMatch(t, slices.Collect(maps.Keys(excluded)), slices.Collect(maps.Keys(met)), "exclusions that exclude nothing")
}

// pageOf is the name of a page in any language.
func pageOf(uid string) string {
	return strings.TrimSuffix(strings.TrimPrefix(uid, "workspace-"), "-zh")
}

type linter struct {
	t     *testing.T
	board board
	page  string
	met   map[string]bool // exclusions that were needed
}

// expect reports what is not ok and not excluded. Panel 0 is the dashboard.
func (l *linter) expect(ok bool, rule string, panel int, more ...any) {
	if ok {
		return
	}
	key := rule + " " + l.page
	if panel != 0 {
		key += fmt.Sprint(" ", panel)
	}
	if excluded[key] != "" {
		l.met[key] = true
		return
	}
	l.t.Errorf("%s (%s): %s", key, l.board.Language, fmt.Sprintln(more...))
}

func (l *linter) dashboard() {
	b := l.board
	l.expect(!b.Editable, "uneditable-dashboard", 0)
	var sources []string
	for _, v := range b.Templating.List {
		switch v.Type {
		case "datasource":
			sources = append(sources, v.Name)
		case "query":
			l.expect(v.Refresh == 2, "template-on-time-change-reload-rule", 0, v.Name)
			l.labelQuery(v)
		}
	}
	l.expect(slices.Equal(sources, []string{"datasource"}), "template-datasource-rule", 0, sources)
	for _, name := range []string{"job", "instance"} {
		v, _ := b.variable(name)
		if name == "instance" && !l.choosesInstance() {
			l.expect(v.Name == "", "template-instance-rule", 0, "a filter without effect")
			continue
		}
		l.expect(v.Type == "query" && v.Datasource == datasource{"prometheus", "${datasource}"} && v.Multi && v.IncludeAll && v.AllValue == ".+",
			"template-"+name+"-rule", 0, v)
		l.expect(b.Language != "en" || strings.ToLower(v.Label) == name, "template-"+name+"-rule", 0, v.Label)
	}
}

// choosesInstance tells whether the page is about processes. The others are about records,
// whose metrics have the same instance whichever process shows them, so that they are one
// series when their process moves.
func (l *linter) choosesInstance() bool { return l.page == "exporter" }

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

func (l *linter) labelQuery(v variable) {
	m := labelValues.FindStringSubmatch(v.Query)
	l.expect(m != nil, "template-label-promql-rule", 0, v.Query)
	parse(l.t, m[1])
}

// units that the pages use, of those that Grafana has and that need no translation.
var units = []string{"none", "locale", "percentunit", "s", "bytes", "dateTimeFromNow",
	"string", "suffix: s", "suffix: min", "suffix: h"}

func (l *linter) panel(p boardPanel) {
	if p.Type == "row" {
		l.expect(p.Title != "", "panel-title-description-rule", p.ID)
		return
	}
	l.expect(p.Title != "" && p.Description != "", "panel-title-description-rule", p.ID, p.Title)
	used := []string{p.FieldConfig.Defaults.Unit}
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if property.ID == "unit" {
				var unit string
				l.expect(json.Unmarshal(property.Value, &unit) == nil, "panel-units-rule", p.ID)
				used = append(used, unit)
			}
		}
	}
	for _, unit := range used {
		l.expect(slices.Contains(units, unit), "panel-units-rule", p.ID, unit)
	}
	want := datasource{"prometheus", "${datasource}"}
	switch p.Type {
	case "logs":
		want = datasource{"loki", "${loki_datasource}"}
	}
	l.expect(len(p.Targets) > 0, "panel-no-targets-rule", p.ID)
	l.expect(p.Datasource == want, "panel-datasource-rule", p.ID, p.Datasource)
	for _, t := range p.Targets {
		l.expect(t.Datasource == want, "panel-datasource-rule", p.ID, t.Datasource)
	}
}

func (l *linter) target(p boardPanel, t target) {
	expr := parse(l.t, t.Expr)
	for _, name := range []string{"job", "instance"} {
		if name == "instance" && !l.choosesInstance() {
			continue
		}
		for _, matchers := range parser.ExtractSelectors(expr) {
			l.expect(slices.ContainsFunc(matchers, func(m *labels.Matcher) bool {
				return m.Name == name && m.Type == labels.MatchRegexp && m.Value == "$"+name
			}), "target-"+name+"-rule", p.ID, matchers)
		}
	}
	parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
		switch n := n.(type) {
		case *parser.MatrixSelector:
			call := path[len(path)-1].(*parser.Call).Func.Name
			isRate := call == "rate" || call == "irate"
			l.expect(isRate == (n.Range == must(time.ParseDuration(rateInterval))) || call == "increase", "target-rate-interval-rule", p.ID, t.Expr)
			// A rule of ours: over a step, increase() loses what happens between two steps.
			atEnd := n.VectorSelector.(*parser.VectorSelector).StartOrEnd == parser.END
			l.expect(t.Instant || call != "increase" || atEnd || n.Range >= 24*time.Hour, "seam-rule", p.ID, t.Expr)
		case *parser.VectorSelector:
			if strings.HasSuffix(n.Name, "_total") || strings.HasSuffix(n.Name, "_bucket") || strings.HasSuffix(n.Name, "_count") {
				l.expect(counterIsGrown(path), "target-counter-agg-rule", p.ID, t.Expr)
			}
		}
		return nil
	})
}

// counterIsGrown tells whether a counter stands directly in rate, irate or increase.
func counterIsGrown(path []parser.Node) bool {
	if len(path) < 2 {
		return false
	}
	_, ranged := path[len(path)-1].(*parser.MatrixSelector)
	call, called := path[len(path)-2].(*parser.Call)
	return ranged && called && slices.Contains([]string{"rate", "irate", "increase"}, call.Func.Name)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestForm looks for what the linter does not.
func TestForm(t *testing.T) {
	uids := map[string]board{}
	for _, b := range boards(t) {
		assert.NotContains(t, uids, b.UID)
		uids[b.UID] = b
		assert.LessOrEqual(t, len(b.UID), 40)
		assert.Equal(t, 39, b.SchemaVersion)
		assert.Equal(t, "browser", b.Timezone)
		assert.Equal(t, "1m", b.Refresh, "the data moves no faster")
		assert.NotEmpty(t, b.Title)
		assert.NotEmpty(t, b.Description)
		if assert.Len(t, b.Links, 1) {
			assert.True(t, b.Links[0].AsDropdown && b.Links[0].IncludeVars && b.Links[0].KeepTime)
			assert.Equal(t, b.Tags, b.Links[0].Tags, "the list of dashboards finds them by their tag")
		}
		for _, v := range b.Templating.List {
			assert.NotEmpty(t, v.Label, v.Name)
			assert.NotEmpty(t, v.Description, v.Name)
		}
		for _, a := range b.Annotations.List {
			assert.Equal(t, datasource{"prometheus", "${datasource}"}, a.Datasource)
			assert.NotEmpty(t, a.Name)
		}
		checkGrid(t, b)
	}
	for _, b := range uids {
		checkLinks(t, b, uids)
		checkVariables(t, b)
	}
}

// TestFailuresAreRed: no graph draws failures in the colour that says that all is well.
func TestFailuresAreRed(t *testing.T) {
	counted := 0
	for _, b := range boards(t) {
		b.prometheusTargets(func(p boardPanel, q target) {
			isFailure := strings.Contains(q.Expr, "failures_total") || strings.Contains(q.Expr, `result!="success"`) || strings.Contains(q.Expr, "failed_users")
			if p.Type != "timeseries" || p.FieldConfig.Defaults.Unit != "locale" || !isFailure || strings.Contains(q.Expr, "attempts_total") {
				return
			}
			counted++
			drawn := p.FieldConfig.Defaults.Color.FixedColor
			for _, o := range p.FieldConfig.Overrides {
				if o.Matcher.Options != q.LegendFormat && o.Matcher.Options != q.RefID {
					continue
				}
				for _, property := range o.Properties {
					if property.ID == "color" {
						var colour struct{ FixedColor string }
						assert.NoError(t, json.Unmarshal(property.Value, &colour))
						drawn = colour.FixedColor
					}
				}
			}
			assert.Contains(t, []string{"red", "dark-red", "light-red", "orange", unknownColour}, drawn, "%s: %s: %s", b.UID, p.Title, q.LegendFormat)
		})
	}
	assert.Greater(t, counted, 20)
}

// TestAxesOfRatios: where all is 0, Grafana would draw an axis up to 10,000 %.
func TestAxesOfRatios(t *testing.T) {
	for _, b := range boards(t) {
		for _, p := range b.everyPanel() {
			if f := p.FieldConfig.Defaults; p.Type == "timeseries" && f.Unit == "percentunit" {
				assert.True(t, f.Max != nil || f.Custom.AxisSoftMax != nil, "%s: %s", b.UID, p.Title)
			}
		}
	}
}

// TestEveryValueHasWords: every reason why a poll failed, and all that becomes of records.
func TestEveryValueHasWords(t *testing.T) {
	assert.ElementsMatch(t, fetcher.Reasons, reasons)
	var known []string
	for _, d := range ledger.Dispositions {
		known = append(known, string(d))
	}
	assert.ElementsMatch(t, known, dispositions)
}

// TestRecordsAreThoseThatAreLogged: logins and launches, by the words of the log.
func TestRecordsAreThoseThatAreLogged(t *testing.T) {
	for _, b := range boards(t) {
		if pageOf(b.UID) != "records" {
			continue
		}
		var asked []string
		for _, p := range b.everyPanel() {
			asked = append(asked, regexp.MustCompile(`msg="(.+?)"`).FindStringSubmatch(p.Targets[0].Expr)[1])
		}
		assert.ElementsMatch(t, []string{loginlog.Message, loginlog.LaunchMessage}, asked, b.UID)
	}
}

// checkGrid sees that ids are unique, and that panels neither overlap nor stick out.
func checkGrid(t *testing.T, b board) {
	ids := map[int]string{}
	taken := map[[2]int]string{}
	for _, p := range b.everyPanel() {
		assert.Empty(t, ids[p.ID], "%s: id %d of %s is taken", b.UID, p.ID, p.Title)
		ids[p.ID] = p.Title
		g := p.GridPos
		assert.True(t, g.X >= 0 && g.W > 0 && g.H > 0 && g.X+g.W <= 24, "%s: %s lies outside", b.UID, p.Title)
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				assert.Empty(t, taken[[2]int{x, y}], "%s: %s lies on another", b.UID, p.Title)
				taken[[2]int{x, y}] = p.Title
			}
		}
		assert.Equal(t, p.Collapsed, len(p.Panels) > 0, "%s: only folded rows hold panels", b.UID)
	}
}

var (
	linkTarget   = regexp.MustCompile(`/d/([\w-]+)\?`)
	linkVariable = regexp.MustCompile(`\$\{(\w+):queryparam\}|var-(\w+)=`)
	linkPanel    = regexp.MustCompile(`&viewPanel=(\d+)$`)
	usedVariable = regexp.MustCompile(`\$\{?([a-z_]\w*)`)
)

// checkLinks sees that every number and every table leads somewhere, with what is chosen
// here and the time shown: to a page of the same language that knows the variables that
// the link brings, and not to where one is already.
func checkLinks(t *testing.T, b board, uids map[string]board) {
	for _, p := range b.everyPanel() {
		where := b.UID + ": " + p.Title
		if p.Type == "stat" {
			assert.Len(t, p.FieldConfig.Defaults.Links, 1, "%s leads nowhere", where)
		}
		if p.Type == "table" {
			assert.NotEmpty(t, p.links(t), "%s leads nowhere", where)
		}
		for _, link := range p.links(t) {
			assert.NotEmpty(t, link.Title, where)
			assert.Contains(t, link.URL, "${__url_time_range}", where)
			if strings.Contains(link.URL, alertPage) {
				continue // see TestAlertsLeadSomewhere
			}
			m := linkTarget.FindStringSubmatch(link.URL)
			if !assert.NotNil(t, m, link.URL) {
				continue
			}
			to, there := uids[m[1]]
			assert.True(t, there, link.URL)
			assert.Equal(t, b.Language, to.Language, link.URL)
			brought := map[string]bool{}
			for _, m := range linkVariable.FindAllStringSubmatch(link.URL, -1) {
				brought[m[1]+m[2]] = true
				_, there := to.variable(m[1] + m[2])
				assert.True(t, there, "%s: %s", b.UID, m[0])
			}
			for _, v := range b.Templating.List {
				_, there := to.variable(v.Name)
				assert.True(t, !there || brought[v.Name], "%s: what is chosen in $%s is lost in %s", b.UID, v.Name, link.URL)
			}
			shown := linkPanel.FindStringSubmatch(link.URL)
			if shown == nil {
				assert.True(t, to.UID != b.UID || strings.Contains(link.URL, "=${__value"), "%s leads to its own page: %s", where, link.URL)
				continue
			}
			i := slices.IndexFunc(to.everyPanel(), func(p boardPanel) bool { return fmt.Sprint(p.ID) == shown[1] })
			if assert.GreaterOrEqual(t, i, 0, "%s: no such panel: %s", where, link.URL) {
				panel := to.everyPanel()[i]
				assert.Equal(t, panel.Title, link.Title, where)
				assert.NotContains(t, []string{"stat", "row"}, panel.Type, "%s leads to a mere number", where)
			}
		}
	}
}

// checkVariables sees that every variable that is used is defined before what needs
// it, and that none is without use.
func checkVariables(t *testing.T, b board) {
	used := map[string]bool{}
	use := func(text, by string) {
		for _, m := range usedVariable.FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(m[1], "__") {
				_, there := b.variable(m[1])
				assert.True(t, there, "%s: %s uses $%s", b.UID, by, m[1])
				used[m[1]] = true
			}
		}
	}
	for _, p := range b.everyPanel() {
		for _, target := range p.Targets {
			use(target.Expr, p.Title)
			use(p.Title, p.Title)
			use(target.Datasource.UID, p.Title)
		}
	}
	for i, v := range b.Templating.List {
		use(v.Query+v.Datasource.UID, v.Name)
		for _, m := range usedVariable.FindAllStringSubmatch(v.Query, -1) {
			assert.True(t, slices.ContainsFunc(b.Templating.List[:i], func(v variable) bool { return v.Name == m[1] }), "%s: $%s comes before $%s", b.UID, v.Name, m[1])
		}
	}
	for _, v := range b.Templating.List {
		assert.True(t, used[v.Name], "%s: nothing uses $%s", b.UID, v.Name)
	}
}

// alertPage is the page in the link of an alert in the list.
const alertPage = "${__data.fields.page}"

var alertLink = regexp.MustCompile(`dashboard_url: \S+/d/([\w-]+)(.*)`)

// TestAlertsLeadSomewhere sees that the alerts' links lead to a page that knows the
// variables in them, and that the list of what fires leads to the same page.
func TestAlertsLeadSomewhere(t *testing.T) {
	rules := string(must(os.ReadFile("../rules/workspace.rules.yml")))
	links := alertLink.FindAllStringSubmatch(rules, -1)
	assert.Equal(t, strings.Count(rules, "dashboard_url:"), len(links))
	all := boards(t)
	for _, link := range links {
		i := slices.IndexFunc(all, func(b board) bool { return b.UID == link[1] })
		if !assert.GreaterOrEqual(t, i, 0, link[0]) {
			continue
		}
		for _, m := range linkVariable.FindAllStringSubmatch(link[2], -1) {
			_, there := all[i].variable(m[2])
			assert.True(t, there, link[0])
		}
	}
	for _, r := range allRules(t) {
		link := alertLink.FindStringSubmatch("dashboard_url: " + r.Annotations["dashboard_url"])
		if r.Alert == "" || !assert.NotNil(t, link, r.Alert) {
			continue
		}
		w := loaded(t, "load 30s\n  ALERTS"+fmt.Sprintf(`{alertname=%q,alertstate="firing",severity="warning",project="p"}`, r.Alert)+" 1x720\n")
		english(t, func(b board, p boardPanel, q target) {
			if pageOf(b.UID) == "overview" && p.Title == "Alerts firing" {
				if answer := w.ask(t, b, q); assert.Len(t, answer, 1, r.Alert) {
					assert.Equal(t, link[1], "workspace-"+answer[0].Metric.Get("page"), r.Alert)
				}
			}
		})
	}
}
