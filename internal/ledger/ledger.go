// Package ledger decides what counts. It is told every version of every record
// that is read, as often and in whatever order, and answers with events that are
// each to be counted once.
//
// It is a pure state machine: no clock, no files. What it must remember it writes
// as rows to whoever commits them, together with all that was counted.
//
// It remembers a record while the record can still come back: until its newest
// time is behind the horizon, and it was not in the last complete batch, and it
// is neither pending nor open. Memory follows the lookback, not the history.
package ledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// latest is the newest time for which a batch may show a record.
func latest(r *record.Batch) time.Time {
	if r.To.After(r.Now) {
		return r.To
	}
	return r.Now
}

// Codes of failures that have none of their own.
const (
	CodeUnknown        = "unknown"
	CodePendingTimeout = "pending_timeout"
)

// Rules decide the outcome of a record.
type Rules struct {
	// SuccessCodes are the failed_code values that mean success.
	SuccessCodes []string
	// PendingTimeout is how long a record may stay without an outcome, from when it
	// was first seen.
	PendingTimeout time.Duration
	// HideMachines keeps names of machines out of what is kept and counted. They still
	// tell records apart.
	HideMachines bool
	// MaxUnfinished is how many records may be pending or open; 0 is MaxUnfinished.
	MaxUnfinished int
}

type outcome uint8

const (
	pending outcome = iota
	success
	failure
)

// outcome of one version of a record, and the code to count a failure under.
func (r *Rules) outcome(l *record.Login) (outcome, string) {
	switch {
	case !slices.Contains(r.SuccessCodes, l.FailedCode), l.FailedCode == "" && l.FailedReason != "":
		return failure, cmp.Or(l.FailedCode, CodeUnknown)
	case l.HasStarted():
		return success, ""
	}
	return pending, ""
}

// Ledger is the memory of one source. It is not safe for concurrent use.
type Ledger struct {
	rules      Rules
	entries    map[record.Identity]*entry
	byForm     index // finds a record that was read with an id when it comes without
	unfinished map[*entry]struct{}
	changed    map[*entry]struct{}
	forgotten  []rowKey
	batch      uint64                              // number of the batch that is being applied
	logins     []*record.Login                     // its records
	rows       map[record.Identity][]*record.Login // those without an id; nil until they are asked for
	latest     time.Time                           // for which a batch may have shown a record
	surplus    int                                 // records that the last batch made too many
	last       *entry                              // of those given up for being too many, the one that began last
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
	}
}

// Unsettled is the number of records that are pending or open.
func (l *Ledger) Unsettled() int { return len(l.unfinished) }

// Len is the number of records that are remembered.
func (l *Ledger) Len() int { return len(l.entries) }

// Apply takes a whole batch and calls emit for every change that is to be
// counted. Events hold pointers into the batch.
func (l *Ledger) Apply(r *record.Batch, emit func(*Event)) {
	l.batch++
	l.latest = latest(r)
	l.logins = inOrder(r.Logins)
	for _, login := range l.logins {
		e := l.find(login)
		if e == nil && r.Reread {
			continue // counted and forgotten long ago, or later than the lookback allows
		}
		ev := Event{Login: login, Now: r.Now}
		if e == nil && l.mayBeGivenUp(login, r) {
			ev.Disposition = GivenUp
			emit(&ev)
			continue
		}
		l.update(e, login, r, &ev)
		emit(&ev)
	}
	l.logins, l.rows = nil, nil
	l.giveUp(r, emit)
	l.limit(r.Now, emit)
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

func (l *Ledger) update(e *entry, login *record.Login, r *record.Batch, ev *Event) {
	isNew := e == nil
	if isNew {
		e = &entry{id: l.freeID(login), invariant: login.Invariant, keep: r.Now.UnixMilli(), firstSeen: r.Now.UnixMilli()}
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
		newest := e.merge(version, latest(r), ev)
		l.settle(e, version, newest, ev)
		e.measure(version, ev)
		e.move(version, newest)
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
	l.note(e, &before, isNew)
}

// settle applies the outcome of the version that was read.
func (l *Ledger) settle(e *entry, login *record.Login, newest bool, ev *Event) {
	result, code := l.rules.outcome(login)
	if newest {
		e.set(failing, result == failure)
	}
	if result == pending {
		return
	}
	if result == success {
		e.is |= succeeded
	}
	if !e.has(settled) {
		ev.Disposition, ev.Attempt = Counted, true
	} else if result == failure && !e.has(failed) {
		ev.Disposition = Reclassified
	}
	if result == failure && !e.has(failed) {
		e.is |= failed
		ev.FailedCode = code
	}
	e.is |= settled
}

// note files a changed entry: its row, and whether it is to be read again.
func (l *Ledger) note(e, before *entry, isNew bool) {
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

// giveUp ends what will not end by itself: records pending for too long, records
// that the source has deleted, and records older than the API keeps.
func (l *Ledger) giveUp(r *record.Batch, emit func(*Event)) {
	l.end(r.Now, func(e *entry) bool { return l.isDue(e, r) }, emit)
}

// Expire ends the records that are pending and began PendingTimeout before now, whenever
// they were first seen: in a history nobody has waited for them.
func (l *Ledger) Expire(now time.Time, emit func(*Event)) {
	l.end(now, func(e *entry) bool {
		first, _, dated := e.span()
		return !e.has(settled) && dated && now.Sub(first) >= l.rules.PendingTimeout
	}, emit)
}

// end ends the unfinished records that are due.
func (l *Ledger) end(now time.Time, isDue func(*entry) bool, emit func(*Event)) {
	var due []*entry
	for e := range l.unfinished {
		if isDue(e) {
			due = append(due, e)
		}
	}
	slices.SortFunc(due, func(a, b *entry) int { return cmp.Or(cmp.Compare(a.keep, b.keep), slices.Compare(a.id[:], b.id[:])) })
	for _, e := range due {
		before, ev := *e, Event{Login: e.login, Now: now}
		// Not there any more may mean moved: to where a list that is ordered by time
		// shows it after a change that was made since.
		e.keep = now.UnixMilli()
		if e.has(settled) {
			ev.Disposition = Updated
			e.set(isOpen, false)
			e.place = Place{}
		} else {
			ev.Disposition, ev.Attempt, ev.FailedCode = Expired, true, CodePendingTimeout
			ev.Login.PreConnect, ev.Login.Updated = timeOf(e.preConnect), timeOf(e.updated)
			e.is |= settled | failed
		}
		l.note(e, &before, false)
		emit(&ev)
	}
}

func (l *Ledger) isDue(e *entry, r *record.Batch) bool {
	first, _, dated := e.span()
	seen := e.batch == l.batch
	// While a poll catches up, a record that has changed may stand in a later window.
	fresh := r.UpToDate && !r.Late || r.Reread // not a file that was asked for before a restart
	gone := !seen && fresh && e.isAbsent(r)
	tooOld := dated && r.Now.Sub(first) > cursor.Retention
	if e.has(settled) {
		return tooOld || gone
	}
	// The record may have settled while nobody looked: only one that was looked for
	// after its time can expire.
	waited := r.Now.Sub(time.UnixMilli(e.firstSeen)) >= l.rules.PendingTimeout
	return waited && (seen && fresh || gone || !dated || tooOld)
}

// Forget drops what cannot come back: records whose newest time is before horizon
// and that were not in the batch just applied.
func (l *Ledger) Forget(horizon time.Time) {
	h := horizon.UnixMilli()
	if l.last != nil && h-l.last.begin() > cursor.Retention.Milliseconds() {
		l.last = nil
	}
	for _, e := range l.entries {
		if e.keep < h && e.batch != l.batch && !e.isUnfinished() && e != l.last {
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
		for _, ms := range e.places() {
			if t := timeOf(ms); ms != 0 && (l.latest.IsZero() || !t.After(l.latest)) {
				times = append(times, t)
			}
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return slices.Compact(times)
}

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
