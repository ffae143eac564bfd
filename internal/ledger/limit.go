package ledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// MaxUnfinished is how many records of one source may be pending or open: about 0.6 GB.
// A large tenant has some ten thousand sessions at once. More are those of an API that
// means harm or never shows an end, and would fill the memory for as long as the API keeps
// records.
const MaxUnfinished = 1_000_000

// limit gives up the oldest unfinished records, if they are too many. Some more than that
// go at once, so that sorting them is rare. What is pending counts as a failure, as when it
// has waited for too long; an open connection was counted when it started.
func (l *Ledger) limit(now time.Time, emit func(*Event)) {
	l.surplus = 0
	most := l.rules.MaxUnfinished
	if len(l.unfinished) <= most {
		return
	}
	oldest := make([]*entry, 0, len(l.unfinished))
	for e := range l.unfinished {
		oldest = append(oldest, e)
	}
	slices.SortFunc(oldest, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.begin(), b.begin()), slices.Compare(a.id[:], b.id[:]))
	})
	l.surplus = len(oldest) - most + most/20
	for _, e := range oldest[:l.surplus] {
		before, ev := *e, Event{Disposition: GivenUp, Now: now}
		if !e.has(settled) {
			ev.Login, ev.Attempt, ev.FailedCode = e.login, true, CodePendingTimeout
			ev.Login.PreConnect, ev.Login.Updated = timeOf(e.preConnect), timeOf(e.updated)
			e.is |= failed
		}
		e.is |= settled | givenUp
		e.set(isOpen, false)
		e.place = Place{}
		l.note(e, &before, false)
		l.noteGivenUp(e)
		emit(&ev)
	}
}

// GaveUp is how many records the last batch has made too many.
func (l *Ledger) GaveUp() int { return l.surplus }

// begin is when a record began, as far as that is known.
func (e *entry) begin() int64 {
	if first, _, dated := e.span(); dated {
		return first.UnixMilli()
	}
	return e.firstSeen
}

// noteGivenUp keeps the record that began last of those that were given up. It stands for
// all of them once they are forgotten, also after a restart.
func (l *Ledger) noteGivenUp(e *entry) {
	if e.has(givenUp) && (l.last == nil || e.begin() > l.last.begin()) {
		l.last = e
	}
}

// mayBeGivenUp reports whether a record that is not known may be one that was counted,
// given up and forgotten, which its end has brought into a window again: it began before
// the window, and before the last of those that were given up. What began within the
// window would still be known.
func (l *Ledger) mayBeGivenUp(login *record.Login, r *record.Batch) bool {
	if l.last == nil {
		return false
	}
	began := time.Time{}
	for _, t := range [...]time.Time{login.PreConnect, login.Start, login.Updated} {
		if !t.IsZero() && (began.IsZero() || t.Before(began)) {
			began = t
		}
	}
	return !began.IsZero() && began.Before(r.From) && began.UnixMilli() <= l.last.begin()
}
