package paging

import (
	"sync"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
)

// Patience is how long windows that cannot be cut may prove nothing, be it one of them or one after
// the other. Then what they have shown is taken for all that they have, so that what comes
// behind them is counted.
const Patience = 15 * time.Minute

// doubts are about windows that cannot be cut, and of which nothing is proved.
type doubts struct {
	mu           sync.Mutex
	latest       cursor.Window // that proved nothing
	since, until time.Time     // when such windows were read, with no such pause between them
	reported     time.Time     // where the latest one ends that was given up
}

// giveUp is called for a window that has proved nothing, and reports whether to take what it
// has shown, and whether that is so for the first time.
func (d *doubts) giveUp(w cursor.Window) (given, first bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if w != d.latest && now.Sub(d.until) >= Patience {
		d.since = now
	}
	d.latest, d.until = w, now
	if now.Sub(d.since) < Patience {
		return false, false
	}
	if first = w.To.After(d.reported); first {
		d.reported = w.To
	}
	return true, first
}
