package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// rule is a rule of the rules file.
type rule struct {
	Record, Alert, Expr string
	For                 model.Duration
	KeepFiringFor       model.Duration `yaml:"keep_firing_for"`
	Labels, Annotations map[string]string
	asksAlerts          bool // whether an alert fires, or what is recorded by that
}

func loadRules(t *testing.T, file string) (all []rule) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var groups struct{ Groups []struct{ Rules []rule } }
	require.NoError(t, yaml.Unmarshal(text, &groups))
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	for asks := regexp.MustCompile(`\bALERTS\{`); asks != nil; {
		var names []string
		for i := range all {
			if r := &all[i]; !r.asksAlerts && asks.MatchString(r.Expr) {
				r.asksAlerts = true
				if r.Record != "" {
					names = append(names, r.Record)
				}
			}
		}
		asks = nil
		if names != nil {
			asks = regexp.MustCompile(`\b(` + strings.Join(names, "|") + `)\b`)
		}
	}
	return all
}

// alarm is an alert that fired.
type alarm struct {
	labels   labels.Labels
	rule     *rule
	from, to int32 // minutes; to is 0 if it did not end
	value    float64
}

func (a *alarm) String() string {
	text := a.rule.Alert + "/" + a.rule.Labels["severity"]
	a.labels.Range(func(l labels.Label) {
		switch l.Name {
		case "desktop_group", "machine_name", "failed_code", "of", "window", "version", "agent_version", "client_version":
			text += " " + l.Value
		}
	})
	return text
}

// evaluator lets rules look at a database as Prometheus does, once a minute, half a
// minute after the scrapes.
type evaluator struct {
	t       *testing.T
	d       *database
	engine  *promql.Engine
	rules   []rule
	pending map[string]*alarm
	since   map[string]int32 // when a pending alert began, or a firing one's condition ended
	spent   map[string]time.Duration
	alarms  []*alarm
}

func newEvaluator(t *testing.T, d *database, rules []rule) *evaluator {
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e9, Timeout: time.Hour, Parser: parser.NewParser(parser.Options{})})
	return &evaluator{t: t, d: d, engine: engine, rules: rules, pending: map[string]*alarm{}, since: map[string]int32{}, spent: map[string]time.Duration{}}
}

// run evaluates the minutes from..to-1, six hours at a time, or one by one what depends on
// whether an alert fires. What fired when it last ran is forgotten.
func (e *evaluator) run(from, to int32) []*alarm {
	clear(e.pending)
	clear(e.since)
	const span = 6 * 60
	for m := from; m < to; m += span {
		end := min(to, m+span)
		for i := range e.rules {
			if r := &e.rules[i]; !r.asksAlerts {
				e.timed(r, m, end)
			}
		}
		for at := m; at < end; at++ {
			for i := range e.rules {
				if r := &e.rules[i]; r.asksAlerts {
					e.timed(r, at, at+1)
					e.showFiring(r, at)
				}
			}
		}
	}
	return e.alarms
}

func (e *evaluator) timed(r *rule, from, to int32) {
	began := time.Now()
	e.one(r, from, to)
	e.spent[r.Record+r.Alert+r.Labels["severity"]] += time.Since(began)
}

func (e *evaluator) query(expr string, from, to int32) promql.Matrix {
	at := func(m int32) time.Time { return time.Unix(epoch+int64(m)*minute+30, 0) }
	q, err := e.engine.NewRangeQuery(context.Background(), e.d, nil, expr, at(from), at(to-1), time.Minute)
	require.NoError(e.t, err)
	defer q.Close()
	result := q.Exec(context.Background())
	require.NoError(e.t, result.Err, expr)
	matrix, err := result.Matrix()
	require.NoError(e.t, err)
	return unnamed(matrix)
}

// unnamed drops the metrics' names, as a rule does. What is one series without them, but
// for which part of an `or` it came from, becomes one.
func unnamed(matrix promql.Matrix) (all promql.Matrix) {
	at := map[string]int{}
	for _, s := range matrix {
		s.Metric = labels.NewBuilder(s.Metric).Del(model.MetricNameLabel).Labels()
		key := s.Metric.String()
		i, there := at[key]
		if !there {
			i, at[key] = len(all), len(all)
			all = append(all, promql.Series{Metric: s.Metric})
		}
		all[i].Floats = append(all[i].Floats, s.Floats...)
	}
	for _, s := range all {
		slices.SortFunc(s.Floats, func(a, b promql.FPoint) int { return cmp.Compare(a.T, b.T) })
	}
	return all
}

func (e *evaluator) one(r *rule, from, to int32) {
	matrix := e.query(r.Expr, from, to)
	if r.Record != "" {
		e.record(r, matrix, from, to)
		return
	}
	found := map[string]promql.Series{}
	for _, s := range matrix {
		b := labels.NewBuilder(s.Metric)
		for n, v := range r.Labels {
			b.Set(n, v)
		}
		s.Metric = b.Set("alertname", r.Alert).Labels()
		found[s.Metric.String()] = s
	}
	for key, a := range e.pending {
		if _, there := found[key]; !there && a.rule == r {
			found[key] = promql.Series{Metric: a.labels}
		}
	}
	for key, s := range found {
		for m := from; m < to; m++ {
			var v *float64
			if len(s.Floats) > 0 && minuteOf(s.Floats[0].T) == m {
				v, s.Floats = &s.Floats[0].F, s.Floats[1:]
			}
			e.step(key, r, s.Metric, m, v)
		}
	}
}

func minuteOf(ms int64) int32 { return int32((ms/1000 - epoch) / minute) }

// step is what a minute makes of an alert: it waits for `for`, and goes on for
// `keep_firing_for`.
func (e *evaluator) step(key string, r *rule, all labels.Labels, m int32, v *float64) {
	a := e.pending[key]
	minutes := func(d model.Duration) int32 { return int32(time.Duration(d) / time.Minute) }
	switch firing := a != nil && a.from >= 0; {
	case v != nil && a == nil:
		a = &alarm{labels: all, rule: r, from: -1}
		e.pending[key], e.since[key] = a, m
		fallthrough
	case v != nil && !firing:
		if m-e.since[key] >= minutes(r.For) {
			a.from, a.value = m, *v
			e.alarms = append(e.alarms, a)
			delete(e.since, key)
		}
	case v != nil:
		delete(e.since, key)
	case firing:
		if _, ending := e.since[key]; !ending {
			e.since[key] = m
		}
		if m-e.since[key] >= minutes(r.KeepFiringFor) {
			a.to = m
			delete(e.pending, key)
			delete(e.since, key)
		}
	case a != nil:
		delete(e.pending, key)
		delete(e.since, key)
	}
}

// showFiring keeps the ALERTS of a rule in a minute.
func (e *evaluator) showFiring(r *rule, m int32) {
	for _, a := range e.pending {
		if a.rule == r && a.from >= 0 {
			b := labels.NewBuilder(a.labels).Set(model.MetricNameLabel, "ALERTS").Set("alertstate", "firing")
			s := e.d.series(b.Labels())
			s.recorded, s.offset = true, 30_000
			s.show(m, 1)
		}
	}
	for _, s := range e.d.byName["ALERTS"] {
		if n := len(s.values); s.labels.Get("alertname") == r.Alert && s.minutes[n-1] < m && !value.IsStaleNaN(s.values[n-1]) {
			s.show(m, stale)
		}
	}
}

// record keeps what a recording rule gives, and that it gives nothing any more.
func (e *evaluator) record(r *rule, matrix promql.Matrix, from, to int32) {
	for _, s := range matrix {
		b := labels.NewBuilder(s.Metric).Set(model.MetricNameLabel, r.Record)
		for n, v := range r.Labels {
			b.Set(n, v)
		}
		into := e.d.series(b.Labels())
		into.recorded, into.offset = true, 30_000
		for m := from; m < to; m++ {
			switch n := len(into.values); {
			case len(s.Floats) > 0 && minuteOf(s.Floats[0].T) == m:
				into.show(m, s.Floats[0].F)
				s.Floats = s.Floats[1:]
			case n > 0 && !value.IsStaleNaN(into.values[n-1]):
				into.show(m, stale)
			}
		}
	}
	for _, s := range e.d.byName[r.Record] { // those that are in no answer
		if n := len(s.values); n > 0 && s.minutes[n-1] < from && !value.IsStaleNaN(s.values[n-1]) {
			s.show(from, stale)
		}
	}
}

// print lists alarms for a person.
func print(alarms []*alarm) string {
	var b strings.Builder
	for _, a := range alarms {
		fmt.Fprintf(&b, "  day %d %02d:%02d-%d %s (%.3g)\n", a.from/1440, a.from%1440/60, a.from%60, a.to-a.from, a, a.value)
	}
	return b.String()
}

var stale = math.Float64frombits(value.StaleNaN)
