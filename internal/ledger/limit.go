package ledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// MaxUnfinished is how many records of one source may be pending or open: 0.4 GB, about 0.8 GB with garbage.
// A large tenant has some ten thousand sessions at once. More come of an API that is
// malicious or never shows an end, and would fill the memory for as long as the API keeps
// records.
const MaxUnfinished = 1_000_000

// limit gives up the oldest unfinished records, if they are too many. Some more than that
// go at once, so that sorting them is rare. What is pending counts as a failure, as when it
// has waited for too long; an open connection was counted when it started.
func (l *Ledger) limit(now time.Time, emit func(*Event)) {
	l.gaveUp = 0
	most := l.rules.MaxUnfinished
	if l.unfinished.n <= most {
		return
	}
	oldest := make([]*entry, 0, l.unfinished.n)
	for _, e := range l.memory.whole {
		if e.isUnfinished() {
			oldest = append(oldest, e)
		}
	}
	slices.SortFunc(oldest, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.begin(), b.begin()), slices.Compare(a.id[:], b.id[:]))
	})
	l.gaveUp = len(oldest) - most + most/20
	for _, e := range oldest[:l.gaveUp] {
		before, ev := *e, Event{Disposition: GivenUp, Now: now}
		if !e.has(settled) {
			ev.Login, ev.Attempt, ev.FailedCode = e.login, true, CodePendingTimeout
			ev.Login.PreConnect, ev.Login.Updated = timeOf(e.preConnect), timeOf(e.updated)
			e.is |= failed
		}
		ev.OpenBefore = e.connection()
		if ev.OpenNow = ev.OpenBefore; ev.OpenNow.Open {
			ev.OpenNow.End, ev.OpenNow.Open = now.UnixMilli(), false
		}
		e.is |= settled | givenUp
		e.set(isOpen, false)
		e.place = Place{}
		l.track(e, &before, false)
		l.trackGivenUp(e)
		emit(&ev)
	}
}

// GaveUp is how many records were given up with the last batch.
func (l *Ledger) GaveUp() int { return l.gaveUp }

// begin is when a record began, as far as that is known.
func (e *entry) begin() int64 {
	if first, _, dated := e.span(); dated {
		return first.UnixMilli()
	}
	return e.firstSeen
}

// trackGivenUp keeps the record that began last of those that were given up. It stands for
// all of them once they are forgotten, also after a restart.
func (l *Ledger) trackGivenUp(e *entry) {
	if e.has(givenUp) && (l.lastGivenUp == 0 || e.begin() > l.memory.get(l.lastGivenUp).begin()) {
		l.lastGivenUp = e.ref
	}
}

// mayBeGivenUp reports whether a record that is not known may be one that was counted,
// given up and forgotten, which its end has brought into a window again: it began before
// the window, and before the last of those that were given up. What began within the
// window would still be known.
func (l *Ledger) mayBeGivenUp(login *record.Login, b *record.Batch) bool {
	if l.lastGivenUp == 0 {
		return false
	}
	began := login.Earliest()
	return !began.IsZero() && began.Before(b.From) && began.UnixMilli() <= l.memory.get(l.lastGivenUp).begin()
}
