package fetcher

import (
	"context"
	"time"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// desktopPageLimit is the most desktop connections that the API gives in one page.
const desktopPageLimit = 1000

// DesktopLister gets one page of desktop connections; workspace.Client is one.
type DesktopLister interface {
	ListDesktopConnections(context.Context, workspace.PageQuery) (*workspace.Page[record.DesktopConnection], error)
}

// DesktopConnections reads desktop connections by pages, the JSON twin of system S5.
type DesktopConnections struct {
	API      DesktopLister
	Mismatch func()
}

// Read implements Source.
func (d *DesktopConnections) Read(ctx context.Context, from, to time.Time, most int, take Take) error {
	r := pager[record.Login, *record.Login]{limit: desktopPageLimit, mismatch: d.Mismatch,
		list: listOf(d.API.ListDesktopConnections, (*record.DesktopConnection).Login)}
	logins, err := r.read(ctx, window{from, to}, most)
	if err != nil {
		return err
	}
	return take(to, logins)
}

// maxWhole is the most records that are read by pages at once where no window can be
// cut: more than any project has in 30 days, and so few that a server that lies about
// their number cannot fill the memory.
const maxWhole = 1_000_000

// SessionLister gets one page of sessions; workspace.Client is one.
type SessionLister interface {
	ListSessions(context.Context, workspace.PageQuery) (*workspace.Page[record.SessionInfo], error)
}

// Sessions reads sessions by pages, the JSON twin of system S3.
type Sessions struct {
	API      SessionLister
	Mismatch func()
}

// ReadAll implements WholeSource.
func (s *Sessions) ReadAll(ctx context.Context, from, to time.Time) (*record.Reading, error) {
	r := pager[record.Session, *record.Session]{limit: pageLimit, mismatch: s.Mismatch,
		list: listOf(s.API.ListSessions, (*record.SessionInfo).Session)}
	sessions, err := r.read(ctx, window{from, to}, maxWhole)
	return &record.Reading{Sessions: sessions}, err
}

// AccessLister gets one page of access statistics; workspace.Client is one.
type AccessLister interface {
	ListAccessStatistics(context.Context, workspace.PageQuery) (*workspace.Page[record.AppUserAccess], error)
}

// AccessStatistics reads access statistics by pages, the JSON twin of system S4.
type AccessStatistics struct {
	API      AccessLister
	Mismatch func()
}

// ReadAll implements WholeSource.
func (a *AccessStatistics) ReadAll(ctx context.Context, from, to time.Time) (*record.Reading, error) {
	r := pager[record.Access, *record.Access]{limit: pageLimit, mismatch: a.Mismatch,
		list: listOf(a.API.ListAccessStatistics, (*record.AppUserAccess).Access)}
	// The API's windows include their ends, and ours must not overlap.
	accesses, err := r.read(ctx, window{from, to.Add(-time.Second)}, maxWhole)
	return &record.Reading{Accesses: accesses}, err
}

// listOf makes the list of a pager from a call of the client and what reads an item.
func listOf[Raw, T any](call func(context.Context, workspace.PageQuery) (*workspace.Page[Raw], error), read func(*Raw) T) func(context.Context, window, int, int) (int, []T, error) {
	return func(ctx context.Context, w window, limit, offset int) (int, []T, error) {
		page, err := call(ctx, workspace.PageQuery{From: w.from, To: w.to, Limit: limit, Offset: offset})
		if err != nil {
			return 0, nil, err
		}
		items := make([]T, len(page.Items))
		for i := range page.Items {
			if err := ctx.Err(); err != nil {
				return 0, nil, err // a hostile page may take long
			}
			items[i] = read(&page.Items[i])
		}
		return page.Count, items, nil
	}
}
