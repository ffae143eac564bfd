package e2e

import (
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

func TestEveryRecordIsCountedOnceWhateverTheOrderOfTheList(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]simulator.Options{
		"ascending": {Order: simulator.Ascending},
		"descending, by pre-connect time, without the window's end": {Order: simulator.Descending, FilterOn: simulator.ByPreConnect, EndExcluded: true},
		"ties in another order each time":                           {Order: simulator.ShuffledTies},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, o, nil)
			now := time.Now()
			for i := range 1234 { // every second second has two of them, or three
				w.put(mixed(i, now.Add(-50*time.Minute+time.Duration(i*2/5)*2*time.Second)))
			}
			e := runExporter(t, setup{URL: w.url, Interval: "500ms"})
			e.shows(w)
			m := e.metrics()
			assert.Equal(t, 1234.0, m.sum("workspace_login_attempts_total"))
			assert.Empty(t, w.Violations())
			for _, group := range []string{"group-0", "group-1", "group-2", "group-3"} {
				for _, code := range []string{"1001", "1002", "unknown"} {
					assert.Contains(t, m, key("workspace_login_failures_total",
						"project", project, "product", "app_streaming", "desktop_group", group, "failed_code", code), "every known group has every known code")
				}
			}
		})
	}
}

func TestMoreRecordsInOneSecondThanAPageHolds(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]simulator.Order{"ascending": simulator.Ascending, "descending": simulator.Descending, "shuffled": simulator.ShuffledTies} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Options{Order: order}, nil)
			e := runExporter(t, setup{URL: w.url})
			e.polls(project, 1)
			w.put(spread(0, 250, time.Now().Add(-2*time.Minute), 0)...)
			e.shows(w)
		})
	}
}

func TestRecordsThatComeAndGoBetweenTwoPages(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]simulator.Order{"ascending": simulator.Ascending, "descending": simulator.Descending} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Options{Order: order}, nil)
			from := time.Now().Add(-10 * time.Minute)
			w.put(spread(0, 230, from, time.Second)...)
			e := runExporter(t, setup{URL: w.url})
			e.shows(w)

			// What is counted is deleted, and what is new comes at both ends and between.
			w.put(spread(1000, 60, from.Add(30*time.Second), 3*time.Second)...)
			var changes atomic.Int64
			w.BeforePage(func(_ string, offset int) {
				n := int(changes.Add(1))
				if offset == 0 || n > 20 {
					return
				}
				for i := range 3 {
					w.Delete(project, w.newest()[n*3+i].ID)
				}
				w.put(mixed(2000+n, from.Add(-time.Duration(n)*time.Second)), mixed(3000+n, from.Add(time.Duration(5*n)*time.Second)))
			})
			e.polls(project, 5)
			w.BeforePage(nil)
			require.Greater(t, changes.Load(), int64(10))
			// A deleted record stays counted, but its connection is taken for closed.
			gone := func(s series) series {
				out := series{}
				for key, value := range s {
					if !slices.Contains([]string{"workspace_server_open_connections"}, nameOf(key)) {
						out[key] = value
					}
				}
				return out
			}
			eventually(t, "all is counted", func() bool { return len(gone(e.metrics().records()).diff(gone(w.expect()))) == 0 })
			e.polls(project, 3)
			assert.Empty(t, gone(e.metrics().records()).diff(gone(w.expect())))
		})
	}
}

// Records that pour in must not keep a poll from ending: what comes while it reads is
// for the next one.
func TestAPollEndsThoughRecordsPourIn(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]simulator.Order{"ascending": simulator.Ascending, "descending": simulator.Descending} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Options{Order: order}, nil)
			w.put(spread(0, 400, time.Now().Add(-10*time.Minute), time.Second)...)
			var n atomic.Int64
			e := runExporter(t, setup{URL: w.url, Interval: "1s"})
			e.shows(w)
			// One for each page that is asked for: the list always changes.
			w.BeforePage(func(string, int) {
				w.put(mixed(int(5000+n.Add(1)), time.Now().Add(-time.Minute)))
			})
			before := e.metrics()
			e.polls(project, 3)
			after := e.metrics()
			polls := after.sum("workspace_exporter_polls_total") - before.sum("workspace_exporter_polls_total")
			requests := after.sum("workspace_exporter_api_requests_total") - before.sum("workspace_exporter_api_requests_total")
			assert.Less(t, requests/polls, 60.0, "requests for a poll of some 6 pages")
			w.BeforePage(nil)
			e.shows(w)
		})
	}
}

func TestRecordsThatAppearLateWithinTheLookback(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	now := time.Now()
	w.put(spread(0, 30, now.Add(-14*time.Minute), 20*time.Second)...)
	e := runExporter(t, setup{URL: w.url})
	e.shows(w)
	w.put(spread(100, 150, now.Add(-14*time.Minute), 0)...)
	late := spread(300, 20, now.Add(-13*time.Minute), time.Second)
	for i := range late {
		late[i].VisibleAt = now.Add(time.Duration(i) * 200 * time.Millisecond)
	}
	w.put(late...)
	e.shows(w)
}

func TestConnectionsThatEndLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	now := time.Now()
	behind, within := started(1, now.Add(-55*time.Minute)), started(2, now.Add(-5*time.Minute))
	open := started(3, now.Add(-40*time.Minute))
	w.put(behind, within, open)
	e := runExporter(t, setup{URL: w.url, Lookback: "10m"})
	e.shows(w)
	assert.Equal(t, 3.0, e.metrics().sum("workspace_server_open_connections"))

	w.put(end(within, time.Minute), end(behind, 30*time.Minute))
	e.shows(w)
	m := e.metrics()
	assert.Equal(t, 1.0, m.sum("workspace_server_open_connections"))
	assert.Equal(t, 31*60.0, m.sum("workspace_session_duration_seconds_sum"))

	e.restart()
	w.put(end(open, 39*time.Minute))
	e.shows(w)
	assert.Equal(t, 0.0, e.metrics().sum("workspace_server_open_connections"))
}

func TestEveryOutcomeAndEveryChangeOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	at := time.Now().Add(-10 * time.Minute)
	later := at.Add(time.Minute)
	unfinished := func(n int) simulator.Record { return attempt(n, at) }
	success := func(n int) simulator.Record { return started(n, at) }

	histories := map[string]history{
		"success that ends":                {success(10), end(success(10), time.Minute)},
		"pending, then success":            {unfinished(11), success(11)},
		"pending, then failure":            {unfinished(12), failed(unfinished(12), "1001", later)},
		"success, then failure":            {success(13), failed(success(13), "1002", later)},
		"failure, then another failure":    {failed(unfinished(14), "1001", at), failed(unfinished(14), "1002", later)},
		"failure without a code":           {failed(unfinished(15), "", at)},
		"pending, success, failure, ended": {unfinished(16), success(16), failed(success(16), "1001", later), end(failed(success(16), "1001", later), 2*time.Minute)},
		"pending, then success that ended": {unfinished(17), end(success(17), 3*time.Minute)},
	}
	e := runExporter(t, setup{URL: w.url})
	for step := range 4 {
		for _, h := range histories {
			if step < len(h) {
				w.put(h[step])
			}
		}
		e.shows(w)
	}
	m := e.metrics()
	assert.Equal(t, 8.0, m.sum("workspace_login_attempts_total"))
	assert.Equal(t, 5.0, m.sum("workspace_login_failures_total"))
	assert.Equal(t, 2.0, m.sum("workspace_exporter_records_total", `disposition="reclassified"`))
	assert.Equal(t, 4.0, m.sum("workspace_exporter_records_total", `disposition="pending"`))
}

func TestARecordWithoutAnOutcomeIsAFailureAfterPendingTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	now := time.Now()
	w.put(attempt(1, now.Add(-2*time.Minute)), attempt(2, now.Add(-50*time.Minute)), started(3, now.Add(-time.Minute)))
	s := setup{URL: w.url}
	e := runExporter(t, s)
	e.shows(w) // pending records do not count yet
	s.PendingTimeout = "1s"
	e.configure(s)
	e.signal(syscall.SIGHUP)
	w.expire = true
	e.shows(w)
	m := e.metrics()
	assert.Equal(t, 2.0, m.sum("workspace_login_failures_total", `failed_code="pending_timeout"`))

	// The outcome that comes after all: it was an attempt and a failure already.
	w.Put(project, started(1, now.Add(-2*time.Minute)))
	e.polls(project, 5)
	m = e.metrics()
	assert.Equal(t, 3.0, m.sum("workspace_login_attempts_total"))
	assert.Equal(t, 2.0, m.sum("workspace_login_failures_total"))
}
