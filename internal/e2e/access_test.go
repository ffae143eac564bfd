package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// access is that a user failed so often with a code.
func access(user, code string, times int, at time.Time) simulator.Access {
	return simulator.Access{Username: user + "@corp.example", ErrorCode: code, AccessFailedCount: times,
		LastAccessFailedTime: format(at), ErrorMsg: user + " failed."}
}

const settle = 2 * time.Second

func accessSources(mode string) string {
	return "{access_statistics: {mode: " + mode + ", settle: 2s, poll_interval: 500ms}}"
}

func accessFailures(code string) string {
	return key("workspace_access_failures_total", "project", project, "product", "app_streaming", "error_code", code)
}

var accessFailedUsers = key("workspace_access_failed_users", "project", project, "product", "app_streaming", "window", "1h")

// asksFor is the window of a request for statistics.
func (a asked) asksFor(t *testing.T) (from, to time.Time) {
	t.Helper()
	window := map[string]string{"start_time": a.URL.Query().Get("start_time"), "end_time": a.URL.Query().Get("end_time")}
	if a.body != "" {
		require.NoError(t, json.Unmarshal([]byte(a.body), &window))
	}
	return moment(window["start_time"]), moment(window["end_time"])
}

// The failures come in while the exporter polls, is stopped, and crashes.
func TestAccessStatisticsAddUp(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"query", "export"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w, tap := tapped(t, simulator.Options{TaskDuration: 300 * time.Millisecond, File: small})
			want, users := series{}, map[string]bool{}
			put := func(a simulator.Access) {
				w.PutAccess(project, a)
				want[accessFailures(a.ErrorCode)] += float64(a.AccessFailedCount)
				users[a.Username] = true
			}
			begun := time.Now()
			w.PutAccess(project, access("early", "1", 1000, begun.Add(-62*time.Minute))) // before the first window
			for n := range 250 {                                                         // several pages
				put(access(fmt.Sprintf("user%d", n), fmt.Sprint(1+n%3), 1+n%4, begun.Add(-10*time.Minute).Add(time.Duration(n)*time.Second)))
			}
			e := runExporter(t, setup{URL: w.url, Sources: accessSources(mode)})
			e.pollsEnd(project, "access_statistics", "success", 1)
			random := rand.New(rand.NewPCG(1, 2))
			for n := range 40 {
				put(access(fmt.Sprintf("late%d", n), fmt.Sprint(1+n%4), 1+n%5, time.Now()))
				time.Sleep(time.Duration(random.IntN(250)) * time.Millisecond) // the records come in over time
				switch n {
				case 10, 25:
					e.kill()
					e.start()
				case 18:
					e.restart()
				case 30:
					w.AddFault(simulator.Fault{Kind: simulator.FaultError, Times: 3})
				}
			}
			shown := func() series { return e.metrics().named("workspace_access_failures_total") }
			eventually(t, "all is counted", func() bool { return len(shown().diff(want)) == 0 })
			e.pollsEnd(project, "access_statistics", "success", 3)
			assert.Empty(t, shown().diff(want))
			assert.Equal(t, float64(len(users)), e.metrics()[accessFailedUsers])
			// Between two polls, when none is under way.
			eventually(t, "only a process that ends the moment a task is made leaves it behind", func() bool { return len(w.Tasks(project)) <= 3 })
			windowsFollow(t, tap, begun)
		})
	}
}

// windowsFollow makes sure that windows neither overlap nor leave gaps, their ends
// included, but for those that were asked for again after an error or a crash.
func windowsFollow(t *testing.T, tap *tap, begun time.Time) {
	t.Helper()
	ends := map[time.Time]time.Time{} // the last that was asked for, by the beginning
	for _, suffix := range []string{"/app-user-access", "/app-user-access/export"} {
		for _, a := range tap.requests(suffix) {
			from, to := a.asksFor(t)
			ends[from] = to
			assert.False(t, to.After(time.Now().Add(-settle)), "%s has not settled", to)
		}
	}
	var begins []time.Time
	for from := range ends {
		begins = append(begins, from)
	}
	slices.SortFunc(begins, time.Time.Compare)
	require.Greater(t, len(begins), 3)
	assert.Equal(t, time.Hour-time.Second, ends[begins[0]].Sub(begins[0]), "the first is an hour")
	assert.WithinDuration(t, begun.Add(-time.Hour-settle), begins[0], time.Minute)
	for i, from := range begins[1:] {
		assert.Equal(t, ends[begins[i]].Add(time.Second), from)
	}
}

func TestAUserWhoFailedLeavesAfterAnHour(t *testing.T) {
	t.Parallel()
	w, _ := tapped(t, simulator.Options{})
	now := time.Now()
	w.PutAccess(project,
		access("leaving", "1", 1, now.Add(-time.Hour).Add(15*time.Second)), access("leaving", "2", 1, now.Add(-time.Hour).Add(16*time.Second)),
		access("staying", "1", 1, now.Add(-30*time.Minute)))
	e := runExporter(t, setup{URL: w.url, Sources: accessSources("query")})
	e.pollsEnd(project, "access_statistics", "success", 1)
	assert.Equal(t, 3.0, e.metrics().sum("workspace_access_failures_total"))
	eventually(t, "the user has left", func() bool { return e.metrics()[accessFailedUsers] == 1 })
	assert.Equal(t, 3.0, e.metrics().sum("workspace_access_failures_total"))
	assert.False(t, strings.Contains(e.get("/metrics").body, "staying"))
}
