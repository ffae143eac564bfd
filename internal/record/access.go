package record

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Access is how often a user failed, in a window, to reach the service.
type Access struct {
	// ID tells it from every other row of the same window: a hash of all of it.
	ID   Identity
	User Person
	// Failures is how often; 0 if the row does not tell. Last is the last time;
	// zero if unknown.
	Failures int
	Last     time.Time
	// Code and Message are why, as label values; Message has no personal text.
	Code, Message string

	// Invalid names the fields that were there but could not be read. Malformed is
	// true if it was not an object at all.
	Invalid   []string
	Malformed bool
}

// InvalidFields names the fields that were there but could not be read.
func (a *Access) InvalidFields() []string { return a.Invalid }

// NewestUntil is as with Login.
func (a *Access) NewestUntil(limit time.Time) time.Time { return newestUntil(limit, a.Last) }

// Key is what tells the record from the others of its list, as with Login.
func (a *Access) Key() (id *Identity, malformed bool) { return &a.ID, a.Malformed }

// AppUserAccess is a row of access statistics as the API's AppUserAccessData or a
// row of an export file writes it. It is decoded, filled and tolerant like
// UserConnection.
type AppUserAccess struct{ raw }

// The places of an AppUserAccess's fields.
const (
	accessUsername = iota
	accessFailedCount
	accessLastTime
	accessErrorCode
	accessErrorMessage
)

// AppUserAccessFields are the names of the fields, as the API writes them.
var AppUserAccessFields = []string{
	accessUsername: "username", accessFailedCount: "access_failed_count", accessLastTime: "last_access_failed_time",
	accessErrorCode: "error_code", accessErrorMessage: "error_msg",
}

var appUserAccesses = newKind(AppUserAccessFields)

// Set fills the field of the API's name and reports whether there is one.
func (a *AppUserAccess) Set(name, value string) bool { return a.set(appUserAccesses, name, value) }

// Refuse marks the field of the API's name as one that could not be read.
func (a *AppUserAccess) Refuse(name string) { a.refuse(appUserAccesses, name) }

// UnmarshalJSONFrom reads one row, as UserConnection does.
func (a *AppUserAccess) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return a.decode(appUserAccesses, d)
}

// Access is what the row says, cleaned.
func (a *AppUserAccess) Access() Access {
	if a.malformed {
		return Access{ID: a.identity, Malformed: true}
	}
	r := a.read(appUserAccesses)
	access := Access{
		User: r.person(accessUsername), Failures: r.count(accessFailedCount), Last: r.time(accessLastTime),
		Code: r.code(accessErrorCode),
	}
	if message := r.reason(accessErrorMessage, access.Code); message != "" {
		access.Message = shown(message, accessPrivate(&r))
	}
	access.Invalid = r.invalidNames()
	access.ID = identify("access", a.text[:len(AppUserAccessFields)]...)
	return access
}

func accessPrivate(r *reading) []private { return userForms(r.plain(accessUsername)) }

// AppUserAccessColumns are the columns of a file of access statistics.
var AppUserAccessColumns = Columns{
	Required: [][]string{{"username"}, {"access_failed_count"}},
	Times:    []string{"last_access_failed_time"},
	Titles: map[string][]string{
		"username": {"Connected user", "Login username", "连接用户", "登录用户名", "User name", "User", "Login user", "Account",
			"用户名称", "用户名", "用户", "登录用户"},
		"access_failed_count": {"Access failure count", "Number of access failures", "Access failures", "Failures", "Failed accesses", "Number of failures",
			"接入失败数", "接入失败次数", "失败次数"},
		"last_access_failed_time": {"Latest access failure time", "Latest access failure", "Last access failure time", "Last access failure", "Last failure time", "Last failure",
			"最近一次接入失败时间", "最近接入失败时间", "最后接入失败时间"},
		"error_code": {"Failure code",
			"错误码", "失败码"},
		"error_msg": {"Error message", "Error information", "Failure cause", "Failure reason",
			"错误信息", "错误消息", "失败原因"},
	},
}
