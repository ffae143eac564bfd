package collector

import "github.com/workspace-exporter/workspace_exporter/internal/record"

const sessionState Label = "session_state"

var serverSessions = &Metric{Name: "workspace_server_sessions", Type: Gauge, Labels: []Label{machineName, serverGroup, sessionState},
	Help: "Sessions on each server by state, as of the newest complete snapshot."}

// shownStates are those in which a session is on a server.
var shownStates = map[string]bool{record.StateActive: true, record.StateDisconnected: true, record.StateInit: true}

// newServerSessions shows how many sessions each server has, by state.
func newServerSessions(f *families, _ Options) aggregator {
	return newSnapshotGauge(f, serverSessions, "server_sessions", func(b *record.Batch, add adder) {
		newest := map[record.Identity]*record.Session{} // a file may hold two versions of a session
		for i := range b.Sessions {
			session := &b.Sessions[i]
			if known := newest[session.ID]; known == nil || session.Updated.After(known.Updated) {
				newest[session.ID] = session
			}
		}
		for _, session := range newest {
			if shownStates[session.State] {
				add(1, machineName.is(session.Machine), serverGroup.is(session.Group), sessionState.is(session.State))
			}
		}
	})
}
