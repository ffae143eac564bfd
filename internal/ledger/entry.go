package ledger

import (
	"strings"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// flags of an entry.
type flags uint64

const (
	settled         flags = 1 << iota // it was added to the attempts, or is invalid
	succeeded                         // a version of it was a success
	failed                            // it was added to the failures
	failing                           // its newest version is a failure
	loginTimed                        // its login duration was observed
	sessionTimed                      // its session duration was observed
	isOpen                            // it is in the open connections
	reconnect                         // it takes up an earlier connection: its login is none
	networkTimed                      // its round-trip time on the network was observed
	endToEndTimed                     // and that from end to end
	nameless                          // no version of it has had an id
	givenUp                           // it is not followed any more: too many were unfinished
	toSharedDesktop                   // while it was pending, it was to a shared desktop
	toApplication                     // or to an application
	rowHasApp                         // of a row alone: an application stands at its end
)

// entry is what is known of one record, merged from all its versions. Times are
// Unix milliseconds, 0 if unknown.
type entry struct {
	id, invariant                   record.Identity
	forms                           string // what else never changed in it, as more became known: identities, end to end
	user, machine                   uint32 // hashes; 0 if unknown
	keep                            int64  // newest time at which a window may hold it
	preConnect, start, end, updated int64
	setup                           int64
	firstSeen                       int64
	is                              flags
	place                           Place         // where it is open
	invalid                         string        // names of fields that could not be read, each with a comma
	login                           *record.Login // newest version, while it is pending
	batch                           uint32        // number of the last batch that held it
	missed, absent                  uint8         // at which of its times a batch since, and another one, have not shown it: see isAbsent
	lookedFor                       uint32        // number of the last batch that may be in them
	ref                             ref           // where it is remembered
}

func (e *entry) has(f flags) bool { return e.is&f != 0 }

func (e *entry) set(f flags, on bool) {
	e.is &^= f
	if on {
		e.is |= f
	}
}

func (e *entry) isUnfinished() bool { return !e.has(settled) || e.has(isOpen) }

// merge adds what a version holds, and reports whether it is at least as new as
// every version before it. No window that was read ends after latest.
func (e *entry) merge(login *record.Login, latest time.Time, ev *Event) (newest bool) {
	newest = login.Updated.IsZero() || login.Updated.UnixMilli() >= e.updated
	changed := false
	take := func(known *int64, t time.Time) {
		if !t.IsZero() && (newest || *known == 0) && *known != t.UnixMilli() {
			*known, changed = t.UnixMilli(), true
		}
	}
	take(&e.preConnect, login.PreConnect)
	take(&e.start, login.Start)
	take(&e.setup, login.Setup)
	take(&e.end, login.End)
	take(&e.updated, login.Updated)
	if newest && !e.has(settled) {
		e.set(toSharedDesktop, login.ConnectType == record.ToSharedDesktop)
		e.set(toApplication, login.ConnectType == record.ToApplication)
	}
	for _, name := range login.Invalid {
		if !strings.Contains(","+e.invalid, ","+name+",") {
			e.invalid += name + ","
			ev.InvalidFields = append(ev.InvalidFields, name)
		}
	}
	// A time in the future is a wrong clock's: the record was in a window that
	// had ended, so it cannot come back later for that time.
	if changed {
		e.keep = min(max(e.preConnect, e.start, e.setup, e.end, e.updated), latest.UnixMilli())
	}
	return newest
}

// keepVersion keeps a version of a record that is still pending.
func (e *entry) keepVersion(login *record.Login) {
	if e.login != nil && sameLabels(e.login, login) {
		return
	}
	version := *login                                  // not a pointer into the batch, which would keep all of it
	if version.TransactionID == "" && e.login != nil { // files may have none
		version.TransactionID = e.login.TransactionID
	}
	e.login = &version
}

// connectType is what flags hold of that of a pending record: rows of every release have
// them. Any other type is known again when the record is next read.
func (e *entry) connectType() string {
	switch {
	case e.has(toSharedDesktop):
		return record.ToSharedDesktop
	case e.has(toApplication):
		return record.ToApplication
	}
	return ""
}

// sameLabels reports whether two versions of a record would be counted alike, so
// that the one at hand need not be replaced.
func sameLabels(a, b *record.Login) bool {
	return a.Group == b.Group && a.Machine == b.Machine && a.App == b.App && a.ClientType == b.ClientType &&
		a.ClientVersion == b.ClientVersion && a.AgentVersion == b.AgentVersion && a.ConnectType == b.ConnectType &&
		(a.TransactionID == b.TransactionID || b.TransactionID == "")
}

// move keeps track of where the connection is open.
func (e *entry) move(login *record.Login, newest bool) {
	place, open := Place{}, e.has(succeeded) && !e.has(failing) && e.start != 0 && e.end == 0 && !e.has(givenUp)
	if open {
		place = e.place
		if newest || !e.has(isOpen) {
			place = Place{login.Group, login.Machine, login.App}
		}
	}
	e.set(isOpen, open)
	e.place = place
}

// connection is when the record's connection was open, by all that is known of it. It is
// open for as long as it is among the open connections: one that was taken for closed has
// ended then. A failure is no connection. Times to come are a wrong clock's, as in merge.
func (e *entry) connection() Span {
	if !e.has(succeeded) || e.has(failing) || e.start == 0 {
		return Span{}
	}
	s := Span{Start: min(e.start, e.keep), Open: e.has(isOpen)}
	switch {
	case s.Open:
	case e.end != 0:
		s.End = min(e.end, e.keep)
	default:
		s.End = e.keep
	}
	if !s.Open && s.End <= s.Start {
		return Span{}
	}
	return s
}

// isReconnect reports whether the record is a success that takes up an earlier connection.
func (e *entry) isReconnect() bool { return e.has(succeeded) && e.has(reconnect) && !e.has(failed) }

// compare notes in an event what is known now of connection and reconnect, and what was
// known before. What was given up is not followed: its connection stays as it was then.
func (e *entry) compare(before *entry, ev *Event) {
	ev.Reconnected = e.isReconnect() && !before.isReconnect()
	if !before.has(givenUp) {
		ev.OpenBefore, ev.OpenNow = before.connection(), e.connection()
	}
}

// measure takes durations as soon as both their ends are known, and round-trip times
// as soon as they are there. Failed attempts have no durations, and reconnects no
// login.
func (e *entry) measure(login *record.Login, ev *Event) {
	ev.NetworkRTT = e.once(networkTimed, e.roundTrip(login.NetworkRTT))
	ev.EndToEndRTT = e.once(endToEndTimed, e.roundTrip(login.EndToEndRTT))
	if login.Reconnect {
		e.is |= reconnect
	}
	if !e.has(succeeded) {
		return
	}
	from, to := e.preConnect, e.start
	if e.setup != 0 {
		from, to = e.start, e.setup
	}
	if !e.has(reconnect) {
		ev.LoginDuration = e.duration(loginTimed, from, to, "login_duration", ev)
	}
	ev.SessionDuration = e.duration(sessionTimed, e.start, e.end, "session_duration", ev)
}

// roundTrip is a round-trip time that was measured. The API may write 0 where nothing was
// measured: of a failure, or not yet.
func (e *entry) roundTrip(d *time.Duration) *time.Duration {
	if d != nil && *d == 0 && (!e.has(succeeded) || e.has(failing) || e.end == 0) {
		return nil
	}
	return d
}

// once returns what is observed, the first time.
func (e *entry) once(observed flags, d *time.Duration) *time.Duration {
	if d == nil || e.has(observed) {
		return nil
	}
	e.is |= observed
	return d
}

// duration is the time between two times that are known, the first time; nil if they
// are in the wrong order.
func (e *entry) duration(observed flags, from, to int64, name string, ev *Event) *time.Duration {
	if from == 0 || to == 0 {
		return nil
	}
	d := time.Duration(to-from) * time.Millisecond
	first := e.once(observed, &d)
	if first != nil && d < 0 {
		ev.InvalidFields = append(ev.InvalidFields, name)
		return nil
	}
	return first
}

// selectors are the times that the API may select the record by; 0 if unknown.
func (e *entry) selectors() [3]int64 { return [...]int64{e.preConnect, e.start, e.updated} }

// isAbsent reports whether the record is nowhere, of which a batch that does not show
// it may be the last proof: n is its number. The API selects by one of its times, and does not
// document which: only what is absent at all of them was deleted. One batch need not cover them
// all. At each it must be absent twice: a file may be short, and nothing shows that.
func (e *entry) isAbsent(b *record.Batch, n uint32) bool {
	from, to, end := b.From.Add(cursor.Edge).UnixMilli(), b.To.Add(-cursor.Edge).UnixMilli(), latest(b).UnixMilli()
	known, covered := uint8(0), uint8(0)
	for i, t := range e.selectors() {
		if t == 0 || t > end { // a time to come is a wrong clock's: no window has shown it there
			continue
		}
		known |= 1 << i
		if from <= t && t <= to {
			covered |= 1 << i
		}
	}
	if e.lookedFor != n {
		e.lookedFor, e.absent, e.missed = n, e.absent|e.missed&covered, e.missed|covered
	}
	return known != 0 && e.absent&known == known
}

// span is when the record happened, by all the times that the API may select by.
// Dated is false for a record without any time.
func (e *entry) span() (first, last time.Time, dated bool) {
	var from, to int64
	for _, t := range e.selectors() {
		if t != 0 && (from == 0 || t < from) {
			from = t
		}
		to = max(to, t)
	}
	return time.UnixMilli(from), time.UnixMilli(to), from != 0
}
