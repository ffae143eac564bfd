package fetcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
	"github.com/workspace-exporter/workspace_exporter/internal/tasknotes"
)

// cloud makes export tasks, and remembers those under way, as a store does.
type cloud struct {
	file  func(w cursor.Window) string // what a task that is made now will have found
	took  time.Duration                // until a task has its file
	fails func(step string) error      // nil: never

	made   []cursor.Window
	tasks  map[string]task
	memory map[string]string
}

type task struct {
	born time.Time
	file string
}

func newCloud(file func(cursor.Window) string) *cloud {
	return &cloud{file: file, took: 20 * time.Second, tasks: map[string]task{}, memory: map[string]string{}}
}

func (c *cloud) step(name string) error {
	if c.fails == nil {
		return nil
	}
	return c.fails(name)
}

func (c *cloud) create(_ context.Context, from, to time.Time) (string, error) {
	if err := c.step("create"); err != nil {
		return "", err
	}
	w := cursor.Window{From: from, To: to}
	c.made = append(c.made, w)
	id := fmt.Sprintf("t%d", len(c.made))
	c.tasks[id] = task{time.Now(), c.file(w)}
	return id, nil
}

func (c *cloud) ExportTask(_ context.Context, id string) (workspace.ExportTask, error) {
	made, there := c.tasks[id]
	switch {
	case !there:
		return workspace.ExportTask{}, workspace.ErrNoTask
	case time.Since(made.born) < c.took:
		return workspace.ExportTask{ID: id, Status: workspace.TaskCreating}, c.step("status")
	}
	return workspace.ExportTask{ID: id, Status: workspace.TaskSuccess}, c.step("status")
}

func (c *cloud) DownloadExport(_ context.Context, id string, w io.Writer, _ int64) error {
	_, err := io.WriteString(w, c.tasks[id].file)
	return errors.Join(err, c.step("download"))
}

func (c *cloud) DeleteExportTask(_ context.Context, id string) error {
	delete(c.tasks, id)
	return c.step("delete")
}

func (c *cloud) Get(key string) (string, bool, error) { id, ok := c.memory[key]; return id, ok, nil }
func (c *cloud) Set(key, id string) error             { c.memory[key] = id; return nil }
func (c *cloud) Clear(key string) error               { delete(c.memory, key); return nil }
func (c *cloud) Keys() ([]string, error)              { return slices.Sorted(maps.Keys(c.memory)), nil }

func (c *cloud) export(memory TaskMemory) Export {
	return Export{Kind: "kind", Memory: memory, Create: c.create, Tasks: &export.Tasks{
		API: c, Memory: memory, Timeout: 15 * time.Minute, Observe: func(string) {}, Logger: log.NewNopLogger()}}
}

func (c *cloud) logins() *LoginExports {
	return c.loginExports(c)
}

func (c *cloud) loginExports(memory TaskMemory) *LoginExports {
	return &LoginExports{c.export(memory), FileOf(filesOf(export.ColumnsOf(record.UserConnectionColumns)), (*record.UserConnection).Login)}
}

func (c *cloud) desktopExports(memory TaskMemory) *LoginExports {
	return &LoginExports{c.export(memory), FileOf(filesOf(export.ColumnsOf(record.DesktopConnectionColumns)), (*record.DesktopConnection).Login)}
}

func (c *cloud) sessionExports(memory TaskMemory) *SessionExports {
	return &SessionExports{c.export(memory), FileOf(filesOf(export.ColumnsOf(record.SessionInfoColumns)), (*record.SessionInfo).Session)}
}

func (c *cloud) accessExports(memory TaskMemory) *AccessExports {
	return &AccessExports{c.export(memory), FileOf(filesOf(export.ColumnsOf(record.AppUserAccessColumns)), (*record.AppUserAccess).Access)}
}

func filesOf(columns export.Columns) Files {
	return Files{Columns: columns, Logger: log.NewNopLogger()}
}

const loginHeader = "id,user_name,desktop_group_name,pre_conn_time,start_time,end_time,update_time,failed_code\n"

// noRows is the file of a window in which nothing happened.
func noRows(cursor.Window) string { return loginHeader }

// shelf is storage in memory.
type shelf struct {
	tables map[string]map[string][]byte
	fails  func() bool // nil: never
}

func newShelf() *shelf { return &shelf{tables: map[string]map[string][]byte{}} }

func (s *shelf) Load(row func(table string, key, value []byte) error) error {
	load := func(table string) error {
		for key, value := range s.tables[table] {
			if err := row(table, []byte(key), value); err != nil {
				return err
			}
		}
		return nil
	}
	err := load(store.Head)
	for table := range s.tables {
		if table != store.Head {
			err = errors.Join(err, load(table))
		}
	}
	return err
}

// LoadTable loads one table.
func (s *shelf) LoadTable(table string, row func(key, value []byte) error) error {
	return s.Load(func(of string, key, value []byte) error {
		if of != table {
			return nil
		}
		return row(key, value)
	})
}

// notesOn opens the notes of the tasks that are stored.
func notesOn(t *testing.T, storage *shelf) *tasknotes.Notes {
	t.Helper()
	notes, err := tasknotes.Open(storage, "")
	require.NoError(t, err)
	return notes
}

func (s *shelf) Commit(b *store.Changes) error {
	if s.fails != nil && s.fails() {
		return errFault
	}
	b.Each(func(table string, key, value []byte) {
		if value == nil {
			delete(s.tables[table], string(key))
			return
		}
		if s.tables[table] == nil {
			s.tables[table] = map[string][]byte{}
		}
		s.tables[table][string(key)] = bytes.Clone(value)
	})
	return nil
}

// openAccumulator opens the real accumulator of a source.
func openAccumulator(t *testing.T, storage collector.Storage, kind collector.Kind, lookback time.Duration) *collector.Accumulator {
	t.Helper()
	accumulator, err := collector.Open(storage, collector.Options{Kind: kind, Project: "p", Product: "app_streaming", Source: "s", Lookback: lookback,
		Limits: collector.NewLimits(20_000, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "limited"}, []string{"family"})),
		Rules:  ledger.Rules{SuccessCodes: []string{"", "0"}, PendingTimeout: 24 * time.Hour}})
	require.NoError(t, err)
	return accumulator
}

// options are those of a poller in a world in which all clocks are right.
func options() Options {
	return Options{Host: "api.test", Interval: interval, Logger: log.NewNopLogger(),
		ServerTime: func() (time.Time, bool) { return time.Now().UTC(), true }}
}

// from is a poller whose new records come from a source.
func (w *world) from(source LoginSource) *Poller {
	p, err := NewPoller(incremental(source, w, lookback), w, w, options())
	require.NoError(w.t, err)
	return p
}

func TestKeys(t *testing.T) {
	e := &Export{Kind: "kind"}
	rapid.Check(t, func(t *rapid.T) {
		from := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "from"), 0).UTC()
		want := cursor.Window{From: from, To: from.Add(time.Duration(rapid.Int64Range(0, 3_000_000).Draw(t, "length")) * time.Second)}
		got, ok := e.windowOf(e.key(want))
		require.True(t, ok)
		require.Equal(t, want, got)
		_, ok = (&Export{Kind: "other"}).windowOf(e.key(want))
		require.False(t, ok)
	})
	for _, key := range []string{"", "kind", "kind/1", "kind/1/2/3", "kind/1/x", "kind/x/2", "kind//", "kinds/1/2", "1/2/kind"} {
		_, ok := e.windowOf(key)
		assert.False(t, ok, key)
	}
}

func TestResumeFindsWhatFits(t *testing.T) {
	key := func(from, to time.Duration) string {
		return (&Export{Kind: "kind"}).key(cursor.Window{From: noon.Add(from), To: noon.Add(to)})
	}
	todo := cursor.Window{From: noon, To: noon.Add(time.Hour)}
	for name, c := range map[string]struct {
		keys   []string
		oldest time.Time
		want   string // empty for none
		left   []string
	}{
		"none":                 {},
		"the same":             {keys: []string{key(0, time.Hour)}, want: key(0, time.Hour), left: []string{key(0, time.Hour)}},
		"ends sooner":          {keys: []string{key(0, time.Minute)}, want: key(0, time.Minute), left: []string{key(0, time.Minute)}},
		"begins sooner":        {keys: []string{key(-time.Hour, 1e9)}, want: key(-time.Hour, 1e9), left: []string{key(-time.Hour, 1e9)}},
		"begins later":         {keys: []string{key(time.Second, time.Minute)}},
		"ends later":           {keys: []string{key(0, time.Hour+time.Second)}},
		"is done":              {keys: []string{key(-time.Hour, 0)}},
		"begins before oldest": {keys: []string{key(-time.Hour, time.Minute)}, oldest: noon.Add(-time.Minute)},
		"begins at oldest":     {keys: []string{key(-1e9, time.Minute)}, oldest: noon.Add(-1e9), want: key(-1e9, time.Minute), left: []string{key(-1e9, time.Minute)}},
		"of another kind":      {keys: []string{"other/1/2", "other", "kind/x/y"}, left: []string{"kind/x/y", "other", "other/1/2"}},
		"behind others": {keys: []string{key(-2*time.Hour, -time.Hour), key(0, time.Minute), "another/1/2"},
			want: key(0, time.Minute), left: []string{"another/1/2", key(0, time.Minute)}},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := newCloud(noRows)
			for _, k := range c.keys {
				cloud.memory[k] = "t"
			}
			e := cloud.export(cloud)
			w, ok, err := e.ResumeWindow(todo, c.oldest)
			require.NoError(t, err)
			assert.Equal(t, c.want != "", ok)
			if ok {
				assert.Equal(t, c.want, e.key(w))
			}
			left, err := cloud.Keys()
			require.NoError(t, err)
			assert.Equal(t, c.left, left)
		})
	}
}

// crash polls, and ends the process after a time.
func crash(t *testing.T, p *Poller, after time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), after)
	defer cancel()
	require.ErrorIs(t, p.Poll(ctx), context.DeadlineExceeded)
}

// A task that was under way when the process ended is taken up again, whatever time it
// is by then, and what its window does not hold is read after it.
func TestTaskIsTakenUpAgain(t *testing.T) {
	for name, behind := range map[string]time.Duration{"first poll": 0, "second poll": interval, "first piece of a backlog": 40 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				if behind != 0 {
					w.position.Cursor = w.now().Add(-behind)
				}
				c := newCloud(noRows)
				crash(t, w.from(c.logins()), c.took/2)
				require.Len(t, c.made, 1)
				begun := c.made[0]
				assert.Empty(t, w.batches)

				time.Sleep(10 * time.Minute)
				now := w.now()
				require.NoError(t, w.from(c.logins()).Poll(t.Context()))
				assert.Equal(t, begun, cursor.Window{From: w.batches[0].From, To: w.batches[0].To})
				assert.Len(t, c.made, len(w.batches), "no window is asked for again")
				for i, r := range w.batches[1:] {
					assert.Equal(t, w.batches[i].To.Add(-lookback), r.From)
				}
				assert.Empty(t, c.memory)
				assert.Equal(t, now, w.position.Cursor)
			})
		})
	}
}

func TestLaterPieceIsTakenUpAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.position.Cursor = w.now().Add(-40 * time.Hour)
		c := newCloud(noRows)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c.fails = func(string) error {
			if len(c.made) == 3 {
				cancel()
			}
			return nil
		}
		require.Error(t, w.from(c.logins()).Poll(ctx))
		require.Len(t, w.batches, 2)
		begun := c.made[2]
		assert.Equal(t, w.position.Cursor.Add(-lookback), begun.From)

		time.Sleep(time.Hour)
		require.NoError(t, w.from(c.logins()).Poll(t.Context()))
		assert.Equal(t, begun, cursor.Window{From: w.batches[2].From, To: w.batches[2].To})
		assert.Len(t, c.made, len(w.batches))
	})
}

// The records of a task that lies far behind may be counted and forgotten: reading
// them would count them again.
func TestTaskBehindTheHorizonIsLeft(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.position = cursor.Position{Cursor: w.now().Add(-interval), Horizon: w.now().Add(-lookback - 2*interval), Complete: true}
		c := newCloud(noRows)
		source := c.logins()
		old := source.key(cursor.Window{From: w.now().Add(-day), To: w.now().Add(-interval)})
		c.memory[old] = "t0"
		require.NoError(t, w.from(source).Poll(t.Context()))
		require.Len(t, w.batches, 1)
		assert.False(t, w.batches[0].From.Before(w.position.Horizon))
		assert.Empty(t, c.memory)
	})
}

// A task whose window begins before the API's 30 days would be refused again and again.
func TestTaskOutOfReachIsLeft(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.position.Cursor = w.now().Add(-40 * day)
		c := newCloud(noRows)
		crash(t, w.from(c.logins()), 10*time.Second)
		time.Sleep(time.Hour)
		now := w.now()
		require.NoError(t, w.from(c.logins()).Poll(t.Context()))
		assert.Equal(t, now.Add(-cursor.Reach), w.batches[0].From)
		assert.Empty(t, c.memory)
	})
}

// committed notes what an accumulator takes, over all restarts.
type committed struct {
	*collector.Accumulator
	batches int
	begin   time.Time // of the first
}

func (c *committed) Commit(r *record.Batch) error {
	err := c.Accumulator.Commit(r)
	if err == nil && !r.Reread {
		if c.batches++; c.batches == 1 {
			c.begin = r.From
		}
	}
	return err
}

// Whenever the process ends: each piece of a source of exports begins exactly where a
// poll after a restart begins, so that no window is ever exported twice.
func FuzzTasksAreTakenUpAgain(f *testing.F) {
	for seed := range uint64(60) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			upTo := func(d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }
			lookback := [...]time.Duration{0, 1500 * time.Millisecond, 15 * time.Minute, 2 * time.Hour}[r.IntN(4)]
			c, storage := newCloud(noRows), newShelf()
			c.took = time.Second + upTo(40*time.Second)
			accumulator := &committed{}
			restart := func() *Poller {
				accumulator.Accumulator = openAccumulator(t, storage, collector.Logins, lookback)
				source := c.loginExports(notesOn(t, storage))
				p, err := NewPoller(incremental(source, &world{t: t}, lookback), accumulator, nothing{}, options())
				require.NoError(t, err)
				return p
			}
			for range 4 {
				p := restart()
				for {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second+upTo(time.Minute))
					err := p.Poll(ctx)
					cancel()
					if err == nil {
						break
					}
					require.ErrorIs(t, err, context.DeadlineExceeded)
					p = restart()
					time.Sleep(upTo(2 * time.Minute))
				}
				time.Sleep(upTo(3 * day))
			}
			require.Len(t, c.made, accumulator.batches)
			require.Empty(t, c.tasks, "tasks that nobody reads")
		})
	})
}

func TestFilesOfLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(func(cursor.Window) string {
			return loginHeader + "7,jane,g1,2026-03-04T12:00:00Z,2026-03-04T12:00:09Z,,,0\n8,joe,g1,2026-03-04 12:00:01,,,,1004\n"
		})
		logins, err := gather(t.Context(), c.logins(), cursor.Window{From: noon, To: noon.Add(time.Hour)}, 1)
		require.NoError(t, err)
		require.Len(t, logins, 2, "an export has no limit")
		assert.Equal(t, "g1", logins[0].Group)
		assert.Equal(t, noon.Add(9*time.Second), logins[0].Start)
		assert.Equal(t, "1004", logins[1].FailedCode)
		assert.Equal(t, []cursor.Window{{From: noon, To: noon.Add(time.Hour)}}, c.made)

		c.file = func(cursor.Window) string { return "colour,shape,size\nred,round,small\n" }
		_, err = gather(t.Context(), c.logins(), cursor.Window{From: noon, To: noon.Add(time.Hour)}, 0)
		require.ErrorContains(t, err, "columns not recognised")
		assert.Empty(t, c.memory, "the next poll asks for another file")
	})
}

const desktopFile = "computer_name,user_name,connection_start_time,connection_setup_time,connection_failure_reason,transaction_id\n" +
	"d1,jane,2026-03-04T12:00:00Z,2026-03-04T12:00:03Z,,a1\n" +
	"d2,joe,2026-03-04T12:00:05Z,,No answer,a2\n"

func requireDesktops(t *testing.T, logins []record.Login, err error) {
	t.Helper()
	require.NoError(t, err)
	require.Len(t, logins, 2)
	assert.Equal(t, "d1", logins[0].Machine)
	assert.Equal(t, noon.Add(3*time.Second), logins[0].Setup)
	assert.Empty(t, logins[0].FailedCode)
	assert.NotEmpty(t, logins[1].FailedCode)
}

func TestFilesOfDesktops(t *testing.T) {
	var asked cursor.Window
	d := &LoginFiles{File: FileOf(filesOf(export.ColumnsOf(record.DesktopConnectionColumns)), (*record.DesktopConnection).Login), Download: func(_ context.Context, from, to time.Time, w io.Writer) error {
		asked = cursor.Window{From: from, To: to}
		_, err := io.Copy(w, strings.NewReader(desktopFile))
		return err
	}}
	logins, err := gather(t.Context(), d, cursor.Window{From: noon, To: noon.Add(time.Hour)}, 1)
	requireDesktops(t, logins, err)
	assert.Equal(t, cursor.Window{From: noon, To: noon.Add(time.Hour)}, asked)

	d.Download = func(_ context.Context, _, _ time.Time, w io.Writer) error {
		_, _ = io.WriteString(w, desktopFile[:len(desktopFile)/2])
		return errFault
	}
	logins, err = gather(t.Context(), d, cursor.Window{From: noon, To: noon.Add(time.Hour)}, 0)
	require.ErrorIs(t, err, errFault)
	assert.Empty(t, logins, "half a file is no file")

	synctest.Test(t, func(t *testing.T) {
		c := newCloud(func(cursor.Window) string { return desktopFile })
		logins, err := gather(t.Context(), c.desktopExports(c), cursor.Window{From: noon, To: noon.Add(time.Hour)}, 1)
		requireDesktops(t, logins, err)
	})
}

// What cannot be read in a file is logged, a dash means nothing, and a stop is heeded.
func TestReadLoginsTellsWhatItLeavesOut(t *testing.T) {
	var told strings.Builder
	file := "id,user_name,start_time,failed_code,client_type\n1,u,2023-06-05T06:37:47Z,-," + strings.Repeat("x", 70_000) + "\n"
	read := func(ctx context.Context) (logins []record.Login, err error) {
		files := Files{Columns: export.ColumnsOf(record.UserConnectionColumns), Logger: log.NewLogfmtLogger(&told)}
		_, err = FileOf(files, (*record.UserConnection).Login)(ctx, strings.NewReader(file), int64(len(file)), into(&logins))
		return logins, err
	}
	logins, err := read(t.Context())
	require.NoError(t, err)
	require.Len(t, logins, 1)
	assert.Empty(t, logins[0].FailedCode)
	assert.Contains(t, told.String(), "cut_cells=1")

	ended, end := context.WithCancel(t.Context())
	end()
	_, err = read(ended)
	require.ErrorIs(t, err, context.Canceled)
}

// What in a file is no row is left as soon as the poll is, too.
func TestAFileIsLeftWhereItHasNoRows(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	file := "id,start_time,user_name\n" + strings.Repeat("\n", 1<<20)
	for _, text := range []string{file, "PK\x03\x04" + file} {
		files := Files{Columns: export.ColumnsOf(record.UserConnectionColumns), Logger: log.NewNopLogger()}
		_, err := FileOf(files, (*record.UserConnection).Login)(ctx, strings.NewReader(text), int64(len(text)), nil)
		require.ErrorIs(t, err, context.Canceled)
	}
}
