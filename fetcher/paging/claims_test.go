package paging

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/pagingtest"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Whatever a list claims of its length, all of it is read, in as many requests as it takes
// to read it twice; when nothing is known of it, and when something is.
func TestClaimsThatAreFalse(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 3))
	for i, claim := range lies(r) {
		for _, n := range []int{1, 2, 19, 100, 101, 199, 634} {
			for _, size := range []int{0, 50} {
				for _, additive := range []bool{false, true} {
					t.Run(fmt.Sprintf("%d of %d by %d %t", i, n, size, additive), func(t *testing.T) {
						l := &pagingtest.Logins{Items: pagingtest.Connections(n), PageSize: size}
						if additive { // rows come in pairs that look the same
							for i := range l.Items {
								l.Items[i] = pagingtest.Connection(i/2, 0)
							}
						}
						r := reader(func(ctx context.Context, q workspace.PageQuery) (int, []record.Login, error) {
							_, logins, err := serving(l)(ctx, q)
							l.Lock()
							defer l.Unlock()
							return claim(n, len(logins)), logins, err
						}, nil)
						r.Additive = additive
						for range 2 {
							l.Requests = 0
							logins, err := r.Read(t.Context(), cursor.Window{From: noon, To: noon.Add(time.Minute)}, 0)
							require.NoError(t, err)
							require.Len(t, logins, n)
							page := cmp.Or(size, limit)
							require.LessOrEqual(t, l.Requests, 2*(4+n*100/(page*84))+min(16, n/page))
						}
					})
				}
			}
		}
	}
}

// A list that was wrong is trusted again after two claims that come true, if they are
// different ones.
func TestClaimsAreTrustedAgain(t *testing.T) {
	var c claims
	assert.True(t, c.areTrusted())
	assert.False(t, c.haveComeTrue())
	c.cameTrue(3, 1)
	assert.True(t, c.haveComeTrue())
	c.compare(5, 5)
	c.compare(-1, 5)
	assert.True(t, c.areTrusted())
	c.compare(25, 2)
	for range 3 {
		c.cameTrue(2, 1)
		c.cameTrue(0, 1)
		assert.False(t, c.areTrusted(), "it may always say 2")
	}
	c.cameTrue(3, 1)
	assert.True(t, c.haveComeTrue())
}

// What a quota has granted is not asked for again, and what is left one by one.
func TestQuotaKeepsThePages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &pagingtest.Logins{Items: pagingtest.Connections(1234)}
		var left, atOnce atomic.Int64
		left.Store(4)
		most := int64(0)
		r := reader(func(ctx context.Context, q workspace.PageQuery) (int, []record.Login, error) {
			if left.Add(-1) < 0 {
				return 0, nil, &workspace.Error{Status: 429}
			}
			n := atOnce.Add(1)
			l.Lock()
			most = max(most, n)
			l.Unlock()
			time.Sleep(time.Second)
			atOnce.Add(-1)
			return serving(l)(ctx, q)
		}, nil)
		w := cursor.Window{From: noon, To: noon.Add(time.Minute)}
		_, err := r.Read(t.Context(), w, 0)
		require.True(t, workspace.IsThrottled(err))
		require.Equal(t, int64(2), most)
		left.Store(100)
		most = 0
		logins, err := r.Read(t.Context(), w, 0)
		require.NoError(t, err)
		pagingtest.RequireAll(t, l.Items, logins)
		assert.Equal(t, 13, l.Requests, "each page once")
		assert.Equal(t, int64(1), most)

		l.Requests = 0
		left.Store(4)
		_, err = r.Read(t.Context(), w, 0)
		require.Error(t, err)
		time.Sleep(KeptFor)
		left.Store(100)
		_, err = r.Read(t.Context(), w, 0)
		require.NoError(t, err)
		assert.Equal(t, 4+13, l.Requests, "what is old is read again")
	})
}

// While records pour in with each request, and no claim is true, a reading ends after few
// passes with all that was there when it began.
func TestPoursInWithAnyClaim(t *testing.T) {
	for i := range lies(rand.New(rand.NewPCG(0, 0))) {
		for _, n := range []int{1, 5, 19, 99, 150, 400} {
			for _, atEnd := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d %d %t", i, n, atEnd), func(t *testing.T) {
					r := rand.New(rand.NewPCG(uint64(i), 9))
					next := 10_000
					l := &pagingtest.Logins{Items: pagingtest.Connections(n)}
					l.Count = func(n int) int { return lies(r)[i](n, min(n, limit)) }
					l.Before = func(l *pagingtest.Logins) {
						if next++; next%2 == 0 {
							return
						}
						at := 0
						if atEnd {
							at = len(l.Items)
						}
						l.Items = slices.Insert(l.Items, at, pagingtest.Connection(next, 0))
					}
					logins, err := reader(serving(l), nil).Read(t.Context(), cursor.Window{From: noon, To: noon}, 0)
					require.NoError(t, err)
					got := pagingtest.IDs(logins, pagingtest.LoginID)
					for _, c := range pagingtest.Connections(n) {
						require.True(t, got[pagingtest.ConnectionID(c)])
					}
					assert.LessOrEqual(t, l.Requests, 6*(5+n/80))
				})
			}
		}
	}
}

// rows is a list of items that are added up. Rows with the same time change places at each
// request, if it is shuffled.
type rows struct {
	mu sync.Mutex
	*rand.Rand
	items    []row
	shuffled bool
	before   func(l *rows) // what happens before a request
	requests int
}

type row struct{ user, failures, second int }

func (l *rows) get(_ context.Context, q workspace.PageQuery) (int, []record.Access, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	if l.before != nil {
		l.before(l)
	}
	items := slices.Clone(l.items)
	if l.shuffled {
		l.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	}
	slices.SortStableFunc(items, func(a, b row) int { return a.second - b.second })
	var page []record.Access
	for _, row := range items[min(q.Offset, len(items)):min(q.Offset+q.Limit, len(items))] {
		var a record.AppUserAccess
		a.Set("username", "u"+strconv.Itoa(row.user))
		a.Set("access_failed_count", strconv.Itoa(row.failures))
		a.Set("last_access_failed_time", noon.Add(time.Duration(row.second)*time.Second).Format(time.RFC3339))
		page = append(page, a.Access())
	}
	return len(items), page, nil
}

// sum is what the rows add up to.
func (l *rows) sum() (n int) {
	for _, row := range l.items {
		n += row.failures
	}
	return n
}

// What is added up: a row that is returned twice, in two versions, or not at all,
// makes a wrong number for good. Many rows of one second, in another order each time, rows
// that are equal in all, rows that change while they are read: the sum is that of a moment,
// or the reading fails.
func TestSumsOfAMoment(t *testing.T) {
	done, failed := 0, 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		l := &rows{Rand: r, shuffled: r.IntN(2) == 0}
		tie := 1 + r.IntN([]int{2, 6, 60, 400}[r.IntN(4)])
		for i := range 1 + r.IntN(420) {
			l.items = append(l.items, row{i, 1 + r.IntN(3), i / tie})
		}
		if n := len(l.items); r.IntN(3) == 0 { // equal rows, next to each other or not
			for range 1 + r.IntN(4) {
				l.items = append(l.items, l.items[r.IntN(n)])
			}
		}
		sums := map[int]bool{l.sum(): true}
		calm := 0 // requests after which nothing changes
		if r.IntN(2) == 0 {
			calm = r.IntN(12)
			l.before = func(l *rows) {
				if l.requests > 1 && l.requests <= calm {
					for range 1 + r.IntN(2) {
						row := &l.items[r.IntN(len(l.items))]
						row.failures++
						if r.IntN(2) == 0 {
							row.second = 1000 + l.requests // it moves to the end
						}
					}
					if r.IntN(2) == 0 {
						l.items = append(l.items, row{10_000 + l.requests, 1, r.IntN(len(l.items))})
					}
					sums[l.sum()] = true
				}
			}
		}
		reader := &Reader[record.Access]{List: List[record.Access]{Limit: limit, Get: l.get}, Key: (*record.Access).Key, Mismatch: func() {}, Additive: true}
		accesses, err := reader.Read(t.Context(), cursor.Window{From: noon, To: noon.Add(time.Hour)}, 0)
		if err != nil {
			require.ErrorIs(t, err, ErrMoved)
			failed++
			continue
		}
		done++
		got := 0
		for _, a := range accesses {
			got += a.Failures
		}
		require.True(t, sums[got], "seed %d: %d of %v, %d rows of %d, shuffled %t, ties of %d", seed, got, sums, len(accesses), len(l.items), l.shuffled, tie)
	}
	t.Logf("%d readings done, %d failed", done, failed)
	assert.Less(t, failed, done/20)
}

// A server whose pages are small, and which counts only what is in each: that one window has
// just a page says nothing of the next one, which is not read again.
func TestOnePageOfAWindowSaysNothingOfTheNext(t *testing.T) {
	l := &pagingtest.Logins{PageSize: 50}
	r := reader(func(ctx context.Context, q workspace.PageQuery) (int, []record.Login, error) {
		_, logins, err := serving(l)(ctx, q)
		return len(logins), logins, err
	}, nil)
	from := noon
	for _, n := range []int{50, 120, 50, 50, 80} {
		l.Items = pagingtest.Connections(n)
		logins, err := r.Read(t.Context(), cursor.Window{From: from.Add(-cursor.Seam), To: from.Add(time.Hour)}, 0)
		require.NoError(t, err)
		pagingtest.RequireAll(t, l.Items, logins)
		from = from.Add(time.Hour)
	}
}

// A short list costs one request a poll. Half of a window later it is looked behind, and so is each
// piece of a backlog, and a list that has been wrong.
func TestAShortListIsLookedBehindNowAndThen(t *testing.T) {
	l := &pagingtest.Logins{Items: pagingtest.Connections(15)}
	reader := reader(serving(l), nil)
	requests := func(from time.Duration) int {
		l.Requests = 0
		logins, err := reader.Read(t.Context(), cursor.Window{From: noon.Add(from), To: noon.Add(from + 16*time.Minute)}, 5_000)
		require.NoError(t, err)
		pagingtest.RequireAll(t, l.Items, logins)
		return l.Requests
	}
	assert.Equal(t, 2, requests(0))
	assert.Equal(t, 1, requests(7*time.Minute))
	assert.Equal(t, 2, requests(-time.Hour), "an old window, in which open records are looked for")
	assert.Equal(t, 1, requests(-time.Hour), "and once more")
	assert.Equal(t, 1, requests(7*time.Minute), "the newest window is as it was")
	assert.Equal(t, 2, requests(8*time.Minute))
	assert.Equal(t, 2, requests(24*time.Minute))
	l.Items = pagingtest.Connections(16)
	assert.Equal(t, 2, requests(25*time.Minute), "a page of that length was not seen alone")
	assert.Equal(t, 1, requests(26*time.Minute))

	l.PageSize, l.Items = 20, pagingtest.Connections(45)
	requested := reader.Get
	reader.Get = func(ctx context.Context, q workspace.PageQuery) (int, []record.Login, error) {
		_, logins, err := requested(ctx, q)
		return q.Offset + len(logins), logins, err
	}
	assert.Greater(t, requests(40*time.Minute), 3)
	for i, n := range []int{20, 19, 18} {
		l.Items = pagingtest.Connections(n)
		assert.Greater(t, requests(time.Duration(41+i)*time.Minute), 1, "it has been wrong, though it comes true")
	}
}

// A server whose pages are small, and which counts only what it has given so far: that the newest
// window has just a page says nothing of an old one, in which open records are looked for.
func TestOnePageOfAWindowSaysNothingOfAnOldOne(t *testing.T) {
	for _, old := range []time.Duration{8 * time.Minute, time.Hour, 10 * 24 * time.Hour} {
		l := &pagingtest.Logins{PageSize: 50}
		r := reader(func(ctx context.Context, q workspace.PageQuery) (int, []record.Login, error) {
			_, logins, err := serving(l)(ctx, q)
			return q.Offset + len(logins), logins, err
		}, nil)
		from := noon
		for _, n := range []int{50, 120} {
			l.Items = pagingtest.Connections(n)
			logins, err := r.Read(t.Context(), cursor.Window{From: from, To: from.Add(16 * time.Minute)}, 0)
			require.NoError(t, err)
			pagingtest.RequireAll(t, l.Items, logins)
			from = from.Add(-old)
		}
	}
}

// A server that hides some rows of each page, and shows some twice: its pages have any length, and
// a short one need not be the last. What it counts may be the page.
func TestPagesOfAnyLength(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for i, claim := range lies(r) {
		for _, hidden := range []float64{0.05, 0.3} {
			t.Run(fmt.Sprintf("%d, %g hidden", i, hidden), func(t *testing.T) {
				var rows []record.Login
				var hides []bool
				var shown []record.UserConnection
				var mu sync.Mutex
				reader := reader(func(_ context.Context, q workspace.PageQuery) (int, []record.Login, error) {
					mu.Lock()
					defer mu.Unlock()
					var logins []record.Login
					for i := q.Offset; i < min(q.Offset+q.Limit, len(rows)); i++ {
						if !hides[i] {
							logins = append(logins, rows[i])
						}
					}
					if n := len(logins); n > 3 && r.IntN(20) == 0 {
						logins = append(logins, logins[n-3:]...)
					}
					return claim(len(shown), len(logins)), logins, nil
				}, nil)
				for range 6 {
					rows, hides, shown = nil, nil, nil
					for _, c := range pagingtest.Connections(40 + r.IntN(500)) {
						hide := r.Float64() < hidden
						if !hide {
							shown = append(shown, c)
						}
						rows, hides = append(rows, c.Login()), append(hides, hide)
					}
					logins, err := reader.Read(t.Context(), cursor.Window{From: noon, To: noon.Add(time.Minute)}, 0)
					if !errors.Is(err, ErrMoved) { // what was shown twice moves the list
						require.NoError(t, err)
						pagingtest.RequireAll(t, shown, logins)
					}
				}
			})
		}
	}
}

// lies are claims that are not of the window.
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

// What a claim costs that is too high, of a list whose claims have come true before.
func TestAClaimThatIsTrueNoLonger(t *testing.T) {
	for claim, most := range map[int]int{1_000_000: 15, 4_000: 100} {
		l := &pagingtest.Logins{Items: pagingtest.Connections(250)}
		r := reader(serving(l), nil)
		w := cursor.Window{From: noon, To: noon.Add(time.Hour)}
		_, err := r.Read(t.Context(), w, 5_000)
		require.NoError(t, err)
		require.True(t, r.claims.haveComeTrue())
		l.Count, l.Requests = func(int) int { return claim }, 0
		logins, err := r.Read(t.Context(), w, 5_000)
		require.NoError(t, err)
		pagingtest.RequireAll(t, l.Items, logins)
		assert.LessOrEqual(t, l.Requests, most, "a claim of %d", claim)
		l.Requests = 0
		_, err = r.Read(t.Context(), w, 5_000)
		require.NoError(t, err)
		assert.LessOrEqual(t, l.Requests, 10, "a list that is not believed any more")
	}
}
