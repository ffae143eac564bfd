package pagingtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Limit is how many records the API gives in a page at most.
const Limit = 100

// Logins is the API's list of one window. Its mutex is held while it serves a request.
type Logins struct {
	sync.Mutex
	Items    []record.UserConnection
	PageSize int                                                   // most records in a page; 0 is Limit
	Count    func(n int) int                                       // what the API says there are; nil tells the truth
	Arrange  func([]record.UserConnection) []record.UserConnection // as this request sees the list
	Before   func(*Logins)                                         // what happens before a request is served
	After    func(offset int) error                                // what a request comes to
	Requests int
}

// ListUserConnections is one request.
func (l *Logins) ListUserConnections(ctx context.Context, q workspace.PageQuery) (*workspace.Page[record.UserConnection], error) {
	if q.Limit < 1 || q.Limit > Limit || q.Offset < 0 {
		return nil, fmt.Errorf("the API has no page of %d at %d", q.Limit, q.Offset)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.Lock()
	defer l.Unlock()
	l.Requests++
	if l.Before != nil {
		l.Before(l)
	}
	items := l.Items
	if l.Arrange != nil {
		items = l.Arrange(slices.Clone(items))
	}
	page := &workspace.Page[record.UserConnection]{Count: len(items)}
	if l.Count != nil {
		page.Count = l.Count(len(items))
	}
	size := l.PageSize
	if size == 0 {
		size = Limit
	}
	begin := min(q.Offset, len(items))
	page.Items = slices.Clone(items[begin:min(begin+min(q.Limit, size), len(items))])
	if l.After != nil {
		return page, l.After(q.Offset)
	}
	return page, nil
}

// Connection is a record of which only the id matters. Its version is the code.
func Connection(id, version int) record.UserConnection {
	var c record.UserConnection
	c.Set("id", strconv.Itoa(id))
	c.Set("failed_code", strconv.Itoa(version))
	return c
}

// Connections are n records, of the ids 0 to n-1.
func Connections(n int) []record.UserConnection {
	items := make([]record.UserConnection, n)
	for i := range items {
		items[i] = Connection(i, 0)
	}
	return items
}

// ConnectionID is the identity of a record.
func ConnectionID(c record.UserConnection) record.Identity { return c.Login().ID }

// LoginID is the identity of a login.
func LoginID(l record.Login) record.Identity { return l.ID }

// IDs are the identities of a list, each once.
func IDs[T any](items []T, of func(T) record.Identity) map[record.Identity]bool {
	ids := map[record.Identity]bool{}
	for _, item := range items {
		ids[of(item)] = true
	}
	return ids
}

// RequireAll wants all of a list, and nothing else, in what was read.
func RequireAll(t *testing.T, want []record.UserConnection, got []record.Login) {
	t.Helper()
	read := IDs(got, LoginID)
	for i, c := range want {
		require.True(t, read[ConnectionID(c)], "number %d of %d is missing", i, len(want))
	}
	require.Len(t, slices.Collect(maps.Keys(read)), len(IDs(want, ConnectionID)), "made up")
}
