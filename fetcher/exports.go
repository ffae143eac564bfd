package fetcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Export reads what one kind of export task gives. Its windows are in whole seconds.
type Export struct {
	HeedsWindows
	// Kind names what is asked for, among the tasks that Memory keeps.
	Kind   string
	Tasks  *export.Tasks
	Memory TaskMemory
	// Create makes a task and returns its id.
	Create func(ctx context.Context, from, to time.Time) (string, error)
}

// TaskMemory lists the keys of the tasks under way.
type TaskMemory interface {
	export.Memory
	Keys() ([]string, error)
}

func (e *Export) key(w cursor.Window) string {
	return fmt.Sprintf("%s/%d/%d", e.Kind, w.From.Unix(), w.To.Unix())
}

// windowOf reads a key; ok is false if it is of another kind.
func (e *Export) windowOf(key string) (w cursor.Window, ok bool) {
	parts := strings.Split(key, "/")
	if len(parts) != 3 || parts[0] != e.Kind {
		return w, false
	}
	from, err1 := strconv.ParseInt(parts[1], 10, 64)
	to, err2 := strconv.ParseInt(parts[2], 10, 64)
	return cursor.Window{From: time.Unix(from, 0).UTC(), To: time.Unix(to, 0).UTC()}, err1 == nil && err2 == nil
}

// CreatesTasks implements TaskResumer.
func (e *Export) CreatesTasks() bool { return true }

// ResumeWindow implements TaskResumer. A task that does not fit is forgotten, and left to
// expire.
func (e *Export) ResumeWindow(todo cursor.Window, oldest time.Time) (w cursor.Window, ok bool, err error) {
	keys, err := e.Memory.Keys()
	if err != nil {
		return w, false, err
	}
	for _, key := range keys {
		w, mine := e.windowOf(key)
		switch {
		case !mine:
		case !w.From.Before(oldest) && !w.From.After(todo.From) && w.To.After(todo.From) && !w.To.After(todo.To):
			return w, true, nil
		default:
			if err := e.Memory.Clear(key); err != nil {
				return w, false, err
			}
		}
	}
	return w, false, nil
}

// reuseTask returns the window of a task under way that will do instead of w, or else w.
func (e *Export) reuseTask(w cursor.Window, willDo func(begun cursor.Window) bool) (cursor.Window, error) {
	begun, ok, err := e.ResumeWindow(w, time.Time{})
	switch {
	case err != nil || !ok:
		return w, err
	case willDo(begun):
		return begun, nil
	}
	return w, e.Memory.Clear(e.key(begun))
}

// fetch has read read the file of a window.
func (e *Export) fetch(ctx context.Context, w cursor.Window, read func(f io.ReaderAt, size int64) error) error {
	return e.Tasks.Fetch(ctx, e.key(w), func(ctx context.Context) (string, error) { return e.Create(ctx, w.From, w.To) }, read)
}

// LoginExports reads login records by export task.
type LoginExports struct {
	Export
	File File[record.Login]
}

// Read implements LoginReader. An export has no limit.
func (l *LoginExports) Read(ctx context.Context, from, to time.Time, _ int, handle HandlePart) error {
	return l.readAtLeast(ctx, cursor.Window{From: from, To: to}, 0, handle)
}

// readAtLeast takes nothing from a file with fewer records that differ: it is not whole,
// or its ids have been rounded.
func (l *LoginExports) readAtLeast(ctx context.Context, w cursor.Window, least int, handle HandlePart) error {
	return InParts(ctx, func(add func(*record.Login) error) error {
		var records distinct
		err := l.fetch(ctx, w, func(f io.ReaderAt, size int64) error {
			_, err := l.File(ctx, f, size, func(login *record.Login) error {
				if least > 0 {
					records.add(login)
				}
				return add(login)
			})
			return err
		})
		if n := records.count(); err == nil && n < least {
			return fmt.Errorf("the file of an export task has %d records that differ, and the API says there are %d", n, least)
		}
		return err
	}, w.Bounds, handle)
}

// LoginFiles reads login records from the file that a request answers with.
type LoginFiles struct {
	NoTasks
	HeedsWindows
	File File[record.Login]
	// Download writes the file of a window.
	Download func(ctx context.Context, from, to time.Time, w io.Writer) error
}

// Read implements LoginReader.
func (l *LoginFiles) Read(ctx context.Context, from, to time.Time, _ int, handle HandlePart) error {
	return InParts(ctx, func(add func(*record.Login) error) error {
		return export.Spool(func(w io.Writer) error { return l.Download(ctx, from, to, w) },
			func(f io.ReaderAt, size int64) error {
				_, err := l.File(ctx, f, size, add)
				return err
			})
	}, cursor.Window{From: from, To: to}.Bounds, handle)
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

// AccessExports reads access statistics by export task.
type AccessExports struct {
	Export
	File File[record.Access]
}

// ReadAll implements WindowSource: of the task that was under way for a window with the
// same beginning, if there is one. The reading says which window it is.
func (a *AccessExports) ReadAll(ctx context.Context, from, to time.Time) (*record.Batch, error) {
	// The API's windows include their ends.
	w, err := a.reuseTask(cursor.Window{From: from, To: to.Add(-time.Second)}, func(begun cursor.Window) bool { return begun.From.Equal(from) })
	if err != nil {
		return nil, err
	}
	r := &record.Batch{To: w.To.Add(time.Second)}
	err = a.fetch(ctx, w, func(f io.ReaderAt, size int64) error {
		_, err := a.File(ctx, f, size, into(&r.Accesses))
		return err
	})
	return r, err
}

// into collects records.
func into[T any](records *[]T) func(*T) error {
	return func(r *T) error {
		*records = append(*records, *r)
		return nil
	}
}

// Auto reads small windows by pages and large ones by export task.
type Auto struct {
	Pages  *LoginPages
	Export *LoginExports
	// Threshold is how many records make a window large.
	Threshold int
	Logger    log.Logger

	pagesUntil time.Time // after a failed export
}

// pagesFor is how long a failed export keeps Auto from the next.
const pagesFor = 15 * time.Minute

// Read implements LoginReader.
func (a *Auto) Read(ctx context.Context, from, to time.Time, most int, handle HandlePart) error {
	if time.Now().Before(a.pagesUntil) {
		return a.Pages.Read(ctx, from, to, most, handle)
	}
	limit := a.Threshold
	if most > 0 {
		limit = min(limit, max(most, pageLimit))
	}
	err := a.Pages.readAtMost(ctx, cursor.Window{From: from, To: to}, limit, handle)
	var many *paging.TooManyError
	large := errors.As(err, &many) && many.Count > a.Threshold
	// What the API refuses to page, and no smaller window makes less, only a file has.
	if !large && !(workspace.IsRefused(err) && cursor.Window{From: from, To: to}.IsSmallest()) {
		return err
	}
	least := 0
	if large {
		least = many.Count
	}
	exported := false
	exportErr := a.Export.readAtLeast(ctx, cursor.Window{From: from, To: to}, least, func(upTo time.Time, logins []record.Login) error {
		exported = true
		return handle(upTo, logins)
	})
	if exportErr == nil || exported || ctx.Err() != nil || workspace.IsThrottled(exportErr) {
		return exportErr
	}
	level.Warn(a.Logger).Log("msg", "export failed, its records are read by pages", "records", least, "err", exportErr)
	a.pagesUntil = time.Now().Add(pagesFor)
	return a.Pages.Read(ctx, from, to, most, handle)
}

// CreatesTasks implements TaskResumer.
func (a *Auto) CreatesTasks() bool { return true }

// ResumeWindow implements TaskResumer.
func (a *Auto) ResumeWindow(todo cursor.Window, oldest time.Time) (cursor.Window, bool, error) {
	return a.Export.ResumeWindow(todo, oldest)
}

// IgnoresWindow implements LoginSource.
func (a *Auto) IgnoresWindow(ctx context.Context, w cursor.Window) (bool, error) {
	return a.Pages.IgnoresWindow(ctx, w)
}
