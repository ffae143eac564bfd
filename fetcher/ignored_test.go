package fetcher

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
)

// A list that shows the same for any window is read once a poll, whatever it says of its
// length and however long the window is: each record is counted once.
func TestListThatIgnoresItsWindow(t *testing.T) {
	if testing.Short() {
		t.Skip("too long for make quick")
	}
	const n = 6_000
	lies := lies(rand.New(rand.NewPCG(1, 1)))
	for _, i := range []int{0, 1, 9} {
		count := lies[i]
		for name, c := range map[string]struct {
			stretch    time.Duration
			descending bool
			longest    time.Duration
			byQuota    bool // pieces are as small as they can be
		}{
			"ascending":  {stretch: 20 * 24 * time.Hour},
			"descending": {stretch: 20 * 24 * time.Hour, descending: true},
			"recent":     {stretch: 30 * time.Minute},
			"by quota":   {stretch: 20 * 24 * time.Hour, byQuota: true},
			"refusing":   {stretch: 20 * 24 * time.Hour, longest: 20 * time.Minute},
		} {
			t.Run(fmt.Sprintf("%d %s", i, name), func(t *testing.T) {
				inWorld(t, func(t *testing.T, w *world) {
					s := &strict{times: spreadOver(n, c.stretch), deaf: true, descending: c.descending, longest: c.longest, count: count}
					p, accumulator, _ := s.reader(t, w, "query")
					p.Logger = log.NewLogfmtLogger(&w.log)
					if c.byQuota { // as dense seconds before have left it
						p.strategy.(*Incremental).quota = quota{records: pageLimit, length: time.Second}
					}
					for range 2 {
						s.requests = 0
						require.NoError(t, p.Poll(t.Context()))
						require.Equal(t, float64(n), attemptsOf(t, accumulator))
						most := 30 + 3*n/pageLimit + 2*maxRecords/pageLimit
						if c.longest > 0 {
							most *= 6 // of the windows of an hour that it grants
						}
						assert.LessOrEqual(t, s.requests, most)
						time.Sleep(interval)
					}
					assert.Equal(t, 1, strings.Count(w.log.String(), "ignores the window"), w.log.String())
				})
			})
		}
	}
}

// A list that ignores its window and is too large to be read at once fails soon, and says why.
func TestListThatIgnoresItsWindowAndIsTooLarge(t *testing.T) {
	for name, s := range map[string]*strict{
		"by its count": {},
		"by its reach": {reach: 10_000},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				n := maxRecordsASecond + 1
				if s.deaf = true; s.reach > 0 {
					n = 12_000
				}
				s.times = spreadOver(n, 20*24*time.Hour)
				p, accumulator, _ := s.reader(t, w, "query")
				for range 2 {
					s.requests = 0
					require.ErrorIs(t, p.Poll(t.Context()), errWindowIgnored)
					assert.Equal(t, Unreadable, w.failing[len(w.failing)-1])
					assert.LessOrEqual(t, s.requests, 220)
					time.Sleep(interval)
				}
				s.deaf = false // and all is well when it heeds them again
				require.NoError(t, p.Poll(t.Context()))
				assert.Positive(t, attemptsOf(t, accumulator))
			})
		})
	}
}

// A list that heeds its windows is cut, however wrong its count and its times.
func TestListThatHeedsItsWindow(t *testing.T) {
	if testing.Short() {
		t.Skip("too long for make quick")
	}
	for i, count := range lies(rand.New(rand.NewPCG(1, 1))) {
		inWorld(t, func(t *testing.T, w *world) {
			s := &strict{times: spreadOver(6_000, time.Hour-time.Second), count: count, descending: i%2 == 0}
			p, accumulator, _ := s.reader(t, w, "query")
			p.Logger = log.NewLogfmtLogger(&w.log)
			require.NoError(t, p.Poll(t.Context()))
			assert.Equal(t, 6_000.0, attemptsOf(t, accumulator))
			assert.NotContains(t, w.log.String(), "ignores the window")
		})
	}
}

// Sessions are read as a whole: nothing is cut and read again for ever.
func TestSessionsThatIgnoreTheirWindow(t *testing.T) {
	inWorld(t, func(t *testing.T, _ *world) {
		s := &strict{times: spreadOver(100, 20*24*time.Hour), deaf: true, count: func(int, int) int { return maxWhole + 1 }}
		source := sessionPages(s, func() {})
		source.quota.records = pageLimit - 1
		reading, err := source.ReadAll(t.Context(), time.Now().Add(-cursor.Reach), time.Now())
		require.NoError(t, err)
		assert.Len(t, reading.Sessions, 100)
		assert.LessOrEqual(t, s.requests, 20)
	})
}
