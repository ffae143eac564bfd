package fetcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
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
	// reviewFailure is what a window that fails costs of the budget: the client asks
	// several times before it gives up.
	reviewFailure = 4
	// reviewRefusals is in how many polls in a row a window may be refused for haste
	// before it passes for one that fails.
	reviewRefusals = 3
)

// review reads again what lies behind the lookback and is unfinished: records that
// are pending, and connections that are open. It goes through their times in order, in
// windows that cover many of them; one review goes on over as many polls as it takes.
//
// Whatever the API answers, each poll gets on, so that no window keeps what lies behind
// it from being read:
//
//   - A window that is read, or given up, is left behind. Four polls suffice for that: the
//     budget of one pays for all cuts of a window that fails, and that of four for those
//     of a window that is too full, which may be noticed only when the budget is spent.
//   - A window of many times that fails, or holds more than its times are worth, is cut to
//     a quarter of them, down to a single time. The cut stays for the next poll.
//   - A window of a single time has the whole budget of a poll. If that is not enough, or
//     it fails, it is given up for this review, which costs the records of this time a
//     round and the others nothing.
//
// So a review over n times ends within 4n polls after it began, and the next one begins
// at most reviewEvery polls after this one ended. A record that becomes unfinished behind
// the place that has been reached waits for the next: each is reached within 2(4n+5)
// polls, and mostly within n/20, since a request covers many times. Polls in which a
// window is refused for haste are not among them; they are at most reviewRefusals-1 in a row.
type review struct {
	polls    int       // since the last review began
	next     time.Time // the first time that is left to read; zero if no review is under way
	together int       // how many times the window that begins there may cover; 0: as many as any
	refused  int       // in how many polls in a row that window was refused for haste
}

// readUnfinished spends a budget of requests on records before from.
func (p *Poller) readUnfinished(ctx context.Context, from, now time.Time, budget int) error {
	r := &p.review
	if r.next.IsZero() && r.polls < reviewEvery {
		return nil
	}
	times, err := p.accumulator.Unfinished(from.Add(2 * cursor.Seam))
	if err != nil {
		return err
	}
	if r.next.IsZero() {
		r.polls, r.next = 0, now.Add(-cursor.Reach)
	}
	for len(times) > 0 && times[0].Before(r.next) {
		times = times[1:]
	}
	for len(times) > 0 && budget > 0 {
		r.next = times[0]
		w := cursor.Around(times, r.most())[0]
		n, had := w.Covered(times), budget
		logins, err := gather(ctx, p.again, w, r.worth(n, budget))
		budget -= cost(logins, err)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case p.clock.wasWrong():
			return errWrongClock
		case err == nil:
			if err := p.commit(&record.Batch{From: w.From, To: w.To, Now: now, Logins: logins, Reread: true}); err != nil {
				return err
			}
		case throttled(err) && r.refused+1 < reviewRefusals:
			r.refused++
			return fmt.Errorf("unfinished records of %s: %w", w.From.Format(time.RFC3339), err)
		case r.most() > 1 && n > 1:
			r.together, r.refused = max(1, n/4), 0
			continue
		case tooLarge(err) && had < reviewRequests:
			r.together, r.refused = 1, 0
			return nil // the next poll has its whole budget for this one time
		default:
			p.gaveUp(w, err)
			if !tooLarge(err) {
				budget = 0 // it may be all of the API that fails
			}
		}
		times, r.together, r.refused = times[n:], 0, 0
	}
	if len(times) == 0 {
		r.next = time.Time{}
	} else {
		r.next = times[0]
	}
	return nil
}

// gaveUp reports a window that is left to the next review.
func (p *Poller) gaveUp(w cursor.Window, err error) {
	p.metrics.RereadFailed()
	msg := "open or pending records could not be read again; skipped until the next round, which begins within minutes"
	if tooLarge(err) {
		msg = "open or pending records lie among too many others to be read again; skipped until the next round. If this lasts, raise lookback, so that they end within it"
	}
	level.Warn(p.Logger).Log("msg", msg, "from", w.From.Format(time.RFC3339), "to", w.To.Format(time.RFC3339), "reason", reasonOf(err), "err", err)
}

func (r *review) most() int {
	if r.together == 0 {
		return reviewTogether
	}
	return r.together
}

// worth is how many records a window of n times may hold for its reading to be worth
// it: a page for each four times, within what is left of the budget. A single time is
// worth all of it, whatever else its window covers.
func (r *review) worth(n, budget int) int {
	if r.most() > 1 && n > 1 {
		budget = min(budget, max(1, n/4))
	}
	return budget * (pageLimit - 1)
}

// cost is what a window took of the budget.
func cost(logins []record.Login, err error) int {
	var many *TooManyError
	switch {
	case err == nil:
		return 1 + len(logins)/(pageLimit-1)
	case errors.As(err, &many):
		return 1 + many.Read/(pageLimit-1)
	}
	return reviewFailure
}
