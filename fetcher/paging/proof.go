package paging

import (
	"maps"
	"slices"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// proof is the argument by which a reading has every record of its window.
type proof int

const (
	// unproved: all must be read once more.
	unproved proof = iota

	// byCount: the last pass was steady, each of its pages made the same claim, and it has
	// shown as many different records as that. For a claim to be false and yet agree, it
	// must be that of the records that are there. A record of the first page may have become
	// another version by the time of the last: additive items must all be in one page.
	byCount

	// byInstant: a record that was shown by a pass before an instant and by one after it was
	// there at that instant. If those are as many as were claimed then, they are all that
	// there were, however the list moved. This needs claims that are to be trusted, and that
	// nothing else of what was shown disproves: see sightings.
	byInstant

	// byTotal: many passes have all found the same number of records, by the claims of all
	// pages or by where the list ends. Together they have shown as many different records, and
	// the last settledPasses nothing new. It is for a list that shuffles many records of one second
	// for each page. Additive items are not proved: no pass has them all.
	byTotal

	// byRepetition: two passes, one after the other, were steady and showed the same. If the
	// claim is another, then it is wrong, or the source repeats an id.
	byRepetition

	// byChain: two passes, one after the other, were chains. A chain misses only what moves,
	// while it is read, from the part that is to come to the part that is done; it does not
	// do so twice in a row. While records pour in, no claim ever comes true and no two passes
	// show the same. If more are claimed, it takes maxChain passes to prove that wrong: a
	// short list whose order is another each time may look like a chain. What is read may
	// have become another version since, so that this proves nothing of additive items.
	byChain
)

const (
	maxChain      = 4
	settledPasses = 4
)

// evidence is what all passes over a list have shown.
type evidence struct{ passes []*pass }

// prove returns the first argument that holds after the last pass; with byInstant, the
// pass at whose beginning the instant was.
func (e *evidence) prove(additive, trusted bool) (how proof, instant int) {
	last := e.passes[len(e.passes)-1]
	if last.matchesClaim() && (!additive || last.isOnePage()) {
		return byCount, 0
	}
	seen := e.sightings()
	if instant := seen.instant(additive); trusted && instant > 0 {
		return byInstant, instant
	}
	if !additive && seen.isTotal(trusted) {
		return byTotal, 0
	}
	if e.repeats() {
		return byRepetition, 0
	}
	if chain := e.chain(); !additive && (chain >= 2 && len(last.ids) >= last.claim() || chain >= maxChain) {
		return byChain, 0
	}
	return unproved, 0
}

// wasThere reports whether a record was in the list when a pass began.
func (e *evidence) wasThere(id record.Identity, begun int) bool {
	shows := func(p *pass) bool { _, ok := p.ids[id]; return ok }
	return slices.ContainsFunc(e.passes[:begun], shows) && slices.ContainsFunc(e.passes[begun:], shows)
}

// repeats reports whether the last two passes were steady and showed the same.
func (e *evidence) repeats() bool {
	n := len(e.passes)
	if n < 2 {
		return false
	}
	a, b := e.passes[n-2], e.passes[n-1]
	return a.isSteady() && b.isSteady() && maps.Equal(occurrences(a.order), occurrences(b.order))
}

// chain is how many passes in a row were chains, up to the last.
func (e *evidence) chain() (n int) {
	for _, p := range slices.Backward(e.passes) {
		if !p.isChain() {
			break
		}
		n++
	}
	return n
}

// forget drops what only the passes that follow each other are compared by.
func (e *evidence) forget() {
	if n := len(e.passes); n >= 2 {
		e.passes[n-2].order = nil
	}
}

// pass is what one reading of a list, from its first page to its last, has shown.
type pass struct {
	claims   []int     // how many records each page claims; -1 if it claims nothing
	overlaps []overlap // how each page but the first follows the one before it
	ended    bool      // the list ends with the last page
	first    int       // how many records the first page has
	reached  int       // where the last page ends that has any
	// disproved: a page has claimed fewer records than it showed that there are.
	disproved bool
	// order has the records by their places; ids has them once. Of additive items, those
	// that look the same are different ones in ids if they stand in one page, and may be the
	// same if not.
	order []record.Identity
	ids   map[record.Identity]struct{}
}

// claim is how many records there were by the first page; -1 if it does not say.
func (p *pass) claim() int { return p.claims[0] }

// number is how many records the pass has shown.
func (p *pass) number(additive bool) int {
	if additive {
		return len(p.order)
	}
	return len(p.ids)
}

// isOnePage reports whether the first page has everything.
func (p *pass) isOnePage() bool { return len(p.order) == p.first }

// isSteady reports whether every page begins as the one before it ends, at the place where
// it should, and nothing is behind the last: no record moved across a seam.
func (p *pass) isSteady() bool {
	return p.ended && !slices.ContainsFunc(p.overlaps, func(o overlap) bool { return o == overlapNone || o == overlapShifted })
}

// isChain reports whether every page goes on where the one before it ended, up to the
// list's end, though the list may have moved.
func (p *pass) isChain() bool {
	return p.ended && !slices.ContainsFunc(p.overlaps, func(o overlap) bool { return o != overlapExact && o != overlapShifted })
}

// matchesClaim reports whether the pass was steady and showed what all of its pages claim.
func (p *pass) matchesClaim() bool {
	other := func(claim int) bool { return claim != p.claim() }
	return p.isSteady() && !slices.ContainsFunc(p.claims, other) && p.reached == p.claim() && len(p.ids) == p.claim()
}

// has reports whether the pass found a number of records: by where the list ends, or by all
// claims if these are trusted.
func (p *pass) has(records int, trusted bool) bool {
	other := func(claim int) bool { return claim != records }
	return p.ended && p.reached == records || trusted && !p.disproved && !slices.ContainsFunc(p.claims, other)
}

func setOf(ids []record.Identity) map[record.Identity]struct{} {
	set := make(map[record.Identity]struct{}, len(ids))
	for _, id := range ids {
		set[id] = struct{}{}
	}
	return set
}

// occurrences is how often each record stands in a list.
func occurrences(order []record.Identity) map[record.Identity]int {
	n := make(map[record.Identity]int, len(order))
	for _, id := range order {
		n[id]++
	}
	return n
}
