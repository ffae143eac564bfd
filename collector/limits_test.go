package collector

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Accumulators commit at the same time, and share the limits: no room is given twice, and none is
// lost.
func TestLimitsAreSharedByAccumulatorsThatCommitAtOnce(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(4, runtime.NumCPU())))
	const accumulators, each = 8, 5000
	l := NewLimits(accumulators*each, nil)
	var taken atomic.Int64
	begin := make(chan struct{})
	var all sync.WaitGroup
	for range accumulators {
		all.Go(func() {
			<-begin
			for range 5 * each {
				if l.take("family", 1) {
					taken.Add(1)
				}
			}
		})
		all.Go(func() {
			<-begin
			for i := range 20 * each {
				l.add("other", 1-2*(i%2)) // an accumulator that is loaded, and one that is released
			}
		})
	}
	close(begin)
	all.Wait()
	assert.EqualValues(t, accumulators*each, taken.Load())
	assert.Equal(t, accumulators*each, l.used["family"])
	assert.Zero(t, l.used["other"])
}
