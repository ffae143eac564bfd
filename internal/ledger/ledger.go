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
//	unknown   a version from before all that is known       unknown   forgotten
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
	memory      *memory
	unfinished  unfinished
	open        int64           // how many connections are open
	moved       map[Place]int64 // how many of them are more at a place than at the last call of Moved
	changed     map[ref]struct{}
	forgotten   []rowKey
	batch       uint32                              // number of the batch that is being applied
	logins      []*record.Login                     // its records
	nameless    map[record.Identity][]*record.Login // those without an id; nil until they are asked for
	latest      time.Time                           // for which a batch may have shown a record
	knownFrom   time.Time                           // what is unknown and ended before may have been counted
	gaveUp      int                                 // how many records the last batch gave up
	lastGivenUp ref                                 // of those given up, the one that began last
}

// New returns a ledger that remembers nothing.
func New(rules Rules) *Ledger {
	rules.MaxUnfinished = cmp.Or(rules.MaxUnfinished, MaxUnfinished)
	return &Ledger{
		rules:      rules,
		memory:     newMemory(),
		unfinished: newUnfinished(),
		changed:    map[ref]struct{}{},
		moved:      map[Place]int64{},
	}
}

// CountUnfinished is the number of records that are pending or open.
func (l *Ledger) CountUnfinished() int { return l.unfinished.n }

// Len is the number of records that are remembered.
func (l *Ledger) Len() int { return l.memory.n }

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
		if e == nil {
			ev.Disposition = l.whyNotNew(login, b)
		}
		if ev.Disposition != "" {
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

// whyNotNew says why a record that is not known may have been counted; empty if it has not.
func (l *Ledger) whyNotNew(login *record.Login, b *record.Batch) Disposition {
	switch {
	case l.mayBeGivenUp(login, b):
		return GivenUp
	case l.mayBeForgotten(login):
		return Forgotten
	}
	return ""
}

// mayBeForgotten reports whether a record lies before all windows, and yet is shown: a file
// may have more than was asked for, or something else.
func (l *Ledger) mayBeForgotten(login *record.Login) bool {
	newest := login.Latest()
	return !newest.IsZero() && newest.Before(l.knownFrom)
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
		e = &l.memory.unpacked
		*e = entry{id: l.freeID(login), invariant: login.Invariant, keep: b.Now.UnixMilli(), firstSeen: b.Now.UnixMilli()}
		e.set(nameless, isNameless(login))
		e.identify(login)
		l.memory.add(e)
	}
	e.batch, e.missed, e.absent = l.batch, 0, 0
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
		if newest && !e.has(settled) {
			e.keepVersion(version)
		}
		e.measure(version, ev)
		e.move(version, newest)
		e.compare(&before, ev)
	}
	switch {
	case !isNew && *e == before:
		ev.Disposition = Duplicate
		l.see(e)
		return
	case isNew && login.Malformed:
		ev.Disposition = Invalid
	case isNew && !e.has(settled):
		ev.Disposition = Pending
	case ev.Disposition == "":
		ev.Disposition = Updated
	}
	l.see(l.track(e, &before, isNew))
}

// see notes that the batch holds an entry.
func (l *Ledger) see(e *entry) {
	l.memory.at(e.ref).batch = e.batch
	l.unfinished.see(e)
}

// track files a changed entry: its row, and whether it is to be read again.
func (l *Ledger) track(e, before *entry, isNew bool) *entry {
	l.countOpen(before, -1)
	l.countOpen(e, 1)
	if !isNew && before.rowKey() != e.rowKey() {
		l.dropRow(before)
	}
	l.noteChanged(e.ref)
	if e.has(settled) {
		e.login = nil
	}
	e = l.memory.put(e)
	if isNew {
		before = nil
	}
	l.unfinished.move(before, e)
	return e
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

// KnownFrom says from when on all that was counted is remembered, so that what is unknown and
// ended before is not counted.
func (l *Ledger) KnownFrom(t time.Time) { l.knownFrom = t.Truncate(cursor.Second) }

// Forget drops what cannot come back: records whose newest time is in a second before that of
// the horizon, and that were not in the batch just applied.
func (l *Ledger) Forget(horizon time.Time) {
	h := horizon.UnixMilli()
	if l.lastGivenUp != 0 && h-l.memory.get(l.lastGivenUp).begin() > cursor.Retention.Milliseconds() {
		l.lastGivenUp = 0
	}
	for _, r := range l.memory.takeBefore(h / 1000) {
		e := l.memory.get(r)
		switch {
		case e.isUnfinished(): // again: it is filed when it has finished
		case e.keep/1000 >= h/1000 || e.batch == l.batch || r == l.lastGivenUp:
			l.memory.file(r, e.keep)
		default:
			l.dropRow(e)
			delete(l.changed, r)
			l.memory.remove(e)
		}
	}
}

// Unfinished lists, in order and without repeats, the times at which the API may find
// the records that are pending or open and that lie wholly or partly before t: a
// window from t on may not show them any more. A time to come, which is a wrong clock's,
// is not among them.
func (l *Ledger) Unfinished(t time.Time) []time.Time {
	var times []time.Time
	for due := range l.unfinished.all() {
		first, _, dated := l.memory.whole[due.ref].span()
		at := timeOf(due.at)
		if dated && first.Before(t) && (l.latest.IsZero() || !at.After(l.latest)) && (len(times) == 0 || times[len(times)-1] != at) {
			times = append(times, at)
		}
	}
	return times
}

// CountOpen is the number of connections that are open.
func (l *Ledger) CountOpen() int64 { return l.open }

// OpenConnections counts the connections that are open, by place.
func (l *Ledger) OpenConnections() map[Place]int64 {
	open := map[Place]int64{}
	for _, e := range l.memory.whole {
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
