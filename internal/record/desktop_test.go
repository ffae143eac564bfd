package record

import (
	"encoding/hex"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const fullDesktop = `{"computer_name":"WIN-7","user_name":"CORP\\jane","terminal_mac":"c8-d9-d2-01-3a-57","terminal_name":"PC-9","terminal_ip":"10.1.2.3",
	"terminal_type":"Windows 10","client_version":"23.2.2","agent_version":"23.5","desktop_ip":"192.168.0.5","connection_start_time":"2023-06-05T06:37:40Z",
	"connection_setup_time":"2023-06-05T06:37:47Z","connection_end_time":null,"is_reconnect":true,"connection_failure_reason":"","network_rtt":12,"e2e_rtt":35,
	"source_ip":"10.1.2.3","public_ip":"203.0.113.7","enterprise_project_id":"0","transaction_id":"tx-1","sid":"S-1-5-21"}`

// decodeInto reads one record the way a page does.
func decodeInto(t testing.TB, text string, into any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), into, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)), text)
}

func desktop(t testing.TB, text string) Login {
	t.Helper()
	var c DesktopConnection
	decodeInto(t, text, &c)
	return c.Login()
}

func TestDesktopLogin(t *testing.T) {
	l := desktop(t, fullDesktop)
	begun := time.Date(2023, 6, 5, 6, 37, 40, 0, time.UTC)
	assert.Equal(t, begun, l.Start)
	assert.Equal(t, begun.Add(7*time.Second), l.Setup)
	assert.Zero(t, l.PreConnect)
	assert.Zero(t, l.End)
	assert.Equal(t, []string{"", "WIN-7", "Windows 10", "23.2.2", "23.5", "", ""},
		[]string{l.Group, l.Machine, l.ClientType, l.ClientVersion, l.AgentVersion, l.FailedCode, l.FailedReason})
	assert.True(t, l.Reconnect)
	assert.Equal(t, 12*time.Millisecond, *l.NetworkRTT)
	assert.Equal(t, 35*time.Millisecond, *l.EndToEndRTT)
	assert.Empty(t, l.Invalid)
	assert.Equal(t, decode(t, `{"user_name":"CORP\\jane"}`).User, l.User, "one user of two services is one person")
}

// A row of a file in either language says the same as the record that was paged.
func TestDesktopRow(t *testing.T) {
	page := desktop(t, fullDesktop)
	var row DesktopConnection
	for name, value := range map[string]string{
		"computer_name": "WIN-7", "user_name": `CORP\jane`, "terminal_mac": "c8-d9-d2-01-3a-57", "terminal_name": "PC-9", "terminal_ip": "10.1.2.3",
		"terminal_type": "Windows 10", "client_version": "23.2.2", "agent_version": "23.5", "connection_start_time": "2023-06-05 06:37:40",
		"connection_setup_time": "2023-06-05 06:37:47", "is_reconnect": "是", "network_rtt": "12", "e2e_rtt": "35 ms", "transaction_id": "tx-1",
	} {
		require.True(t, row.Set(name, value), name)
	}
	assert.Equal(t, page, row.Login())
	assert.False(t, row.Set("failed_code", "1"))
}

func TestDesktopOutcome(t *testing.T) {
	const begun, stood = `"connection_start_time":"2023-06-05T06:37:40Z"`, `"connection_setup_time":"2023-06-05T06:37:47Z"`
	for name, c := range map[string]struct {
		record       string
		code, reason string
		started      bool
	}{
		"success":           {`{` + begun + `,` + stood + `}`, "", "", true},
		"no setup":          {`{` + begun + `,"connection_failure_reason":" "}`, "", "", true},
		"no time":           {`{"user_name":"jane"}`, "", "", false},
		"failure":           {`{` + begun + `,"connection_failure_reason":"Login timed out"}`, "login_timed_out", "Login timed out", true},
		"failure, standing": {`{` + begun + `,` + stood + `,"connection_failure_reason":"Kicked out"}`, "kicked_out", "Kicked out", true},
		"dash":              {`{` + begun + `,"connection_failure_reason":"--"}`, "", "", true},
		"number":            {`{` + begun + `,"connection_failure_reason":17}`, "17", "17", true},
		"personal": {`{"user_name":"jane@corp.example","computer_name":"JANE-PC","sid":"S-1-5-21","desktop_ip":"192.168.0.5",
			"connection_failure_reason":"User jane@corp.example (jane) on JANE-PC S-1-5-21 from 10.9.8.7 to 192.168.0.5 was rejected"}`,
			"user_on_server_id_from_address_to_address_was_rejected", "User <user> (<user>) on <server> <id> from <address> to <address> was rejected", false},
		"only personal":    {`{"user_name":"jane","connection_failure_reason":"jane"}`, "user", "<user>", false},
		"success in words": {`{` + begun + `,` + stood + `,"connection_failure_reason":"Success"}`, "", "", true},
		"nothing in words": {`{` + begun + `,` + stood + `,"connection_failure_reason":"N/A"}`, "", "", true},
		"details":          {`{` + begun + `,` + stood + `,"connection_details":"Quality: good"}`, "", "", true},
		"details, unread":  {`{` + begun + `,"connection_setup_time":"9/9/2023 8:03","connection_details":"Quality: good"}`, "", "", true},
		"details, failed":  {`{` + begun + `,"connection_setup_time":"-","connection_details":"The server is unreachable"}`, "the_server_is_unreachable", "The server is unreachable", true},
		"details, success": {`{` + begun + `,"connection_details":"连接成功"}`, "", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			l := desktop(t, c.record)
			assert.Equal(t, []string{c.code, c.reason}, []string{l.FailedCode, l.FailedReason})
			assert.Equal(t, c.started, !l.Start.IsZero())
		})
	}
}

func TestDesktopOddFields(t *testing.T) {
	for text, invalid := range map[string][]string{
		`{}`: nil,
		`{"is_reconnect":null,"network_rtt":null,"e2e_rtt":""}`:                           nil,
		`{"is_reconnect":"no","network_rtt":"0","e2e_rtt":"1.5 ms","transaction_id":5}`:   nil,
		`{"is_reconnect":"perhaps","network_rtt":-1,"e2e_rtt":1e400}`:                     {"is_reconnect", "network_rtt", "e2e_rtt"},
		`{"is_reconnect":{},"network_rtt":true,"e2e_rtt":"Inf","computer_name":["a,}"]}`:  {"computer_name", "is_reconnect", "network_rtt", "e2e_rtt"},
		`{"connection_start_time":"soon","connection_failure_reason":{"text":"a \"b\""}}`: {"connection_start_time", "connection_failure_reason"},
	} {
		assert.Equal(t, invalid, desktop(t, text).Invalid, text)
	}
	assert.Nil(t, desktop(t, `{"network_rtt":"-"}`).NetworkRTT)
	assert.Zero(t, *desktop(t, `{"network_rtt":0}`).NetworkRTT)
	assert.True(t, desktop(t, `[1]`).Malformed)
	assert.False(t, desktop(t, `{"is_reconnect":"否"}`).Reconnect)
}

func TestDesktopIdentity(t *testing.T) {
	first := desktop(t, fullDesktop)
	later := desktop(t, strings.NewReplacer(`"connection_end_time":null`, `"connection_end_time":"2023-06-05T07:00:00Z"`, `"network_rtt":12`, `"network_rtt":90`).Replace(fullDesktop))
	assert.Equal(t, first.ID, later.ID, "a record keeps its identity as it changes")
	assert.Equal(t, first.Invariant, later.Invariant)
	assert.NotEqual(t, first.ID, first.Invariant)

	pending := desktop(t, strings.Replace(fullDesktop, `"connection_setup_time":"2023-06-05T06:37:47Z"`, `"connection_setup_time":""`, 1))
	assert.Equal(t, first.ID, pending.ID)
	assert.Equal(t, first.Invariant, pending.Invariant)

	again := desktop(t, strings.ReplaceAll(fullDesktop, "06:37:4", "06:39:4"))
	assert.NotEqual(t, first.ID, again.ID, "a reconnect with the same transaction is another record")

	anonymous := desktop(t, strings.Replace(fullDesktop, `"transaction_id":"tx-1",`, ``, 1))
	assert.Equal(t, anonymous.ID, anonymous.Invariant)
	assert.Equal(t, first.Invariant, anonymous.Invariant)
	other := desktop(t, strings.NewReplacer(`"transaction_id":"tx-1",`, ``, "jane", "bob").Replace(fullDesktop))
	assert.NotEqual(t, anonymous.ID, other.ID, "the sid is the desktop's: it does not make two records one")
}

// The hashes and codes are kept in the store: they must not change between versions.
func TestDesktopIsStable(t *testing.T) {
	l := desktop(t, fullDesktop)
	assert.Equal(t, "e0f3b7b2d3559f4cf4dadfe0c81ce402", hex.EncodeToString(l.ID[:]))
	assert.Equal(t, "7a8bea7883ae9bfa364c30d6694a9e49", hex.EncodeToString(l.Invariant[:]))
	assert.Equal(t, "f41c6f4e513d099b617731210c177df9", hex.EncodeToString(l.Legacy[:]))
	assert.Equal(t, "连接失败", failureSlug("连接失败"))
}

var slugPattern = regexp.MustCompile(`^[\pL0-9_.-]+$`)

func TestFailureSlug(t *testing.T) {
	for reason, want := range map[string]string{
		"Timeout":                             "timeout",
		"  The agent\n did NOT answer! ":      "the_agent_did_not_answer",
		"Error 1003 in session 5f3a at 12:30": "error_in_session_at",
		"ERR_1003":                            "err_1003",
		"17":                                  "17",
		"13800138000":                         "unknown",
		"<user> from <address>":               "user_from_address",
		"User <user> on <server>":             "user_on_server",
		"...":                                 "unknown",
		"can't":                               "can_t",
		strings.Repeat("a", 80):               strings.Repeat("a", 80),
		strings.Repeat("a", 90):               strings.Repeat("a", 80),
		"\xff":                                "unknown",
		"Ошибка!":                             "ошибка",
		"连接失败，错误码1003":                        "连接失败_错误码",
		"Agent 连接失败":                          "agent_连接失败",
		"The server is unreachable: the network connection between client and agent broke, and no other was made.": "the_server_is_unreachable_the_network_connection_between_client_and_agent_broke",
		strings.Repeat("连", 30): strings.Repeat("连", 26),
	} {
		got := failureSlug(reason)
		assert.Equal(t, want, got, reason)
		assert.Regexp(t, slugPattern, got)
		assert.LessOrEqual(t, len(got), maxSlugBytes)
	}
	assert.Equal(t, failureSlug("连接失败，错误码1003"), failureSlug("连接失败, 错误码 2004"), "numbers make no codes of their own")
}

func FuzzFailureSlug(f *testing.F) {
	for _, s := range []string{"Timeout", "连接失败 1003", strings.Repeat("ä ", 50), "<user>", "\xff\x00_", "a_b-c.9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		slug := failureSlug(s)
		if !slugPattern.MatchString(slug) || slug != failureSlug(s) {
			t.Fatalf("%q gives %q", s, slug)
		}
		if !ownCode.MatchString(slug) && failureSlug("4711 "+s+" 0815") != slug && !ownCode.MatchString(strings.ToLower(strings.TrimSpace(s))) {
			t.Fatalf("%q: a number makes another code than %q", s, slug)
		}
	})
}

func FuzzDesktopConnection(f *testing.F) {
	for _, s := range []string{fullDesktop, `{}`, `null`, `{"network_rtt":1e400,"is_reconnect":1}`, `{"connection_failure_reason":"\ud800"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var c DesktopConnection
		if json.Unmarshal([]byte(s), &c, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) != nil {
			return
		}
		l := c.Login()
		if l.ID == (Identity{}) || l.Invariant == (Identity{}) {
			t.Fatal("no identity")
		}
		for _, label := range []string{l.Machine, l.ClientType, l.ClientVersion, l.AgentVersion, l.FailedCode, l.FailedReason} {
			if Label(label) != label {
				t.Fatalf("not a label: %q", label)
			}
		}
		for _, rtt := range []*time.Duration{l.NetworkRTT, l.EndToEndRTT} {
			if rtt != nil && (*rtt < 0 || *rtt > 24*time.Hour) {
				t.Fatal(*rtt)
			}
		}
		if l.FailedReason != "" && l.FailedCode == "" {
			t.Fatal("a failure without a code")
		}
	})
}
