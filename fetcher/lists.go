package fetcher

import (
	"context"
	"time"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
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
	NoTasks
	API      DesktopLister
	Mismatch func()
	Zone     *time.Location // of times that tell none; nil is UTC

	memory pagerMemory[record.Login, *record.Login]
}

// Read implements LoginReader.
func (d *DesktopConnections) Read(ctx context.Context, from, to time.Time, most int, handle HandlePart) error {
	if most > 0 {
		most = max(most, desktopPageLimit) // as with UserConnections
	}
	logins, err := d.pager().read(ctx, cursor.Window{From: from, To: to}, most)
	if err != nil {
		return err
	}
	return handle(to, logins)
}

func (d *DesktopConnections) pager() *pager[record.Login, *record.Login] {
	return &pager[record.Login, *record.Login]{limit: desktopPageLimit, mismatch: d.Mismatch, memory: &d.memory,
		list: listOf(d.API.ListDesktopConnections, inZone(d.Zone, (*record.DesktopConnection).Login))}
}

// IgnoresWindow implements LoginSource.
func (d *DesktopConnections) IgnoresWindow(ctx context.Context, w cursor.Window) (bool, error) {
	return d.pager().ignoresWindow(ctx, w, loginTimes)
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
	Zone     *time.Location // of times that tell none; nil is UTC

	memory  pagerMemory[record.Session, *record.Session]
	quota   quota
	partial *partialSnapshot // nil: none is under way
}

// ReadAll implements WindowSource. The window is cut smaller if it has to be. What has been
// read of it outlives a failure; the reading says of which moment it is then.
func (s *Sessions) ReadAll(ctx context.Context, from, to time.Time) (*record.Batch, error) {
	if s.partial == nil || time.Since(s.partial.at) > keptFor || s.partial.todo.To.After(to) {
		s.partial = s.begin(cursor.Window{From: from, To: to})
	}
	w := s.partial
	if w.done.Before(from.Add(time.Minute - cursor.ReachMargin)) {
		w.done, w.todo.From = from, from // the API has nothing older by now
	}
	r := pager[record.Session, *record.Session]{limit: pageLimit, mismatch: s.Mismatch, memory: &s.memory,
		list: listOf(s.API.ListSessions, inZone(s.Zone, (*record.SessionInfo).Session))}
	for !w.over {
		piece, most := w.next(), w.most(s.quota.mostOr(maxWhole))
		sessions, err := r.read(ctx, piece, most)
		if throttled(err) {
			s.quota.refused()
		}
		if err != nil && !w.adapt(err, most) {
			return &record.Batch{}, w.explain(err)
		}
		if err != nil {
			err = w.test(ctx, func(ctx context.Context, todo cursor.Window) (bool, error) {
				return r.ignoresWindow(ctx, todo, sessionTimes)
			})
			if err != nil {
				return &record.Batch{}, err
			}
			continue
		}
		w.add(sessions)
		w.read(piece, len(sessions), most)
		w.at, s.quota.length = time.Now(), w.length
	}
	s.partial = nil
	s.quota.kept()
	return w.reading(to), nil
}

func (s *Sessions) begin(w cursor.Window) *partialSnapshot {
	return &partialSnapshot{s.quota.begin(w, cursor.Seam, w.Length()), time.Now(), map[record.Identity]record.Session{}}
}

// partialSnapshot is what has been read of a snapshot.
type partialSnapshot struct {
	*pieces
	at       time.Time // when it got on
	sessions map[record.Identity]record.Session
}

// add takes the sessions of a piece. One that stands in two has changed in between.
func (p *partialSnapshot) add(sessions []record.Session) {
	for i := range sessions {
		if known, ok := p.sessions[sessions[i].ID]; !ok || !known.Updated.After(sessions[i].Updated) {
			p.sessions[sessions[i].ID] = sessions[i]
		}
	}
}

// reading is the snapshot, which was to end at a time.
func (p *partialSnapshot) reading(to time.Time) *record.Batch {
	r := &record.Batch{}
	if !p.todo.To.Equal(to) {
		r.To = p.todo.To
	}
	for id := range p.sessions {
		session := p.sessions[id]
		_ = r.AddSession(&session) // it has no error
	}
	return r
}

// AccessLister gets one page of access statistics; workspace.Client is one.
type AccessLister interface {
	ListAccessStatistics(context.Context, workspace.PageQuery) (*workspace.Page[record.AppUserAccess], error)
}

// AccessStatistics reads access statistics by pages, the JSON twin of system S4.
type AccessStatistics struct {
	NoTasks
	API      AccessLister
	Mismatch func()
	Zone     *time.Location // of times that tell none; nil is UTC

	memory pagerMemory[record.Access, *record.Access]
}

// ReadAll implements WindowSource.
func (a *AccessStatistics) ReadAll(ctx context.Context, from, to time.Time) (*record.Batch, error) {
	r := pager[record.Access, *record.Access]{limit: pageLimit, mismatch: a.Mismatch, memory: &a.memory, additive: true,
		list: listOf(a.API.ListAccessStatistics, inZone(a.Zone, (*record.AppUserAccess).Access))}
	// The API's windows include their ends, and ours must not overlap.
	accesses, err := r.read(ctx, cursor.Window{From: from, To: to.Add(-time.Second)}, maxWhole)
	return &record.Batch{Accesses: accesses}, err
}

// listOf makes the list of a pager from a call of the client and what reads an item.
func listOf[Raw, T any](call func(context.Context, workspace.PageQuery) (*workspace.Page[Raw], error), read func(*Raw) T) func(context.Context, cursor.Window, int, int) (int, []T, error) {
	return func(ctx context.Context, w cursor.Window, limit, offset int) (int, []T, error) {
		page, err := call(ctx, workspace.PageQuery{From: w.From, To: w.To, Limit: limit, Offset: offset})
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

// inZone reads records in whose times no zone is told.
func inZone[R, T any, P interface {
	*R
	SetZone(*time.Location)
}](zone *time.Location, read func(P) T) func(P) T {
	return func(raw P) T {
		raw.SetZone(zone)
		return read(raw)
	}
}
