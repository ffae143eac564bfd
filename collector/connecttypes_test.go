package collector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// A login keeps its type until it settles, also over a restart after which it is not read
// again before it expires.
func TestLoginsByConnectType(t *testing.T) {
	b := newBench(t, nil)
	to := func(kind string) func(*record.Login) { return func(l *record.Login) { l.ConnectType = kind } }
	pending := func(l *record.Login) { l.Start = time.Time{} }
	require.NoError(t, b.read(t0, login(1, t0, to(record.ToSharedDesktop)), login(2, t0, to(record.ToApplication), failing("7")), login(3, t0, to("3")), login(4, t0),
		login(5, t0.Add(-time.Minute), to(record.ToApplication), pending), login(6, t0.Add(-time.Minute), to(record.ToSharedDesktop), pending)))
	b.restart()
	b.clock = t0.Add(2 * time.Hour)
	for range 2 {
		require.NoError(t, b.accumulator.Commit(&record.Batch{From: t0.Add(-time.Hour), To: b.clock, Now: b.clock, UpToDate: true}))
	}
	assert.Equal(t, map[string]float64{"shared_desktop": 2, "application": 2, "3": 1, "": 1}, b.values(connectTypeAttempts, "connect_type"))
	assert.Equal(t, map[string]float64{"application/7": 1, "application/pending_timeout": 1, "shared_desktop/pending_timeout": 1},
		b.values(connectTypeFailures, "connect_type", "failed_code"))
}
