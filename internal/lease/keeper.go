package lease

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
)

const (
	// mostBeat is the longest time between two beats: as long may it take until others notice
	// that a lease is free.
	mostBeat = time.Second
	// retryAfter is for how long a project is left to others that could not be read here.
	retryAfter = 30 * time.Second
	// rolloutTime is for how long replicas may have different projects before it is logged.
	rolloutTime = time.Minute
	// joinTimeout is how long the first beat may take.
	joinTimeout = 15 * time.Second
	// leaveTimeout is how long leaving may take: leases that are not given back expire.
	leaveTimeout = 3 * time.Second
)

// These are parts of how long leases last. A beat that hangs leaves time for another one, by
// another connection, and so does what leases are given back and taken with.
const (
	beatPart  = 3  // for one beat
	movePart  = 5  // for giving back, and for taking
	retryPart = 20 // from a beat that failed to the next
)

// Options of a Keeper.
type Options struct {
	// Duration is how long leases last that are not renewed.
	Duration time.Duration
	// Now is Now, unless a test has other clocks.
	Now    func() Moment
	Logger log.Logger
	// Taken is called with how many leases were taken, and Lost with how many were lost: not
	// given back. Either may be nil.
	Taken, Lost func(n int)
}

// Keeper takes the leases that are due to this replica, renews them, and gives back those that
// are due to others.
type Keeper struct {
	Options
	registry Registry
	changed  chan struct{}
	wake     chan struct{}

	mu       sync.Mutex
	projects []string // of the configuration
	config   string
	life     *life // nil while there is none
	held     map[string]*Lease
	stopped  map[string]bool      // of those that are to be given back: nothing uses them any more
	leaving  map[string]bool      // are to be given back
	later    map[string]time.Time // not to be taken before
	view     *View                // as of the last beat that did not fail; nil before the first
	seenAs   string               // what this replica's configuration is in view
	err      error                // of the last beat

	unlikeSince time.Time // when a replica with another configuration was first seen; zero if there is none
	unlikeTold  bool
}

// NewKeeper returns a keeper that takes no lease before Run.
func NewKeeper(r Registry, o Options) *Keeper {
	if o.Now == nil {
		o.Now = Now
	}
	if o.Taken == nil {
		o.Taken = func(int) {}
	}
	if o.Lost == nil {
		o.Lost = func(int) {}
	}
	return &Keeper{Options: o, registry: r, changed: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		held: map[string]*Lease{}, stopped: map[string]bool{}, leaving: map[string]bool{}, later: map[string]time.Time{}}
}

// Know sets the projects that this replica may take, and what tells its configuration of them
// from others.
func (k *Keeper) Know(projects []string, config string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.projects, k.config = slices.Sorted(slices.Values(projects)), config
	clear(k.later)
	signal(k.wake)
}

// Changed has something in it when Held may have changed.
func (k *Keeper) Changed() <-chan struct{} { return k.changed }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Held are the leases to be used, by project, and those to be given back: once nothing uses
// them any more, Stopped is to be called with each. Others are not to be used.
func (k *Keeper) Held() (use map[string]*Lease, giveBack []*Lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	use = map[string]*Lease{}
	for project, l := range k.held {
		switch {
		case k.leaving[project]:
			giveBack = append(giveBack, l)
		case l.Valid():
			use[project] = l
		}
	}
	return use, giveBack
}

// Stopped is called when nothing uses a lease any more that is to be given back.
func (k *Keeper) Stopped(l *Lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held[l.Project] == l && k.leaving[l.Project] {
		k.stopped[l.Project] = true
		signal(k.wake)
	}
}

// Fail is called when a project cannot be read here: others are to try it. Nothing uses the
// lease any more.
func (k *Keeper) Fail(l *Lease) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held[l.Project] == l {
		k.later[l.Project] = time.Now().Add(retryAfter)
		k.leaving[l.Project], k.stopped[l.Project] = true, true
		signal(k.wake)
	}
}

// Lose is called when the store refuses a lease.
func (k *Keeper) Lose(l *Lease) {
	l.lose()
	signal(k.changed)
	signal(k.wake)
}

// Run keeps leases until ctx ends. Those that are held then are held on to: see Leave.
func (k *Keeper) Run(ctx context.Context) {
	for {
		pause := k.pause()
		if !k.beat(ctx) {
			pause = min(mostBeat, k.Duration/retryPart)
		}
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-time.After(pause):
		}
	}
}

// Leave gives back all leases. Run has ended, and nothing uses them any more.
func (k *Keeper) Leave() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.life == nil {
		return
	}
	owner := k.life.owner
	for project := range k.held {
		k.leaving[project] = true
	}
	k.end() // before others may begin
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if err := k.registry.Leave(ctx, owner); err != nil {
		level.Warn(k.Logger).Log("msg", "leases could not be given back: others take them when they have expired", "err", err)
	}
}

// Status is what a keeper knows of the replicas.
type Status struct {
	Owner string // this replica
	// Holders are who holds which project, as of the last beat; those that are alive.
	Holders map[string]string
	// Alike is how many replicas have the same configuration of projects, this one included;
	// Unlike, how many have another.
	Alike, Unlike int
	// Err is why the last beat failed.
	Err error
	// Joined reports whether there was a beat that did not fail.
	Joined bool
}

// Status reports what the last beat has shown.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := Status{Err: k.err, Joined: k.view != nil, Holders: map[string]string{}}
	if k.life != nil {
		s.Owner = k.life.owner
	}
	if k.view == nil {
		return s
	}
	s.Alike, s.Unlike = k.alike()
	for project, h := range k.view.Holders {
		if _, alive := k.view.Replicas[h.Owner]; alive {
			s.Holders[project] = h.Owner
		}
	}
	return s
}

// beat renews the leases, and acts on what the other replicas do. It reports whether it could.
func (k *Keeper) beat(ctx context.Context) bool {
	k.drop()
	me, first := k.me()
	sent := k.Now()
	timeout := k.Duration / beatPart
	if first { // nothing is held, and the store may have to be prepared
		timeout = joinTimeout
	}
	beatCtx, cancel := context.WithTimeout(ctx, timeout)
	view, err := k.registry.Beat(beatCtx, me, first)
	cancel()
	if ctx.Err() != nil {
		return false
	}
	take, free := k.answer(sent, me, view, err)
	k.giveBack(ctx, me.Owner, free)
	k.take(ctx, me.Owner, take)
	return err == nil
}

// pause is the time between two beats.
func (k *Keeper) pause() time.Duration { return min(mostBeat, k.Duration/5) }

// me is this replica as it makes itself known, and whether this life has just begun.
func (k *Keeper) me() (me Replica, first bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.life == nil {
		k.life = &life{owner: newOwner(), lasts: k.Duration, now: k.Now}
	}
	known := slices.DeleteFunc(slices.Clone(k.projects), func(project string) bool { return time.Now().Before(k.later[project]) })
	config := hash(append(slices.Clone(k.projects), k.config)) + "/" + hash(known)
	return Replica{k.life.owner, k.Duration, known, config}, k.life.renewed.Load() == nil
}

func hash(texts []string) string {
	return strconv.FormatUint(xxhash.Sum64String(strings.Join(texts, "\x00")), 16)
}

// sameConfig reports whether two replicas have the same configuration of projects, whatever one of
// them leaves to others for a while.
func sameConfig(a, b string) bool {
	first, _, _ := strings.Cut(a, "/")
	other, _, _ := strings.Cut(b, "/")
	return first == other
}

// newOwner is a name that nobody has had: that of the machine, for people, and a random one.
func newOwner() string {
	host, _ := os.Hostname() // it is for people alone
	return strings.Trim(host+"-"+rand.Text()[:10], "-")
}

// drop lets go of the leases that have expired by our clocks, or that the store has refused.
func (k *Keeper) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.life != nil && k.life.renewed.Load() != nil && !k.life.valid() {
		k.end()
	}
	for project, l := range k.held {
		if l.lost() && !k.leaving[project] {
			k.leaving[project] = true
			signal(k.changed)
			k.later[project] = time.Now().Add(k.Duration / movePart) // rather by another
			k.Lost(1)
			level.Warn(k.Logger).Log("msg", "lease lost: the store has refused it", "project", project, "epoch", l.Epoch)
		}
	}
}

// end ends this life: whatever was held is lost, but for what was to be given back.
func (k *Keeper) end() {
	if lost := len(k.held) - len(k.leaving); lost > 0 {
		k.Lost(lost)
		level.Warn(k.Logger).Log("msg", "all leases lost: they were not renewed in time, as after a pause of the process or without the database", "projects", lost)
	}
	for project := range maps.Clone(k.held) {
		k.forget(project)
	}
	k.life = nil
	signal(k.changed)
}

func (k *Keeper) forget(project string) {
	if l := k.held[project]; l != nil {
		l.lose()
	}
	delete(k.held, project)
	delete(k.leaving, project)
	delete(k.stopped, project)
	signal(k.changed)
}

// answer takes in the answer to a beat. It returns the projects to take, with the epochs that
// were seen, and those to give back.
func (k *Keeper) answer(sent Moment, me Replica, view *View, err error) (take map[string]int64, free []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		if k.err == nil || k.err.Error() != err.Error() {
			level.Warn(k.Logger).Log("msg", "leases cannot be renewed, will retry", "err", err)
		}
		if errors.Is(err, ErrExpired) {
			k.end()
			signal(k.wake)
		} else if k.life != nil && k.life.renewed.Load() == nil {
			k.life = nil // it may be known, and must not be made known twice
		}
		k.err = err
		return nil, nil
	}
	if k.err != nil {
		level.Info(k.Logger).Log("msg", "leases are renewed again")
	}
	k.err, k.view, k.seenAs = nil, view, me.Config
	if k.life.renewed.Swap(&sent) == nil {
		k.life.joined = sent
	}
	k.warnOfUnlike()
	return k.act(me, view)
}

// alike are how many replicas have the same configuration of projects as this one, itself
// included, and how many have another.
func (k *Keeper) alike() (alike, unlike int) {
	for _, r := range k.view.Replicas {
		if sameConfig(r.Config, k.seenAs) {
			alike++
		} else {
			unlike++
		}
	}
	return alike, unlike
}

// warnOfUnlike reports replicas that have other projects, once a rollout should have ended.
func (k *Keeper) warnOfUnlike() {
	_, unlike := k.alike()
	switch {
	case unlike == 0:
		k.unlikeSince, k.unlikeTold = time.Time{}, false
	case k.unlikeSince.IsZero():
		k.unlikeSince = time.Now()
	case time.Since(k.unlikeSince) >= rolloutTime && !k.unlikeTold:
		k.unlikeTold = true
		level.Warn(k.Logger).Log("msg", "other replicas that share the store have other projects in their configuration: give all replicas the same projects, and another installation a schema of its own",
			"replicas", unlike)
	}
}

// act compares what is held with what should be.
func (k *Keeper) act(me Replica, view *View) (take map[string]int64, free []string) {
	owner := me.Owner
	knows, holders := map[string][]string{}, map[string]string{}
	for name, r := range view.Replicas {
		knows[name] = r.Projects
	}
	knows[owner] = me.Projects
	for project, h := range view.Holders {
		holders[project] = h.Owner
	}
	for project, l := range k.held {
		if view.Holders[project] != (Holder{owner, l.Epoch}) {
			given := k.stopped[project] // back, and the answer to that was lost
			k.forget(project)
			if !given {
				k.Lost(1)
				level.Warn(k.Logger).Log("msg", "lease lost: it has another holder", "project", project, "epoch", l.Epoch)
			}
		}
	}
	owners := Assign(knows, holders)
	take = map[string]int64{}
	// Others may be joining too, as after a restart of the database: all share then.
	justJoined := k.life.renewed.Load().since(k.life.joined) < k.pause()
	for _, project := range me.Projects {
		h := view.Holders[project]
		_, alive := view.Replicas[h.Owner]
		free := !alive || h.Owner == owner // ours, and not held: the answer to the taking was lost
		if !justJoined && owners[project] == owner && free && k.held[project] == nil {
			take[project] = h.Epoch
		}
	}
	for project := range k.held {
		if owners[project] != owner && !k.leaving[project] {
			k.leaving[project] = true
			signal(k.changed)
		}
		if k.stopped[project] {
			free = append(free, project)
		}
	}
	return take, free
}

func (k *Keeper) giveBack(ctx context.Context, owner string, projects []string) {
	if len(projects) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, k.Duration/movePart)
	defer cancel()
	if err := k.registry.GiveBack(ctx, owner, projects); err != nil {
		level.Warn(k.Logger).Log("msg", "leases could not be given back, will retry", "err", err)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, project := range projects {
		k.forget(project)
	}
	level.Info(k.Logger).Log("msg", "projects given back, for others to read", "projects", len(projects), "names", some(projects))
}

func (k *Keeper) take(ctx context.Context, owner string, seen map[string]int64) {
	if len(seen) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, k.Duration/movePart)
	defer cancel()
	taken, err := k.registry.Take(ctx, owner, seen)
	if err != nil {
		level.Warn(k.Logger).Log("msg", "leases could not be taken, will retry", "err", err)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(taken) == 0 || k.life == nil || k.life.owner != owner {
		return
	}
	for project, epoch := range taken {
		k.held[project] = newLease(project, epoch, k.life)
	}
	k.Taken(len(taken))
	level.Info(k.Logger).Log("msg", "projects taken, to be read here", "projects", len(taken), "names", some(slices.Sorted(maps.Keys(taken))))
	signal(k.changed)
}

// some are the first of many names.
func some(names []string) string {
	const few = 10
	if len(names) > few {
		return strings.Join(names[:few], ",") + ",.."
	}
	return strings.Join(names, ",")
}
