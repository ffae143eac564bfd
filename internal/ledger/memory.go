package ledger

import (
	"iter"
	"math"
	"slices"

	"github.com/google/btree"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// memory is all records that are remembered.
type memory struct {
	slots
	byID, byForm *index                    // by id, and by the first form of what never changes
	later        map[record.Identity][]ref // by its later forms, which few have
	whole        map[ref]*entry            // those of which not all is in their slots
	ending       *btree.BTreeG[second]     // finished ones, by the second of keep that they had then
	nameless     int                       // how many have no id
	unpacked     entry                     // scratch
}

// second is the list of those that are filed under one second.
type second struct {
	at    int64
	first ref
}

// lastFiled ends the list of a second.
const lastFiled ref = math.MaxUint32

const treeDegree = 32

func newMemory() *memory {
	m := &memory{later: map[record.Identity][]ref{}, whole: map[ref]*entry{},
		ending: btree.NewG(treeDegree, func(a, b second) bool { return a.at < b.at })}
	m.byID = newIndex(&m.slots, func(s *slot) record.Identity { return s.id })
	m.byForm = newIndex(&m.slots, func(s *slot) record.Identity { return s.invariant })
	return m
}

// get returns a record. One that is whole in its slot is valid until the next call.
func (m *memory) get(r ref) *entry {
	if e := m.whole[r]; e != nil {
		return e
	}
	m.at(r).unpack(&m.unpacked)
	m.unpacked.ref = r
	return &m.unpacked
}

// withID returns the record with an id, or nil.
func (m *memory) withID(id record.Identity) *entry {
	if r := m.byID.find(id); r != 0 {
		return m.get(r)
	}
	return nil
}

// withForm are the records that had a form at any time.
func (m *memory) withForm(form record.Identity) iter.Seq[ref] {
	return func(yield func(ref) bool) {
		for _, r := range m.byForm.all(form) {
			if !yield(r) {
				return
			}
		}
		for _, r := range m.later[form] {
			if !yield(r) {
				return
			}
		}
	}
}

// add takes in a new record; put must follow.
func (m *memory) add(e *entry) {
	e.ref = m.take()
	s := m.at(e.ref)
	s.id, s.invariant = e.id, e.invariant
	m.byID.add(e.ref)
	m.byForm.add(e.ref)
	if e.has(nameless) {
		m.nameless++
	}
	for form := range e.laterForms() {
		m.addLater(form, e.ref)
	}
}

// put takes over what has changed in a record, and returns where it is valid from then on.
func (m *memory) put(e *entry) *entry {
	switch {
	case m.at(e.ref).pack(e):
		delete(m.whole, e.ref)
	case m.whole[e.ref] == nil:
		kept := *e
		e = &kept
		m.whole[e.ref] = e
	}
	if !e.isUnfinished() {
		m.file(e.ref, e.keep)
	}
	return e
}

// name gives a record that was nameless an id.
func (m *memory) name(e *entry, id record.Identity) {
	m.nameless--
	e.set(nameless, false)
	m.byID.remove(e.ref)
	e.id, m.at(e.ref).id = id, id
	m.byID.add(e.ref)
}

func (m *memory) addLater(form record.Identity, r ref) {
	if len(m.later[form]) < maxTwins {
		m.later[form] = append(m.later[form], r)
	}
}

func (m *memory) removeLater(form record.Identity, r ref) {
	if m.later[form] = slices.DeleteFunc(m.later[form], func(o ref) bool { return o == r }); len(m.later[form]) == 0 {
		delete(m.later, form)
	}
}

// remove forgets a record that is not filed.
func (m *memory) remove(e *entry) {
	m.byID.remove(e.ref)
	m.byForm.remove(e.ref)
	if e.has(nameless) {
		m.nameless--
	}
	for form := range e.laterForms() {
		m.removeLater(form, e.ref)
	}
	delete(m.whole, e.ref)
	m.release(e.ref)
}

// file puts a finished record under the second at whose end it may be forgotten, unless it is
// under an earlier one, or was: then it is looked at when that has come.
func (m *memory) file(r ref, keep int64) {
	s := m.at(r)
	if s.next != 0 {
		return
	}
	at := second{keep / 1000, r}
	s.next = lastFiled
	if others, ok := m.ending.Get(at); ok {
		s.next = others.first
	}
	m.ending.ReplaceOrInsert(at)
}

// takeBefore returns the records that are filed under what is before a second. They are filed no
// more, and may have changed since they were.
func (m *memory) takeBefore(at int64) (taken []ref) {
	for {
		first, ok := m.ending.Min()
		if !ok || first.at >= at {
			return taken
		}
		m.ending.DeleteMin()
		for r := first.first; r != lastFiled; {
			s := m.at(r)
			taken = append(taken, r)
			r, s.next = s.next, 0
		}
	}
}
