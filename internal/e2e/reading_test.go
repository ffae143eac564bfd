package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// quota lets so many requests through in each period, and refuses the others for haste.
func quota(requests int, period time.Duration, status int, header http.Header) func(http.Handler) http.Handler {
	var mu sync.Mutex
	var begun time.Time
	granted := 0
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			if time.Since(begun) > period {
				begun, granted = time.Now(), 0
			}
			granted++
			refused := granted > requests
			mu.Unlock()
			if !refused {
				next.ServeHTTP(w, r)
				return
			}
			for name, values := range header {
				w.Header()[name] = values
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, `{"error_code":"APIGW.0308","error_msg":"The throttling threshold has been reached: policy user over ratelimit,limit:15,time:1 minute"}`)
		})
	}
}

// A quota that is used up again and again costs time, and neither records nor what was read.
func TestABacklogUnderAQuota(t *testing.T) {
	slowWithRace(t)
	t.Parallel()
	for name, c := range map[string]struct {
		requests, records int
		period            time.Duration
		header            http.Header
	}{
		"15, with Retry-After":    {15, 3000, 5 * time.Second, http.Header{"Retry-After": {"1"}}},
		"15, without Retry-After": {15, 2000, 6 * time.Second, nil},
		"1":                       {1, 400, time.Second, http.Header{"Retry-After": {"1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Options{}, quota(c.requests, c.period, http.StatusTooManyRequests, c.header))
			w.put(spread(0, c.records, time.Now().Add(-50*time.Minute), 30*time.Minute/time.Duration(c.records))...)
			e := runExporter(t, setup{URL: w.url, Lookback: "1m"})
			e.shows(w)
			assert.Empty(t, w.Violations())
			assert.Positive(t, e.metrics().sum("workspace_exporter_api_requests_total", `code="429"`))
		})
	}
}

// An API that refuses offsets beyond a limit is read in smaller windows.
func TestRefusedOffsets(t *testing.T) {
	slowWithRace(t)
	t.Parallel()
	for _, limit := range []int{300, 1000} {
		t.Run(strconv.Itoa(limit), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Options{}, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if offset, _ := strconv.Atoi(r.URL.Query().Get("offset")); offset >= limit {
						w.WriteHeader(http.StatusBadRequest)
						fmt.Fprint(w, `{"error_code":"WKS.00000001","error_msg":"The offset is too large."}`)
						return
					}
					next.ServeHTTP(w, r)
				})
			})
			begin := time.Now().Add(-20 * time.Minute)
			w.put(spread(0, 2500, begin, 400*time.Millisecond)...)
			for i := range 700 {
				w.PutSessions(project, simulator.Session{ID: strconv.Itoa(i), SessionState: "Active", MachineName: "APS-1", AppServerGroupName: "g",
					PreConnTime: format(begin.Add(time.Duration(i) * time.Second)), StartTime: format(begin.Add(time.Duration(i) * time.Second))})
				w.PutAccess(project, simulator.Access{Username: "u" + strconv.Itoa(i), AccessFailedCount: 2, ErrorCode: "1",
					LastAccessFailedTime: format(begin.Add(time.Duration(i) * time.Second))})
			}
			e := runExporter(t, setup{URL: w.url, Sources: `
      user_connections: {mode: query}
      sessions: {mode: query, poll_interval: 300ms}
      access_statistics: {mode: query, poll_interval: 300ms, settle: 1m}`})
			eventually(t, "all is counted", func() bool {
				m := e.metrics()
				return m.sum("workspace_login_attempts_total") == w.expect().sum("workspace_login_attempts_total") &&
					m.sum("workspace_server_sessions") == 700 && m.sum("workspace_access_failures_total") == 1400
			})
			e.polls(project, 3)
			m := e.metrics()
			assert.Equal(t, w.expect().sum("workspace_login_attempts_total"), m.sum("workspace_login_attempts_total"))
			assert.Equal(t, 1400.0, m.sum("workspace_access_failures_total"))
			assert.Equal(t, 3.0, m.sum("workspace_exporter_source_up"))
		})
	}
}

// A count that is not of the window costs a few requests a poll, in whatever mode.
func TestACountThatIsNotOfTheWindow(t *testing.T) {
	t.Parallel()
	for _, count := range []int{0, 3, 300, 6000, 1<<31 - 1, 1 << 31, -4} {
		for _, mode := range []string{"query", "auto"} {
			t.Run(fmt.Sprintf("%d %s", count, mode), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, simulator.Options{}, nil)
				w.AddFault(simulator.Fault{Kind: simulator.FaultCountIs, Count: count, Path: "/v1/"})
				w.put(spread(0, 19, time.Now().Add(-10*time.Minute), time.Second)...)
				e := runExporter(t, setup{URL: w.url, Sources: fmt.Sprintf("{user_connections: {mode: %s}}", mode)})
				e.shows(w)
				w.put(spread(100, 330, time.Now().Add(-10*time.Minute), time.Second)...)
				e.shows(w)
				m := e.metrics()
				polls := m.sum("workspace_exporter_polls_total")
				assert.Zero(t, m[pollsOf(project, "error")])
				assert.LessOrEqual(t, m.sum("workspace_exporter_api_requests_total"), 11*polls)
				assert.LessOrEqual(t, m.sum("workspace_exporter_export_tasks_total", `status="created"`), 1.0)
				assert.Empty(t, w.Violations())
			})
		}
	}
}

// An open connection among more logins of its second than are worth reading keeps none of
// the others from being read again, and is logged.
func TestAWindowThatIsTooFullCostsOnlyItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	busy := time.Now().Add(-100 * time.Minute)
	crowd := spread(0, 2600, busy, 0)
	for i := range crowd {
		crowd[i] = end(started(30*i+300_000, busy), time.Second)
	}
	crowd = append(crowd, started(30, busy), started(31, busy.Add(time.Second)))
	w.put(crowd...)
	var others []simulator.Record
	for i := range 15 {
		others = append(others, started(1000+i, busy.Add(time.Duration(i+1)*5*time.Minute)))
	}
	w.put(others...)
	e := runExporter(t, setup{URL: w.url, Lookback: "1m", InitialLookback: "2h"})
	e.shows(w)
	require.Equal(t, 17.0, e.metrics().sum("workspace_exporter_unfinished_records"))
	for i := range others {
		others[i] = end(others[i], time.Minute)
	}
	w.put(others...)
	eventually(t, "the others have ended", func() bool { return e.metrics().sum("workspace_server_open_connections") == 2 })
	m := e.metrics()
	assert.Equal(t, 2.0, m.sum("workspace_exporter_unfinished_records"))
	eventually(t, "the window is given up", func() bool { return e.metrics().sum("workspace_exporter_reread_failures_total") > 0 })
	assert.True(t, strings.Contains(e.logs.String(), "lie among too many others"))
	assert.Equal(t, 1.0, m.sum("workspace_exporter_source_up"))
}
