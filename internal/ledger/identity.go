package ledger

import (
	"iter"
	"slices"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// find looks a record up by its id, or, if either the record or what is remembered
// of it has no id, by what never changes in it.
func (l *Ledger) find(login *record.Login) *entry {
	if login.Malformed {
		return l.memory.withID(login.ID)
	}
	var e *entry
	if !isNameless(login) {
		e = l.byID(login)
	}
	if e == nil {
		e = l.alike(login)
	}
	if e != nil {
		e = l.learn(e, login)
	}
	return e
}

func isNameless(login *record.Login) bool { return login.ID == login.Invariant }

// byID finds a record by its id. One that has come back, with another user and another
// start, is another record: a database may restart its numbers.
func (l *Ledger) byID(login *record.Login) *entry {
	if e := l.memory.withID(login.ID); e != nil && !e.isOther(login) {
		return e
	}
	return l.memory.withID(login.ID.With(uint64(login.User)))
}

// alike finds a record that has an id only here, or only in memory, or nowhere: by the
// newest form of what never changes in it, or else by an older one.
func (l *Ledger) alike(login *record.Login) *entry {
	if !isNameless(login) && l.memory.nameless == 0 {
		return nil // as nearly always, where records have ids
	}
	if e := l.best(login, login.Invariant, false); e != nil {
		return e
	}
	forms := login.Forms()
	for i, form := range forms {
		// The last form has no time. Only what still waits for one can be meant.
		if e := l.best(login, form, i == len(forms)-1); e != nil {
			return e
		}
	}
	for _, form := range [...]record.Identity{login.Legacy, login.LegacyPending} {
		if form == (record.Identity{}) {
			continue
		}
		if e := l.best(login, form, false); e != nil {
			return e
		}
	}
	return nil
}

// best is, of the records that a login may be another version of, the likeliest. What
// cannot be two versions of one record, and stands in one batch, is two records.
func (l *Ledger) best(login *record.Login, form record.Identity, onlyPending bool) *entry {
	best, top := ref(0), 0
	for r := range l.memory.withForm(form) {
		e := l.memory.get(r)
		switch {
		case !isNameless(login) && !e.has(nameless):
			continue // two ids are two records
		case onlyPending && e.has(settled):
			continue
		case e.contradicts(login) && (e.batch == l.batch || l.hasRival(e, login)):
			continue
		}
		if n := e.likeness(login, l.batch); n > top {
			best, top = r, n
		}
	}
	if best == 0 {
		return nil
	}
	return l.memory.get(best)
}

// hasRival reports whether another login of the batch fits an entry better than one
// that contradicts it.
func (l *Ledger) hasRival(e *entry, login *record.Login) bool {
	if l.nameless == nil {
		l.nameless = map[record.Identity][]*record.Login{}
		for _, row := range l.logins {
			if rows := l.nameless[row.Invariant]; isNameless(row) && len(rows) < maxTwins {
				l.nameless[row.Invariant] = append(rows, row)
			}
		}
	}
	return slices.ContainsFunc(l.nameless[login.Invariant], func(other *record.Login) bool { return other != login && !e.contradicts(other) })
}

// learn takes over what a version holds of who and where the record is, so that it is
// found however it comes next.
func (l *Ledger) learn(e *entry, login *record.Login) *entry {
	before := *e
	if e.has(nameless) && !isNameless(login) {
		// A second record which looks the same is counted too.
		l.dropRow(e)
		l.memory.name(e, l.freeID(login))
	}
	if !e.knows(login.Invariant) {
		if len(e.forms) == maxForms*len(login.Invariant) {
			oldest := record.Identity([]byte(e.forms[:len(login.Invariant)]))
			l.memory.removeLater(oldest, e.ref)
			e.forms = e.forms[len(oldest):]
		}
		e.forms += string(login.Invariant[:])
		l.memory.addLater(login.Invariant, e.ref)
	}
	e.identify(login)
	if *e == before {
		return e
	}
	l.noteChanged(e.ref)
	return l.memory.put(e)
}

// freeID is the identity of an entry for a login that none has yet.
func (l *Ledger) freeID(login *record.Login) record.Identity {
	id := login.ID
	for n := uint64(login.User); l.memory.byID.find(id) != 0; n++ {
		id = login.ID.With(n)
	}
	return id
}

// maxForms is how many forms an entry has beside the first. A record whose times change
// again and again must not fill the memory.
const maxForms = 3

// allForms are the entry's invariants, from the first to the newest.
func (e *entry) allForms() iter.Seq[record.Identity] {
	return func(yield func(record.Identity) bool) {
		if !yield(e.invariant) {
			return
		}
		e.laterForms()(yield)
	}
}

// laterForms are those after the first.
func (e *entry) laterForms() iter.Seq[record.Identity] {
	return func(yield func(record.Identity) bool) {
		for rest := e.forms; rest != ""; rest = rest[len(e.invariant):] {
			if !yield(record.Identity([]byte(rest[:len(e.invariant)]))) {
				return
			}
		}
	}
}

func (e *entry) knows(form record.Identity) bool {
	if e.invariant == form {
		return true
	}
	for known := range e.allForms() {
		if known == form {
			return true
		}
	}
	return false
}

// identify notes who and where the record is, by a version of it.
func (e *entry) identify(login *record.Login) {
	if user := uint32(login.User); e.user == 0 {
		e.user = user
	}
	if login.Machine != "" {
		e.machine = hashOf(login.Machine)
	}
}

// hashOf is a hash that is the same in every process (FNV-1a): rows hold it.
func hashOf(text string) uint32 {
	h := uint32(2166136261)
	for i := range len(text) {
		h = (h ^ uint32(text[i])) * 16777619
	}
	return h
}

// isOther reports whether a login with the entry's id is another record all the same.
func (e *entry) isOther(login *record.Login) bool {
	if user := uint32(login.User); user == 0 || e.user == 0 || e.user == user {
		return false
	}
	if e.preConnect != 0 && !login.PreConnect.IsZero() {
		return !sameTime(e.preConnect, login.PreConnect.UnixMilli())
	}
	return e.start != 0 && !login.Start.IsZero() && !sameTime(e.start, login.Start.UnixMilli())
}

// contradicts reports whether a login, which is the same in all that never changes, has
// what one record has only once, and the entry has otherwise: two servers, two ends.
func (e *entry) contradicts(login *record.Login) bool {
	if login.Machine != "" && e.machine != 0 && e.machine != hashOf(login.Machine) {
		return true
	}
	return e.start != 0 && !login.Start.IsZero() && !sameTime(e.start, login.Start.UnixMilli()) ||
		e.end != 0 && !login.End.IsZero() && !sameTime(e.end, login.End.UnixMilli())
}

// likeness is how much a login looks like a version of the entry.
func (e *entry) likeness(login *record.Login, batch uint32) int {
	n := 1
	for weight, is := range [...]bool{
		e.isUnfinished(),
		e.batch != batch,
		timeOf(e.updated).Equal(login.Updated) && timeOf(e.end).Equal(login.End),
		!e.contradicts(login),
	} {
		if is {
			n += 1 << weight
		}
	}
	return n
}

// sameTime reports whether two times may be one, though files cut it to a second or to
// a minute.
func sameTime(a, b int64) bool {
	const second, minute = 1000, 60 * 1000
	return a/second == b/second || a/minute == b/minute && (a%minute == 0 || b%minute == 0)
}
