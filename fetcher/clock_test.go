package fetcher

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// vendor is an API whose records are dated by the true time, which is time.Now. The Date of
// its answers is off by server, and the clock of the machine on which the exporter runs by
// local.
type vendor struct {
	t              *testing.T
	mu             sync.Mutex // pages are asked for at once
	logins         []dated    // in the order of time
	server, local  time.Duration
	dateless       bool // answers have no Date
	date, answered time.Time
	storage        collector.Storage
	world          world
	poller         *Poller
	accumulator    *collector.Accumulator
	windows        []cursor.Window
}

// dated is a login, and from when on it shows.
type dated struct{ at, shows time.Time }

func (v *vendor) ListUserConnections(_ context.Context, q workspace.PageQuery) (*workspace.Page[record.UserConnection], error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var found []record.UserConnection
	now := time.Now()
	if q.Offset == 0 {
		v.windows = append(v.windows, cursor.Window{From: q.From, To: q.To})
	}
	for i, l := range v.logins {
		if l.shows.After(now) || l.at.Before(q.From) || l.at.After(q.To) {
			continue
		}
		var c record.UserConnection
		for name, value := range map[string]string{"id": fmt.Sprint(i), "user_name": "u", "start_time": l.at.UTC().Format(time.RFC3339), "end_time": l.at.UTC().Format(time.RFC3339)} {
			c.Set(name, value)
		}
		found = append(found, c)
	}
	if !v.dateless {
		v.date, v.answered = time.Now().Add(v.server).Truncate(time.Second), time.Now()
	}
	rest := found[min(q.Offset, len(found)):]
	return &workspace.Page[record.UserConnection]{Count: len(found), Items: rest[:min(q.Limit, len(rest))]}, nil
}

// start begins a new process on what the one before it has stored.
func (v *vendor) start() {
	v.date = time.Time{}
	v.accumulator = openAccumulator(v.t, v.storage, collector.Logins, lookback)
	o := options()
	o.ServerTime = func() (time.Time, bool) {
		v.mu.Lock() // pieces are read ahead
		defer v.mu.Unlock()
		return v.date.Add(time.Since(v.answered)).UTC(), !v.date.IsZero()
	}
	o.LocalTime = func() time.Time { return time.Now().Add(v.local) }
	o.Logger = log.NewLogfmtLogger(&v.world.log)
	pages := loginPages(v, func() {})
	p, err := NewPoller(incremental(pages, pages, lookback), v.accumulator, &v.world, o)
	require.NoError(v.t, err)
	v.poller = p
}

func (v *vendor) run(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	v.poller.Run(ctx, nil)
}

func (v *vendor) counted() int {
	return int(counted(v.t, v.accumulator)["workspace_login_attempts_total "])
}

func (v *vendor) failed() (n int) {
	for _, err := range v.world.polls {
		if err != nil {
			n++
		}
	}
	return n
}

// clocks runs a test with a vendor that has a login each so often, for hours to come. It
// has seen half an hour of them when the test begins.
func clocks(t *testing.T, every time.Duration, test func(t *testing.T, v *vendor)) {
	synctest.Test(t, func(t *testing.T) {
		v := &vendor{t: t, storage: newShelf(), world: world{t: t}}
		for at := time.Now(); every > 0 && at.Before(time.Now().Add(20*time.Hour)); at = at.Add(every) {
			v.logins = append(v.logins, dated{at, at.Add(time.Duration(len(v.logins)%7) * time.Minute)}) // some are late
		}
		v.start()
		v.run(30 * time.Minute)
		test(t, v)
	})
}

// right sets all clocks right, and requires that each login is counted once, when the
// lookback is over.
func (v *vendor) right() {
	v.server, v.local, v.dateless = 0, 0, false
	v.settled()
}

func (v *vendor) settled() {
	end := time.Now()
	for i, l := range v.logins {
		if l.at.After(end) {
			v.logins = v.logins[:i]
			break
		}
	}
	v.run(lookback + 2*interval)
	if v.dateless && v.local < 0 {
		v.run(-v.local) // what is as late as the only clock is behind
	}
	require.NoError(v.t, v.poller.Poll(v.t.Context()))
	assert.Equal(v.t, len(v.logins), v.counted(), "%d polls, %d failed, gap %s", len(v.world.polls), v.failed(), v.world.gap)
	v.start()
	require.NoError(v.t, v.poller.Poll(v.t.Context()))
	assert.Equal(v.t, len(v.logins), v.counted(), "by another process")
}

func TestWrongClocksLoseNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("too long for make quick")
	}
	const far = 2 * time.Hour
	for name, test := range map[string]func(t *testing.T, v *vendor){
		"the server's is ahead for a minute, at a restart": func(t *testing.T, v *vendor) {
			v.server = far
			v.start()
			v.run(interval)
			v.server = 0
			v.run(3 * time.Hour)
			v.right()
			assert.Zero(t, v.failed())
		},
		"and the process ends then, too": func(t *testing.T, v *vendor) {
			v.server = far
			v.start()
			v.run(interval)
			v.server = 0
			v.start()
			v.run(time.Minute)
			v.start()
			v.right()
		},
		"the server's is ahead for six minutes": func(t *testing.T, v *vendor) {
			v.server = far
			v.run(6*time.Minute + 30*time.Second)
			assert.Contains(t, v.world.log.String(), "the server's clock and the local one disagree")
			assert.Equal(t, far, v.world.ahead.Round(time.Minute))
			v.right()
			assert.Zero(t, v.failed())
			assert.Contains(t, v.world.log.String(), "the server's clock and the local one agree")
		},
		"the server's is ahead for ever": func(t *testing.T, v *vendor) {
			v.server = far
			v.run(4 * time.Hour)
			v.settled()
		},
		"the server's is ahead for ever, and the process ends again and again": func(t *testing.T, v *vendor) {
			v.server = far
			for range 40 {
				v.start()
				v.run(7 * time.Minute)
			}
			v.settled()
		},
		"the server's is years ahead for ever": func(t *testing.T, v *vendor) {
			v.server = 6 * 365 * day
			v.run(2 * time.Hour)
			v.settled()
			assert.Zero(t, v.failed())
		},
		"the server's is behind for an hour": func(t *testing.T, v *vendor) {
			v.server = -far
			v.run(time.Hour)
			v.right()
		},
		"the server's is behind at a restart": func(t *testing.T, v *vendor) {
			v.server = -far
			v.start()
			v.run(10 * time.Minute)
			v.right()
		},
		"the local one is ahead by days, and comes back": func(t *testing.T, v *vendor) {
			v.local = 40 * day
			v.run(time.Hour)
			v.start()
			v.run(time.Hour)
			v.right()
			assert.Zero(t, v.failed())
		},
		"the local one is in another age": func(t *testing.T, v *vendor) {
			v.local = -30 * 365 * day
			v.run(time.Hour)
			v.start()
			v.run(time.Hour)
			v.settled()
			assert.Zero(t, v.failed())
		},
		"both are ahead for hours": func(t *testing.T, v *vendor) {
			v.server, v.local = far, 3*time.Hour
			v.run(time.Hour)
			v.server = 0
			v.run(time.Hour)
			v.right()
		},
		"both are ahead, and nobody runs until that time has passed": func(t *testing.T, v *vendor) {
			v.server, v.local = far, far
			v.run(time.Hour)
			time.Sleep(far)
			v.start()
			v.right()
		},
		"no Date, and the local one is ahead for days": func(t *testing.T, v *vendor) {
			v.dateless, v.local = true, 3*day
			v.start()
			v.run(3 * time.Hour)
			assert.Contains(t, v.world.log.String(), "answers have no Date")
			v.local = 0
			v.run(10 * time.Minute)
			v.start()
			v.settled()
		},
		"no Date, and the local one is behind": func(t *testing.T, v *vendor) {
			v.dateless, v.local = true, -time.Hour
			v.start()
			v.run(3 * time.Hour)
			v.right()
		},
		"a process that slept, so that the server seems to have leapt": func(t *testing.T, v *vendor) {
			v.server, v.local = time.Hour, time.Hour
			before := len(v.world.polls)
			require.NoError(t, v.poller.Poll(t.Context()))
			assert.Len(t, v.world.polls, before+1)
		},
		"the same, and the local clock slept, too": func(t *testing.T, v *vendor) {
			v.server = time.Hour
			require.NoError(t, v.poller.Poll(t.Context()))
		},
	} {
		test := func(t *testing.T, v *vendor) {
			test(t, v)
			assert.Zero(t, v.world.gap)
		}
		t.Run(name, func(t *testing.T) { clocks(t, 10*time.Second, test) })
		t.Run(name+", few logins", func(t *testing.T) { clocks(t, 17*time.Minute, test) })
	}
}

// Without any Date, from the first poll on, the local clock may be off all the time.
func TestNoDateFromTheBeginning(t *testing.T) {
	for _, off := range []time.Duration{-time.Hour, 0, time.Hour} {
		for _, restarts := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				v := &vendor{t: t, storage: newShelf(), world: world{t: t}, dateless: true, local: off}
				for at := time.Now(); at.Before(time.Now().Add(20 * time.Hour)); at = at.Add(40 * time.Second) {
					v.logins = append(v.logins, dated{at, at})
				}
				v.start()
				for range 30 {
					v.run(10 * time.Minute)
					if restarts {
						v.start()
					}
				}
				v.settled()
				assert.Zero(t, v.failed())
				assert.Contains(t, v.world.log.String(), "answers have no Date")
				assert.False(t, v.world.aheadKnown)
			})
		}
	}
}

// While there are no records at all, a server that is ahead costs nothing later.
func TestNoRecordsByAWrongClock(t *testing.T) {
	for _, restart := range []bool{false, true} {
		clocks(t, 0, func(t *testing.T, v *vendor) {
			v.server = 2 * time.Hour
			if restart {
				v.start()
			}
			v.run(5 * time.Hour)
			assert.WithinDuration(t, time.Now(), v.poller.Status().Position.Cursor, 2*interval, "as far as the local clock bears it out")
			for range 100 {
				v.logins = append(v.logins, dated{time.Now(), time.Now()})
				v.run(time.Minute)
			}
			v.right()
			assert.Zero(t, v.failed())
		})
	}
}

// A login that is dated far ahead vouches for nothing, whatever the clocks say.
func TestALoginOfTheFutureVouchesForNothing(t *testing.T) {
	clocks(t, time.Minute, func(t *testing.T, v *vendor) {
		for i, l := range v.logins {
			if l.at.After(time.Now()) {
				v.logins[i].at = l.at.Add(time.Hour) // by a wrong clock of its own
				break
			}
		}
		v.server = 2 * time.Hour
		v.run(5 * time.Minute)
		assert.False(t, v.poller.Status().Position.Horizon.After(time.Now()))
		v.server = 0
		v.run(2 * time.Hour)
		v.right()
	})
}

// Whatever the clocks of the server and of the machine show meanwhile, and whenever the
// process ends: when they are right again, each login has been counted exactly once.
func FuzzWrongClocksLoseNothing(f *testing.F) {
	for seed := range uint64(60) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			upTo := func(d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d) + 1)) }
			v := &vendor{t: t, storage: newShelf(), world: world{t: t}}
			at := time.Now()
			for every := upTo(30*time.Minute) + time.Second; at.Before(time.Now().Add(15 * time.Hour)); {
				at = at.Add(upTo(every)).Truncate(time.Second)
				v.logins = append(v.logins, dated{at, at.Add(upTo(lookback - 2*interval))})
				if r.IntN(40) == 0 {
					at = at.Add(upTo(2 * time.Hour)) // nobody logs in
				}
			}
			off := func() time.Duration {
				most := [...]time.Duration{0, 0, 0, 30 * time.Second, 3 * time.Hour, 3 * time.Hour, 50 * day}[r.IntN(7)]
				return upTo(2*most) - most
			}
			v.start()
			v.run(interval)
			for end := time.Now().Add(10 * time.Hour); time.Now().Before(end); {
				if r.IntN(3) == 0 {
					v.server = off()
				}
				if r.IntN(3) == 0 {
					v.local = off()
				}
				if r.IntN(6) == 0 {
					v.dateless = !v.dateless
				}
				v.run(upTo(20 * time.Minute))
				if r.IntN(3) == 0 {
					if r.IntN(3) == 0 {
						time.Sleep(upTo(3 * time.Hour))
					}
					v.start()
				}
			}
			v.right()
		})
	})
}

// The same for statistics, of which nothing is read twice, as long as one of the clocks is
// right, or there are rows to tell the time by.
func FuzzWrongClocksLoseNoStatistics(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 5))
			upTo := func(d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d) + 1)) }
			settle := [...]time.Duration{time.Second, settle}[r.IntN(2)]
			v := &vendor{t: t, storage: newShelf(), world: world{t: t}}
			source := whole(func(w cursor.Window) (*record.Batch, error) {
				reading := &record.Batch{}
				for i, l := range v.logins {
					if !l.shows.After(time.Now()) && !l.at.Before(w.From) && l.at.Before(w.To) {
						reading.Accesses = append(reading.Accesses, record.Access{ID: record.Identity{byte(i), byte(i >> 8)}, User: 1, Failures: 1, Last: l.at})
					}
				}
				if !v.dateless {
					v.date, v.answered = time.Now().Add(v.server).Truncate(time.Second), time.Now()
				}
				return reading, nil
			})
			for at := time.Now(); at.Before(time.Now().Add(12 * time.Hour)); {
				at = at.Add(time.Second + upTo(10*time.Minute)).Truncate(time.Second)
				v.logins = append(v.logins, dated{at, at.Add(upTo(settle - time.Second))})
			}
			start := func() {
				v.date = time.Time{}
				v.accumulator = openAccumulator(t, v.storage, collector.AccessStatistics, 0)
				o := options()
				o.ServerTime = func() (time.Time, bool) { return v.date.Add(time.Since(v.answered)).UTC(), !v.date.IsZero() }
				o.LocalTime = func() time.Time { return time.Now().Add(v.local) }
				p, err := NewPoller(&Disjoint{Source: source, Settle: settle}, v.accumulator, &v.world, o)
				require.NoError(t, err)
				v.poller = p
			}
			start()
			v.run(interval)
			for end := time.Now().Add(8 * time.Hour); time.Now().Before(end); {
				v.server, v.local = 0, 0
				off := upTo(6*time.Hour) - 3*time.Hour
				if off.Abs() <= cursor.MaxDrift {
					off = 0 // clocks that agree, for which settle has room
				}
				switch r.IntN(5) {
				case 0:
					v.server = off
				case 1:
					v.local = off
				case 2:
					v.dateless = !v.dateless
					start() // or the last Date, which may be wrong, and a local clock that is, bear each other out
				}
				v.run(upTo(40 * time.Minute))
				if r.IntN(3) == 0 {
					start()
				}
			}
			v.server, v.local, v.dateless = 0, 0, false
			end := time.Now()
			v.logins = slices.DeleteFunc(v.logins, func(l dated) bool { return l.at.After(end) })
			v.run(settle + 3*interval)
			require.NoError(t, v.poller.Poll(t.Context()))
			e := collector.NewExposition(prometheus.NewRegistry())
			e.Publish([]*collector.Accumulator{v.accumulator}, nil)
			families, err := e.Gather()
			require.NoError(t, err)
			failures := 0.0
			for _, f := range families {
				if f.GetName() == "workspace_access_failures_total" {
					failures += f.Metric[0].Counter.GetValue()
				}
			}
			require.Equal(t, float64(len(v.logins)), failures, "%d polls, %d failed", len(v.world.polls), v.failed())
		})
	})
}
