package paging

import (
	"sync"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
)

// Patience is how long a window that cannot be cut may prove nothing. Then what it has shown
// is taken for all that it has, so that what comes behind it is counted.
const Patience = 15 * time.Minute

// doubts are about windows that cannot be cut, and of which nothing is proved.
type doubts struct {
	mu     sync.Mutex
	window cursor.Window // the one that proves nothing
	since  time.Time
	last   time.Time // when one was given up
	upTo   time.Time // where the latest one ends
}

// giveUp is called for a window that has proved nothing, and reports whether to take what it
// has shown, and whether that has not been done before. What follows one that was given up
// has the same list, and need not be waited for again.
func (d *doubts) giveUp(w cursor.Window) (given, first bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if d.window != w {
		d.window, d.since = w, now
	}
	if now.Sub(d.since) < Patience && (d.last.IsZero() || now.Sub(d.last) >= Patience) {
		return false, false
	}
	first = w.To.After(d.upTo)
	d.last = now
	if first {
		d.upTo = w.To
	}
	return true, first
}

// prove is called for a window that was read whole.
func (d *doubts) prove(w cursor.Window) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.window == w {
		d.window = cursor.Window{}
	}
}
