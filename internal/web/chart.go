package web

import (
	"time"

	"github.com/workspace-exporter/workspace_exporter/collector"
)

// chartHeight is the height of the drawing, in units of its own. A quarter of an hour
// is one unit wide.
const chartHeight = 100

// leastHeight is the least height of a bar that is not 0: one failure among thousands of
// attempts must be visible.
const leastHeight = 3

// chart is the drawing of the last day of a source.
type chart struct {
	Bars   []bar
	Unread []unread
	Hours  []hour
	Ticks  []tick
	// Top is the number at the upper end of the axis.
	Top                int64
	Attempts, Failures int64
	Width, Height      int64
	First, Last        time.Time
}

// bar is one quarter of an hour: failures, and above them the attempts that did not fail.
type bar struct {
	collector.Quarter
	X, Y, Successes, Failed float64 // in units; Y is the upper end
}

// FailedY is the upper end of the failures.
func (b bar) FailedY() float64 { return chartHeight - b.Failed }

// unread is a time that was not read.
type unread struct{ X, Width int64 }

// tick is a time on the axis.
type tick struct {
	X  int64
	At time.Time
}

// Percent is where the tick is, from left to right.
func (t tick) Percent() float64 { return 100 * float64(t.X) / float64(collector.DayQuarters) }

// Anchor is the part of the tick's text that is at the tick: no text may leave the drawing.
func (t tick) Anchor() string {
	switch {
	case t.Percent() < 7:
		return "start"
	case t.Percent() > 93:
		return "end"
	}
	return "middle"
}

// hour is a row of the table below the drawing.
type hour struct {
	Start              time.Time
	Attempts, Failures int64
	Read               bool // the whole hour
}

// newChart draws the day up to now. It returns nil if nothing of it was read.
func newChart(day []collector.Quarter, now time.Time) *chart {
	if len(day) == 0 {
		return nil
	}
	last := now.UTC().Truncate(collector.QuarterLength)
	first := last.Add(-time.Duration(collector.DayQuarters-1) * collector.QuarterLength)
	c := &chart{Width: collector.DayQuarters, Height: chartHeight, First: first, Last: last.Add(collector.QuarterLength)}
	byStart := make(map[time.Time]collector.Quarter, len(day))
	for _, q := range day {
		byStart[q.Start] = q
		if !q.Start.Before(first) {
			c.Top = max(c.Top, q.Attempts, q.Failures)
		}
	}
	c.Top = roundUp(c.Top)
	for x := range collector.DayQuarters {
		start := first.Add(time.Duration(x) * collector.QuarterLength)
		q, read := byStart[start]
		_, before := byStart[start.Add(-collector.QuarterLength)]
		if x == collector.DayQuarters-1 && before {
			read = true // it has just begun: the next poll will read it
		}
		if !read {
			c.addUnread(x)
		}
		c.count(q, start, read)
		if start.Equal(start.Truncate(6 * time.Hour)) {
			c.Ticks = append(c.Ticks, tick{x, start})
		}
		if q.Attempts+q.Failures > 0 {
			c.Bars = append(c.Bars, c.bar(float64(x), q))
		}
	}
	return c
}

func (c *chart) addUnread(x int64) {
	if n := len(c.Unread); n > 0 && c.Unread[n-1].X+c.Unread[n-1].Width == x {
		c.Unread[n-1].Width++
		return
	}
	c.Unread = append(c.Unread, unread{x, 1})
}

// count adds a quarter to the totals and to its row of the table.
func (c *chart) count(q collector.Quarter, start time.Time, read bool) {
	c.Attempts += q.Attempts
	c.Failures += q.Failures
	if n := len(c.Hours); n == 0 || !c.Hours[n-1].Start.Equal(start.Truncate(time.Hour)) {
		c.Hours = append(c.Hours, hour{Start: start.Truncate(time.Hour), Read: true})
	}
	h := &c.Hours[len(c.Hours)-1]
	h.Attempts += q.Attempts
	h.Failures += q.Failures
	h.Read = h.Read && read
}

func (c *chart) bar(x float64, q collector.Quarter) bar {
	height := func(n int64) float64 {
		if n <= 0 {
			return 0
		}
		return max(leastHeight, chartHeight*float64(n)/float64(c.Top))
	}
	failed := height(q.Failures)
	// A success that turned into a failure may fail in another quarter than it began.
	successes := min(height(q.Attempts-q.Failures), chartHeight-failed)
	return bar{q, x, chartHeight - failed - successes, successes, failed}
}

// roundUp is the next number that an axis may end at.
func roundUp(n int64) int64 {
	for unit := int64(1); ; unit *= 10 {
		for _, step := range []int64{1, 2, 3, 4, 5, 6, 8} {
			if unit*step >= n {
				return unit * step
			}
		}
	}
}
