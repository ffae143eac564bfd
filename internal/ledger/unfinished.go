package ledger

import (
	"cmp"
	"iter"

	"github.com/google/btree"
)

// unfinished are the records that are pending or open, in the order of the times by which the
// API may select them: a batch can end only those that affected returns.
type unfinished struct {
	n      int
	byTime *btree.BTreeG[dueTime]
	seen   []ref            // the pending ones of the batch under way
	gone   map[ref]struct{} // the pending ones that were not where they would be, and have not come back
}

// dueTime is a time of a record, or 0 if it has none.
type dueTime struct {
	at  int64
	ref ref
}

func newUnfinished() unfinished {
	return unfinished{gone: map[ref]struct{}{}, byTime: btree.NewG(treeDegree, func(a, b dueTime) bool {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.ref, b.ref)) < 0
	})}
}

// move takes over what has changed in a record. One that is new was nil before.
func (u *unfinished) move(before, e *entry) {
	if before != nil && before.isUnfinished() {
		u.n--
		before.eachDue(func(t dueTime) { u.byTime.Delete(t) })
	}
	if e.isUnfinished() {
		u.n++
		e.eachDue(func(t dueTime) { u.byTime.ReplaceOrInsert(t) })
	} else {
		delete(u.gone, e.ref)
	}
}

// eachDue calls f with the times by which an unfinished record is found.
func (e *entry) eachDue(f func(dueTime)) {
	at := e.selectors()
	for _, t := range at {
		if t != 0 || at == [3]int64{} {
			f(dueTime{t, e.ref})
		}
	}
}

// see notes that the batch holds a record.
func (u *unfinished) see(e *entry) {
	if !e.has(settled) {
		u.seen = append(u.seen, e.ref)
		delete(u.gone, e.ref)
	}
}

// all are the times of all, in order.
func (u *unfinished) all() iter.Seq[dueTime] {
	return func(yield func(dueTime) bool) { u.byTime.Ascend(yield) }
}

// affected are the records that a batch which covers the times between from and to may end,
// some of them more than once: those that began before the API's memory does, or have no time;
// those that it covers; those to come, by a clock that was ahead; and the pending ones that it
// holds, or that were gone before.
func (u *unfinished) affected(from, to, latest, oldest int64) (refs []ref) {
	take := func(t dueTime) bool {
		refs = append(refs, t.ref)
		return true
	}
	u.byTime.AscendLessThan(dueTime{at: oldest + 1}, take)
	u.byTime.AscendRange(dueTime{at: from}, dueTime{at: to + 1}, take)
	u.byTime.AscendGreaterOrEqual(dueTime{at: latest + 1}, take)
	refs = append(refs, u.seen...)
	u.seen = u.seen[:0]
	for r := range u.gone {
		refs = append(refs, r)
	}
	return refs
}
