// Package ledger decides what counts. It takes every version of every record that is
// read, as often and in whatever order, and returns events that are each counted once.
//
// It is a pure state machine: no clock, no files. What it remembers it writes as rows,
// which the caller commits together with all that was counted. These are the states of a
// record, and the events between them, by their disposition:
//
//	from      on                                            to        event
//	unknown   a version without an outcome                  pending   pending
//	unknown   a version with an outcome                     *         counted
//	unknown   what is not a record                          finished  invalid
//	pending   a version with an outcome                     *         counted
//	pending   no outcome within PendingTimeout, see dueBy   finished  expired: a failure
//	open      deleted, or older than the API keeps          finished  updated
//	*         a first failure after a success               *         reclassified: a failure
//	any       a version with something else that is new     *         updated
//	any       a version with nothing new                    the same  duplicate
//	pending   more than MaxUnfinished are unfinished        given up  given_up: a failure
//	open      more than MaxUnfinished are unfinished        given up  given_up
//	unknown   a version of what was given up                unknown   given_up
//	finished  the horizon has passed its newest time        unknown   -
//	given up  the horizon has passed its newest time        unknown   -
//
//	* open if the newest version is a success with a start and no end, else finished;
//	  what is pending or given up stays so
//
// See Rules.outcome for what an outcome is, settle for what is counted, and dueBy for what
// ends without a version that shows it. Pending and open records are unfinished, and are
// never forgotten. Others are while they cannot come back: memory follows the lookback, not
// the history.
package ledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// latest is the newest time for which a batch may show a record.
func latest(b *record.Batch) time.Time {
	if b.To.After(b.Now) {
		return b.To
	}
	return b.Now
}

// Ledger is the memory of one source. It is not safe for concurrent use.
type Ledger struct {
	rules       Rules
	entries     map[record.Identity]*entry
	byForm      index // finds a record that was read with an id when it comes without
	unfinished  map[*entry]struct{}
	open        int64           // how many connections are open
	moved       map[Place]int64 // how many of them are more at a place than at the last call of Moved
	changed     map[*entry]struct{}
	forgotten   []rowKey
	batch       uint64                              // number of the batch that is being applied
	logins      []*record.Login                     // its records
	nameless    map[record.Identity][]*record.Login // those without an id; nil until they are asked for
	latest      time.Time                           // for which a batch may have shown a record
	gaveUp      int                                 // how many records the last batch gave up
	lastGivenUp *entry                              // of those given up, the one that began last
}

// New returns a ledger that remembers nothing.
func New(rules Rules) *Ledger {
	rules.MaxUnfinished = cmp.Or(rules.MaxUnfinished, MaxUnfinished)
	return &Ledger{
		rules:      rules,
		entries:    map[record.Identity]*entry{},
		byForm:     newIndex(),
		unfinished: map[*entry]struct{}{},
		changed:    map[*entry]struct{}{},
		moved:      map[Place]int64{},
	}
}

// CountUnfinished is the number of records that are pending or open.
func (l *Ledger) CountUnfinished() int { return len(l.unfinished) }

// Len is the number of records that are remembered.
func (l *Ledger) Len() int { return len(l.entries) }

// Apply takes a whole batch and calls emit for every change that is to be
// counted. Events hold pointers into the batch.
func (l *Ledger) Apply(b *record.Batch, emit func(*Event)) {
	l.batch++
	l.latest = latest(b)
	l.logins = inOrder(b.Logins)
	for _, login := range l.logins {
		e := l.find(login)
		if e == nil && b.Reread {
			continue // counted and forgotten long ago, or later than the lookback allows
		}
		ev := Event{Login: login, Now: b.Now}
		if e == nil && l.mayBeGivenUp(login, b) {
			ev.Disposition = GivenUp
			emit(&ev)
			continue
		}
		l.update(e, login, b, &ev)
		emit(&ev)
	}
	l.logins, l.nameless = nil, nil
	l.endDue(b, emit)
	l.limit(b.Now, emit)
}

// inOrder puts the versions of a record into the order in which they came to be.
func inOrder(logins []record.Login) []*record.Login {
	ordered := make([]*record.Login, len(logins))
	for i := range logins {
		ordered[i] = &logins[i]
	}
	slices.SortStableFunc(ordered, func(a, b *record.Login) int { return a.Updated.Compare(b.Updated) })
	return ordered
}

func (l *Ledger) update(e *entry, login *record.Login, b *record.Batch, ev *Event) {
	isNew := e == nil
	if isNew {
		e = &entry{id: l.freeID(login), invariant: login.Invariant, keep: b.Now.UnixMilli(), firstSeen: b.Now.UnixMilli()}
		e.set(nameless, isNameless(login))
		e.identify(login)
		l.add(e)
	}
	e.batch, e.absent = l.batch, 0
	before := *e
	if login.Malformed {
		e.is |= settled
	} else {
		version := login
		if l.rules.HideMachines {
			hidden := *login
			hidden.Machine, version = "", &hidden
		}
		newest := e.merge(version, latest(b), ev)
		l.settle(e, version, newest, ev)
		e.measure(version, ev)
		e.move(version, newest)
		e.compare(&before, ev)
	}
	switch {
	case !isNew && *e == before:
		ev.Disposition = Duplicate
		return
	case isNew && login.Malformed:
		ev.Disposition = Invalid
	case isNew && !e.has(settled):
		ev.Disposition = Pending
	case ev.Disposition == "":
		ev.Disposition = Updated
	}
	l.track(e, &before, isNew)
}

// track files a changed entry: its row, and whether it is to be read again.
func (l *Ledger) track(e, before *entry, isNew bool) {
	l.countOpen(before, -1)
	l.countOpen(e, 1)
	if !isNew && before.rowKey() != e.rowKey() {
		l.forgotten = append(l.forgotten, before.rowKey())
	}
	l.changed[e] = struct{}{}
	if e.has(settled) {
		e.login = nil
	}
	if e.isUnfinished() {
		l.unfinished[e] = struct{}{}
	} else {
		delete(l.unfinished, e)
	}
}

// countOpen adds an entry, as often as n says, to what is open.
func (l *Ledger) countOpen(e *entry, n int64) {
	if !e.has(isOpen) {
		return
	}
	l.open += n
	if l.moved[e.place] += n; l.moved[e.place] == 0 {
		delete(l.moved, e.place)
	}
}

// Forget drops what cannot come back: records whose newest time is before horizon
// and that were not in the batch just applied.
func (l *Ledger) Forget(horizon time.Time) {
	h := horizon.UnixMilli()
	if l.lastGivenUp != nil && h-l.lastGivenUp.begin() > cursor.Retention.Milliseconds() {
		l.lastGivenUp = nil
	}
	for _, e := range l.entries {
		if e.keep < h && e.batch != l.batch && !e.isUnfinished() && e != l.lastGivenUp {
			l.remove(e)
		}
	}
}

// Unfinished lists, in order and without repeats, the times at which the API may find
// the records that are pending or open and that lie wholly or partly before t: a
// window from t on may not show them any more. A time to come, which is a wrong clock's,
// is not among them.
func (l *Ledger) Unfinished(t time.Time) []time.Time {
	var times []time.Time
	for e := range l.unfinished {
		first, _, dated := e.span()
		if !dated || !first.Before(t) {
			continue
		}
		for _, ms := range e.selectors() {
			if t := timeOf(ms); ms != 0 && (l.latest.IsZero() || !t.After(l.latest)) {
				times = append(times, t)
			}
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return slices.Compact(times)
}

// CountOpen is the number of connections that are open.
func (l *Ledger) CountOpen() int64 { return l.open }

// OpenConnections counts the connections that are open, by place.
func (l *Ledger) OpenConnections() map[Place]int64 {
	open := map[Place]int64{}
	for e := range l.unfinished {
		if e.has(isOpen) {
			open[e.place]++
		}
	}
	return open
}

// Moved returns how many more connections are open at a place, or fewer, than when it was last
// called.
func (l *Ledger) Moved() map[Place]int64 {
	moved := l.moved
	l.moved = map[Place]int64{}
	return moved
}
