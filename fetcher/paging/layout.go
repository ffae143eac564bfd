package paging

import (
	"slices"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// page is what the API gave at an offset.
type page struct {
	offset int
	claim  int // how many records the window holds; -1 if the answer does not say
	ids    []record.Identity
	read   bool // there was an answer
}

func (p *page) end() int { return p.offset + len(p.ids) }

// overlap is how a page follows the one before it.
type overlap int

const (
	// overlapNone: something may stand between them.
	overlapNone overlap = iota
	// overlapSingle: it begins with the last record of that one, at the place where it
	// should. The list did not move, but one that is shuffled may look so by chance.
	overlapSingle
	// overlapShifted: it begins with several records with which that one ends, at another
	// place than it should. The list has moved, and yet nothing stands between them.
	overlapShifted
	// overlapExact: it begins with several records with which that one ends, at the place
	// where it should: the list did not move.
	overlapExact
	// overlapEnd: it has nothing but records of that one, in any order, and ends at the same
	// place. So does the list.
	overlapEnd
)

// ending is whether a list ends with the last page of a pass.
type ending int

const (
	endOpen    ending = iota // perhaps not
	endLikely                // the page is much shorter than others, or ends where the list should by its claim
	endCertain               // it is short and ends there, or there was nothing behind it
)

// layout is how a list is laid out in pages. Each begins with the end of the one before it,
// so that what moves between two of them shows where they meet. It is another one for
// each pass, so that what meets there in one does not in the next.
type layout struct {
	size   int  // of a full page; a server that gives less than was asked for sets it
	stride int  // how far one page begins behind the other
	single bool // the first page is known to be the only one
	toEnd  bool // the list is read to its end, whether or not it holds still
}

// layoutOf is the layout of a pass, of which there were some before: for a list whose first
// page has so many records.
func layoutOf(size, passes int) layout {
	return layout{size: size, stride: max(1, size-min(1+4*passes, 1+size/8))}
}

// maxPagesOnAClaim bounds what a claim costs that is too high, and was true before.
const maxPagesOnAClaim = 64

// more is how many pages are to be read at once beyond those that were; 0 at the end of
// the list. How many are left is a claim: until one has come true, as many are read as have been
// read before, at most, so that a claim that is too high costs no more than the records
// themselves. To wait for some of them before the others are asked for takes time.
func (l layout) more(pages []page, claims trust) int {
	last := &pages[len(pages)-1]
	left, most := 1, min(len(pages), maxPagesAtOnce)
	if claims != distrusted {
		left = max(0, last.claim-last.end()+l.stride-1) / l.stride
	}
	if claims == cameTrue {
		most = maxPagesOnAClaim
	}
	switch nothingClaimed := claims == distrusted || left == 0; {
	case len(last.ids) == 0, l.single, len(pages) > 1 && l.isOver(pages, nothingClaimed):
		return 0
	case !l.isLast(last):
		return min(max(1, left), most)
	case last.end() == last.claim:
		return 0
	}
	return 1 // is it the end, though the claim is another?
}

// isOver reports whether another page would show nothing more, by how the last two follow each
// other.
func (l layout) isOver(pages []page, nothingClaimed bool) bool {
	before, last := &pages[len(pages)-2], &pages[len(pages)-1]
	shared, how := l.overlap(before, last)
	switch {
	case how != overlapNone && shared == len(last.ids):
		return true // there is nothing behind it
	case how == overlapNone && nothingClaimed && !l.toEnd:
		return true // it has moved: this pass proves nothing
	case how == overlapNone && (l.isLast(before) || !l.isLast(last)) && !hasNew(pages):
		return true // it knows no offset, or all that is behind was shown before
	}
	return l.isLast(before) && l.isNearEnd(last) && nothingClaimed // it grows while its end is looked for
}

// isLast reports whether a page is so short that there should be none behind it.
func (l layout) isLast(p *page) bool { return len(p.ids) < l.size }

// isNearEnd reports whether a page is much shorter than others: where each has another length,
// one that is only a little shorter says nothing.
func (l layout) isNearEnd(p *page) bool { return 2*len(p.ids) <= l.size }

// extend adds pages that are to be read.
func (l layout) extend(pages []page, more int) []page {
	last := pages[len(pages)-1]
	offset := last.end() - min(l.size-l.stride, len(last.ids))
	for i := range more {
		pages = append(pages, page{offset: offset + i*l.stride})
	}
	return pages
}

// overlap returns with how many records a page begins that the one before it ends with,
// and how it follows it. Only where the list has moved, a single one in common is none:
// the API may have shuffled it there.
func (l layout) overlap(before, p *page) (shared int, how overlap) {
	if n, ok := sharedFrom(before, p, min(p.offset-before.offset, len(before.ids))); ok && (n > 0 || len(p.ids) == 0) {
		if l.size-l.stride > 1 {
			return n, overlapExact
		}
		return n, overlapSingle
	}
	if p.end() == before.end() && isAmong(before.ids, p.ids) {
		return len(p.ids), overlapEnd
	}
	for first := len(before.ids) - 2; first >= 0; first-- {
		if n, ok := sharedFrom(before, p, first); ok && (n < len(p.ids) || first > 0) {
			return n, overlapShifted
		}
	}
	return 0, overlapNone
}

// sharedFrom reports whether a page begins with all that the one before it has from first
// on, and how much that is.
func sharedFrom(before, p *page, first int) (n int, ok bool) {
	shared := before.ids[first:]
	if len(shared) > len(p.ids) {
		return 0, false
	}
	for i := range shared {
		if shared[i] != p.ids[i] {
			return 0, false
		}
	}
	return len(shared), true
}

// hasNew reports whether the last page has anything that no other one has.
func hasNew(pages []page) bool {
	var shown []record.Identity
	for i := range pages[:len(pages)-1] {
		shown = append(shown, pages[i].ids...)
	}
	return !isAmong(shown, pages[len(pages)-1].ids)
}

// isAmong reports whether some records are all among others.
func isAmong(all, some []record.Identity) bool {
	known := setOf(all)
	return !slices.ContainsFunc(some, func(id record.Identity) bool { _, ok := known[id]; return !ok })
}

// passOf is what the pages of a pass show. Shared is with how many records each page begins
// that the one before it has.
func (l layout) passOf(pages []page) (p *pass, shared []int) {
	last := &pages[len(pages)-1]
	p = &pass{first: len(pages[0].ids)}
	shared = make([]int, len(pages))
	for i := range pages {
		p.claims = append(p.claims, pages[i].claim)
		if i > 0 {
			n, how := l.overlap(&pages[i-1], &pages[i])
			p.overlaps, shared[i] = append(p.overlaps, how), n
		}
		p.order = append(p.order, pages[i].ids[shared[i]:]...)
		if len(pages[i].ids) > 0 {
			p.reached = pages[i].end()
		}
	}
	atClaim := last.end() == last.claim
	nothingBehind := shared[len(pages)-1] == len(last.ids) || len(pages) > 1 && pages[len(pages)-2].end() == last.end()
	switch {
	case nothingBehind, l.single, l.isLast(last) && atClaim:
		p.end = endCertain
	case l.isNearEnd(last) || atClaim:
		p.end = endLikely
	}
	return p, shared
}
