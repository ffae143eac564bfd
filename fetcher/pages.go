package fetcher

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
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

// pager reads a list of the API that comes in pages, and returns its records once it has
// a proof that none is missing.
//
// The list may move while it is read, and the number of records that the API says it
// has, its count, is a claim: it may be right, or belong to another window, or mean
// nothing. So a pass over all pages goes on to where the list ends, whatever the count
// (see layout), and where one pass proves nothing, all is read again, cut into pages at
// other places. See proof for what may be concluded when.
//
// What one pass cannot show is a record that changes its place in the list at the very
// moment when another one vanishes before it and a third appears behind it. A window
// of logins is read again as long as the lookback reaches; that finds it.
type pager[T any, P listed[T]] struct {
	limit int // the most items that a page may have
	// list gets one page; count is -1 if the answer does not say.
	list func(ctx context.Context, w cursor.Window, limit, offset int) (count int, items []T, err error)
	// mismatch is called for a window that was read twice with the same records, and
	// holds another number of records than the API says.
	mismatch func()
	memory   *pagerMemory[T, P]
	// additive is true of items that are added up, each as often as it is returned: an
	// item is then nothing but its content, and stays in the list for as long as it does
	// not change. Otherwise, who gets a record twice, or in two versions, knows it again.
	additive bool
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

// proof is why a reading has every record of its window.
type proof int

const (
	// unproved: all must be read once more.
	unproved proof = iota
	// byCount: every page of the pass begins with what the one before it ends with, so
	// nothing shifted between two pages; each answer claimed the same count; and there are
	// as many different records as that. For a count to be false and yet agree, it must be
	// that of the records that are there. A record of the first page may have become another
	// version by the time of the last: additive items must all be in one page.
	byCount
	// byInstant: a record that was seen by a pass before an instant and by one after it
	// was there at that instant. If those are as many as the API counted then, they are
	// all that there were, however the list moved. This needs a count that is to be trusted.
	byInstant
	// byRepetition: two passes, one after the other, went from the list's beginning to its
	// end without a shift and saw the same. If the count is another, then the count is
	// wrong, or the source repeats an id.
	byRepetition
	// byChain: in two passes, one after the other, every page goes on where the one before
	// it ended, up to the list's end, though new records may have moved it back. A chain
	// misses only what moves, while it is read, from the part that is to come to the part
	// that is done; it does not do so twice in a row. While records pour in, no count ever
	// comes true and no two passes see the same. If the count says that there are more, it
	// takes maxChain passes to prove that it is wrong: a short list whose order is another
	// each time may look like a chain. What is read may have become another version since,
	// so that this proves nothing of additive items.
	byChain
)

const maxChain = 4

// passIDs is what one pass over all pages has seen.
type passIDs struct {
	count int // as the API says; -1 if it does not
	ids   map[record.Identity]struct{}
}

// pass is one reading of all pages of a window.
type pass[T any, P listed[T]] struct {
	passIDs
	items   []T  // by their places in the list
	steady  bool // every page begins as the one before it ends, and the list ends behind the last
	counted bool // the API always said the same count, and the last page ends there
	chained bool // every page goes on where the one before it ended, up to the list's end
	single  bool // the first page has everything
}

// attempt is a reading under way. It outlives a request that fails, see pagerMemory.
type attempt[T any, P listed[T]] struct {
	window  cursor.Window
	passes  []*passIDs
	all     []T                    // every record that any pass has seen
	newest  map[record.Identity]*T // of additive items, by their place among those that look the same
	before  *pass[T, P]            // the last whole pass
	chain   int                    // passes in a row that were chains, up to the last
	pages   []page[T]              // of the pass under way
	refused bool                   // a request was refused for haste
}

// errMoved is when a list changed whenever it was read.
var errMoved = errors.New("the list of records changed each time while it was read; the window is cut smaller and read again")

// errNoItems is when a list says that it has records, and shows none.
var errNoItems = errors.New("the answer has no items")

// TooManyError is when a window holds more records than were wanted of it: as the API
// counts them, or as far as they were read.
type TooManyError struct{ Count, Read int }

func (e *TooManyError) Error() string { return fmt.Sprintf("the window holds %d records", e.Count) }

// read returns every record of the window. It returns a *TooManyError after few pages
// if there are more than most records; 0 is no limit.
func (r *pager[T, P]) read(ctx context.Context, w cursor.Window, most int) ([]T, error) {
	a := r.memory.resume(w, most)
	for len(a.passes) < maxPasses {
		p, err := r.pass(ctx, a, most)
		if err != nil {
			r.memory.keep(a, err)
			return nil, err
		}
		if items, ok := r.whole(a, p); ok {
			return items, nil
		}
	}
	return nil, errMoved
}

// whole adds a pass to an attempt, and returns what the list holds if that is proved now.
func (r *pager[T, P]) whole(a *attempt[T, P], p *pass[T, P]) (items []T, ok bool) {
	how, instant := r.prove(a, p)
	a.before = p
	if !r.additive {
		a.all = merge[T, P](p.items, a.all)
		return a.all, how != unproved
	}
	if how == byInstant {
		return a.at(instant), true
	}
	return p.items, how != unproved
}

// prove returns why the passes, up to this one, have seen every record; with byInstant,
// the pass at whose beginning they did.
func (r *pager[T, P]) prove(a *attempt[T, P], p *pass[T, P]) (how proof, instant int) {
	a.passes = append(a.passes, &p.passIDs)
	if p.agrees(r.limit) {
		r.memory.agreed(p.count)
		if !r.additive || p.single {
			return byCount, 0
		}
	}
	if instant := instantOf(a.passes); instant > 0 && !r.memory.distrusts() {
		return byInstant, instant
	}
	if repeats(a.before, p) {
		if r.numberOf(p) != p.count && p.count >= 0 {
			r.mismatch()
		}
		r.memory.judge(p.count, len(p.items))
		return byRepetition, 0
	}
	if a.chain++; !p.chained {
		a.chain = 0
	}
	if !r.additive && (a.chain >= 2 && len(p.ids) >= p.count || a.chain >= maxChain) {
		return byChain, 0
	}
	return unproved, 0
}

// numberOf is how many records a pass has seen.
func (r *pager[T, P]) numberOf(p *pass[T, P]) int {
	if r.additive {
		return len(p.items)
	}
	return len(p.ids)
}

// agrees reports whether the pass alone proves that it saw every record.
func (p *pass[T, P]) agrees(limit int) bool {
	if p.count < 0 { // one page that is not full needs no other proof
		return p.steady && len(p.items) < limit
	}
	return p.steady && p.counted && len(p.ids) == p.count
}

// instantOf returns a pass at whose beginning there were, by its count, just the records
// that were seen both before and after; or 0.
func instantOf(passes []*passIDs) int {
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
		if there == passes[begun].count && (there > 0 || len(passes[begun].ids) == 0) {
			return begun
		}
	}
	return 0
}

// at returns the items that were there when a pass began.
func (a *attempt[T, P]) at(begun int) (items []T) {
	seen := func(passes []*passIDs, id record.Identity) bool {
		for _, p := range passes {
			if _, ok := p.ids[id]; ok {
				return true
			}
		}
		return false
	}
	for id, item := range a.newest {
		if seen(a.passes[:begun], id) && seen(a.passes[begun:], id) {
			items = append(items, *item)
		}
	}
	return items
}

// repeats reports whether two passes, one after the other, saw the same and nothing moved.
func repeats[T any, P listed[T]](a, b *pass[T, P]) bool {
	return a != nil && a.steady && b.steady && maps.Equal(occurrences[T, P](a.items), occurrences[T, P](b.items))
}

// occurrences is how often each item stands in a list.
func occurrences[T any, P listed[T]](items []T) map[record.Identity]int {
	n := make(map[record.Identity]int, len(items))
	for i := range items {
		n[keyOf[T, P](&items[i])]++
	}
	return n
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
