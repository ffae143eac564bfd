package fetcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// plain is the part of a source without export tasks that heeds its windows.
type plain struct {
	NoTasks
	HeedsWindows
}

// incremental is how tests read logins: an hour at first.
func incremental(source LoginSource, reread LoginReader, lookback time.Duration) *Incremental {
	return &Incremental{Source: source, Reread: reread, Lookback: lookback, InitialLookback: initial}
}

// world is all that a poller meets.
type world struct {
	plain
	t *testing.T

	read    func(ctx context.Context, w cursor.Window, most int) ([]record.Login, error) // nil finds nothing
	asked   []cursor.Window
	askedAt []time.Time // when

	position     cursor.Position
	batches      []record.Batch
	commitErr    error
	unfinished   []time.Time
	given, shown int // windows of unfinished records that were given up; how many records are shown

	polls      []error
	failing    []Reason
	catchingUp []bool
	gap        time.Duration
	gaps       int
	ahead      time.Duration
	aheadKnown bool

	skew    time.Duration // of the server's clock
	unknown bool          // no answer yet
	log     bytes.Buffer
}

func (w *world) Read(ctx context.Context, from, to time.Time, most int, handle HandlePart) error {
	w.asked, w.askedAt = append(w.asked, cursor.Window{From: from, To: to}), append(w.askedAt, time.Now())
	w.unknown = false
	if w.read == nil {
		return handle(to, nil)
	}
	logins, err := w.read(ctx, cursor.Window{From: from, To: to}, most)
	if err != nil {
		return err
	}
	return handle(to, logins)
}

func (w *world) Position() (cursor.Position, error) { return w.position, nil }

func (w *world) Commit(r *record.Batch) error {
	if w.commitErr != nil {
		return w.commitErr
	}
	kept := *r
	kept.Logins = slices.Clone(r.Logins) // which are good until it returns
	w.batches = append(w.batches, kept)
	if r.Reread {
		return nil
	}
	reached := r.To
	if r.Now.Before(reached) {
		reached = r.Now
	}
	if reached.After(w.position.Cursor) {
		w.position.Cursor = reached
	}
	if r.UpToDate {
		w.position.Complete, w.position.LastSuccess = true, r.Now
	}
	return nil
}

func (w *world) Unfinished(t time.Time) ([]time.Time, error) {
	n, _ := slices.BinarySearchFunc(w.unfinished, t, time.Time.Compare)
	return slices.Clone(w.unfinished[:n]), nil
}

func (w *world) CountUnfinished() (int, error) { return len(w.unfinished), nil }

func (w *world) ShowUnfinished(n int)              { w.shown = n }
func (w *world) RereadFailed()                     { w.given++ }
func (w *world) Polled(err error, _ time.Duration) { w.polls = append(w.polls, err) }
func (w *world) Failing(r Reason)                  { w.failing = append(w.failing, r) }
func (w *world) At(cursor.Position)                {}
func (w *world) CatchingUp(on bool)                { w.catchingUp = append(w.catchingUp, on) }
func (w *world) ServerClock(ahead time.Duration, known bool) {
	w.ahead, w.aheadKnown = ahead, known
}
func (w *world) Gap(d time.Duration) { w.gap, w.gaps = w.gap+d, w.gaps+1 }

func (w *world) now() time.Time { return time.Now().Add(w.skew).UTC().Truncate(time.Second) }

const (
	interval = time.Minute
	lookback = 15 * time.Minute
	initial  = time.Hour
)

func (w *world) serverTime() (time.Time, bool) { return time.Now().Add(w.skew).UTC(), !w.unknown }

func (w *world) logger() log.Logger { return log.NewLogfmtLogger(&w.log) }

func (w *world) poller() *Poller {
	p, err := NewPoller(incremental(w, w, lookback), w, w, Options{Project: "p", Source: "s", Host: "api.test", Interval: interval,
		ServerTime: w.serverTime, Logger: w.logger()})
	require.NoError(w.t, err)
	return p
}

// inWorld runs a test in a world of its own, whose time stands still unless it waits.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, &world{t: t}) })
}

func TestPollsKeepTheInterval(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.read = func(context.Context, cursor.Window, int) ([]record.Login, error) {
			time.Sleep(7 * time.Second)
			return nil, nil
		}
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*interval)
		defer cancel()
		p := w.poller()
		p.Run(ctx, nil)
		require.GreaterOrEqual(t, len(w.polls), 10)
		assert.Equal(t, begun, w.askedAt[0])
		assert.Equal(t, begun.Add(min(interval, 7*time.Second+p.offset())), w.askedAt[1])
		for i := range 8 {
			assert.Equal(t, interval, w.askedAt[i+2].Sub(w.askedAt[i+1]))
		}
		assert.Equal(t, slices.Repeat([]error{nil}, len(w.polls)), w.polls)
		assert.Equal(t, 1, strings.Count(w.log.String(), "poll succeeded"), w.log.String())
	})
}

// All poll at once when they begin, and are spread over the interval from then on.
func TestPollsAreSpread(t *testing.T) {
	const sources = 600
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 3*interval)
		defer cancel()
		var all sync.WaitGroup
		var mu sync.Mutex
		bySecond := map[int]int{}
		for i := range sources {
			w := &world{t: t}
			p := w.poller()
			p.Project, p.Logger = fmt.Sprint("project ", i), log.NewNopLogger()
			w.read = func(context.Context, cursor.Window, int) ([]record.Login, error) {
				mu.Lock()
				defer mu.Unlock()
				bySecond[int(time.Since(begun)/time.Second)]++
				return nil, nil
			}
			all.Go(func() { p.Run(ctx, nil) })
		}
		all.Wait()
		assert.Greater(t, bySecond[0], sources)
		for s := 1; s < 3*60; s++ {
			assert.Less(t, bySecond[s], 4*sources/60, s)
		}
	})
}

func TestPollSlowerThanTheInterval(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.read = func(context.Context, cursor.Window, int) ([]record.Login, error) {
			time.Sleep(90 * time.Second)
			return nil, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*90*time.Second-time.Second)
		defer cancel()
		w.poller().Run(ctx, nil)
		assert.Len(t, w.asked, 5)
	})
}

func TestBacksOff(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		failure := errors.New("no network")
		w.read = func(context.Context, cursor.Window, int) ([]record.Login, error) { return nil, failure }
		p := w.poller()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		p.Run(ctx, nil)
		var waits []time.Duration
		for i := 1; i < len(w.askedAt); i++ {
			waits = append(waits, w.askedAt[i].Sub(w.askedAt[i-1]))
		}
		assert.LessOrEqual(t, waits[0], 3*time.Second)
		for _, wait := range waits {
			assert.GreaterOrEqual(t, wait, time.Second)
			assert.LessOrEqual(t, wait, interval*3/2)
		}
		assert.NotEqual(t, waits[20], waits[21], "jitter")
		assert.Greater(t, slices.Max(waits), interval/2)
		assert.Empty(t, w.batches)
		s := p.Status()
		assert.True(t, s.Polled)
		assert.ErrorContains(t, s.LastError, "no network")
		assert.Contains(t, w.log.String(), "no network")

		w.read = nil
		require.NoError(t, p.Poll(t.Context()))
		assert.NoError(t, p.Status().LastError)
		assert.Equal(t, time.Duration(0), p.wait(nil, time.Hour))
		assert.LessOrEqual(t, p.wait(failure, 0), 3*time.Second, "it starts over")
	})
}

func TestRetryAfter(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.poller()
		w.read = func(context.Context, cursor.Window, int) ([]record.Login, error) {
			return nil, &workspace.Error{Status: 429, RetryAfter: 10 * time.Minute}
		}
		err := p.Poll(t.Context())
		assert.Equal(t, 10*time.Minute, p.wait(err, 0))
		assert.Greater(t, p.wait(&workspace.Error{Status: 429, RetryAfter: time.Millisecond}, 0), time.Second, "no sooner than without")
	})
}

// A backlog is committed in pieces; after a failure it goes on where it stopped.
func TestResumes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.position.Cursor = w.now().Add(-24 * time.Hour)
		begin := w.position.Cursor.Add(-lookback)
		failure := errors.New("no network")
		w.read = func(context.Context, cursor.Window, int) ([]record.Login, error) {
			if len(w.asked) == 3 {
				return nil, failure
			}
			return nil, nil
		}
		p := w.poller()
		require.ErrorIs(t, p.Poll(t.Context()), failure)
		require.Len(t, w.batches, 2)
		assert.Equal(t, begin.Add(2*maxPiece), w.position.Cursor)
		assert.Equal(t, w.position, p.Status().Position)
		assert.False(t, w.position.Complete)
		assert.Equal(t, []bool{true}, w.catchingUp)
		assert.True(t, p.Status().CatchUp)

		require.NoError(t, p.Poll(t.Context()))
		require.Len(t, w.batches, 4)
		assert.Equal(t, begin.Add(2*maxPiece-cursor.Seam), w.batches[2].From, "what was read is not read again")
		assert.True(t, w.batches[2].Late)
		assert.Equal(t, w.now().Add(-lookback), w.batches[3].From, "and then what is new")
		assert.Equal(t, w.now(), w.position.Cursor)
		assert.True(t, w.position.Complete)
		assert.False(t, p.Status().CatchUp)
		for i, r := range w.batches {
			assert.Equal(t, i >= 2, r.UpToDate)
			assert.Equal(t, w.now(), r.Now)
		}
	})
}

func TestNothingPassesForReadIfTheCommitFails(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.position.Cursor = w.now().Add(-31 * day)
		before := w.position
		w.commitErr = errors.New("no space left on device")
		p := w.poller()
		require.ErrorIs(t, p.Poll(t.Context()), w.commitErr)
		assert.Equal(t, before, p.Status().Position)
		assert.Zero(t, w.gaps)
		assert.Len(t, w.asked, 1)

		w.commitErr = nil
		require.NoError(t, p.Poll(t.Context()))
		require.NoError(t, p.Poll(t.Context()))
		assert.Equal(t, 1, w.gaps)
		assert.Equal(t, 31*day-cursor.Reach, w.gap)
		assert.Contains(t, w.log.String(), "records are lost")
	})
}

// What is too much, or moves too much, for one window is read in smaller ones.
func TestCutsWhatIsTooLarge(t *testing.T) {
	for name, tooMuch := range map[string]error{"many": &paging.TooManyError{Count: 9999}, "moved": paging.ErrMoved} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.position.Cursor = w.now().Add(-time.Hour)
				dense := w.now().Add(-40 * time.Minute) // around which no window is small enough but the smallest
				w.read = func(_ context.Context, asked cursor.Window, most int) ([]record.Login, error) {
					length := asked.To.Sub(asked.From)
					if !asked.From.After(dense) && !asked.To.Before(dense) && length > cursor.Second+cursor.Seam {
						return nil, tooMuch
					}
					assert.Positive(t, length)
					assert.Positive(t, most)
					return nil, nil
				}
				require.NoError(t, w.poller().Poll(t.Context()))
				assert.Less(t, len(w.asked), 60)
				assert.Equal(t, w.now(), w.position.Cursor)
				end := w.now().Add(-time.Hour - lookback)
				for _, r := range w.batches {
					assert.False(t, r.From.After(end), "a hole")
					end = r.To
				}
			})
		})
	}
}

func TestMovesEvenInTheSmallestWindow(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.read = func(context.Context, cursor.Window, int) ([]record.Login, error) { return nil, paging.ErrMoved }
		err := w.poller().Poll(t.Context())
		require.ErrorIs(t, err, paging.ErrMoved)
		require.ErrorIs(t, err, errShuffled, "what to do")
		assert.Less(t, len(w.asked), 20)
		assert.Empty(t, w.batches)
	})
}

func TestCatchingUp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		p := w.poller()
		for _, c := range []struct {
			late time.Duration
			on   bool
		}{{0, true}, {interval, false}, {2 * interval, false}, {3 * interval, true}} { // first: nothing is known yet
			time.Sleep(c.late)
			w.catchingUp = nil
			require.NoError(t, p.Poll(t.Context()))
			assert.Equal(t, []bool{c.on, false}, w.catchingUp, c.late)
		}
	})
}

func TestStopsWithinAPoll(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.read = func(ctx context.Context, _ cursor.Window, _ int) ([]record.Login, error) {
			<-ctx.Done()
			return nil, &workspace.Error{Operation: "ListUserConnection", Err: ctx.Err()}
		}
		ctx, cancel := context.WithCancel(t.Context())
		p := w.poller()
		done := make(chan struct{})
		go func() { defer close(done); p.Run(ctx, nil) }()
		synctest.Wait()
		begun := time.Now()
		cancel()
		<-done
		assert.Zero(t, time.Since(begun))
		assert.Empty(t, w.batches)
		assert.Empty(t, w.polls)
		assert.NotContains(t, w.log.String(), "error")
		assert.False(t, p.Status().Polled)
	})
}

func TestStopsBetweenPolls(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithTimeout(t.Context(), interval/2)
		defer cancel()
		w.poller().Run(ctx, nil)
		assert.Len(t, w.polls, 1)
	})
}

// A poll goes by the server's clock, wherever the local one is, as far as records bear it
// out; and by what is known, if there are none.
func TestWrongLocalClock(t *testing.T) {
	for _, skew := range []time.Duration{-400 * day, -5 * time.Hour, -2 * time.Second, 0, 2 * time.Second, 10 * time.Second, 5 * time.Hour, 400 * day} {
		for _, records := range []int{0, 2} {
			for _, strict := range []bool{false, true} {
				for _, restarted := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s, %d records, strict %v, restarted %v", skew, records, strict, restarted), func(t *testing.T) {
						inWorld(t, func(t *testing.T, w *world) { w.pollsWithWrongLocalClock(t, skew, records, strict, restarted) })
					})
				}
			}
		}
	}
}

func (w *world) pollsWithWrongLocalClock(t *testing.T, skew time.Duration, records int, strict, restarted bool) {
	w.skew, w.unknown = skew, true
	if restarted {
		w.position.Cursor = w.now().Add(-interval)
	}
	shown := w.now().Add(-10 * time.Second)
	w.read = func(_ context.Context, asked cursor.Window, most int) ([]record.Login, error) {
		if strict && asked.To.After(w.now()) {
			return nil, &workspace.Error{Status: 400}
		}
		if shown.Before(asked.From) || shown.After(asked.To) {
			return nil, nil
		}
		if most > 0 && records > most {
			return nil, &paging.TooManyError{Count: records}
		}
		return slices.Repeat([]record.Login{{Start: shown}}, records), nil
	}
	p := w.poller()
	err := p.Poll(t.Context())
	if err != nil {
		err = p.Poll(t.Context())
	}
	assert.False(t, w.position.Cursor.After(w.now()))
	if records == 0 && !restarted && skew > cursor.Reach {
		require.ErrorContains(t, err, "there is no record to tell which is right")
		return
	}
	require.NoError(t, err)
	assert.Zero(t, w.gaps)
	if restarted || records > 0 || skew < cursor.MaxDrift {
		assert.WithinDuration(t, w.now(), w.position.Cursor, interval)
	}
	if last := w.batches[len(w.batches)-1]; records > 0 {
		assert.Len(t, last.Logins, records)
		assert.WithinDuration(t, w.now().Add(-initial), last.From, initial, "no more history than is wanted")
	}
	assert.Equal(t, skew, w.ahead)
	assert.Equal(t, skew.Abs() > cursor.MaxDrift, strings.Contains(w.log.String(), "the local one disagree"), w.log.String())
}

// Answers with a wrong date move nothing, whichever they are and however many come in a
// row.
func TestWrongDates(t *testing.T) {
	for _, jump := range []time.Duration{-5 * time.Hour, 5 * time.Hour} {
		for wrong := range 8 {
			for _, many := range []int{1, 3, 9} {
				t.Run(fmt.Sprintf("%d from %d on, off by %s", many, wrong, jump), func(t *testing.T) {
					inWorld(t, func(t *testing.T, w *world) { w.wrongDates(t, jump, wrong, many) })
				})
			}
		}
	}
	inWorld(t, func(t *testing.T, w *world) {
		w.read = func(context.Context, cursor.Window, int) ([]record.Login, error) {
			w.skew += time.Hour
			return nil, nil
		}
		require.NoError(t, w.poller().Poll(t.Context()), "answers that never agree")
		assert.Len(t, w.asked, maxClocks)
		assert.WithinDuration(t, time.Now(), w.position.Cursor, time.Second)
	})
}

// wrongDates polls while some answers in a row have a wrong date: not the first answers,
// by which the server's time becomes known.
func (w *world) wrongDates(t *testing.T, jump time.Duration, wrong, many int) {
	w.read = func(context.Context, cursor.Window, int) ([]record.Login, error) {
		time.Sleep(time.Second)
		w.skew = 0
		if n := len(w.asked) - 2; n >= wrong && n < wrong+many {
			w.skew = jump
		}
		return nil, nil
	}
	p, failed := w.poller(), 0
	for range 8 + many {
		if p.Poll(t.Context()) != nil {
			failed++
		}
		assert.False(t, w.position.Cursor.After(time.Now()))
		time.Sleep(interval)
	}
	assert.LessOrEqual(t, failed, many)
	require.NoError(t, p.Poll(t.Context()))
	assert.WithinDuration(t, time.Now(), w.position.Cursor, interval)
}
