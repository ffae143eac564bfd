package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
)

const (
	firstPause = time.Second // between two looks at a task
	maxPause   = 15 * time.Second
	// newTaskTime is how long a task may be missing from the list of tasks before it
	// is taken for deleted.
	newTaskTime = 90 * time.Second
	// deleteTime is how long the deletion of a task may take. The records are read
	// then: nobody should wait for it.
	deleteTime = 10 * time.Second
)

// MaxFileBytes is the largest file that is downloaded. A variable for tests.
var MaxFileBytes int64 = 2 << 30

// API is what Tasks needs of the Workspace API; workspace.Client is one.
type API interface {
	// ExportTask returns a task's state, or workspace.ErrNoTask.
	ExportTask(ctx context.Context, id string) (workspace.ExportTask, error)
	// DownloadExport writes a task's file, of at most limit bytes.
	DownloadExport(ctx context.Context, id string, w io.Writer, limit int64) error
	// DeleteExportTask deletes a task and its file.
	DeleteExportTask(ctx context.Context, id string) error
}

// Memory keeps the ids of tasks under way by what was asked for. It should outlive
// the process: then a restart does not ask for the same again.
type Memory interface {
	Get(key string) (id string, ok bool, err error)
	Set(key, id string) error
	Clear(key string) error
}

// Tasks gets the files of export tasks. It is safe for concurrent use with different
// keys. All fields must be set.
type Tasks struct {
	API    API
	Memory Memory
	// Timeout is how long to wait for a task and its file.
	Timeout time.Duration
	// Observe is called with what becomes of tasks: created, resumed, success, fail, expired,
	// missing, timeout, deleted.
	Observe func(status string)
	Logger  log.Logger

	notPermitted sync.Once // to delete tasks
}

// TaskError is when an export task came to nothing. All texts are clean: they come
// from the client.
type TaskError struct {
	TaskID string
	// Status is the last one that the API returned, empty if it did not list the task.
	Status           string
	FailReason, Code string
	// After is how long we waited, if the task did not end in that time; or 0.
	After time.Duration
	// Last is the text of what the last request came to then; it may be empty.
	Last string
}

// Error names the task, and what the API says of it.
func (e *TaskError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "export task %s: ", e.TaskID)
	switch {
	case e.Status == "":
		b.WriteString("not in the list of tasks")
	case e.Status == workspace.TaskSuccess:
		b.WriteString("its file could not be downloaded")
	case e.After > 0:
		b.WriteString("still " + e.Status)
	default:
		b.WriteString(e.Status)
	}
	if e.After > 0 {
		fmt.Fprintf(&b, " after %s", e.After)
	}
	if e.Code != "" {
		b.WriteString(", " + e.Code)
	}
	if why := cmp.Or(e.FailReason, e.Last); why != "" {
		b.WriteString(": " + why)
	}
	return b.String()
}

// gone reports whether the task, or its file, is there no more.
func (e *TaskError) gone() bool { return e.Status == "" || e.Status == workspace.TaskExpired }

// Fetch has read read the file of an export task, and deletes the task. The key says
// what is asked for, its kind and window: a task that Memory has under the key is
// taken up again, or else create makes one.
//
// A *TaskError says that the task came to nothing. After any error of the client, and
// when ctx ends, the task stays, and the next Fetch with this key takes it up again.
func (t *Tasks) Fetch(ctx context.Context, key string, create func(context.Context) (id string, err error), read func(f io.ReaderAt, size int64) error) error {
	id, resumed, err := t.take(ctx, key, create)
	if err != nil {
		return err
	}
	finished, err := t.use(ctx, id, read)
	if !finished {
		return err
	}
	if failed := t.drop(ctx, key, id); failed != nil {
		return errors.Join(err, failed)
	}
	var came *TaskError
	if resumed && errors.As(err, &came) && came.gone() { // it waited for us too long
		return t.Fetch(ctx, key, create, read)
	}
	return err
}

// take returns the task that is remembered, or else makes one.
func (t *Tasks) take(ctx context.Context, key string, create func(context.Context) (string, error)) (id string, resumed bool, err error) {
	if id, resumed, err = t.Memory.Get(key); err != nil {
		return "", false, fmt.Errorf("looking for an export task under way: %w", err)
	}
	if resumed {
		t.Observe("resumed")
		return id, true, nil
	}
	if id, err = create(ctx); err != nil {
		return "", false, err
	}
	t.Observe("created")
	if err := t.Memory.Set(key, id); err != nil {
		t.delete(ctx, id) // or each attempt would leave one more
		return "", false, fmt.Errorf("remembering export task %s: %w", id, err)
	}
	return id, false, nil
}

// use waits for a task and reads its file. It reports whether the task is finished
// with, for better or worse.
func (t *Tasks) use(ctx context.Context, id string, read func(io.ReaderAt, int64) error) (finished bool, err error) {
	limited, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	task := workspace.ExportTask{ID: id}
	err = t.wait(limited, &task)
	downloaded := false
	if err == nil {
		err = Spool(func(w io.Writer) error {
			return t.API.DownloadExport(limited, id, w, MaxFileBytes)
		}, func(f io.ReaderAt, size int64) error {
			downloaded = true
			if err := read(f, size); err != nil {
				return fmt.Errorf("export task %s: %w", id, err)
			}
			return nil
		})
	}
	switch {
	case ctx.Err() != nil:
		return false, err
	case err != nil && !downloaded && limited.Err() != nil:
		t.Observe("timeout")
		late := &TaskError{TaskID: id, Status: task.Status, After: t.Timeout}
		if refused := (*workspace.Error)(nil); errors.As(err, &refused) {
			late.Last = refused.Error()
		}
		return true, late
	}
	return downloaded || isFinal(err), err
}

// isFinal reports whether a task that failed so would fail again.
func isFinal(err error) bool {
	var task *TaskError
	var refused *workspace.Error
	return errors.As(err, &task) || errors.Is(err, workspace.ErrFileTooLarge) ||
		errors.As(err, &refused) && refused.Status == http.StatusNotFound
}

// wait looks at a task until it has its file. What is known of the task is in task.
func (t *Tasks) wait(ctx context.Context, task *workspace.ExportTask) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = firstPause, maxPause
	for seen := time.Now(); ; {
		latest, err := t.API.ExportTask(ctx, task.ID)
		switch {
		case errors.Is(err, workspace.ErrNoTask):
			if time.Since(seen) >= newTaskTime {
				t.Observe("missing")
				return &TaskError{TaskID: task.ID}
			}
		case err != nil:
			return err
		default:
			*task, seen = latest, time.Now()
		}
		switch task.Status {
		case workspace.TaskSuccess:
			t.Observe("success")
			return nil
		case workspace.TaskFail, workspace.TaskExpired:
			t.Observe(strings.ToLower(task.Status))
			return &TaskError{TaskID: task.ID, Status: task.Status, FailReason: task.FailReason, Code: task.Code}
		} // CREATING, or a word that is not in the API's pages: time will tell
		if err := sleep(ctx, pause.NextBackOff()); err != nil {
			return err
		}
	}
}

// drop forgets a task and deletes it.
func (t *Tasks) drop(ctx context.Context, key, id string) error {
	if err := t.Memory.Clear(key); err != nil {
		return fmt.Errorf("forgetting export task %s: %w", id, err)
	}
	t.delete(ctx, id)
	return nil
}

// delete deletes a task at the API, if that can be done.
func (t *Tasks) delete(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, deleteTime)
	defer cancel()
	err := t.API.DeleteExportTask(ctx, id)
	var refused *workspace.Error
	switch {
	case err == nil:
		t.Observe("deleted")
	case errors.As(err, &refused) && refused.Status == http.StatusForbidden:
		t.notPermitted.Do(func() {
			level.Warn(t.Logger).Log("msg", "export tasks cannot be deleted after use, and expire instead; logged once", "err", err)
		})
	case errors.As(err, &refused) && refused.Status == http.StatusNotFound:
	default:
		level.Warn(t.Logger).Log("msg", "an export task could not be deleted, and expires instead", "task", id, "err", err)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
