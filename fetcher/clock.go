package fetcher

import (
	"errors"
	"iter"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// clock shows the server's time, of which there are three kinds:
//
//   - Claimed is what the server says (now). Windows end there: too late an end does no harm.
//   - Confirmed is how much of that the local clock, or the times of records, agree with.
//     What is forgotten, and what has waited too long, follows it.
//   - Certain is what two witnesses agree on: both clocks, or records.
//
// So no clock that is wrong for a while loses a record, and one that is wrong for ever costs
// no more than to read again what lies behind the newest records.
type clock struct {
	server func() (time.Time, bool)
	local  func() time.Time

	claim    time.Time // what now returned last
	expected time.Time // the server's time then, or as of its last answer
	at       time.Time // when that was
	byLocal  bool      // expected is the local clock's time
	answered bool      // an answer has come
	redone   int       // how often this poll was begun again for another time

	shown    time.Time // the newest time that records have shown
	shownAt  time.Time // when they did
	reported clockState
}

// clockState is what is known of the server's clock.
type clockState int

const (
	clocksAgree  clockState = iota // it shows the local clock's time
	clocksDiffer                   // it shows another time: one of the two is wrong
	clockGuessed                   // no answer has come yet: it may be as the local one
	clockUndated                   // answers have no Date
)

const (
	// maxGuess is how far the local clock may be from the server's.
	maxGuess = 3 * time.Second
	// maxClocks is how often a poll is made until two answers agree.
	maxClocks = 4
)

// errWrongClock is when an answer shows that now was wrong.
var errWrongClock = errors.New("the server's clock shows another time")

// newClock returns a clock for a source whose records have shown a time.
func newClock(server func() (time.Time, bool), local func() time.Time, shown time.Time) clock {
	if local == nil {
		local = time.Now
	}
	return clock{server: server, local: local, shown: shown, shownAt: time.Now()}
}

// inherit takes over what is known beyond a reload.
func (c *clock) inherit(before *clock) {
	c.shown, c.shownAt, c.reported = before.shown, before.shownAt, before.reported
}

// wall is what the machine's clock shows, without its monotonic part.
func (c *clock) wall() time.Time { return c.local().Round(0) }

// state returns what is known of the server's clock, and how far it is ahead of the local one.
func (c *clock) state() (state clockState, ahead time.Duration) {
	server, known := c.server()
	switch ahead = server.Sub(c.wall()); {
	case !known && !c.answered:
		return clockGuessed, 0
	case !known:
		return clockUndated, 0
	case ahead.Abs() > cursor.MaxDrift:
		return clocksDiffer, ahead
	}
	return clocksAgree, ahead
}

// is reports whether a state is the clock's.
func (c *clock) is(state clockState) bool {
	now, _ := c.state()
	return now == state
}

// isKnown reports whether an answer had a Date.
func (c *clock) isKnown() bool {
	_, known := c.server()
	return known
}

// now is the server's time as it claims it, in whole seconds, or the local clock's as
// long as no answer had a Date; but not earlier than what records have shown.
func (c *clock) now() time.Time {
	now, known := c.server()
	if !known {
		now = c.local()
	}
	c.expected, c.at, c.byLocal = now, time.Now(), !known
	c.claim = later(now, c.passed()).UTC().Truncate(time.Second)
	return c.claim
}

// passed is a time that has passed for certain: the newest that records have shown, and
// the time since.
func (c *clock) passed() time.Time {
	if c.shown.IsZero() {
		return c.shown
	}
	return c.shown.Add(time.Since(c.shownAt))
}

// confirmed is how much of a claim the local clock or records confirm, in whole seconds.
// What was confirmed before, up to the cursor, still is. The local clock confirms nothing
// but what the server says of itself. Zero if nothing is known.
func (c *clock) confirmed(claim, counted time.Time) time.Time {
	confirmed := later(c.passed(), counted)
	if server, known := c.server(); known {
		if local := c.wall(); server.After(local.Add(cursor.MaxDrift)) {
			server = local
		}
		confirmed = later(confirmed, server)
	}
	return earlier(confirmed, claim).UTC().Truncate(time.Second)
}

// certain is a time that two witnesses confirm: both clocks, which agree, or records.
func (c *clock) certain() time.Time {
	certain := c.passed()
	if c.is(clocksAgree) {
		server, _ := c.server()
		certain = later(certain, server)
	}
	return certain.UTC().Truncate(time.Second)
}

// doubts reports whether a cursor is ahead of what is certain now: it may have followed
// clocks that were ahead.
func (c *clock) doubts(counted time.Time) bool {
	return c.certain().Before(counted.Add(-cursor.MaxDrift))
}

// wasWrong is called after each answer. It reports whether the answer shows that now was
// not the server's time: then the poll is to begin again, by that answer, but not too often.
func (c *clock) wasWrong() bool {
	c.answered = true
	server, known := c.server()
	if !known || c.redone >= maxClocks-1 {
		return false
	}
	off := server.Sub(c.expected) - time.Since(c.at)
	wrong := c.byLocal && (off < -time.Second || off > maxGuess) || off.Abs() > cursor.MaxDrift // never ahead of the server's own
	c.expected, c.at, c.byLocal = server, time.Now(), false                                     // later answers come after work that took long
	if wrong {
		c.redone++
	}
	return wrong
}

// show notes a time that records show.
func (c *clock) show(t time.Time) { c.shown, c.shownAt = t, time.Now() }

// learn notes what the records of a window show, which ends at a time that is
// confirmed so far. A record dated after the window's end shows nothing, and a single
// one nothing beyond what is confirmed: its time may be wrong.
func (c *clock) learn(times iter.Seq[time.Time], confirmed time.Time) {
	var newest, second time.Time
	for t := range times {
		if t.After(newest) {
			newest, second = t, newest
		} else {
			second = later(second, t)
		}
	}
	if newest.After(confirmed) {
		newest = second
	}
	if !newest.IsZero() && newest.After(c.passed()) {
		c.show(newest)
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

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
