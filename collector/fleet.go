package collector

import (
	"iter"
	"strings"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

const serverStatus Label = "status"

var (
	serverInfo = &Metric{Name: "workspace_server_info", Type: Gauge, Labels: []Label{serverGroup, machineName, agentVersion},
		Help: "1 for each application server, with the version of its agent."}
	serverCurrentSessions = &Metric{Name: "workspace_server_current_sessions", Type: Gauge, Labels: []Label{serverGroup, machineName},
		Help:     "Sessions of each application server, as the list of servers counts them.",
		Headline: "Sessions"}
	serverMaintenance = &Metric{Name: "workspace_server_maintenance", Type: Gauge, Labels: []Label{serverGroup, machineName},
		Help: "1 if an application server is in maintenance, else 0."}
	serverUnregistered = &Metric{Name: "workspace_server_unregistered", Type: Gauge, Labels: []Label{serverGroup, machineName},
		Help: "1 if the status of an application server is UNREGISTER, else 0."}
	serverMaxSessions = &Metric{Name: "workspace_server_max_sessions", Type: Gauge, Labels: []Label{serverGroup, machineName},
		Help: "Most sessions that an application server may have: by its group's setting, else by its bundle, else by the tenant's limit. Read once an hour."}
	groupServers = &Metric{Name: "workspace_server_group_servers", Type: Gauge, Labels: []Label{serverGroup, serverStatus},
		Help:     "Application servers of each group by status.",
		Headline: "Servers", HeadlineBy: serverStatus}
	groupMaxSessions = &Metric{Name: "workspace_server_group_max_sessions", Type: Gauge, Labels: []Label{serverGroup},
		Help: "Most sessions that a group has room for now: the sum over its servers that are registered and not in maintenance."}
	latestAgent = &Metric{Name: "workspace_agent_latest_version_info", Type: Gauge, Labels: []Label{agentVersion},
		Help: "1 for the latest version of the agent that the tenant can have. Read once an hour."}
)

// newFleet shows the application servers as they are.
func newFleet(f *families, _ Options) aggregator {
	var gauges snapshotGauges
	gauges.add(f, serverInfo, "server_info", eachServer(func(s *record.Server, add adder) {
		add(1, serverGroup.is(s.Group), machineName.is(s.Machine), agentVersion.is(s.AgentVersion))
	}, atMostOne))
	gauges.add(f, serverMaintenance, "server_maintenance", eachServer(func(s *record.Server, add adder) {
		add(oneIf(s.Maintenance), serverGroup.is(s.Group), machineName.is(s.Machine))
	}, atMostOne))
	gauges.add(f, serverUnregistered, "server_unregistered", eachServer(func(s *record.Server, add adder) {
		add(oneIf(s.Status == record.StatusUnregistered), serverGroup.is(s.Group), machineName.is(s.Machine))
	}, atMostOne))
	gauges.add(f, serverCurrentSessions, "server_current_sessions", eachServer(func(s *record.Server, add adder) {
		if s.Sessions != nil {
			add(int64(*s.Sessions), serverGroup.is(s.Group), machineName.is(s.Machine))
		}
	}))
	gauges.add(f, serverMaxSessions, "server_max_sessions", eachWithMax(func(s *record.Server, most int64, add adder) {
		add(most, serverGroup.is(s.Group), machineName.is(s.Machine))
	}))
	gauges.add(f, groupMaxSessions, "server_group_max_sessions", countRoom)
	gauges.add(f, groupServers, "server_group_servers", countServers)
	gauges.add(f, latestAgent, "agent_latest_version", func(b *record.Batch, add adder) {
		if b.Fleet.LatestAgent != "" {
			add(1, agentVersion.is(b.Fleet.LatestAgent))
		}
	})
	return gauges
}

// eachServer calls count for each server.
func eachServer(count func(*record.Server, adder), wrap ...func(adder) adder) func(*record.Batch, adder) {
	return func(b *record.Batch, add adder) {
		for _, w := range wrap {
			add = w(add)
		}
		for i := range b.Fleet.Servers {
			if s := &b.Fleet.Servers[i]; !s.Malformed {
				count(s, add)
			}
		}
	}
}

// eachWithMax calls count for each server whose most sessions are known.
func eachWithMax(count func(s *record.Server, most int64, add adder)) func(*record.Batch, adder) {
	return func(b *record.Batch, add adder) {
		most := map[string]int64{}
		for i := range b.Fleet.Groups {
			most[b.Fleet.Groups[i].ID] = int64(b.Fleet.Groups[i].MaxSessions)
		}
		eachServer(func(s *record.Server, add adder) {
			if n := most[s.GroupID]; n > 0 {
				count(s, n, add)
			}
		})(b, add)
	}
}

// countRoom adds up the sessions that the servers of each group have room for: none, if it has
// no servers.
func countRoom(b *record.Batch, add adder) {
	eachWithMax(func(s *record.Server, most int64, add adder) {
		add(most*oneIf(s.TakesUsers()), serverGroup.is(s.Group))
	})(b, add)
	for g := range groupsWithoutServers(b) {
		add(0, serverGroup.is(g.Name))
	}
}

// groupsWithoutServers are the listed groups that have none.
func groupsWithoutServers(b *record.Batch) iter.Seq[*record.ServerGroup] {
	withServers := map[string]bool{}
	for i := range b.Fleet.Servers {
		withServers[b.Fleet.Servers[i].GroupID] = true
	}
	return func(yield func(*record.ServerGroup) bool) {
		for i := range b.Fleet.Groups {
			if g := &b.Fleet.Groups[i]; !g.Malformed && !withServers[g.ID] && !yield(g) {
				return
			}
		}
	}
}

// countServers counts the servers of each group by status: 0 in those that none has. A group
// without servers is one, too.
func countServers(b *record.Batch, add adder) {
	zeros := func(group string) {
		for _, status := range record.ServerStatuses {
			add(0, serverGroup.is(group), serverStatus.is(status))
		}
	}
	eachServer(func(s *record.Server, add adder) {
		zeros(s.Group)
		add(1, serverGroup.is(s.Group), serverStatus.is(s.Status))
	})(b, add)
	for g := range groupsWithoutServers(b) {
		zeros(g.Name)
	}
}

// atMostOne adds to each series no more than 1: two servers may have one name.
func atMostOne(add adder) adder {
	shown := map[string]bool{}
	return func(n int64, labels ...pair) {
		var key strings.Builder
		for _, l := range labels {
			key.WriteString(l.value + "\x00")
		}
		if shown[key.String()] {
			n = 0
		}
		shown[key.String()] = shown[key.String()] || n > 0
		add(n, labels...)
	}
}

func oneIf(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

func newUnreadableServers(f *families, _ Options) aggregator {
	return newUnreadable(f, func(b *record.Batch, found func(string, bool, []string)) {
		for i := range b.Fleet.Servers {
			s := &b.Fleet.Servers[i]
			found(string(s.ID[:]), s.Malformed, s.Invalid)
		}
		for i := range b.Fleet.Groups {
			g := &b.Fleet.Groups[i]
			found(string(g.Identity[:]), g.Malformed, g.Invalid)
		}
	})
}
