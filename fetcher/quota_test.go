package fetcher

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// strict is the API over records that began at certain times. It gives no more than it
// has to: see its fields.
type strict struct {
	mu         sync.Mutex
	times      []time.Time // when records begin, and from when on the list has them
	descending bool
	exclusive  bool                   // the ends of a window are
	size       int                    // most records in a page; 0: as many as are asked for
	count      func(n, items int) int // what is said of n records, with a page of so many
	reach      int                    // offsets from here on are refused; 0: none
	longest    time.Duration          // longer windows are refused; 0: none
	deaf       bool                   // the window is ignored
	itemless   bool                   // pages have no items, whatever the count is
	threshold  int                    // of reading by export task; 0: 5000

	perMinute  int // requests; 0: any number
	retryAfter bool
	code       string // of a refusal for haste
	minute     time.Time
	granted    int // in this minute

	requests, refusals int
}

// admit is the quota's part.
func (s *strict) admit() error {
	s.requests++
	if minute := time.Now().Truncate(time.Minute); !minute.Equal(s.minute) {
		s.minute, s.granted = minute, 0
	}
	if s.perMinute > 0 && s.granted >= s.perMinute {
		s.refusals++
		e := &workspace.Error{Operation: "ListUserConnection", Status: 429, Code: s.code}
		if s.retryAfter {
			e.RetryAfter = time.Until(s.minute.Add(time.Minute))
		}
		return e
	}
	s.granted++
	return nil
}

// of are the numbers of the records of a window.
func (s *strict) of(w cursor.Window) (numbers []int) {
	for i, at := range s.times {
		if s.deaf && !at.After(time.Now()) {
			numbers = append(numbers, i)
			continue
		}
		if at.Before(w.From) || at.After(w.To) || at.After(time.Now()) || s.exclusive && (at.Equal(w.From) || at.Equal(w.To)) {
			continue
		}
		numbers = append(numbers, i)
	}
	if byTime := func(a, b int) int { return s.times[a].Compare(s.times[b]) }; !slices.IsSortedFunc(numbers, byTime) {
		slices.SortStableFunc(numbers, byTime)
	}
	if s.descending {
		slices.Reverse(numbers)
	}
	return numbers
}

// page makes the page of a query.
func strictPage[T any](s *strict, q workspace.PageQuery, item func(n int) T) (*workspace.Page[T], error) {
	time.Sleep(20 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.admit(); err != nil {
		return nil, err
	}
	w := cursor.Window{From: q.From, To: q.To}
	if s.reach > 0 && q.Offset >= s.reach || s.longest > 0 && w.Length() > s.longest {
		return nil, &workspace.Error{Operation: "List", Status: 400, Code: "WKS.00000001"}
	}
	all := s.of(w)
	begin := min(q.Offset, len(all))
	page := &workspace.Page[T]{Count: len(all)}
	for _, n := range all[begin:min(begin+min(q.Limit, cmp.Or(s.size, q.Limit)), len(all))] {
		page.Items = append(page.Items, item(n))
	}
	if s.count != nil {
		page.Count = s.count(len(all), len(page.Items))
	}
	if s.itemless {
		page.Items = nil
	}
	return page, nil
}

func (s *strict) login(n int) record.UserConnection {
	var c record.UserConnection
	c.Set("id", strconv.Itoa(n))
	c.Set("user_name", "u"+strconv.Itoa(n))
	for _, name := range []string{"start_time", "end_time", "pre_conn_time", "update_time"} {
		c.Set(name, s.times[n].UTC().Format(time.RFC3339))
	}
	return c
}

func (s *strict) ListUserConnections(_ context.Context, q workspace.PageQuery) (*workspace.Page[record.UserConnection], error) {
	return strictPage(s, q, s.login)
}

func (s *strict) ListSessions(_ context.Context, q workspace.PageQuery) (*workspace.Page[record.SessionInfo], error) {
	return strictPage(s, q, func(n int) (c record.SessionInfo) {
		c.Set("id", strconv.Itoa(n))
		c.Set("session_state", "Active")
		return c
	})
}

func (s *strict) ListAccessStatistics(_ context.Context, q workspace.PageQuery) (*workspace.Page[record.AppUserAccess], error) {
	return strictPage(s, q, func(n int) (c record.AppUserAccess) {
		c.Set("username", "u"+strconv.Itoa(n/2)) // rows come in pairs that look the same
		c.Set("access_failed_count", "1")
		c.Set("error_code", "1")
		c.Set("last_access_failed_time", s.times[n].UTC().Format(time.RFC3339))
		return c
	})
}

// file is what an export has.
func (s *strict) file(w cursor.Window) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	b.WriteString(loginHeader)
	for _, n := range s.of(w) {
		at := s.times[n].UTC().Format(time.RFC3339)
		fmt.Fprintf(&b, "%d,u%d,,%s,%s,%s,%s,\n", n, n, at, at, at, at)
	}
	return b.String()
}

// attemptsOf is how many logins an accumulator shows.
func attemptsOf(t *testing.T, accumulator *collector.Accumulator) (n float64) {
	t.Helper()
	for name, v := range counted(t, accumulator) {
		if name == "workspace_login_attempts_total" || bytes.HasPrefix([]byte(name), []byte("workspace_login_attempts_total ")) {
			n += v
		}
	}
	return n
}

// reader is a poller of a strict API with an accumulator of its own.
func (s *strict) reader(t *testing.T, m Metrics, mode string) (*Poller, *collector.Accumulator, *cloud) {
	t.Helper()
	accumulator := openAccumulator(t, newShelf(), collector.Logins, lookback)
	pages := loginPages(s, func() {})
	c := newCloud(s.file)
	var source LoginSource = pages
	if mode == "auto" {
		source = &Auto{Pages: pages, Export: c.loginExports(notesOn(t, newShelf())), Threshold: cmp.Or(s.threshold, 5000), Logger: log.NewNopLogger()}
	}
	p, err := NewPoller(incremental(source, pages, lookback), accumulator, m, options())
	require.NoError(t, err)
	return p, accumulator, c
}

// spreadOver are so many times, evenly within a stretch before now.
func spreadOver(n int, stretch time.Duration) []time.Time {
	begin := time.Now().Add(-stretch)
	times := make([]time.Time, n)
	for i := range times {
		times[i] = begin.Add(time.Duration(i) * (stretch / time.Duration(n))).Truncate(time.Second)
	}
	return times
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// Under any quota a minute a backlog of thousands is counted, exactly, at the pace of the
// quota, while others take a part of it: what a request has brought is not asked for again.
func TestAnyQuotaGetsOn(t *testing.T) {
	if testing.Short() {
		t.Skip("too long for make quick")
	}
	for _, perMinute := range []int{1, 2, 15, 60} {
		for name, c := range map[string]struct {
			times  func() []time.Time
			others int // requests of other sources, a minute
		}{
			"a backlog": {func() []time.Time { return spreadOver(4500, 59*time.Minute) }, 0},
			"a dense second": {func() []time.Time {
				return append(spreadOver(300, 50*time.Minute), slices.Repeat([]time.Time{time.Now().Add(-10 * time.Minute)}, 550)...)
			}, 0},
			"shared": {func() []time.Time { return spreadOver(2500, 59*time.Minute) }, perMinute / 2},
		} {
			for _, mode := range []string{"query", "auto"} {
				for _, retryAfter := range []bool{false, true} {
					t.Run(fmt.Sprintf("%d %s %s %t", perMinute, name, mode, retryAfter), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							begun := time.Now()
							s := &strict{times: c.times(), perMinute: perMinute, retryAfter: retryAfter, code: "APIGW.0308", descending: retryAfter}
							p, accumulator, _ := s.reader(t, nothing{}, mode)
							ctx, cancel := context.WithTimeout(t.Context(), 6*time.Hour)
							defer cancel()
							go func() {
								for ctx.Err() == nil && c.others > 0 {
									s.mu.Lock()
									for range c.others {
										_ = s.admit()
									}
									s.mu.Unlock()
									pause(ctx, time.Minute)
								}
							}()
							take := time.Duration(0)
							go func() {
								defer cancel()
								for ctx.Err() == nil && attemptsOf(t, accumulator) < float64(len(s.times)) {
									pause(ctx, time.Minute)
								}
								take = time.Since(begun)
							}()
							p.Run(ctx, nil)
							synctest.Wait()
							require.Equal(t, float64(len(s.times)), attemptsOf(t, accumulator), "after %d requests, cursor %s", s.requests, p.Status().Position.Cursor)
							own := max(1, perMinute-c.others)
							assert.LessOrEqual(t, take, time.Duration(5+(50+3*len(s.times)/pageLimit)/own)*time.Minute)
						})
					})
				}
			}
		}
	}
}

// A source that polls under a quota that is too small for its lookback is late, but it
// counts all, and never twice; and it tells.
func TestQuotaBelowTheLookback(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := &strict{perMinute: 2, code: "APIG.0308"}
		for i := range 8 * 3600 / 2 { // 900 in each lookback are 10 requests
			s.times = append(s.times, time.Now().Add(time.Duration(i)*2*time.Second))
		}
		p, accumulator, _ := s.reader(t, w, "query")
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Hour)
		defer cancel()
		p.Run(ctx, nil)
		passed := 7 * time.Hour / (2 * time.Second)
		assert.Greater(t, attemptsOf(t, accumulator), float64(passed)-45*30, "45 minutes late at most")
		assert.Contains(t, w.failing, Throttled)
		assert.True(t, w.catchingUp[len(w.catchingUp)-2])
	})
}

// Sessions and statistics get on as well.
func TestAnyQuotaGetsOnWithWholeLists(t *testing.T) {
	for _, perMinute := range []int{1, 15} {
		synctest.Test(t, func(t *testing.T) {
			s := &strict{times: spreadOver(1500, 29*day), perMinute: perMinute, retryAfter: perMinute == 1}
			source := sessionPages(s, func() {})
			begun := time.Now()
			var err error
			for time.Since(begun) < 2*time.Hour {
				now := time.Now().Truncate(time.Second)
				r, e := source.ReadAll(t.Context(), now.Add(-cursor.Reach), now)
				if err = e; err == nil {
					assert.Equal(t, 1500, len(r.Sessions))
					break
				}
				require.True(t, workspace.IsThrottled(err), err)
				time.Sleep(25 * time.Second)
			}
			require.NoError(t, err)
		})
		inWorld(t, func(t *testing.T, w *world) {
			s := &strict{times: spreadOver(700, 50*time.Minute), perMinute: perMinute}
			p := w.statistics(accessPages(s, func() {}))
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			p.Run(ctx, nil)
			rows := 0
			for _, r := range w.batches {
				rows += len(r.Accesses)
			}
			assert.Equal(t, 700, rows)
		})
	}
}

// An API that refuses offsets beyond a limit, or long windows, gets smaller ones: for all
// lists, in few requests more than the records need.
func TestRefusedOffsetsAndWindows(t *testing.T) {
	for _, c := range []struct {
		reach   int
		longest time.Duration
	}{{1000, 0}, {2000, 0}, {300, 0}, {0, 10 * time.Minute}, {1000, 5 * time.Second}} {
		for _, mode := range []string{"query", "auto"} {
			t.Run(fmt.Sprintf("%d %s %s", c.reach, c.longest, mode), func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *world) {
					s := &strict{times: append(spreadOver(4000, 50*time.Minute), slices.Repeat([]time.Time{time.Now().Add(-20 * time.Minute).Truncate(time.Second)}, 280)...),
						reach: c.reach, longest: c.longest, exclusive: mode == "auto"}
					p, accumulator, cloud := s.reader(t, w, mode)
					require.NoError(t, p.Poll(t.Context()))
					require.Equal(t, 4280.0, attemptsOf(t, accumulator))
					assert.Empty(t, cloud.made)
					if c.longest == 0 {
						assert.Less(t, s.requests, 140)
					}
					time.Sleep(interval)
					s.requests = 0
					require.NoError(t, p.Poll(t.Context()))
					require.Equal(t, 4280.0, attemptsOf(t, accumulator))
					assert.WithinDuration(t, w.now(), p.Status().Position.Cursor, time.Minute)
				})
			})
		}
	}
	t.Run("more in a second than can be paged", func(t *testing.T) {
		for _, mode := range []string{"query", "auto"} {
			inWorld(t, func(t *testing.T, w *world) {
				time.Sleep(day) // into a year that a file's records can be of
				s := &strict{times: append(spreadOver(300, 50*time.Minute), slices.Repeat([]time.Time{time.Now().Add(-20 * time.Minute)}, 1500)...), reach: 1000}
				p, accumulator, cloud := s.reader(t, w, mode)
				err := p.Poll(t.Context())
				if mode == "query" {
					require.Error(t, err)
					assert.Equal(t, Refused, reasonOf(err))
					return
				}
				require.NoError(t, err)
				assert.Equal(t, 1800.0, attemptsOf(t, accumulator))
				assert.NotEmpty(t, cloud.made, "a file has them")
			})
		}
	})
	t.Run("sessions and statistics", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			s := &strict{times: spreadOver(5000, 29*day), reach: 1000}
			source := sessionPages(s, func() {})
			for range 2 {
				s.requests = 0
				r, err := source.ReadAll(t.Context(), w.now().Add(-cursor.Reach), w.now())
				require.NoError(t, err)
				require.Equal(t, 5000, len(r.Sessions))
				assert.Less(t, s.requests, 150)
			}
			time.Sleep(time.Until(w.now().Add(time.Second)))
			s = &strict{times: spreadOver(5000, 55*time.Minute), reach: 1000, longest: 40 * time.Minute}
			p := w.statistics(accessPages(s, func() {}))
			time.Sleep(settle)
			require.NoError(t, p.Poll(t.Context()))
			rows, end := 0, w.batches[0].From
			for _, r := range w.batches {
				rows += len(r.Accesses)
				assert.Equal(t, end, r.From, "windows neither overlap nor leave anything out")
				end = r.To
			}
			assert.Equal(t, 5000, rows)
		})
	})
}

// Any mixture: quotas, offsets and windows that are refused, counts that are wrong, small
// pages, any order. All is counted once, or some polls fail until it is.
func TestStrictAPIs(t *testing.T) {
	if testing.Short() {
		t.Skip("too long for make quick")
	}
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 11))
				n := 1 + r.IntN(1500)
				s := &strict{times: spreadOver(n, 55*time.Minute), descending: r.IntN(2) == 0, exclusive: r.IntN(2) == 0,
					perMinute: []int{0, 0, 3, 30}[r.IntN(4)], retryAfter: r.IntN(2) == 0, size: []int{0, 0, 10, 50}[r.IntN(4)],
					reach: []int{0, 500, 1000}[r.IntN(3)], count: lies(r)[r.IntN(len(lies(r)))]}
				for range r.IntN(3) {
					at := s.times[r.IntN(n)]
					s.times = append(s.times, slices.Repeat([]time.Time{at}, r.IntN(250))...)
				}
				p, accumulator, _ := s.reader(t, nothing{}, []string{"query", "auto"}[r.IntN(2)])
				var err error
				for range 1000 {
					err = p.Poll(t.Context())
					if got := attemptsOf(t, accumulator); err == nil && got == float64(len(s.times)) {
						return
					}
					time.Sleep(20 * time.Second)
				}
				assert.Equal(t, float64(len(s.times)), attemptsOf(t, accumulator), "%d requests, %d refused, pages of %d, %d a minute, reach %d: %v", s.requests, s.refusals, s.size, s.perMinute, s.reach, err)
			})
		})
	}
}

// lies are counts that are not of the window.
func lies(r *rand.Rand) []func(n, items int) int {
	constant := func(c int) func(int, int) int { return func(int, int) int { return c } }
	return []func(n, items int) int{
		func(n, _ int) int { return n }, constant(-1), constant(0), constant(3), constant(25), constant(300), constant(6000), constant(600_000),
		constant(1<<31 - 1),
		func(_, items int) int { return items }, // of the page
		func(n, _ int) int { return n + 7 }, func(n, _ int) int { return n - 7 }, func(n, _ int) int { return 2 * n }, func(n, _ int) int { return n / 2 },
		func(n, _ int) int { return r.IntN(2*n + 3) }, // another each time
	}
}
