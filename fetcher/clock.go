package fetcher

import (
	"errors"
	"time"
)

// steadyClock is the server's clock, protected against an answer with a wrong date: a
// time is good when the next answer agrees with it.
type steadyClock struct {
	server func() (time.Time, bool)

	said, at time.Time // what now said, and when that was by the local monotonic clock
	guessed  bool      // it was the local clock's time
	checked  bool
	trust
}

// trust is what is known of the server's clock by experience.
type trust struct {
	time, at time.Time // what it showed when it was last right, and when that was
	leap     time.Duration
	since    time.Time // when a leap was first seen; leap is how far
}

const (
	// maxDrift is how far two answers may be apart, less the time between them.
	maxDrift = time.Minute
	// maxGuess is how far the local clock may be from the server's.
	maxGuess = 3 * time.Second
	// maxClocks is how often a poll begins anew for want of two answers that agree.
	maxClocks = 4
	// maxDoubt is how long all answers must show the same leap ahead for it to be
	// believed: what is counted up to a wrong time is not counted again when that
	// time comes.
	maxDoubt = 5 * time.Minute
)

// errWrongClock is when an answer shows that now was wrong.
var errWrongClock = errors.New("the server's clock shows another time")

// now is the server's time in whole seconds, never ahead of the server's own, or the
// local clock's as long as there was no answer.
func (c *steadyClock) now() time.Time {
	now, known := c.server()
	if !known {
		now = time.Now()
	}
	c.said, c.at, c.guessed, c.checked = now, time.Now(), !known, false
	return now.UTC().Truncate(time.Second)
}

// wasWrong reports, once there has been an answer, whether now was not the server's
// time. Only the first answer is asked: later ones come after work that took long.
func (c *steadyClock) wasWrong() bool {
	server, known := c.server()
	if c.checked || !known {
		return false
	}
	c.checked = true
	off := server.Sub(c.said) - time.Since(c.at)
	if c.guessed && (off < -time.Second || off > maxGuess) || off.Abs() > maxDrift { // never ahead of the server's own
		return true
	}
	return c.leaps(server)
}

// leaps reports whether the server's clock is further ahead of what it showed before
// than time has passed, and has not been so for long enough to be believed.
func (t *trust) leaps(server time.Time) bool {
	now := time.Now()
	ahead := server.Sub(t.time) - now.Sub(t.at)
	switch {
	case t.time.IsZero(), ahead.Abs() <= maxDrift:
	case ahead < 0: // nothing is counted beyond what is counted already
		return false
	case t.since.IsZero(), (ahead - t.leap).Abs() > maxDrift:
		t.leap, t.since = ahead, now
		return true
	case now.Sub(t.since) < maxDoubt:
		return true
	}
	*t = trust{time: server, at: now}
	return false
}
