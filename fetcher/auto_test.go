package fetcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/fetcher/pagingtest"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

const threshold = 50

// both is an Auto over a list and a cloud.
type both struct {
	*Auto
	list  *pagingtest.Logins
	cloud *cloud
	log   bytes.Buffer
}

func newBoth(records int) *both {
	b := &both{list: &pagingtest.Logins{Items: pagingtest.Connections(records)}}
	b.cloud = newCloud(func(cursor.Window) string {
		return loginHeader + loginRows(records)
	})
	b.Auto = &Auto{Pages: loginPages(b.list, func() {}), Export: b.cloud.logins(), Threshold: threshold,
		Logger: log.NewLogfmtLogger(&b.log)}
	return b
}

// loginRows are rows of records that differ.
func loginRows(n int) string {
	var rows strings.Builder
	for i := range n {
		fmt.Fprintf(&rows, "%d,jane,,,2026-03-04T12:00:00Z,,,\n", i+1)
	}
	return rows.String()
}

func (b *both) read(t *testing.T, most int) ([]record.Login, error) {
	t.Helper()
	b.list.Requests, b.cloud.made = 0, nil
	return gather(t.Context(), b, cursor.Window{From: noon, To: noon.Add(time.Hour)}, most)
}

func inBoth(t *testing.T, records int, test func(t *testing.T, b *both)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newBoth(records)) })
}

func TestSmallByPagesLargeByExport(t *testing.T) {
	for records, requests := range map[int]int{0: 1, threshold: 2, threshold + 1: 1, 300: 1} {
		inBoth(t, records, func(t *testing.T, b *both) {
			logins, err := b.read(t, 10)
			require.NoError(t, err)
			assert.Len(t, logins, records)
			assert.Equal(t, requests, b.list.Requests)
			assert.Equal(t, records > threshold, slices.Equal(b.cloud.made, []cursor.Window{{From: noon, To: noon.Add(time.Hour)}}))
			assert.Empty(t, b.log.String())
		})
	}
}

// A failed export makes way for pages, and is tried again a quarter of an hour later.
func TestFailedExport(t *testing.T) {
	for _, step := range []string{"create", "status", "download"} {
		t.Run(step, func(t *testing.T) {
			inBoth(t, 300, func(t *testing.T, b *both) {
				b.cloud.fails = func(s string) error {
					if s == step {
						return errFault
					}
					return nil
				}
				logins, err := b.read(t, 1000)
				require.NoError(t, err)
				pagingtest.RequireAll(t, b.list.Items, logins)
				assert.Contains(t, b.log.String(), "export failed")
				assert.Contains(t, b.log.String(), errFault.Error())

				b.cloud.fails = nil
				failedAt := time.Now()
				for time.Since(failedAt) < 14*time.Minute {
					time.Sleep(time.Minute)
					logins, err = b.read(t, 1000)
					require.NoError(t, err)
					pagingtest.RequireAll(t, b.list.Items, logins)
					assert.Empty(t, b.cloud.made)
				}
				_, err = b.read(t, 299)
				assert.True(t, paging.IsTooLarge(err), "the window is to be cut")

				time.Sleep(2 * time.Minute)
				before := len(b.cloud.tasks)
				logins, err = b.read(t, 10)
				require.NoError(t, err)
				assert.Len(t, logins, 300)
				assert.Equal(t, 1, before+len(b.cloud.made), "a task that is there already will do")
				assert.Equal(t, 1, strings.Count(b.log.String(), "export failed"))
			})
		})
	}
}

// cutFilesShort leaves the last record out of each file.
func (b *both) cutFilesShort() {
	whole := b.cloud.file
	b.cloud.file = func(w cursor.Window) string {
		text := strings.TrimSuffix(whole(w), "\n")
		return text[:strings.LastIndex(text, "\n")+1]
	}
}

// A file that lacks what the list has is not whole, even if it reads as if it were.
func TestShortFileIsAFailedExport(t *testing.T) {
	inBoth(t, 300, func(t *testing.T, b *both) {
		b.cutFilesShort()
		logins, err := b.read(t, 1000)
		require.NoError(t, err)
		pagingtest.RequireAll(t, b.list.Items, logins)
		assert.Contains(t, b.log.String(), "has 299 records of its window that differ, and there are 300 by the API's pages")
	})
}

// So does one that has a record of another window in place of one of its own.
func TestFileWithARecordOfAnotherWindowIsAFailedExport(t *testing.T) {
	for _, at := range []string{"2026-03-04T08:00:00Z", "2026-03-04T16:00:00Z"} {
		inBoth(t, 300, func(t *testing.T, b *both) {
			b.cutFilesShort()
			short := b.cloud.file
			b.cloud.file = func(w cursor.Window) string { return short(w) + "999,joe,,," + at + ",,,\n" }
			logins, err := b.read(t, 1000)
			require.NoError(t, err)
			pagingtest.RequireAll(t, b.list.Items, logins)
			assert.Contains(t, b.log.String(), "has 299 records of its window that differ, and there are 300 by the API's pages")
		})
	}
}

// Many records of one second that are shuffled for each page, and of which one stands there twice,
// prove nothing by pages. Only the smallest window goes by export task: others are cut first.
func TestASecondThatPagesDoNotProveIsExported(t *testing.T) {
	inBoth(t, 300, func(t *testing.T, b *both) {
		b.Threshold = 5000
		b.list.Arrange = neverProved()
		_, err := b.read(t, 5000)
		require.ErrorIs(t, err, paging.ErrMoved)
		assert.Empty(t, b.cloud.made)
		second := cursor.Window{From: noon, To: noon.Add(2 * time.Second)}
		b.Pages.pages.Doubt = func(_, _ time.Time) { t.Error("the file is not doubted") }
		for i := range 3 { // also when pages alone would be taken as they were seen
			logins, err := gather(t.Context(), b, second, 5000)
			require.NoError(t, err)
			assert.Len(t, logins, 300)
			assert.Len(t, b.cloud.made, i+1)
			assert.Equal(t, second, b.cloud.made[i])
			time.Sleep(paging.Patience)
		}
	})
}

// A file that lacks what the pages of such a second have shown is not whole either: pages are
// taken when their patience has an end.
func TestAShortFileOfASecondThatPagesDoNotProve(t *testing.T) {
	inBoth(t, 300, func(t *testing.T, b *both) {
		b.cutFilesShort()
		b.Threshold = 5000
		b.list.Arrange = neverProved()
		doubts := 0
		b.Pages.pages.Doubt = func(_, _ time.Time) { doubts++ }
		second := cursor.Window{From: noon, To: noon.Add(2 * time.Second)}
		_, err := gather(t.Context(), b, second, 5000)
		require.ErrorIs(t, err, paging.ErrMoved)
		assert.Contains(t, b.log.String(), "has 299 records of its window that differ, and there are 300 by the API's pages")
		for range 20 {
			time.Sleep(time.Minute)
			if logins, err := gather(t.Context(), b, second, 5000); err == nil {
				pagingtest.RequireAll(t, b.list.Items, logins)
				assert.Equal(t, 1, doubts)
				return
			}
		}
		t.Error("the second is never read")
	})
}

// Nor is one that lacks what pages have shown before the API refused one. If there is nothing
// better for as long as Patience, it is taken, and doubted.
func TestAShortFileOfASecondWhosePagesAreRefused(t *testing.T) {
	for rows, whole := range map[int]bool{300: true, 150: false} {
		inBoth(t, 300, func(t *testing.T, b *both) {
			b.Threshold = 5000
			b.cloud.file = func(cursor.Window) string { return loginHeader + loginRows(rows) }
			b.list.After = func(offset int) error {
				if offset < 200 {
					return nil
				}
				return &workspace.Error{Status: http.StatusBadRequest, Message: "offset"}
			}
			logins, err := gather(t.Context(), b, cursor.Window{From: noon, To: noon.Add(2 * time.Second)}, 5000)
			require.Len(t, b.cloud.made, 1)
			if whole {
				require.NoError(t, err)
				assert.Len(t, logins, 300)
				return
			}
			require.ErrorContains(t, err, "offset", "a later poll tries again")
			assert.Empty(t, logins)
			doubts := 0
			b.Pages.pages.Doubt = func(_, _ time.Time) { doubts++ }
			for begun := time.Now(); err != nil; time.Sleep(time.Minute) {
				require.LessOrEqual(t, time.Since(begun), 2*paging.Patience, "it is never read")
				logins, err = gather(t.Context(), b, cursor.Window{From: noon, To: noon.Add(2 * time.Second)}, 5000)
			}
			assert.Len(t, logins, 150)
			assert.Equal(t, 1, doubts)
			// Pages are asked for side by side: the last one that is not refused may come too late.
			assert.Regexp(t, `has 150 records of its window that differ, and there are (19|20|29)\d by`, b.log.String())
		})
	}
}

// neverProved shuffles a list for each request, and shows one record twice.
func neverProved() func([]record.UserConnection) []record.UserConnection {
	r := rand.New(rand.NewPCG(1, 2))
	return func(items []record.UserConnection) []record.UserConnection {
		items = append(items, items[0])
		r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		return items
	}
}

func TestOnlyLargeIsExported(t *testing.T) {
	inBoth(t, 300, func(t *testing.T, b *both) {
		b.list.After = func(int) error { return errFault }
		_, err := b.read(t, 1000)
		require.ErrorIs(t, err, errFault)
		assert.Empty(t, b.cloud.made)
	})
	inBoth(t, threshold, func(t *testing.T, b *both) {
		b.list.PageSize = 20
		b.list.Count = func(int) int { return threshold }
		next := 0
		b.list.Arrange = func(items []record.UserConnection) []record.UserConnection {
			next += len(items)
			for i := range items {
				items[i] = pagingtest.Connection(next+i, 0)
			}
			return items
		}
		_, err := b.read(t, 1000)
		require.ErrorIs(t, err, paging.ErrMoved, "which a smaller window may not do")
		assert.Empty(t, b.cloud.made)
	})
}

// A cancelled export is no failure.
func TestStopsWithinAnExport(t *testing.T) {
	inBoth(t, 300, func(t *testing.T, b *both) {
		ctx, cancel := context.WithTimeout(t.Context(), b.cloud.took/2)
		defer cancel()
		_, err := gather(ctx, b, cursor.Window{From: noon, To: noon.Add(time.Hour)}, 1000)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 1, b.list.Requests)
		assert.Empty(t, b.log.String())
		logins, err := b.read(t, 1000)
		require.NoError(t, err)
		assert.Len(t, logins, 300)
		assert.Empty(t, b.cloud.made, "the task was there")
	})
}

// steady is the API over records that come at a steady rate, of which the id alone
// matters.
type steady struct {
	begin    time.Time
	every    time.Duration
	mu       sync.Mutex
	requests int
}

func (s *steady) ListUserConnections(_ context.Context, q workspace.PageQuery) (*workspace.Page[record.UserConnection], error) {
	s.mu.Lock()
	s.requests++
	s.mu.Unlock()
	first, end := int(q.From.Sub(s.begin)/s.every), int(q.To.Sub(s.begin)/s.every)
	page := &workspace.Page[record.UserConnection]{Count: end - first}
	for i := first + q.Offset; i < min(end, first+q.Offset+q.Limit); i++ {
		page.Items = append(page.Items, pagingtest.Connection(i, 0))
	}
	return page, nil
}

// Without exports, even a lookback that holds more than a piece may is read in pieces,
// and none of it much more often than once.
func TestFailedExportOfADenseBacklog(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		begin := w.now().Add(-day)
		s := &steady{begin: begin, every: 150 * time.Millisecond}
		require.Greater(t, int(lookback/s.every), maxRecords)
		w.position.Cursor = w.now().Add(-time.Hour)
		c := newCloud(nil)
		c.fails = func(string) error { return errFault }
		pages := loginPages(s, func() {})
		p := w.from(&Auto{Pages: pages, Export: c.logins(), Threshold: 5000, Logger: log.NewNopLogger()})
		require.NoError(t, p.Poll(t.Context()))
		assert.Equal(t, w.now(), w.position.Cursor)
		records := int((time.Hour + lookback) / s.every)
		assert.Less(t, s.requests, 2*records/pageLimit)
		covered := w.now().Add(-time.Hour - lookback)
		for _, r := range w.batches {
			assert.False(t, r.From.After(covered), "a hole")
			assert.LessOrEqual(t, len(r.Logins), maxRecords)
			covered = r.To
		}
	})
}

// What is unfinished is read by pages, however much lies around it.
func TestRereadsAreNotExported(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.position.Cursor = w.now()
		for i := range 10 {
			w.unfinished = append(w.unfinished, w.now().Add(-10*day+time.Duration(i)*time.Minute))
		}
		begin := w.position.Cursor
		b := newBoth(threshold + 1)
		whole := b.cloud.file
		b.cloud.file = func(w cursor.Window) string {
			return strings.ReplaceAll(whole(w), noon.Format(time.RFC3339), w.To.Format(time.RFC3339))
		}
		p, err := NewPoller(incremental(b, b.Pages, lookback), w, w, options())
		require.NoError(t, err)
		for range rereadEvery {
			require.NoError(t, p.Poll(t.Context()))
			time.Sleep(interval)
		}
		assert.True(t, slices.ContainsFunc(w.batches, func(r record.Batch) bool { return r.Reread }))
		assert.Len(t, b.cloud.made, rereadEvery)
		for _, made := range b.cloud.made {
			assert.False(t, made.From.Before(begin.Add(-lookback)))
		}
	})
}

// file is what an export of a window holds at this moment.
func (a *api) file(w cursor.Window) string {
	b := strings.Builder{}
	b.WriteString(loginHeader)
	from, to := w.From.Sub(a.begin), w.To.Sub(a.begin)
	for i := range a.logins {
		c, key, there := a.answer(&a.logins[i], time.Since(a.begin))
		if !there || key < from || key > to || a.exclusive && (key == from || key == to) {
			continue
		}
		id, l := strconv.Itoa(a.logins[i].id), c.Login()
		row := []string{id, "user" + id, l.Group, "", "", "", "", l.FailedCode}
		if a.logins[i].nameless {
			row[0] = ""
		}
		for i, at := range []time.Time{l.PreConnect, l.Start, l.End, l.Updated} {
			if !at.IsZero() {
				row[3+i] = at.Format(time.RFC3339)
			}
		}
		b.WriteString(strings.Join(row, ",") + "\n")
	}
	return b.String()
}

// Over any history, read by pages and by exports in turn, with faults at every step
// and restarts at any time: every record is counted once, and for what it was.
func FuzzAutoHistory(f *testing.F) {
	for seed := range uint64(15) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		readAhead(t, seed)
		r := rand.New(&locked{Source: rand.NewPCG(seed, 3)})
		a := &api{Rand: r, size: 4 + r.IntN(9), by: [...]string{"start or pre-connect", "pre-connect", "start", "update"}[r.IntN(4)],
			descending: r.IntN(2) == 0, exclusive: r.IntN(2) == 0, faults: true}
		lookback := [...]time.Duration{0, time.Minute, 10 * time.Minute}[r.IntN(3)]
		for id := range 20 + r.IntN(41) {
			a.logins = append(a.logins, drawLogin(r, id, span, lookback, a.by))
		}
		synctest.Test(t, func(t *testing.T) {
			require.Equal(t, a.truth(), counted(t, a.liveByBoth(t, lookback)), "by %s, lookback %s", a.by, lookback)
		})
	})
}

func (a *api) liveByBoth(t *testing.T, lookback time.Duration) *collector.Accumulator {
	t.Helper()
	a.begin = time.Now()
	fault := func(one int) func() bool { return func() bool { return a.faults && a.IntN(one) == 0 } }
	storage, c := newShelf(), newCloud(a.file)
	storage.fails = fault(25)
	c.fails = func(string) error {
		if fault(4)() {
			return errFault
		}
		return nil
	}
	var accumulator *collector.Accumulator
	restart := func() *Poller {
		accumulator = openAccumulator(t, storage, collector.Logins, lookback)
		pages := loginPages(a, func() {})
		auto := &Auto{Pages: pages, Export: c.loginExports(notesOn(t, storage)), Threshold: 3, Logger: log.NewNopLogger()}
		strategy := incremental(auto, pages, lookback)
		strategy.InitialLookback = span
		p, err := NewPoller(strategy, accumulator, nothing{}, options())
		require.NoError(t, err)
		return p
	}
	p := restart()
	last := time.Duration(0)
	for _, l := range a.logins {
		last = max(last, l.shown, l.settled, l.ended)
	}
	for time.Since(a.begin) < last+lookback {
		time.Sleep(time.Duration(a.Int64N(int64(2 * step))))
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(5+a.IntN(300))*time.Second)
		err := p.Poll(ctx)
		cancel()
		if err != nil && !errors.Is(err, errFault) {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		if errors.Is(err, context.DeadlineExceeded) || a.IntN(10) == 0 {
			p = restart()
		}
	}
	a.faults = false
	for range 2*rereadEvery + 1 {
		require.NoError(t, p.Poll(t.Context()))
		time.Sleep(step)
	}
	return accumulator
}
