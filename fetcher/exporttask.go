package fetcher

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
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
