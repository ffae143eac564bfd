package record

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLabel(t *testing.T) {
	for in, want := range map[string]string{
		"":                                "",
		"Office 1":                        "Office 1",
		"  padded\t":                      "padded",
		"a\nb\x00c\x7f":                   "a b c",
		"\u4e2d\u6587\u7ec4":              "\u4e2d\u6587\u7ec4",
		"a\xffb":                          "a\uFFFDb",
		"a\u2028b":                        "a b",
		"\u00a0x\u3000":                   "x",
		strings.Repeat("x", 129):          strings.Repeat("x", 128),
		strings.Repeat("\u4e2d", 50):      strings.Repeat("\u4e2d", 42),
		strings.Repeat(" ", 10_000) + "x": "",
		strings.Repeat("x", 1<<20):        strings.Repeat("x", 128),
	} {
		assert.Equal(t, want, Label(in), "%.40q", in)
	}
}

func FuzzLabel(f *testing.F) {
	for _, s := range []string{"a", " \xff\u4e2d", strings.Repeat("\u4e2d", 60), "\x80\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Label(s)
		if len(got) > MaxLabelBytes || !utf8.ValidString(got) || strings.TrimSpace(got) != got || strings.ContainsFunc(got, unicode.IsControl) {
			t.Fatalf("%q", got)
		}
		if again := Label(got); again != got {
			t.Fatalf("%q, then %q", got, again)
		}
	})
}

// decode reads one record the way a page does.
func decode(t testing.TB, text string) Login {
	t.Helper()
	var c UserConnection
	err := json.Unmarshal([]byte(text), &c, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	require.NoError(t, err, text)
	return c.Login()
}

func TestScrub(t *testing.T) {
	for name, c := range map[string]struct{ record, want string }{
		"user":           {`{"user_name":"jane","failed_reason":"User jane is locked, JANE!"}`, "User <user> is locked, <user>!"},
		"account":        {`{"user_name":"jane@corp.example","failed_reason":"jane@corp.example (jane) failed"}`, "<user> (<user>) failed"},
		"windows domain": {`{"user_name":"CORP\\jane","failed_reason":"CORP\\jane or jane"}`, "<user> or <user>"},
		"part of a word": {`{"user_name":"an","failed_reason":"an error in plan B"}`, "<user> error in plan B"},
		"id in a code":   {`{"id":"3","failed_reason":"code 1003, record 3"}`, "code 1003, record <id>"},
		"addresses":      {`{"client_ip":"10.1.2.3","client_mac":"c8-d9-d2-aa-3a-57","failed_reason":"10.1.2.3 c8-d9-d2-aa-3a-57 172.16.0.9:3389 aa:bb:cc:dd:ee:ff"}`, "<address> <address> <address> <address>"},
		"masked":         {`{"failed_reason":"10.*.248.130 c8-d9-d2-**-3a-57"}`, "<address> <address>"},
		"ipv6":           {`{"failed_reason":"from fe80::1 and 2001:db8:0:0:0:0:0:1 at 12:30:45"}`, "from <address> and <address> at 12:30:45"},
		"mapped ipv6":    {`{"failed_reason":"from ::ffff:10.1.2.3 it came"}`, "from <address> it came"},
		"zone":           {`{"failed_reason":"from fe80::1%eth0 it came"}`, "from <address> it came"},
		"client name":    {`{"client_name":"Y002516E2p1","failed_reason":"host Y002516E2P1 left"}`, "host <client> left"},
		"sid, tenant":    {`{"machine_sid":"S-1-5-21-1-2-3-1418","tenant_id":"a4da81","failed_reason":"S-1-5-21-1-2-3-1418/a4da81"}`, "<id>/<id>"},
		"chinese":        {`{"user_name":"张三","failed_reason":"用户张三登录失败，错误码1003"}`, "用户<user>登录失败，错误码1003"},
		"chinese mail":   {`{"failed_reason":"用户 张三@公司.cn 登录失败"}`, "用户 <user> 登录失败"},
		"ascii, chinese": {`{"user_name":"jane","failed_reason":"用户jane登录失败"}`, "用户<user>登录失败"},
		"email":          {`{"failed_reason":"mail to bob.o@corp.example bounced"}`, "mail to <user> bounced"},
		"several fields": {`{"wi_ip":"192.168.10.100\\#192.168.10.23","failed_reason":"no route to 192.168.10.23"}`, "no route to <address>"},
		"no text":        {`{"user_name":"jane","failed_reason":"  "}`, ""},
		"uuid":           {`{"failed_reason":"session {550E8400-e29b-41d4-a716-446655440000} is lost"}`, "session {<id>} is lost"},
		"hex":            {`{"failed_reason":"请求3f2504e04f8941d39a0c0305e82c3301失败"}`, "请求<id>失败"},
		"phone":          {`{"failed_reason":"no code sent to +86 138-0013-8000, 手机13800138000"}`, "no code sent to <phone>, 手机<phone>"},
		"no phone":       {`{"failed_reason":"error 80090308 after +5 ms, +1000 more"}`, "error 80090308 after +5 ms, +1000 more"},
		"version":        {`{"failed_reason":"agent 25.6.0.0617 is too old"}`, "agent 25.6.0.0617 is too old"},
		"longer":         {`{"failed_reason":"from 1.10.1.2.3, 10.1.2.3.4567 and 10.1.2.3:33890"}`, "from <address>, <address> and <address>"},
		"cut":            {`{"user_name":"jane","failed_reason":"` + strings.Repeat("x", 4094) + ` jane"}`, strings.Repeat("x", 128)},
		"at the end":     {`{"user_name":"jane","failed_reason":"` + strings.Repeat("x", 120) + ` of jane is"}`, strings.Repeat("x", 120) + " of <use"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, decode(t, c.record).FailedReason)
		})
	}
}

// A code may be any text. What is one stays as it is.
func TestCodesAreNotPersonal(t *testing.T) {
	for text, want := range map[string]string{
		"WKS.00170001": "WKS.00170001", "APIGW.0308": "APIGW.0308", "ERR_1003": "ERR_1003", "0x80090308": "0x80090308", "E-1-2-3": "E-1-2-3",
		"a_very_long_code_in_words": "a_very_long_code_in_words", "密码错误": "密码错误", "HDA 23.5.0.0519": "HDA 23.5.0.0519",
		"user:jane.doe@corp.example": "user:<user>", "10.1.2.3": "<address>", `locked CORP\\jane`: "locked <user>", "00-1a-2b-3c-4d-5e": "<address>",
	} {
		assert.Equal(t, want, decode(t, `{"failed_code":"`+text+`"}`).FailedCode, text)
	}
}

// An id that the vendor's support asks for stays whole, whatever stands in it.
func TestScrubTextKeepsRequestIDs(t *testing.T) {
	const id = "550e8400-e29b-41d4-a716-446655440000"
	assert.Equal(t, id, ScrubText(id))
	assert.Equal(t, "<address> "+id+" <address>, "+id, ScrubText("00-1a-2b-3c-4d-5e "+id+" 001a-2b3c-4d5e, "+id))
}

func FuzzScrub(f *testing.F) {
	f.Add("jane", "user jane failed")
	f.Add("\u5f20\u4e09", "\u7528\u6237\u5f20\u4e09 10.0.0.1")
	f.Add("\u0130x", "i\u0307x \u0130x")
	f.Fuzz(func(t *testing.T, user, reason string) {
		var c UserConnection
		c.Set("user_name", user)
		c.Set("failed_reason", reason)
		got := c.Login().FailedReason
		if Label(got) != got {
			t.Fatalf("not a label: %q", got)
		}
		if user = strings.TrimSpace(user); len(user) > 8 && strings.Trim(user, "abcdefghijklmnopqrstuvwxyz") == "" {
			for _, word := range strings.Fields(got) {
				if word == user {
					t.Fatalf("%q tells %q", got, user)
				}
			}
		}
	})
}
