package record

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
)

func TestKinds(t *testing.T) {
	for _, k := range []*kind{userConnections, desktopConnections, sessionInfos, appUserAccesses} {
		assert.LessOrEqual(t, len(k.names), maxFields)
		assert.Len(t, k.places, len(k.names), "every field has a name of its own")
		assert.NotContains(t, k.names, "")
		for _, name := range k.names {
			var r raw
			assert.True(t, r.set(k, name, "x"))
		}
	}
}

func session(t testing.TB, text string) Session {
	t.Helper()
	var s SessionInfo
	decodeInto(t, text, &s)
	return s.Session()
}

func TestSession(t *testing.T) {
	s := session(t, `{"id":"7","session_stamp":"st","login_user":"jane","app_server_group_id":"g1","app_server_group_name":" Office ","pre_conn_time":"2023-06-05T06:37:40Z",
		"start_time":"2023-06-05T06:37:47Z","end_time":"","last_update_status_time":"2023-06-05T06:38:00.5Z","machine_name":"APS-1","session_state":"InitFail",
		"failed_reason":"jane cannot log in to 10.1.2.3","failed_code":1003,"vm_ip":"10.1.2.3","session_type":"2"}`)
	at := time.Date(2023, 6, 5, 6, 37, 40, 0, time.UTC)
	assert.Equal(t, Session{
		ID: identify("session", "7"), Invariant: s.Invariant, HasID: true, State: "InitFail", Group: "Office", Machine: "APS-1", FailedCode: "1003",
		FailedReason: "<user> cannot log in to <address>", User: pseudonym("jane"),
		PreConnect: at, Start: at.Add(7 * time.Second), Updated: at.Add(20*time.Second + 500*time.Millisecond),
	}, s)
	assert.Equal(t, s.Invariant, session(t, `{"login_user":"jane","pre_conn_time":"2023-06-05 06:37:40","session_stamp":"st"}`).Invariant, "without id, server and start")
	assert.NotEqual(t, s.Invariant, session(t, `{"login_user":"jane","pre_conn_time":"2023-06-05 06:37:41"}`).Invariant)
	assert.NotEqual(t, s.Invariant, session(t, `{"login_user":"joe","pre_conn_time":"2023-06-05 06:37:40"}`).Invariant)
	assert.False(t, session(t, `{"login_user":"jane"}`).HasID)
	assert.Equal(t, "g1", session(t, `{"app_server_group_id":"g1","app_server_group_name":""}`).Group)
	assert.True(t, session(t, `"x"`).Malformed)
	assert.Equal(t, []string{"start_time", "session_state"}, session(t, `{"session_state":true,"start_time":"now"}`).Invalid)
}

func TestSessionIdentity(t *testing.T) {
	const text = `{"login_user":"jane","pre_conn_time":"2023-06-05T06:37:40Z","machine_name":"APS-1","session_state":"Active"}`
	one := session(t, text)
	assert.Equal(t, one.ID, session(t, strings.Replace(text, "Active", "SignedOut", 1)).ID)
	assert.NotEqual(t, one.ID, session(t, strings.Replace(text, "jane", "bob", 1)).ID)
	assert.Equal(t, session(t, `{"id":7}`).ID, session(t, `{"id":" 7 ","session_state":"Active"}`).ID)
}

func access(t testing.TB, text string) Access {
	t.Helper()
	var a AppUserAccess
	decodeInto(t, text, &a)
	return a.Access()
}

func TestAccess(t *testing.T) {
	const text = `{"username":"jane","access_failed_count":3,"last_access_failed_time":"2023-06-05T06:37:40Z","error_code":"E1","error_msg":"jane is locked"}`
	a := access(t, text)
	assert.NotZero(t, a.ID)
	want := Access{ID: a.ID, User: pseudonym("jane"), Failures: 3, Last: time.Date(2023, 6, 5, 6, 37, 40, 0, time.UTC), Code: "E1", Message: "<user> is locked"}
	assert.Equal(t, want, a)

	var row AppUserAccess
	for name, value := range map[string]string{"username": "jane", "access_failed_count": "3", "last_access_failed_time": "2023-06-05T06:37:40Z", "error_code": "E1", "error_msg": "jane is locked"} {
		assert.True(t, row.Set(name, value))
	}
	assert.Equal(t, want, row.Access())
	for _, other := range []string{`"jane"`, `3`, `"E1"`} {
		assert.NotEqual(t, a.ID, access(t, strings.Replace(text, other, `7`, 1)).ID)
	}
	bad := access(t, `{"access_failed_count":-1,"last_access_failed_time":7}`)
	assert.Equal(t, []string{"access_failed_count", "last_access_failed_time"}, bad.Invalid)
	assert.Zero(t, bad.Failures)
	assert.True(t, access(t, `3`).Malformed)
}

// What members gives is what the JSON library reads.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{fullRecord, fullDesktop, `{}`, ` { "a\"" : [ {"}":"]"} , "\\" ] , "b":-1.5e3 ,"c" :null}`, `{"a":true}`, "{\"\xff\":\"\xff\\u4e2d\"}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		value := jsontext.Value(s)
		options := []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
		if !value.IsValid(options...) || value.Kind() != '{' {
			return
		}
		s = strings.Trim(s, " \t\r\n")
		var got, want []string
		for name, value := range members(s) {
			got = append(got, unquote(name, isPlain(s)), value)
		}
		d := jsontext.NewDecoder(strings.NewReader(s), options...)
		_, _ = d.ReadToken()
		for d.PeekKind() != '}' {
			name, _ := d.ReadToken()
			want = append(want, name.String())
			value, _ := d.ReadValue()
			want = append(want, string(value))
		}
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("%q, not %q", got, want)
		}
	})
}

func FuzzSessionAndAccess(f *testing.F) {
	for _, s := range []string{`{"id":1,"session_state":"Active","failed_reason":"x@y"}`, `{"username":"jane","access_failed_count":1e3,"error_msg":"jane"}`, `[]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var session SessionInfo
		var access AppUserAccess
		for _, into := range []any{&session, &access} {
			if json.Unmarshal([]byte(s), into, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) != nil {
				return
			}
		}
		one, other := session.Session(), access.Access()
		for _, label := range []string{one.State, one.Group, one.Machine, one.FailedCode, one.FailedReason, other.Code, other.Message} {
			if Label(label) != label || !utf8.ValidString(label) {
				t.Fatalf("not a label: %q", label)
			}
		}
		if one.ID == (Identity{}) || other.ID == (Identity{}) || other.Failures < 0 {
			t.Fatal(one, other)
		}
	})
}
