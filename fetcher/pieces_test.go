package fetcher

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
)

// A piece that was begun ahead when pieces were shorter is what an error is about, and not
// the longer one that would be begun now: that would be the same piece again.
func TestWhatIsCutIsThePieceThatFailed(t *testing.T) {
	from := time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC)
	few := &paging.TooManyError{Count: 6000, Read: 100}
	for name, c := range map[string]struct {
		err  error
		want func(length time.Duration) bool
	}{
		"too large": {few, func(l time.Duration) bool { return l < time.Hour }},
		"empty":     {paging.ErrNoItems, func(l time.Duration) bool { return l == 2*time.Hour }},
	} {
		t.Run(name, func(t *testing.T) {
			p := &pieces{todo: cursor.Window{From: from, To: from.Add(10 * 24 * time.Hour)}, done: from, length: time.Hour, longest: maxPiece}
			first := p.next()
			begun := p.after(first.To)
			p.read(first, 10, maxRecords)
			require.Equal(t, 2*time.Hour, p.length)
			require.True(t, p.adapt(begun, c.err, maxRecords))
			assert.True(t, c.want(p.next().To.Sub(begun.To.Add(-time.Hour))), "the next piece is %s", p.next())
		})
	}
}

// The last piece of a window may be a second long while pieces are longer: what it overlaps is
// cut, until it is the smallest window.
func TestTheOverlapOfTheLastPieceIsCut(t *testing.T) {
	from := time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC)
	p := &pieces{todo: cursor.Window{From: from, To: from.Add(time.Minute)}, done: from.Add(59 * time.Second), length: 2 * time.Second, longest: maxPiece, overlap: cursor.Seam}
	require.False(t, p.next().IsSmallest())
	require.True(t, p.adapt(p.next(), paging.ErrMoved, maxRecords))
	assert.True(t, p.next().IsSmallest())
	assert.Equal(t, p.todo.To, p.next().To)
	require.False(t, p.adapt(p.next(), paging.ErrMoved, maxRecords))
}

// The file of a task from before a restart lacks what came since. The next piece is too large
// for a file, or pages, and yet all of the lookback is read once more.
func TestTheLookbackIsNotCut(t *testing.T) {
	from := time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC)
	for name, err := range map[string]error{"too many": &paging.TooManyError{Count: 9000, Read: 100}, "moved": paging.ErrMoved, "empty": paging.ErrNoItems} {
		for _, resumed := range []time.Duration{time.Hour, 5 * time.Minute} {
			t.Run(fmt.Sprint(name, " ", resumed), func(t *testing.T) {
				first := cursor.Window{From: from, To: from.Add(resumed)}
				p := &pieces{todo: cursor.Window{From: from, To: from.Add(20 * time.Hour)}, done: from, length: maxPiece, longest: maxPiece, overlap: lookback, first: &first}
				require.Equal(t, first, p.next())
				p.read(first, 10, maxRecords)
				require.True(t, p.adapt(p.next(), err, maxRecords))
				again := later(from, first.To.Add(-lookback))
				assert.False(t, p.next().From.After(again), "the next piece is %s", p.next())
				for !p.over {
					piece := p.next()
					require.False(t, piece.From.After(again), "there is a gap before %s", piece)
					require.True(t, piece.To.After(again), "it does not get on: %s", piece)
					p.read(piece, 10, maxRecords)
					again = piece.To
				}
				assert.Equal(t, p.todo.To, again)
			})
		}
	}
}

// Shorter pieces show nothing, though they are to have records, and longer ones prove nothing: all
// stands in one second. Then the piece that has it is read as it is.
func TestWhatStandsInOneSecondOfAPiece(t *testing.T) {
	from := time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC)
	p := &pieces{todo: cursor.Window{From: from, To: from.Add(time.Hour)}, done: from, length: 10 * time.Minute, longest: maxPiece, overlap: cursor.Seam}
	all := from.Add(100 * time.Second)
	for range 30 {
		piece := p.next()
		switch most := p.most(maxRecords); {
		case piece.To.Before(all):
			require.True(t, p.adapt(piece, paging.ErrNoItems, maxRecords))
		case most > 0:
			require.True(t, p.adapt(piece, paging.ErrMoved, maxRecords))
		default:
			require.False(t, p.adapt(piece, paging.ErrMoved, maxRecords), "nothing else can be tried")
			require.Equal(t, all, piece.To)
			require.Equal(t, from, piece.From)
			require.ErrorIs(t, p.explain(paging.ErrMoved), errShuffled)
			p.read(piece, 10, maxRecords)
			require.Equal(t, maxRecords, p.most(maxRecords))
			return
		}
	}
	t.Fatal("it is cut for ever")
}

// After a night without logins, pieces are longer than the morning's may be. One that was begun
// before shows it, and reading ahead goes on.
func TestPiecesBegunAheadShowThatLongerOnesAreTooLong(t *testing.T) {
	from := time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC)
	p := &pieces{todo: cursor.Window{From: from, To: from.Add(10 * 24 * time.Hour)}, done: from, length: time.Hour, longest: maxPiece, likely: 4000}
	night := p.next()
	morning := p.after(night.To)
	noon := p.after(morning.To)
	p.read(night, 0, maxRecords)
	require.Equal(t, 2*time.Hour, p.length)
	require.Zero(t, p.room())

	p.read(morning, 2000, maxRecords)
	assert.Equal(t, 2*time.Hour, p.length, "two hours have room for so many")
	p.read(noon, 4000, maxRecords)
	assert.Equal(t, time.Hour, p.length)
	assert.Equal(t, maxPiecesAhead, p.room())
}
