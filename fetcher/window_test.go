package fetcher

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func TestBacklog(t *testing.T) {
	const lookback, initial = 15 * time.Minute, time.Hour
	at := func(cursor, horizon time.Duration) record.Position {
		return record.Position{Cursor: noon.Add(cursor), Horizon: noon.Add(horizon)}
	}
	for name, c := range map[string]struct {
		position          record.Position
		lookback, initial time.Duration
		from, to, gap     time.Duration // from and to are relative to now
	}{
		"first poll":                        {record.Position{}, lookback, initial, -initial, 0, 0},
		"first poll without history":        {record.Position{}, lookback, 0, -seam, 0, 0},
		"first poll asks for too much":      {record.Position{}, lookback, 60 * day, -maxAge, 0, 0},
		"a minute later":                    {at(-time.Minute, -day), lookback, initial, -time.Minute - lookback, 0, 0},
		"no lookback":                       {at(-time.Minute, -day), 0, initial, -time.Minute - seam, 0, 0},
		"lookback grew":                     {at(-time.Minute, -20*time.Minute), time.Hour, initial, -20 * time.Minute, 0, 0},
		"a week later":                      {at(-7*day, -8*day), lookback, initial, -7*day - lookback, 0, 0},
		"lookback is out of reach":          {at(-maxAge+time.Minute, -31*day), lookback, initial, -maxAge, 0, 0},
		"records are out of reach":          {at(-31*day, -32*day), lookback, initial, -maxAge, 0, 31*day - maxAge},
		"server's clock went back a little": {at(time.Minute, -day), lookback, initial, time.Minute - lookback, 0, 0},
		"server's clock went back far":      {at(time.Hour, -day), lookback, initial, time.Hour - lookback, time.Hour - lookback + seam, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, gap := backlog(c.position, c.lookback, c.initial, noon)
			assert.Equal(t, window{noon.Add(c.from), noon.Add(c.to)}, w)
			assert.Equal(t, c.gap, gap)
		})
	}
	w, _ := backlog(record.Position{Cursor: noon.Add(-time.Minute + 300*time.Millisecond)}, 0, initial, noon)
	assert.Equal(t, noon.Add(-time.Minute-seam), w.from, "the API's times are seconds")
}

func TestCut(t *testing.T) {
	w := window{noon, noon.Add(time.Hour)}
	for name, c := range map[string]struct {
		done, length, from, to time.Duration
	}{
		"all":                    {0, maxPiece, 0, time.Hour},
		"first":                  {0, 10 * time.Minute, 0, 10 * time.Minute},
		"second":                 {10 * time.Minute, 10 * time.Minute, 10*time.Minute - seam, 20 * time.Minute},
		"last":                   {55 * time.Minute, 10 * time.Minute, 55*time.Minute - seam, time.Hour},
		"shorter than the seam":  {time.Second, time.Second, 0, 2 * time.Second},
		"shorter, further along": {10 * time.Second, time.Second, 10*time.Second - seam, 11 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, window{noon.Add(c.from), noon.Add(c.to)}, w.cut(noon.Add(c.done), seam, c.length))
		})
	}
}

// However a window is cut, its pieces cover it, overlap by the seam and come to an end.
func TestPiecesCoverTheBacklog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := window{noon, noon.Add(time.Duration(rapid.IntRange(0, 100_000).Draw(t, "length")) * time.Second)}
		covered, done := w.from, w.from
		for pieces := 0; ; pieces++ {
			shortest := 1 + int(w.to.Sub(w.from)/time.Second)/50
			piece := w.cut(done, seam, time.Duration(rapid.IntRange(shortest, 10_000).Draw(t, "piece"))*time.Second)
			require.False(t, piece.from.Before(w.from))
			require.False(t, piece.to.After(w.to))
			require.True(t, piece.from.Equal(w.from) || !piece.from.After(covered.Add(-seam)))
			require.LessOrEqual(t, pieces, 50)
			if piece.to.Equal(w.to) {
				return
			}
			require.True(t, piece.to.After(done), "no progress")
			covered, done = piece.to, piece.to
		}
	})
}

func TestAround(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 5).Draw(t, "most")
		at := noon
		var times []time.Time
		for range rapid.IntRange(0, 20).Draw(t, "times") {
			at = at.Add(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 3 * time.Second, time.Minute, time.Hour}).Draw(t, "later"))
			times = append(times, at)
		}
		rest := times
		for _, w := range around(times, most) {
			n := covered(w, rest)
			require.Positive(t, n, "a window for nothing")
			for _, at := range rest[:n] {
				require.False(t, at.Before(w.from.Add(seam)) || at.After(w.to.Add(-seam)), "too near to an end")
			}
			require.LessOrEqual(t, w.to.Sub(w.from), time.Duration(most)*(joinWithin+4*seam+time.Second))
			rest = rest[min(n, most):]
		}
		require.Empty(t, rest)
	})
	assert.Empty(t, around(nil, 1))
}
