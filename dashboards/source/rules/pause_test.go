package main

import (
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTooFewLoginsPageOnce: waves of one drop are one page, and a drop after people have
// come as usual is another. A page ends when people are back, and does not wait for a quarter
// of an hour of them.
func TestTooFewLoginsPageOnce(t *testing.T) {
	const (
		begin = (7*weeks)*1440 + 10*60
		usual = 80 // people in a quarter of an hour
	)
	share := func(m int32) float64 { // of the people who come as usual
		switch m -= begin; {
		case m < 120, m >= 240 && m < 300, m >= 330:
			return 1
		case m < 150, m >= 180 && m < 210, m >= 300 && m < 330:
			return 0.05
		default: // between the waves
			return 0.65
		}
	}
	d := newDatabase()
	get := func(name string, more ...string) *series {
		all := append([]string{model.MetricNameLabel, name, "job", "workspace", "project", "p"}, more...)
		return d.series(labels.FromStrings(all...))
	}
	product := []string{"product", "app_streaming"}
	quarter := get("workspace_login_users", append(product, "window", "15m")...)
	hour := get("workspace_login_users", append(product, "window", "1h")...)
	attempts := get("workspace_login_attempts_total", append(product, "desktop_group", "Call Center")...)
	cursor := get("workspace_exporter_source_cursor_timestamp_seconds", "source", "user_connections")
	const last = begin + 360
	for m := range int32(last) {
		people := 0.0
		for i := range int32(15) {
			people += usual / 15.0 * share(m-i)
		}
		quarter.show(m, people)
		hour.show(m, 4*usual*share(m))
		attempts.now += usual / 15.0 * share(m)
		attempts.show(m, attempts.now)
		cursor.show(m, epoch+float64(m)*minute)
	}
	d.last = last - 1
	e := newEvaluator(t, d, loadRules(t, *rulesOf))
	var pages, ends []int32
	for _, a := range e.run(begin, last) {
		if a.rule.Alert == "WorkspaceLoginVolumeDrop" && a.rule.Labels["severity"] == "critical" {
			pages = append(pages, (a.from-begin)/60*60)
			ends = append(ends, a.to-begin)
		}
	}
	require.Equal(t, []int32{120, 300}, pages, "hours of the pages, in minutes")
	assert.LessOrEqual(t, ends[1], int32(330+7))
}
