package fetcher

import (
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

const (
	// maxAge is how far back the API answers: 30 days, less what a poll may take.
	maxAge    = 30*24*time.Hour - ageMargin
	ageMargin = 10 * time.Minute
	// maxPiece is the longest window that is read and committed as one.
	maxPiece = 12 * time.Hour
	// minPiece is the shortest that a piece is cut to: the API's times are seconds.
	minPiece = time.Second
	// seam is how much a piece reads again of the one before it, since the ends of
	// a window may be exclusive.
	seam = 2 * time.Second
	// minSeam is the same where every record counts: each second lies within one of the
	// windows from the second before it to the one behind it, even without their ends.
	minSeam = time.Second
)

// window is a stretch of the server's time.
type window struct{ from, to time.Time }

// smallest reports whether a window cannot be cut.
func (w window) smallest() bool { return w.to.Sub(w.from) <= minPiece+minSeam }

func (w window) bounds() (from, to time.Time) { return w.from, w.to }

// backlog is all that a poll has to read: from the lookback behind the cursor until
// now, and never nothing: the server's clock is known only by what it answers. Gap is
// the time before it that nobody can read any more.
func backlog(p record.Position, lookback, initial time.Duration, now time.Time) (w window, gap time.Duration) {
	from := now.Add(-max(initial, seam))
	if !p.Cursor.IsZero() {
		from = p.Cursor.Add(-max(lookback, seam))
		if from.Before(p.Horizon) {
			from = p.Horizon
		}
	}
	if oldest := now.Add(-maxAge); from.Before(oldest) {
		if !p.Cursor.IsZero() && p.Cursor.Before(oldest) {
			gap = oldest.Sub(p.Cursor)
		}
		from = oldest
	}
	w = window{from.Truncate(time.Second), now}
	if w.to.Before(w.from) {
		w.to = w.from.Add(seam)
	}
	return w, gap
}

// cut takes the next piece of at most the given length off a window of which all
// before done has been read. It begins an overlap before that.
func (w window) cut(done time.Time, overlap, length time.Duration) window {
	piece := window{w.from, w.to}
	if from := done.Add(-overlap); from.After(w.from) {
		piece.from = from
	}
	if to := done.Add(length); to.Before(w.to) {
		piece.to = to
	}
	return piece
}

// around are windows for the times at which unfinished records may be found: times
// that lie close together share one, and no window has more than most of them.
func around(times []time.Time, most int) []window {
	var windows []window
	n := 0
	for _, t := range times {
		w := window{t.Add(-2 * seam).Truncate(time.Second), t.Add(2 * seam).Truncate(time.Second)}
		if last := len(windows) - 1; last >= 0 && n < most && w.from.Sub(windows[last].to) < joinWithin {
			windows[last].to = w.to
			n++
			continue
		}
		windows = append(windows, w)
		n = 1
	}
	return windows
}

// joinWithin is how far apart two times may be for one window to cover both.
const joinWithin = 10 * time.Minute
