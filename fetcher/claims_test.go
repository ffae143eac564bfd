package fetcher

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/fetcher/pagingtest"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

func (s *strict) ListDesktopConnections(_ context.Context, q workspace.PageQuery) (*workspace.Page[record.DesktopConnection], error) {
	return strictPage(s, q, func(n int) (c record.DesktopConnection) {
		c.Set("transaction_id", strconv.Itoa(n))
		return c
	})
}

// Polls of 80 minutes with a login each ten minutes, and bursts of more than the
// threshold: with any count all is counted at once, in few requests, and no export task is
// made again and again.
func TestPollsWithCountsThatAreNotOfTheWindow(t *testing.T) {
	if testing.Short() {
		t.Skip("too long for make quick")
	}
	r := rand.New(rand.NewPCG(4, 4))
	for i, count := range lies(r) {
		for _, burst := range []int{0, 600, 6500} {
			for _, mode := range []string{"query", "auto"} {
				if burst > maxRecords && !(i == 8 && mode == "auto") {
					continue // they take long
				}
				t.Run(fmt.Sprintf("%d %d %s", i, burst, mode), func(t *testing.T) {
					inWorld(t, func(t *testing.T, w *world) {
						s := &strict{count: count}
						for i := range 8 {
							s.times = append(s.times, time.Now().Add(time.Duration(i)*10*time.Minute))
						}
						for i := range burst { // from the second login on
							s.times = append(s.times, time.Now().Add(20*time.Minute+time.Duration(i)*100*time.Millisecond).Truncate(time.Second))
						}
						if burst < maxRecords {
							s.threshold = 500
						}
						p, accumulator, c := s.reader(t, w, mode)
						ctx, cancel := context.WithTimeout(t.Context(), 80*time.Minute)
						defer cancel()
						p.Run(ctx, nil)
						require.Equal(t, float64(len(s.times)), attemptsOf(t, accumulator))
						failed := 0
						for _, err := range w.polls {
							if err != nil {
								failed++
							}
						}
						assert.LessOrEqual(t, failed, 20, "until the first login shows that the count is wrong")
						// The burst takes 11 minutes, and is read again for 15.
						assert.LessOrEqual(t, s.requests, 81*6+50*2*burst/pageLimit, "%d polls", len(w.polls))
						if burst == 0 {
							assert.LessOrEqual(t, len(c.made), 1)
						}
					})
				})
			}
		}
	}
}

// A list that says it has records and shows none is no list: the poll fails, and nothing
// is lost when it shows them later than the lookback reaches. If a window has shown that
// the count means nothing, an empty list is empty.
func TestListWithoutItsItems(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := &strict{times: spreadOver(25, 10*time.Minute), count: func(n, _ int) int { return n }, itemless: true}
		p, accumulator, _ := s.reader(t, w, "query")
		for range 40 {
			require.ErrorIs(t, p.Poll(t.Context()), paging.ErrNoItems)
			assert.Equal(t, Unreadable, w.failing[len(w.failing)-1])
			time.Sleep(interval)
		}
		s.itemless = false
		require.NoError(t, p.Poll(t.Context()))
		assert.Equal(t, 25.0, attemptsOf(t, accumulator))
	})
	inWorld(t, func(t *testing.T, w *world) {
		s := &strict{times: spreadOver(2, time.Minute), count: func(int, int) int { return 25 }}
		p, accumulator, _ := s.reader(t, w, "query")
		for range 40 {
			require.NoError(t, p.Poll(t.Context()))
			time.Sleep(interval)
		}
		assert.Equal(t, 2.0, attemptsOf(t, accumulator))

		// Two counts in a row that come true, of different lengths, and the list is believed
		// again.
		for i := range 3 {
			s.times = append(s.times, time.Now())
			s.count = func(n, _ int) int { return n }
			require.NoError(t, p.Poll(t.Context()), i)
			time.Sleep(interval)
		}
		s.times, s.count = nil, func(int, int) int { return 25 }
		require.ErrorIs(t, p.Poll(t.Context()), paging.ErrNoItems)
	})
}

// A list of statistics that never holds still is read in windows of a page, each of which
// is of a moment by itself.
func TestStatisticsThatNeverHoldStill(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		begin := w.now()
		var change atomic.Int64
		p := w.statistics(accessLister(func(q workspace.PageQuery) (page *workspace.Page[record.AppUserAccess]) {
			now := change.Add(1) // the message of each row is another one each time
			page = &workspace.Page[record.AppUserAccess]{}
			for i := range 500 {
				at := begin.Add(-settle - time.Hour + time.Duration(i)*7*time.Second)
				if at.Before(q.From) || at.After(q.To) {
					continue
				}
				if page.Count++; page.Count > q.Offset && len(page.Items) < q.Limit {
					var a record.AppUserAccess
					a.Set("username", "u"+strconv.Itoa(i))
					a.Set("access_failed_count", "1")
					a.Set("error_msg", strconv.FormatInt(now, 10))
					page.Items = append(page.Items, a)
				}
			}
			return page
		}))
		require.NoError(t, p.Poll(t.Context()))
		rows := 0
		for _, r := range w.batches {
			rows += len(r.Accesses)
		}
		assert.Equal(t, 500, rows)
	})
}

// accessLister is statistics by a list that is a function, which is called by one at a time.
func accessLister(list func(workspace.PageQuery) *workspace.Page[record.AppUserAccess]) *AccessPages {
	return accessPages(&accessListerFunc{list: list}, func() {})
}

type accessListerFunc struct {
	mu   sync.Mutex
	list func(workspace.PageQuery) *workspace.Page[record.AppUserAccess]
}

func (f *accessListerFunc) ListAccessStatistics(_ context.Context, q workspace.PageQuery) (*workspace.Page[record.AppUserAccess], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.list(q), nil
}

// A file that was asked for before a restart, and read long after, shows records as pending
// that have settled meanwhile. It must not let them expire.
func TestAStaleFileLetsNothingExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(day) // into a year that records can be of
		asked := time.Now().Add(-30 * time.Minute).UTC()
		pending := func(cursor.Window) string {
			return loginHeader + "1,jane,," + asked.Format(time.RFC3339) + ",,,,\n"
		}
		settled := func(cursor.Window) string {
			return loginHeader + fmt.Sprintf("1,jane,,%s,%s,,,\n", asked.Format(time.RFC3339), asked.Add(time.Minute).Format(time.RFC3339))
		}
		c, storage := newCloud(pending), newShelf()
		c.took = 10 * time.Minute
		var accumulator *collector.Accumulator
		open := func() *Poller {
			var err error
			accumulator, err = collector.Open(storage, collector.Options{Kind: collector.Logins, Project: "p", Product: "app_streaming", Source: "s",
				Lookback: time.Hour, Limits: collector.NewLimits(1000, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "limited"}, []string{"family"})), Rules: ledger.Rules{SuccessCodes: []string{""}, PendingTimeout: 20 * time.Minute}})
			require.NoError(t, err)
			source := c.loginExports(notesOn(t, storage))
			pages := loginPages(&pagingtest.Logins{}, func() {})
			p, err := NewPoller(incremental(source, pages, time.Hour), accumulator, nothing{}, options())
			require.NoError(t, err)
			return p
		}
		require.NoError(t, open().Poll(t.Context())) // seen first
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.Error(t, open().Poll(ctx))
		c.file = settled
		time.Sleep(30 * time.Minute)
		p := open()
		require.NoError(t, p.Poll(t.Context())) // the old file, and then a new one
		require.NoError(t, p.Poll(t.Context()))
		assert.Equal(t, map[string]float64{"workspace_login_attempts_total ": 1, "workspace_server_open_connections ": 1, "workspace_login_duration_seconds ": 1}, counted(t, accumulator))
	})
}
