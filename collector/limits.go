package collector

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Limits shares max_series, per metric family, among all accumulators.
type Limits struct {
	max     int
	limited *prometheus.CounterVec

	mu   sync.Mutex
	used map[string]int
}

// NewLimits returns limits of maxSeries series a family. What is folded for lack of
// room is added to limited, by family.
func NewLimits(maxSeries int, limited *prometheus.CounterVec) *Limits {
	return &Limits{max: maxSeries, limited: limited, used: map[string]int{}}
}

// take asks for room for one more series, within the given share of the limit.
func (l *Limits) take(family string, share float64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if float64(l.used[family]) >= share*float64(l.max) {
		return false
	}
	l.used[family]++
	return true
}

func (l *Limits) add(family string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used[family] += n
}
