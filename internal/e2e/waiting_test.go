package e2e

import (
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

// IAM locks an account after five refusals: all sources of all projects make one attempt,
// and a password that is put right is used soon.
func TestAWrongPasswordIsSentOnce(t *testing.T) {
	t.Parallel()
	var attempts atomic.Int64
	w := newWorld(t, simulator.Options{ProjectIDs: []string{"first", "second"}, Domain: "example-domain", User: "example-user", Password: "example-password-0001"},
		func(api http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v3/auth/tokens" {
					attempts.Add(1)
				}
				api.ServeHTTP(w, r)
			})
		})
	e := install(t, setup{URL: w.url, Projects: []string{"first", "second"}, Credentials: "password: {domain: example-domain, user: example-user, password_file: pw}",
		Sources: "{user_connections: {mode: query}, sessions: {mode: query, poll_interval: 300ms}, desktop_connections: {mode: query}}"})
	e.write("pw", "wrong\n")
	e.start("--web.enable-lifecycle")
	failing := func(want float64) {
		eventually(t, "sources fail, or do not", func() bool {
			m := e.only("workspace_exporter_source_failing", "workspace_exporter_source_up")
			return m.sum("workspace_exporter_source_failing", `reason="credentials"`) == want && m.sum("workspace_exporter_source_up") == 6-want
		})
	}
	failing(6)
	for range 5 {
		r, err := e.request(http.MethodPost, "/-/reload", nil)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, r.status)
	}
	e.pollsEnd("second", "user_connections", "error", 2)
	assert.EqualValues(t, 1, attempts.Load())
	assert.Contains(t, e.get("/").body, "IAM does not accept the user or the password")
	assert.NotContains(t, e.logs.String(), "example-user")
	e.write("pw", "example-password-0001\n")
	failing(0)
	assert.EqualValues(t, 3, attempts.Load(), "one token for each project")
}
