package fetcher

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

const settle = 10 * time.Minute

// whole is a source that is a function.
type whole func(w cursor.Window) (*record.Batch, error)

func (whole) CreatesTasks() bool { return false }

func (whole) ResumeWindow(w cursor.Window, _ time.Time) (cursor.Window, bool, error) {
	return w, false, nil
}

func (f whole) ReadAll(_ context.Context, from, to time.Time) (*record.Batch, error) {
	return f(cursor.Window{From: from, To: to})
}

func (w *world) statistics(source DisjointSource) *Poller {
	o := options()
	o.ServerTime = w.serverTime
	p, err := NewPoller(&Disjoint{Source: source, Settle: settle}, w, w, o)
	require.NoError(w.t, err)
	return p
}

func (w *world) snapshots(source WindowSource) *Poller {
	o := options()
	o.ServerTime = w.serverTime
	p, err := NewPoller(&Snapshot{Source: source}, w, w, o)
	require.NoError(w.t, err)
	return p
}

func TestStatisticsPoller(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var asked []cursor.Window
		var fails error
		p := w.statistics(whole(func(w cursor.Window) (*record.Batch, error) {
			asked = append(asked, w)
			return &record.Batch{Accesses: make([]record.Access, 3)}, fails
		}))
		begin := w.now()
		require.NoError(t, p.Poll(t.Context()))
		first := record.Batch{From: begin.Add(-settle - firstDisjoint), To: begin.Add(-settle), Now: begin, UpToDate: true, Accesses: make([]record.Access, 3)}
		assert.Equal(t, []record.Batch{first}, w.batches)
		assert.Equal(t, []bool{false, false}, w.catchingUp)

		require.NoError(t, p.Poll(t.Context()))
		assert.Len(t, asked, 1, "nothing has settled since")

		fails = errFault
		for range 3 {
			time.Sleep(interval)
			err := p.Poll(t.Context())
			require.ErrorIs(t, err, errFault)
			require.ErrorContains(t, err, "window "+begin.Add(-settle).Format(time.RFC3339)+" to")
		}
		assert.Len(t, w.batches, 1)
		fails, w.commitErr = nil, errFault
		require.ErrorIs(t, p.Poll(t.Context()), errFault)
		assert.Len(t, w.batches, 1)
		w.commitErr = nil
		require.NoError(t, p.Poll(t.Context()))
		assert.Equal(t, []cursor.Window{{From: begin.Add(-settle), To: begin.Add(interval - settle)}, {From: begin.Add(interval - settle), To: begin.Add(3*interval - settle)}},
			asked[len(asked)-2:], "what an earlier poll began, and then the rest")
		assert.Equal(t, w.now().Add(-settle), w.position.Cursor)
		assert.Zero(t, w.gaps)
	})
}

func TestStatisticsOutOfReach(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.position.Cursor = w.now().Add(-31 * day)
		var fails error
		p := w.statistics(whole(func(cursor.Window) (*record.Batch, error) { return &record.Batch{}, fails }))
		fails = errFault
		require.Error(t, p.Poll(t.Context()))
		assert.Zero(t, w.gaps, "nothing is lost yet")
		assert.Equal(t, []bool{true}, w.catchingUp)
		fails = nil
		require.NoError(t, p.Poll(t.Context()))
		time.Sleep(interval)
		require.NoError(t, p.Poll(t.Context()))
		assert.Equal(t, 1, w.gaps)
		assert.Equal(t, 31*day-cursor.Reach, w.gap)
		assert.Equal(t, w.batches[0].To, w.batches[1].From)
		assert.False(t, p.Status().CatchUp)
	})
}

// A reading may be of a shorter window than it was asked for: the next one goes on
// where it ends.
func TestShorterReading(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.position.Cursor = w.now().Add(-5 * time.Hour)
		begin := w.position.Cursor
		shorter := true
		p := w.statistics(whole(func(asked cursor.Window) (*record.Batch, error) {
			r := &record.Batch{}
			if shorter {
				r.To = asked.From.Add(time.Hour)
			}
			shorter = false
			return r, nil
		}))
		require.NoError(t, p.Poll(t.Context()))
		assert.True(t, p.Status().CatchUp)
		require.NoError(t, p.Poll(t.Context()))
		assert.False(t, p.Status().CatchUp)
		assert.Equal(t, begin.Add(time.Hour), w.batches[0].To)
		assert.Equal(t, begin.Add(time.Hour), w.batches[1].From)
		assert.Equal(t, w.now().Add(-settle), w.position.Cursor)
	})
}

func TestSnapshotPoller(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var fails error
		p := w.snapshots(whole(func(asked cursor.Window) (*record.Batch, error) {
			assert.Equal(t, cursor.Window{From: w.now().Add(-cursor.Reach), To: w.now()}, asked, "all of the API's 30 days, each time")
			return &record.Batch{Sessions: make([]record.Session, 2)}, fails
		}))
		for range 3 {
			require.NoError(t, p.Poll(t.Context()))
			r := w.batches[len(w.batches)-1]
			assert.Equal(t, w.now(), r.To)
			assert.Equal(t, w.now(), r.Now)
			assert.True(t, r.UpToDate)
			assert.Len(t, r.Sessions, 2)
			time.Sleep(interval)
		}
		before := w.position
		fails = errFault
		require.ErrorIs(t, p.Poll(t.Context()), errFault)
		fails, w.commitErr = nil, errFault
		require.ErrorIs(t, p.Poll(t.Context()), errFault)
		assert.Len(t, w.batches, 3)
		assert.Equal(t, before, w.position)
		assert.Equal(t, before, p.Status().Position)
	})
}

// A window that was cut by the wrong clock is not committed, but read again by the
// clock as the answer has set it.
func TestWholeByAWrongClock(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.skew, w.unknown = -5*time.Hour, true
		var asked []cursor.Window
		p := w.snapshots(whole(func(a cursor.Window) (*record.Batch, error) {
			asked, w.unknown = append(asked, a), false
			return &record.Batch{}, nil
		}))
		require.NoError(t, p.Poll(t.Context()))
		require.Len(t, asked, 2)
		require.Len(t, w.batches, 1)
		assert.Equal(t, w.now(), w.batches[0].To)
	})
}

// A local clock that is behind must not pass for "nothing has settled": the rows tell. A
// window ends where they have shown that it may.
func TestStatisticsByAClockThatIsBehind(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.skew, w.unknown = 5*time.Hour, true
		w.position.Cursor = w.now().Add(-time.Hour)
		begin, shown := w.position.Cursor, w.now().Add(-30*time.Minute)
		p := w.statistics(whole(func(asked cursor.Window) (*record.Batch, error) {
			w.unknown = false
			r := &record.Batch{}
			if asked.From.Before(shown) && asked.To.After(shown) {
				r.Accesses = []record.Access{{User: 1, Last: shown}, {User: 2, Last: shown}}
			}
			return r, nil
		}))
		require.NoError(t, p.Poll(t.Context()))
		require.Len(t, w.batches, 1)
		assert.Equal(t, begin, w.batches[0].From)
		assert.Equal(t, shown.Add(-settle), w.position.Cursor)
		assert.Empty(t, w.batches[0].Accesses, "they are in a window to come")

		time.Sleep(settle + interval)
		w.skew -= 3 * time.Hour // less than the rows have shown
		require.NoError(t, p.Poll(t.Context()))
		require.Len(t, w.batches, 2)
		assert.Len(t, w.batches[1].Accesses, 2)
		assert.Equal(t, w.batches[0].To, w.batches[1].From)
	})
}

const (
	sessionFile = "id,login_user,session_state\n1,jane,Active\n2,joe,InitFail\n"
	accessFile  = "username,access_failed_count,last_access_failed_time\njane,3,2026-03-04T12:00:00Z\n"
)

// A snapshot that was under way is as good as a new one for a while, and says of when
// it is.
func TestSessionExportsAreTakenUpAgain(t *testing.T) {
	for _, c := range []struct {
		later time.Duration
		made  int
	}{{time.Minute, 1}, {14 * time.Minute, 1}, {15 * time.Minute, 2}, {40 * day, 2}} {
		t.Run(c.later.String(), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				cloud := newCloud(func(cursor.Window) string { return sessionFile })
				source := cloud.sessionExports(cloud)
				begin := w.now()
				crash(t, w.snapshots(source), 10*time.Second)
				assert.Equal(t, []cursor.Window{{From: begin.Add(-cursor.Reach), To: begin}}, cloud.made)
				time.Sleep(time.Until(begin.Add(c.later)))
				now := w.now()
				require.NoError(t, w.snapshots(source).Poll(t.Context()))
				require.Len(t, cloud.made, c.made)
				require.Len(t, w.batches, 1)
				assert.Len(t, w.batches[0].Sessions, 2)
				assert.Equal(t, now, w.batches[0].Now)
				assert.Equal(t, cloud.made[c.made-1].To, w.batches[0].To)
				assert.Equal(t, c.made == 1 && c.later > 2*interval, w.catchingUp[0])
				assert.Empty(t, cloud.memory)
			})
		})
	}
}

// Statistics that were under way are those of their own window: the next begins where
// it ends. A task whose window begins elsewhere is left.
func TestAccessExportsAreTakenUpAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.position.Cursor = w.now().Add(-time.Hour)
		begin := w.position.Cursor
		cloud := newCloud(func(cursor.Window) string { return accessFile })
		source := cloud.accessExports(cloud)
		first := cursor.Window{From: begin, To: w.now().Add(-settle - time.Second)} // inclusive
		crash(t, w.statistics(source), 10*time.Second)
		require.Equal(t, []cursor.Window{first}, cloud.made)

		time.Sleep(30 * time.Minute)
		require.NoError(t, w.statistics(source).Poll(t.Context()))
		require.Len(t, cloud.made, 1)
		require.Len(t, w.batches, 1)
		assert.Equal(t, begin, w.batches[0].From)
		assert.Equal(t, first.To.Add(time.Second), w.batches[0].To)
		assert.Equal(t, 3, w.batches[0].Accesses[0].Failures)
		assert.Equal(t, w.batches[0].To, w.position.Cursor)

		cloud.memory[source.key(cursor.Window{From: begin, To: begin.Add(time.Minute)})] = "t1"             // done long ago
		cloud.memory[source.key(cursor.Window{From: begin, To: w.position.Cursor.Add(time.Minute)})] = "t1" // would count twice
		to := w.now().Add(-settle)
		require.NoError(t, w.statistics(source).Poll(t.Context()))
		require.Len(t, cloud.made, 2)
		assert.Equal(t, cursor.Window{From: first.To.Add(time.Second), To: to.Add(-time.Second)}, cloud.made[1])
		assert.Equal(t, to, w.position.Cursor)
		assert.Empty(t, cloud.memory)
	})
}

// failed is what the API returns for a user who could not log in.
type failed struct {
	code     int
	failures int
	last     time.Duration // when, from the beginning of the history
	shown    time.Duration
}

// statisticsAPI is the API over a history of failures. A window has those whose last
// time lies in it, its ends included.
type statisticsAPI struct {
	*rand.Rand
	begin    time.Time
	failures []failed
	fails    func() bool
}

func (a *statisticsAPI) of(w cursor.Window) (found []failed) {
	for _, f := range a.failures {
		if at := a.begin.Add(f.last); time.Since(a.begin) >= f.shown && !at.Before(w.From) && !at.After(w.To) {
			found = append(found, f)
		}
	}
	return found
}

func (a *statisticsAPI) fields(f failed) []string {
	return []string{"u" + strconv.Itoa(f.code), strconv.Itoa(f.failures), a.begin.Add(f.last).UTC().Format(time.RFC3339), strconv.Itoa(f.code)}
}

func (a *statisticsAPI) file(w cursor.Window) string {
	var b strings.Builder
	b.WriteString("username,access_failed_count,last_access_failed_time,error_code\n")
	for _, f := range a.of(w) {
		b.WriteString(strings.Join(a.fields(f), ",") + "\n")
	}
	return b.String()
}

func (a *statisticsAPI) ListAccessStatistics(ctx context.Context, q workspace.PageQuery) (*workspace.Page[record.AppUserAccess], error) {
	time.Sleep(time.Second)
	if a.fails() {
		return nil, errFault
	}
	rows := a.of(cursor.Window{From: q.From, To: q.To})
	page := &workspace.Page[record.AppUserAccess]{Count: len(rows)}
	for _, f := range rows[min(q.Offset, len(rows)):min(q.Offset+q.Limit, len(rows))] {
		var item record.AppUserAccess
		for i, text := range a.fields(f) {
			item.Set(record.AppUserAccessFields[i], text)
		}
		page.Items = append(page.Items, item)
	}
	return page, ctx.Err()
}

// Whenever polls come, fail, or end with the process: what the API returns for any moment
// from the first window on is counted, and nothing of it twice.
func FuzzAccessHistory(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 2))
			upTo := func(d time.Duration) time.Duration {
				return time.Duration(r.Int64N(int64(d/time.Second))) * time.Second
			}
			faults := true
			fails := func() bool { return faults && r.IntN(12) == 0 }
			a := &statisticsAPI{Rand: r, begin: time.Now(), fails: fails}
			for range 1 + r.IntN(150) {
				last := upTo(9*time.Hour) - 2*time.Hour
				a.failures = append(a.failures, failed{r.IntN(5), 1 + r.IntN(4), last, last + upTo(settle)})
			}
			storage := newShelf()
			storage.fails = fails
			cloud := newCloud(a.file)
			cloud.took = upTo(time.Minute)
			cloud.fails = func(string) error {
				if fails() {
					return errFault
				}
				return nil
			}
			pages := r.IntN(3) == 0
			accumulator := &committed{}
			restart := func() *Poller {
				accumulator.Accumulator = openAccumulator(t, storage, collector.AccessStatistics, 0)
				var source DisjointSource = cloud.accessExports(notesOn(t, storage))
				if pages {
					source = accessPages(a, func() {})
				}
				p, err := NewPoller(&Disjoint{Source: source, Settle: settle}, accumulator, nothing{}, options())
				require.NoError(t, err)
				return p
			}
			p := restart()
			for time.Since(a.begin) < 8*time.Hour {
				time.Sleep(time.Duration(r.Int64N(int64(30 * time.Minute))))
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+upTo(3*time.Minute))
				if err := p.Poll(ctx); err != nil || r.IntN(5) == 0 {
					p = restart()
				}
				cancel()
			}
			faults = false
			for range 2 { // the first may take an earlier task up again
				require.NoError(t, p.Poll(t.Context()))
			}
			position, err := accumulator.Position()
			require.NoError(t, err)
			truth := map[string]float64{}
			for _, f := range a.failures {
				if at := a.begin.Add(f.last); !at.Before(accumulator.begin) && at.Before(position.Cursor) {
					truth["workspace_access_failures_total "+strconv.Itoa(f.code)] += float64(f.failures)
				}
			}
			require.Equal(t, truth, accessFailures(t, accumulator.Accumulator), fmt.Sprintf("by pages: %t", pages))
			require.WithinDuration(t, time.Now().Add(-settle), position.Cursor, 2*time.Minute)
		})
	})
}

// accessFailures is what the metrics say, by code.
func accessFailures(t *testing.T, accumulator *collector.Accumulator) map[string]float64 {
	t.Helper()
	e := collector.NewExposition(prometheus.NewRegistry())
	e.Publish([]*collector.Accumulator{accumulator}, nil)
	families, err := e.Gather()
	require.NoError(t, err)
	sum := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "workspace_access_failures_total" {
			continue
		}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				if l.GetName() == "error_code" && m.GetCounter().GetValue() != 0 {
					sum[f.GetName()+" "+l.GetValue()] = m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}
