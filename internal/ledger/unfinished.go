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

// dueTimes are the times of a record, if it is unfinished.
type dueTimes struct {
	unfinished bool
	at         [3]int64
}

func newUnfinished() unfinished {
	return unfinished{gone: map[ref]struct{}{}, byTime: btree.NewG(treeDegree, func(a, b dueTime) bool {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.ref, b.ref)) < 0
	})}
}

// each calls f with the times.
func (d dueTimes) each(of ref, f func(dueTime)) {
	for _, at := range d.at {
		if at != 0 || d.at == [3]int64{} {
			f(dueTime{at, of})
		}
	}
}

// put takes over what has changed in a record.
func (u *unfinished) put(e *entry) {
	now := dueTimes{e.isUnfinished(), e.selectors()}
	if !now.unfinished {
		now = dueTimes{}
	}
	if now == e.due {
		return
	}
	if e.due.unfinished {
		u.n--
		delete(u.gone, e.ref)
		e.due.each(e.ref, func(t dueTime) { u.byTime.Delete(t) })
	}
	if now.unfinished {
		u.n++
		now.each(e.ref, func(t dueTime) { u.byTime.ReplaceOrInsert(t) })
	}
	e.due = now
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
