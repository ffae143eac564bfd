package paging

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/pagingtest"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
)

// Whatever an API counts, however long its pages are, whatever they repeat, leave out and
// shuffle: what is read of a window has every record that was there all the time.
func FuzzHostileLists(f *testing.F) {
	for seed := range uint64(400) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 2))
		l := pagingtest.NewHostile(seed)
		var windows []cursor.Window
		begin := noon
		for range 8 {
			stretch := time.Duration([]int{1, 20, 60, 600}[r.IntN(4)]) * time.Second
			l.Add(r, []int{0, 3, 30, 60, 99, 100, 101, 150, 260, 450}[r.IntN(10)], begin, stretch)
			windows = append(windows, cursor.Window{From: begin.Add(-cursor.MinSeam), To: begin.Add(stretch)})
			begin = begin.Add(stretch + cursor.Seam)
		}
		reader := reader(l.Get, nil)
		for i, w := range windows {
			logins, err := reader.Read(t.Context(), w, 5000)
			if err != nil {
				require.True(t, errors.Is(err, ErrMoved) || errors.Is(err, ErrNoItems) || isFailure(err), err)
				continue
			}
			got := pagingtest.IDs(logins, pagingtest.LoginID)
			want := l.Stable(w.From, w.To)
			missing := 0
			for _, id := range want {
				if !got[id] {
					missing++
				}
			}
			require.Zero(t, missing, "window %d, of %d: %s", i, len(want), l)
		}
	})
}

func isFailure(err error) bool {
	var failure *workspace.Error
	return errors.As(err, &failure)
}
