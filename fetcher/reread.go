package fetcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

const (
	// rereadEvery is in how many polls the unfinished records behind the lookback
	// are all looked at once, if rereadRequests allows.
	rereadEvery = 5
	// rereadRequests bounds the requests for them in one poll.
	rereadRequests = 20
	// rereadTogether is how many times at most one window of a round covers.
	rereadTogether = 200
	// rereadFailure is what a window that fails costs of the budget: the client asks
	// several times before it gives up.
	rereadFailure = 4
	// rereadRefusals is in how many polls in a row a window may be refused for haste
	// before it passes for one that fails.
	rereadRefusals = 3
)

// reread reads again what lies behind the lookback and is unfinished: records that
// are pending, and connections that are open. It goes through their times in order, in
// windows that cover many of them; one round goes on over as many polls as it takes.
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
//     it fails, it is given up for this round, which costs the records of this time
//     a round and the others nothing.
//
// So a round over n times ends within 4n polls after it began, and the next one begins
// at most rereadEvery polls after this one ended. A record that becomes unfinished behind
// the place that has been reached waits for the next: each is reached within 2(4n+5)
// polls, and mostly within n/20, since a request covers many times. Polls in which a
// window is refused for haste are not among them; they are at most rereadRefusals-1 in a row.
type reread struct {
	*progress
	source LoginReader
	commit func(*record.Batch) error

	rounds
}

// rounds is how far rereading has come, which outlives a reload.
type rounds struct {
	polls    int       // since the last round began
	next     time.Time // the first time that is left to read; zero if no round is under way
	together int       // how many times the window that begins there may cover; 0: as many as any
	refused  int       // in how many polls in a row that window was refused for haste
}

func (r *reread) inherit(before *reread) { r.rounds = before.rounds }

// beginPoll counts a poll. If the quota was used up when the turn of unfinished records
// came, one window of them goes first.
func (r *reread) beginPoll(ctx context.Context, before, now time.Time) error {
	r.polls++
	if r.refused == 0 {
		return nil
	}
	if err := r.read(ctx, before, now, 1); err != nil && !workspace.IsThrottled(err) {
		return err
	}
	return nil
}

// read spends a budget of requests on records before a time.
func (r *reread) read(ctx context.Context, before, now time.Time, budget int) error {
	if r.next.IsZero() && r.polls < rereadEvery {
		return nil
	}
	times, err := r.accumulator.Unfinished(before.Add(2 * cursor.Seam))
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
		logins, err := gather(ctx, r.source, w, r.worth(n, budget))
		budget -= cost(logins, err)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case r.clock.wasWrong():
			return errWrongClock
		case err == nil:
			if err := r.commit(&record.Batch{From: w.From, To: w.To, Now: now, Logins: logins, Reread: true}); err != nil {
				return err
			}
		case workspace.IsThrottled(err) && r.refused+1 < rereadRefusals:
			r.refused++
			return fmt.Errorf("unfinished records of %s: %w", w.From.Format(time.RFC3339), err)
		case r.most() > 1 && n > 1:
			r.together, r.refused = max(1, n/4), 0
			continue
		case paging.IsTooLarge(err) && had < rereadRequests:
			r.together, r.refused = 1, 0
			return nil // the next poll has its whole budget for this one time
		default:
			r.gaveUp(w, err)
			if !paging.IsTooLarge(err) {
				budget = 0 // it may be all of the API that fails
			}
		}
		times, r.together, r.refused = times[n:], 0, 0
	}
	if r.next = (time.Time{}); len(times) > 0 {
		r.next = times[0]
	}
	return nil
}

// gaveUp reports a window that is left to the next round.
func (r *reread) gaveUp(w cursor.Window, err error) {
	r.metrics.RereadFailed()
	msg := "open or pending records could not be read again; skipped until the next round, which begins within minutes"
	switch many := (*paging.TooManyError)(nil); {
	case errors.As(err, &many):
		msg = "open or pending records lie among too many others to be read again; skipped until the next round. If this lasts, raise lookback, so that they end within it"
	case errors.Is(err, paging.ErrMoved):
		msg = "open or pending records are in a list that changed each time while it was read; skipped until the next round. If this lasts, report it to the vendor"
	}
	level.Warn(r.Logger).Log("msg", msg, "from", w.From.Format(time.RFC3339), "to", w.To.Format(time.RFC3339), "reason", reasonOf(err), "err", err)
}

func (r *rounds) most() int {
	if r.together == 0 {
		return rereadTogether
	}
	return r.together
}

// worth is how many records a window of n times may hold for its reading to be worth
// it: a page for each four times, within what is left of the budget. A single time is
// worth all of it, whatever else its window covers.
func (r *rounds) worth(n, budget int) int {
	if r.most() > 1 && n > 1 {
		budget = min(budget, max(1, n/4))
	}
	return budget * (pageLimit - 1)
}

// cost is what a window took of the budget.
func cost(logins []record.Login, err error) int {
	var many *paging.TooManyError
	switch {
	case err == nil:
		return 1 + len(logins)/(pageLimit-1)
	case errors.As(err, &many):
		return 1 + many.Read/(pageLimit-1)
	}
	return rereadFailure
}
