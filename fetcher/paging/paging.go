// Package paging reads a list that moves while it is read, and returns it only with a
// proof that nothing is missing.
//
// The API gives a list page by page, by offset, and says with each page how many records
// there are. Between two requests, records may appear, vanish and change their places. The
// number is a claim: it may be right, belong to another window, or mean nothing.
//
// A pass reads all pages, each overlapping the one before it, up to where the list ends,
// whatever its claims: see layout. If a pass proves nothing, another one follows, cut into
// pages at other places. The reading is done when one of five arguments holds: see proof.
// What has been learnt of the claims is kept for the next reading: see claims.
//
//	Reader.Read ── pass ── layout (which pages) ── overlap (what two pages have in common)
//	     │
//	     └── evidence of all passes ── proof (why nothing is missing)
//
// The known limit is one change that looks like none: between two pages, a record leaves
// the part that is to come for the part that is done, while another one vanishes before it
// and a third appears behind it, so that length, overlaps and number stay as they were. A
// window of logins is read again for as long as the lookback reaches; that finds it. A list
// that changes at every request has no proof at all: ErrMoved.
package paging

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// List gets the pages of one list of the API.
type List[T any] struct {
	// Limit is the most items in one page.
	Limit int
	// Get gets one page; count is how many items the API claims that the window holds, and
	// -1 if the answer does not say.
	Get func(context.Context, workspace.PageQuery) (count int, items []T, err error)
}

// Reader reads one list of the API. It learns from each reading what the list's claims are
// worth, and so must not be copied.
type Reader[T any] struct {
	List[T]
	// Key is what tells an item from the others of its list. One that is malformed has
	// nothing else, and gets another identity if there are several that look the same.
	Key func(*T) (id *record.Identity, malformed bool)
	// Mismatch is called for a window whose records are stable, and yet of another number of
	// items than the API claims.
	Mismatch func()
	// Doubt is called for a window that cannot be cut, and of which nothing was proved for as long
	// as Patience, when what it has shown is returned. Nil: its reading fails each time.
	Doubt func(from, to time.Time)
	// Additive is true of items that are added up, each as often as it is returned. An
	// item is then nothing but its content, and stays in the list for as long as it does
	// not change. Otherwise, who gets a record twice, or in two versions, knows it again.
	Additive bool
	// Trusting takes a page that is not full, and has as many items as the API claims, for the
	// whole list, without looking behind it: one request for a short list. It is for lists
	// whose every reading takes the place of the one before.
	Trusting bool

	claims claims
	turns  turns
	doubts doubts
	mu     sync.Mutex
	kept   *reading[T] // what failed last
	keptAt time.Time
}

// KeptFor is how long the pages of a reading that failed are kept. The longest pause that
// the API may ask for is shorter.
const KeptFor = 20 * time.Minute

// A list that does not hold still is read so often from the start. An API that shuffles the
// records of one second for each page needs the most; a window that is longer is cut instead.
const (
	maxPasses     = 12
	maxLongPasses = 5
)

// ErrMoved is when a list changed in every pass, so that nothing is proved.
var ErrMoved = errors.New("the list of records changed each time while it was read")

// MovedError is an ErrMoved that says how many different items all passes have shown; 0 of
// additive ones. Who reads the window in another way is to find no fewer.
type MovedError struct{ Shown int }

func (*MovedError) Error() string { return ErrMoved.Error() }

// Is makes it an ErrMoved.
func (*MovedError) Is(target error) bool { return target == ErrMoved }

// RefusedError is an error of Get that refuses a page, and says how many different items all
// others have shown; 0 if it was the first. Who reads the window in another way is to find no fewer.
type RefusedError struct {
	Shown int
	Err   error
}

func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns what Get returned.
func (e *RefusedError) Unwrap() error { return e.Err }

// ErrNoItems is when a list claims to have records, and shows none.
var ErrNoItems = errors.New("the answer has no items")

// TooManyError is when a window holds more records than were wanted of it: as the API
// counts them, or as far as they were read.
type TooManyError struct{ Count, Read int }

func (e *TooManyError) Error() string { return fmt.Sprintf("the window holds %d records", e.Count) }

// IsTooLarge reports whether a smaller window may succeed.
func IsTooLarge(err error) bool {
	var many *TooManyError
	return errors.As(err, &many) || errors.Is(err, ErrMoved) || workspace.IsRefused(err)
}

// Read returns every item of a window. It fails with a *TooManyError after few pages if
// there are more than most (0: the window is not to be cut, and has what can be true), with a
// *MovedError, with ErrNoItems, with a *RefusedError, or with Get's error. If it is called again for the same window soon
// after a failure, it goes on with the pages that it has got.
//
// A window that cannot be cut, and that proves nothing for as long as Patience, is taken as it was
// seen: see Doubt.
func (r *Reader[T]) Read(ctx context.Context, w cursor.Window, most int) ([]T, error) {
	a := r.resume(w, most)
	items, err := r.read(ctx, a, most)
	if !errors.Is(err, ErrMoved) || r.Doubt == nil || !a.isUncut {
		return items, err
	}
	if r.GiveUp(w) {
		return a.all, nil
	}
	return nil, err
}

// GiveUp is called for a window that cannot be cut, and of which nothing is proved. It reports
// whether to take what it has shown, as Patience says, and says so to Doubt.
func (r *Reader[T]) GiveUp(w cursor.Window) bool {
	given, first := r.doubts.giveUp(w)
	if first && r.Doubt != nil {
		r.Doubt(w.Bounds())
	}
	return given
}

// ReadProved is Read without Patience, for whoever has another way to read what proves nothing.
func (r *Reader[T]) ReadProved(ctx context.Context, w cursor.Window, most int) ([]T, error) {
	return r.read(ctx, r.resume(w, most), most)
}

func (r *Reader[T]) read(ctx context.Context, a *reading[T], most int) ([]T, error) {
	passes := maxLongPasses
	if a.isUncut {
		passes = maxPasses
	}
	for len(a.passes) < passes {
		p, items, err := r.readPass(ctx, a, most)
		if err != nil {
			if ctx.Err() == nil { // otherwise it was given up, not refused
				r.keep(a, err)
			}
			return nil, r.withShown(a, err)
		}
		how, instant := r.conclude(a, p)
		if items = r.collect(a, items, how, instant); how != unproved {
			return items, nil
		}
	}
	return nil, &MovedError{Shown: len(setOf(r.ids(a.all)))}
}

// reading is the reading of a window, as far as it has come.
type reading[T any] struct {
	window  cursor.Window
	isUncut bool // no smaller window is asked for
	evidence
	all       []T                    // every record that any pass has shown
	versions  map[record.Identity]*T // of additive items, the newest
	pages     []page                 // of the pass under way
	items     [][]T                  // and what they hold
	throttled bool                   // the API refused a request because there were too many
}

// withShown adds to an error that refuses a page what others have shown.
func (r *Reader[T]) withShown(a *reading[T], err error) error {
	if !workspace.IsRefused(err) {
		return err
	}
	shown := setOf(r.ids(a.all))
	for i := range a.pages {
		for _, id := range a.pages[i].ids {
			shown[id] = struct{}{}
		}
	}
	return &RefusedError{len(shown), err}
}

// conclude adds a pass to the evidence, learns what it shows of the claims, and returns
// why nothing is missing by now.
func (r *Reader[T]) conclude(a *reading[T], p *pass) (how proof, instant int) {
	a.passes = append(a.passes, p)
	if p.matchesClaim() {
		r.claims.cameTrue(p.claim(), p.first)
	}
	how, instant = a.prove(r.Additive, r.claims.areTrusted())
	switch how {
	case byRepetition:
		if n := p.number(r.Additive); n != p.claim() && p.claim() >= 0 {
			r.Mismatch()
		}
		r.claims.compare(p.claim(), len(p.order))
	case byChain: // the list has moved, but the last answer shows where it ends and what it claims
		claim := p.claims[len(p.claims)-1]
		if claim != p.reached && claim >= 0 {
			r.Mismatch()
		}
		r.claims.compare(claim, p.reached)
	}
	a.forget()
	return how, instant
}

// collect adds the items of a pass to those of the passes before it, and returns all that
// the list holds, if that is proved.
func (r *Reader[T]) collect(a *reading[T], items []T, how proof, instant int) []T {
	switch {
	case !r.Additive:
		a.all = r.merge(items, a.all)
		return a.all
	case how == byInstant:
		items = nil
		for id, item := range a.versions {
			if a.wasThere(id, instant) {
				items = append(items, *item)
			}
		}
	}
	return items
}

// merge adds to a pass the records that only earlier passes saw: they were there.
func (r *Reader[T]) merge(items, earlier []T) []T {
	if len(earlier) == 0 {
		return items
	}
	shown := setOf(r.ids(items))
	for i := range earlier {
		if _, ok := shown[r.id(&earlier[i])]; !ok {
			items = append(items, earlier[i])
		}
	}
	return items
}

// keep keeps what a reading has got, if the next one may go on with it: what a quota has
// granted is not asked for again. It is bounded by what one window may hold.
func (r *Reader[T]) keep(a *reading[T], err error) {
	if IsTooLarge(err) || len(a.pages) == 0 && len(a.passes) == 0 {
		return
	}
	a.throttled = workspace.IsThrottled(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept, r.keptAt = a, time.Now()
}

// resume returns the reading of a window that failed shortly before, or a new one. One that
// has come to more records than are wanted by now is of no use.
func (r *Reader[T]) resume(w cursor.Window, most int) *reading[T] {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.kept; a != nil && a.window == w && time.Since(r.keptAt) < KeptFor {
		r.kept = nil
		a.isUncut = isUncut(w, most)
		if n := len(a.pages); most <= 0 || n == 0 || a.pages[n-1].offset < most {
			return a
		}
	}
	return &reading[T]{window: w, isUncut: isUncut(w, most)}
}

// isUncut reports whether a window of which so many records are wanted is not to be cut.
func isUncut(w cursor.Window, most int) bool { return most <= 0 || w.IsSmallest() }

func (r *Reader[T]) id(item *T) record.Identity {
	id, _ := r.Key(item)
	return *id
}

func (r *Reader[T]) ids(items []T) []record.Identity {
	ids := make([]record.Identity, len(items))
	for i := range items {
		ids[i] = r.id(&items[i])
	}
	return ids
}
