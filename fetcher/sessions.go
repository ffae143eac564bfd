package fetcher

import (
	"context"
	"io"
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
		if err != nil && !w.adapt(piece, err, most) {
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

// SessionExports reads sessions by export task.
type SessionExports struct {
	Export
	File File[record.Session]
}

// ReadAll implements WindowSource. A task that is under way for a window that ended
// shortly before is as good as a new one; the reading says when that was.
func (s *SessionExports) ReadAll(ctx context.Context, from, to time.Time) (*record.Batch, error) {
	w, err := s.reuseTask(cursor.Window{From: from.Truncate(time.Second), To: to}, func(begun cursor.Window) bool { return to.Sub(begun.To) < s.Tasks.Timeout })
	if err != nil {
		return nil, err
	}
	r := &record.Batch{To: w.To}
	err = s.fetch(ctx, w, func(f io.ReaderAt, size int64) error {
		_, err := s.File(ctx, f, size, r.AddSession)
		return err
	})
	return r, err
}
