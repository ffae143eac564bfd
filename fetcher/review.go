package fetcher

import (
	"context"
	"fmt"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

const (
	// reviewEvery is in how many polls the unfinished records behind the lookback
	// are all looked at once, if reviewRequests allows.
	reviewEvery = 5
	// reviewRequests bounds the requests for them in one poll.
	reviewRequests = 20
	// reviewTogether is how many times at most one window of a review covers.
	reviewTogether = 200
)

// review reads again what lies behind the lookback and is unfinished: records that
// are pending, and connections that are open.
type review struct {
	polls int       // since the last review began
	next  time.Time // where it goes on; zero if none is under way
}

// readUnfinished spends at most reviewRequests requests on records before from. One
// review goes on over as many polls as it takes.
func (p *Poller) readUnfinished(ctx context.Context, from, now time.Time) error {
	r := &p.review
	if r.polls++; r.next.IsZero() && r.polls < reviewEvery {
		return nil
	}
	if r.next.IsZero() {
		r.polls = 0
		r.next = now.Add(-maxAge)
	}
	times, err := p.book.Unfinished(from.Add(2 * seam))
	if err != nil {
		return err
	}
	for len(times) > 0 && times[0].Before(r.next) {
		times = times[1:]
	}
	requests := 0
	for together := reviewTogether; len(times) > 0; {
		if requests >= reviewRequests {
			return nil
		}
		w := around(times, together)[0]
		logins, err := gather(ctx, p.again, w, mostFor(w, times, reviewRequests-requests))
		requests += 1 + len(logins)/(pageLimit-1)
		if n := covered(w, times); tooLarge(err) && n > 1 {
			together = max(1, n/4)
			continue
		} else if tooLarge(err) && requests > reviewRequests/2 {
			return nil // the next poll has more of its budget left for this one time
		} else if tooLarge(err) {
			// More around this one time than any budget: it is left to its 30 days.
		} else if err != nil {
			return fmt.Errorf("unfinished records of %s: %w", w.from.Format(time.RFC3339), err)
		} else if err := p.commit(&record.Reading{From: w.from, To: w.to, Now: now, Logins: logins, Review: true}); err != nil {
			return err
		}
		times = times[covered(w, times):]
		r.next = w.to.Add(-seam)
	}
	r.next = time.Time{}
	return nil
}

// mostFor is how many records a window may hold for its reading to be worth it:
// a page for each time that it covers, within what is left of the budget.
func mostFor(w window, times []time.Time, requests int) int {
	if n := covered(w, times); n > 1 {
		requests = min(requests, max(1, n/4))
	}
	return requests * (pageLimit - 1)
}

// covered is how many of the times the window is sure to show: its end may be exclusive.
func covered(w window, times []time.Time) int {
	n := 0
	for n < len(times) && !times[n].After(w.to.Add(-seam)) {
		n++
	}
	return n
}
