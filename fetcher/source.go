package fetcher

import (
	"context"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// LoginReader reads the login records of a window, all of them or none.
type LoginReader interface {
	// Read calls handle with every record of the window, once it knows that it has all of
	// them. It fails with a *paging.TooManyError if they are more than most (0 is no limit),
	// and with handle's error.
	Read(ctx context.Context, from, to time.Time, most int, handle HandlePart) error
}

// LoginSource is what new login records are read from.
type LoginSource interface {
	LoginReader
	TaskResumer
	// IgnoresWindow asks for the first second of a window and for the last, and reports
	// whether the answers show that the list ignores its windows. A source whose windows
	// are not cut embeds HeedsWindows.
	IgnoresWindow(ctx context.Context, w cursor.Window) (bool, error)
	// Ahead is what pieces of a window are read from before it is their turn. Such a reading
	// may be given up, and must leave nothing behind. It fails with a *paging.TooManyError if
	// only Read can say what to do. Nil: none is read ahead.
	Ahead() LoginReader
}

// WindowSource reads all that a window holds, however much that is. The batch may say in
// To that it is of a shorter window.
type WindowSource interface {
	ReadAll(ctx context.Context, from, to time.Time) (*record.Batch, error)
}

// TaskResumer finds the export task that a process before this one has created, so that
// its file is not asked for again. A source without export tasks embeds NoTasks.
type TaskResumer interface {
	// CreatesTasks reports whether windows are read by export task.
	CreatesTasks() bool
	// ResumeWindow returns the window of a task that begins with the window to be read or
	// before it, but not before oldest, and ends within it; ok is false if there is none.
	ResumeWindow(todo cursor.Window, oldest time.Time) (w cursor.Window, ok bool, err error)
}

// NoTasks is a TaskResumer of a source without export tasks.
type NoTasks struct{}

// CreatesTasks implements TaskResumer.
func (NoTasks) CreatesTasks() bool { return false }

// ResumeWindow implements TaskResumer.
func (NoTasks) ResumeWindow(cursor.Window, time.Time) (w cursor.Window, ok bool, err error) {
	return w, false, nil
}

// HeedsWindows is the part of a LoginSource whose windows are not cut.
type HeedsWindows struct{}

// IgnoresWindow implements LoginSource.
func (HeedsWindows) IgnoresWindow(context.Context, cursor.Window) (bool, error) { return false, nil }

// Ahead implements LoginSource.
func (HeedsWindows) Ahead() LoginReader { return nil }

// readerFunc is a function that reads logins.
type readerFunc func(ctx context.Context, from, to time.Time, most int, handle HandlePart) error

// Read implements LoginReader.
func (f readerFunc) Read(ctx context.Context, from, to time.Time, most int, handle HandlePart) error {
	return f(ctx, from, to, most, handle)
}
