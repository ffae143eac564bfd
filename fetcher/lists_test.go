package fetcher

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/fetcher/pagingtest"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// listing is a list of the API that does not change.
type listing[T any] struct {
	items []T
	tells int // how many more there are than it gives
	fails error

	mu      sync.Mutex
	queries []workspace.PageQuery
}

func (l *listing[T]) page(_ context.Context, q workspace.PageQuery) (*workspace.Page[T], error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queries = append(l.queries, q)
	if l.fails != nil && q.Offset > 0 {
		return nil, l.fails
	}
	rest := l.items[min(q.Offset, len(l.items)):]
	return &workspace.Page[T]{Count: len(l.items) + l.tells, Items: rest[:min(q.Limit, len(rest))]}, nil
}

type (
	desktopListing struct {
		listing[record.DesktopConnection]
	}
	sessionListing struct{ listing[record.SessionInfo] }
	accessListing  struct{ listing[record.AppUserAccess] }
)

func (l *desktopListing) ListDesktopConnections(ctx context.Context, q workspace.PageQuery) (*workspace.Page[record.DesktopConnection], error) {
	return l.page(ctx, q)
}

func (l *sessionListing) ListSessions(ctx context.Context, q workspace.PageQuery) (*workspace.Page[record.SessionInfo], error) {
	return l.page(ctx, q)
}

func (l *accessListing) ListAccessStatistics(ctx context.Context, q workspace.PageQuery) (*workspace.Page[record.AppUserAccess], error) {
	return l.page(ctx, q)
}

// numbered are raw records that differ in one field.
func numbered[T any, P RawRecord[T]](n int, field string) []T {
	items := make([]T, n)
	for i := range items {
		P(&items[i]).Set(field, strconv.Itoa(i))
	}
	return items
}

// requireList wants every item of lists of several lengths, by pages of a limit and in
// a window; wrong counts to show, and failures to be of the whole.
func requireList[T any, P RawRecord[T]](t *testing.T, l *listing[T], field string, limit int, asked cursor.Window, read func() (map[record.Identity]bool, error), mismatches *int, passes int) {
	t.Helper()
	for _, n := range []int{0, 1, limit, limit + 1, 3*limit + 7} {
		t.Run(fmt.Sprintf("%d", n), func(t *testing.T) {
			l.items, l.tells, l.fails, l.queries, *mismatches = numbered[T, P](n, field), 0, nil, nil, 0
			got, err := read()
			require.NoError(t, err)
			require.Len(t, got, n)
			require.Zero(t, *mismatches)
			require.LessOrEqual(t, len(l.queries), passes*(2+n/(limit-1)))
			for _, q := range l.queries {
				require.Equal(t, workspace.PageQuery{From: asked.From, To: asked.To, Limit: limit, Offset: q.Offset}, q)
			}

			l.tells = 3
			got, err = read()
			if n == 0 {
				require.ErrorIs(t, err, paging.ErrNoItems)
				return
			}
			require.NoError(t, err)
			require.Len(t, got, n)
			require.Equal(t, 1, *mismatches)
		})
	}
	l.tells, l.fails = 0, errFault
	got, err := read()
	require.ErrorIs(t, err, errFault)
	require.Empty(t, got)
}

func TestSessionsByPages(t *testing.T) {
	l, mismatches := &sessionListing{}, 0
	s := sessionPages(l, func() { mismatches++ })
	requireList(t, &l.listing, "id", pageLimit, cursor.Window{From: noon, To: noon.Add(time.Hour)}, func() (map[record.Identity]bool, error) {
		r, err := s.ReadAll(t.Context(), noon, noon.Add(time.Hour))
		assert.True(t, r.To.IsZero(), "the window that was asked for")
		return pagingtest.IDs(r.Sessions, func(s record.Session) record.Identity { return s.ID }), err
	}, &mismatches, 1)
}

// The API's windows include their ends; those of the poller do not.
func TestAccessStatisticsByPages(t *testing.T) {
	l, mismatches := &accessListing{}, 0
	a := accessPages(l, func() { mismatches++ })
	requireList(t, &l.listing, "username", pageLimit, cursor.Window{From: noon, To: noon.Add(time.Hour - time.Second)}, func() (map[record.Identity]bool, error) {
		r, err := a.ReadAll(t.Context(), noon, noon.Add(time.Hour))
		assert.True(t, r.To.IsZero(), "the window that was asked for")
		return pagingtest.IDs(r.Accesses, func(a record.Access) record.Identity { return a.ID }), err
	}, &mismatches, 2)
}

func TestDesktopConnectionsByPages(t *testing.T) {
	l, mismatches := &desktopListing{}, 0
	d := desktopPages(l, func() { mismatches++ })
	requireList(t, &l.listing, "transaction_id", 1000, cursor.Window{From: noon, To: noon.Add(time.Hour)}, func() (map[record.Identity]bool, error) {
		logins, err := gather(t.Context(), d, cursor.Window{From: noon, To: noon.Add(time.Hour)}, 0)
		return pagingtest.IDs(logins, pagingtest.LoginID), err
	}, &mismatches, 1)

	l.items, l.fails, l.queries = numbered[record.DesktopConnection](1001, "transaction_id"), nil, nil
	_, err := gather(t.Context(), desktopPages(l, nil), cursor.Window{From: noon, To: noon.Add(time.Hour)}, 1000)
	var many *paging.TooManyError
	require.ErrorAs(t, err, &many)
	assert.Equal(t, 1001, many.Count)
	assert.Len(t, l.queries, 1)
}

// Two users whose rows look the same are two rows.
func TestEqualRowsOfStatistics(t *testing.T) {
	l, mismatches := &accessListing{}, 0
	l.items = make([]record.AppUserAccess, 150)
	for i := range l.items {
		l.items[i].Set("username", "u"+strconv.Itoa(i/2))
		l.items[i].Set("access_failed_count", "2")
	}
	r, err := accessPages(l, func() { mismatches++ }).ReadAll(t.Context(), noon, noon.Add(time.Hour))
	require.NoError(t, err)
	assert.Len(t, r.Accesses, 150)
	assert.Zero(t, mismatches)
}

// lyingListing gives one session, and says that there are very many.
type lyingListing struct {
	count, calls int
}

func (l *lyingListing) ListSessions(_ context.Context, q workspace.PageQuery) (*workspace.Page[record.SessionInfo], error) {
	l.calls++
	items := numbered[record.SessionInfo](1, "id")
	return &workspace.Page[record.SessionInfo]{Count: l.count, Items: items[min(q.Offset, 1):]}, nil
}

// A count that no memory would hold costs neither memory nor requests.
func TestCountThatNoMemoryHolds(t *testing.T) {
	l := &lyingListing{count: 1<<31 - 1}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := sessionPages(l, func() {}).ReadAll(t.Context(), noon, noon.Add(time.Hour))
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	assert.Len(t, r.Sessions, 1)
	assert.LessOrEqual(t, l.calls, 6)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

func TestAPageIsLeftWhenThePollIs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	read := 0
	list := ListOf(func(context.Context, workspace.PageQuery) (*workspace.Page[record.UserConnection], error) {
		return &workspace.Page[record.UserConnection]{Items: make([]record.UserConnection, 100)}, nil
	}, 100, nil, func(*record.UserConnection) int {
		if read++; read == 10 {
			cancel()
		}
		return 0
	})
	_, _, err := list.Get(ctx, workspace.PageQuery{})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 10, read)
}

// What reads the lists of the API by pages. Mismatch may be nil where counts come true.

func loginPages(api interface {
	ListUserConnections(context.Context, workspace.PageQuery) (*workspace.Page[record.UserConnection], error)
}, mismatch func()) *LoginPages {
	return NewLoginPages(ListOf(api.ListUserConnections, pageLimit, nil, (*record.UserConnection).Login), mismatch, nil)
}

func desktopPages(api interface {
	ListDesktopConnections(context.Context, workspace.PageQuery) (*workspace.Page[record.DesktopConnection], error)
}, mismatch func()) *LoginPages {
	return NewLoginPages(ListOf(api.ListDesktopConnections, 1000, nil, (*record.DesktopConnection).Login), mismatch, nil)
}

func sessionPages(api interface {
	ListSessions(context.Context, workspace.PageQuery) (*workspace.Page[record.SessionInfo], error)
}, mismatch func()) *SessionPages {
	return NewSessionPages(ListOf(api.ListSessions, pageLimit, nil, (*record.SessionInfo).Session), mismatch)
}

func accessPages(api interface {
	ListAccessStatistics(context.Context, workspace.PageQuery) (*workspace.Page[record.AppUserAccess], error)
}, mismatch func()) *AccessPages {
	return NewAccessPages(ListOf(api.ListAccessStatistics, pageLimit, nil, (*record.AppUserAccess).Access), mismatch)
}
