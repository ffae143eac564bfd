package collector

import (
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

const longerThan Label = "longer_than"

var (
	sessionsDisconnected = &Metric{Name: "workspace_sessions_disconnected", Type: Gauge, Labels: []Label{serverGroup, longerThan},
		Help: "Sessions without a connected user for longer than 1h, 8h or 24h, as of the newest complete snapshot. Cumulative: 9 hours count in 1h and in 8h."}
	sessionsDisconnectedUndated = &Metric{Name: "workspace_sessions_disconnected_undated", Type: Gauge, Labels: []Label{serverGroup},
		Help: "Disconnected sessions whose time of disconnection is missing or unreadable. They are not in workspace_sessions_disconnected."}
)

// disconnectedFor are the values of longer_than.
var disconnectedFor = []struct {
	name string
	time.Duration
}{{"1h", time.Hour}, {"8h", 8 * time.Hour}, {"24h", 24 * time.Hour}}

// newDisconnected shows how many sessions take room on a server without being used. It
// has zeros for every group that has a session on a server.
func newDisconnected(f *families, _ Options) aggregator {
	return newSnapshotGauge(f, sessionsDisconnected, "sessions_disconnected", func(b *record.Batch, add adder) {
		for _, session := range sessionsOnServers(b) {
			for _, d := range disconnectedFor {
				var n int64
				if session.State == record.StateDisconnected && !session.Updated.IsZero() && b.Now.Sub(session.Updated) > d.Duration {
					n = 1
				}
				add(n, serverGroup.is(session.Group), longerThan.is(d.name))
			}
		}
	})
}

// newDisconnectedUndated shows how many sessions the other metric leaves out.
func newDisconnectedUndated(f *families, _ Options) aggregator {
	return newSnapshotGauge(f, sessionsDisconnectedUndated, "sessions_disconnected_undated", func(b *record.Batch, add adder) {
		for _, session := range sessionsOnServers(b) {
			var n int64
			if session.State == record.StateDisconnected && session.Updated.IsZero() {
				n = 1
			}
			add(n, serverGroup.is(session.Group))
		}
	})
}
