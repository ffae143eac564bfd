package workspace

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	maxRenewEarly = 30 * time.Minute // before a credential expires
	renewAgain    = time.Minute      // after a renewal failed
	unknownLife   = time.Hour        // of a credential that does not say when it expires
)

// lease keeps a credential that expires. It renews it in good time; requests that need
// a new one at the same time get the same one.
type lease struct {
	group singleflight.Group

	mu               sync.Mutex
	obtain           func(context.Context) (credential, time.Time, error) // a new credential and when it expires
	now              func() time.Time                                     // the server's clock
	held             credential
	renewAt, expires time.Time
}

// from says where proofs come from, from now on.
func (l *lease) from(obtain func(context.Context) (credential, time.Time, error), now func() time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.obtain, l.now = obtain, now
}

// abandoned is the error of a renewal whose initiator gave up.
type abandoned struct{ error }

func (l *lease) credential(ctx context.Context) (credential, error) {
	if p, fresh := l.current(); fresh {
		return p, nil
	}
	for {
		renewal := l.group.DoChan("", func() (any, error) {
			p, err := l.renew(ctx)
			if err != nil && ctx.Err() != nil {
				err = abandoned{err}
			}
			return p, err
		})
		select {
		case r := <-renewal:
			var gaveUp abandoned
			if errors.As(r.Err, &gaveUp) && ctx.Err() == nil {
				continue // another request began it; we still want it
			}
			return r.Val.(credential), r.Err
		case <-ctx.Done():
			return credential{}, ctx.Err()
		}
	}
}

func (l *lease) current() (p credential, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held, l.now().Before(l.renewAt)
}

// renew obtains a new credential. If that fails, the one it has is used to its end.
func (l *lease) renew(ctx context.Context) (credential, error) {
	if p, fresh := l.current(); fresh { // renewed since we looked
		return p, nil
	}
	l.mu.Lock()
	obtain := l.obtain
	l.mu.Unlock()
	p, expires, err := obtain(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if err != nil {
		if !now.Before(l.expires) {
			return credential{}, err
		}
		l.renewAt = now.Add(min(renewAgain, l.expires.Sub(now)))
		return l.held, nil
	}
	if expires.IsZero() {
		expires = now.Add(unknownLife)
	}
	l.held, l.expires = p, expires
	l.renewAt = expires.Add(-min(expires.Sub(now)/10, maxRenewEarly))
	return p, nil
}

// forget drops p, unless it has been replaced already.
func (l *lease) forget(p credential) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == p {
		l.held, l.renewAt, l.expires = credential{}, time.Time{}, time.Time{}
	}
}
