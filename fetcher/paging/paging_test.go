package paging

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/workspace-exporter/workspace_exporter/fetcher/pagingtest"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

const limit = pagingtest.Limit

// getter gets a page of logins.
type getter func(context.Context, workspace.PageQuery) (int, []record.Login, error)

// serving gets the pages of a list.
func serving(l *pagingtest.Logins) getter {
	return func(ctx context.Context, q workspace.PageQuery) (int, []record.Login, error) {
		page, err := l.ListUserConnections(ctx, q)
		if err != nil {
			return 0, nil, err
		}
		var logins []record.Login
		for _, c := range page.Items {
			logins = append(logins, c.Login())
		}
		return page.Count, logins, nil
	}
}

// reader is a reader of a list of logins, which calls mismatch; nil is nobody.
func reader(get getter, mismatch func()) *Reader[record.Login] {
	if mismatch == nil {
		mismatch = func() {}
	}
	return &Reader[record.Login]{List: List[record.Login]{Limit: limit, Get: get}, Key: (*record.Login).Key, Mismatch: mismatch}
}

// read reads a list, and tells how often Mismatch was called.
func read(t *testing.T, l *pagingtest.Logins, most int) (logins []record.Login, mismatches int, err error) {
	t.Helper()
	logins, err = reader(serving(l), func() { mismatches++ }).Read(t.Context(), cursor.Window{From: noon, To: noon.Add(time.Hour)}, most)
	return logins, mismatches, err
}

func TestReadsEveryRecord(t *testing.T) {
	for _, n := range []int{0, 1, 2, 99, 100, 101, 199, 200, 250, 1234} {
		for _, size := range []int{0, 1, 2, 3, 50, 99} {
			if n/cmp.Or(size, 100) > 70 {
				continue
			}
			t.Run(fmt.Sprintf("%d by %d", n, cmp.Or(size, 100)), func(t *testing.T) {
				for _, descending := range []bool{false, true} {
					l := &pagingtest.Logins{Items: pagingtest.Connections(n), PageSize: size}
					if descending {
						slices.Reverse(l.Items)
					}
					logins, mismatches, err := read(t, l, 0)
					require.NoError(t, err)
					pagingtest.RequireAll(t, l.Items, logins)
					assert.Len(t, logins, n)
					assert.Zero(t, mismatches)
				}
			})
		}
	}
}

func TestRequests(t *testing.T) {
	// Where a page may be the last one or not, one more is asked for: a full one, whatever the
	// count says, and a short one as long as it is not known that the others have one length.
	for n, want := range map[int]struct{ first, later int }{0: {1, 1}, 1: {2, 1}, 60: {2, 1}, 100: {2, 2}, 101: {3, 2}, 199: {3, 3}, 200: {4, 3}, 1234: {13, 13}} {
		l := &pagingtest.Logins{Items: pagingtest.Connections(n)}
		_, _, err := read(t, l, 0)
		require.NoError(t, err)
		assert.Equal(t, want.first, l.Requests, "%d records", n)

		reader := reader(serving(l), nil)
		for _, before := range []int{350, 450, 550, n} {
			l.Items, l.Requests = pagingtest.Connections(before), 0
			_, err = reader.Read(t.Context(), cursor.Window{From: noon, To: noon.Add(time.Hour)}, 0)
			require.NoError(t, err)
		}
		assert.Equal(t, want.later, l.Requests, "%d records", n)
	}
}

// An API that sorts by the second alone may give the records of one second in another
// order each time, or another one for each page but always the same.
func TestRecordsOfOneSecond(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	shuffle := func(items []record.UserConnection) []record.UserConnection {
		r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		return items
	}
	for range 10 {
		l := &pagingtest.Logins{Items: pagingtest.Connections(250), Arrange: shuffle}
		logins, mismatches, err := read(t, l, 0)
		if !errors.Is(err, ErrMoved) { // chance; a later poll has another
			require.NoError(t, err)
			pagingtest.RequireAll(t, l.Items, logins)
		}
		require.Zero(t, mismatches)
		require.LessOrEqual(t, l.Requests, maxPasses*4)
	}
}

// Many records of one second, in another order for each page: a true count proves that all were
// seen, and a false one proves nothing, though so many were seen at some time.
func TestAShuffledListIsWholeOrNotDone(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	shuffle := func(items []record.UserConnection) []record.UserConnection {
		r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		return items
	}
	for name, c := range map[string]struct {
		n, readings int
		count       func(n int) int
		least       int // of the readings are done
	}{
		"true":              {700, 8, nil, 1}, // chance; a later poll has another
		"that of the page":  {150, 30, func(int) int { return 100 }, 0},
		"too small":         {300, 25, func(n int) int { return n - n/3 }, 0},
		"too small by one":  {300, 4, func(n int) int { return n - 1 }, 0},
		"too large by one":  {300, 4, func(n int) int { return n + 1 }, 0},
		"another each time": {150, 30, func(n int) int { return r.IntN(2*n + 3) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			done := 0
			for range c.readings {
				l := &pagingtest.Logins{Items: pagingtest.Connections(c.n), Count: c.count, Arrange: shuffle}
				logins, _, err := read(t, l, 0)
				if err == nil {
					pagingtest.RequireAll(t, l.Items, logins)
					done++
					continue
				}
				require.ErrorIs(t, err, ErrMoved)
			}
			require.GreaterOrEqual(t, done, c.least)
		})
	}
}

// A second cannot be cut. Where its list ends, and not what it claims, says how many records there
// are in it; one page of them needs few requests.
func TestAShuffledSecond(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for i, claim := range lies(r) {
		for _, n := range []int{11, 100, 130, 400} {
			t.Run(fmt.Sprintf("%d of %d", i, n), func(t *testing.T) {
				l := &pagingtest.Logins{Items: pagingtest.Connections(n), Arrange: func(items []record.UserConnection) []record.UserConnection {
					r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
					return items
				}}
				reader := reader(func(ctx context.Context, q workspace.PageQuery) (int, []record.Login, error) {
					_, logins, err := serving(l)(ctx, q)
					l.Lock()
					defer l.Unlock()
					return claim(n, len(logins)), logins, err
				}, nil)
				for range 20 { // chance: nearly always the first is done
					logins, err := reader.Read(t.Context(), cursor.Window{From: noon, To: noon.Add(cursor.Second)}, 500_000)
					if err == nil {
						pagingtest.RequireAll(t, pagingtest.Connections(n), logins)
						return
					}
					require.ErrorIs(t, err, ErrMoved)
				}
				t.Fatal("never done")
			})
		}
	}
}

// An API that leaves a record out of a page, and of where it looks behind that page, and says
// nothing of how many there are.
func TestOnePageWithoutACountIsReadAgain(t *testing.T) {
	for _, left := range []int{0, 30, 59} {
		l := &pagingtest.Logins{Items: pagingtest.Connections(60), Count: func(int) int { return -1 }}
		l.Arrange = func(items []record.UserConnection) []record.UserConnection {
			if l.Requests <= 2 {
				return slices.Delete(items, left, left+1)
			}
			return items
		}
		logins, mismatches, err := read(t, l, 0)
		require.NoError(t, err)
		pagingtest.RequireAll(t, l.Items, logins)
		assert.Zero(t, mismatches)
	}
}

// A list whose order is another one for each offset, but always the same.
func TestOrderThatDependsOnTheOffset(t *testing.T) {
	items := pagingtest.Connections(250)
	byOffset := func(ctx context.Context, q workspace.PageQuery) (int, []record.Login, error) {
		r := rand.New(rand.NewPCG(uint64(q.Offset), 0))
		turned := slices.Clone(items)
		r.Shuffle(len(turned), func(i, j int) { turned[i], turned[j] = turned[j], turned[i] })
		return serving(&pagingtest.Logins{Items: turned})(ctx, q)
	}
	logins, err := reader(byOffset, func() { t.Error("a mismatch") }).Read(t.Context(), cursor.Window{From: noon, To: noon}, 0)
	if err == nil {
		pagingtest.RequireAll(t, items, logins)
		return
	}
	require.ErrorIs(t, err, ErrMoved, "what cannot be proved must not pass for whole")
}

func TestCountThatIsNotTrue(t *testing.T) {
	for name, c := range map[string]struct {
		n, size  int
		count    func(int) int
		mismatch int
	}{
		"missing, no record":     {0, 0, func(int) int { return -1 }, 0},
		"missing, one record":    {1, 0, func(int) int { return -1 }, 0},
		"missing, one page":      {60, 0, func(int) int { return -1 }, 0},
		"missing, full page":     {100, 0, func(int) int { return -1 }, 0},
		"missing":                {634, 0, func(int) int { return -1 }, 0},
		"missing, small pages":   {123, 50, func(int) int { return -1 }, 0},
		"high":                   {634, 0, func(n int) int { return n + 7 }, 1},
		"high by pages":          {634, 0, func(n int) int { return n + 400 }, 1},
		"high, one page":         {5, 0, func(n int) int { return n + 7 }, 1},
		"low":                    {634, 0, func(n int) int { return n - 7 }, 1},
		"low by pages":           {634, 0, func(n int) int { return n - 500 }, 1},
		"low, first page":        {634, 0, func(int) int { return 3 }, 1},
		"low, one page":          {5, 0, func(n int) int { return n - 1 }, 1},
		"zero":                   {634, 0, func(int) int { return 0 }, 1},
		"another each time":      {634, 0, func() func(int) int { i := 0; return func(n int) int { i++; return n + i%3 + 1 } }(), 1},
		"the API gives one less": {633, 0, func(n int) int { return n + 1 }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := &pagingtest.Logins{Items: pagingtest.Connections(c.n), PageSize: c.size, Count: c.count}
			logins, mismatches, err := read(t, l, 0)
			require.NoError(t, err)
			pagingtest.RequireAll(t, l.Items, logins)
			assert.Equal(t, c.mismatch, mismatches)
			assert.LessOrEqual(t, l.Requests, 2*(2+(c.n+500)/(cmp.Or(c.size, 100)-2)))
		})
	}
}

// A source that repeats an id is done after the second reading.
func TestRepeatedID(t *testing.T) {
	l := &pagingtest.Logins{Items: pagingtest.Connections(150)}
	l.Items[120] = l.Items[20]
	logins, mismatches, err := read(t, l, 0)
	require.NoError(t, err)
	assert.Len(t, pagingtest.IDs(logins, pagingtest.LoginID), 149)
	assert.Equal(t, 1, mismatches)
	assert.Equal(t, 6, l.Requests)
}

// A server that takes no notice of the offset must neither pass for done nor be asked
// for ever.
func TestOffsetIgnored(t *testing.T) {
	for _, count := range []int{-1, 250} {
		l := &pagingtest.Logins{Items: pagingtest.Connections(100), Count: func(int) int { return count }}
		_, err := reader(func(ctx context.Context, q workspace.PageQuery) (int, []record.Login, error) {
			q.Offset = 0
			return serving(l)(ctx, q)
		}, nil).Read(t.Context(), cursor.Window{From: noon, To: noon}, 0)
		require.ErrorIs(t, err, ErrMoved)
		assert.LessOrEqual(t, l.Requests, maxPasses*4)
	}
}

// One that has all it claims in a page is read.
func TestOffsetIgnoredByAShortList(t *testing.T) {
	l := &pagingtest.Logins{Items: pagingtest.Connections(42)}
	logins, err := reader(func(ctx context.Context, q workspace.PageQuery) (int, []record.Login, error) {
		q.Offset = 0
		return serving(l)(ctx, q)
	}, nil).Read(t.Context(), cursor.Window{From: noon, To: noon}, 0)
	require.NoError(t, err)
	pagingtest.RequireAll(t, l.Items, logins)
}

// Records that vanish at once, each time in the middle of the reading, are never seen
// twice: nothing can be proved.
func TestNeverHoldsStill(t *testing.T) {
	next := 1000
	l := &pagingtest.Logins{Items: pagingtest.Connections(250), Before: func(l *pagingtest.Logins) {
		for i := range l.Items {
			l.Items[i] = pagingtest.Connection(next, 0)
			next++
		}
	}}
	_, mismatches, err := read(t, l, 0)
	require.ErrorIs(t, err, ErrMoved)
	assert.Zero(t, mismatches)
	assert.LessOrEqual(t, l.Requests, maxPasses*4)
}

// A list that grows faster than it can be read twice is done after few passes.
func TestGrowsAllTheTime(t *testing.T) {
	next := 10_000
	l := &pagingtest.Logins{Items: pagingtest.Connections(1234), Before: func(l *pagingtest.Logins) {
		if next++; next%20 == 5 {
			l.Items = slices.Insert(l.Items, 0, pagingtest.Connection(next, 0))
		}
	}}
	logins, _, err := read(t, l, 0)
	require.NoError(t, err)
	pagingtest.RequireAll(t, l.Items, logins)
	assert.LessOrEqual(t, l.Requests, 3*14)
}

func TestTooMany(t *testing.T) {
	var many *TooManyError
	l := &pagingtest.Logins{Items: pagingtest.Connections(251)}
	_, _, err := read(t, l, 250)
	require.ErrorAs(t, err, &many)
	assert.Equal(t, 251, many.Count)
	assert.Equal(t, 2, l.Requests, "the first page, and whether there is one more than that")

	l = &pagingtest.Logins{Items: pagingtest.Connections(250)}
	_, _, err = read(t, l, 250)
	require.NoError(t, err)

	l = &pagingtest.Logins{Items: pagingtest.Connections(1234), Count: func(int) int { return -1 }}
	_, _, err = read(t, l, 250)
	require.ErrorAs(t, err, &many)
	assert.Equal(t, 3, l.Requests, "without a count, only reading tells")
}

func TestMalformedItems(t *testing.T) {
	l := &pagingtest.Logins{Items: pagingtest.Connections(98)}
	for _, text := range []string{`null`, `1`, `"x"`, `null`, `[]`} {
		var c record.UserConnection
		require.NoError(t, json.Unmarshal([]byte(text), &c))
		l.Items = append(l.Items, c)
	}
	logins, mismatches, err := read(t, l, 0)
	require.NoError(t, err)
	assert.Len(t, pagingtest.IDs(logins, pagingtest.LoginID), 103, "two that look the same are two")
	assert.Zero(t, mismatches)
	again, _, err := read(t, l, 0)
	require.NoError(t, err)
	assert.Equal(t, pagingtest.IDs(logins, pagingtest.LoginID), pagingtest.IDs(again, pagingtest.LoginID), "and the same two at the next reading")
}

func TestErrorsEndTheReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := &workspace.Error{Operation: "ListUserConnection", Status: 503}
		l := &pagingtest.Logins{Items: pagingtest.Connections(1234)}
		u := reader(slow(l, func(ctx context.Context, offset int) error {
			switch offset {
			case 0, 99:
				return nil
			case 198:
				return refused
			}
			<-ctx.Done() // the others wait, until they are cancelled
			return ctx.Err()
		}), nil)
		_, err := u.Read(t.Context(), cursor.Window{From: noon, To: noon}, 0)
		require.ErrorIs(t, err, refused)
	})
}

// slow is a list that does something before a request is served.
func slow(l *pagingtest.Logins, wait func(ctx context.Context, offset int) error) getter {
	return func(ctx context.Context, q workspace.PageQuery) (int, []record.Login, error) {
		if err := wait(ctx, q.Offset); err != nil {
			return 0, nil, err
		}
		return serving(l)(ctx, q)
	}
}

// mover moves a list between any two requests.
type mover struct {
	*rand.Rand
	insert, remove, move, update, shuffle bool
	calm                                  int // requests after which nothing moves
	next                                  int

	there, ever map[record.Identity]bool // all the time; ever
}

func (m *mover) stir(l *pagingtest.Logins) {
	if l.Requests == 1 {
		m.there, m.ever = pagingtest.IDs(l.Items, pagingtest.ConnectionID), pagingtest.IDs(l.Items, pagingtest.ConnectionID)
	}
	if l.Requests > m.calm {
		return
	}
	for range m.IntN(4) {
		if m.insert {
			m.next++
			c := pagingtest.Connection(m.next, 0)
			m.ever[pagingtest.ConnectionID(c)] = true
			l.Items = slices.Insert(l.Items, m.IntN(len(l.Items)+1), c)
		}
		if n := len(l.Items); m.remove && n > 0 {
			i := m.IntN(n)
			delete(m.there, pagingtest.ConnectionID(l.Items[i]))
			l.Items = slices.Delete(l.Items, i, i+1)
		}
		if n := len(l.Items); m.move && n > 0 {
			i := m.IntN(n)
			c := l.Items[i]
			l.Items = slices.Insert(slices.Delete(l.Items, i, i+1), m.IntN(n), c)
		}
		if n := len(l.Items); m.update && n > 0 {
			l.Items[m.IntN(n)].Set("failed_code", strconv.Itoa(m.next))
		}
	}
	if m.shuffle {
		m.Shuffle(len(l.Items), func(i, j int) { l.Items[i], l.Items[j] = l.Items[j], l.Items[i] })
	}
}

// Whatever was in the list all the time while it was read is returned, and nothing
// that never was in it; pages are served at once and in any order.
func TestNothingIsLostWhileTheListMoves(t *testing.T) {
	done, moved := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		m := &mover{next: 100_000, update: true, calm: rapid.SampledFrom([]int{3, 10, 30, 10_000}).Draw(rt, "calm"),
			Rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))}
		switch rapid.IntRange(0, 4).Draw(rt, "kind") {
		case 0:
			m.insert, m.remove = true, true
		case 1:
			m.insert, m.move = true, true
		case 2:
			m.remove, m.move = true, true
		case 3:
			m.move = true
		case 4:
			m.shuffle = true
		}
		l := &pagingtest.Logins{Items: pagingtest.Connections(rapid.IntRange(0, 60).Draw(rt, "records")), PageSize: rapid.IntRange(5, 20).Draw(rt, "size"), Before: m.stir}
		var logins []record.Login
		var err error
		synctest.Test(t, func(t *testing.T) {
			u := reader(slow(l, func(context.Context, int) error {
				l.Lock()
				wait := time.Duration(m.IntN(100)) * time.Millisecond
				l.Unlock()
				time.Sleep(wait)
				return nil
			}), nil)
			logins, err = u.Read(t.Context(), cursor.Window{From: noon, To: noon}, 0)
		})
		if err != nil {
			require.ErrorIs(rt, err, ErrMoved)
			require.Greater(rt, m.calm, 10, "it did hold still at last")
			moved++
			return
		}
		done++
		got := pagingtest.IDs(logins, pagingtest.LoginID)
		for id := range m.there {
			require.True(rt, got[id], "a record is lost")
		}
		for id := range got {
			require.True(rt, m.ever[id], "a record is made up")
		}
	})
	t.Logf("%d readings done, %d lists never held still", done, moved)
}

// Two records vanish and two appear while pages are read, the last one before the
// middle one: one is lost, and yet there are as many as the count says. The seam tells.
func TestCountAloneProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &pagingtest.Logins{Items: pagingtest.Connections(250), Before: func(l *pagingtest.Logins) {
			if l.Requests == 3 {
				l.Items = append(slices.Insert(slices.Delete(l.Items, 0, 2), 150, pagingtest.Connection(1000, 0)), pagingtest.Connection(1001, 0))
			}
		}}
		u := reader(slow(l, func(_ context.Context, offset int) error {
			time.Sleep(time.Duration(1000 - offset))
			return nil
		}), nil)
		logins, err := u.Read(t.Context(), cursor.Window{From: noon, To: noon}, 0)
		require.NoError(t, err)
		assert.True(t, pagingtest.IDs(logins, pagingtest.LoginID)[pagingtest.ConnectionID(pagingtest.Connection(100, 0))])
		assert.Equal(t, 8, l.Requests)
	})
}

// A record that moves, one that vanishes and one that appears, all between two pages,
// look like nothing at all. Several passes together see it.
func TestPassesHoldTogether(t *testing.T) {
	saw := func(claim int, ids ...byte) *pass { return brokenPass(claim, ids...) }
	instantOf := func(passes ...*pass) int { return (&evidence{passes}).sightings().instant(false) }
	assert.False(t, instantOf(saw(3, 1, 2, 3)) > 0, "one pass proves nothing this way")
	assert.True(t, instantOf(saw(3, 1, 2, 3), saw(3, 1, 2, 3)) > 0)
	assert.False(t, instantOf(saw(3, 1, 2), saw(3, 1, 2, 3)) > 0, "3 may have come later, and another be missing")
	later := saw(2, 1, 2, 3)
	assert.False(t, instantOf(saw(2, 1, 2), later) > 0, "3 came later, and no claim has grown")
	later.claims[1] = 3
	assert.True(t, instantOf(saw(2, 1, 2), later) > 0, "3 came later")
	assert.True(t, instantOf(saw(4, 1, 2, 3, 4), saw(3, 1, 2, 3)) > 0, "4 is gone")
	assert.True(t, instantOf(saw(3, 1, 2), saw(3, 3), saw(3, 1), saw(3, 2, 3)) > 0, "before the third and after")
	assert.False(t, instantOf(saw(3, 1, 2), saw(3, 3), saw(3, 1), saw(3, 2)) > 0)
}

// brokenPass is a pass that proves nothing by itself.
func brokenPass(claim int, ids ...byte) *pass {
	p := &pass{claims: []int{claim, claim}, overlaps: []overlap{overlapNone}, ids: map[record.Identity]struct{}{}}
	for _, id := range ids {
		p.order = append(p.order, record.Identity{id})
		p.ids[record.Identity{id}] = struct{}{}
	}
	return p
}

// A claim that was seen to mean nothing proves nothing, even if it comes true.
func TestDistrustedClaimProvesNothing(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		e := &evidence{}
		for range 2 { // each saw three of a list that is longer
			e.passes = append(e.passes, brokenPass(3, 1, 2, 3))
			how, _ := e.prove(false, trusted)
			assert.Equal(t, trusted && len(e.passes) == 2, how == byInstant)
			assert.Equal(t, how == byInstant, how != unproved)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	l := &pagingtest.Logins{Items: pagingtest.Connections(1234)}
	u := reader(serving(l), nil)
	for b.Loop() {
		if _, err := u.Read(b.Context(), cursor.Window{From: noon, To: noon}, 0); err != nil {
			b.Fatal(err)
		}
	}
}
