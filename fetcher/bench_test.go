package fetcher

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The pace of catching up is a benchmark in simulated time, which testing.B does not have: a
// backlog beside a client that does nothing but ask for all of its pages. It prints what a
// benchmark prints. In auto, the default, more records than the threshold go by export task:
// the backlog is as long as the API keeps records, so that pages are read.
func TestPaceOfCatchingUp(t *testing.T) {
	if !testing.Verbose() {
		t.Skip("it checks nothing, and only prints: run it with -v")
	}
	for _, of := range []struct {
		name, mode string
		back       time.Duration
	}{{"CatchUp", "query", 10 * time.Hour}, {"CatchUp/auto", "auto", 20 * day}} {
		for _, n := range []int{500, 5_000, 50_000} {
			inWorld(t, func(t *testing.T, w *world) {
				p, _ := w.distantPoller(t, of.mode, n, of.back)
				begun := time.Now()
				require.NoError(t, p.Poll(t.Context()))
				took := time.Since(begun)
				w.requireAllInOrder(t, n)
				turns := (n/pageLimit + atOnce - 1) / atOnce
				for by, took := range map[string]time.Duration{"us": took, "bare": time.Duration(turns) * roundTrip} {
					fmt.Printf("Benchmark%s/records=%d/by=%s 1 %d ns/op\n", of.name, n, by, took)
				}
			})
		}
	}
}
