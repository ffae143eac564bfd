package record

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// States of a session, as the API writes them.
const (
	StateActive       = "Active"
	StateDisconnected = "Disconnected"
	StateInit         = "AppcInit"
	StateSignedOut    = "SignedOut"
	StateFailed       = "InitFail"
)

// Session is a session on an application server, as it was when it was read.
type Session struct {
	// ID tells it from every other session of its project, Invariant is made of all that
	// never changes in it. HasID is true if the source has given it an id.
	ID, Invariant Identity
	HasID         bool
	// State is one of those above, or another word of the API's.
	State string
	// Group is the name of the server group, or else its id. It is a label value,
	// like all texts here.
	Group, Machine           string
	FailedCode, FailedReason string

	User Person

	// PreConnect is when the user asked for it, Start when it began, End when it
	// ended, Updated when its state last changed. Zero if unknown.
	PreConnect, Start, End, Updated time.Time

	// Invalid names the fields that were there but could not be read. Malformed is
	// true if it was not an object at all.
	Invalid   []string
	Malformed bool
}

// InvalidFields names the fields that were there but could not be read.
func (s *Session) InvalidFields() []string { return s.Invalid }

// Key is what tells the record from the others of its list, as with Login.
func (s *Session) Key() (id *Identity, malformed bool) { return &s.ID, s.Malformed }

// SessionInfo is a session as the API's SessionInfo or a row of an export file
// writes it. It is decoded, filled and tolerant like UserConnection.
type SessionInfo struct{ raw }

// The places of a SessionInfo's fields.
const (
	sessID = iota
	sessStamp
	sessLoginUser
	sessGroupID
	sessGroupName
	sessPreConnTime
	sessStartTime
	sessEndTime
	sessUpdateTime
	sessMachineSID
	sessMachineName
	sessState
	sessFailedReason
	sessFailedCode
	sessClientMAC
	sessClientName
	sessClientIP
	sessPublicIP
	sessVMIP
	sessTenantID
)

// SessionInfoFields are the names of the fields that mean something to us, as the
// API writes them.
var SessionInfoFields = []string{
	sessID: "id", sessStamp: "session_stamp", sessLoginUser: "login_user",
	sessGroupID: "app_server_group_id", sessGroupName: "app_server_group_name",
	sessPreConnTime: "pre_conn_time", sessStartTime: "start_time", sessEndTime: "end_time", sessUpdateTime: "last_update_status_time",
	sessMachineSID: "machine_sid", sessMachineName: "machine_name", sessState: "session_state",
	sessFailedReason: "failed_reason", sessFailedCode: "failed_code",
	sessClientMAC: "client_mac", sessClientName: "client_name", sessClientIP: "client_ip", sessPublicIP: "public_ip",
	sessVMIP: "vm_ip", sessTenantID: "tenant_id",
}

var sessionInfos = newKind(SessionInfoFields)

// Set fills the field of the API's name and reports whether there is one.
func (s *SessionInfo) Set(name, value string) bool { return s.set(sessionInfos, name, value) }

// Refuse marks the field of the API's name as one that could not be read.
func (s *SessionInfo) Refuse(name string) { s.refuse(sessionInfos, name) }

// UnmarshalJSONFrom reads one session, as UserConnection does.
func (s *SessionInfo) UnmarshalJSONFrom(d *jsontext.Decoder) error { return s.decode(sessionInfos, d) }

// Session is what the record says, cleaned. Without an id, it is identified by its
// stamp, or else by what never changes in it.
func (s *SessionInfo) Session() Session {
	if s.malformed {
		return Session{ID: s.identity, Malformed: true}
	}
	r := s.read(sessionInfos)
	session := Session{
		State: r.state(sessState), Group: r.label(sessGroupName), Machine: r.label(sessMachineName),
		FailedCode: r.code(sessFailedCode), User: r.person(sessLoginUser),
		PreConnect: r.time(sessPreConnTime), Start: r.time(sessStartTime), End: r.time(sessEndTime), Updated: r.time(sessUpdateTime),
	}
	if reason := r.reason(sessFailedReason, session.FailedCode); reason != "" {
		session.FailedReason = shown(reason, sessPrivate(&r))
	}
	if session.Group == "" {
		session.Group = r.label(sessGroupID)
	}
	r.identifySession(&session)
	session.Invalid = r.invalidNames()
	return session
}

// states are the words for a session's state beside the API's own, in lower case and
// without blanks: those of its pages.
var states = map[string]string{
	"active": StateActive, "活动": StateActive, "活跃": StateActive,
	"disconnected": StateDisconnected, "断开": StateDisconnected, "已断开": StateDisconnected, "断开连接": StateDisconnected,
	"appcinit": StateInit, "初始化": StateInit, "正在初始化": StateInit, "初始化中": StateInit,
	"signedout": StateSignedOut, "已注销": StateSignedOut, "注销": StateSignedOut,
	"initfail": StateFailed, "初始化失败": StateFailed,
}

func (r *reading) state(place int) string {
	text := r.label(place)
	return cmp.Or(states[wordOf(text)], text)
}

// wordOf is a word of the API's in lower case, and without what its parts may be joined by.
func wordOf(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) || c == '_' || c == '-' {
			return -1
		}
		return unicode.ToLower(c)
	}, text)
}

// NewestUntil is as with Login.
func (s *Session) NewestUntil(limit time.Time) time.Time {
	return newestUntil(limit, s.PreConnect, s.Start, s.End, s.Updated)
}

// Began is when the session began, as its identity has it. Zero if unknown.
func (s *Session) Began() time.Time {
	if s.PreConnect.IsZero() {
		return s.Start
	}
	return s.PreConnect
}

func (r *reading) identifySession(s *Session) {
	began := s.Began().Format(time.RFC3339)
	if unread := r.unread(sessStartTime); s.Began().IsZero() && unread != "" {
		began = unread
	}
	user := r.name(sessLoginUser)
	s.Invariant = identify("session invariant", user, began, r.name(sessClientName), r.name(sessClientMAC), r.name(sessClientIP))
	id := r.id(sessID)
	if s.HasID = id != ""; s.HasID {
		s.ID = identify("session", id)
	} else {
		s.ID = identify("session without id", r.id(sessStamp), user, began, s.Machine)
	}
}

// sessPrivate lists the personal text of the record.
func sessPrivate(r *reading) []private {
	return slices.Concat(userForms(r.plain(sessLoginUser)),
		addresses(r.plain(sessClientMAC), r.plain(sessClientIP), r.plain(sessPublicIP), r.plain(sessVMIP)),
		[]private{
			{r.plain(sessClientName), "<client>"}, {r.plain(sessMachineName), "<server>"},
			{r.plain(sessMachineSID), "<id>"}, {r.plain(sessTenantID), "<id>"}, {r.plain(sessStamp), "<id>"}, {r.plain(sessID), "<id>"},
		})
}

// SessionInfoColumns are the columns of a file of sessions.
var SessionInfoColumns = Columns{
	Required: [][]string{
		{"id", "session_stamp", "login_user"},
		{"session_state"},
	},
	Times: []string{"pre_conn_time", "start_time", "end_time", "last_update_status_time"},
	Titles: map[string][]string{
		"id": {"Primary key", "Primary key ID", "Record ID", "Unique ID",
			"主键", "主键ID", "编号", "记录ID", "唯一标识"},
		"session_stamp": {"Session ID", "Session identifier",
			"会话标识", "会话ID"},
		"login_user": {"Connected user", "连接用户", "Login user of the current session", "Login username", "User", "Username", "User name", "Account",
			"当前会话的登录用户", "登录用户", "登录用户名", "用户", "用户名", "用户名称"},
		"app_server_group_id": {"AppServer group ID", "Application server group ID", "Server group ID", "APS group ID",
			"AppServer组ID", "应用服务器组ID", "服务器组ID"},
		"app_server_group_name": {"AppServer group name", "AppServer group", "Application server group name", "Application server group", "Server group name", "Server group", "APS group name", "APS group",
			"AppServer组名称", "AppServer组名", "应用服务器组名称", "应用服务器组", "服务器组名称", "服务器组名", "服务器组"},
		"pre_conn_time": {"Pre-connection time", "Pre-connect time",
			"预连接时间"},
		"start_time": {"Session start time", "Started", "Login time",
			"会话开始时间", "开始时间", "登录时间"},
		"end_time": {"Session end time", "Ended", "Logout time",
			"会话结束时间", "结束时间", "登出时间", "注销时间"},
		"last_update_status_time": {"Last status change time", "Last status change", "Status update time", "Last status update time", "Last updated",
			"状态最后变化时间", "状态更新时间", "最后更新时间"},
		"machine_sid": {"Application server SID", "Server SID", "APS SID",
			"应用服务器SID", "服务器SID"},
		"machine_name": {"Application server name", "Application server", "Server name", "Server", "APS name", "Machine",
			"应用服务器名称", "应用服务器名", "应用服务器", "服务器名称", "服务器名", "机器名称", "机器名"},
		"session_state": {"Session status", "State", "Status", "Application status",
			"会话状态", "应用状态", "状态"},
		"failed_reason": {"Error cause", "Error reason", "Error message", "Failure cause", "Failure reason", "Cause of failure",
			"错误原因消息", "错误原因", "失败原因"},
		"failed_code": {"Error cause code", "Error code", "Failure code", "Failure status code",
			"错误原因码", "错误码", "失败码", "失败状态码"},
		"client_mac": {"Client MAC address",
			"客户端MAC", "客户端MAC地址"},
		"client_name": {"Client", "Terminal name",
			"客户端名称", "客户端名", "终端名称"},
		"client_ip": {"Client IP address",
			"客户端IP", "客户端IP地址"},
		"public_ip": {"Egress IP address of the client", "Client egress IP address", "Egress IP address", "Egress IP", "Public IP address",
			"客户端出口IP", "客户端出口IP地址", "出口IP", "公网IP"},
		"vm_ip": {"Server IP address", "Server IP", "Application server IP address", "Application server IP",
			"服务器IP", "服务器IP地址", "应用服务器IP", "应用服务器IP地址"},
		"tenant_id": {"Tenant",
			"租户", "租户ID"},
	},
}
