package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
)

// world is an API with its tasks, and a memory that outlives the Tasks made of it.
type world struct {
	status     func(id string, age time.Duration) (workspace.ExportTask, error)
	file       string
	downloadAs func(id string) error // nil: well
	deleteAs   error
	memory     map[string]string
	memoryAs   error

	created  map[string]time.Time
	deleted  []string
	looks    []time.Duration // when a task was looked at, after its creation
	observed []string
	logged   bytes.Buffer
}

func newWorld() *world {
	return &world{
		status: func(id string, age time.Duration) (workspace.ExportTask, error) {
			if age < 20*time.Second {
				return workspace.ExportTask{ID: id, Status: workspace.TaskCreating}, nil
			}
			return workspace.ExportTask{ID: id, Status: workspace.TaskSuccess}, nil
		},
		file: "a,b\n", memory: map[string]string{}, created: map[string]time.Time{},
	}
}

func (w *world) ExportTask(ctx context.Context, id string) (workspace.ExportTask, error) {
	age := time.Since(w.created[id])
	w.looks = append(w.looks, age)
	task, err := w.status(id, age)
	return task, errors.Join(err, ctx.Err())
}

func (w *world) DownloadExport(_ context.Context, id string, to io.Writer, limit int64) error {
	if w.downloadAs != nil {
		if err := w.downloadAs(id); err != nil {
			_, _ = io.WriteString(to, "half of")
			return err
		}
	}
	_, err := io.WriteString(to, w.file)
	return err
}

func (w *world) DeleteExportTask(_ context.Context, id string) error {
	w.deleted = append(w.deleted, id)
	return w.deleteAs
}

func (w *world) Get(key string) (string, bool, error) {
	id, ok := w.memory[key]
	return id, ok, w.memoryAs
}

func (w *world) Set(key, id string) error { w.memory[key] = id; return nil }
func (w *world) Clear(key string) error   { delete(w.memory, key); return nil }

func (w *world) create(context.Context) (string, error) {
	id := fmt.Sprintf("t%d", len(w.created)+1)
	w.created[id] = time.Now()
	return id, nil
}

// fetch is one Fetch of a process that has just started.
func (w *world) fetch(ctx context.Context) (file string, err error) {
	tasks := &Tasks{API: w, Memory: w, Timeout: 15 * time.Minute, Logger: log.NewLogfmtLogger(&w.logged),
		Observe: func(status string) { w.observed = append(w.observed, status) }}
	err = tasks.Fetch(ctx, "logins 1 2", w.create, func(f io.ReaderAt, size int64) error {
		b, err := io.ReadAll(io.NewSectionReader(f, 0, size))
		file += string(b)
		return err
	})
	return file, err
}

func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	synctest.Test(t, func(t *testing.T) { f(t, newWorld()) })
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	require.NoError(t, err)
	assert.Empty(t, left, "temporary files are removed")
}

func TestFetch(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		file, err := w.fetch(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "a,b\n", file)
		assert.Equal(t, []string{"created", "success", "deleted"}, w.observed)
		assert.Equal(t, []string{"t1"}, w.deleted)
		assert.Empty(t, w.memory)
	})
}

func TestPauses(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		created := w.status
		w.status = func(id string, age time.Duration) (workspace.ExportTask, error) { return created(id, age/30) }
		_, err := w.fetch(t.Context())
		require.NoError(t, err)
		for i := 1; i < len(w.looks); i++ {
			pause := w.looks[i] - w.looks[i-1]
			assert.GreaterOrEqual(t, pause, firstPause/2)
			assert.LessOrEqual(t, pause, 3*maxPause/2)
		}
		assert.InDelta(t, 45, len(w.looks), 15, "in ten minutes")
	})
}

func TestTaskErrors(t *testing.T) {
	as := func(task workspace.ExportTask, err error) func(string, time.Duration) (workspace.ExportTask, error) {
		return func(id string, _ time.Duration) (workspace.ExportTask, error) { task.ID = id; return task, err }
	}
	for name, c := range map[string]struct {
		status   func(string, time.Duration) (workspace.ExportTask, error)
		want     string
		observed string
		took     time.Duration
	}{
		"fail":         {as(workspace.ExportTask{Status: "FAIL", FailReason: "no space", Code: "WKS.1"}, nil), "export task t1: FAIL, WKS.1: no space", "fail", 0},
		"expired":      {as(workspace.ExportTask{Status: "EXPIRED"}, nil), "export task t1: EXPIRED", "expired", 0},
		"never":        {as(workspace.ExportTask{Status: "CREATING"}, nil), "export task t1: still CREATING after 15m0s", "timeout", 15 * time.Minute},
		"unknown word": {as(workspace.ExportTask{Status: "PAUSED"}, nil), "export task t1: still PAUSED after 15m0s", "timeout", 15 * time.Minute},
		"not listed":   {as(workspace.ExportTask{}, workspace.ErrNoTask), "export task t1: not in the list of tasks", "missing", newTaskTime},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.status = c.status
				begun := time.Now()
				file, err := w.fetch(t.Context())
				var failed *TaskError
				require.ErrorAs(t, err, &failed)
				assert.Equal(t, c.want, err.Error())
				assert.Empty(t, file)
				assert.Equal(t, []string{"created", c.observed, "deleted"}, w.observed)
				assert.Empty(t, w.memory, "the next one is a new one")
				assert.InDelta(t, c.took.Seconds(), time.Since(begun).Seconds(), 30, "the interval is random")
			})
		})
	}
}

// A new task may be missing from the list for a while, and so may one for a moment.
func TestTaskIsListedLate(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		listed := w.status
		w.status = func(id string, age time.Duration) (workspace.ExportTask, error) {
			if age < 10*time.Second || age > time.Minute && age < 80*time.Second {
				return workspace.ExportTask{}, workspace.ErrNoTask
			}
			return listed(id, age-2*time.Minute)
		}
		_, err := w.fetch(t.Context())
		require.NoError(t, err)
	})
}

func TestRestart(t *testing.T) {
	for name, interrupt := range map[string]func(w *world, cancel func()){
		"while waiting": func(w *world, cancel func()) { time.AfterFunc(5*time.Second, cancel) },
		"while downloading": func(w *world, cancel func()) {
			w.downloadAs = func(string) error { cancel(); return context.Canceled }
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				interrupt(w, cancel)
				_, err := w.fetch(ctx)
				require.ErrorIs(t, err, context.Canceled)
				assert.Empty(t, w.deleted)
				assert.Equal(t, map[string]string{"logins 1 2": "t1"}, w.memory)

				w.downloadAs, w.observed = nil, nil
				file, err := w.fetch(t.Context())
				require.NoError(t, err)
				assert.Equal(t, "a,b\n", file)
				assert.Len(t, w.created, 1, "its own task, not another")
				assert.Equal(t, []string{"resumed", "success", "deleted"}, w.observed)
			})
		})
	}
}

// A task that has not outlived a long stop is made again at once.
func TestRestartTooLate(t *testing.T) {
	for name, task := range map[string]error{"expired": nil, "missing": workspace.ErrNoTask} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.memory["logins 1 2"] = "old"
				alive := w.status
				w.status = func(id string, age time.Duration) (workspace.ExportTask, error) {
					if id == "old" {
						return workspace.ExportTask{ID: id, Status: workspace.TaskExpired}, task
					}
					return alive(id, age)
				}
				file, err := w.fetch(t.Context())
				require.NoError(t, err)
				assert.Equal(t, "a,b\n", file)
				assert.Equal(t, []string{"resumed", name, "deleted", "created", "success", "deleted"}, w.observed)
				assert.Equal(t, []string{"old", "t1"}, w.deleted)
			})
		})
	}
}

func TestDownloadErrors(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		kept bool
	}{
		"truncated":     {&workspace.Error{Status: 200, Err: io.ErrUnexpectedEOF}, true},
		"not permitted": {&workspace.Error{Status: http.StatusForbidden}, true},
		"disk full":     {&workspace.Error{Status: 200, Err: errors.New("no space left on device")}, true},
		"no file":       {&workspace.Error{Status: http.StatusNotFound}, false},
		"too large":     {&workspace.Error{Status: 200, Err: fmt.Errorf("%w: more than 5 bytes", workspace.ErrFileTooLarge)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.downloadAs = func(string) error { return c.err }
				file, err := w.fetch(t.Context())
				require.ErrorIs(t, err, c.err)
				assert.Empty(t, file, "no half of a file is read")
				assert.Equal(t, c.kept, len(w.memory) == 1)
				assert.Equal(t, c.kept, len(w.deleted) == 0)
			})
		})
	}
}

func TestDownloadThatNeverEnds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.downloadAs = func(string) error {
			time.Sleep(16 * time.Minute)
			return &workspace.Error{Operation: "DownloadExportFile", Method: "GET", Host: "h", Path: "/f", Err: context.DeadlineExceeded}
		}
		_, err := w.fetch(t.Context())
		var failed *TaskError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, "export task t1: its file could not be downloaded after 15m0s: DownloadExportFile: GET h/f: context deadline exceeded", err.Error())
	})
}

func TestUnreadableFile(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tasks := &Tasks{API: w, Memory: w, Timeout: time.Minute, Logger: log.NewNopLogger(), Observe: func(string) {}}
		err := tasks.Fetch(t.Context(), "key", w.create, func(f io.ReaderAt, size int64) error {
			_, err := ReadTable(f, size, Sessions, func(Row) error { return nil })
			return err
		})
		require.ErrorContains(t, err, "session_state")
		assert.Equal(t, []string{"t1"}, w.deleted, "to read it again would not help")
		assert.Empty(t, w.memory)
	})
}

func TestTasksAreNotDeleted(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		logged int
	}{
		"not permitted": {&workspace.Error{Operation: "DeleteExportTasks", Status: http.StatusForbidden}, 1},
		"gone":          {&workspace.Error{Status: http.StatusNotFound}, 0},
		"broken":        {&workspace.Error{Status: http.StatusInternalServerError}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.deleteAs = c.err
				tasks := &Tasks{API: w, Memory: w, Timeout: time.Minute, Logger: log.NewLogfmtLogger(&w.logged), Observe: func(string) {}}
				for range 3 {
					require.NoError(t, tasks.Fetch(t.Context(), "key", w.create, func(io.ReaderAt, int64) error { return nil }))
				}
				assert.Equal(t, c.logged, strings.Count(w.logged.String(), "level=warn"))
				assert.Len(t, w.deleted, 3)
			})
		})
	}
}

func TestOtherErrors(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		broken := &workspace.Error{Status: 503}
		w.status = func(string, time.Duration) (workspace.ExportTask, error) { return workspace.ExportTask{}, broken }
		_, err := w.fetch(t.Context())
		require.ErrorIs(t, err, broken)
		assert.Equal(t, []string{"t1"}, slices.Collect(maps.Values(w.memory)), "it is taken up again")

		w.memoryAs = errors.New("disk full")
		_, err = w.fetch(t.Context())
		require.ErrorContains(t, err, "looking for an export task under way: disk full")
		assert.Len(t, w.created, 1)

		w.memoryAs = nil
		clear(w.memory)
		refused := errors.New("refused")
		tasks := &Tasks{API: w, Memory: w, Timeout: time.Minute, Logger: log.NewNopLogger(), Observe: func(string) {}}
		err = tasks.Fetch(t.Context(), "key", func(context.Context) (string, error) { return "", refused }, nil)
		require.ErrorIs(t, err, refused)
		assert.Empty(t, w.memory)
	})
}

func TestSpoolIsPrivate(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var file *os.File
	err := Spool(func(w io.Writer) error {
		file = w.(*os.File)
		info, err := file.Stat()
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		return nil
	}, func(_ io.ReaderAt, size int64) error { assert.Zero(t, size); return nil })
	require.NoError(t, err)
	_, err = file.Stat()
	require.ErrorIs(t, err, os.ErrClosed)

	t.Setenv("TMPDIR", "/nowhere")
	assert.ErrorContains(t, Spool(nil, nil), "TMPDIR")
}

// The client's errors say what Tasks wants to know of them.
func TestWithClient(t *testing.T) {
	status, list := 200, `{"export_tasks":[{"task_id":"t1","status":"SUCCESS"}]}`
	client, err := workspace.New(workspace.Options{
		ProjectID: "p", Endpoints: workspace.Endpoints{AppStream: "https://api.test"},
		Credentials: workspace.Token(func() (string, error) { return "TOKEN", nil }),
		Transport: transport(func(r *http.Request) (*http.Response, error) {
			answer := &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: io.NopCloser(strings.NewReader(list))}
			if strings.HasSuffix(r.URL.Path, "/download") {
				answer.StatusCode, answer.Body = status, io.NopCloser(strings.NewReader("a,b\n"))
			}
			return answer, nil
		}),
	})
	require.NoError(t, err)
	setLimit(t, &MaxFileBytes, 4)
	w := newWorld()
	tasks := &Tasks{API: client, Memory: w, Timeout: time.Minute, Logger: log.NewNopLogger(), Observe: func(string) {}}
	read := func(_ io.ReaderAt, size int64) error { assert.EqualValues(t, 4, size); return nil }
	require.NoError(t, tasks.Fetch(t.Context(), "key", w.create, read))

	setLimit(t, &MaxFileBytes, 3)
	w.memory["key"] = "t1"
	require.ErrorIs(t, tasks.Fetch(t.Context(), "key", w.create, read), workspace.ErrFileTooLarge)
	assert.Empty(t, w.memory)

	status, w.memory["key"] = http.StatusNotFound, "t1"
	require.ErrorContains(t, tasks.Fetch(t.Context(), "key", w.create, read), "404")
	assert.Empty(t, w.memory)
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
