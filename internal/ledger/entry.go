package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// flags of an entry.
type flags uint64

const (
	settled       flags = 1 << iota // it was added to the attempts, or is invalid
	succeeded                       // a version of it was a success
	failed                          // it was added to the failures
	failing                         // its newest version is a failure
	loginTimed                      // its login duration was observed
	sessionTimed                    // its session duration was observed
	isOpen                          // it is in the open connections
	reconnect                       // it takes up an earlier connection: its login is none
	networkTimed                    // its round-trip time on the network was observed
	endToEndTimed                   // and that from end to end
	nameless                        // no version of it has had an id
	givenUp                         // it is not followed any more: too many were unfinished
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
	batch                           uint64        // number of the last batch that held it
	absent                          uint8         // at which of its times batches since have not shown it: see isAbsent
}

func (e *entry) has(f flags) bool { return e.is&f != 0 }

func (e *entry) set(f flags, on bool) {
	e.is &^= f
	if on {
		e.is |= f
	}
}

func (e *entry) isUnfinished() bool { return !e.has(settled) || e.has(isOpen) }

// merge adds what a version tells, and reports whether it is at least as new as
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
	if newest && !e.has(settled) && (e.login == nil || !sameLabels(e.login, login)) {
		version := *login // not a pointer into the batch, which would keep all of it
		e.login = &version
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

// sameLabels reports whether two versions of a record would be counted alike, so
// that the one at hand need not be replaced.
func sameLabels(a, b *record.Login) bool {
	return a.Group == b.Group && a.Machine == b.Machine && a.ClientType == b.ClientType &&
		a.ClientVersion == b.ClientVersion && a.AgentVersion == b.AgentVersion
}

// move keeps track of where the connection is open.
func (e *entry) move(login *record.Login, newest bool) {
	place, open := Place{}, e.has(succeeded) && !e.has(failing) && e.start != 0 && e.end == 0 && !e.has(givenUp)
	if open {
		place = e.place
		if newest || !e.has(isOpen) {
			place = Place{login.Group, login.Machine}
		}
	}
	e.set(isOpen, open)
	e.place = place
}

// measure takes durations as soon as both their ends are known, and round-trip times
// as soon as they are there. Failed attempts have no durations, and reconnects no
// login: nobody waited for one.
func (e *entry) measure(login *record.Login, ev *Event) {
	ev.NetworkRTT = e.once(networkTimed, login.NetworkRTT)
	ev.EndToEndRTT = e.once(endToEndTimed, login.EndToEndRTT)
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

// places are the times that the API may select the record by; 0 if unknown.
func (e *entry) places() [3]int64 { return [...]int64{e.preConnect, e.start, e.updated} }

// isAbsent reports whether the record is nowhere, of which a batch that does not show
// it may be the last proof. The API selects by one of its times, nobody knows which: only
// what is absent at all of them was deleted. One batch need not cover them all.
func (e *entry) isAbsent(r *record.Batch) bool {
	from, to, end := r.From.Add(cursor.Edge).UnixMilli(), r.To.Add(-cursor.Edge).UnixMilli(), latest(r).UnixMilli()
	known, absent := uint8(0), e.absent
	for i, t := range e.places() {
		if t == 0 || t > end { // a time to come is a wrong clock's: no window has shown it there
			continue
		}
		known |= 1 << i
		if from <= t && t <= to {
			absent |= 1 << i
		}
	}
	e.absent = absent
	return known != 0 && absent&known == known
}

// span is when the record happened, by all the times that the API may select by.
// Dated is false for a record without any time.
func (e *entry) span() (first, last time.Time, dated bool) {
	var from, to int64
	for _, t := range e.places() {
		if t != 0 && (from == 0 || t < from) {
			from = t
		}
		to = max(to, t)
	}
	return time.UnixMilli(from), time.UnixMilli(to), from != 0
}

// Table is the table of the ledger's rows.
const Table = "ledger"

// rowKey is where an entry's row stands: in the order of time, so that new rows
// come together at the end and old ones go together from the start.
type rowKey [24]byte

func (e *entry) rowKey() rowKey {
	var k rowKey
	binary.BigEndian.PutUint64(k[:8], uint64(e.keep))
	copy(k[8:], e.id[:])
	return k
}

// row is what the store keeps of an entry. All that stands for persons and records goes
// into the blocks at its beginning, which the store hides.
func (e *entry) row() []byte {
	r := make(store.Row, 0, 96)
	who := record.Person(uint64(e.user)<<32 | uint64(e.machine))
	blocks := append(make([][16]byte, 0, 4), e.invariant, who.Block())
	if l := e.login; l != nil {
		blocks = append(blocks, l.User.Block(), l.ClientIP.Block())
	}
	for form := range e.laterForms() {
		blocks = append(blocks, form)
	}
	r.Blocks(blocks...)
	for _, t := range [...]int64{e.preConnect, e.start, e.setup, e.end, e.updated, e.firstSeen} {
		r.Int(t)
	}
	r.Uint(uint64(e.is))
	r.String(e.invalid)
	if e.has(isOpen) {
		r.String(e.place.Group)
		r.String(e.place.Machine)
	}
	if l := e.login; l != nil {
		for _, s := range [...]string{l.Group, l.Machine, l.ClientType, l.ClientVersion, l.AgentVersion} {
			r.String(s)
		}
	}
	return r
}

var errBlocks = errors.New("a row has too few identities")

func entryOf(key, value []byte) (*entry, error) {
	e, err := entryAt(key)
	if err != nil {
		return nil, err
	}
	r := store.ReadRow(value)
	blocks := r.Blocks()
	if len(blocks) < 2 {
		return nil, errBlocks
	}
	e.invariant = blocks[0]
	who := record.PersonIn(blocks[1])
	e.user, e.machine, blocks = uint32(who>>32), uint32(who), blocks[2:]
	e.read(r)
	if l := e.login; l != nil {
		if len(blocks) < 2 {
			return nil, errBlocks
		}
		l.User, l.ClientIP, blocks = record.PersonIn(blocks[0]), record.PersonIn(blocks[1]), blocks[2:]
	}
	for _, form := range blocks {
		e.forms += string(form[:])
	}
	return e, r.Err()
}

// entryAt is the entry of a row's key, of which nothing more is known.
func entryAt(key []byte) (*entry, error) {
	if len(key) != len(rowKey{}) {
		return nil, fmt.Errorf("a key has %d bytes", len(key))
	}
	return &entry{id: record.Identity(key[8:]), keep: int64(binary.BigEndian.Uint64(key))}, nil
}

// read reads what the row has behind its blocks.
func (e *entry) read(r *store.Reader) {
	for _, t := range [...]*int64{&e.preConnect, &e.start, &e.setup, &e.end, &e.updated, &e.firstSeen} {
		*t = r.Int()
	}
	e.is = flags(r.Uint())
	e.invalid = r.String()
	if e.has(isOpen) {
		e.place = Place{r.String(), r.String()}
	}
	if !e.has(settled) {
		l := &record.Login{ID: e.id, Invariant: e.invariant,
			PreConnect: timeOf(e.preConnect), Start: timeOf(e.start), End: timeOf(e.end), Updated: timeOf(e.updated)}
		for _, s := range [...]*string{&l.Group, &l.Machine, &l.ClientType, &l.ClientVersion, &l.AgentVersion} {
			*s = r.String()
		}
		e.login = l
	}
}

func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Load takes a row that Save has written.
func (l *Ledger) Load(key, value []byte) error {
	e, err := entryOf(key, value)
	if err != nil {
		return err
	}
	l.add(e)
	if e.isUnfinished() {
		l.unfinished[e] = struct{}{}
	}
	l.noteGivenUp(e)
	if l.rules.HideMachines && e.hideMachine() {
		l.changed[e] = struct{}{}
	}
	return nil
}

// hideMachine takes the name of a machine out, and reports whether there was one.
func (e *entry) hideMachine() bool {
	was := e.place.Machine
	e.place.Machine = ""
	if e.login != nil {
		was += e.login.Machine
		e.login.Machine = ""
	}
	return was != ""
}

// Save writes what has changed since the last Save.
func (l *Ledger) Save(changes *store.Changes) {
	for _, key := range l.forgotten {
		changes.Delete(Table, key[:])
	}
	for e := range l.changed {
		key := e.rowKey()
		changes.Put(Table, key[:], e.row())
	}
	l.forgotten = l.forgotten[:0]
	clear(l.changed)
}
