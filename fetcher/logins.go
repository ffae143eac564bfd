package fetcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// LoginPages reads login records by pages.
type LoginPages struct {
	NoTasks
	pages *paging.Reader[record.Login]
}

// NewLoginPages reads a list. Mismatch is called for a window whose records are stable, and yet
// holds another number of records than the API says; doubt for one that is not proved to be whole
// and passes for it after a while. If doubt is nil, none does.
func NewLoginPages(list paging.List[record.Login], mismatch func(), doubt func(from, to time.Time)) *LoginPages {
	return &LoginPages{pages: &paging.Reader[record.Login]{List: list, Key: (*record.Login).Key, Mismatch: mismatch, Doubt: doubt}}
}

// Read implements LoginReader. A page costs a request, however few records are wanted.
func (l *LoginPages) Read(ctx context.Context, from, to time.Time, most int, handle HandlePart) error {
	logins, err := l.pages.Read(ctx, cursor.Window{From: from, To: to}, l.atLeastAPage(most))
	if err != nil {
		return err
	}
	return handle(to, logins)
}

// Proved reads the same, and takes nothing that pages do not prove: for what is read in
// another way, too, or again.
func (l *LoginPages) Proved() LoginReader {
	return readerFunc(func(ctx context.Context, from, to time.Time, most int, handle HandlePart) error {
		return l.readProved(ctx, from, to, l.atLeastAPage(most), handle)
	})
}

func (l *LoginPages) atLeastAPage(most int) int {
	if most <= 0 {
		return most // no limit
	}
	return max(most, l.pages.Limit)
}

func (l *LoginPages) readProved(ctx context.Context, from, to time.Time, most int, handle HandlePart) error {
	logins, err := l.pages.ReadProved(ctx, cursor.Window{From: from, To: to}, most)
	if err != nil {
		return err
	}
	return handle(to, logins)
}

// IgnoresWindow implements LoginSource.
func (l *LoginPages) IgnoresWindow(ctx context.Context, w cursor.Window) (bool, error) {
	return l.pages.IgnoresWindow(ctx, w, func(l *record.Login) []time.Time {
		return []time.Time{l.PreConnect, l.Start, l.End, l.Updated}
	})
}

// Ahead implements LoginSource.
func (l *LoginPages) Ahead() LoginReader { return l }

// LoginExports reads login records by export task.
type LoginExports struct {
	Export
	File File[record.Login]
}

// Read implements LoginReader. An export has no limit.
func (l *LoginExports) Read(ctx context.Context, from, to time.Time, _ int, handle HandlePart) error {
	return l.readAtLeast(ctx, cursor.Window{From: from, To: to}, 0, handle)
}

// readAtLeast takes nothing from a file with fewer records of its window that differ: it is not
// whole, or of another window, or its ids have been rounded.
func (l *LoginExports) readAtLeast(ctx context.Context, w cursor.Window, least int, handle HandlePart) error {
	return InParts(ctx, func(add func(*record.Login) error) error {
		var records distinct
		err := l.fetch(ctx, w, func(f io.ReaderAt, size int64) error {
			_, err := l.File(ctx, f, size, func(login *record.Login) error {
				if least > 0 && mayBeOf(w, login) {
					records.add(login)
				}
				return add(login)
			})
			return err
		})
		if n := records.count(); err == nil && n < least {
			return &shortFileError{n, least}
		}
		return err
	}, w.Bounds, handle)
}

// shortFileError is when a file has fewer records of its window that differ than there are at least.
type shortFileError struct{ records, least int }

func (e *shortFileError) Error() string {
	return fmt.Sprintf("the file of an export task has %d records of its window that differ, and there are %d by the API's pages", e.records, e.least)
}

// mayBeOf reports whether a window may show a record, by whichever of its times.
func mayBeOf(w cursor.Window, l *record.Login) bool {
	newest := l.Latest()
	return newest.IsZero() || !newest.Before(w.From.Add(-cursor.MemoryMargin)) && !l.Earliest().After(w.To.Add(cursor.MemoryMargin))
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
	err := a.readPages(ctx, from, to, most, handle)
	var many *paging.TooManyError
	var moved *paging.MovedError
	var refused *paging.RefusedError
	large := errors.As(err, &many) && many.Count > a.Threshold
	// What the API refuses to page, or shuffles for each page, and no smaller window makes less,
	// only a file has.
	unpageable := errors.As(err, &refused) || errors.As(err, &moved)
	if !large && !(unpageable && (most <= 0 || cursor.Window{From: from, To: to}.IsSmallest())) {
		return err
	}
	least := 0
	switch {
	case large:
		least = many.Count
	case moved != nil:
		least = moved.Shown
	case refused != nil:
		least = refused.Shown
	}
	window := cursor.Window{From: from, To: to}
	exported, exportErr := a.export(ctx, window, least, handle)
	var short *shortFileError
	if refused != nil && errors.As(exportErr, &short) && a.Pages.pages.GiveUp(window) {
		exported, exportErr = a.export(ctx, window, 0, handle) // there is nothing else to be had
	}
	if exportErr == nil || exported || ctx.Err() != nil || workspace.IsThrottled(exportErr) {
		return exportErr
	}
	level.Warn(a.Logger).Log("msg", "export failed, its records are read by pages", "records", least, "err", exportErr)
	a.pagesUntil = time.Now().Add(pagesFor)
	return a.Pages.Read(ctx, from, to, most, handle)
}

// export reads the file of a window, and reports whether any of it was handled.
func (a *Auto) export(ctx context.Context, w cursor.Window, least int, handle HandlePart) (handled bool, err error) {
	err = a.Export.readAtLeast(ctx, w, least, func(upTo time.Time, logins []record.Login) error {
		handled = true
		return handle(upTo, logins)
	})
	return handled, err
}

// readPages reads a window that is not too large for pages. What they do not prove, a file may show.
func (a *Auto) readPages(ctx context.Context, from, to time.Time, most int, handle HandlePart) error {
	limit := a.Threshold
	if most > 0 {
		limit = min(limit, max(most, a.Pages.pages.Limit))
	}
	return a.Pages.readProved(ctx, from, to, limit, handle)
}

// Ahead implements LoginSource: no export task is made before its turn.
func (a *Auto) Ahead() LoginReader { return readerFunc(a.readPages) }

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
