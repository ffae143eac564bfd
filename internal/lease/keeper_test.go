package lease

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const lasts = 15 * time.Second

// table is a registry in memory, with a clock of its own.
type table struct {
	mu       sync.Mutex
	ahead    time.Duration // of its clock
	expires  map[string]time.Time
	replicas map[string]Replica
	holders  map[string]Holder
	history  map[string][]string // owners by project, one for each epoch
}

func newTable() *table {
	return &table{expires: map[string]time.Time{}, replicas: map[string]Replica{}, holders: map[string]Holder{}, history: map[string][]string{}}
}

func (t *table) now() time.Time { return time.Now().Add(t.ahead) }

func (t *table) Beat(_ context.Context, r Replica, first bool) (*View, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for owner, at := range t.expires {
		if !t.now().Before(at) {
			delete(t.expires, owner)
			delete(t.replicas, owner)
		}
	}
	if _, known := t.replicas[r.Owner]; !known && !first {
		return nil, ErrExpired
	}
	t.replicas[r.Owner], t.expires[r.Owner] = r, t.now().Add(r.Duration)
	return &View{maps.Clone(t.replicas), maps.Clone(t.holders)}, nil
}

func (t *table) Take(_ context.Context, owner string, seen map[string]int64) (map[string]int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := map[string]int64{}
	if at, alive := t.expires[owner]; !alive || !t.now().Before(at) {
		return taken, nil
	}
	for project, epoch := range seen {
		if t.holders[project].Epoch == epoch {
			taken[project] = epoch + 1
			t.holders[project] = Holder{owner, epoch + 1}
			t.history[project] = append(t.history[project], owner)
		}
	}
	return taken, nil
}

func (t *table) GiveBack(_ context.Context, owner string, projects []string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, project := range projects {
		if h := t.holders[project]; h.Owner == owner {
			t.holders[project] = Holder{"", h.Epoch}
		}
	}
	return nil
}

func (t *table) Leave(_ context.Context, owner string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.expires, owner)
	delete(t.replicas, owner)
	return nil
}

// commits reports whether the store would commit under a lease.
func (t *table) commits(l *Lease) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.holders[l.Project]
	at, alive := t.expires[h.Owner]
	return h.Epoch == l.Epoch && alive && t.now().Before(at)
}

// replica is a simulated process: a keeper, and what uses its leases.
type replica struct {
	*Keeper
	table *table
	stop  func()

	mu        sync.Mutex
	paused    chan struct{}  // closed when it goes on; nil while it runs
	suspended time.Duration  // for how long its monotonic clock stood still
	fault     func() error   // of each call, before or after it; may be nil
	swallow   map[string]int // how many calls get no answer, by name
	uses      map[string]*Lease
}

func (r *replica) fail(fault func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = fault
}

// gate is passed by all that the process does: not while it is paused.
func (r *replica) gate() {
	r.mu.Lock()
	paused := r.paused
	r.mu.Unlock()
	if paused != nil {
		<-paused
	}
}

func (r *replica) pause() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paused = make(chan struct{})
}

func (r *replica) resume() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.paused)
	r.paused = nil
}

func call[T any](ctx context.Context, r *replica, name string, f func() (T, error)) (T, error) {
	r.gate()
	defer r.gate()
	var none T
	r.mu.Lock()
	fault := r.fault
	swallowed := r.swallow[name] > 0
	r.swallow[name]--
	r.mu.Unlock()
	if swallowed {
		<-ctx.Done()
		return none, ctx.Err()
	}
	if fault == nil {
		return f()
	}
	if err := fault(); err != nil {
		return none, err // did not come there
	}
	got, err := f()
	if lost := fault(); lost != nil {
		return none, lost // the answer did not come back
	}
	return got, err
}

func (r *replica) Beat(ctx context.Context, me Replica, first bool) (*View, error) {
	return call(ctx, r, "Beat", func() (*View, error) { return r.table.Beat(ctx, me, first) })
}

func (r *replica) Take(ctx context.Context, owner string, seen map[string]int64) (map[string]int64, error) {
	return call(ctx, r, "Take", func() (map[string]int64, error) { return r.table.Take(ctx, owner, seen) })
}

func (r *replica) GiveBack(ctx context.Context, owner string, projects []string) error {
	_, err := call(ctx, r, "GiveBack", func() (any, error) { return nil, r.table.GiveBack(ctx, owner, projects) })
	return err
}

func (r *replica) LeaveTable(ctx context.Context, owner string) error {
	return r.table.Leave(ctx, owner)
}

// registry hides that a replica is a Keeper, too.
type registry struct{ *replica }

func (r registry) Leave(ctx context.Context, owner string) error {
	return r.replica.LeaveTable(ctx, owner)
}

// moment is by clocks of which the monotonic one has stood still while the machine was
// suspended.
func (r *replica) moment() Moment {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	return Moment{now.Add(-r.suspended), time.Duration(now.UnixNano())}
}

func start(t *table, projects []string) *replica {
	r := &replica{table: t, uses: map[string]*Lease{}, swallow: map[string]int{}}
	r.Keeper = NewKeeper(registry{r}, Options{Duration: lasts, Now: r.moment, Logger: log.NewNopLogger()})
	r.Know(projects, "")
	r.run()
	return r
}

// run keeps and uses leases until stop is called.
func (r *replica) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	running.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-r.Changed():
				r.gate()
				r.follow()
			}
		}
	})
	r.stop = func() {
		cancel()
		running.Wait()
	}
}

// follow uses the leases that are held, and stops using others.
func (r *replica) follow() {
	held, giveBack := r.Held()
	r.mu.Lock()
	for project, l := range r.uses {
		if held[project] != l {
			delete(r.uses, project)
		}
	}
	maps.Copy(r.uses, held)
	r.mu.Unlock()
	for _, l := range giveBack {
		r.Stopped(l)
	}
}

func (r *replica) using(project string) *Lease {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.uses[project]
}

// shows lists the projects that a scrape would show.
func (r *replica) shows() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.paused != nil {
		return nil
	}
	var projects []string
	for project, l := range r.uses {
		if !l.lost() && validAt(l, r.suspended) {
			projects = append(projects, project)
		}
	}
	return projects
}

// validAt is Valid, with the replica locked.
func validAt(l *Lease, suspended time.Duration) bool {
	renewed := l.life.renewed.Load()
	now := Moment{time.Now().Add(-suspended), time.Duration(time.Now().UnixNano())}
	return renewed != nil && now.since(*renewed) < lasts-lasts/10
}

// readers are, by project, how many replicas show it.
func readers(replicas []*replica) map[string]int {
	n := map[string]int{}
	for _, r := range replicas {
		for _, project := range r.shows() {
			n[project]++
		}
	}
	return n
}

// watch looks at all replicas for a time: none may show what another one shows.
func watch(t *testing.T, replicas []*replica, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for project, n := range readers(replicas) {
			require.LessOrEqual(t, n, 1, "%s is shown %d times", project, n)
		}
	}
}

// settled checks that each project is read by exactly one, and evenly.
func settled(t *testing.T, replicas []*replica, projects []string) {
	each := readers(replicas)
	for _, project := range projects {
		require.Equal(t, 1, each[project], project)
	}
	var counts []int
	for _, r := range replicas {
		shows := r.shows()
		counts = append(counts, len(shows))
		for _, project := range shows {
			require.True(t, r.table.commits(r.using(project)), "%s is shown, and cannot be committed", project)
		}
	}
	require.LessOrEqual(t, slices.Max(counts)-slices.Min(counts), 1, "%v", counts)
}

// TestOneReplicaAtATime: whatever happens to replicas and database, no project is shown twice,
// and when it is over each one is soon read again.
func TestOneReplicaAtATime(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { trouble(t, rand.New(rand.NewPCG(seed, 17))) })
		})
	}
}

func trouble(t *testing.T, random *rand.Rand) {
	tab := newTable()
	tab.ahead = time.Duration(random.IntN(200)-100) * time.Second
	projects := names("p", 1+random.IntN(20))
	var replicas []*replica
	for range 1 + random.IntN(4) {
		replicas = append(replicas, start(tab, projects))
	}
	defer func() {
		for _, r := range replicas {
			r.stop()
		}
	}()
	watch(t, replicas, 5*time.Second)
	settled(t, replicas, projects)
	for range 1 + random.IntN(6) {
		d := time.Duration(random.IntN(40000)) * time.Millisecond
		r := replicas[random.IntN(len(replicas))]
		gone := func(x *replica) bool { return x == r }
		switch random.IntN(6) {
		case 0: // it is stopped by a signal
			r.pause()
			watch(t, replicas, d)
			r.resume()
		case 1: // its machine is suspended
			r.pause()
			watch(t, replicas, d)
			r.mu.Lock()
			r.suspended += d
			r.mu.Unlock()
			r.resume()
		case 2: // it is killed, and started again
			r.stop()
			replicas = slices.DeleteFunc(replicas, gone)
			watch(t, replicas, d)
			replicas = append(replicas, start(tab, projects))
		case 3: // it is restarted
			r.stop()
			r.Leave()
			replicas = append(slices.DeleteFunc(replicas, gone), start(tab, projects))
		case 4: // connections of one are lost, before or after a call
			r.fail(func() error {
				if random.IntN(3) == 0 {
					return errors.New("connection lost")
				}
				return nil
			})
			watch(t, replicas, d)
			r.fail(nil)
		case 5: // the database is away
			for _, each := range replicas {
				each.fail(func() error { return errors.New("database gone") })
			}
			watch(t, replicas, d)
			for _, each := range replicas {
				each.fail(nil)
			}
		}
		for project, n := range readers(replicas) { // the first thing that it does
			require.LessOrEqual(t, n, 1, project)
		}
	}
	watch(t, replicas, 2*lasts+3*time.Second)
	settled(t, replicas, projects)
}

func TestHandOver(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(*replica)
		within time.Duration
	}{
		"at once when it stops":          {func(r *replica) { r.stop(); r.Leave() }, 2 * time.Second},
		"when it dies, in time":          {func(r *replica) { r.stop() }, 2 * lasts},
		"when it is paused, in time":     {func(r *replica) { r.pause() }, 2 * lasts},
		"when it cannot read a project":  {func(r *replica) { r.Fail(r.using("p00")) }, 3 * time.Second},
		"when the store refuses a lease": {func(r *replica) { r.Lose(r.using("p00")) }, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tab := newTable()
				projects := names("p", 9)
				first := start(tab, projects)
				time.Sleep(3 * time.Second)
				others := []*replica{start(tab, projects), start(tab, projects)}
				time.Sleep(5 * time.Second)
				settled(t, append(others, first), projects)
				require.Contains(t, first.shows(), "p00")
				c.end(first)
				watch(t, append(others, first), c.within)
				assert.Equal(t, 1, readers(others)["p00"])
				if first.paused != nil {
					first.resume()
					assert.Empty(t, first.shows(), "it has slept past its leases")
				}
				first.stop()
				for _, r := range others {
					r.stop()
				}
			})
		})
	}
}

// TestProjectsOfAConfiguration come and go with it.
func TestProjectsOfAConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab := newTable()
		a, b := start(tab, names("p", 4)), start(tab, names("p", 4))
		defer func() { a.stop(); b.stop() }()
		both := []*replica{a, b}
		time.Sleep(5 * time.Second)
		settled(t, both, names("p", 4))
		a.Know(names("p", 6), "new")
		watch(t, both, 3*time.Second)
		assert.Len(t, readers(both), 6, "who knows it already reads a new project")
		b.Know(names("p", 6), "new")
		watch(t, both, 3*time.Second)
		settled(t, both, names("p", 6))
		a.Know(names("p", 2), "newer")
		b.Know(names("p", 2), "newer")
		watch(t, both, 3*time.Second)
		settled(t, both, names("p", 2))
		assert.Len(t, readers(both), 2)
	})
}

// swallowed has the next call of a name get no answer, nor come there.
func (r *replica) swallowed(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.swallow[name] = 1
}

// A connection that is swallowed, as by a firewall, costs no lease: there is time for another
// beat, whatever the call was.
func TestSwallowedCallsLoseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, projects := newTable(), names("p", 6)
		one := start(tab, projects)
		defer func() { one.stop() }()
		watch(t, []*replica{one}, 5*time.Second)
		for round := range 20 {
			one.swallowed("Beat")
			one.swallowed("Take")
			projects = append(projects, fmt.Sprint("q", round))
			one.Know(projects, "")
			for range 200 {
				time.Sleep(100 * time.Millisecond)
				require.GreaterOrEqual(t, len(one.shows()), 6+round)
			}
		}
		for _, project := range projects {
			assert.Len(t, tab.history[project], 1, project)
		}
	})
}

// Replicas that come together, as after a restart of the database, share at once: no project
// moves.
func TestReplicasThatComeTogetherShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, projects := newTable(), names("p", 12)
		var replicas []*replica
		for range 3 {
			replicas = append(replicas, start(tab, projects))
			time.Sleep(300 * time.Millisecond)
		}
		defer func() {
			for _, r := range replicas {
				r.stop()
			}
		}()
		watch(t, replicas, 10*time.Second)
		settled(t, replicas, projects)
		for _, project := range projects {
			assert.Len(t, tab.history[project], 1, project)
		}
	})
}

// logBuffer takes what is logged.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Another list of projects is logged, once a rollout should have ended. The order of the list
// makes no difference, nor does what a replica leaves to others for a while.
func TestOtherProjectsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab, projects := newTable(), names("p", 4)
		var logged logBuffer
		one := start(tab, projects)
		defer func() { one.stop() }()
		two := &replica{table: tab, uses: map[string]*Lease{}, swallow: map[string]int{}}
		two.Keeper = NewKeeper(registry{two}, Options{Duration: lasts, Now: two.moment, Logger: log.NewLogfmtLogger(&logged)})
		other := slices.Clone(projects)
		slices.Reverse(other)
		two.Know(other, "")
		two.run()
		defer func() { two.stop() }()
		time.Sleep(5 * time.Second)
		for _, project := range two.shows() {
			two.Fail(two.using(project))
		}
		time.Sleep(5 * time.Second)
		assert.Equal(t, 2, one.Status().Alike)
		time.Sleep(2 * rolloutTime)
		assert.NotContains(t, logged.String(), "other projects")

		two.Know(append(other, "q"), "")
		time.Sleep(rolloutTime / 2)
		assert.Equal(t, 1, two.Status().Unlike)
		assert.NotContains(t, logged.String(), "other projects")
		time.Sleep(2 * rolloutTime)
		assert.Equal(t, 1, strings.Count(logged.String(), "other projects"))
	})
}

func TestMomentsByWhicheverClockRanFurthest(t *testing.T) {
	at := time.Now()
	then := Moment{at, time.Hour}
	assert.Equal(t, time.Minute, Moment{at.Add(time.Minute), time.Hour}.since(then))
	assert.Equal(t, 5*time.Minute, Moment{at.Add(time.Minute), time.Hour + 5*time.Minute}.since(then), "it was suspended")
	assert.Equal(t, time.Minute, Moment{at.Add(time.Minute), 0}.since(then), "there is no such clock")
	assert.Positive(t, Now().since(Moment{at, 0}))
}
