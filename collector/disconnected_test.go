package collector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

func TestDisconnectedSessions(t *testing.T) {
	b := newBench(t, ofKind(Sessions))
	since := func(n int, group, state string, ago time.Duration) record.Session {
		s := session(n, "m", state)
		s.Group, s.Updated = group, t0.Add(-ago)
		return s
	}
	undated := since(9, "a", record.StateDisconnected, 0)
	undated.Updated, undated.Invalid = time.Time{}, []string{"last_update_status_time"}
	b.snapshot(t0,
		since(1, "a", record.StateDisconnected, time.Hour), // no longer than an hour
		since(2, "a", record.StateDisconnected, time.Hour+time.Second),
		since(3, "a", record.StateDisconnected, 9*time.Hour),
		since(4, "a", record.StateDisconnected, 200*time.Hour),
		since(5, "a", record.StateDisconnected, -time.Hour),
		since(6, "b", record.StateActive, 90*time.Hour),
		since(7, "c", record.StateSignedOut, 90*time.Hour),
		since(8, "a", record.StateDisconnected, 30*time.Hour), since(8, "a", record.StateActive, 20*time.Hour), // two versions
		undated)
	shown := func() map[string]float64 { return b.values(sessionsDisconnected, "server_group", "longer_than") }
	want := map[string]float64{"a/1h": 3, "a/8h": 2, "a/24h": 1, "b/1h": 0, "b/8h": 0, "b/24h": 0}
	assert.Equal(t, want, shown())
	assert.Equal(t, map[string]float64{"a": 1, "b": 0}, b.values(sessionsDisconnectedUndated, "server_group"))
	b.restart()
	assert.Equal(t, want, shown(), "until there is another snapshot")

	b.snapshot(t0.Add(time.Hour), since(1, "b", record.StateDisconnected, time.Minute))
	assert.Equal(t, map[string]float64{"a/1h": 0, "a/8h": 0, "a/24h": 0, "b/1h": 1, "b/8h": 0, "b/24h": 0}, shown(), "time goes on, and what is gone is 0 once")
	b.snapshot(t0.Add(2*time.Hour), since(1, "b", record.StateActive, time.Minute))
	assert.Equal(t, map[string]float64{"b/1h": 0, "b/8h": 0, "b/24h": 0}, shown())
}
