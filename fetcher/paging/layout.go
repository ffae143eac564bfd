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

// maxEndings is how many pages in a row that are much shorter than others end a pass.
const maxEndings = 16

// layout is how a list is laid out in pages. Each begins with the end of the one before it,
// so that what moves between two of them shows where they meet. It is another one for
// each pass, so that what meets there in one does not in the next.
type layout struct {
	size   int  // of a full page; a server that gives less than was asked for sets it
	stride int  // how far one page begins behind the other
	single bool // the first page is known to be the only one
	toEnd  bool // the list is read to its end, whether or not it holds still
	// Pages that are not the last have different lengths, or all have had the same; or neither is
	// known.
	ragged, alike bool
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
	case l.single, l.isEnded(pages), l.isTorn(pages, nothingClaimed):
		return 0
	case l.isLast(last), isNothingBehind(pages):
		return 1 // is it the end, whatever is claimed?
	}
	return min(max(1, left), most)
}

// isEnded reports whether the list ends with the last page. An empty page shows it. So does one
// with nothing but records of the page before it, unless pages have any length; and a short one,
// if all others are alike, that ends where it claims, and the page before it claimed nearly that,
// too: what counts only the records that were given so far comes true with each page.
func (l layout) isEnded(pages []page) bool {
	last := &pages[len(pages)-1]
	switch {
	case len(last.ids) == 0, l.single:
		return true
	case len(pages) == 1:
		return false
	case l.isRagged(pages):
		return isNothingBehind(pages) && isNothingBehind(pages[:len(pages)-1])
	case isNothingBehind(pages):
		return true
	}
	before := &pages[len(pages)-2]
	if !l.isLast(last) || last.end() != last.claim || before.end() >= before.claim {
		return false
	}
	moved := max(last.claim-before.claim, before.claim-last.claim) // between two requests, whichever was answered first
	return moved == 0 && len(pages) > enough || moved <= l.size/8 && l.alike
}

// isNothingBehind reports whether the last page ends where the one before it does, or has nothing
// but records that this one ends with.
func isNothingBehind(pages []page) bool {
	if len(pages) == 1 {
		return false
	}
	before, last := &pages[len(pages)-2], &pages[len(pages)-1]
	shared, how := layout{}.overlap(before, last)
	return last.end() == before.end() || how != overlapNone && shared == len(last.ids)
}

// isTorn reports whether a pass is given up before the end of the list: it proves nothing.
func (l layout) isTorn(pages []page, nothingClaimed bool) bool {
	if len(pages) == 1 {
		return false
	}
	before, last := &pages[len(pages)-2], &pages[len(pages)-1]
	if _, how := l.overlap(before, last); how != overlapNone {
		return l.growsOn(pages)
	}
	return nothingClaimed && !l.toEnd || // it has moved
		(l.isLast(before) || !l.isLast(last)) && !hasNew(pages) // it knows no offset, or all that is behind was shown before
}

// growsOn reports whether the list has grown, again and again, while its end was looked for.
func (l layout) growsOn(pages []page) bool {
	n := len(pages) - maxEndings
	return n > 0 && !slices.ContainsFunc(pages[n:], func(p page) bool { return 2*len(p.ids) > l.size })
}

// isRagged reports whether pages that are followed by others have different lengths.
func (l layout) isRagged(pages []page) bool {
	for i := range pages[:len(pages)-1] {
		if len(pages[i].ids) != l.size && isFollowed(pages, i) {
			return true
		}
	}
	return l.ragged
}

// isFollowed reports whether there is more behind a page than what the list may have grown by.
func isFollowed(pages []page, i int) bool {
	return i+1 < len(pages) && pages[i+1].end()-pages[i].end() > 1+len(pages[i].ids)/8
}

// isLast reports whether a page is so short that there should be none behind it.
func (l layout) isLast(p *page) bool { return len(p.ids) < l.size }

// extend adds pages that are to be read.
func (l layout) extend(pages []page, more int) []page {
	last := pages[len(pages)-1]
	offset := last.end() - min(l.size-l.stride, len(last.ids))
	if isNothingBehind(pages) {
		offset = last.end() // nothing at all is to be there
	}
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
	if p.offset >= before.end() && isAmong(before.ids, p.ids) {
		return len(p.ids), overlapShifted
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
	p.ended = l.isEnded(pages)
	p.disproved = claimsLess(pages)
	return p, shared
}

// claimsLess reports whether what pages claim is less than they show that there is: one of them, or
// two that each claim just what has been given so far.
func claimsLess(pages []page) bool {
	for i := range pages {
		p, before := &pages[i], &pages[max(0, i-1)]
		knowsNoOffset := i > 0 && len(p.ids) == len(before.ids) && isAmong(before.ids, p.ids)
		if len(p.ids) == 0 || p.claim < 0 || knowsNoOffset {
			continue
		}
		if p.claim < p.end() {
			return true
		}
		if before.claim == before.end() && before.end() < p.end() && p.claim == p.end() {
			return true
		}
	}
	return false
}
