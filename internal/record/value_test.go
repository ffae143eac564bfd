package record

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// row is a record of a file.
func row(t testing.TB, fields map[string]string) Login {
	t.Helper()
	var c UserConnection
	for name, value := range fields {
		require.True(t, c.Set(name, value), name)
	}
	return c.Login()
}

// page is the same record of a page.
func page(t testing.TB, fields map[string]string) Login {
	t.Helper()
	text, err := json.Marshal(fields)
	require.NoError(t, err)
	return decode(t, string(text))
}

func TestNothing(t *testing.T) {
	for _, text := range []string{"", " ", "\t", "-", "--", "—", "- -", "N/A", "n/a", "NA", "null", "NULL", "(null)", "nil", "none", "None", "NaN", "undefined", `\N`, "/", "无", "空", "Ｎ／Ａ", "－", `="N/A"`, "\u00a0", "\x00", "#N/A", "<NA>", "#REF!", "#DIV/0!"} {
		for way, read := range map[string]func(testing.TB, map[string]string) Login{"row": row, "page": page} {
			l := read(t, map[string]string{"id": text, "start_time": text, "end_time": text, "failed_code": text, "failed_reason": text, "client_ip": text})
			nothing := read(t, map[string]string{})
			assert.Equal(t, nothing, l, "%s: %q", way, text)
		}
	}
	for _, text := range []string{"Nancy", "nada", "null pointer", "/dev/null", "N/A!", "10", "无法连接"} {
		assert.Equal(t, text, row(t, map[string]string{"failed_reason": text}).FailedReason)
	}
	l := row(t, map[string]string{"desktop_group_name": "None", "machine_name": "-", "client_type": "--", "client_version": "无"})
	assert.Equal(t, []string{"None", "", "", "无"}, []string{l.Group, l.Machine, l.ClientType, l.ClientVersion}, "labels are left as they are, but for dashes")
	assert.NotZero(t, row(t, map[string]string{"user_name": "na"}).User, "somebody's name")
	assert.Zero(t, row(t, map[string]string{"user_name": "null"}).User)
}

func TestSuccessInWords(t *testing.T) {
	for _, text := range []string{"success", "Success", "SUCCESS", "ok", "OK", "成功", "正常", "Success.", " success ", "succeeded", "登录成功", "ｓｕｃｃｅｓｓ"} {
		for _, code := range []string{"", "-", "null"} {
			l := row(t, map[string]string{"failed_code": code, "failed_reason": text, "start_time": "2024-01-05 08:03:07"})
			assert.Empty(t, l.FailedCode+l.FailedReason, "%q %q", code, text)
		}
		assert.Empty(t, row(t, map[string]string{"failed_code": text}).FailedCode, text)
	}
	l := row(t, map[string]string{"failed_code": "40", "failed_reason": "ok"})
	assert.Equal(t, []string{"40", "ok"}, []string{l.FailedCode, l.FailedReason}, "a code is a failure whatever is said")
	for _, text := range []string{"unsuccessful", "not ok", "success rate too low", "不成功", "异常", "No success"} {
		assert.Equal(t, text, row(t, map[string]string{"failed_reason": text}).FailedReason)
	}
}

func TestCodes(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "0.0": "0", "40.0": "40", "40.00": "40", `="0045"`: "0045", "'0": "0", "'40": "40", "０": "0", "４０": "40", "1,003": "1003", "0045": "0045", "WKS.00000000": "WKS.00000000", "’40": "’40",
		"1.5": "1.5", "WKS.1.0": "WKS.1.0", "ERR-1": "ERR-1", "Ｅ１": "Ｅ１", "失败": "失败",
	} {
		assert.Equal(t, want, row(t, map[string]string{"failed_code": text}).FailedCode, text)
		assert.Equal(t, want, page(t, map[string]string{"failed_code": text}).FailedCode, text)
	}
}

func TestIDs(t *testing.T) {
	at := map[string]string{"user_name": "u", "start_time": "2024-01-05 08:03:07"}
	login := func(id string) Login {
		fields := map[string]string{"id": id}
		for name, value := range at {
			fields[name] = value
		}
		return row(t, fields)
	}
	anonymous := login("")
	for want, texts := range map[string][]string{
		"394":                              {"394.0", "'394", `="394"`, "394\t", " 394 ", "\ufeff394", "３９４", "394.00", "'394'", `"394"`, "394\x1a"},
		"1234":                             {"1,234", "1234.0"},
		"1234567":                          {"1,234,567", "1 234 567", "1'234'567", "1\u00a0234\u00a0567"},
		"0045":                             {`="0045"`, "'0045"},
		"123456789012345678":               {"'123456789012345678", `="123456789012345678"`, "123456789012345678\t", "123,456,789,012,345,678"},
		"0a4da8115c9d8464ead3a38309130523": {`="0a4da8115c9d8464ead3a38309130523"`, "'0a4da8115c9d8464ead3a38309130523"},
		"12345678901234567890123456789e12": {" 12345678901234567890123456789e12"},
	} {
		for _, text := range texts {
			got := login(text)
			assert.Equal(t, login(want).ID, got.ID, "%q is %q", text, want)
			assert.Empty(t, got.Invalid, text)
		}
	}
	for _, text := range []string{"1.2345678901234568E18", "1.2345678901234568e+18", "1.23E+18", "1,23E+17", "1E+18", "123.4E15", "'1.23E+18", `="1.23E+18"`, "1234567890123456.0", "1234567890123456800.0", "123456789012345000", "1.5e+3"} {
		got := login(text)
		assert.Equal(t, got.Invariant, got.ID, text)
		assert.Equal(t, anonymous.ID, got.ID, text)
		assert.Equal(t, []string{"id"}, got.Invalid, text)
	}
	padded := login("0000000000000010")
	assert.NotEqual(t, padded.Invariant, padded.ID, "a spreadsheet would not have kept its zeros")
	// In a page a number is what it is: its zeros are no spreadsheet's.
	long := decode(t, `{"id":"123456789012345000"}`)
	assert.NotEqual(t, long.ID, long.Invariant)
	for _, text := range []string{`{"id":1.2345678901234568E18}`, `{"id":1.2345678901234568e+18}`} {
		got := decode(t, text)
		assert.Equal(t, got.ID, got.Invariant, text)
	}
	assert.Equal(t, decode(t, `{"id":"394"}`).ID, decode(t, `{"id":394.0}`).ID)
	assert.Equal(t, []string{"user_name"}, row(t, map[string]string{"user_name": "1.38E+10"}).Invalid, "a telephone number that was rounded is nobody's")
}

func TestIDsOfTheOthers(t *testing.T) {
	session := func(id string) Identity {
		var s SessionInfo
		s.Set("id", id)
		s.Set("login_user", "u"+id[:1])
		return s.Session().ID
	}
	assert.Equal(t, session("394"), session("394.0"))
	assert.NotEqual(t, session("1.23E+18"), session("2.23E+18"), "by what does not change")
	desktop := func(id, user string) Login {
		var c DesktopConnection
		c.Set("transaction_id", id)
		c.Set("user_name", user)
		return c.Login()
	}
	assert.Equal(t, desktop("7", "u").ID, desktop("'7", "u").ID)
	one, other := desktop("1.2345678901234568E+18", "u"), desktop("1.2345678901234568E+18", "v")
	assert.Equal(t, one.ID, one.Invariant)
	assert.NotEqual(t, one.ID, other.ID)
}

// Records whose start cannot be read are as many as they are, without ids, too.
func TestUnreadableStart(t *testing.T) {
	one := row(t, map[string]string{"user_name": "u", "start_time": "1/5/2024 8:03:07 AM"})
	other := row(t, map[string]string{"user_name": "u", "start_time": "1/6/2024 8:03:07 AM"})
	assert.True(t, one.HasStarted())
	assert.Zero(t, one.Start)
	assert.Equal(t, []string{"start_time"}, one.Invalid)
	assert.NotEqual(t, one.ID, other.ID)
	none, readable, soon := row(t, map[string]string{"start_time": "0001-01-01 00:00:00"}), row(t, map[string]string{"start_time": "2024-01-05 08:03:07"}), desktop(t, `{"connection_start_time":"soon"}`)
	assert.False(t, none.HasStarted())
	assert.True(t, readable.HasStarted())
	assert.True(t, soon.HasStarted())
}

func TestQuotes(t *testing.T) {
	plain := row(t, map[string]string{"id": "394", "user_name": "u1", "desktop_group_name": "Office", "start_time": "2024-01-05 08:03:07", "failed_code": "0", "client_version": "23.5"})
	for name, around := range map[string][2]string{"formula": {`="`, `"`}, "apostrophe": {"'", ""}, "apostrophes": {"'", "'"}, "quotes": {`"`, `"`}} {
		quoted := func(s string) string { return around[0] + s + around[1] }
		assert.Equal(t, plain, row(t, map[string]string{"id": quoted("394"), "user_name": quoted("u1"), "desktop_group_name": quoted("Office"), "start_time": quoted("2024-01-05 08:03:07"),
			"failed_code": quoted("0"), "client_version": quoted("23.5")}), name)
	}
	l := row(t, map[string]string{"id": "394", "desktop_group_name": "'t Kantoor", "machine_name": `"A"`, "client_type": "'=Windows"})
	assert.Equal(t, []string{"'t Kantoor", `"A"`, "=Windows"}, []string{l.Group, l.Machine, l.ClientType}, "what is no quoting stays")
	assert.Equal(t, "user <user> failed", row(t, map[string]string{"id": "'1", "user_name": "'jane", "failed_reason": "'user jane failed"}).FailedReason)
}

func TestNumbers(t *testing.T) {
	for text, want := range map[string]float64{
		"0": 0, "12": 12, "12.5": 12.5, "1,234": 1234, "1,234,567": 1234567, "1,234.5": 1234.5, "1.234,5": 1234.5, "12,5": 12.5, "0,123": 0.123, "１２": 12, "１，２３４": 1234, "1'234": 1234, "1 234": 1234, "1\u00a0234": 1234, "1\u202f234": 1234,
		"+5": 5, "-5": -5, "1e3": 1000, "1.5E+3": 1500, "12.0": 12, ".5": .5, "1.234": 1.234, "7.": 7,
	} {
		got, ok := number(text)
		assert.True(t, ok, text)
		assert.InDelta(t, want, got, 1e-9, text)
	}
	for _, text := range []string{"", "-", "x", "1x", "1:2", "1/2", "0x10", "Inf", "NaN", "1,2,3", "1 2", "1.2.3", "--", "1e", "1_000"} {
		_, ok := number(text)
		assert.False(t, ok, text)
	}
	ms := func(text string) *time.Duration {
		var c DesktopConnection
		c.Set("network_rtt", text)
		return c.Login().NetworkRTT
	}
	for text, want := range map[string]time.Duration{
		"12": 12 * time.Millisecond, "12 ms": 12 * time.Millisecond, "12ms": 12 * time.Millisecond, "12 毫秒": 12 * time.Millisecond, "１２毫秒": 12 * time.Millisecond, "1,234": 1234 * time.Millisecond, "1,234 ms": 1234 * time.Millisecond,
		"1.2 s": 1200 * time.Millisecond, "2秒": 2 * time.Second, "500 µs": 500 * time.Microsecond, "12 MS": 12 * time.Millisecond, `="12"`: 12 * time.Millisecond, "'12": 12 * time.Millisecond,
	} {
		if got := ms(text); assert.NotNil(t, got, text) {
			assert.Equal(t, want, *got, text)
		}
	}
	for _, text := range []string{"-", "N/A", "fast", "-1", "12 min", "12 13"} {
		assert.Nil(t, ms(text), text)
	}
	count := func(text string) int {
		var a AppUserAccess
		a.Set("access_failed_count", text)
		return a.Access().Failures
	}
	for text, want := range map[string]int{"1,234": 1234, "12.0": 12, "３": 3, "3 次": 3, "-": 0, "1.5": 0, "-3": 0, "1e3": 1000, "many": 0} {
		assert.Equal(t, want, count(text), text)
	}
}

func TestTruths(t *testing.T) {
	truth := func(text string) (bool, []string) {
		var c DesktopConnection
		c.Set("is_reconnect", text)
		l := c.Login()
		return l.Reconnect, l.Invalid
	}
	for want, texts := range map[bool][]string{true: {"true", "TRUE", "Yes", "y", "1", "1.0", "是", "'1", `="1"`, "１"}, false: {"false", "No", "n", "0", "0.0", "否", "", "-", "N/A", "无"}} {
		for _, text := range texts {
			got, invalid := truth(text)
			assert.Equal(t, want, got, text)
			assert.Empty(t, invalid, text)
		}
	}
	_, invalid := truth("perhaps")
	assert.Equal(t, []string{"is_reconnect"}, invalid)
}

func TestStates(t *testing.T) {
	for text, want := range map[string]string{"InitFail": StateFailed, "initfail": StateFailed, "Init Fail": StateFailed, "SIGNED_OUT": StateSignedOut, "初始化失败": StateFailed, "已断开": StateDisconnected, "Active": StateActive, "'Active": "'Active", "Odd": "Odd"} {
		var s SessionInfo
		s.Set("session_state", text)
		assert.Equal(t, want, s.Session().State, text)
	}
}

func TestMask(t *testing.T) {
	assert.Equal(t, "9/9/9999 9:99:99 xx", Mask("1/5/2024 8:03:07 AM"))
	assert.Equal(t, "xxxx@xxxx", Mask("jane@corp"))
	assert.Equal(t, "x\uFFFDx", Mask("a\xffb\n"))
	assert.LessOrEqual(t, len(Mask(strings.Repeat("x", 1000))), maxMaskBytes)
}

func FuzzValue(f *testing.F) {
	for _, s := range []string{"", "394.0", `="0045"`, "'1,234", "1.23E+18", "１２ 毫秒", "N/A", "成功", "1.234,5", "'’1\u00a0000"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, cells bool) {
		var c UserConnection
		var d DesktopConnection
		var a AppUserAccess
		for _, name := range []string{"id", "user_name", "failed_code", "failed_reason", "start_time", "client_ip", "desktop_group_name"} {
			c.Set(name, s)
		}
		c.cells = cells
		for _, name := range []string{"transaction_id", "network_rtt", "is_reconnect", "connection_details"} {
			d.Set(name, s)
		}
		a.Set("access_failed_count", s)
		login, access, desk := c.Login(), a.Access(), d.Login()
		if access.Failures < 0 || desk.NetworkRTT != nil && *desk.NetworkRTT < 0 {
			t.Fatal(access.Failures, desk.NetworkRTT)
		}
		for _, label := range []string{login.FailedCode, login.FailedReason, login.Group, desk.FailedCode, desk.FailedReason} {
			if Label(label) != label {
				t.Fatalf("not a label: %q", label)
			}
		}
		// What is clean once stays as it is.
		var again UserConnection
		again.Set("failed_code", login.FailedCode)
		if code := again.Login().FailedCode; strings.Trim(login.FailedCode, "0123456789") == "" && code != login.FailedCode {
			t.Fatalf("%q becomes %q, then %q", s, login.FailedCode, code)
		}
		if strings.ContainsFunc(Mask(s), func(r rune) bool { return unicode.IsDigit(r) && r != '9' || unicode.IsLetter(r) && r != 'x' }) {
			t.Fatalf("%q shows in %q", s, Mask(s))
		}
	})
}
