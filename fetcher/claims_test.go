package fetcher

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
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

// Whatever a list says of its length, all of it is read, in as many requests as it takes to
// read it twice: logins, desktops, sessions and statistics.
func TestCountsThatAreNotOfTheWindow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	for i, count := range lies(r) {
		for _, n := range []int{1, 2, 19, 100, 101, 199, 634} {
			for _, size := range []int{0, 50} {
				t.Run(fmt.Sprintf("%d of %d by %d", i, n, size), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := &strict{times: slices.Repeat([]time.Time{time.Now()}, n), size: size, count: count, descending: i%2 == 0}
						w := cursor.Window{From: time.Now().Add(-time.Minute), To: time.Now()}
						check := func(limit, got int, err error) {
							t.Helper()
							require.NoError(t, err)
							require.Equal(t, n, got)
							page := limit
							if size > 0 {
								page = min(page, size)
							}
							require.LessOrEqual(t, s.requests, 2*(4+n*100/(page*84))+min(16, n/page))
							s.requests = 0
						}
						u := loginPages(s, func() {})
						d := desktopPages(s, func() {})
						for range 2 { // when nothing is known yet, and when it is
							logins, err := gather(t.Context(), u, w, 0)
							check(pageLimit, len(identities(logins, loginID)), err)
							logins, err = gather(t.Context(), d, w, 0)
							check(1000, len(identities(logins, loginID)), err)
						}
						reading, err := sessionPages(s, func() {}).ReadAll(t.Context(), w.From, w.To)
						check(pageLimit, len(reading.Sessions), err)
						reading, err = accessPages(s, func() {}).ReadAll(t.Context(), w.From, w.To.Add(time.Second))
						check(pageLimit, len(reading.Accesses), err)
					})
				})
			}
		}
	}
}

// Polls of 80 minutes with a login each ten minutes, and bursts of more than the
// threshold: with any count all is counted at once, in few requests, and no export task is
// made again and again.
func TestPollsWithCountsThatAreNotOfTheWindow(t *testing.T) {
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

// While records pour in with each request, and no count is right, a reading ends after few
// passes with all that was there when it began.
func TestPoursInWithAnyCount(t *testing.T) {
	for i := range lies(rand.New(rand.NewPCG(0, 0))) {
		for _, n := range []int{1, 5, 19, 99, 150, 400} {
			for _, atEnd := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d %d %t", i, n, atEnd), func(t *testing.T) {
					r := rand.New(rand.NewPCG(uint64(i), 9))
					next := 10_000
					l := &list{items: connections(n)}
					l.count = func(n int) int { return lies(r)[i](n, min(n, pageLimit)) }
					l.before = func(l *list) {
						if next++; next%2 == 0 {
							return
						}
						at := 0
						if atEnd {
							at = len(l.items)
						}
						l.items = slices.Insert(l.items, at, connection(next, 0))
					}
					u := loginPages(l, func() {})
					logins, err := gather(t.Context(), u, cursor.Window{From: noon, To: noon}, 0)
					require.NoError(t, err)
					got := identities(logins, loginID)
					for _, c := range connections(n) {
						require.True(t, got[identity(c)])
					}
					assert.LessOrEqual(t, l.requests, 6*(5+n/80))
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

type pageLister func(context.Context, workspace.PageQuery) (*workspace.Page[record.UserConnection], error)

func (f pageLister) ListUserConnections(ctx context.Context, q workspace.PageQuery) (*workspace.Page[record.UserConnection], error) {
	return f(ctx, q)
}

// accessRows is a list of statistics. Rows with the same time change places at each
// request, if it is shuffled.
type accessRows struct {
	mu sync.Mutex
	*rand.Rand
	rows     []accessRow
	shuffled bool
	before   func(l *accessRows) // what happens before a request
	requests int
}

type accessRow struct{ user, failures, second int }

func (l *accessRows) ListAccessStatistics(_ context.Context, q workspace.PageQuery) (*workspace.Page[record.AppUserAccess], error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	if l.before != nil {
		l.before(l)
	}
	rows := slices.Clone(l.rows)
	if l.shuffled {
		l.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	}
	slices.SortStableFunc(rows, func(a, b accessRow) int { return a.second - b.second })
	page := &workspace.Page[record.AppUserAccess]{Count: len(rows)}
	for _, row := range rows[min(q.Offset, len(rows)):min(q.Offset+q.Limit, len(rows))] {
		var a record.AppUserAccess
		a.Set("username", "u"+strconv.Itoa(row.user))
		a.Set("access_failed_count", strconv.Itoa(row.failures))
		a.Set("last_access_failed_time", noon.Add(time.Duration(row.second)*time.Second).Format(time.RFC3339))
		page.Items = append(page.Items, a)
	}
	return page, nil
}

// sum is what the rows add up to.
func (l *accessRows) sum() (n int) {
	for _, row := range l.rows {
		n += row.failures
	}
	return n
}

// Statistics are added up: a row that is returned twice, in two versions, or not at all,
// makes a wrong number for good. Many rows of one second, in another order each time, rows
// that are equal in all, rows that change while they are read: the sum is that of a moment,
// or the reading fails.
func TestStatisticsOfAMoment(t *testing.T) {
	done, failed := 0, 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		l := &accessRows{Rand: r, shuffled: r.IntN(2) == 0}
		tie := 1 + r.IntN([]int{2, 6, 60, 400}[r.IntN(4)])
		for i := range 1 + r.IntN(420) {
			l.rows = append(l.rows, accessRow{i, 1 + r.IntN(3), i / tie})
		}
		if n := len(l.rows); r.IntN(3) == 0 { // equal rows, next to each other or not
			for range 1 + r.IntN(4) {
				l.rows = append(l.rows, l.rows[r.IntN(n)])
			}
		}
		sums := map[int]bool{l.sum(): true}
		calm := 0 // requests after which nothing changes
		if r.IntN(2) == 0 {
			calm = r.IntN(12)
			l.before = func(l *accessRows) {
				if l.requests > 1 && l.requests <= calm {
					for range 1 + r.IntN(2) {
						row := &l.rows[r.IntN(len(l.rows))]
						row.failures++
						if r.IntN(2) == 0 {
							row.second = 1000 + l.requests // it moves to the end
						}
					}
					if r.IntN(2) == 0 {
						l.rows = append(l.rows, accessRow{10_000 + l.requests, 1, r.IntN(len(l.rows))})
					}
					sums[l.sum()] = true
				}
			}
		}
		reading, err := accessPages(l, func() {}).ReadAll(t.Context(), noon, noon.Add(time.Hour))
		if err != nil {
			require.ErrorIs(t, err, paging.ErrMoved)
			failed++
			continue
		}
		done++
		got := 0
		for _, a := range reading.Accesses {
			got += a.Failures
		}
		require.True(t, sums[got], "seed %d: %d of %v, %d rows of %d, shuffled %t, ties of %d", seed, got, sums, len(reading.Accesses), len(l.rows), l.shuffled, tie)
	}
	t.Logf("%d readings done, %d failed", done, failed)
	assert.Less(t, failed, done/20)
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
			pages := loginPages(&list{}, func() {})
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
