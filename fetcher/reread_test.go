package fetcher

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// moments are a list of records, one at each time, as UserConnections would read it.
type moments []time.Time

func (m moments) read(requests *int) func(context.Context, cursor.Window, int) ([]record.Login, error) {
	return func(_ context.Context, w cursor.Window, most int) ([]record.Login, error) {
		n := 0
		for _, at := range m {
			if at.After(w.From) && at.Before(w.To) {
				n++
			}
		}
		*requests++
		if n > most {
			return nil, &paging.TooManyError{Count: n, Read: min(n, pageLimit)}
		}
		*requests += max(0, n-2) / (pageLimit - 1)
		return make([]record.Login, n), nil
	}
}

// unseen are the unfinished records that no reread has shown, whether or not the ends of
// a window are in it.
func (w *world) unseen() (times []time.Time) {
	for _, at := range w.unfinished {
		if !slices.ContainsFunc(w.batches, func(r record.Batch) bool {
			return r.Reread && !at.Before(r.From.Add(cursor.Seam)) && !at.After(r.To.Add(-cursor.Seam))
		}) {
			times = append(times, at)
		}
	}
	return times
}

// Records that are unfinished behind the lookback are all looked at again, with few
// requests a poll, and not more than they are worth.
func TestRereads(t *testing.T) {
	every := func(n int, step time.Duration) (at []time.Time) {
		begin := time.Now().Add(-29 * day)
		for i := range n {
			at = append(at, begin.Add(time.Duration(i)*step))
		}
		return at
	}
	for name, c := range map[string]struct {
		unfinished, others func() []time.Time
		polls              int
		unseen             int
	}{
		"none":          {func() []time.Time { return nil }, func() []time.Time { return nil }, 5, 0},
		"one":           {func() []time.Time { return every(1, 0) }, func() []time.Time { return nil }, 5, 0},
		"many together": {func() []time.Time { return every(3000, time.Second) }, func() []time.Time { return nil }, 10, 0},
		"far apart":     {func() []time.Time { return every(100, time.Hour) }, func() []time.Time { return nil }, 9, 0},
		"close by fours of seconds": {func() []time.Time { return every(1000, 4*time.Second) },
			func() []time.Time { return nil }, 9, 0},
		"among many others": {func() []time.Time { return every(20, 5*time.Minute) },
			func() []time.Time { return every(6000, time.Second) }, 40, 0},
		"one among 900 of its second": {func() []time.Time { return every(40, time.Hour) },
			func() []time.Time { return slices.Repeat(every(40, time.Hour)[17:18], 900) }, 15, 0},
		"one among too many": {func() []time.Time { return every(40, time.Hour) },
			func() []time.Time { return slices.Repeat(every(40, time.Hour)[17:18], 9000) }, 15, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.position.Cursor = w.now()
				w.unfinished = c.unfinished()
				requests := 0
				list := moments(append(c.others(), w.unfinished...))
				p := w.poller()
				for range c.polls {
					requests = 0
					w.read = list.read(&requests)
					require.NoError(t, p.Poll(t.Context()))
					assert.LessOrEqual(t, requests, rereadRequests+1)
					time.Sleep(interval)
				}
				assert.Equal(t, c.unseen, len(w.unseen()))
				assert.Equal(t, c.unseen > 0, w.given > 0)
				assert.Equal(t, w.given, strings.Count(w.log.String(), "raise lookback"))
			})
		})
	}
}

// A time so near to the end of one window that its record may not be in it is in the next,
// which may be the next poll's.
func TestRereadGoesOnBeforeTheEndOfAWindow(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.position.Cursor = w.now()
		begin := w.now().Add(-10 * day)
		for i := range 10 * rereadTogether { // each window ends 4 s behind its last time, and covers it up to 2 s
			w.unfinished = append(w.unfinished, begin.Add(time.Duration(i)*3*time.Second))
		}
		others := moments(slices.Repeat(w.unfinished, 10)) // so that a poll reads few windows
		requests := 0
		w.read = others.read(&requests)
		p := w.poller()
		for range 60 {
			require.NoError(t, p.Poll(t.Context()))
			time.Sleep(interval)
		}
		assert.Empty(t, w.unseen())
	})
}

// A window that fails costs the records in it a round, and the others nothing. It is logged.
func TestRereadThatFailsGoesOn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.position.Cursor = w.now()
		for i := range 10 {
			w.unfinished = append(w.unfinished, w.now().Add(-10*day+time.Duration(i)*time.Hour))
		}
		bad, rereads := w.unfinished[3], 0
		w.read = func(_ context.Context, asked cursor.Window, _ int) ([]record.Login, error) {
			if asked.To.Before(w.now().Add(-day)) {
				if rereads++; !asked.From.After(bad) && !asked.To.Before(bad) {
					return nil, errors.New("not readable")
				}
			}
			return nil, nil
		}
		p := w.poller()
		for range rereadEvery {
			require.NoError(t, p.Poll(t.Context()), "all that is new is counted")
		}
		assert.Equal(t, 4, rereads)
		assert.Equal(t, 1, w.given)
		assert.Equal(t, 1, strings.Count(w.log.String(), "could not be read again"), w.log.String())
		assert.Contains(t, w.log.String(), "not readable")
		require.NoError(t, p.Poll(t.Context()))
		assert.Equal(t, 4+6, rereads)
		assert.Equal(t, []time.Time{bad}, w.unseen())
		require.NoError(t, p.Poll(t.Context()))
		assert.Equal(t, 4+6, rereads, "one round is enough for a while")
		assert.Equal(t, 10, w.shown)
	})
}

// Each cause that keeps open records from being read again has its own line. Only one of them goes
// away with a longer lookback.
func TestRereadThatIsGivenUpSaysWhy(t *testing.T) {
	for _, c := range []struct {
		text  string
		cause error
	}{
		{"lie among too many others", &paging.TooManyError{Count: 9000, Read: pageLimit}},
		{"a list that changed each time while it was read", &paging.MovedError{Shown: 3}},
		{"could not be read again", &workspace.Error{Status: 400}},
		{"could not be read again", errors.New("no network")},
	} {
		t.Run(fmt.Sprint(c.cause), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.position.Cursor = w.now()
				w.unfinished = []time.Time{w.now().Add(-10 * day)}
				w.read = func(_ context.Context, asked cursor.Window, _ int) ([]record.Login, error) {
					if asked.To.Before(w.now().Add(-day)) {
						return nil, c.cause
					}
					return nil, nil
				}
				p := w.poller()
				for range rereadEvery {
					require.NoError(t, p.Poll(t.Context()))
				}
				assert.Equal(t, 1, w.given)
				assert.Equal(t, 1, strings.Count(w.log.String(), c.text), w.log.String())
				assert.Equal(t, strings.Contains(c.text, "too many"), strings.Contains(w.log.String(), "raise lookback"))
			})
		})
	}
}

// Two times 2 s apart among more records than a window of two is worth; bursts that no
// budget pays for; windows that always fail, or always are refused: nothing keeps what
// lies behind from being read, and each time is reached within the polls that the
// documentation states.
func TestRereadReachesEach(t *testing.T) {
	for seed := range uint64(24) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				r := rand.New(rand.NewPCG(seed, 5))
				w.position.Cursor = w.now()
				others := map[time.Time]int{} // at the same time as an unfinished record
				failing := map[time.Time]error{}
				causes := []error{errors.New("no network"), &workspace.Error{Status: 500}, &workspace.Error{Status: 403},
					&workspace.Error{Status: 400}, &workspace.Error{Status: 429}, paging.ErrMoved}
				at := w.now().Add(-29 * day)
				for range []int{1, 3, 20, 90}[seed%4] {
					at = at.Add([]time.Duration{time.Second, 2 * time.Second, 3 * time.Second, time.Minute, time.Hour}[r.IntN(5)])
					w.unfinished = append(w.unfinished, at)
					switch r.IntN([]int{3, 20, 200}[seed%3]) {
					case 0:
						failing[at] = causes[r.IntN(len(causes))]
					case 1:
						others[at] = 10_000
					case 2:
						others[at] = 150
					}
				}
				requests, lies := 0, seed%2 == 0
				reached := map[time.Time]bool{} // read, or asked for by itself
				w.read = func(_ context.Context, asked cursor.Window, most int) ([]record.Login, error) {
					var cause error
					n := 0
					for _, at := range w.unfinished {
						if !at.Before(asked.From) && !at.After(asked.To) {
							cause = errors.Join(cause, failing[at])
							n += 1 + others[at]
						}
					}
					requests++
					switch {
					case cause != nil:
						requests += rereadFailure - 1
					case n > most && lies: // only reading tells how many there are
						requests += most / pageLimit
						cause = &paging.TooManyError{Count: most + 1, Read: most + 1}
					case n > most:
						cause = &paging.TooManyError{Count: n, Read: pageLimit}
					default:
						requests += n / pageLimit
					}
					if cause == nil || asked.To.Sub(asked.From) <= 4*cursor.Seam+time.Second {
						for _, at := range w.unfinished {
							if !at.Before(asked.From.Add(cursor.Seam)) && !at.After(asked.To.Add(-cursor.Seam)) {
								reached[at] = true
							}
						}
					}
					return make([]record.Login, n), cause
				}
				p := w.poller()
				n := len(w.unfinished)
				refusals := 0
				for _, err := range failing {
					if workspace.IsThrottled(err) {
						refusals += 5 * rereadRefusals // down from a window of many times
					}
				}
				for range rereadEvery + 4*n + refusals {
					before := requests
					require.NoError(t, p.Poll(t.Context()))
					assert.LessOrEqual(t, requests-before, 2*rereadRequests+rereadFailure)
					time.Sleep(interval)
					if len(reached) == n {
						break
					}
				}
				for _, at := range w.unfinished {
					assert.True(t, reached[at], "%s of %d", at, n)
				}
			})
		})
	}
}

// An API that has one request a minute to give, which what is new takes: what is
// unfinished has its turn all the same.
func TestRereadUnderAQuota(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.position.Cursor = w.now()
		for i := range 10 {
			w.unfinished = append(w.unfinished, w.now().Add(-10*day+time.Duration(i)*time.Hour))
		}
		var last time.Time
		w.read = func(context.Context, cursor.Window, int) ([]record.Login, error) {
			if now := time.Now(); now.Sub(last) >= time.Minute {
				last = now
				return nil, nil
			}
			return nil, &workspace.Error{Status: 429, Code: "APIGW.0308"}
		}
		p := w.poller()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		p.Run(ctx, nil)
		assert.Empty(t, w.unseen())
		assert.WithinDuration(t, time.Now(), w.position.Cursor, 5*time.Minute)
	})
}
