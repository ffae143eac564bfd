package e2e

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// The signal to end comes while a large file is counted: what is committed stays, and the
// rest is counted after the next start.
func TestTheEndDoesNotWaitForALargeFile(t *testing.T) {
	slowWithRace(t)
	t.Parallel()
	const logins = 12_000
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, logins, time.Now().Add(-50*time.Minute), 200*time.Millisecond)...)
	e := runExporter(t, setup{URL: w.url, Sources: "{user_connections: {mode: export, lookback: 1m}}"})
	eventually(t, "the file is there", func() bool {
		return e.only("workspace_exporter_export_tasks_total").sum("workspace_exporter_export_tasks_total", `status="success"`) > 0
	})
	start := time.Now()
	assert.Equal(t, 0, e.stop())
	assert.Less(t, time.Since(start), 10*time.Second)
	e.kill()
	e.start()
	eventually(t, "all is counted, once", func() bool {
		return e.only("workspace_login_attempts_total").sum("workspace_login_attempts_total") >= logins
	})
	assert.EqualValues(t, logins, e.only("workspace_login_attempts_total").sum("workspace_login_attempts_total"))
}

// A tool that keeps the configuration up to date may ask for a reload at any rate.
func TestReloadsAllTheTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, func(api http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(50 * time.Millisecond)
			api.ServeHTTP(w, r)
		})
	})
	w.put(spread(0, 500, time.Now().Add(-5*time.Minute), 100*time.Millisecond)...)
	s := setup{URL: w.url}
	e := runExporter(t, s)
	n := 0
	eventually(t, "logins are counted", func() bool {
		s.MaxSeries = 20000 + n/2%2 // every other one changes something
		e.configure(s)
		e.signal(syscall.SIGHUP)
		n++
		return e.only("workspace_login_attempts_total").sum("workspace_login_attempts_total") == 500
	})
	for range 50 {
		e.signal(syscall.SIGHUP)
		e.get("/-/healthy")
	}
	assert.Less(t, e.only("go_goroutines").sum("go_goroutines"), 60.0)
	start := time.Now()
	assert.Equal(t, 0, e.stop())
	assert.Less(t, time.Since(start), endsWithin)
}
