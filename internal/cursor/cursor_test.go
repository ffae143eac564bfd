package cursor

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// list is one way in which a list may take its window.
type list struct {
	exclusiveFrom, exclusiveTo bool
	minutes                    bool // it is asked in whole minutes that hold all of the window
	// How a record's time is compared with each end: index of resolutions.
	resolvedFrom, resolvedTo int
}

var resolutions = []func(time.Time) time.Time{
	func(at time.Time) time.Time { return at },
	func(at time.Time) time.Time { return at.Truncate(Second) },
	func(at time.Time) time.Time { return at.Round(Second) },
	func(at time.Time) time.Time { return at.Add(Second - 1).Truncate(Second) }, // up
}

// lists are all the ways that are conceivable.
func lists() (all []list) {
	for from := range resolutions {
		for to := range resolutions {
			for i := range 8 {
				all = append(all, list{i&1 != 0, i&2 != 0, i&4 != 0, from, to})
			}
		}
	}
	return all
}

func anyList(t *rapid.T) list { return lists()[rapid.IntRange(0, len(lists())-1).Draw(t, "list")] }

// isConsistent reports whether the list compares the same time with both ends.
func (l list) isConsistent() bool { return l.resolvedFrom == l.resolvedTo }

// shows reports whether a list shows a record with a time. Requests have whole seconds.
func (l list) shows(w Window, at time.Time) bool {
	from, to := w.From.Truncate(Second), w.To.Truncate(Second)
	if l.minutes {
		from, to = from.Truncate(time.Minute), to.Add(time.Minute-1).Truncate(time.Minute)
	}
	atFrom, atTo := resolutions[l.resolvedFrom](at), resolutions[l.resolvedTo](at)
	return (atFrom.After(from) || atFrom.Equal(from) && !l.exclusiveFrom) && (atTo.Before(to) || atTo.Equal(to) && !l.exclusiveTo)
}

func seconds(t *rapid.T, most int, name string) time.Duration {
	return time.Duration(rapid.IntRange(0, most).Draw(t, name)) * time.Second
}

func millis(t *rapid.T, least, most time.Duration, name string) time.Duration {
	return time.Duration(rapid.Int64Range(int64(least/time.Millisecond), int64(most/time.Millisecond)).Draw(t, name)) * time.Millisecond
}

// step divides a second, for tests of all that lies around an end.
const step = 125 * time.Millisecond

// A record is shown by every list if its time lies Edge inside of the window: the time that
// is known of it, which may be cut or rounded, while the list selects by another.
func TestEdge(t *testing.T) {
	for length := 2 * Edge; length < 2*Edge+3*Second; length += Second {
		w := Window{noon, noon.Add(length)}
		for at := w.From; at.Before(w.To); at = at.Add(step) {
			for _, resolve := range resolutions {
				known := resolve(at)
				for i, l := range lists() {
					if !known.Before(w.From.Add(Edge)) && !known.After(w.To.Add(-Edge)) && !l.shows(w, at) {
						t.Fatalf("list %d of %s does not show %s, known as %s", i, w, at, known)
					}
				}
			}
		}
	}
}

// Where a window begins Seam before the end of the one before it, every list shows in one
// of them what lies there.
func TestSeam(t *testing.T) {
	first := Window{noon.Add(-time.Minute), noon}
	next := Window{noon.Add(-Seam), noon.Add(time.Minute)}
	for at := noon.Add(-2 * Seam); at.Before(noon.Add(2 * Seam)); at = at.Add(step) {
		for i, l := range lists() {
			if !l.shows(first, at) && !l.shows(next, at) {
				t.Fatalf("list %d shows %s neither in %s nor in %s", i, at, first, next)
			}
		}
	}
}

// However a window is cut, every list shows all of it in one piece or another, and the
// pieces come to an end.
func TestPiecesCoverTheWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, w := anyList(t), Window{noon, noon.Add(seconds(t, 100_000, "length"))}
		var pieces []Window
		for done := w.From; ; {
			shortest := 1 + int(w.Length()/Second)/50
			length := time.Duration(rapid.IntRange(shortest, 10_000).Draw(t, "piece")) * Second
			overlap := Seam
			if length == Second && l.isConsistent() {
				overlap = MinSeam
			}
			piece := w.Cut(done, overlap, length)
			require.False(t, piece.From.Before(w.From))
			require.False(t, piece.To.After(w.To))
			if pieces = append(pieces, piece); piece.To.Equal(w.To) {
				break
			}
			require.True(t, piece.To.After(done), "no progress")
			require.LessOrEqual(t, len(pieces), 50)
			done = piece.To
		}
		shown := func(at time.Time) bool {
			for _, piece := range pieces {
				if l.shows(piece, at) {
					return true
				}
			}
			return false
		}
		for _, piece := range pieces { // what is lost is lost where two pieces meet
			at := piece.To.Add(millis(t, -3*Second, 3*Second, "time"))
			if !at.Before(w.From.Add(Edge)) && !at.After(w.To.Add(-Edge)) {
				require.True(t, shown(at), "%s of %s", at, pieces)
			}
		}
	})
}

// Second by second, MinSeam is enough if both ends are compared with the same time.
func TestSecondsCoverTheWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := rapid.SampledFrom(slices.DeleteFunc(lists(), func(l list) bool { return !l.isConsistent() })).Draw(t, "list")
		w := Window{noon, noon.Add(20 * Second)}
		at := w.From.Add(millis(t, Edge, w.Length()-Edge, "time"))
		for done := w.From; done.Before(w.To); done = done.Add(Second) {
			piece := w.Cut(done, MinSeam, Second)
			require.True(t, piece.IsSmallest())
			if l.shows(piece, at) {
				return
			}
		}
		require.Fail(t, "no piece shows it")
	})
}

// No window from the horizon on shows what may be forgotten.
func TestWhatWindowsShowIsRemembered(t *testing.T) {
	for horizon := noon; horizon.Before(noon.Add(time.Minute)); horizon = horizon.Add(step) {
		w := Window{horizon.Truncate(Second), noon.Add(time.Hour)}
		for at := noon.Add(-2 * Second); at.Before(noon.Add(2 * Second)); at = at.Add(step) {
			for _, resolve := range resolutions {
				if !resolve(at).Before(Forgettable(horizon)) {
					continue
				}
				for i, l := range lists() {
					if l.shows(w, at) {
						t.Fatalf("list %d of %s shows %s, which is forgotten", i, w, at)
					}
				}
			}
		}
	}
}

// poll is a window that was read, and when.
type poll struct {
	Window
	at time.Time
}

// Polls at any interval, with any lookback, with pauses of weeks and clocks that go back:
// every list shows each record, also if it comes late, unless it lies in a gap that was
// told; and no window shows a record that may be forgotten.
func TestPollsShowAllAndOnlyWhatIsRemembered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := anyList(t)
		lookback, initial := seconds(t, 7200, "lookback"), seconds(t, 7200, "initial")
		var p Position
		var polls []poll
		var lost []Window
		now := noon
		for range rapid.IntRange(2, 20).Draw(t, "polls") {
			now = now.Add(rapid.SampledFrom([]time.Duration{-5 * Second, Second, 60 * Second, time.Hour, 20 * day, 31 * day}).Draw(t, "pause") + seconds(t, 59, "more"))
			w, gap := p.Backlog(lookback, initial, now)
			require.False(t, w.To.Before(w.From))
			require.False(t, w.From.Before(now.Add(-Reach).Truncate(Second)), "the API has it no more")
			oldest := w.From.Add(millis(t, -2*time.Minute, Second, "oldest"))
			if !p.Cursor.IsZero() && l.shows(w, oldest) {
				require.False(t, oldest.Before(Forgettable(p.Horizon)), "%s shows %s, forgotten before %s", w, oldest, Forgettable(p.Horizon))
			}
			if gap > 0 {
				lost = append(lost, Window{p.Cursor, p.Cursor.Add(gap)})
			}
			newest := time.Time{}
			if rapid.Bool().Draw(t, "records") {
				newest = w.To.Add(-millis(t, 0, max(0, w.Length()), "newest"))
			}
			before := p
			p.Advance(w, now, newest, lookback)
			require.False(t, p.Horizon.Before(before.Horizon), "what is forgotten stays so")
			polls = append(polls, poll{w, now})
		}
		at := polls[0].From.Add(Edge + millis(t, 0, max(0, now.Sub(polls[0].From)-2*Edge), "time"))
		comes := at.Add(millis(t, 0, max(0, lookback-Edge), "delay"))
		for _, w := range lost {
			if !at.Before(w.From.Add(-max(lookback, Seam)-Edge)) && !at.After(w.To.Add(Edge)) {
				return
			}
		}
		for _, p := range polls {
			if !p.at.Before(comes) && l.shows(p.Window, at) {
				return
			}
		}
		require.True(t, now.Before(comes.Add(Edge)) || at.After(now.Add(-Edge)), "no window of %s shows %s, which came at %s", polls, at, comes)
	})
}

func TestBacklog(t *testing.T) {
	const lookback, initial = 15 * time.Minute, time.Hour
	at := func(cursor, horizon time.Duration) Position {
		return Position{Cursor: noon.Add(cursor), Horizon: noon.Add(horizon)}
	}
	for name, c := range map[string]struct {
		position          Position
		lookback, initial time.Duration
		from, to, gap     time.Duration // from and to are relative to now
	}{
		"first poll":                        {Position{}, lookback, initial, -initial, 0, 0},
		"first poll without history":        {Position{}, lookback, 0, -Seam, 0, 0},
		"first poll asks for too much":      {Position{}, lookback, 60 * day, -Reach, 0, 0},
		"a minute later":                    {at(-time.Minute, -day), lookback, initial, -time.Minute - lookback, 0, 0},
		"no lookback":                       {at(-time.Minute, -day), 0, initial, -time.Minute - Seam, 0, 0},
		"lookback grew":                     {at(-time.Minute, -20*time.Minute), time.Hour, initial, -20 * time.Minute, 0, 0},
		"a week later":                      {at(-7*day, -8*day), lookback, initial, -7*day - lookback, 0, 0},
		"lookback is out of reach":          {at(-Reach+time.Minute, -31*day), lookback, initial, -Reach, 0, 0},
		"records are out of reach":          {at(-31*day, -32*day), lookback, initial, -Reach, 0, 31*day - Reach},
		"server's clock went back a little": {at(time.Minute, -day), lookback, initial, time.Minute - lookback, 0, 0},
		"server's clock went back far":      {at(time.Hour, -day), lookback, initial, time.Hour - lookback, time.Hour - lookback + Seam, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, gap := c.position.Backlog(c.lookback, c.initial, noon)
			assert.Equal(t, Window{noon.Add(c.from), noon.Add(c.to)}, w)
			assert.Equal(t, c.gap, gap)
		})
	}
	w, _ := Position{Cursor: noon.Add(-time.Minute + 300*time.Millisecond)}.Backlog(0, initial, noon)
	assert.Equal(t, noon.Add(-time.Minute-Seam), w.From, "the API's times are seconds")
}

func TestFollowing(t *testing.T) {
	const settle, first = 10 * time.Minute, time.Hour
	for name, c := range map[string]struct {
		cursor, settle time.Duration // cursor is relative to now; 1 is none
		from, to, gap  time.Duration
	}{
		"first":                  {1, settle, -settle - first, -settle, 0},
		"first without settling": {1, 0, -first, 0, 0},
		"first by milliseconds":  {1, 1500 * time.Millisecond, -first - 2*time.Second, -2 * time.Second, 0},
		"next":                   {-25 * time.Minute, settle, -25 * time.Minute, -settle, 0},
		"nothing settled":        {-settle, settle, -settle, -settle, 0},
		"settle has grown":       {-settle, time.Hour, -settle, -time.Hour, 0},
		"a week later":           {-7 * day, settle, -7 * day, -settle, 0},
		"just in reach":          {-Reach, settle, -Reach, -settle, 0},
		"out of reach":           {-40 * day, settle, -Reach, -settle, 40*day - Reach},
	} {
		t.Run(name, func(t *testing.T) {
			var p Position
			if c.cursor <= 0 {
				p.Cursor = noon.Add(c.cursor)
			}
			w, gap := p.Following(c.settle, first, noon)
			assert.Equal(t, Window{From: noon.Add(c.from), To: noon.Add(c.to)}, w)
			assert.Equal(t, c.gap, gap)
		})
	}
}

// Whenever polls come, fail, or read less than they were to: windows follow each other
// without overlap, leave out only what nobody can read, and end when they have settled.
func TestWindowsFollowEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const first = time.Hour
		settle := time.Duration(rapid.Int64Range(0, 3_600_000).Draw(t, "settle")) * time.Millisecond
		now, p := noon, Position{}
		var covered time.Time // up to where windows, and gaps, reach
		for range rapid.IntRange(1, 30).Draw(t, "polls") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 1, 7, 60, 900, 90_000, 4_000_000}).Draw(t, "later")) * time.Second)
			w, gap := p.Following(settle, first, now)
			require.False(t, w.To.After(now.Add(-settle)), "not settled")
			require.Equal(t, w.To, w.To.Truncate(time.Second))
			require.False(t, w.From.Before(now.Add(-Reach)), "out of reach")
			if !covered.IsZero() {
				require.Equal(t, covered.Add(gap), w.From)
				require.True(t, gap == 0 || w.From.Equal(now.Add(-Reach)), "no more is lost than has to be")
			}
			if !w.To.After(w.From) || rapid.Bool().Draw(t, "fails") {
				continue
			}
			covered = w.To.Add(-time.Duration(rapid.Int64Range(0, int64(w.Length()/time.Second)-1).Draw(t, "shorter")) * time.Second)
			p.Cursor = covered
		}
	})
}

func TestCut(t *testing.T) {
	w := Window{noon, noon.Add(time.Hour)}
	for name, c := range map[string]struct {
		done, length, from, to time.Duration
	}{
		"all":                    {0, 12 * time.Hour, 0, time.Hour},
		"first":                  {0, 10 * time.Minute, 0, 10 * time.Minute},
		"second":                 {10 * time.Minute, 10 * time.Minute, 10*time.Minute - Seam, 20 * time.Minute},
		"last":                   {55 * time.Minute, 10 * time.Minute, 55*time.Minute - Seam, time.Hour},
		"shorter than the seam":  {time.Second, time.Second, 0, 2 * time.Second},
		"shorter, further along": {10 * time.Second, time.Second, 10*time.Second - Seam, 11 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, Window{noon.Add(c.from), noon.Add(c.to)}, w.Cut(noon.Add(c.done), Seam, c.length))
		})
	}
}

// The windows around times show each of them, and no window is for nothing.
func TestAround(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, most := anyList(t), rapid.IntRange(1, 5).Draw(t, "most")
		at := noon
		var times []time.Time
		for range rapid.IntRange(0, 20).Draw(t, "times") {
			at = at.Add(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 3 * time.Second, time.Minute, time.Hour}).Draw(t, "later"))
			times = append(times, at)
		}
		rest := times
		for _, w := range Around(times, most) {
			n := w.Covered(rest)
			require.Positive(t, n)
			for _, at := range rest[:n] {
				require.False(t, at.Before(w.From.Add(Edge)) || at.After(w.To.Add(-Edge)), "too near to an end")
				require.True(t, l.shows(w, at))
			}
			require.LessOrEqual(t, w.Length(), time.Duration(most)*(joinWithin+4*Edge+Second))
			rest = rest[min(n, most):]
		}
		require.Empty(t, rest)
	})
	assert.Empty(t, Around(nil, 1))
}
