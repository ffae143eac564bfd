package collector

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// launch makes a launch of an application, as the API's records have it: without a
// pre-connect time, and without a time of the last change.
func launch(n int, at time.Time, app string, change ...func(*record.Login)) record.Login {
	return login(n, at, append([]func(*record.Login){func(l *record.Login) {
		l.App, l.PreConnect, l.Updated = app, time.Time{}, time.Time{}
	}}, change...)...)
}

func closedAfter(d time.Duration) func(*record.Login) {
	return func(l *record.Login) { l.End = l.Start.Add(d) }
}

func launchFailed(code string) func(*record.Login) {
	return func(l *record.Login) { l.FailedCode, l.FailedReason = code, "because of "+code }
}

func TestLaunchesOfApps(t *testing.T) {
	b := newBench(t, ofKind(AppLaunches))
	check := func(launches, failures, open map[string]float64, uses float64) {
		t.Helper()
		assert.Equal(t, launches, b.values(appLaunches, "app_group", "app_name"))
		assert.Equal(t, failures, b.values(appLaunchFailures, "app_group", "app_name", "failed_code"))
		assert.Equal(t, open, b.values(appOpen, "app_group", "app_name"))
		assert.Equal(t, map[string]float64{"g": uses}, b.values(appUseDuration, "app_group"))
	}
	read := func(after time.Duration, logins ...record.Login) {
		t.Helper()
		require.NoError(t, b.read(t0.Add(after), logins...))
	}
	read(0, launch(1, t0, "Calc"), launch(2, t0, "SAP", launchFailed("7")), launch(3, t0, "SAP", closedAfter(time.Minute)))
	check(map[string]float64{"g/Calc": 1, "g/SAP": 2}, map[string]float64{"g/SAP/7": 1}, map[string]float64{"g/Calc": 1, "g/SAP": 0}, 1)

	b.restart()
	read(time.Minute, launch(1, t0, "Calc"), launch(4, t0, "g-Calc"))
	check(map[string]float64{"g/Calc": 1, "g/SAP": 2, "g/g-Calc": 1}, map[string]float64{"g/SAP/7": 1},
		map[string]float64{"g/Calc": 1, "g/SAP": 0, "g/g-Calc": 1}, 1)

	b.restart()
	read(2*time.Minute, launch(1, t0, "Calc", closedAfter(time.Minute)), launch(4, t0, "g-Calc", launchFailed("7")))
	for range 2 { // an old version that a page or a file still has changes nothing
		check(map[string]float64{"g/Calc": 1, "g/SAP": 2, "g/g-Calc": 1}, map[string]float64{"g/SAP/7": 1, "g/g-Calc/7": 1},
			map[string]float64{"g/Calc": 0, "g/SAP": 0, "g/g-Calc": 0}, 2)
		read(3*time.Minute, launch(1, t0, "Calc"), launch(4, t0, "g-Calc"))
		b.restart()
	}
	assert.Equal(t, map[string]float64{"7/because of 7": 1}, b.values(appFailureCodeInfo, "failed_code", "reason"))
	for name := range b.families() {
		assert.False(t, strings.HasPrefix(name, "workspace_login_") || strings.HasPrefix(name, "workspace_server_"), "a launch is no login: %s", name)
	}
}

func TestUsersOfApps(t *testing.T) {
	b := newBench(t, ofKind(AppLaunches))
	same := func(l *record.Login) { l.User = 77 }
	require.NoError(t, b.read(t0,
		launch(1, t0.Add(-50*time.Minute), "Calc", same), launch(2, t0.Add(-10*time.Minute), "Calc", same), launch(3, t0, "Calc"),
		launch(4, t0, "SAP", same, launchFailed("7")), launch(5, t0, "SAP", same, launchFailed("7")), launch(6, t0, "Calc", inGroup("h"))))
	for range 2 {
		assert.Equal(t, map[string]float64{"g/Calc/15m": 2, "g/Calc/1h": 2, "g/SAP/15m": 1, "g/SAP/1h": 1, "h/Calc/15m": 1, "h/Calc/1h": 1},
			b.values(appUsers, "app_group", "app_name", "window"))
		assert.Equal(t, map[string]float64{"g/Calc/15m": 0, "g/Calc/1h": 0, "g/SAP/15m": 1, "g/SAP/1h": 1, "h/Calc/15m": 0, "h/Calc/1h": 0},
			b.values(appFailedUsers, "app_group", "app_name", "window"))
		b.restart()
	}
	require.NoError(t, b.read(t0.Add(20*time.Minute)))
	assert.Equal(t, 0.0, b.values(appUsers, "app_name", "window")["Calc/15m"])
	assert.Equal(t, 3.0, b.values(appUsers, "app_name", "window")["Calc/1h"])
	require.NoError(t, b.read(t0.Add(2*time.Hour)))
	assert.Equal(t, map[string]float64{"15m": 0, "1h": 0}, b.values(appUsers, "window"))
}

// Applications beyond max_series are counted as "other", and none is lost.
func TestAppsBeyondTheLimit(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Kind, o.Limits = AppLaunches, NewLimits(3, nil) })
	var logins []record.Login
	for n := range 9 {
		logins = append(logins, launch(n, t0, fmt.Sprint("app ", n)))
	}
	for range 2 {
		require.NoError(t, b.read(t0, logins...))
		for _, m := range []*Metric{appLaunches, appOpen} {
			values := b.values(m, "app_name")
			assert.Equal(t, 6.0, values[other], m.Name)
			assert.Len(t, values, 4)
		}
		b.restart()
	}
}
