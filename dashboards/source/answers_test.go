package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the made-up Prometheus of these tests does. Polls and scrapes keep step, as they
// do in life, so that what a query loses between two windows it loses always.
const (
	scrapeEvery = 30 * time.Second
	scrapes     = 6 * 120 // of six hours
	shownStep   = 3 * time.Minute
	shownRange  = 3 * time.Hour
	growsBy     = 7 // at every second scrape, which is every poll
)

// shownAt is the end of the time shown. Scrapes never fall on the edges of steps.
var shownAt = time.Unix(0, 0).Add((scrapes-1)*scrapeEvery - 11*time.Second)

// forms of histograms that Prometheus may keep.
type forms struct{ classic, native bool }

// world is a Prometheus that has scraped one exporter: every metric once.
type world struct {
	engine  *promql.Engine
	storage *teststorage.TestStorage
}

// scrapeTarget are the labels of what is scraped; record metrics keep their identity,
// without those of a process.
type scrapeTarget struct{ process, record labels.Labels }

var (
	plainTarget    = scrapeTarget{labels.FromStrings("job", "workspace", "instance", "exporter:9914"), labels.FromStrings("job", "workspace", "instance", "exporter:9914")}
	operatorTarget = scrapeTarget{
		labels.FromStrings("job", "workspace-exporter", "instance", "10.1.2.3:9914", "namespace", "monitoring", "pod", "workspace-exporter-0",
			"container", "exporter", "endpoint", "http", "service", "workspace-exporter"),
		labels.FromStrings("job", "workspace-exporter", "instance", "workspace-exporter", "namespace", "monitoring", "endpoint", "http", "service", "workspace-exporter"),
	}
)

func newWorld(t *testing.T, of scrapeTarget, histograms forms) *world {
	return loaded(t, scraped(t, of, histograms))
}

// scraped are all metrics, in the form in which they are loaded.
func scraped(t *testing.T, of scrapeTarget, histograms forms) string {
	var load strings.Builder
	fmt.Fprintf(&load, "load %s\n", scrapeEvery)
	there := exposed(t)
	for name, names := range there {
		if _, isHistogram := there[name+"_bucket"]; isHistogram {
			continue // native, and made beside its buckets
		}
		own := of.record
		if !strings.HasPrefix(name, "workspace_") || strings.HasPrefix(name, "workspace_exporter_") {
			own = of.process
		}
		if name == "ALERTS" || name == "ALERTS_FOR_STATE" {
			own = labels.EmptyLabels()
		}
		isBucket := strings.HasSuffix(name, "_bucket")
		isPart := isBucket || strings.HasSuffix(name, "_count") || strings.HasSuffix(name, "_sum")
		bounds := []string{""}
		if isBucket {
			bounds = []string{"10", "30", "60", "+Inf"}
		}
		if isPart && !histograms.classic {
			bounds = nil
		}
		for _, bound := range bounds {
			fmt.Fprintf(&load, "  %s %s\n", series(name, names, own, bound), samples(name))
			if name == lastSuccess { // of the other sources on which numbers of now depend
				for _, source := range []string{"servers", "desktops", "app_connections", "sessions"} {
					fmt.Fprintf(&load, "  %s %s\n", strings.Replace(series(name, names, own, bound), "user_connections", source, 1), samples(name))
				}
			}
			for _, state := range map[string][]string{
				"workspace_desktops_by_login_state":  {"in_use", "disconnected", "ready", "unregistered", "unable_to_connect"},
				"workspace_desktops_by_run_state":    {"active"},
				"workspace_desktops_by_attach_state": {"unattached"},
				"workspace_server_group_servers":     {"REGISTERED", "UNREGISTER"},
			}[name] {
				fmt.Fprintf(&load, "  %s %s\n", strings.NewReplacer("some state", state, "some status", state).Replace(series(name, names, own, bound)), samples(name))
			}
		}
		if isBucket && histograms.native {
			fmt.Fprintf(&load, "  %s {{schema:0 sum:70 count:7 buckets:[7] offset:3}}+{{schema:0 sum:70 count:7 buckets:[7] offset:3}}x%d\n",
				series(strings.TrimSuffix(name, "_bucket"), names, own, ""), scrapes)
		}
	}
	return load.String()
}

func loaded(t *testing.T, load string) *world {
	return &world{
		engine:  promql.NewEngine(promql.EngineOpts{MaxSamples: 50e6, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true}),
		storage: promqltest.LoadedStorage(t, load),
	}
}

// values of labels, where it matters.
var labelSamples = map[string]string{
	"product": "app_streaming", "source": "user_connections", "window": "15m", "result": "success", "reason": "unreachable", "code": "200",
	"session_state": "Active", "longer_than": "8h", "alertname": "WorkspaceX", "alertstate": "firing", "severity": "warning",
}

func series(name string, names []string, own labels.Labels, bound string) string {
	all := own.Map()
	for _, label := range names {
		if _, there := all[label]; !there && label != "le" && label != "job" && label != "instance" {
			all[label] = "some " + label
			if sample, special := labelSamples[label]; special {
				all[label] = sample
			}
		}
	}
	if bound != "" {
		all["le"] = bound
	}
	var pairs []string
	for _, label := range slices.Sorted(maps.Keys(all)) {
		pairs = append(pairs, fmt.Sprintf("%s=%q", label, all[label]))
	}
	return name + "{" + strings.Join(pairs, ",") + "}"
}

// samples grow in the rhythm of polls if they are of a counter. Times are of now.
func samples(name string) string {
	switch {
	case name == sourceFailing, name == "workspace_server_maintenance":
		return fmt.Sprintf("0+0x%d", scrapes)
	case strings.Contains(name, "timestamp"):
		return fmt.Sprintf("0+%dx%d", int(scrapeEvery.Seconds()), scrapes)
	case !strings.HasSuffix(name, "_total") && !strings.HasSuffix(name, "_bucket") && !strings.HasSuffix(name, "_count"):
		return fmt.Sprintf("1+0x%d", scrapes)
	}
	all := make([]string, scrapes)
	for i := range all {
		all[i] = strconv.Itoa(growsBy * ((i + 1) / 2))
	}
	return strings.Join(all, " ")
}

// filled has the values of Grafana's own variables, and all that can be chosen.
func (b board) filled(expr string) string {
	values := []string{"$__rate_interval", (shownStep + scrapeEvery).String(), "$__interval_ms", strconv.FormatInt(shownStep.Milliseconds(), 10),
		"$__interval", shownStep.String(), "$__range", shownRange.String()}
	for _, v := range b.Templating.List {
		value := v.AllValue
		if value == "" {
			value = "15m" // the window
		}
		values = append(values, "$"+v.Name, value)
	}
	return strings.NewReplacer(values...).Replace(expr)
}

// ask answers a query of a dashboard as a matrix, or as a vector.
func (w *world) ask(t *testing.T, b board, q target) promql.Matrix {
	var query promql.Query
	var err error
	expr := b.filled(q.Expr)
	if q.Instant {
		query, err = w.engine.NewInstantQuery(context.Background(), w.storage, nil, expr, shownAt)
	} else {
		query, err = w.engine.NewRangeQuery(context.Background(), w.storage, nil, expr, shownAt.Add(-shownRange+shownStep), shownAt, shownStep)
	}
	require.NoError(t, err, expr)
	defer query.Close()
	result := query.Exec(context.Background())
	require.NoError(t, result.Err, expr)
	switch value := result.Value.(type) {
	case promql.Matrix:
		return slices.Clone(value)
	case promql.Vector:
		var m promql.Matrix
		for _, s := range value {
			one := promql.Series{Metric: s.Metric, Floats: []promql.FPoint{{T: s.T, F: s.F}}}
			m = append(m, one)
		}
		return m
	}
	require.Fail(t, "neither matrix nor vector", expr)
	return nil
}

// english calls f for every query of the dashboards in one language: the queries of all
// are the same.
func english(t *testing.T, f func(b board, p boardPanel, q target)) {
	for _, b := range boards(t) {
		if b.Language == "en" {
			b.prometheusTargets(func(p boardPanel, q target) { f(b, p, q) })
		}
	}
}

// TestBarsAddUp adds up what every graph of counts draws. It must be what the counters
// grew by: with increase() over a step, up to a third would be missing.
func TestBarsAddUp(t *testing.T) {
	w := newWorld(t, plainTarget, forms{classic: true})
	grown := float64(growsBy) * float64(shownRange) / float64(2*scrapeEvery)
	tested := 0
	english(t, func(b board, p boardPanel, q target) {
		isRest := strings.HasPrefix(q.Expr, "clamp_min(") // all but the greatest, which are all here
		if q.Instant || p.FieldConfig.Defaults.Unit != "locale" && p.Type != "heatmap" || !strings.Contains(q.Expr, "rate(") || strings.Contains(q.Expr, "offset 1w") {
			return
		}
		for _, s := range w.ask(t, b, q) {
			sum := 0.0
			for _, point := range s.Floats {
				sum += point.F
			}
			want := grown
			if isRest {
				want = 0
			}
			assert.InDelta(t, want, sum, 1e-6, "%s: %s: %s", b.UID, p.Title, q.Expr)
			tested++
		}
	})
	assert.Greater(t, tested, 25)
}

// silent are the queries that have nothing to tell of an exporter that works, by page,
// panel and letter.
func silent(b board, p boardPanel, q target) bool {
	return p.Title == "Is the data alive?" && q.RefID != "C" || // no poll fails, and the exporter is reached
		strings.Contains(q.Expr, "offset 1w") || // there was nothing a week ago
		strings.Contains(q.Expr, "[7d] offset") || // no code is new
		strings.Contains(q.Expr, "[1h] offset $__range") || // no version is new
		pageOf(b.UID) == "login-failures" && p.ID == 43 || // every login reached a server
		strings.Contains(q.Expr, `result!="success"`) || strings.Contains(q.Expr, `disposition=~"invalid`) ||
		strings.Contains(q.Expr, `code!~"2.."}[$__rate_interval])) *`) && p.ID == 41 || strings.Contains(q.Expr, `status=~"fail`) ||
		strings.Contains(q.Expr, `session_state="Disconnected"`) || strings.Contains(q.Expr, `longer_than="1h"`) || strings.Contains(q.Expr, `longer_than="24h"`) ||
		strings.Contains(q.Expr, `desktop_pool=""`) || // all desktops are in a pool
		strings.Contains(q.Expr, `product="desktop"`) // desktops have no names
}

// TestQueriesAnswer asks everything, with the labels of a plain scrape job and with those
// of the Prometheus operator, and with both forms of histograms alone: the answers have
// the same number of series, and none is missing.
func TestQueriesAnswer(t *testing.T) {
	worlds := map[string]*world{
		"classic": newWorld(t, plainTarget, forms{classic: true}), "native": newWorld(t, plainTarget, forms{native: true}),
		"both": newWorld(t, plainTarget, forms{true, true}), "operator": newWorld(t, operatorTarget, forms{classic: true}),
		"operator, native": newWorld(t, operatorTarget, forms{native: true}),
	}
	english(t, func(b board, p boardPanel, q target) {
		want := len(worlds["classic"].ask(t, b, q))
		for name, w := range worlds {
			answer := w.ask(t, b, q)
			if p.Type == "heatmap" { // a series for each bucket, or one that has them inside
				assert.NotEmpty(t, answer, "%s: %s: %s: %s", b.UID, p.Title, name, q.Expr)
				continue
			}
			assert.Len(t, answer, want, "%s: %s: %s: %s", b.UID, p.Title, name, q.Expr)
			for _, s := range answer {
				for _, point := range s.Floats {
					assert.False(t, math.IsNaN(point.F), "%s: %s: %s: %s", b.UID, p.Title, name, q.Expr)
				}
			}
		}
		assert.Equal(t, silent(b, p, q), want == 0, "%s: %s: %s", b.UID, p.Title, q.Expr)
	})
}

// answers are what the queries of a panel of the overview answer, by their letters.
func (w *world) answers(t *testing.T, panel int) map[string]promql.Matrix {
	all := map[string]promql.Matrix{}
	english(t, func(b board, p boardPanel, q target) {
		if pageOf(b.UID) == "overview" && p.ID == panel {
			if answer := w.ask(t, b, q); len(answer) > 0 {
				all[q.RefID] = answer
			}
		}
	})
	return all
}

// TestWhatIsNotKnown looks at the overview when the API is dead, when a source has never
// worked, and when the exporter is dead. Nothing is shown as if it were of now, but for
// how old the data is, and why.
func TestWhatIsNotKnown(t *testing.T) {
	const (
		age              = 17
		source           = `{job="workspace",instance="i",project="p",source="user_connections"}`
		counted          = `{job="workspace",instance="i",project="p",product="app_streaming",desktop_group="g"}`
		failing, working = `0x600 1x120`, `0+30x600`
	)
	stop := fmt.Sprint(600 * 30) // an hour before the time shown
	always := "  workspace_exporter_build_info{job=\"workspace\",instance=\"i\"} 1x720\n"
	for name, c := range map[string]struct {
		load, letter, reason string
		age                  float64
	}{
		"dead API": {always + "  up{job=\"workspace\",instance=\"i\"} 1x720\n" +
			"  " + sourceFailing + strings.Replace(source, "}", `,reason="unreachable"}`, 1) + " 1x720\n" +
			"  " + lastSuccess + source + " " + working + " " + strings.Repeat(stop+" ", 120) + "\n" +
			"  workspace_login_failed_users" + strings.Replace(counted, `desktop_group="g"`, `window="15m"`, 1) + " 7x720\n" +
			"  " + attempts + counted + " 0+9x600 " + strings.Repeat("5400 ", 120) + "\n", "A", "unreachable", 3559},
		"never worked": {always + "  up{job=\"workspace\",instance=\"i\"} 1x720\n" +
			"  " + sourceFailing + strings.Replace(source, "}", `,reason="credentials"}`, 1) + " 1x720\n", "A", "credentials", 21559},
		"dead exporter": {"  up{job=\"workspace\",instance=\"i\"} 1x600 0x119\n" +
			"  " + lastSuccess + source + " " + working + "\n" +
			"  " + attempts + counted + " 0+9x600\n", "B", "", 3559},
		"target gone": {"  " + lastSuccess + source + " 0+30x640\n", "B", "", 2359},
	} {
		w := loaded(t, "load 30s\n"+c.load)
		answers := w.answers(t, age)
		if assert.Len(t, answers, 1, name) && assert.Contains(t, answers, c.letter, name) {
			assert.Equal(t, c.reason, answers[c.letter][0].Metric.Get("reason"), name)
			assert.InDelta(t, c.age, answers[c.letter][0].Floats[0].F, 1, name)
		}
		for _, now := range []int{31, 32, 33, 34, 35} {
			assert.Empty(t, w.answers(t, now), "%s: panel %d shows something of now", name, now)
		}
	}
}

// TestOldDataIsGrey: when no login was read for an hour, no number of any page looks like
// one of now, though Prometheus has them all.
func TestOldDataIsGrey(t *testing.T) {
	fresh := scraped(t, plainTarget, forms{classic: true})
	times := regexp.MustCompile("(  " + lastSuccess + "{.*} ).*\n")
	require.True(t, times.MatchString(fresh))
	old := times.ReplaceAllString(fresh, "${1}0+30x600 "+strings.Repeat("18000 ", 120)+"\n")
	worlds := map[bool]*world{false: loaded(t, fresh), true: loaded(t, old)}
	english(t, func(b board, p boardPanel, q target) {
		page := pageOf(b.UID)
		isObjective := page == "overview" && (p.ID == 51 || p.ID == 52) // of 28 days
		isState := page == "login-failures" && p.ID == 12               // of the exporter
		ofNow := p.Type == "stat" && p.Title != "Is the data alive?" || p.Type == "table" && readsGauge(t, q)
		if !ofNow || page == "exporter" || isObjective || isState || silent(b, p, q) {
			return
		}
		for isOld, w := range worlds {
			assert.Equal(t, isOld, len(w.ask(t, b, q)) == 0, "%s: %s: %s", b.UID, p.Title, q.Expr)
		}
	})
}

// readsGauge tells whether a query has values of a gauge that holds what is there now: what
// stands alone, and neither is told of the exporter nor explains something.
func readsGauge(t *testing.T, q target) (reads bool) {
	parser.Inspect(parse(t, q.Expr), func(n parser.Node, path []parser.Node) error {
		s, ok := n.(*parser.VectorSelector)
		if !ok || !strings.HasPrefix(s.Name, "workspace_") || strings.HasPrefix(s.Name, "workspace_exporter_") || strings.HasSuffix(s.Name, "_info") {
			return nil
		}
		_, overTime := path[len(path)-1].(*parser.MatrixSelector)
		reads = reads || !overTime && !strings.HasSuffix(s.Name, "_total")
		return nil
	})
	return reads
}

// TestFewLogins: of three logins there is neither a ratio nor a percentile, and the
// numbers say so in words.
func TestFewLogins(t *testing.T) {
	const labels = `{job="w",project="p",product="app_streaming",desktop_group="a"`
	load := "load 30s\n  " + lastSuccess + `{job="w",project="p",source="user_connections"} 0+30x720` + "\n"
	rising := " 0x700 1x9 2x9 3x9\n"
	load += "  " + attempts + labels + "}" + rising
	for _, histogram := range []string{loginSeconds, sessionSeconds} {
		for _, bound := range []string{"10", "30", "60", "+Inf"} {
			load += "  " + histogram + "_bucket" + labels + `,le="` + bound + `"}` + rising
		}
		load += "  " + histogram + "_count" + labels + "}" + rising
	}
	w := loaded(t, load)
	of := map[string][]int{"overview": {11, 15}, "login-failures": {15}, "login-time": {11, 12, 13, 14, 15}}
	english(t, func(b board, p boardPanel, q target) {
		if !slices.Contains(of[pageOf(b.UID)], p.ID) {
			return
		}
		if answer := w.ask(t, b, q); assert.Len(t, answer, 1, "%s: %s", b.UID, p.Title) {
			assert.InDelta(t, -1, answer[0].Floats[0].F, 0, "%s: %s: %s", b.UID, p.Title, q.Expr)
		}
	})
}

// TestRestingBuckets: backfilled series that rest have few samples. No login within the
// bound of a bucket is 0 %, and not unknown.
func TestRestingBuckets(t *testing.T) {
	const labels = `{job="w",project="p",product="desktop",desktop_group=""`
	w := loaded(t, "load 30s\n  "+sessionSeconds+"_count"+labels+"} 0+10x720\n  "+
		sessionSeconds+"_bucket"+labels+`,le="60.0"} `+strings.Repeat("0 _x59 ", 12)+"\n")
	english(t, func(b board, p boardPanel, q target) {
		if pageOf(b.UID) == "login-time" && p.ID == 43 {
			if answer := w.ask(t, b, q); assert.Len(t, answer, 1) {
				assert.Len(t, answer[0].Floats, int(shownRange/shownStep))
			}
		}
	})
}

// TestFirstSeen: a version that was there before the time shown was not first seen in it.
func TestFirstSeen(t *testing.T) {
	w := loaded(t, "load 30s\n  "+clientAttempts+`{job="w",project="p",product="desktop",client_type="Linux",agent_version="old"} 0+1x720`+"\n"+
		"  "+clientAttempts+`{job="w",project="p",product="desktop",client_type="Linux",agent_version="new"} _x600 0+1x120`+"\n")
	english(t, func(b board, p boardPanel, q target) {
		if pageOf(b.UID) == "versions" && p.ID == 13 && strings.Contains(q.Expr, "timestamp") {
			answer := w.ask(t, b, q)
			if assert.Len(t, answer, 1) {
				assert.Equal(t, "new", answer[0].Metric.Get("agent_version"))
				assert.InDelta(t, 1000*600*scrapeEvery.Seconds(), answer[0].Floats[0].F, 1000*shownStep.Seconds())
			}
		}
	})
}

// TestNumbersThatWereWrong asks for numbers that once were the greatest of several parts
// instead of their sum, or a share above the whole.
func TestNumbersThatWereWrong(t *testing.T) {
	group := func(name, window string) string {
		return fmt.Sprintf(`{job="w",project="p",product="app_streaming",desktop_group=%q,window=%q}`, name, window)
	}
	w := loaded(t, "load 30s\n  workspace_group_login_failed_users"+group("a", "15m")+" 131x720\n  workspace_group_login_failed_users"+group("b", "15m")+" 33x720\n"+
		"  "+lastSuccess+`{job="w",project="p",source="user_connections"} 0+30x720`+"\n"+
		// all fail, and failures begin a little later
		"  "+attempts+`{job="w",project="p",product="app_streaming",desktop_group="a"} 0+10x720`+"\n"+
		"  "+failures+`{job="w",project="p",product="app_streaming",desktop_group="a",failed_code="1011"} _x715 0+100x5`+"\n")
	english(t, func(b board, p boardPanel, q target) {
		switch {
		case pageOf(b.UID) == "login-failures" && p.ID == 16:
			assert.InDelta(t, 164, w.ask(t, b, q)[0].Floats[0].F, 0, "users of two groups")
		case p.FieldConfig.Defaults.Unit == "percentunit":
			for _, s := range w.ask(t, b, q) {
				for _, point := range s.Floats {
					assert.LessOrEqual(t, point.F, 1.0, "%s: %s: %s", b.UID, p.Title, q.Expr)
				}
			}
		}
	})
}
