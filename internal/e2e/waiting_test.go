package e2e

import (
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// The first answer ever asks for an hour: that is shown at once, and holds for all sources
// of the project, also after a reload.
func TestALongRetryAfterIsKeptAndShown(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	w := newWorld(t, simulator.Options{}, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			requests.Add(1)
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		})
	})
	e := runExporter(t, setup{URL: w.url, Sources: "{user_connections: {mode: query}, sessions: {mode: query}, desktop_connections: {mode: query}}"})
	failing := func() float64 {
		return e.only("workspace_exporter_source_failing").sum("workspace_exporter_source_failing", `reason="throttled"`)
	}
	eventually(t, "all sources are shown to fail", func() bool { return failing() == 3 })
	assert.Len(t, e.only("workspace_exporter_source_up"), 3)
	assert.Zero(t, e.only("workspace_exporter_source_up").sum("workspace_exporter_source_up"))
	asked := requests.Load()
	assert.LessOrEqual(t, asked, int64(3), "those that were sent before the answer came")
	for range 3 {
		e.signal(syscall.SIGHUP)
		time.Sleep(500 * time.Millisecond)
	}
	eventually(t, "all sources are shown to fail", func() bool { return failing() == 3 })
	assert.Equal(t, asked, requests.Load())
}

func TestARetryAfterOfNoSenseIsIgnored(t *testing.T) {
	t.Parallel()
	for _, after := range []string{"1795667259", "Fri, 31 Dec 9999 23:59:59 GMT", "-5"} {
		t.Run(after, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			w := newWorld(t, simulator.Options{}, func(api http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if requests.Add(1) > 2 {
						api.ServeHTTP(w, r)
						return
					}
					w.Header().Set("Retry-After", after)
					w.WriteHeader(http.StatusServiceUnavailable)
				})
			})
			w.put(spread(0, 20, time.Now().Add(-5*time.Minute), time.Second)...)
			e := runExporter(t, setup{URL: w.url})
			e.shows(w)
		})
	}
}
