package record

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const fullRecord = `{"id":"394","connect_type":"2","user_name":"user001@corp.example","desktop_group_name":" Office ",
	"pre_conn_time":"2023-06-05T03:34:43Z","start_time":"2023-06-05T06:37:47Z","machine_sid":"S-1-5-21","machine_name":"APS-1",
	"failed_reason":"","failed_code":"","client_mac":"c8-d9-d2-**-3a-57","client_name":"Y0025","client_ip":"10.1.73.108",
	"client_version":"23.2.2.0","client_type":"Windows 10","agent_version":"23.2.2.0423","update_time":"2023-06-05T06:37:47Z","tenant_id":"a4da"}`

func TestLogin(t *testing.T) {
	l := decode(t, fullRecord)
	start := time.Date(2023, 6, 5, 6, 37, 47, 0, time.UTC)
	assert.Equal(t, start, l.Start)
	assert.Equal(t, start, l.Updated)
	assert.Equal(t, time.Date(2023, 6, 5, 3, 34, 43, 0, time.UTC), l.PreConnect)
	assert.True(t, l.End.IsZero())
	assert.Equal(t, start, l.Time())
	assert.Equal(t, start, l.Latest())
	assert.Equal(t, []string{"Office", "APS-1", "Windows 10", "23.2.2.0", "23.2.2.0423", "", ""},
		[]string{l.Group, l.Machine, l.ClientType, l.ClientVersion, l.AgentVersion, l.FailedCode, l.FailedReason})
	assert.NotZero(t, l.User)
	assert.NotZero(t, l.ClientIP, "the configuration says which codes are failures: an empty one may be")
	assert.NotEqual(t, l.User, l.ClientIP)
	assert.NotEqual(t, l.ID, l.Invariant)
	assert.Empty(t, l.Invalid)
	assert.False(t, l.Malformed)
}

func TestOddFields(t *testing.T) {
	for name, c := range map[string]struct {
		record  string
		invalid []string
		code    string
	}{
		"nothing":            {`{}`, nil, ""},
		"null":               {`{"id":null,"failed_code":null,"start_time":null}`, nil, ""},
		"numbers that count": {`{"id":394,"failed_code":1003}`, nil, "1003"},
		"a number elsewhere": {`{"user_name":7,"start_time":1685947067}`, nil, ""},
		"wrong types":        {`{"id":{"a":[1]},"failed_code":[],"machine_name":true,"client_ip":{}}`, []string{"id", "machine_name", "failed_code", "client_ip"}, ""},
		"bad times":          {`{"start_time":"soon","end_time":"1/5/2024 08:03","update_time":""}`, []string{"start_time", "end_time"}, ""},
		"twice":              {`{"failed_code":[],"failed_code":"2"}`, nil, "2"},
		"twice, null last":   {`{"failed_code":"2","failed_code":null}`, nil, ""},
		"twice, wrong last":  {`{"failed_code":"2","failed_code":[]}`, []string{"failed_code"}, ""},
		"unknown":            {`{"x":{"failed_code":"1"},"FAILED_CODE":"2"}`, nil, ""},
		"escaped name":       {`{"failed\u005fcode":"9"}`, nil, "9"},
		"broken UTF-8":       {"{\"failed_code\":\"a\xffb\"}", nil, "a\uFFFDb"},
	} {
		t.Run(name, func(t *testing.T) {
			l := decode(t, c.record)
			assert.Equal(t, c.invalid, l.Invalid)
			assert.Equal(t, c.code, l.FailedCode)
			assert.False(t, l.Malformed)
		})
	}
}

func TestMalformed(t *testing.T) {
	seen := map[Identity]bool{}
	for _, text := range []string{`null`, `1`, `"x"`, `[]`, `[{"id":"1"}]`, `true`} {
		l := decode(t, text)
		assert.True(t, l.Malformed, text)
		assert.Equal(t, l.ID, l.Invariant)
		assert.False(t, seen[l.ID], text)
		seen[l.ID] = true
		assert.Equal(t, l, decode(t, text))
	}
}

func TestIdentity(t *testing.T) {
	first := decode(t, fullRecord)
	ended := decode(t, `{"id":" 394 ","user_name":"user001@corp.example","pre_conn_time":"2023-06-05 03:34:43","start_time":"2023-06-05T06:37:47Z",
		"end_time":"2023-06-05T07:00:00Z","update_time":"2023-06-05T07:00:00Z","failed_code":"9","agent_version":"24","client_mac":"c8-d9-d2-**-3a-57",
		"client_name":"Y0025","client_ip":"10.1.73.108","machine_name":"APS-1"}`)
	assert.Equal(t, first.ID, ended.ID, "a record keeps its identity as it changes")
	assert.Equal(t, first.Invariant, ended.Invariant)

	assert.Equal(t, decode(t, `{"id":394}`).ID, first.ID, "the number and its text are one id")
	assert.NotEqual(t, decode(t, `{"id":"395"}`).ID, first.ID)

	anonymous := decode(t, `{"user_name":"a","start_time":"2023-06-05T06:37:47Z"}`)
	assert.Equal(t, anonymous.ID, anonymous.Invariant)
	assert.NotEqual(t, anonymous.ID, decode(t, `{"user_name":"b","start_time":"2023-06-05T06:37:47Z"}`).ID)
	assert.NotEqual(t, anonymous.ID, decode(t, `{"user_name":"a","start_time":"2023-06-05T06:37:48Z"}`).ID)

	var row UserConnection
	for name, value := range map[string]string{"user_name": "a", "start_time": "2023-06-05 06:37:47"} {
		require.True(t, row.Set(name, value))
	}
	assert.False(t, row.Set("connect_flag", "0"))
	assert.Equal(t, anonymous, row.Login(), "a row of a file is the record that was paged")
}

// What may be missing at first, and is filled in later, leads back to what was known.
func TestInvariantForms(t *testing.T) {
	of := func(fields string) Login { return decode(t, `{"user_name":"a","client_ip":"10.0.0.1"`+fields+`}`) }
	const pre, start = `,"pre_conn_time":"2023-06-05T06:37:47Z"`, `,"start_time":"2023-06-05T06:37:59Z"`
	bare, asked, began, whole := of(``), of(pre), of(start), of(pre+start+`,"machine_name":"APS-1"`)
	assert.Equal(t, asked.Invariant, whole.Invariant, "a record that is pending has no machine yet")
	assert.NotEqual(t, began.Invariant, whole.Invariant)
	assert.Equal(t, []Identity{began.Invariant, bare.Invariant}, whole.Forms())
	assert.Equal(t, []Identity{bare.Invariant}, asked.Forms())
	assert.Equal(t, []Identity{bare.Invariant}, began.Forms())
	assert.Empty(t, bare.Forms())
	nobody := decode(t, `{"pre_conn_time":"2023-06-05T06:37:47Z"}`)
	assert.Empty(t, nobody.Forms())
	assert.NotEqual(t, bare.Who, decode(t, `{"user_name":"b","client_ip":"10.0.0.1"}`).Who)
	assert.NotEqual(t, bare.Who, decode(t, `{"user_name":"a","client_ip":"10.0.0.2"}`).Who)
}

// The hashes are kept in the store: they must not change between versions.
func TestIdentityIsStable(t *testing.T) {
	l := decode(t, fullRecord)
	assert.Equal(t, "0710534fe8587686a4194f81311976bb", hex.EncodeToString(l.ID[:]))
	assert.Equal(t, "0570933373757c9633e8a5b80099ec09", hex.EncodeToString(l.Invariant[:]))
	assert.Equal(t, "68c69682edf5b6ada2aba07e92ba3e62", hex.EncodeToString(l.Legacy[:]))
	assert.Equal(t, Person(0x3eebf4b24e09ea81), l.User)
}

func FuzzUserConnection(f *testing.F) {
	for _, s := range []string{fullRecord, `{}`, `null`, `{"id":1e400,"failed_code":-0}`, "{\"\xff\":\"\xff\"}", `{"id":"\ud800"}`} {
		f.Add(s)
	}
	options := []json.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
	f.Fuzz(func(t *testing.T, s string) {
		var c UserConnection
		if json.Unmarshal([]byte(s), &c, options...) != nil {
			return
		}
		l := c.Login()
		if l.ID == (Identity{}) || l.Invariant == (Identity{}) {
			t.Fatal("no identity")
		}
		for _, label := range []string{l.Group, l.Machine, l.ClientType, l.ClientVersion, l.AgentVersion, l.FailedCode, l.FailedReason} {
			if Label(label) != label {
				t.Fatalf("not a label: %q", label)
			}
		}
	})
}

// Pages have numbers, files what a spreadsheet or a console makes of them.
func TestConnectType(t *testing.T) {
	for text, want := range map[string]string{
		"1": ToSharedDesktop, "1.0": ToSharedDesktop, " １ ": ToSharedDesktop, "'1": ToSharedDesktop, "Shared Desktop": ToSharedDesktop, "共享桌面": ToSharedDesktop,
		"2": ToApplication, "2,0": ToApplication, "Application": ToApplication, "应用": ToApplication,
		"3": "3", "VDI pool": "VDI pool", "": "", "N/A": "", "null": "", "--": "", " ": "",
	} {
		var row UserConnection
		require.True(t, row.Set("connect_type", text))
		l := row.Login()
		assert.Equal(t, want, l.ConnectType, "%q", text)
		assert.Empty(t, l.Invalid, "%q", text)
	}
	assert.Equal(t, ToApplication, decode(t, `{"connect_type":2}`).ConnectType)
	assert.Equal(t, ToSharedDesktop, decode(t, `{"connect_type":"1"}`).ConnectType)
	assert.Empty(t, decode(t, `{"connect_type":null}`).Invalid)
	wrong := decode(t, `{"connect_type":["1"]}`)
	assert.Empty(t, wrong.ConnectType)
	assert.Equal(t, []string{"connect_type"}, wrong.Invalid)
}
