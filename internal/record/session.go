package record

import (
	"slices"
	"time"

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
	// ID tells it from every other session of its project.
	ID Identity
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

var sessionInfos = newKind(SessionInfoFields, map[int]string{
	sessID: numbers, sessStamp: numbers, sessGroupID: numbers, sessFailedCode: numbers,
})

// Set fills the field of the API's name and reports whether there is one.
func (s *SessionInfo) Set(name, value string) bool { return s.set(sessionInfos, name, value) }

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
		State: r.label(sessState), Group: r.label(sessGroupName), Machine: r.label(sessMachineName),
		FailedCode: r.label(sessFailedCode), FailedReason: r.reason(sessFailedReason, s.private),
		User:       r.person(sessLoginUser),
		PreConnect: r.time(sessPreConnTime), Start: r.time(sessStartTime), End: r.time(sessEndTime), Updated: r.time(sessUpdateTime),
	}
	if session.Group == "" {
		session.Group = r.label(sessGroupID)
	}
	session.Invalid = r.invalidNames()
	session.ID = r.sessionID(&session)
	return session
}

func (r *reading) sessionID(s *Session) Identity {
	if id := r.trimmed(sessID); id != "" {
		return identify("session", id)
	}
	began := s.PreConnect
	if began.IsZero() {
		began = s.Start
	}
	return identify("session without id", r.trimmed(sessStamp), r.trimmed(sessLoginUser), began.Format(time.RFC3339), s.Machine)
}

// private lists the personal text of the record.
func (s *SessionInfo) private() []private {
	return slices.Concat(userForms(s.text[sessLoginUser]),
		addressForms(s.text[sessClientMAC], s.text[sessClientIP], s.text[sessPublicIP], s.text[sessVMIP]),
		[]private{
			{s.text[sessClientName], "<client>"}, {s.text[sessMachineName], "<server>"},
			{s.text[sessMachineSID], "<id>"}, {s.text[sessTenantID], "<id>"}, {s.text[sessStamp], "<id>"}, {s.text[sessID], "<id>"},
		})
}
