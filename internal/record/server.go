package record

import (
	"cmp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// States of a server, as the API writes them. StatusRegistered is the one in which it takes
// users.
const (
	StatusRegistered   = "REGISTERED"
	StatusUnregistered = "UNREGISTER"
	StatusMaintaining  = "MAINTAINING"
)

// ServerStatuses lists all states of a server.
var ServerStatuses = []string{StatusRegistered, StatusUnregistered, StatusMaintaining, "FREEZE", "STOPPED", "NONE"}

// Fleet are the application servers of a project, as they are at one moment.
type Fleet struct {
	Servers []Server
	Groups  []ServerGroup
	// LatestAgent is the latest version of the agent that the tenant can have; empty if
	// unknown.
	LatestAgent string
}

// Server is an application server.
type Server struct {
	// ID tells it from the others of its project.
	ID Identity
	// GroupID is the id of its group, Group the group's name, or else its id. Machine is the
	// server's name. All texts are label values.
	GroupID, Group, Machine string
	// Status is one of ServerStatuses, or another word of the API's.
	Status       string
	AgentVersion string
	Maintenance  bool
	Sessions     *int // nil if unknown

	// Invalid names the fields that were there but could not be read. Malformed is true if it
	// was not an object at all.
	Invalid   []string
	Malformed bool
}

// Key is what tells the record from the others of its list, as with Login.
func (s *Server) Key() (id *Identity, malformed bool) { return &s.ID, s.Malformed }

// TakesUsers reports whether users are sent to the server.
func (s *Server) TakesUsers() bool { return s.Status == StatusRegistered && !s.Maintenance }

// ServerHDADetails is a server as the API's ServerHdaDetails writes it. It is decoded and
// tolerant like UserConnection.
type ServerHDADetails struct{ raw }

// The places of a ServerHDADetails' fields.
const (
	serverID = iota
	serverMachineName
	serverName
	serverGroupID
	serverGroupName
	serverSID
	serverMaintained
	serverSessions
	serverStatus
	serverAgentVersion
)

var serverHDADetails = newKind([]string{
	serverID: "server_id", serverMachineName: "machine_name", serverName: "server_name",
	serverGroupID: "server_group_id", serverGroupName: "server_group_name", serverSID: "sid",
	serverMaintained: "maintain_status", serverSessions: "session_count", serverStatus: "status", serverAgentVersion: "current_version",
}, serverMaintained)

// UnmarshalJSONFrom reads one server, as UserConnection does.
func (s *ServerHDADetails) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return s.decode(serverHDADetails, d)
}

// Server is what the record says, cleaned. Without an id, it is identified by its SID, or
// else by its name.
func (s *ServerHDADetails) Server() Server {
	if s.malformed {
		return Server{ID: s.identity, Malformed: true}
	}
	r := s.read(serverHDADetails)
	server := Server{
		GroupID: r.label(serverGroupID), Machine: cmp.Or(r.label(serverMachineName), r.label(serverName)),
		Status: strings.ToUpper(r.label(serverStatus)), AgentVersion: r.label(serverAgentVersion),
		Maintenance: r.truth(serverMaintained), Sessions: r.number(serverSessions),
	}
	server.Group = cmp.Or(r.label(serverGroupName), server.GroupID)
	server.Maintenance = server.Maintenance || server.Status == StatusMaintaining
	server.ID = identify("server", cmp.Or(r.value(serverID), r.value(serverSID), server.Group+"/"+server.Machine))
	server.Invalid = r.invalidNames()
	return server
}

// ServerGroup is a group of application servers.
type ServerGroup struct {
	// ID is as the API writes it, Name a label value: the group's name, or else its id.
	ID, Name string
	// MaxSessions is the most sessions of each of its servers; 0 if unknown. OneSession is true
	// of a group for virtual desktops, whose servers have one.
	MaxSessions int
	OneSession  bool

	// Identity, Invalid and Malformed are as with Server.
	Identity  Identity
	Invalid   []string
	Malformed bool
}

// Key is what tells the record from the others of its list, as with Login.
func (g *ServerGroup) Key() (id *Identity, malformed bool) { return &g.Identity, g.Malformed }

// ServerGroupDetails is a group as the API's ServerGroup, or its answer about one group,
// writes it. It is decoded and tolerant like UserConnection.
type ServerGroupDetails struct{ raw }

// The places of a ServerGroupDetails' fields.
const (
	groupID = iota
	groupName
	groupIsVDI
	groupBundleSessions
	groupMaxSession
)

var serverGroupDetails = newKind([]string{
	groupID: "id", groupName: "name", groupIsVDI: "is_vdi",
	groupBundleSessions: "product_info.sessions", groupMaxSession: "route_policy.max_session",
}, groupIsVDI)

// UnmarshalJSONFrom reads one group, as UserConnection does.
func (g *ServerGroupDetails) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return g.decode(serverGroupDetails, d)
}

// Group is what the record says, cleaned. A server of a group for virtual desktops has one
// session; else the administrator's setting counts, and then what the bundle usually has.
func (g *ServerGroupDetails) Group() ServerGroup {
	if g.malformed {
		return ServerGroup{Identity: g.identity, Malformed: true}
	}
	r := g.read(serverGroupDetails)
	group := ServerGroup{ID: r.label(groupID), MaxSessions: cmp.Or(r.count(groupMaxSession), r.count(groupBundleSessions)), OneSession: r.truth(groupIsVDI)}
	if group.OneSession {
		group.MaxSessions = 1
	}
	group.Name = cmp.Or(r.label(groupName), group.ID)
	group.Identity = identify("server group", group.ID, group.Name)
	group.Invalid = r.invalidNames()
	return group
}

// TenantLimits are what holds for all groups: the API's answer about its restrictions.
type TenantLimits struct{ raw }

var tenantLimits = newKind([]string{"max_session"})

// UnmarshalJSONFrom reads the limits, as UserConnection does.
func (l *TenantLimits) UnmarshalJSONFrom(d *jsontext.Decoder) error { return l.decode(tenantLimits, d) }

// MaxSessions is the most sessions that any server can have; 0 if unknown.
func (l *TenantLimits) MaxSessions() int {
	r := l.read(tenantLimits)
	return r.count(0)
}

// LatestAgent is the API's answer about the latest version of the agent.
type LatestAgent struct{ raw }

var latestAgent = newKind([]string{"latest_version"})

// UnmarshalJSONFrom reads the version, as UserConnection does.
func (a *LatestAgent) UnmarshalJSONFrom(d *jsontext.Decoder) error { return a.decode(latestAgent, d) }

// Version is the version as a label value; empty if unknown.
func (a *LatestAgent) Version() string {
	r := a.read(latestAgent)
	return r.label(0)
}
