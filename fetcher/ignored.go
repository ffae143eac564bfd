package fetcher

import (
	"context"
	"errors"
	"time"

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
