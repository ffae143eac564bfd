package fetcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
)

// pageLimit is the most records that most lists of the API give in one page.
const pageLimit = 100

// maxPiece is the longest window that is read and committed as one. A variable for tests.
var maxPiece = 12 * time.Hour

// Records that one piece may have: so many that memory and the time to a commit stay
// small as long as the piece can be cut, and no more than can be true when it cannot.
const (
	maxRecords        = 5000
	maxRecordsASecond = 500_000
)

// pieces is a window that is read piece by piece, from old to new.
type pieces struct {
	todo    cursor.Window
	done    time.Time      // all before it has been read
	length  time.Duration  // of the next piece
	longest time.Duration  // that a piece may be
	overlap time.Duration  // how much of what is done the next piece reads again
	first   *cursor.Window // the first piece, if it is a certain one
	likely  int            // how many records a piece of that length has, as far as can be told; 0: it cannot
	empty   time.Duration  // a next piece of this length shows nothing, though it is to have records; 0: none does
	tooLong time.Duration  // a next piece of this length is too large; 0: none is
	uncut   bool           // the next piece is to be read as it is: a shorter one shows nothing
	sure    time.Time      // what is believed to be now; zero if the window ends before
	over    bool
	windows windowTest
}

// windowTest is what is known of how a list takes its windows.
type windowTest int

const (
	windowsUntested windowTest = iota
	windowsHeeded
	windowsIgnored // all is read as one piece
)

func (p *pieces) next() cursor.Window {
	if p.first != nil {
		return *p.first
	}
	return p.after(p.done)
}

// after is the piece that follows when all before done has been read.
func (p *pieces) after(done time.Time) cursor.Window {
	overlap := p.overlap
	if p.length <= cursor.Second {
		overlap = min(overlap, cursor.MinSeam)
	}
	piece := p.todo.Cut(done, overlap, p.length)
	if p.length == maxPiece && !p.sure.IsZero() && !piece.To.Before(p.sure) {
		piece.To = p.todo.To // where nothing should be, one piece is enough
	}
	return piece
}

// most is how many records the next piece may have, of which there are to be so many at
// most as long as it can be cut.
func (p *pieces) most(records int) int {
	if p.windows == windowsIgnored {
		return max(records, maxRecordsASecond)
	}
	if p.length <= cursor.Second {
		return maxRecordsASecond
	}
	if p.uncut {
		return 0
	}
	return records
}

// read notes that a piece has been read. The next one may be longer, unless it
// would be likely to have too many records.
func (p *pieces) read(piece cursor.Window, records, most int) {
	length, longer := piece.To.Sub(p.done), min(2*p.length, p.longest)
	p.done, p.first, p.over = piece.To, nil, !piece.To.Before(p.todo.To)
	p.empty, p.tooLong, p.uncut = 0, 0, false
	switch {
	case length < p.length: // it was begun when pieces were shorter
		if float64(records)*float64(p.length) > float64(most)*float64(length) {
			p.length, p.likely = length, records // as they should be again: a longer one is likely to have too many
		}
	case 2*records <= most && longer > p.length:
		p.length, p.likely = longer, 0
	default:
		p.likely = max(1, records)
	}
}

// adapt changes the next piece after an error, and reports whether there is any sense in
// it. What is too large is cut, down to a second. What shows nothing, though it is to have
// records, may do so because the count is not of the window: a longer piece shows
// something to judge the count by, if there is anything.
func (p *pieces) adapt(piece cursor.Window, err error, most int) bool {
	if p.windows == windowsIgnored && !workspace.IsRefused(err) {
		return false // a smaller one would show the same
	}
	length := min(p.length, piece.To.Sub(p.done))
	var next time.Duration
	switch {
	case paging.IsTooLarge(err) && length <= cursor.Second && length < p.length:
		p.length, p.first, p.likely = cursor.Second, nil, 0 // it is the last one, and its overlap can be cut
		return true
	case errors.Is(err, paging.ErrNoItems):
		if p.empty = length; !piece.To.Before(p.todo.To) {
			return false
		}
		next = 2 * length
	case paging.IsTooLarge(err):
		p.tooLong = length
		next = time.Duration(p.share(err, most) * float64(length))
	default:
		return false
	}
	if p.tooLong > 0 && p.empty > 0 {
		next = (p.empty + p.tooLong) / 2
	}
	next = max(cursor.Second, next.Truncate(time.Second))
	if p.empty > 0 && p.tooLong > 0 && next <= p.empty && !p.uncut {
		p.uncut, next = true, p.tooLong // all that it has is in its last second
	} else if next == length || next <= p.empty || p.tooLong > 0 && next >= p.tooLong {
		return false
	}
	p.likely = 0
	if many := (*paging.TooManyError)(nil); errors.As(err, &many) && many.Count > most {
		p.likely = int(float64(many.Count) * float64(next) / float64(length))
	}
	p.length, p.first = next, nil
	p.cutOverlap()
	return true
}

// cutOverlap has a lookback read as pieces of its own: what is too large is read by pages, and
// the lookback alone may be too large for one piece. It is not left out, since what was read
// last may be the file of a task from before a restart: it has nothing that came since.
func (p *pieces) cutOverlap() {
	if longer := p.overlap - cursor.Seam; longer > 0 {
		p.overlap, p.done = cursor.Seam, later(p.todo.From, p.done.Add(-longer))
		p.empty, p.tooLong = 0, 0 // they were measured from where it was done
	}
}

// share is what to cut of a piece that is too large.
func (p *pieces) share(err error, most int) float64 {
	var many *paging.TooManyError
	if errors.As(err, &many) { // how many there are is a claim, and they may lie unevenly
		return min(0.5, max(0.8*float64(most)/float64(many.Count), 1./16))
	}
	if errors.Is(err, paging.ErrMoved) {
		return 0.125 // that has cost many requests
	}
	return 0.25
}

// test finds out, once, whether the list ignores its windows, and makes one piece of what
// is left if it does. An API that refuses so small a window does not ignore it.
func (p *pieces) test(ctx context.Context, ignores func(context.Context, cursor.Window) (bool, error)) error {
	if p.windows != windowsUntested || p.todo.Length() < 4*cursor.Seam {
		return nil
	}
	ignored, err := ignores(ctx, p.todo)
	if err != nil && !workspace.IsRefused(err) {
		return err
	}
	p.windows = windowsHeeded
	if ignored {
		p.windows = windowsIgnored
		p.longest = p.todo.Length()
		p.length, p.tooLong, p.empty = p.longest, 0, 0
	}
	return nil
}

// errWindowIgnored is when a list ignores its window and is too large to be read as a whole.
var errWindowIgnored = errors.New("the list ignores the window it is asked for, and has too many records to be read as a whole; " +
	"report it to the vendor, and read this source by export until then")

// errShuffled is when pages do not prove a second, though it cannot be cut.
var errShuffled = errors.New("one second of the list has pages that change, or are shuffled, at each request, and its count does not come true: " +
	"nothing proves them whole; report it to the vendor, and read this source by export until then")

// explain gives the cause of an error, if it is that the list ignores its windows, or shuffles
// what cannot be cut.
func (p *pieces) explain(err error) error {
	if errors.Is(err, paging.ErrMoved) && (p.length <= cursor.Second || p.uncut) {
		return reasonError{fmt.Errorf("%w: %w", errShuffled, err), Unreadable}
	}
	if p.windows == windowsIgnored && paging.IsTooLarge(err) {
		return reasonError{fmt.Errorf("%w: %w", errWindowIgnored, err), Unreadable}
	}
	return err
}
