package fetcher

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/fetcher/pagingtest"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Whatever the pages of an API are like: after a pause of some hours, and an hour of polls, each
// record that was there all the time is counted, or a doubt was reported.
func FuzzHostilePolls(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		inWorld(t, func(t *testing.T, w *world) {
			r := rand.New(rand.NewPCG(seed, 3))
			l := pagingtest.NewHostile(seed)
			span := []time.Duration{10 * time.Minute, time.Hour, 8 * time.Hour}[r.IntN(3)]
			begin := w.now().Add(-span)
			for range 5 {
				l.Add(r, []int{0, 3, 60, 150, 600}[r.IntN(5)], begin.Add(span*time.Duration(r.IntN(5))/5), span/5)
			}
			l.Add(r, 60, w.now(), 20*time.Minute)
			w.position.Cursor = begin
			doubts := 0
			pages := NewLoginPages(paging.List[record.Login]{Limit: pageLimit, Get: func(ctx context.Context, q workspace.PageQuery) (int, []record.Login, error) {
				time.Sleep(20 * time.Millisecond)
				return l.Get(ctx, q)
			}}, func() {}, func(time.Time, time.Time) { doubts++ })
			p, err := NewPoller(incremental(pages, pages, lookback), w, w, options())
			require.NoError(t, err)
			for i := range 60 {
				if i == 45 {
					l.Calm()
				}
				_ = p.Poll(t.Context())
				time.Sleep(interval)
			}
			counted := map[record.Identity]bool{}
			for _, b := range w.batches {
				for i := range b.Logins {
					counted[b.Logins[i].ID] = true
				}
			}
			missing, all := 0, l.Stable(begin, w.now())
			for _, id := range all {
				if !counted[id] {
					missing++
				}
			}
			require.True(t, missing == 0 || doubts > 0 && w.position.Cursor.After(begin.Add(span)), "%d of %d are not counted: %s; %s", missing, len(all), l, w.log.String())
		})
	})
}
