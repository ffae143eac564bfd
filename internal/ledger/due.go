package ledger

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// evidence is what a batch shows of an unfinished record.
type evidence uint8

const (
	noEvidence evidence = iota // no batch covers where the record would be
	present                    // it is there, and unfinished
	dateless                   // it has no time: perhaps no window shows it again
	gone                       // it is not there any more: the API has deleted it
	tooOld                     // it began before all that the API keeps
)

// dueBy decides which unfinished records end by which evidence. A pending record must have
// waited for PendingTimeout, too.
var dueBy = [...]struct{ pending, open bool }{
	noEvidence: {false, false},
	present:    {true, false}, // not before: it may have settled since it was last read
	dateless:   {true, false},
	gone:       {true, true},
	tooOld:     {true, true},
}

// isDue reports whether an unfinished record ends with a batch.
func (l *Ledger) isDue(e *entry, b *record.Batch) bool {
	found := l.evidenceOf(e, b)
	ends := dueBy[found]
	if e.has(settled) {
		return ends.open
	}
	if found == gone { // which no later batch need show
		l.unfinished.gone[e.ref] = struct{}{}
	}
	waited := b.Now.Sub(time.UnixMilli(e.firstSeen)) >= l.rules.PendingTimeout
	return ends.pending && waited
}

// evidenceOf returns the strongest evidence.
func (l *Ledger) evidenceOf(e *entry, b *record.Batch) evidence {
	// While a poll catches up, a record that has changed may stand in a later window. A file
	// that was asked for before a restart is no evidence, either.
	current := b.UpToDate && !b.Late || b.Reread
	seen := e.batch == l.batch
	absent := current && !seen && e.isAbsent(b, l.batch)
	first, _, dated := e.span()
	switch {
	case !dated:
		return dateless
	case b.Now.Sub(first) > cursor.Retention:
		return tooOld
	case absent:
		return gone
	case current && seen:
		return present
	}
	return noEvidence
}

// endDue ends what does not end by itself: records pending for too long, records that the
// source has deleted, and records older than the API keeps.
func (l *Ledger) endDue(b *record.Batch, emit func(*Event)) {
	from, to := b.From.Add(cursor.Edge).UnixMilli(), b.To.Add(-cursor.Edge).UnixMilli()
	refs := l.unfinished.affected(from, to, latest(b).UnixMilli(), b.Now.Add(-cursor.Retention).UnixMilli())
	l.endUnfinished(b.Now, refs, func(e *entry) bool { return l.isDue(e, b) }, emit)
}

// Expire ends the records that are pending and began PendingTimeout before now, whenever
// they were first seen: a history is read long after them.
func (l *Ledger) Expire(now time.Time, emit func(*Event)) {
	l.endUnfinished(now, slices.Collect(maps.Keys(l.memory.whole)), func(e *entry) bool {
		first, _, dated := e.span()
		return !e.has(settled) && dated && now.Sub(first) >= l.rules.PendingTimeout
	}, emit)
}

// endUnfinished ends those of the records that are unfinished and due.
func (l *Ledger) endUnfinished(now time.Time, refs []ref, isDue func(*entry) bool, emit func(*Event)) {
	var due []*entry
	for _, r := range refs {
		if e := l.memory.whole[r]; e != nil && e.isUnfinished() && isDue(e) {
			due = append(due, e)
		}
	}
	slices.SortFunc(due, func(a, b *entry) int { return cmp.Or(cmp.Compare(a.keep, b.keep), slices.Compare(a.id[:], b.id[:])) })
	for _, e := range slices.Compact(due) {
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
		e.compare(&before, &ev)
		l.track(e, &before, false)
		emit(&ev)
	}
}
