package fetcher

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

const (
	// pageLimit is the most records that most lists of the API give in one page.
	pageLimit = 100
	// maxPasses is how often a list that does not hold still is read from the start. An
	// API that shuffles the records of one second anew for each page needs the most.
	maxPasses = 12
	// maxPagesAtOnce bounds the goroutines of one reading; how many requests are really
	// in flight is the client's to decide.
	maxPagesAtOnce = 16
)

// pager reads a list of the API that comes in pages.
//
// The list may move while it is read. Pages overlap, so that whatever shifts the list
// between two pages shows at their seam; and the records of all pages must be as many
// as the API says there are. Otherwise all is read again, cut into pages at other
// places, until several passes together prove that none is missing. While records pour
// in, no count ever comes true; then two passes in a row whose pages make a chain will do.
//
// What one pass cannot show is a record that changes its place in the list at the very
// moment when another one vanishes before it and a third appears behind it. A window
// of logins is read again as long as the lookback reaches; that finds it.
type pager[T any, P listed[T]] struct {
	limit int // the most items that a page may have
	// list gets one page; count is -1 if the answer does not say.
	list func(ctx context.Context, w window, limit, offset int) (count int, items []T, err error)
	// mismatch is called for a window that holds still, and still holds another
	// number of records than the API says.
	mismatch func()
}

// listed is a record that can be told from the others of its list.
type listed[T any] interface {
	*T
	Key() (id *record.Identity, malformed bool)
}

func keyOf[T any, P listed[T]](item *T) record.Identity {
	id, _ := P(item).Key()
	return *id
}

// sight is what one pass over all pages has seen.
type sight struct {
	count int // as the API says; -1 if it does not
	ids   map[record.Identity]struct{}
}

// pass is one reading of all pages of a window.
type pass[T any, P listed[T]] struct {
	sight
	items   []T
	steady  bool // every page begins as the one before it ends
	counted bool // the API always said the same count, and the last page ends there
	// chained is true if every page goes on where the one before it ended, up to the
	// list's end, though new records may have moved it back.
	chained bool
}

// errMoved is when a list changed whenever it was read.
var errMoved = errors.New("the list of records changed each time while it was read; the window is cut smaller and read again")

// TooManyError is when a window holds more records than were wanted of it.
type TooManyError struct{ Count int }

func (e *TooManyError) Error() string { return fmt.Sprintf("the window holds %d records", e.Count) }

// read returns every record of the window. It asks for no more than one page if
// there are more than most records, and returns a *TooManyError then; 0 is no limit.
func (r *pager[T, P]) read(ctx context.Context, w window, most int) ([]T, error) {
	var all []T
	var sights []*sight
	var before *pass[T, P]
	for len(sights) < maxPasses {
		p, err := r.pass(ctx, w, most, 1+4*len(sights))
		if err != nil {
			return nil, err
		}
		all = merge[T, P](p.items, all)
		sights = append(sights, &p.sight)
		if p.holds(r.limit) || holdTogether(sights) {
			return all, nil
		}
		if stoodStill(before, p) {
			if p.count >= 0 {
				r.mismatch()
			}
			return all, nil
		}
		if chained(before, p) {
			return all, nil
		}
		before = p
	}
	return nil, errMoved
}

// holds reports whether the pass alone proves that it saw every record.
func (p *pass[T, P]) holds(limit int) bool {
	if p.count < 0 { // one page that is not full needs no other proof
		return p.steady && len(p.items) < limit
	}
	return p.steady && p.counted && len(p.ids) == p.count
}

// holdTogether reports whether passes prove together that they saw every record,
// however the list moved. A record that was seen before an instant and after it was
// there at that instant: if those are as many as the API counted then, none is missing.
func holdTogether(passes []*sight) bool {
	first, last := map[record.Identity]int{}, map[record.Identity]int{}
	for i, p := range passes {
		for id := range p.ids {
			if _, ok := first[id]; !ok {
				first[id] = i
			}
			last[id] = i
		}
	}
	for begun := 1; begun < len(passes); begun++ {
		there := 0
		for id := range first {
			if first[id] < begun && begun <= last[id] {
				there++
			}
		}
		if there == passes[begun].count {
			return true
		}
	}
	return false
}

// stoodStill reports whether two passes, one after the other, saw the same, and
// nothing moved: if the count is another, then the count is wrong, or the source
// repeats an id.
func stoodStill[T any, P listed[T]](a, b *pass[T, P]) bool {
	return a != nil && a.steady && b.steady && maps.Equal(a.ids, b.ids)
}

// chained reports whether two passes, one after the other, saw all that was there when
// they began, though records poured in and no count came true. A chain of pages misses
// only what moves, while it is read, from the part that is to come to the part that is
// done; it does not do so twice in a row.
func chained[T any, P listed[T]](a, b *pass[T, P]) bool {
	return a != nil && a.chained && b.chained
}

// merge adds to a pass the records that only earlier passes saw: they were there.
func merge[T any, P listed[T]](items, earlier []T) []T {
	if len(earlier) == 0 {
		return items
	}
	seen := make(map[record.Identity]struct{}, len(items))
	for i := range items {
		seen[keyOf[T, P](&items[i])] = struct{}{}
	}
	for i := range earlier {
		if _, ok := seen[keyOf[T, P](&earlier[i])]; !ok {
			items = append(items, earlier[i])
		}
	}
	return items
}

// page is what the API gave at an offset.
type page[T any] struct {
	offset, count int
	items         []T
}

func (r *pager[T, P]) page(ctx context.Context, w window, offset int) (page[T], error) {
	count, items, err := r.list(ctx, w, r.limit, offset)
	return page[T]{offset, count, items}, err
}

// pass reads all pages of a window once.
func (r *pager[T, P]) pass(ctx context.Context, w window, most, overlap int) (*pass[T, P], error) {
	first, err := r.page(ctx, w, 0)
	if err != nil {
		return nil, err
	}
	if most > 0 && first.count > most {
		return nil, &TooManyError{first.count}
	}
	// A server that gives less than was asked for sets the size of the pages.
	c := cutting[T, P]{size: len(first.items)}
	c.stride = max(1, c.size-min(overlap, 1+c.size/8))
	pages := []page[T]{first}
	if c.size == 0 || c.size == first.count {
		return c.join(pages), nil
	}
	if pages, err = r.counted(ctx, w, c, pages); err == nil {
		pages, err = r.uncounted(ctx, w, c, pages, most)
	}
	if err != nil {
		return nil, err
	}
	return c.join(pages), nil
}

// counted adds the pages that the first one's count tells of, read at once.
func (r *pager[T, P]) counted(ctx context.Context, w window, c cutting[T, P], pages []page[T]) ([]page[T], error) {
	for offset := c.stride; offset+c.size-c.stride < pages[0].count; offset += c.stride {
		pages = append(pages, page[T]{offset: offset})
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxPagesAtOnce)
	for i := 1; i < len(pages); i++ {
		group.Go(func() (err error) {
			pages[i], err = r.page(ctx, w, pages[i].offset)
			return err
		})
	}
	return pages, group.Wait()
}

// uncounted adds page after page until one is not full, if there are more records
// than the count tells, or no count.
func (r *pager[T, P]) uncounted(ctx context.Context, w window, c cutting[T, P], pages []page[T], most int) ([]page[T], error) {
	for {
		last := pages[len(pages)-1]
		end := last.offset + len(last.items)
		done := end >= last.count && end <= pages[0].count
		if done || len(last.items) < c.size {
			return pages, nil
		}
		if most > 0 && end > most {
			return nil, &TooManyError{end}
		}
		next, err := r.page(ctx, w, last.offset+c.stride)
		if err != nil {
			return nil, err
		}
		pages = append(pages, next)
		if _, how := c.seam(last, next); how == torn {
			return pages, nil // it has moved, or knows no offset: this pass proves nothing
		}
	}
}

// cutting is how a list is cut into pages: their size, and how far one begins behind
// the other.
type cutting[T any, P listed[T]] struct{ size, stride int }

// fit is how a page follows the one before it.
type fit int

const (
	torn    fit = iota // something may stand between them
	shifted            // it goes on where that one ends, though the list has moved
	exact              // it begins as that one ends, at the place where it should
)

// seam returns what a page holds beyond the one before it, and how it follows it. A
// single record in common proves no shift: the API may have shuffled it there.
func (c cutting[T, P]) seam(before, p page[T]) (rest []T, how fit) {
	full := len(before.items) >= c.size
	stride := min(c.stride, len(before.items))
	if n, ok := c.shared(before, p, stride); ok && (n == len(p.items) || n > 0 && full) {
		return p.items[n:], exact
	}
	for first := len(before.items) - 2; first >= 0 && full; first-- {
		if n, ok := c.shared(before, p, first); ok && n < len(p.items) {
			return p.items[n:], shifted
		}
	}
	return p.items, torn
}

// shared reports whether a page begins with all that the one before it has from first
// on, and how much that is.
func (c cutting[T, P]) shared(before, p page[T], first int) (n int, ok bool) {
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
func (c cutting[T, P]) join(pages []page[T]) *pass[T, P] {
	first, last := pages[0], pages[len(pages)-1]
	end := last.offset + len(last.items)
	p := &pass[T, P]{sight: sight{first.count, map[record.Identity]struct{}{}}, items: slices.Clone(first.items),
		steady: true, counted: end == first.count, chained: len(last.items) < c.size || end == last.count}
	for i := 1; i < len(pages); i++ {
		rest, how := c.seam(pages[i-1], pages[i])
		p.items = append(p.items, rest...)
		p.steady = p.steady && how == exact
		p.chained = p.chained && (how == shifted || how == exact && c.size-c.stride > 1)
		p.counted = p.counted && pages[i].count == first.count
	}
	p.tellApart()
	for i := range p.items {
		p.ids[keyOf[T, P](&p.items[i])] = struct{}{}
	}
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
}
