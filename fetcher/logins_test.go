package fetcher

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

// list is the API's list of one window.
type list struct {
	mu       sync.Mutex
	items    []record.UserConnection
	size     int                                                   // most records in a page
	count    func(n int) int                                       // what the API says there are; nil tells the truth
	arrange  func([]record.UserConnection) []record.UserConnection // as this request sees the list
	before   func(*list)                                           // what happens before a request is served
	after    func(offset int) error
	requests int
}

func (l *list) ListUserConnections(ctx context.Context, q workspace.PageQuery) (*workspace.Page[record.UserConnection], error) {
	if q.Limit < 1 || q.Limit > pageLimit || q.Offset < 0 {
		return nil, fmt.Errorf("the API has no page of %d at %d", q.Limit, q.Offset)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	if l.before != nil {
		l.before(l)
	}
	items := l.items
	if l.arrange != nil {
		items = l.arrange(slices.Clone(items))
	}
	page := &workspace.Page[record.UserConnection]{Count: len(items)}
	if l.count != nil {
		page.Count = l.count(len(items))
	}
	begin := min(q.Offset, len(items))
	page.Items = slices.Clone(items[begin:min(begin+min(q.Limit, orDefault(l.size, pageLimit)), len(items))])
	if l.after != nil {
		return page, l.after(q.Offset)
	}
	return page, nil
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// connection is a record of which only the id matters. Its version is the code.
func connection(id, version int) record.UserConnection {
	var c record.UserConnection
	c.Set("id", strconv.Itoa(id))
	c.Set("failed_code", strconv.Itoa(version))
	return c
}

func connections(n int) []record.UserConnection {
	items := make([]record.UserConnection, n)
	for i := range items {
		items[i] = connection(i, 0)
	}
	return items
}

func identity(c record.UserConnection) record.Identity { return c.Login().ID }

// identities are the records of a list, each once.
func identities[T any](items []T, of func(T) record.Identity) map[record.Identity]bool {
	ids := map[record.Identity]bool{}
	for _, item := range items {
		ids[of(item)] = true
	}
	return ids
}

func loginID(l record.Login) record.Identity { return l.ID }

// requireAll wants all of a list, and nothing else, in what was read.
func requireAll(t *testing.T, want []record.UserConnection, got []record.Login) {
	t.Helper()
	read := identities(got, loginID)
	for i, c := range want {
		require.True(t, read[identity(c)], "number %d of %d is missing", i, len(want))
	}
	require.Len(t, slices.Collect(maps.Keys(read)), len(identities(want, identity)), "made up")
}
