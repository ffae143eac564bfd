package main

import (
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDevicesAreNoOutage: two devices try an old password every ten minutes. That no one else
// comes at night is no outage; that two people who come fail is one. It is over when others get
// in and only the devices fail.
func TestDevicesAreNoOutage(t *testing.T) {
	const evening, outage, morning, last = 8 * 60, 15 * 60, 16 * 60, 20 * 60
	d := newDatabase()
	get := func(name string, more ...string) *series {
		all := append([]string{model.MetricNameLabel, name, "job", "workspace", "project", "p", "product", "app_streaming"}, more...)
		return d.series(labels.FromStrings(all...))
	}
	group := []string{"desktop_group", "Call Center"}
	attempts, failures := get("workspace_login_attempts_total", group...), get("workspace_login_failures_total", "desktop_group", "Call Center", "failed_code", "1")
	users, failed, most := get("workspace_login_users", "window", "1h"), get("workspace_login_failed_users", "window", "1h"), get("workspace_login_max_failures_per_user", "window", "1h")
	most15m := get("workspace_login_max_failures_per_user", "window", "15m")
	for m := range int32(last) {
		fail, succeed := 0.0, 0.0
		if m%10 == 0 || m%10 == 5 {
			fail++
		}
		if m < evening && m%3 == 0 || m >= morning && m%5 == 2 {
			succeed++
		}
		people := 2.0
		if m >= outage && m < outage+30 && m%10 < 3 { // three people, three times each
			fail++
		}
		if m >= outage && m < outage+90 {
			people += min(3, float64(1+(m-outage)/10))
		}
		attempts.now += fail + succeed
		failures.now += fail
		attempts.show(m, attempts.now)
		failures.show(m, failures.now)
		failed.show(m, people)
		users.show(m, people+20*min(1, max(0, float64(evening+60-m)/60))+max(0, float64(min(m-morning, 60)/6)))
		most.show(m, 6)
		most15m.show(m, 2)
	}
	d.last = last - 1
	var pages []*alarm
	for _, a := range newEvaluator(t, d, loadRules(t, *rulesOf)).run(60, last) {
		if a.rule.Alert == "WorkspaceLoginOutage" {
			pages = append(pages, a)
		}
	}
	require.Len(t, pages, 1, print(pages))
	assert.GreaterOrEqual(t, pages[0].from, int32(outage), print(pages))
	assert.True(t, pages[0].to >= morning && pages[0].to <= morning+60, print(pages))
}
