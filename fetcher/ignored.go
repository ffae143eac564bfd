package fetcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// A list that ignores its window shows all it has for any window, so that cutting the
// window makes no piece smaller and each piece reads everything again. Once a piece must be
// cut, the list is therefore asked for two windows that have nothing in common: the first
// second and the last. What the list says of its length does not matter. A list that
// ignores its window is read once, as one piece, or fails if that is too large.

// errWindowIgnored is when a list ignores its window and is too large to be read as a whole.
var errWindowIgnored = errors.New("the list ignores the window it is asked for, and has too many records to be read as a whole; " +
	"report it to the vendor, and read this source by export until then")

// farOutside is by how much a record must miss a window to show that the list ignores it.
// Times in a zone that is not known are wrong by less.
const farOutside = 24 * time.Hour

// windowTester is a source that may turn out to ignore its windows.
type windowTester interface {
	// ignoresWindow asks for the ends of a window, in two requests.
	ignoresWindow(ctx context.Context, w cursor.Window) (bool, error)
}

// testWindows finds out whether the source ignores its windows, and logs a change.
func (p *Poller) testWindows(ctx context.Context, w *pieces) error {
	source, ok := p.source.(windowTester)
	if !ok {
		return nil
	}
	if err := w.test(ctx, source.ignoresWindow); err != nil {
		return err
	}
	if w.ignored && !p.ignored {
		level.Warn(p.Logger).Log("msg", "the list ignores the window it is asked for: each poll reads all of it; "+
			"report it to the vendor, and read this source by export if polls take too long")
	}
	p.ignored = w.ignored
	return nil
}

// test finds out, once, whether the list ignores its windows, and makes one piece of what
// is left if it does. An API that refuses so small a window does not ignore it.
func (p *pieces) test(ctx context.Context, ignores func(context.Context, cursor.Window) (bool, error)) error {
	if p.tested || p.todo.Length() < 4*cursor.Seam {
		return nil
	}
	ignored, err := ignores(ctx, p.todo)
	if err != nil && !refused(err) {
		return err
	}
	p.tested, p.ignored = true, ignored
	if ignored {
		p.longest = p.todo.Length()
		p.length, p.tooLong, p.empty = p.longest, 0, 0
	}
	return nil
}

// explain gives the cause of an error, if it is that the list ignores its windows.
func (p *pieces) explain(err error) error {
	if p.ignored && tooLarge(err) {
		return reasonError{fmt.Errorf("%w: %w", errWindowIgnored, err), Unreadable}
	}
	return err
}

// ignoresWindow reports whether the first page of the last second of a window has mostly
// records that are in the first page of its first second, too, or that happened at a quite
// different time, by whichever of their times the list may select.
func (r *pager[T, P]) ignoresWindow(ctx context.Context, w cursor.Window, timesOf func(*T) []time.Time) (bool, error) {
	first, last := cursor.Window{From: w.From, To: w.From.Add(cursor.Second)}, cursor.Window{From: w.To.Add(-cursor.Second), To: w.To}
	before, err := r.page(ctx, first, r.limit, 0)
	if err != nil || len(before.items) == 0 {
		return false, err
	}
	after, err := r.page(ctx, last, r.limit, 0)
	if err != nil {
		return false, err
	}
	shown := map[record.Identity]bool{}
	for i := range before.items {
		shown[keyOf[T, P](&before.items[i])] = true
	}
	strange := 0
	for i := range after.items {
		if item := &after.items[i]; shown[keyOf[T, P](item)] || misses(first, timesOf(item)) && misses(last, timesOf(item)) {
			strange++
		}
	}
	return 2*strange > len(after.items), nil
}

// misses reports whether all times that are known lie far outside of a window.
func misses(w cursor.Window, times []time.Time) bool {
	known := false
	for _, t := range times {
		if t.IsZero() {
			continue
		}
		if known = true; t.After(w.From.Add(-farOutside)) && t.Before(w.To.Add(farOutside)) {
			return false
		}
	}
	return known
}

func loginTimes(l *record.Login) []time.Time {
	return []time.Time{l.PreConnect, l.Start, l.End, l.Updated}
}

func sessionTimes(s *record.Session) []time.Time {
	return []time.Time{s.PreConnect, s.Start, s.End, s.Updated}
}
