package collector

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A duration is in the native bucket in which the library would have it.
func TestNativeIndexIsTheLibrarys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.OneOf(rapid.Float64Range(1e-9, 1e9), rapid.SampledFrom([]float64{0.001, 0.5, 1, 2, 3, 60, 3600, 86400})).Draw(t, "seconds")
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", NativeHistogramBucketFactor: 1.1})
		h.Observe(v)
		var m dto.Metric
		require.NoError(t, h.Write(&m))
		require.EqualValues(t, nativeSchema, m.Histogram.GetSchema())
		require.EqualValues(t, m.Histogram.PositiveSpan[0].GetOffset(), nativeIndex(v))
	})
}
