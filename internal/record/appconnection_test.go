package record

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const fullApp = `{"id":"9f0a","sid":"S-1-5-21-7","app_id":"d9531c1aa9063419113ea53","app_name":"云存储-Notepad++","machine_name":"APS-1",
	"user_name":"jane@corp.example","app_group_name":" 云存储 ","app_group_id":"573743978327834675","brokering_time":"2022-03-07T10:40:43.858Z",
	"end_time":"0001-01-01 00:00:00","failed_code":"WKS.00000000","connection_failure_reason":"success","client_mac":"00-e0-72-58-08-33",
	"client_name":"PC-9","client_ip":"10.1.2.3","client_version":"23.2.2","client_type":"Windows 10","public_ip":"203.0.113.7",
	"agent_version":"23.5","vm_ip":"192.168.0.5","wi_ip":"192.0.2.10","virtual_ip":"","tenant_id":"a4da","transaction_id":"tx-1",
	"aps_instance_id":"1f0c-22","aps_instance_name":"APS-WSKIXL","aps_host_id":"host-1","primary_server_group_id":"g1"}`

func app(t testing.TB, text string) Login {
	t.Helper()
	var c AppConnection
	decodeInto(t, text, &c)
	return c.Login()
}

func TestAppLaunch(t *testing.T) {
	l := app(t, fullApp)
	assert.Equal(t, time.Date(2022, 3, 7, 10, 40, 43, 858e6, time.UTC), l.Start)
	assert.Zero(t, l.End, "the year 1 is no end")
	assert.Zero(t, l.PreConnect)
	assert.Zero(t, l.Updated)
	assert.Equal(t, []string{"云存储", "云存储-Notepad++", "APS-1", "Windows 10", "23.2.2", "23.5", "WKS.00000000", "success"},
		[]string{l.Group, l.App, l.Machine, l.ClientType, l.ClientVersion, l.AgentVersion, l.FailedCode, l.FailedReason})
	assert.Empty(t, l.Invalid)
	assert.Equal(t, decode(t, `{"user_name":"jane@corp.example"}`).User, l.User, "one user of two lists is one person")
	assert.Equal(t, "573743978327834675", app(t, `{"app_group_id":"573743978327834675"}`).Group)
	assert.True(t, app(t, `[1]`).Malformed)
}

// A row of a file says the same as the record that was paged.
func TestAppRow(t *testing.T) {
	page := app(t, fullApp)
	var row AppConnection
	for name, value := range map[string]string{
		"id": "9f0a", "app_name": "云存储-Notepad++", "machine_name": "APS-1", "user_name": "jane@corp.example", "app_group_name": "云存储",
		"brokering_time": "2022-03-07 10:40:43.858", "end_time": "-", "failed_code": "WKS.00000000", "connection_failure_reason": "success", "client_mac": "00-e0-72-58-08-33",
		"client_name": "PC-9", "client_ip": "10.1.2.3", "client_version": "23.2.2", "client_type": "Windows 10", "agent_version": "23.5", "transaction_id": "tx-1",
	} {
		require.True(t, row.Set(name, value), name)
	}
	assert.Equal(t, page, row.Login())
	assert.False(t, row.Set("update_time", "2022-03-07 10:40:43"))
}

func TestAppOutcome(t *testing.T) {
	for name, c := range map[string]struct{ record, code, reason string }{
		"nothing":           {`{}`, "", ""},
		"words for success": {`{"failed_code":"成功","connection_failure_reason":"正常"}`, "", ""},
		"code of zeros":     {`{"failed_code":"WKS.00000000","connection_failure_reason":"OK"}`, "WKS.00000000", "OK"},
		"reason alone":      {`{"connection_failure_reason":"No server"}`, "", "No server"},
		"code alone":        {`{"failed_code":500}`, "500", ""},
		"status, failed":    {`{"connection_status":" Failed "}`, "", "Failed"},
		"status, 失败":        {`{"failed_code":"-","connection_status":"连接失败"}`, "", "连接失败"},
		"status, good":      {`{"connection_status":"Success"}`, "", ""},
		"status, ended":     {`{"connection_status":"In use"}`, "", ""},
		"status and code":   {`{"failed_code":"7","connection_status":"Failed"}`, "7", ""},
		"status and reason": {`{"connection_failure_reason":"No server","connection_status":"Failed"}`, "", "No server"},
		"personal": {`{"id":"77aa11","user_name":"jane@corp.example","machine_name":"APS-1","aps_instance_name":"APS-WSKIXL","aps_host_id":"host-1","transaction_id":"tx-1",
			"client_name":"PC-9","vm_ip":"192.168.0.5","failed_code":"7","connection_failure_reason":"jane on PC-9 to APS-WSKIXL (APS-1, 192.168.0.5, host-1): tx-1, 77aa11"}`,
			"7", "<user> on <client> to <server> (<server>, <address>, <id>): <id>, <id>"},
	} {
		t.Run(name, func(t *testing.T) {
			l := app(t, c.record)
			assert.Equal(t, []string{c.code, c.reason}, []string{l.FailedCode, l.FailedReason})
		})
	}
}

func TestAppIdentity(t *testing.T) {
	without := func(field string) string { return strings.Replace(fullApp, field, `"x":`, 1) }
	first := app(t, fullApp)
	ended := app(t, strings.Replace(fullApp, "0001-01-01 00:00:00", "2022-03-07T11:00:00Z", 1))
	assert.Equal(t, first.ID, ended.ID, "a record keeps its identity as it changes")
	assert.Equal(t, first.Invariant, ended.Invariant)

	nameless := app(t, without(`"id":`))
	assert.Equal(t, nameless.ID, nameless.Invariant)
	assert.Equal(t, first.Invariant, nameless.Invariant, "a file without ids is matched to pages")
	assert.Equal(t, first.Invariant, app(t, without(`"machine_name":`)).Invariant, "the server may be filled in later")
	assert.Equal(t, first.Invariant, app(t, strings.Replace(fullApp, "43.858Z", "43Z", 1)).Invariant, "files may have no fractions of a second")
	for _, change := range [][2]string{{"jane", "bob"}, {"Notepad++", "Calc"}, {"PC-9", "PC-8"}, {"10:40:43", "10:40:44"}} {
		assert.NotEqual(t, first.Invariant, app(t, strings.Replace(fullApp, change[0], change[1], 1)).Invariant, change)
	}
}

// The hashes are kept in the store: they must not change between versions.
func TestAppIsStable(t *testing.T) {
	l := app(t, fullApp)
	assert.Equal(t, "64a6ae388d7bcd53ac8566a89dbb8e1a", hex.EncodeToString(l.ID[:]))
	assert.Equal(t, "31409d907e27866ee9e799c2ea377169", hex.EncodeToString(l.Invariant[:]))
}

func TestAppOddFields(t *testing.T) {
	for text, invalid := range map[string][]string{
		`{"brokering_time":null,"end_time":"","app_name":null}`:                nil,
		`{"brokering_time":"soon","end_time":{},"app_name":[],"id":true}`:      {"id", "app_name", "brokering_time", "end_time"},
		`{"id":7,"failed_code":7,"app_group_id":573743978327834675,"sid":"-"}`: nil,
		`{"connection_status":"Somehow"}`:                                      {"connection_status"},
		`{"failed_code":"7","connection_status":"Somehow"}`:                    nil,
	} {
		assert.Equal(t, invalid, app(t, text).Invalid, text)
	}
	unread := app(t, `{"brokering_time":"1/5/2024 8:03"}`)
	assert.True(t, unread.HasStarted(), "a start that cannot be read is one")
}

func FuzzAppConnection(f *testing.F) {
	for _, s := range []string{fullApp, `{}`, `null`, `{"connection_failure_reason":"\ud800"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var c AppConnection
		if json.Unmarshal([]byte(s), &c, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) != nil {
			return
		}
		l := c.Login()
		if l.ID == (Identity{}) || l.Invariant == (Identity{}) {
			t.Fatal("no identity")
		}
		for _, label := range []string{l.Group, l.App, l.Machine, l.ClientType, l.ClientVersion, l.AgentVersion, l.FailedCode, l.FailedReason} {
			if Label(label) != label {
				t.Fatalf("not a label: %q", label)
			}
		}
	})
}
