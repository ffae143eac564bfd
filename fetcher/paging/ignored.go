package paging

import (
	"context"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
)

// farOutside is by how much a record must miss a window to show that the list ignores it.
// Times in a zone that is not known are wrong by less.
const farOutside = 24 * time.Hour

// IgnoresWindow asks for two windows that have nothing in common, the first second of a
// window and the last, and reports whether the list ignores what it is asked for: the
// first page of the second one has mostly records that are in the other one, too, or that
// happened at a quite different time, by whichever of their times the list may select. It
// would show all it has for any window, and cutting windows would make nothing smaller.
// What the list claims of its length does not matter.
func (r *Reader[T]) IgnoresWindow(ctx context.Context, w cursor.Window, timesOf func(*T) []time.Time) (bool, error) {
	first, last := cursor.Window{From: w.From, To: w.From.Add(cursor.Second)}, cursor.Window{From: w.To.Add(-cursor.Second), To: w.To}
	before, _, err := r.getPage(ctx, first, r.Limit, 0)
	if err != nil || len(before.ids) == 0 {
		return false, err
	}
	after, items, err := r.getPage(ctx, last, r.Limit, 0)
	if err != nil {
		return false, err
	}
	shown := setOf(before.ids)
	strange := 0
	for i := range items {
		_, inBoth := shown[after.ids[i]]
		if times := timesOf(&items[i]); inBoth || misses(first, times) && misses(last, times) {
			strange++
		}
	}
	return 2*strange > len(items), nil
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
