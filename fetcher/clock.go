package fetcher

import (
	"errors"
	"iter"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// steadyClock tells two times. Windows end at the server's time as the server claims it:
// too late an end does no harm. What is forgotten, and what has waited too long, follows
// the time that is borne out: as far as the local clock, or what records show, agrees
// with the claim. So no clock that is wrong for a while loses a record, and one that is
// wrong for ever costs no more than to read again what lies behind the newest records.
type steadyClock struct {
	server func() (time.Time, bool)
	local  func() time.Time // the machine's clock on the wall

	claim    time.Time // what now said last
	said, at time.Time // the server's time then, and when that was by the local monotonic clock
	guessed  bool      // it was the local clock's time
	redone   int       // how often the poll was begun anew for another time
	experience
}

// experience is what is known beyond a reload.
type experience struct {
	shown, at time.Time // the newest time that records have shown, and when that was
	resume    time.Time // how far this process has read; zero to begin at the horizon
}

const (
	// maxGuess is how far the local clock may be from the server's.
	maxGuess = 3 * time.Second
	// maxClocks is how often a poll is made for want of two answers that agree.
	maxClocks = 4
)

// errWrongClock is when an answer shows that now was wrong.
var errWrongClock = errors.New("the server's clock shows another time")

// now is the server's time as it claims it, in whole seconds, or the local clock's as
// long as there was no answer; but not earlier than what records have shown.
func (c *steadyClock) now() time.Time {
	now, known := c.server()
	if !known {
		now = c.local()
	}
	c.said, c.at, c.guessed = now, time.Now(), !known
	c.claim = later(now, c.floor()).UTC().Truncate(time.Second)
	return c.claim
}

// floor is a time that has passed for certain: the newest that records have shown, and
// the time since.
func (c *steadyClock) floor() time.Time {
	if c.shown.IsZero() {
		return c.shown
	}
	return c.shown.Add(time.Since(c.experience.at))
}

// borneOut is how much of a claim the local clock or records bear out, in whole seconds.
// What was borne out before, of which the cursor tells, is so still. The local clock
// bears out nothing but what the server says of itself. Zero if nothing is known.
func (c *steadyClock) borneOut(claim, reached time.Time) time.Time {
	out := later(c.floor(), reached)
	if server, known := c.server(); known {
		local := c.local().Round(0) // without the monotonic part: what the wall shows
		if !server.After(local.Add(cursor.MaxDrift)) {
			out = later(out, server)
		} else {
			out = later(out, local)
		}
	}
	if out.After(claim) {
		out = claim
	}
	return out.UTC().Truncate(time.Second)
}

// certain is a time that two witnesses bear out: both clocks, which agree, or records.
func (c *steadyClock) certain() time.Time {
	certain := c.floor()
	if server, known := c.server(); known && server.Sub(c.local().Round(0)).Abs() <= cursor.MaxDrift {
		certain = later(certain, server)
	}
	return certain.UTC().Truncate(time.Second)
}

// doubts reports whether a cursor is ahead of what is certain now: it may have followed
// clocks that were ahead.
func (c *steadyClock) doubts(reached time.Time) bool {
	return c.certain().Before(reached.Add(-cursor.MaxDrift))
}

// wasWrong reports whether the answer shows that now was not the server's time: then the
// poll is to begin anew, by that answer. An answer is asked so a few times at most.
func (c *steadyClock) wasWrong() bool {
	server, known := c.server()
	if !known || c.redone >= maxClocks-1 {
		return false
	}
	off := server.Sub(c.said) - time.Since(c.at)
	wrong := c.guessed && (off < -time.Second || off > maxGuess) || off.Abs() > cursor.MaxDrift // never ahead of the server's own
	c.said, c.at, c.guessed = server, time.Now(), false                                         // later answers come after work that took long
	if wrong {
		c.redone++
	}
	return wrong
}

// learn takes note of what the records of a window show, which ends at a time that is
// borne out so far. A record dated after the window's end shows nothing, and a single
// one nothing beyond what is borne out: its time may be wrong.
func (c *steadyClock) learn(times iter.Seq[time.Time], borneOut time.Time) {
	var newest, second time.Time
	for t := range times {
		if t.After(newest) {
			newest, second = t, newest
		} else {
			second = later(second, t)
		}
	}
	if newest.After(borneOut) {
		newest = second
	}
	if !newest.IsZero() && newest.After(c.floor()) {
		c.shown, c.experience.at = newest, time.Now()
	}
}

// timesOf are the newest times that records show, within a window that ends at a time.
func timesOf[T any, P interface {
	*T
	NewestUntil(time.Time) time.Time
}](records []T, end time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		for i := range records {
			if !yield(P(&records[i]).NewestUntil(end)) {
				return
			}
		}
	}
}

// timesOfBatch are those of all that a batch holds.
func timesOfBatch(r *record.Batch, end time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		for _, times := range []iter.Seq[time.Time]{timesOf(r.Logins, end), timesOf(r.Sessions, end), timesOf(r.Accesses, end)} {
			for t := range times {
				if !yield(t) {
					return
				}
			}
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
