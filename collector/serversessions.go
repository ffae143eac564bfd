package collector

import (
	"errors"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// shownStates are those in which a session is on a server.
var shownStates = map[string]bool{record.StateActive: true, record.StateDisconnected: true, record.StateInit: true}

// onServers shows how many sessions each server has, by state, as of the newest snapshot,
// which outlives the process: what was known is shown until there is a newer one.
type onServers struct {
	shown   *family
	servers map[serverState]int64 // 0 for what was only in the snapshot before
	changed map[serverState]bool
}

type serverState struct{ machine, group, state string }

func newOnServers(t *families) *onServers {
	return &onServers{shown: t.volatileFamily(serverSessions), servers: map[serverState]int64{}, changed: map[serverState]bool{}}
}

func (o *onServers) observe(*ledger.Event) {}

// read takes a snapshot.
func (o *onServers) read(r *record.Batch) {
	newest := map[record.Identity]*record.Session{} // a file may hold two versions of a session
	for i := range r.Sessions {
		session := &r.Sessions[i]
		if known := newest[session.ID]; known == nil || session.Updated.After(known.Updated) {
			newest[session.ID] = session
		}
	}
	servers := map[serverState]int64{}
	for _, session := range newest {
		if shownStates[session.State] {
			servers[serverState{session.Machine, session.Group, session.State}]++
		}
	}
	for place, before := range o.servers {
		n, there := servers[place]
		if !there && before > 0 {
			servers[place] = 0
		}
		if n != before || !there {
			o.changed[place] = true
		}
	}
	for place := range servers {
		if _, there := o.servers[place]; !there {
			o.changed[place] = true
		}
	}
	o.servers = servers
}

func (o *onServers) refresh(time.Time, *ledger.Ledger) {
	o.shown.clear()
	for place, n := range o.servers {
		o.shown.add(n, machineName.is(place.machine), serverGroup.is(place.group), sessionState.is(place.state))
	}
}

// serverSessionsTable is the table of the newest snapshot.
const serverSessionsTable = "server_sessions"

func (o *onServers) table() string { return serverSessionsTable }

func (o *onServers) load(key, value []byte) error {
	k, v := store.ReadRow(key), store.ReadRow(value)
	place := serverState{k.String(), k.String(), k.String()}
	o.servers[place] = v.Int()
	return errors.Join(k.Err(), v.Err())
}

func (o *onServers) save(changes *store.Changes) {
	for place := range o.changed {
		var key, value store.Row
		for _, part := range []string{place.machine, place.group, place.state} {
			key.String(part)
		}
		if n, there := o.servers[place]; there {
			value.Int(n)
			changes.Put(o.table(), key, value)
		} else {
			changes.Delete(o.table(), key)
		}
	}
	clear(o.changed)
}
