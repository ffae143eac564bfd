package paging

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// readPass reads all pages of a window once. What has been read of them stays in the
// reading if a request fails.
func (r *Reader[T]) readPass(ctx context.Context, a *reading[T], most int) (*pass, []T, error) {
	if len(a.pages) == 0 {
		first, items, err := r.first(ctx, a.window, most)
		if err != nil {
			return nil, nil, err
		}
		a.pages, a.items = []page{first}, [][]T{items}
	}
	size, claim := len(a.pages[0].ids), a.pages[0].claim
	l := layoutOf(size, len(a.passes))
	l.single = size < r.Limit && size == claim && (r.Trusting && r.claims.areTrusted() || r.claims.isWhole(size, a.window))
	l.toEnd = a.isUncut && !r.Additive
	l.ragged, l.alike = r.claims.lengths()
	for {
		if err := r.fill(ctx, a); err != nil {
			return nil, nil, err
		}
		last := &a.pages[len(a.pages)-1]
		trusted := r.claims.trust()
		if most > 0 && last.claim > most {
			trusted = min(trusted, untested) // it is too high: see first
		}
		more := l.more(a.pages, trusted)
		if more == 0 {
			break
		}
		if len(last.ids) > 0 && last.end() > orUnlimited(most) {
			return nil, nil, &TooManyError{last.end(), last.end()}
		}
		if a.throttled {
			more = 1
		}
		a.pages = l.extend(a.pages, more)
		if next := a.pages[len(a.pages)-1].offset; r.isBeyondReach(a.window, next) {
			return nil, nil, &TooManyError{next, last.end()}
		}
	}
	p, items := r.join(l, a)
	r.claims.sawPages(a.window, a.pages, p)
	a.pages, a.items = nil, nil
	return p, items, nil
}

// maxItems is how many records a window may have that is not to be cut: a list that goes on
// and on has an end there.
const maxItems = 1_000_000

// orUnlimited is how many records may be read where so many are wanted: as many as may be true.
func orUnlimited(most int) int {
	if most <= 0 {
		return maxItems
	}
	return most
}

// join puts the pages of a pass together.
func (r *Reader[T]) join(l layout, a *reading[T]) (p *pass, items []T) {
	p, shared := l.passOf(a.pages)
	items = make([]T, 0, len(p.order))
	for i := range a.items {
		items = append(items, a.items[i][shared[i]:]...)
	}
	if r.Additive {
		p.ids = r.noteVersions(a)
		return p, items
	}
	r.tellApart(items)
	p.order = r.ids(items)
	p.ids = setOf(p.order)
	return p, items
}

// tellApart numbers malformed items that look the same.
func (r *Reader[T]) tellApart(items []T) {
	shown := map[record.Identity]byte{}
	for i := range items {
		if id, malformed := r.Key(&items[i]); malformed {
			n := shown[*id]
			shown[*id]++
			id[0] += n
		}
	}
}

// noteVersions takes down which additive items the pages of a pass hold. Those that look
// the same are different ones if they stand in one page, and may be the same if not.
func (r *Reader[T]) noteVersions(a *reading[T]) map[record.Identity]struct{} {
	if a.versions == nil {
		a.versions = map[record.Identity]*T{}
	}
	ids := map[record.Identity]struct{}{}
	for i := range a.pages {
		shown := map[record.Identity]uint16{}
		for j, id := range a.pages[i].ids {
			n := shown[id]
			shown[id]++
			id[0], id[1] = id[0]+byte(n), id[1]+byte(n>>8)
			ids[id] = struct{}{}
			a.versions[id] = &a.items[i][j]
		}
	}
	return ids
}

// getPage gets one page.
func (r *Reader[T]) getPage(ctx context.Context, w cursor.Window, limit, offset int) (page, []T, error) {
	if err := r.turns.take(ctx, w); err != nil {
		return page{}, nil, err
	}
	claim, items, err := r.Get(ctx, workspace.PageQuery{From: w.From, To: w.To, Limit: limit, Offset: offset})
	r.turns.leave()
	if offset > 0 && workspace.IsRefused(err) {
		r.claims.offsetRefused(offset)
	}
	return page{offset, claim, r.ids(items), true}, items, err
}

// isBeyondReach reports whether the API is known to refuse an offset, and so wants smaller
// windows. Where no window can be smaller it is asked again.
func (r *Reader[T]) isBeyondReach(w cursor.Window, offset int) bool {
	return !w.IsSmallest() && r.claims.isBeyondReach(offset)
}

// first reads the first page, and refuses a window that holds too many records. It may
// hold fewer than are claimed: that is seen by whether there is anything at the place
// that one record too many would have.
func (r *Reader[T]) first(ctx context.Context, w cursor.Window, most int) (page, []T, error) {
	first, items, err := r.getPage(ctx, w, r.Limit, 0)
	if err != nil {
		return first, items, err
	}
	n := len(first.ids)
	tooMany := &TooManyError{max(first.claim, n), n}
	switch {
	case n == 0 && first.claim > 0 && r.claims.areTrusted():
		return first, items, fmt.Errorf("the API says that the list has %d records, and gives none of them: %w", first.claim, ErrNoItems)
	case most > 0 && n > most:
		return first, items, tooMany
	case !r.claims.areTrusted():
		return first, items, nil
	case n == r.Limit && r.claims.haveComeTrue() && r.isBeyondReach(w, first.claim-r.Limit):
		return first, items, tooMany
	case most <= 0, first.claim <= most:
		return first, items, nil
	case n >= r.Limit && most <= r.Limit:
		return first, items, tooMany // a full page shows it
	}
	there, err := r.isThere(ctx, w, most)
	if err == nil && there {
		err = tooMany
	}
	return first, items, err
}

// isThere reports whether there is a record at an offset, as the list claims.
func (r *Reader[T]) isThere(ctx context.Context, w cursor.Window, offset int) (bool, error) {
	var err error
	refused := r.isBeyondReach(w, offset)
	if !refused {
		var beyond page
		beyond, _, err = r.getPage(ctx, w, 1, offset)
		if refused = workspace.IsRefused(err); !refused {
			return err == nil && len(beyond.ids) > 0, err
		}
	}
	return r.claims.haveComeTrue() && !w.IsSmallest(), nil
}

// fill reads the pages of a reading that have no answer yet. A failure ends the others,
// but not one for too many requests: what the API has granted others meanwhile is kept.
func (r *Reader[T]) fill(ctx context.Context, a *reading[T]) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failed atomic.Bool
	var first error // what ended the others, and not what they then ended with
	var group errgroup.Group
	group.SetLimit(maxPagesAtOnce)
	if a.throttled {
		group.SetLimit(1)
	}
	a.items = append(a.items, make([][]T, len(a.pages)-len(a.items))...)
	for i := range a.pages {
		if a.pages[i].read {
			continue
		}
		group.Go(func() error {
			if failed.Load() {
				return nil
			}
			p, items, err := r.getPage(ctx, a.window, r.Limit, a.pages[i].offset)
			if err == nil {
				a.pages[i], a.items[i] = p, items
				return nil
			}
			if failed.CompareAndSwap(false, true) {
				first = err
			}
			if !workspace.IsThrottled(err) {
				cancel()
			}
			return nil
		})
	}
	_ = group.Wait()
	return first
}
