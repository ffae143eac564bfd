package simulator

import (
	"cmp"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Server is an application server as the list of agents has it (ServerHdaDetails).
type Server struct {
	ServerID        string `json:"server_id"`
	MachineName     string `json:"machine_name"`
	MaintainStatus  bool   `json:"maintain_status"`
	ServerName      string `json:"server_name"`
	ServerGroupID   string `json:"server_group_id"`
	ServerGroupName string `json:"server_group_name"`
	SID             string `json:"sid"`
	SessionCount    int    `json:"session_count"`
	Status          string `json:"status"`
	CurrentVersion  string `json:"current_version"`
}

// The states of a server that are generated.
const (
	serverUnregistered = "UNREGISTER"
	serverRegistered   = "REGISTERED"
	serverMaintaining  = "MAINTAINING"
)

// ServerGroup is a group of application servers. Only the call that shows one has its
// RoutePolicy, and not even that one always has it.
type ServerGroup struct {
	ID             string       `json:"id"`
	Name           string       `json:"name"`
	OSType         string       `json:"os_type,omitempty"`
	AppType        string       `json:"app_type,omitempty"`
	IsVDI          bool         `json:"is_vdi"`
	AppServerCount int          `json:"app_server_count"`
	ProductInfo    *ProductInfo `json:"product_info,omitempty"`
	RoutePolicy    *RoutePolicy `json:"route_policy,omitempty"`
}

// ProductInfo is the bundle of a group's servers.
type ProductInfo struct {
	ProductID string `json:"product_id,omitempty"`
	Sessions  int    `json:"sessions,omitempty"` // the usual maximum of a server
}

// RoutePolicy says where users are sent.
type RoutePolicy struct {
	MaxSession int `json:"max_session,omitempty"` // of a server
}

// fleet is what was put in of servers, and what holds for the tenant.
type fleet struct {
	servers       map[string]Server
	groups        map[string]ServerGroup
	latestVersion string
	maxSession    int
}

// maxServerSessions is the most sessions of a server that a tenant may allow.
const maxServerSessions = 60

// fleetOf is what was put in of a project. The caller holds s.mu.
func (s *Simulator) fleetOf(project string) *fleet {
	f := s.fleets[project]
	if f == nil {
		f = &fleet{servers: map[string]Server{}, groups: map[string]ServerGroup{}, latestVersion: currentAgent, maxSession: maxServerSessions}
		s.fleets[project] = f
	}
	return f
}

// PutServers adds servers to a project; one whose id is there already takes its place.
func (s *Simulator) PutServers(projectID string, servers ...Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range servers {
		s.fleetOf(projectID).servers[v.ServerID] = v
	}
}

// DeleteServer takes a server that was put in away again.
func (s *Simulator) DeleteServer(projectID, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.fleetOf(projectID).servers, id)
}

// PutServerGroups adds groups to a project; one whose id is there already takes its place.
func (s *Simulator) PutServerGroups(projectID string, groups ...ServerGroup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range groups {
		s.fleetOf(projectID).groups[g.ID] = g
	}
}

// SetTenant sets the latest version of the agent, and the most sessions that a server may
// have at all.
func (s *Simulator) SetTenant(projectID, latestVersion string, maxSession int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.fleetOf(projectID)
	f.latestVersion, f.maxSession = latestVersion, maxSession
}

// serversAt are all servers of a project, in the order of their ids. The caller holds s.mu.
func (s *Simulator) serversAt(project string, now time.Time) []Server {
	list := slices.Collect(maps.Values(s.fleetOf(project).servers))
	if s.options.LoginsPerHour > 0 {
		sessions := map[int32]int{}
		for l := range s.attempts(project, now.Add(-maxSession-maxLogin-maxLinger), now) {
			if state, _ := l.session(now); state == stateActive || state == stateDisconnected {
				sessions[l.server]++
			}
		}
		for i := range s.world.groups {
			g := &s.world.groups[i]
			for n, at := range g.servers {
				list = append(list, s.world.showServer(g, n, at, sessions[at], now))
			}
		}
	}
	slices.SortFunc(list, func(a, b Server) int { return cmp.Compare(a.ServerID, b.ServerID) })
	if s.options.Order == Descending {
		slices.Reverse(list)
	}
	return list
}

// showServer writes a server as the API shows it at now. A lost server is not registered,
// and the last one of a large group is being maintained.
func (w *world) showServer(g *group, n int, at int32, sessions int, now time.Time) Server {
	v := &w.servers[at]
	shown := Server{
		ServerID: hexSHA256([]byte(v.sid))[:32], MachineName: v.name, ServerName: v.name, ServerGroupID: g.id, ServerGroupName: g.name,
		SID: v.sid, SessionCount: sessions, Status: serverRegistered, CurrentVersion: v.agent,
	}
	incident := w.incidentAt(now)
	switch {
	case incident == &script[0] && at == w.groups[0].servers[0]:
		shown.Status = serverUnregistered
	case incident == &script[1] && g == &w.groups[len(w.groups)-1]:
		shown.CurrentVersion = newAgent
	case n >= 3 && n == len(g.servers)-1:
		shown.Status, shown.MaintainStatus = serverMaintaining, true
	}
	return shown
}

// groupsAt are all groups of a project, in the order of their ids. The caller holds s.mu.
func (s *Simulator) groupsAt(project string, now time.Time) []ServerGroup {
	servers := map[string]int{}
	for _, v := range s.serversAt(project, now) {
		servers[v.ServerGroupID]++
	}
	list := slices.Collect(maps.Values(s.fleetOf(project).groups))
	if s.options.LoginsPerHour > 0 {
		for i := range s.world.groups {
			list = append(list, s.world.groups[i].show(i, s.options))
		}
	}
	for i := range list {
		list[i].AppServerCount = servers[list[i].ID]
	}
	slices.SortFunc(list, func(a, b ServerGroup) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// show writes a group. The maximum of the second is not its own, but its product's.
func (g *group) show(i int, o Options) ServerGroup {
	room := g.room(i, o)
	shown := ServerGroup{ID: g.id, Name: g.name, OSType: "Windows", AppType: map[string]string{"1": "SESSION_DESKTOP_APP", "2": "COMMON_APP"}[g.connectType],
		ProductInfo: &ProductInfo{ProductID: "workspace.appstream.general.xlarge.4", Sessions: room}}
	if i != 1 {
		shown.RoutePolicy = &RoutePolicy{MaxSession: room}
	}
	return shown
}

// room is how many sessions each server of a group is made for: for the busiest hour, and with
// some to spare. The first group has so little to spare that it is full without one server.
func (g *group) room(i int, o Options) int {
	perHour := o.LoginsPerHour * g.share / float64(len(g.servers))
	if !o.AllDay {
		perHour *= busiestHour
	}
	// The mean of a log-normal distribution, and the time for which sessions linger.
	sessions := perHour * (min(o.ConnectedFor.Hours()*math.Exp(0.5), maxSession.Hours()) + 0.35)
	return max(5, int(sessions*(1.05+0.2*float64(i))+3*math.Sqrt(sessions)))
}

// listServers is GET /v1/{project_id}/app-servers/access-agent/list.
func (s *Simulator) listServers(r *request) answer {
	return listOf(s, r, s.serversAt, func(v *Server) bool {
		p := r.parameters
		return (p["server_group_id"] == "" || v.ServerGroupID == p["server_group_id"]) && strings.Contains(v.ServerName, p["server_name"])
	})
}

var serverGroupFilters = []string{"server_group_name", "server_group_id", "app_type", "tags", "enterprise_project_id", "is_secondary_server_group"}

// listServerGroups is GET /v1/{project_id}/app-server-groups.
func (s *Simulator) listServerGroups(r *request) answer {
	for name, values := range map[string][]string{"app_type": {"SESSION_DESKTOP_APP", "COMMON_APP"}, "is_secondary_server_group": {"true", "false"}} {
		if err := oneOf(r.parameters, name, values...); err != nil {
			return invalid(r, err)
		}
	}
	groups := func(project string, now time.Time) []ServerGroup {
		list := s.groupsAt(project, now)
		for i := range list {
			list[i].RoutePolicy = nil
		}
		return list
	}
	return listOf(s, r, groups, func(g *ServerGroup) bool {
		p := r.parameters
		return (p["server_group_id"] == "" || g.ID == p["server_group_id"]) && (p["app_type"] == "" || g.AppType == p["app_type"]) &&
			strings.Contains(g.Name, p["server_group_name"])
	})
}

// listOf answers with a page of a list that has no windows.
func listOf[T any](s *Simulator, r *request, list func(project string, now time.Time) []T, match func(*T) bool) answer {
	q := query{project: r.project}
	if err := r.readPage(&q, 10, 1, 100); err != nil {
		return invalid(r, err)
	}
	s.moveList(q)
	s.mu.Lock()
	defer s.mu.Unlock()
	matching := slices.DeleteFunc(list(r.project, r.now), func(item T) bool { return !match(&item) })
	return jsonAnswer(http.StatusOK, page[T]{len(matching), append([]T{}, cut(matching, q)...)})
}

// showServerGroup is GET /v1/{project_id}/app-server-groups/{server_group_id}.
func (s *Simulator) showServerGroup(r *request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.groupsAt(r.project, r.now) {
		if g.ID == r.group {
			return jsonAnswer(http.StatusOK, g)
		}
	}
	return refuse(r, http.StatusNotFound, codeNotFound, "No resources found: the server group does not exist.")
}

// showRestrict is GET /v1/{project_id}/app-server-groups/resources/restrict.
func (s *Simulator) showRestrict(r *request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return jsonAnswer(http.StatusOK, map[string]int{"max_session": s.fleetOf(r.project).maxSession, "max_group_count": 100})
}

// showLatestVersion is GET /v1/{project_id}/app-servers/access-agent/latest-version.
func (s *Simulator) showLatestVersion(r *request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return jsonAnswer(http.StatusOK, map[string]string{"latest_version": s.fleetOf(r.project).latestVersion})
}

// TruthServers is the list of servers that the API would show at this moment, whole.
func (s *Simulator) TruthServers(projectID string) []Server {
	now := s.options.Now().UTC()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.serversAt(projectID, now)
}

// TruthServerGroups is the list of groups that the API would show at this moment, whole.
func (s *Simulator) TruthServerGroups(projectID string) []ServerGroup {
	now := s.options.Now().UTC()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.groupsAt(projectID, now)
}
