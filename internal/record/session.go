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
	session.FailedReason = r.reason(sessFailedReason, session.FailedCode, sessPrivate)
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
	word := strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) || c == '_' || c == '-' {
			return -1
		}
		return unicode.ToLower(c)
	}, text)
	return cmp.Or(states[word], text)
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
		addressForms(r.plain(sessClientMAC), r.plain(sessClientIP), r.plain(sessPublicIP), r.plain(sessVMIP)),
		[]private{
			{r.plain(sessClientName), "<client>"}, {r.plain(sessMachineName), "<server>"},
			{r.plain(sessMachineSID), "<id>"}, {r.plain(sessTenantID), "<id>"}, {r.plain(sessStamp), "<id>"}, {r.plain(sessID), "<id>"},
		})
}
