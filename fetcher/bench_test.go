package fetcher

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The pace of catching up is a benchmark in simulated time, which testing.B does not have: a
// backlog of 10 hours, beside a client that does nothing but ask for all of its pages. It
// prints what a benchmark prints.
func TestPaceOfCatchingUp(t *testing.T) {
	for _, n := range []int{500, 5_000, 50_000} {
		inWorld(t, func(t *testing.T, w *world) {
			p, _ := w.distantPoller(t, "query", n, 10*time.Hour)
			begun := time.Now()
			require.NoError(t, p.Poll(t.Context()))
			took := time.Since(begun)
			w.requireAllInOrder(t, n)
			turns := (n/pageLimit + atOnce - 1) / atOnce
			if testing.Verbose() {
				fmt.Printf("BenchmarkCatchUp/records=%d/by=us 1 %d ns/op\nBenchmarkCatchUp/records=%d/by=bare 1 %d ns/op\n", n, took, n, time.Duration(turns)*roundTrip)
			}
		})
	}
}
