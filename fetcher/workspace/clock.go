package workspace

import (
	"net/http"
	"sync"
	"time"
)

// maxSkew is what the gateway is sure to accept between its clock and the time of
// a signature.
const maxSkew = time.Minute

// clock knows the server's time from the Date of its answers. The time since the
// last Date is measured locally: a step of the local clock does not matter.
type clock struct {
	local func() time.Time

	mu       sync.Mutex
	date, at time.Time // the last Date, and the local time when it came
	refused  bool      // the host has refused a signature for its time
}

const (
	// maxUnasked is how far from the local clock a signature may be dated because an
	// answer's Date says so: one of that time is good today.
	maxUnasked = 15 * time.Minute
	// maxAhead is how far ahead of the local clock it may be when the host has refused
	// another. Who could have signatures of later times made would keep them until then.
	maxAhead = 7 * 24 * time.Hour
)

// quick is how long an answer may take for its Date to be the time at which it came.
const quick = time.Second

// observe reads the Date of an answer, which took so long. An answer without a Date
// changes nothing; nor does a slow one, whose Date may be of any moment since it was
// asked for, as long as that agrees with what is known.
func (c *clock) observe(h http.Header, took time.Duration) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.estimate(); ok && took > quick {
		if late := known.Sub(date); late >= 0 && late <= took+time.Second { // a Date has no fraction
			return
		}
	}
	c.date, c.at = date.UTC(), c.local()
}

func (c *clock) server() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.estimate()
}

// estimate is for who holds mu.
func (c *clock) estimate() (time.Time, bool) {
	if c.date.IsZero() {
		return time.Time{}, false
	}
	return c.date.Add(max(0, c.local().Sub(c.at))), true
}

func (c *clock) skew() (time.Duration, bool) {
	server, ok := c.server()
	if !ok {
		return 0, false
	}
	// Without the monotonic part, which tells nothing about what the clock shows.
	return c.local().Round(0).Sub(server), true
}

// refuse notes that the host has refused a signature for its time.
func (c *clock) refuse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = true
}

// signingTime is when a request to the host is to be dated, for which the host claims a
// time: that, as far as it may be believed, or else the local clock's.
func (c *clock) signingTime(claim time.Time, known bool) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	local := c.local().Round(0).UTC() // without the monotonic part: what the clock shows
	ahead := claim.Sub(local)
	if known && (ahead.Abs() <= maxUnasked || c.refused && ahead <= maxAhead) {
		return claim
	}
	return local
}
