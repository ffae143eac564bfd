package fetcher

import (
	"context"
	"time"

	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// maxWhole is the most records that are read by pages at once where no window can be
// cut: more than any project has in 30 days, and so few that a server that lies about
// their number cannot fill the memory.
const maxWhole = 1_000_000

// SessionPages reads sessions by pages.
type SessionPages struct {
	pages   *paging.Reader[record.Session]
	quota   quota
	partial *partialSnapshot // nil: none is under way
}

// NewSessionPages reads a list. Mismatch is as with NewLoginPages.
func NewSessionPages(list paging.List[record.Session], mismatch func()) *SessionPages {
	return &SessionPages{pages: &paging.Reader[record.Session]{List: list, Key: (*record.Session).Key, Mismatch: mismatch}}
}

// ReadAll implements WindowSource. The window is cut smaller if it has to be. What has been
// read of it outlives a failure; the reading says of which moment it is then.
func (s *SessionPages) ReadAll(ctx context.Context, from, to time.Time) (*record.Batch, error) {
	if s.partial == nil || time.Since(s.partial.at) > paging.KeptFor || s.partial.todo.To.After(to) {
		s.partial = s.begin(cursor.Window{From: from, To: to})
	}
	w := s.partial
	if w.done.Before(from.Add(time.Minute - cursor.ReachMargin)) {
		w.done, w.todo.From = from, from // the API has nothing older by now
	}
	for !w.over {
		piece, most := w.next(), w.most(s.quota.mostOr(maxWhole))
		sessions, err := s.pages.Read(ctx, piece, most)
		if workspace.IsThrottled(err) {
			s.quota.refused()
		}
		if err != nil && !w.adapt(err, most) {
			return &record.Batch{}, w.explain(err)
		}
		if err != nil {
			if err := w.test(ctx, s.ignoresWindow); err != nil {
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

func (s *SessionPages) ignoresWindow(ctx context.Context, w cursor.Window) (bool, error) {
	return s.pages.IgnoresWindow(ctx, w, func(s *record.Session) []time.Time {
		return []time.Time{s.PreConnect, s.Start, s.End, s.Updated}
	})
}

func (s *SessionPages) begin(w cursor.Window) *partialSnapshot {
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

// AccessPages reads access statistics by pages.
type AccessPages struct {
	NoTasks
	pages *paging.Reader[record.Access]
}

// NewAccessPages reads a list. Mismatch is as with NewLoginPages.
func NewAccessPages(list paging.List[record.Access], mismatch func()) *AccessPages {
	return &AccessPages{pages: &paging.Reader[record.Access]{List: list, Key: (*record.Access).Key, Mismatch: mismatch, Additive: true}}
}

// ReadAll implements WindowSource.
func (a *AccessPages) ReadAll(ctx context.Context, from, to time.Time) (*record.Batch, error) {
	// The API's windows include their ends, and ours must not overlap.
	accesses, err := a.pages.Read(ctx, cursor.Window{From: from, To: to.Add(-time.Second)}, maxWhole)
	return &record.Batch{Accesses: accesses}, err
}

// ListOf makes a list of records from the call that gets its pages, and what reads an
// item. Zone is that of times that tell none; nil is UTC.
func ListOf[R, T any, P RawRecord[R]](get func(context.Context, workspace.PageQuery) (*workspace.Page[R], error), limit int, zone *time.Location, read func(P) T) paging.List[T] {
	return paging.List[T]{Limit: limit, Get: func(ctx context.Context, q workspace.PageQuery) (int, []T, error) {
		page, err := get(ctx, q)
		if err != nil {
			return 0, nil, err
		}
		records := make([]T, len(page.Items))
		for i := range page.Items {
			if err := ctx.Err(); err != nil {
				return 0, nil, err // a hostile page may take long
			}
			item := P(&page.Items[i])
			item.SetZone(zone)
			records[i] = read(item)
		}
		return page.Count, records, nil
	}}
}
