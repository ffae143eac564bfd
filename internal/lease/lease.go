// Package lease divides projects among replicas that share a store. A project belongs to one
// replica at a time: to the one that holds its lease.
//
// Leases are rows in the store's database, and every row has an epoch that grows with each
// holder. All leases of a replica expire together, by the database's clock, unless the replica
// renews them. It stops using them earlier than that, by its own clocks, so that it has
// stopped before anybody else begins. A replica that has let its leases expire never comes
// back: it goes on under another name, and takes leases anew. So a lease is free once its
// holder is gone from the list of replicas.
package lease

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Registry is where replicas meet: the database. Its methods are atomic.
type Registry interface {
	// Beat renews the leases of a replica, and forgets all replicas whose leases have expired.
	// The first one makes the replica known. The error wraps ErrExpired if the replica's own
	// leases have expired.
	Beat(ctx context.Context, r Replica, first bool) (*View, error)
	// Take gives leases to a replica, with the next epoch, if they have still the epoch that was
	// seen: 0 is for a project that never had one. It returns those that it gave.
	Take(ctx context.Context, owner string, seen map[string]int64) (map[string]int64, error)
	// GiveBack makes leases of a replica free.
	GiveBack(ctx context.Context, owner string, projects []string) error
	// Leave makes all leases of a replica free, and forgets it.
	Leave(ctx context.Context, owner string) error
}

// ErrExpired is what a replica is refused with whose leases have expired.
var ErrExpired = errors.New("the leases of this replica have expired")

// Replica is a process that takes leases.
type Replica struct {
	Owner string
	// Duration is how long its leases last without a beat.
	Duration time.Duration
	// Projects are those of its configuration, and Config tells two lists from each other.
	Projects []string
	Config   string
}

// View is what a replica sees of the others.
type View struct {
	// Replicas are those that are alive, with what they know.
	Replicas map[string]Replica
	// Holders are the leases of all projects.
	Holders map[string]Holder
}

// Holder is who holds a lease, or held it last.
type Holder struct {
	Owner string
	Epoch int64
}

// Lease is the right to read and show a project.
type Lease struct {
	Project string
	Epoch   int64

	life *life
	ctx  context.Context
	lose context.CancelFunc
}

func newLease(project string, epoch int64, in *life) *Lease {
	l := &Lease{Project: project, Epoch: epoch, life: in}
	l.ctx, l.lose = context.WithCancel(context.Background())
	return l
}

// Valid reports whether the lease holds at this moment.
func (l *Lease) Valid() bool { return !l.lost() && l.life.valid() }

// Context ends when the lease is known to be lost, or has been given back. A lease that has
// expired is not Valid before that.
func (l *Lease) Context() context.Context { return l.ctx }

func (l *Lease) lost() bool { return l.ctx.Err() != nil }

// life is the time from a replica's first beat until its leases expire.
type life struct {
	owner   string
	lasts   time.Duration
	now     func() Moment
	renewed atomic.Pointer[Moment] // when the last beat was sent that was answered; nil at first
	joined  Moment                 // when the first one was; of the keeper alone
}

// valid reports whether the leases have not expired. They have for us before they have for
// the database: a tenth is for clocks that do not run alike.
func (l *life) valid() bool {
	renewed := l.renewed.Load()
	return renewed != nil && l.now().since(*renewed) < l.lasts-l.lasts/10
}

// Moment is a point in time by each of the machine's clocks.
type Moment struct {
	// Time has the wall clock and the monotonic one, which stands still while the machine is
	// suspended.
	Time time.Time
	// Boot is the time since the machine was started, suspended or not.
	Boot time.Duration
}

// since is how long ago another moment was, by the clock that ran furthest.
func (m Moment) since(earlier Moment) time.Duration {
	return max(m.Time.Sub(earlier.Time), m.Time.Round(0).Sub(earlier.Time.Round(0)), m.Boot-earlier.Boot)
}

// Now is this moment.
func Now() Moment { return Moment{time.Now(), sinceBoot()} }
