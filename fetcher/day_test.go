package fetcher

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A day of a small project, with 20 logins an hour, of which each fourth stays open for four hours:
// what is new costs a request a poll, and each window of open records one a round. Few more look
// behind a page.
func TestRequestsOfADay(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := rand.New(rand.NewPCG(1, 6))
		begin := w.now()
		w.position.Cursor = begin
		s := &strict{}
		for range 24 * 20 {
			s.times = append(s.times, begin.Add(time.Duration(r.IntN(24*60*60))*time.Second))
		}
		slices.SortFunc(s.times, time.Time.Compare)
		pages := loginPages(s, func() {})
		p, err := NewPoller(incremental(pages, pages.Proved(), lookback), w, w, options())
		require.NoError(t, err)
		for time.Since(begin) < 24*time.Hour {
			w.unfinished = nil
			for i, at := range s.times {
				if age := time.Since(at); i%4 == 0 && age > 0 && age < 4*time.Hour {
					w.unfinished = append(w.unfinished, at)
				}
			}
			require.NoError(t, p.Poll(t.Context()))
			time.Sleep(interval)
		}
		windows := len(w.batches) // of polls, and of open records
		assert.LessOrEqual(t, s.requests, windows+windows/4)
	})
}
