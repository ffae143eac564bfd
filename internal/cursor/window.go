package cursor

import (
	"fmt"
	"time"
)

// Window is a stretch of the server's time.
type Window struct{ From, To time.Time }

func (w Window) String() string {
	return fmt.Sprintf("%s to %s", w.From.Format(time.RFC3339), w.To.Format(time.RFC3339))
}

// Length is how long the window is.
func (w Window) Length() time.Duration { return w.To.Sub(w.From) }

// Bounds are the window's ends.
func (w Window) Bounds() (from, to time.Time) { return w.From, w.To }

// IsSmallest reports whether a window cannot be cut.
func (w Window) IsSmallest() bool { return w.Length() <= Second+MinSeam }

// Cut takes the next piece off a window of which all before done has been read. It begins
// an overlap before done, and ends at most a length behind it.
func (w Window) Cut(done time.Time, overlap, length time.Duration) Window {
	piece := w
	if from := done.Add(-overlap); from.After(w.From) {
		piece.From = from
	}
	if to := done.Add(length); to.Before(w.To) {
		piece.To = to
	}
	return piece
}

// Around are windows that show times, which are in order. Times that lie less than
// joinWithin apart share one, and no window has more than most of them.
func Around(times []time.Time, most int) []Window {
	var windows []Window
	n := 0
	for _, t := range times {
		w := Window{t.Add(-2 * Edge).Truncate(Second), t.Add(2 * Edge).Truncate(Second)}
		if last := len(windows) - 1; last >= 0 && n < most && w.From.Sub(windows[last].To) < joinWithin {
			windows[last].To = w.To
			n++
			continue
		}
		windows = append(windows, w)
		n = 1
	}
	return windows
}

const joinWithin = 10 * time.Minute

// Covered is how many of the times, which are in order and begin within the window, it
// shows for certain.
func (w Window) Covered(times []time.Time) int {
	n := 0
	for n < len(times) && !times[n].After(w.To.Add(-Edge)) {
		n++
	}
	return n
}
