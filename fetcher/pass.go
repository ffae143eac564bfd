package fetcher

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// page is what the API gave at an offset.
type page[T any] struct {
	offset, count int
	items         []T
	read          bool // there was an answer
}

func (p *page[T]) end() int { return p.offset + len(p.items) }

func (r *pager[T, P]) page(ctx context.Context, w cursor.Window, limit, offset int) (page[T], error) {
	count, items, err := r.list(ctx, w, limit, offset)
	if offset > 0 && refused(err) {
		r.memory.outOfReach(offset)
	}
	return page[T]{offset, count, items, true}, err
}

// pass reads all pages of a window once. What has been read of them stays in the
// attempt if a request fails.
func (r *pager[T, P]) pass(ctx context.Context, a *attempt[T, P], most int) (*pass[T, P], error) {
	if len(a.pages) == 0 {
		first, err := r.first(ctx, a, most)
		if err != nil {
			return nil, err
		}
		a.pages = []page[T]{first}
	}
	c := r.layout(a)
	for {
		if err := r.fill(ctx, a); err != nil {
			return nil, err
		}
		last := &a.pages[len(a.pages)-1]
		more := c.more(a.pages, r.memory.distrusts())
		if more == 0 {
			break
		}
		if most > 0 && len(last.items) > 0 && last.end() > most {
			return nil, &TooManyError{last.end(), last.end()}
		}
		if a.refused {
			more = 1
		}
		a.pages = c.extend(a.pages, more)
		if next := a.pages[len(a.pages)-1].offset; r.memory.beyondReach(a.window, next) {
			return nil, &TooManyError{next, last.end()}
		}
	}
	p := c.join(a.pages)
	r.memory.note(a.pages, p.steady)
	if r.additive {
		a.note(p, a.pages)
	} else {
		p.tellApart()
	}
	a.pages = nil
	return p, nil
}

// first reads the first page, and refuses a window that holds too many records. It may
// hold fewer than its count says: that is seen by whether there is anything at the place
// that one record too many would have.
func (r *pager[T, P]) first(ctx context.Context, a *attempt[T, P], most int) (page[T], error) {
	first, err := r.page(ctx, a.window, r.limit, 0)
	if err != nil {
		return first, err
	}
	n := len(first.items)
	switch {
	case n == 0 && first.count > 0 && !r.memory.distrusts():
		return first, fmt.Errorf("the API says that the list has %d records, and gives none of them: %w", first.count, errNoItems)
	case most > 0 && n > most:
	case r.memory.distrusts():
		return first, nil
	case n == r.limit && r.memory.trusts() && r.memory.beyondReach(a.window, first.count-r.limit):
	case most <= 0, first.count <= most:
		return first, nil
	case n < r.limit || most > r.limit: // else a full page shows it
		var beyond page[T]
		unknown := r.memory.beyondReach(a.window, most)
		if !unknown {
			beyond, err = r.page(ctx, a.window, 1, most)
			unknown = refused(err)
		}
		switch {
		case unknown && r.memory.trusts() && !a.window.IsSmallest():
		case unknown || err == nil && len(beyond.items) == 0:
			return first, nil
		case err != nil:
			return first, err
		}
	}
	return first, &TooManyError{max(first.count, n), n}
}

// fill reads the pages of an attempt that have no answer yet. A failure ends the others,
// but not a refusal for haste: what the API has granted others meanwhile is kept.
func (r *pager[T, P]) fill(ctx context.Context, a *attempt[T, P]) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failed atomic.Bool
	var first error // what ended the others, and not what they then ended with
	var group errgroup.Group
	group.SetLimit(maxPagesAtOnce)
	if a.refused {
		group.SetLimit(1)
	}
	for i := range a.pages {
		if a.pages[i].read {
			continue
		}
		group.Go(func() error {
			if failed.Load() {
				return nil
			}
			p, err := r.page(ctx, a.window, r.limit, a.pages[i].offset)
			if err == nil {
				a.pages[i] = p
				return nil
			}
			if failed.CompareAndSwap(false, true) {
				first = err
			}
			if !throttled(err) {
				cancel()
			}
			return nil
		})
	}
	_ = group.Wait()
	return first
}

// layout is how a list is laid out in pages.
type layout[T any, P listed[T]] struct {
	size   int  // of a page; a server that gives less than was asked for sets it
	stride int  // how far one page begins behind the other
	full   int  // a page of less than this is the last one
	whole  bool // the first page is known to be the only one
}

// layout follows from the first page, and is another one for each pass.
func (r *pager[T, P]) layout(a *attempt[T, P]) layout[T, P] {
	size := len(a.pages[0].items)
	c := layout[T, P]{size: size, full: size}
	c.stride = max(1, size-min(1+4*len(a.passes), 1+size/8))
	if r.memory.isShort(size) {
		c.full = size + 1
	}
	c.whole = size < r.limit && size == a.pages[0].count && r.memory.isWhole(size, a.window)
	return c
}

// more is how many pages are to be read at once beyond those that were; 0 at the end of
// the list. How many are left is a claim: as many are read as have been read before, at
// most, so that a claim that is too high costs no more than the records themselves.
func (c layout[T, P]) more(pages []page[T], distrusted bool) int {
	last := &pages[len(pages)-1]
	if len(last.items) == 0 || c.whole {
		return 0
	}
	left := 1
	if !distrusted {
		left = max(0, last.count-last.end()+c.stride-1) / c.stride
	}
	if len(pages) > 1 {
		before := &pages[len(pages)-2]
		rest, how := c.seam(before, last)
		switch {
		case how == overlapNone && (distrusted || left == 0 || !c.anyNew(pages)):
			return 0 // it has moved, or knows no offset: this pass proves nothing
		case how != overlapNone && len(rest) == 0:
			return 0 // there is nothing behind it
		case len(before.items) < c.full && len(last.items) < c.full && (distrusted || left == 0):
			return 0 // it grows while its end is looked for
		}
	}
	if len(last.items) < c.full {
		if last.end() == last.count {
			return 0
		}
		return 1 // is it the end, though the count is another?
	}
	return min(max(1, left), len(pages), maxPagesAtOnce)
}

// anyNew reports whether the last page has anything that no other one has.
func (c layout[T, P]) anyNew(pages []page[T]) bool {
	seen := map[record.Identity]struct{}{}
	for i := range pages[:len(pages)-1] {
		for j := range pages[i].items {
			seen[keyOf[T, P](&pages[i].items[j])] = struct{}{}
		}
	}
	last := &pages[len(pages)-1]
	for i := range last.items {
		if _, ok := seen[keyOf[T, P](&last.items[i])]; !ok {
			return true
		}
	}
	return false
}

// extend adds pages that are to be read. Each begins with the end of the one before it.
func (c layout[T, P]) extend(pages []page[T], more int) []page[T] {
	last := pages[len(pages)-1]
	offset := last.end() - min(c.size-c.stride, len(last.items))
	for i := range more {
		pages = append(pages, page[T]{offset: offset + i*c.stride})
	}
	return pages
}

// overlap is how a page follows the one before it.
type overlap int

const (
	overlapNone    overlap = iota // something may stand between them
	overlapShifted                // it goes on where that one ends, though the list has moved
	overlapExact                  // it begins as that one ends, at the place where it should
)

// seam returns what a page holds beyond the one before it, and how it follows it. A
// single record in common proves no shift: the API may have shuffled it there.
func (c layout[T, P]) seam(before, p *page[T]) (rest []T, how overlap) {
	if n, ok := c.shared(before, p, min(p.offset-before.offset, len(before.items))); ok && (n > 0 || len(p.items) == 0) {
		return p.items[n:], overlapExact
	}
	for first := len(before.items) - 2; first >= 0; first-- {
		if n, ok := c.shared(before, p, first); ok && (n < len(p.items) || first > 0) {
			return p.items[n:], overlapShifted
		}
	}
	return p.items, overlapNone
}

// shared reports whether a page begins with all that the one before it has from first
// on, and how much that is.
func (c layout[T, P]) shared(before, p *page[T], first int) (n int, ok bool) {
	shared := before.items[first:]
	if len(shared) > len(p.items) {
		return 0, false
	}
	for i := range shared {
		if keyOf[T, P](&shared[i]) != keyOf[T, P](&p.items[i]) {
			return 0, false
		}
	}
	return len(shared), true
}

// join puts pages together.
func (c layout[T, P]) join(pages []page[T]) *pass[T, P] {
	first, last := &pages[0], &pages[len(pages)-1]
	p := &pass[T, P]{passIDs: passIDs{first.count, map[record.Identity]struct{}{}}, items: slices.Clone(first.items),
		steady: true, counted: last.end() == first.count, chained: len(last.items) < c.full || last.end() == last.count}
	rest := first.items
	for i := 1; i < len(pages); i++ {
		var how overlap
		rest, how = c.seam(&pages[i-1], &pages[i])
		p.items = append(p.items, rest...)
		p.steady = p.steady && how == overlapExact
		p.chained = p.chained && (how == overlapShifted || how == overlapExact && c.size-c.stride > 1)
		p.counted = p.counted && pages[i].count == first.count
	}
	atEnd := len(rest) == 0 || c.whole || len(last.items) < c.full && last.end() == last.count
	p.steady = p.steady && atEnd
	p.single = len(p.items) == len(first.items)
	return p
}

// tellApart numbers items that are not objects and look the same: they have nothing
// else to be told apart by.
func (p *pass[T, P]) tellApart() {
	seen := map[record.Identity]byte{}
	for i := range p.items {
		if id, malformed := P(&p.items[i]).Key(); malformed {
			n := seen[*id]
			seen[*id]++
			id[0] += n
		}
	}
	for i := range p.items {
		p.ids[keyOf[T, P](&p.items[i])] = struct{}{}
	}
}

// note takes down which additive items the pages of a pass hold. Those that look the
// same are different ones if they stand in one page, and may be the same if not.
func (a *attempt[T, P]) note(p *pass[T, P], pages []page[T]) {
	if a.newest == nil {
		a.newest = map[record.Identity]*T{}
	}
	for i := range pages {
		seen := map[record.Identity]uint16{}
		for j := range pages[i].items {
			item := &pages[i].items[j]
			id := keyOf[T, P](item)
			n := seen[id]
			seen[id]++
			id[0], id[1] = id[0]+byte(n), id[1]+byte(n>>8)
			p.ids[id] = struct{}{}
			a.newest[id] = item
		}
	}
}
