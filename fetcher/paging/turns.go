package paging

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
)

// maxPagesAtOnce bounds the requests of one reader; how many are really in flight is the
// client's to decide.
const maxPagesAtOnce = 16

// turns lets so many pages be asked for at once. Those of older windows go first: windows are
// counted from old to new, and what is read ahead only fills up what they leave.
type turns struct {
	mu      sync.Mutex
	taken   int
	waiting []*turn // in order
}

type turn struct {
	from time.Time
	come chan struct{} // closed when it is this one's
}

// take waits for a turn. Only if there is no error, leave must follow.
func (t *turns) take(ctx context.Context, w cursor.Window) error {
	t.mu.Lock()
	if t.taken < maxPagesAtOnce {
		t.taken++
		t.mu.Unlock()
		return nil
	}
	mine := &turn{w.From, make(chan struct{})}
	at, _ := slices.BinarySearchFunc(t.waiting, mine, func(other, mine *turn) int { return cmp.Or(other.from.Compare(mine.from), -1) })
	t.waiting = slices.Insert(t.waiting, at, mine)
	t.mu.Unlock()
	select {
	case <-mine.come:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	i := slices.Index(t.waiting, mine)
	if i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
	t.mu.Unlock()
	if i < 0 { // it has come meanwhile
		t.leave()
	}
	return ctx.Err()
}

// leave gives a turn to who is first.
func (t *turns) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.taken--
		return
	}
	close(t.waiting[0].come)
	t.waiting = slices.Delete(t.waiting, 0, 1)
}
