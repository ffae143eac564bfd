package fetcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// pageLimit is the most records that the API gives in one page.
const pageLimit = 100

// maxPasses is how often a list that does not hold still is read from the start.
const maxPasses = 6

// PageLister gets one page of login records; workspace.Client is one.
type PageLister interface {
	ListUserConnections(context.Context, workspace.UserConnectionQuery) (*workspace.UserConnectionPage, error)
}

// UserConnections reads login records by pages (system S1).
//
// The list may move while it is read. Pages overlap by one record, so that whatever
// shifts the list between two pages shows at their seam; and the records of all
// pages must be as many as the API says there are. Otherwise all is read again.
type UserConnections struct {
	API PageLister
	// Mismatch is called for a window that holds still, and still holds another
	// number of records than the API says.
	Mismatch func()
}

// pass is one reading of all pages of a window.
type pass struct {
	count  int // as the API says; -1 if it does not
	logins []record.Login
	steady bool // nothing moved between the pages, as far as the pages tell
}

// errMoved is when a list changed whenever it was read.
var errMoved = errors.New("the list of records changed each time while it was read; the window is cut smaller and read again")

// TooManyError is when a window holds more records than were wanted of it.
type TooManyError struct{ Count int }

func (e *TooManyError) Error() string { return fmt.Sprintf("the window holds %d records", e.Count) }

// Read returns every record of the window. It asks for no more than one page if
// there are more than most records, and returns a *TooManyError then; 0 is no limit.
func (u *UserConnections) Read(ctx context.Context, from, to time.Time, most int) ([]record.Login, error) {
	var earlier []record.Login
	var before *pass
	for range maxPasses {
		p, err := u.read(ctx, window{from, to}, most)
		if err != nil {
			return nil, err
		}
		if p.holds() {
			return merge(p.logins, earlier), nil
		}
		if before != nil && before.count == p.count && slices.EqualFunc(before.logins, p.logins, sameRecord) {
			if p.count >= 0 {
				u.Mismatch()
			}
			return merge(p.logins, earlier), nil
		}
		earlier = merge(p.logins, earlier)
		before = p
	}
	return nil, errMoved
}

// holds reports whether the pass alone proves that it saw every record.
func (p *pass) holds() bool {
	if !p.steady {
		return false
	}
	if p.count < 0 { // one page that is not full needs no proof
		return len(p.logins) < pageLimit
	}
	return distinct(p.logins) == p.count
}

func distinct(logins []record.Login) int {
	ids := make(map[record.Identity]struct{}, len(logins))
	for i := range logins {
		ids[logins[i].ID] = struct{}{}
	}
	return len(ids)
}

func sameRecord(a, b record.Login) bool { return a.ID == b.ID }

// merge adds to a pass the records that only earlier passes saw: they were there.
func merge(logins, earlier []record.Login) []record.Login {
	if len(earlier) == 0 {
		return logins
	}
	seen := make(map[record.Identity]struct{}, len(logins))
	for i := range logins {
		seen[logins[i].ID] = struct{}{}
	}
	for _, l := range earlier {
		if _, ok := seen[l.ID]; !ok {
			logins = append(logins, l)
		}
	}
	return logins
}

// read reads all pages of a window once.
func (u *UserConnections) read(ctx context.Context, w window, most int) (*pass, error) {
	first, err := u.page(ctx, w, 0)
	switch {
	case err != nil:
		return nil, err
	case most > 0 && first.count > most:
		return nil, &TooManyError{first.count}
	case first.count < 0 && len(first.logins) >= pageLimit:
		return u.readUncounted(ctx, w, first)
	case first.count < 0, len(first.logins) >= first.count, len(first.logins) == 0:
		return newPass(first.count, [][]record.Login{first.logins}, len(first.logins) >= first.count), nil
	}
	// A server that gives less than was asked for sets the size of the pages.
	size := len(first.logins)
	stride := max(1, size-1)
	pages := make([]page, 1, 1+first.count/stride)
	pages[0] = first
	for offset := stride; offset+size-stride < first.count; offset += stride {
		pages = append(pages, page{offset: offset})
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxPagesAtOnce)
	for i := 1; i < len(pages); i++ {
		group.Go(func() (err error) {
			pages[i], err = u.page(ctx, w, pages[i].offset)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return join(pages, first.count, size), nil
}

// maxPagesAtOnce bounds the goroutines of one reading; how many requests are really
// in flight is the client's to decide.
const maxPagesAtOnce = 16

// page is what the API gave at an offset.
type page struct {
	offset, count int
	logins        []record.Login
}

func (u *UserConnections) page(ctx context.Context, w window, offset int) (page, error) {
	answer, err := u.API.ListUserConnections(ctx, workspace.UserConnectionQuery{From: w.from, To: w.to, Limit: pageLimit, Offset: offset})
	if err != nil {
		return page{}, err
	}
	p := page{offset: offset, count: answer.Count, logins: make([]record.Login, len(answer.Items))}
	for i := range answer.Items {
		p.logins[i] = answer.Items[i].Login()
	}
	return p, nil
}

// join puts pages together that overlap by one record.
func join(pages []page, count, size int) *pass {
	steady := true
	parts := make([][]record.Login, len(pages))
	for i, p := range pages {
		parts[i] = p.logins
		last := i == len(pages)-1
		if p.count != count || !last && len(p.logins) != size || last && p.offset+len(p.logins) != count {
			steady = false
		}
		if i == 0 || size < 2 {
			continue
		}
		before := pages[i-1].logins
		if len(before) == 0 || len(p.logins) == 0 || before[len(before)-1].ID != p.logins[0].ID {
			steady = false
			continue
		}
		parts[i] = p.logins[1:]
	}
	return newPass(count, parts, steady)
}

// readUncounted reads page after page until one is not full, for a server that does
// not say how many records there are. Only a second pass can prove it right.
func (u *UserConnections) readUncounted(ctx context.Context, w window, p page) (*pass, error) {
	parts := [][]record.Login{p.logins}
	for offset := len(p.logins); len(p.logins) > 0; offset += len(p.logins) {
		var err error
		if p, err = u.page(ctx, w, offset); err != nil {
			return nil, err
		}
		parts = append(parts, p.logins)
	}
	return newPass(-1, parts, false), nil
}

func newPass(count int, parts [][]record.Login, steady bool) *pass {
	p := &pass{count: count, logins: slices.Concat(parts...), steady: steady}
	p.tellApart()
	return p
}

// tellApart numbers items that are not objects and look the same: they have nothing
// else to be told apart by.
func (p *pass) tellApart() {
	seen := map[record.Identity]int{}
	for i := range p.logins {
		if l := &p.logins[i]; l.Malformed {
			n := seen[l.ID]
			seen[l.ID]++
			l.ID[0] += byte(n)
			l.Invariant = l.ID
		}
	}
}
