package fetcher

import (
	"context"
	"time"

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
	List     List[record.Session]
	Mismatch func()

	memory  pagerMemory[record.Session, *record.Session]
	quota   quota
	partial *partialSnapshot // nil: none is under way
}

// ReadAll implements WindowSource. The window is cut smaller if it has to be. What has been
// read of it outlives a failure; the reading says of which moment it is then.
func (s *SessionPages) ReadAll(ctx context.Context, from, to time.Time) (*record.Batch, error) {
	if s.partial == nil || time.Since(s.partial.at) > keptFor || s.partial.todo.To.After(to) {
		s.partial = s.begin(cursor.Window{From: from, To: to})
	}
	w := s.partial
	if w.done.Before(from.Add(time.Minute - cursor.ReachMargin)) {
		w.done, w.todo.From = from, from // the API has nothing older by now
	}
	r := pager[record.Session, *record.Session]{limit: s.List.Limit, mismatch: s.Mismatch, memory: &s.memory, list: s.List.page}
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

func (s *SessionPages) begin(w cursor.Window) *partialSnapshot {
	return &partialSnapshot{s.quota.begin(w, cursor.Seam, w.To.Sub(w.From)), time.Now(), map[record.Identity]record.Session{}}
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
	List     List[record.Access]
	Mismatch func()

	memory pagerMemory[record.Access, *record.Access]
}

// ReadAll implements WindowSource.
func (a *AccessPages) ReadAll(ctx context.Context, from, to time.Time) (*record.Batch, error) {
	r := pager[record.Access, *record.Access]{limit: a.List.Limit, mismatch: a.Mismatch, memory: &a.memory, additive: true, list: a.List.page}
	// The API's windows include their ends, and ours must not overlap.
	accesses, err := r.read(ctx, cursor.Window{From: from, To: to.Add(-time.Second)}, maxWhole)
	return &record.Batch{Accesses: accesses}, err
}

// List gets pages of records.
type List[T any] struct {
	// Limit is the most records in one page.
	Limit int
	// Get gets one page; count is -1 if the answer does not say.
	Get func(context.Context, workspace.PageQuery) (count int, records []T, err error)
}

func (l *List[T]) page(ctx context.Context, w cursor.Window, limit, offset int) (int, []T, error) {
	return l.Get(ctx, workspace.PageQuery{From: w.From, To: w.To, Limit: limit, Offset: offset})
}

// ListOf makes a list of records from the call that gets its pages, and what reads an
// item. Zone is that of times that tell none; nil is UTC.
func ListOf[R, T any, P RawRecord[R]](get func(context.Context, workspace.PageQuery) (*workspace.Page[R], error), limit int, zone *time.Location, read func(P) T) List[T] {
	return List[T]{limit, func(ctx context.Context, q workspace.PageQuery) (int, []T, error) {
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
