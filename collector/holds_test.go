package collector

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// An idle process sleeps: holds that end are not looked for while there is none. One that
// begins is seen, whenever that is, and ends in time.
func TestHoldsEndInTimeAndCostNothingWhileThereIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewExposition(prometheus.NewRegistry())
		looked := 0
		b := newBench(t, func(o *Options) {
			o.NewSeriesHold, o.Held = 2*time.Minute, e.Held
			o.Now = func() time.Time { looked++; return time.Now() }
		})
		require.NoError(t, b.read(time.Now(), login(1, time.Now()))) // nothing is held of what a first poll finds
		e.Publish([]*Accumulator{b.accumulator}, nil)
		var ending sync.WaitGroup
		defer ending.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ending.Go(func() { e.EndHolds(ctx, log.NewNopLogger()) })
		pass := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		pass(time.Hour)
		require.Nil(t, e.holdEnds(), "there is nothing to wait for, not even a timer")

		shown := func() float64 {
			families, err := e.Gather()
			require.NoError(t, err)
			var sum float64
			for _, f := range families {
				if f.GetName() == loginFailures.Name {
					for _, v := range valuesOf(f, nil) {
						sum += v
					}
				}
			}
			return sum
		}
		require.NoError(t, b.read(time.Now(), login(2, time.Now(), failing("7"))))
		pass(2*time.Minute - time.Second)
		require.Zero(t, shown())
		pass(3 * time.Second)
		require.Equal(t, 1.0, shown())
		require.Nil(t, e.holdEnds())
		require.Less(t, looked, 20, "it sleeps until the hold ends")
	})
}
