package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Session is a session on an application server, as the API writes it (SessionInfo).
type Session struct {
	ID                   string `json:"id" en:"Primary key ID" zh:"主键ID"`
	SessionStamp         string `json:"session_stamp" en:"Session ID" zh:"会话标识"`
	OSSessionID          string `json:"os_session_id" en:"ID of a session in the OS of the HDA" zh:"会话在hda的os中会话id"`
	ProtocolType         string `json:"protocol_type" en:"Protocol type" zh:"协议类型"`
	LoginUser            string `json:"login_user" en:"Login user of the current session" zh:"当前会话的登录用户"`
	SessionType          string `json:"session_type" en:"Session type" zh:"会话类型"`
	AppServerGroupID     string `json:"app_server_group_id" en:"AppServer group ID" zh:"AppServer组ID"`
	AppServerGroupName   string `json:"app_server_group_name" en:"AppServer group name" zh:"AppServer组名称"`
	PreConnTime          string `json:"pre_conn_time,omitempty" en:"Pre-connection time" zh:"预连接时间"`
	StartTime            string `json:"start_time,omitempty" en:"Session start time" zh:"会话开始时间"`
	EndTime              string `json:"end_time,omitempty" en:"Session end time" zh:"会话结束时间"`
	StatusContinueTime   string `json:"status_continue_time" en:"Status duration" zh:"状态持续时间"`
	MachineSID           string `json:"machine_sid" en:"Server SID" zh:"服务器SID"`
	MachineName          string `json:"machine_name" en:"Server name" zh:"服务器名称"`
	SessionState         string `json:"session_state" en:"Session state" zh:"会话状态"`
	AppName              string `json:"app_name,omitempty" en:"Application name in the session" zh:"会话中的应用名称"`
	ClientMAC            string `json:"client_mac" en:"Client MAC address" zh:"客户端Mac地址"`
	ClientName           string `json:"client_name" en:"Client name" zh:"客户端名称"`
	ClientIP             string `json:"client_ip" en:"Client IP address" zh:"客户端IP"`
	PublicIP             string `json:"public_ip" en:"Egress IP address of the client" zh:"客户端出口ip"`
	ClientVersion        string `json:"client_version" en:"Client version" zh:"客户端版本"`
	ClientType           string `json:"client_type" en:"Client type" zh:"客户端类型"`
	AgentVersion         string `json:"agent_version" en:"Agent version" zh:"agent版本"`
	VMIP                 string `json:"vm_ip" en:"Server IP address" zh:"服务器IP"`
	FailedReason         string `json:"failed_reason" en:"Error cause" zh:"错误原因消息"`
	FailedCode           string `json:"failed_code" en:"Error cause code" zh:"错误原因码"`
	LastUpdateStatusTime string `json:"last_update_status_time,omitempty" en:"Last status change time" zh:"状态最后变化时间"`
	TenantID             string `json:"tenant_id" en:"Tenant ID" zh:"租户ID"`

	// VisibleAt and Raw are as in Record.
	VisibleAt time.Time       `json:"-"`
	Raw       json.RawMessage `json:"-"`
}

var sessionFields = fieldsOf(Session{})

// MarshalJSON writes the session, or what stands in its place.
func (s Session) MarshalJSON() ([]byte, error) {
	type plain Session
	return rawOr(s.Raw, plain(s))
}

func (s Session) key() string          { return s.ID }
func (s Session) visibleAt() time.Time { return s.VisibleAt }

func (s Session) moments() moments {
	return moments{parseAny(s.PreConnTime), parseAny(s.StartTime), parseAny(s.EndTime), parseAny(s.LastUpdateStatusTime)}
}

// The states of a session.
const (
	stateInit         = "AppcInit"
	stateInitFail     = "InitFail"
	stateActive       = "Active"
	stateDisconnected = "Disconnected"
	stateSignedOut    = "SignedOut"
)

var sessionStates = []string{stateActive, stateDisconnected, stateInit, stateSignedOut, stateInitFail}

// How long a session may stay on its server after the connection to it has ended. One of
// a dozen stays for longer than the others.
const (
	usualLinger = 30 * time.Minute
	maxLinger   = 3 * time.Hour
)

func (l *login) linger() time.Duration {
	most := usualLinger
	if l.mix()%12 == 0 {
		most = maxLinger
	}
	return time.Duration(l.mix() >> 4 % uint64(most))
}

// session is what a server knows of a login at now; no state, if there is nothing.
// A server begins a session half way through the login. The session is there as
// long as the connection, and lingers a while.
func (l *login) session(now time.Time) (state string, m moments) {
	begun := l.pre.Add(l.settled.Sub(l.pre) / 2)
	m = moments{pre: l.pre, start: begun, update: begun}
	gone := l.ended.Add(l.linger())
	switch {
	case l.failure != nil && l.failure.noServer || now.Before(begun):
		return "", moments{}
	case now.Before(l.settled):
		return stateInit, m
	case l.ended.IsZero():
		m.end, m.update = l.settled, l.settled
		return stateInitFail, m
	case now.Before(l.ended):
		m.update = l.settled
		return stateActive, m
	case now.Before(gone):
		m.update = l.ended
		return stateDisconnected, m
	}
	m.end, m.update = gone, gone
	return stateSignedOut, m
}

// mix is a number that is the login's own and looks like chance.
func (l *login) mix() uint64 {
	const odd = 0x9e3779b97f4a7c15
	x := uint64(l.id) * odd
	return (x ^ x>>29) * odd >> 8
}

// newSessionCatalog has windows of the start time, as the API's page says.
func newSessionCatalog() catalog[Session] {
	return catalog[Session]{
		fields: sessionFields, at: ByStartOrPreConnect.of, lead: maxLogin, show: (*world).showSession,
		trace: func(l *login, now time.Time) (moments, bool) {
			state, m := l.session(now)
			return m, state != ""
		},
	}
}

// showSession writes the session of a login as the API shows it at now.
func (w *world) showSession(l *login, project string, now time.Time) Session {
	r, g := w.show(l, project, now), &w.groups[w.users[l.user].group]
	state, m := l.session(now)
	s := Session{
		ID: fmt.Sprintf("%032x", l.id), SessionStamp: fmt.Sprintf("%016x", l.mix()), OSSessionID: strconv.FormatUint(2+l.mix()%9000, 10),
		ProtocolType: "HDP", LoginUser: r.UserName, SessionType: g.connectType, AppServerGroupID: g.id, AppServerGroupName: g.name,
		PreConnTime: format(m.pre), StartTime: format(m.start), EndTime: format(m.end), LastUpdateStatusTime: format(m.update),
		StatusContinueTime: strconv.Itoa(int(now.Sub(m.update).Seconds())),
		MachineSID:         r.MachineSID, MachineName: r.MachineName, SessionState: state,
		ClientMAC: r.ClientMAC, ClientName: r.ClientName, ClientIP: r.ClientIP, PublicIP: r.PublicIP,
		ClientVersion: r.ClientVersion, ClientType: r.ClientType, AgentVersion: r.AgentVersion, VMIP: r.VMIP, TenantID: project,
	}
	if g.connectType == "2" {
		s.AppName = w.app(l)
	}
	if state == stateInitFail {
		s.FailedCode, s.FailedReason = r.FailedCode, r.FailedReason
	}
	return s
}

// sessionFilters are what a request for sessions may hold: see the API's page.
var sessionFilters = []string{
	"user_name", "query_begin_time", "query_end_time", "app_server_group_id", "vm_ip", "public_ip", "machine_name",
	"session_state", "is_success",
}

// sessionForms are the page's form of time, and that of the vendor's SDK.
var sessionForms = []string{formMillis, formSeconds}

// readSessionQuery understands the values of a request for sessions.
func readSessionQuery(r *request, values map[string]string, mandatory bool) (q query, match func(*Session) bool, err error) {
	q.project = r.project
	window := windowRule{from: "query_begin_time", to: "query_end_time", forms: sessionForms, mandatory: mandatory}
	if q.from, q.to, err = window.read(values, r.now); err != nil {
		return q, nil, err
	}
	if err := oneOf(values, "is_success", "true", "false"); err != nil {
		return q, nil, err
	}
	var tests []func(*Session) bool
	for name, value := range values {
		switch name {
		case "session_state":
			states := strings.Split(value, ",")
			for _, state := range states {
				if !contains(sessionStates, state) {
					return q, nil, fmt.Errorf("session_state must be a list of %s, with commas", strings.Join(sessionStates, ", "))
				}
			}
			tests = append(tests, func(s *Session) bool { return contains(states, s.SessionState) })
		case "is_success":
			tests = append(tests, func(s *Session) bool { return (s.SessionState != stateInitFail) == (value == "true") })
		case "user_name":
			tests = append(tests, equalField[Session](sessionFields, "login_user", value))
		default:
			tests = append(tests, equalField[Session](sessionFields, name, value))
		}
	}
	return q, every(tests), nil
}

// listSessions is GET /v1/{project_id}/session/list-sessions.
func (s *Simulator) listSessions(r *request) answer {
	var paging query
	err := r.readPage(&paging, 10, 1, 100)
	delete(r.parameters, "limit")
	delete(r.parameters, "offset")
	if err != nil {
		return invalid(r, err)
	}
	q, match, err := readSessionQuery(r, r.parameters, true)
	if err != nil {
		return invalid(r, err)
	}
	q.limit, q.offset = paging.limit, paging.offset
	count, items := s.sessions.page(s, q, match, r.now)
	return jsonAnswer(http.StatusOK, page[Session]{count, items})
}

// exportSessions is POST /v1/{project_id}/session/list-sessions/export.
func (s *Simulator) exportSessions(r *request) answer {
	values, err := readBody(r.body, sessionFilters)
	if err != nil {
		return invalid(r, err)
	}
	q, match, err := readSessionQuery(r, values, false)
	if err != nil {
		return invalid(r, err)
	}
	return s.createTask(r, tableOf("UserSessions", sessionFields, s.sessions.all(s, q, match, r.now)))
}

// TruthSessions is the list of sessions that the API would show at this moment for
// a window of start times, whole.
func (s *Simulator) TruthSessions(projectID string, from, to time.Time) []Session {
	return s.sessions.truth(s, projectID, from, to)
}

// PutSessions adds sessions to a project; one whose id is there already takes its place.
func (s *Simulator) PutSessions(projectID string, sessions ...Session) {
	s.sessions.add(s, projectID, sessions)
}

// DeleteSession takes a session that was put in away again.
func (s *Simulator) DeleteSession(projectID, id string) { s.sessions.remove(s, projectID, id) }
