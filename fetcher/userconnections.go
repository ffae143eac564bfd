package fetcher

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// pageLimit is the most records that the API gives in one page.
const pageLimit = 100

// maxPasses is how often a list that does not hold still is read from the start. An
// API that shuffles the records of one second anew for each page needs the most.
const maxPasses = 12

// PageLister gets one page of login records; workspace.Client is one.
type PageLister interface {
	ListUserConnections(context.Context, workspace.UserConnectionQuery) (*workspace.UserConnectionPage, error)
}

// UserConnections reads login records by pages (system S1).
//
// The list may move while it is read. Pages overlap, so that whatever shifts the list
// between two pages shows at their seam; and the records of all pages must be as many
// as the API says there are. Otherwise all is read again, cut into pages at other
// places, until several passes together prove that none is missing.
//
// What one pass cannot show is a record that changes its place in the list at the very
// moment when another one vanishes before it and a third appears behind it. A window
// is read again as long as the lookback reaches; that finds it.
type UserConnections struct {
	API PageLister
	// Mismatch is called for a window that holds still, and still holds another
	// number of records than the API says.
	Mismatch func()
}

// pass is one reading of all pages of a window.
type pass struct {
	count  int // as the API said when the pass began; -1 if it did not
	logins []record.Login
	ids    map[record.Identity]struct{}
	// steady is true if every page begins with what the one before it ended with.
	steady bool
	// counted is true if all pages tell the same count, and end where it says.
	counted bool
}

// errMoved is when a list changed whenever it was read.
var errMoved = errors.New("the list of records changed each time while it was read; the window is cut smaller and read again")

// TooManyError is when a window holds more records than were wanted of it.
type TooManyError struct{ Count int }

func (e *TooManyError) Error() string { return fmt.Sprintf("the window holds %d records", e.Count) }

// Read returns every record of the window. It asks for no more than one page if
// there are more than most records, and returns a *TooManyError then; 0 is no limit.
func (u *UserConnections) Read(ctx context.Context, from, to time.Time, most int) ([]record.Login, error) {
	var all []record.Login
	var passes []*pass
	for len(passes) < maxPasses {
		p, err := u.read(ctx, window{from, to}, most, 1+len(passes))
		if err != nil {
			return nil, err
		}
		all = merge(p.logins, all)
		passes = append(passes, p)
		if p.holds() || holdTogether(passes) {
			return all, nil
		}
		if stoodStill(passes) {
			if p.count >= 0 {
				u.Mismatch()
			}
			return all, nil
		}
	}
	return nil, errMoved
}

// holds reports whether the pass alone proves that it saw every record.
func (p *pass) holds() bool {
	if p.count < 0 { // one page that is not full needs no other proof
		return p.steady && len(p.logins) < pageLimit
	}
	return p.steady && p.counted && len(p.ids) == p.count
}

// holdTogether reports whether passes prove together that they saw every record,
// however the list moved. A record that was seen before an instant and after it was
// there at that instant: if those are as many as the API counted then, none is missing.
func holdTogether(passes []*pass) bool {
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

// stoodStill reports whether the last two passes saw the same, and nothing moved: if
// the count is another, then the count is wrong, or the source repeats an id.
func stoodStill(passes []*pass) bool {
	if len(passes) < 2 {
		return false
	}
	a, b := passes[len(passes)-2], passes[len(passes)-1]
	return a.steady && b.steady && maps.Equal(a.ids, b.ids)
}

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
func (u *UserConnections) read(ctx context.Context, w window, most, overlap int) (*pass, error) {
	first, err := u.page(ctx, w, 0)
	if err != nil {
		return nil, err
	}
	if most > 0 && first.count > most {
		return nil, &TooManyError{first.count}
	}
	// A server that gives less than was asked for sets the size of the pages.
	c := cutting{size: len(first.logins)}
	c.stride = max(1, c.size-min(overlap, 1+c.size/8))
	pages := []page{first}
	if c.size == 0 || c.size == first.count {
		return c.join(pages), nil
	}
	if pages, err = u.counted(ctx, w, c, pages); err == nil {
		pages, err = u.uncounted(ctx, w, c, pages, most)
	}
	if err != nil {
		return nil, err
	}
	return c.join(pages), nil
}

// counted adds the pages that the first one's count tells of, read at once.
func (u *UserConnections) counted(ctx context.Context, w window, c cutting, pages []page) ([]page, error) {
	for offset := c.stride; offset+c.size-c.stride < pages[0].count; offset += c.stride {
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
	return pages, group.Wait()
}

// uncounted adds page after page until one is not full, if there are more records
// than the count tells, or no count.
func (u *UserConnections) uncounted(ctx context.Context, w window, c cutting, pages []page, most int) ([]page, error) {
	for {
		last := pages[len(pages)-1]
		end := last.offset + len(last.logins)
		if end <= pages[0].count || len(last.logins) < c.size {
			return pages, nil
		}
		if most > 0 && end > most {
			return nil, &TooManyError{end}
		}
		next, err := u.page(ctx, w, last.offset+c.stride)
		if err != nil {
			return nil, err
		}
		pages = append(pages, next)
		if _, fits := c.seam(last, next); !fits {
			return pages, nil // it has moved, or knows no offset: this pass proves nothing
		}
	}
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

// cutting is how a list is cut into pages: their size, and how far one begins behind
// the other.
type cutting struct{ size, stride int }

// seam returns what a page holds beyond the one before it, and whether it begins as
// that one ends.
func (c cutting) seam(before, p page) (rest []record.Login, fits bool) {
	shared := before.logins[min(c.stride, len(before.logins)):]
	if len(p.logins) < len(shared) || !slices.EqualFunc(shared, p.logins[:len(shared)], sameRecord) {
		return p.logins, false
	}
	rest = p.logins[len(shared):]
	return rest, len(rest) == 0 || len(shared) > 0 && len(before.logins) >= c.size
}

func sameRecord(a, b record.Login) bool { return a.ID == b.ID }

// join puts pages together.
func (c cutting) join(pages []page) *pass {
	first, last := pages[0], pages[len(pages)-1]
	p := &pass{count: first.count, logins: slices.Clone(first.logins), steady: true,
		counted: last.offset+len(last.logins) == first.count, ids: map[record.Identity]struct{}{}}
	for i := 1; i < len(pages); i++ {
		rest, fits := c.seam(pages[i-1], pages[i])
		p.logins = append(p.logins, rest...)
		p.steady = p.steady && fits
		p.counted = p.counted && pages[i].count == first.count
	}
	p.tellApart()
	for i := range p.logins {
		p.ids[p.logins[i].ID] = struct{}{}
	}
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
