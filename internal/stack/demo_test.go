package stack

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the demo's script does, as shares of its cycle, and the code of the failures
// that its bad roll-out brings: nobody has seen it before.
const (
	outageBegins, outageEnds   = 0.05, 0.35
	rollOutEnds, sprayIsOn     = 0.75, 0.85
	lostGroup, neverSeenBefore = "Call Center", "WKS.40050001"
)

// TestDemoInRealServers lets a Prometheus and an Alertmanager look at the demo with the
// repository's rules, unchanged, and asks them what they see. It takes real time: no
// alert fires before its `for` is over.
func TestDemoInRealServers(t *testing.T) {
	if !*servers {
		t.Skip("it takes 9 minutes: make test-stack")
	}
	t.Parallel()
	cycle := 9 * time.Minute
	if *recovery {
		cycle = 50 * time.Minute // nothing else happens to the group while it recovers
	}
	s := startStack(t, cycle)
	s.prometheus.wait(t, "has scraped the demo", time.Minute, func() bool {
		return len(s.query(t, "workspace_login_attempts_total > 0", 0, 0)) > 0
	})
	require.Empty(t, s.query(t, `workspace_login_failures_total{failed_code="`+neverSeenBefore+`"}`, 0, 0), "the code is there from the start")

	high := map[string]string{"alertname": "WorkspaceLoginFailureRatioHigh", "severity": "critical", "project": "demo", "product": "app_streaming", "desktop_group": lostGroup}
	annotations := s.arrives(t, s.at(outageBegins).Add(alarmWithin), high)
	t.Logf("the outage began %s before its alert was at Alertmanager: %s", time.Since(s.at(outageBegins)).Round(time.Second), annotations["description"])
	assert.Contains(t, annotations["dashboard_url"], "&to=now&var-project=demo&var-product=app_streaming&var-desktop_group=Call+Center")

	if *recovery {
		s.resolved(t, high, s.at(outageEnds).Add(resolvedWithin))
		t.Logf("the alert was resolved %s after the end of the outage", time.Since(s.at(outageEnds)).Round(time.Second))
		s.prometheus.wait(t, "sees the roll-out", cycle, func() bool { return time.Now().After(s.at(rollOutEnds)) })
	} else {
		s.prometheus.wait(t, "has seen something of all incidents", cycle, func() bool { return time.Now().After(s.at(sprayIsOn)) })
	}
	t.Run("first failure", s.showsTheFirstFailure)
	t.Run("rules", s.evaluatesTheRules)
	outage := s.at((outageBegins + outageEnds) / 2)
	t.Run("dashboards", func(t *testing.T) { s.prometheus.answersTheDashboards(t, outage) })
	t.Run("dashboards with native histograms and the operator's labels", func(t *testing.T) { s.native.answersTheDashboards(t, outage) })
	t.Run("bars", s.addsUpTheBars)
}

// arrives waits for an alert at Alertmanager.
func (s *stack) arrives(t *testing.T, until time.Time, labels map[string]string) (annotations map[string]string) {
	t.Helper()
	s.alertmanager.wait(t, fmt.Sprint("has ", labels), time.Until(until), func() (fires bool) {
		annotations, fires = s.alertAt(t, labels)
		return fires
	})
	return annotations
}

// resolved waits until Alertmanager has an alert no more.
func (s *stack) resolved(t *testing.T, labels map[string]string, until time.Time) {
	t.Helper()
	s.alertmanager.wait(t, fmt.Sprint("has resolved ", labels), time.Until(until), func() bool {
		_, fires := s.alertAt(t, labels)
		return !fires
	})
}

// showsTheFirstFailure asks for every failure of a code that was never seen before, in
// every family that has codes: increase() must see them from the first one on.
func (s *stack) showsTheFirstFailure(t *testing.T) {
	const window = "1h" // all that Prometheus has of the demo
	for _, family := range []string{"login", "client_login", "client_version_login", "server_login"} {
		series := fmt.Sprintf(`workspace_%s_failures_total{instance!="past",failed_code=%q}`, family, neverSeenBefore)
		total := s.number(t, "sum("+series+")")
		require.Positive(t, total, family)
		assert.Zero(t, s.number(t, "max(min_over_time("+series+"["+window+"]))"), "%s: a series is shown with its value at once", family)
		seen := s.number(t, "sum(increase("+series+"["+window+"]))")
		assert.InEpsilon(t, total, seen, 0.05, "%s: increase() sees another number of failures", family)
	}
	s.arrives(t, time.Now().Add(30*time.Second), map[string]string{"alertname": "WorkspaceLoginNewFailureCode", "product": "app_streaming", "failed_code": neverSeenBefore})
}

// evaluatesTheRules asks Prometheus for the health of every rule, and for what the
// recording ones have recorded.
func (s *stack) evaluatesTheRules(t *testing.T) {
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Type, Query, Health, LastError string }
			}
		}
	}
	s.prometheus.get(t, "/api/v1/rules", url.Values{}, &answer)
	var n int
	for _, g := range answer.Data.Groups {
		for _, r := range g.Rules {
			n++
			assert.Equal(t, "ok", r.Health, "%s: %s", r.Name, r.LastError)
			if r.Type == "recording" && !seldom.MatchString(r.Name) {
				assert.NotEmpty(t, s.find(t, r.Name, 0, 0), "%s has recorded nothing", r.Name)
			}
		}
	}
	assert.Len(t, rules(t), n)
}

// answersTheDashboards asks a Prometheus what the panels, variables and annotations of
// all dashboards ask. Each panel must have something to show, now or in the outage: of its
// queries, one may be about failures that the demo does not have.
func (p *process) answersTheDashboards(t *testing.T, outage time.Time) {
	files, err := filepath.Glob("../../dashboards/*/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		d := readDashboard(t, file)
		values := d.values()
		ask := func(q target, least string) bool {
			expr, step := values.fill(q.Expr, least)
			span := lookBack
			if q.Instant {
				span = 0
			}
			return len(p.query(t, expr, time.Now(), span, step)) > 0 || len(p.query(t, expr, outage, span, step)) > 0
		}
		askUntil := func(what string, any ...func() bool) {
			for range 10 { // a busy machine misses a scrape now and then
				if slices.ContainsFunc(any, func(ask func() bool) bool { return ask() }) {
					return
				}
				time.Sleep(2 * time.Second)
			}
			assert.Fail(t, "no data", "%s: %s", file, what)
		}
		for _, panel := range d.allPanels() {
			var queries []func() bool
			for _, q := range panel.Targets {
				if q.Datasource.Type == "prometheus" && !strings.Contains(q.Expr, `product="desktop"`) { // the demo names no desktops
					queries = append(queries, func() bool { return ask(q, panel.Interval) })
				}
			}
			if len(queries) > 0 {
				askUntil(panel.Title, queries...)
			}
		}
		for _, v := range d.Templating.List {
			if m := labelValues.FindStringSubmatch(fmt.Sprint(v.Query)); m != nil {
				askUntil("variable "+v.Name, func() bool {
					return ask(target{Expr: "count by (" + m[2] + ") (" + m[1] + ")", Instant: true}, "")
				})
			}
		}
		for _, a := range d.Annotations.List {
			expr, step := values.fill(a.Expr, "")
			p.query(t, expr, time.Now(), lookBack, step) // there may be nothing to tell of
		}
	}
}

// seldom are rules that record something only while something is wrong, or whose past
// writePast does not make.
var seldom = regexp.MustCompile(`^server:|:(never_succeeded|recovered|only_steady|spray\w*|new_code\w+|kept_out|none_succeeds|outage|as_usual|nearly_all|usual\w+)$|:expected15m$|^instance:|:several_groups$|:widespread$|:(paged\w*|new_since_page|all_is_well|back)$`)

var rated = regexp.MustCompile(`^\(sum (?:by \([^)]*\) )?\(rate\((\w+\{[^}]*\})\[\$__rate_interval\]\)\) \* \$__interval_ms / 1000\)`)

// addsUpTheBars adds up what the graphs of counts draw. It must be what the counters of
// the real Prometheus grew by in that time.
func (s *stack) addsUpTheBars(t *testing.T) {
	const step = 20 * time.Second
	end := time.Now().Add(-5 * time.Second).Truncate(step)
	begin := end.Add(-4 * time.Minute)
	files, err := filepath.Glob("../../dashboards/en/*.json")
	require.NoError(t, err)
	tested := 0
	for _, file := range files {
		d := readDashboard(t, file)
		for _, panel := range d.allPanels() {
			for _, q := range panel.Targets {
				counter := rated.FindStringSubmatch(q.Expr)
				if q.Instant || counter == nil || strings.Contains(q.Expr, "topk") || strings.Contains(q.Expr, " and ") || strings.Contains(q.Expr, ") / ") {
					continue // a part of what the counter counts, or a ratio
				}
				values := d.values()
				total := func(at time.Time) float64 {
					return sum(t, s.prometheus.query(t, "sum("+values.fillStep(counter[1], step)+")", at, 0, 0))
				}
				grown := total(end) - total(begin)
				bars := sum(t, s.prometheus.query(t, values.fillStep(q.Expr, step), end, end.Sub(begin)-step, step))
				assert.InDelta(t, grown, bars, 5+0.1*grown, "%s: %s: %s", file, panel.Title, q.Expr) // a busy machine misses scrapes
				if grown > 0 {
					tested++
				}
			}
		}
	}
	assert.Greater(t, tested, 10)
}

// sum adds up all values of all series, but for histograms.
func sum(t *testing.T, series []sample) (all float64) {
	t.Helper()
	for _, one := range series {
		values := one.Values
		if one.Value[1] != nil {
			values = append(values, one.Value)
		}
		for _, v := range values {
			var value float64
			_, err := fmt.Sscan(v[1].(string), &value)
			require.NoError(t, err)
			all += value
		}
	}
	return all
}

// lookBack is the dashboards' time range: all of the demo.
const lookBack = 6 * time.Minute

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// values are what stands for the variables of a dashboard: all there is.
type values []string

func (d *dashboard) values() values {
	var v values
	for _, variable := range d.Templating.List {
		value := variable.AllValue
		if value == "" {
			value, _ = variable.Current.Value.(string)
		}
		v = append(v, "$"+variable.Name, value, "${"+variable.Name+"}", value)
	}
	return v
}

// fill writes values for variables, and says how far apart the points are: what Grafana
// would choose for a panel, but no less than what the panel wants.
func (v values) fill(expr, least string) (string, time.Duration) {
	step := 15 * time.Second
	if d, err := time.ParseDuration(least); err == nil {
		step = max(step, d)
	}
	return v.fillStep(expr, step), step
}

// fillStep knows that the demo is scraped every two seconds.
func (v values) fillStep(expr string, step time.Duration) string {
	builtIn := []string{"$__range", lookBack.String(), "$__rate_interval", max(step+2*time.Second, 8*time.Second).String(),
		"$__interval_ms", fmt.Sprint(step.Milliseconds()), "$__interval", step.String()}
	return strings.NewReplacer(append(builtIn, v...)...).Replace(expr)
}
