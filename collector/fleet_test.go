package collector

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// server is a server with a number, of a group.
func server(n byte, group, status string, sessions int) record.Server {
	return record.Server{ID: record.Identity{n, 1}, GroupID: group, Group: group, Machine: "APS-" + string('0'+n), Status: status, AgentVersion: "1", Sessions: &sessions}
}

func (b *bench) fleet(f record.Fleet) {
	b.t.Helper()
	require.NoError(b.t, b.accumulator.Commit(&record.Batch{From: b.clock, To: b.clock, Now: b.clock, Fleet: f, UpToDate: true}))
}

func (b *bench) desktops(counts ...record.DesktopCount) {
	b.t.Helper()
	require.NoError(b.t, b.accumulator.Commit(&record.Batch{From: b.clock, To: b.clock, Now: b.clock, Desktops: counts, UpToDate: true}))
}

func desktopCount(pool string, total, ready int) record.DesktopCount {
	return record.DesktopCount{Pool: pool, Total: &total, LoginState: map[string]int{"ready": ready}, RunState: map[string]int{"active": total}, Attach: map[string]int{"attached": 0}}
}

func TestFleet(t *testing.T) {
	b := newBench(t, ofKind(Servers))
	assert.Empty(t, b.families()[serverInfo.Name], "nothing is known yet")
	lazy := server(2, "g", record.StatusRegistered, 0)
	lazy.Maintenance, lazy.Sessions = true, nil
	lost := server(3, "g", "UNREGISTER", 2)
	twin := server(1, "g", "STOPPED", 4) // another server of the same name
	twin.ID, twin.Maintenance = record.Identity{9}, true
	strange := server(4, "h", "THAWED", 1)
	groups := []record.ServerGroup{{ID: "g", Name: "g", MaxSessions: 5}, {ID: "h", Name: "h"}, {ID: "e", Name: "empty", MaxSessions: 7}, {Malformed: true}}
	b.fleet(record.Fleet{LatestAgent: "2", Groups: groups,
		Servers: []record.Server{server(1, "g", record.StatusRegistered, 3), lazy, lost, twin, strange, {Malformed: true, ID: record.Identity{8}}}})

	assert.Equal(t, map[string]float64{"g/APS-1/1": 1, "g/APS-2/1": 1, "g/APS-3/1": 1, "h/APS-4/1": 1}, b.values(serverInfo, "server_group", "machine_name", "agent_version"))
	assert.Equal(t, map[string]float64{"APS-1": 1, "APS-2": 1, "APS-3": 0, "APS-4": 0}, b.values(serverMaintenance, "machine_name"))
	assert.Equal(t, map[string]float64{"APS-1": 0, "APS-2": 0, "APS-3": 1, "APS-4": 0}, b.values(serverUnregistered, "machine_name"))
	assert.Equal(t, map[string]float64{"APS-1": 7, "APS-3": 2, "APS-4": 1}, b.values(serverCurrentSessions, "machine_name"))
	assert.Equal(t, map[string]float64{"APS-1": 10, "APS-2": 5, "APS-3": 5}, b.values(serverMaxSessions, "machine_name"), "that of h is not known")
	assert.Equal(t, map[string]float64{"g": 5, "empty": 0}, b.values(groupMaxSessions, "server_group"), "one is registered and not in maintenance")
	assert.Equal(t, map[string]float64{"2": 1}, b.values(latestAgent, "agent_version"))
	statuses := b.values(groupServers, "server_group", "status")
	assert.Len(t, statuses, 3*len(record.ServerStatuses)+1)
	for status, want := range map[string]float64{"g/REGISTERED": 2, "g/UNREGISTER": 1, "g/STOPPED": 1, "g/NONE": 0, "h/THAWED": 1, "h/REGISTERED": 0, "empty/REGISTERED": 0} {
		assert.Equal(t, want, statuses[status], status)
	}
	assert.Equal(t, 2.0, b.values(recordsTotal, "disposition")["invalid"], "a server and a group")

	b.restart()
	assert.Equal(t, map[string]float64{"g": 5, "empty": 0}, b.values(groupMaxSessions, "server_group"), "known until there is an answer")
	newer := server(1, "g", record.StatusRegistered, 3)
	newer.AgentVersion = "2"
	b.fleet(record.Fleet{Groups: groups[:1], Servers: []record.Server{newer}})
	assert.Equal(t, map[string]float64{"g/APS-1/2": 1}, b.values(serverInfo, "server_group", "machine_name", "agent_version"), "the older version is gone at once")
	assert.Empty(t, b.values(latestAgent, "agent_version"))
	assert.Equal(t, map[string]float64{"g": 5}, b.values(groupMaxSessions, "server_group"))
	b.restart()
	assert.Equal(t, map[string]float64{"APS-1": 3}, b.values(serverCurrentSessions, "machine_name"), "what is gone is gone from the store")
}

// What cannot be read is counted once for as long as it stays so.
func TestUnreadableServers(t *testing.T) {
	b := newBench(t, ofKind(Servers))
	bad := server(1, "g", record.StatusRegistered, 1)
	bad.Invalid = []string{"session_count"}
	for range 3 {
		b.fleet(record.Fleet{Servers: []record.Server{bad, {ID: record.Identity{7}, Malformed: true}}, Groups: []record.ServerGroup{{ID: "g", Invalid: []string{"is_vdi"}}}})
	}
	assert.Equal(t, map[string]float64{"session_count": 1, "is_vdi": 1}, b.values(invalidFields, "field"))
	assert.Equal(t, 1.0, b.values(recordsTotal, "disposition")["invalid"])
	b.fleet(record.Fleet{})
	b.fleet(record.Fleet{Servers: []record.Server{bad}})
	assert.Equal(t, 2.0, b.values(invalidFields, "field")["session_count"])
}

func TestDesktopNumbers(t *testing.T) {
	b := newBench(t, ofKind(DesktopNumbers))
	bad := desktopCount("C", 1, 1)
	bad.Total, bad.Invalid = nil, []string{"total_num"}
	b.desktops(desktopCount("", 5, 1), desktopCount("A", 7, 2), desktopCount("A", 1, 0), bad, record.DesktopCount{Malformed: true})
	assert.Equal(t, map[string]float64{"": 5, "A": 8}, b.values(desktopsTotal, "desktop_pool"))
	assert.Equal(t, map[string]float64{"/ready": 1, "A/ready": 2, "C/ready": 1}, b.values(desktopsByLogin, "desktop_pool", "state"))
	assert.Equal(t, map[string]float64{"/active": 5, "A/active": 8, "C/active": 1}, b.values(desktopsByRun, "desktop_pool", "state"))
	assert.Equal(t, map[string]float64{"/attached": 0, "A/attached": 0, "C/attached": 0}, b.values(desktopsByAttach, "desktop_pool", "state"))
	assert.Equal(t, map[string]float64{"total_num": 1}, b.values(invalidFields, "field"))
	assert.Equal(t, 1.0, b.values(recordsTotal, "disposition")["invalid"])
	b.restart()
	b.desktops(desktopCount("", 5, 1))
	assert.Equal(t, map[string]float64{"": 5}, b.values(desktopsTotal, "desktop_pool"), "a pool that is gone is dropped")
}
