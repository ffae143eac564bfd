package paging

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/pagingtest"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// A second that shuffles its records and shows some twice proves nothing. After a while what it
// has shown is taken, and reported once; what follows it is not waited for.
func TestASecondThatProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 8))
		l := &pagingtest.Logins{Items: pagingtest.Connections(300), Count: func(int) int { return 7 }}
		l.Arrange = func(items []record.UserConnection) []record.UserConnection {
			r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
			return append(items, items[:r.IntN(5)]...)
		}
		var doubts []time.Time
		reader := reader(serving(l), nil)
		reader.Doubt = func(from, _ time.Time) { doubts = append(doubts, from) }
		second := func(i int) cursor.Window {
			return cursor.Window{From: noon.Add(time.Duration(i) * cursor.Second), To: noon.Add(time.Duration(i+1) * cursor.Second)}
		}
		for range 15 {
			_, err := reader.Read(t.Context(), second(0), 500_000)
			require.ErrorIs(t, err, ErrMoved)
			time.Sleep(time.Minute)
		}
		require.Empty(t, doubts)
		for i := range 3 {
			logins, err := reader.Read(t.Context(), second(i), 500_000)
			require.NoError(t, err)
			pagingtest.RequireAll(t, l.Items, logins)
			require.Len(t, doubts, i+1)
		}
		for i := range 3 { // the lookback shows them again
			_, err := reader.Read(t.Context(), second(i), 500_000)
			require.NoError(t, err)
		}
		assert.Equal(t, []time.Time{noon, noon.Add(cursor.Second), noon.Add(2 * cursor.Second)}, doubts)

		_, err := reader.ReadProved(t.Context(), second(0), 500_000)
		require.ErrorIs(t, err, ErrMoved, "there is another way to read it")
		_, err = reader.Read(t.Context(), cursor.Window{From: noon, To: noon.Add(time.Minute)}, 5_000)
		require.ErrorIs(t, err, ErrMoved, "it can be cut")
		time.Sleep(Patience)
		_, err = reader.Read(t.Context(), second(3), 500_000)
		require.ErrorIs(t, err, ErrMoved, "it may hold still by now")
		reader.Doubt = nil
		time.Sleep(Patience)
		_, err = reader.Read(t.Context(), second(3), 500_000)
		require.ErrorIs(t, err, ErrMoved)
	})
}

// Windows that prove nothing one after the other have no more patience than one.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d doubts
		fails := func(second int) bool {
			given, _ := d.giveUp(cursor.Window{From: noon.Add(time.Duration(second) * cursor.Second), To: noon.Add(time.Duration(second+1) * cursor.Second)})
			return given
		}
		for i := range 3 {
			require.False(t, fails(i))
			time.Sleep(Patience / 3)
		}
		require.True(t, fails(3))
		time.Sleep(Patience)
		require.False(t, fails(4), "there was no such window meanwhile")
		time.Sleep(Patience)
		require.True(t, fails(4), "the polls are rare")
	})
}
