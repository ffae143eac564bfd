package collector

import "github.com/workspace-exporter/workspace_exporter/internal/record"

const sessionState Label = "session_state"

var serverSessions = &Metric{Name: "workspace_server_sessions", Type: Gauge, Labels: []Label{machineName, serverGroup, sessionState},
	Help:     "Sessions on each server by state, as of the newest complete snapshot.",
	Headline: "Sessions", HeadlineBy: sessionState}

// shownStates are those in which a session is on a server.
var shownStates = map[string]bool{record.StateActive: true, record.StateDisconnected: true, record.StateInit: true}

// newServerSessions shows how many sessions each server has, by state.
func newServerSessions(f *families, _ Options) aggregator {
	return newSnapshotGauge(f, serverSessions, "server_sessions", func(b *record.Batch, add adder) {
		for _, session := range sessionsOnServers(b) {
			add(1, machineName.is(session.Machine), serverGroup.is(session.Group), sessionState.is(session.State))
		}
	})
}

// sessionsOnServers are the sessions of a snapshot that are on a server, each in its newest
// version: a file may hold two.
func sessionsOnServers(b *record.Batch) map[record.Identity]*record.Session {
	newest := map[record.Identity]*record.Session{}
	for i := range b.Sessions {
		session := &b.Sessions[i]
		if known := newest[session.ID]; known == nil || session.Updated.After(known.Updated) {
			newest[session.ID] = session
		}
	}
	for id, session := range newest {
		if !shownStates[session.State] {
			delete(newest, id)
		}
	}
	return newest
}
