package workspace

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Whatever the body, each of the lists reads it as a page or refuses it, and what it
// reads can be worked with: labels that Prometheus takes, times that are none of the
// far future or past.
func FuzzLists(f *testing.F) {
	const texts = `"user_name":"a\u0000\ud800","failed_reason":"\r\n","desktop_group_name":"长","machine_name":"\u202e"`
	for _, s := range []string{
		onePage,
		`{"count":"3","items":[null,{},[1],{` + texts + `,"start_time":"9999-12-31T23:59:59Z"}]}`,
		`{"total_count":1,"records":[{"id":"1","connection_start_time":"2026-01-01T00:00:00Z","connection_failure_reason":"x y 7","network_rtt":"12"}]}`,
		`{"count":1,"items":[{"username":"u","failed_count":9223372036854775807,"last_access_time":"2026-01-01 00:00:00"}]}`,
		`{"count":1,"items":[{"id":"s","session_state":"InitFail","client_ip":"1.2.3.4","create_time":1767225600000}]}`,
		`{"count":1,"export_tasks":[{"task_id":"t","status":"SUCCESS","fail_reason":7}]}`,
		`{"items":[` + strings.Repeat(`{"id":`, 100) + `1`, `{"count":2147483647,"items":[]}`, "", "[", "{\"\xff\":1}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		sound := func(invalid []string, labels ...string) {
			for _, l := range labels {
				if len(l) > 128 || !utf8.ValidString(l) || strings.ContainsFunc(l, unicode.IsControl) {
					t.Fatalf("no label: %q", l)
				}
			}
			if len(invalid) > 100 {
				t.Fatalf("%d invalid fields", len(invalid))
			}
		}
		login := func(l record.Login) {
			sound(l.Invalid, l.Group, l.Machine, l.ClientType, l.ClientVersion, l.AgentVersion, l.FailedCode)
		}
		readPage(t, body, "count", "items", func(u *record.UserConnection) { login(u.Login()) })
		readPage(t, body, "total_count", "records", func(d *record.DesktopConnection) { login(d.Login()) })
		readPage(t, body, "count", "items", func(i *record.SessionInfo) {
			s := i.Session()
			sound(s.Invalid, s.State, s.Group, s.Machine, s.FailedCode)
		})
		readPage(t, body, "count", "items", func(a *record.AppUserAccess) {
			x := a.Access()
			sound(x.Invalid, x.Code, x.Message)
			require.GreaterOrEqual(t, x.Failures, 0)
		})
		readPage(t, body, "count", "export_tasks", func(*taskItem) {})
	})
}

func readPage[T any](t *testing.T, body, count, items string, each func(*T)) {
	n, list, err := decodePage[T](strings.NewReader(body), count, items)
	if err != nil {
		return
	}
	require.GreaterOrEqual(t, n, -1)
	for i := range list {
		each(&list[i])
	}
}

func FuzzTokenExpiry(f *testing.F) {
	for _, s := range []string{
		`{"token":{"expires_at":"2026-01-01T00:00:00.000000Z"}}`, `{"token":{"expires_at":""}}`, `{"token":{}}`, `{"token":[]}`, `{"token":{"expires_at":7}}`, `{}`, ``, "\xff", `{"token":{"expires_at":"9999-99-99"}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		expires, err := decodeTokenExpiry(strings.NewReader(body))
		if err != nil {
			require.True(t, expires.IsZero())
			require.NotContains(t, err.Error(), "\n")
		}
	})
}

func FuzzTemporaryKeys(f *testing.F) {
	for _, s := range []string{
		`{"credential":{"access":"A","secret":"S","securitytoken":"T","expires_at":"2026-01-01T00:00:00.000000Z"}}`,
		`{"credential":{"accessKeyId":"A","secretAccessKey":"S","securityToken":"T","expiration":"2026-01-01T00:00:00Z"}}`,
		`{"credential":{"access":1,"secret":true}}`, `{"credential":null}`, `[]`, ``, "{\"credential\":{\"access\":\"\xff\"}}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, _, err := parseTemporaryKeys(body)
		if err != nil {
			require.Equal(t, credential{}, p)
			return
		}
		require.NotEmpty(t, p.access)
		require.NotEmpty(t, p.secret)
		require.NotEmpty(t, p.securityToken)
	})
}

func FuzzProfile(f *testing.F) {
	for _, s := range []string{
		"[basic]\nak = A\nsk = S\n", "\uFEFF[basic]\r\nak: 'A' ; comment\r\nsk=\"S#\"\r\nsecurity_token=`T`\r\n",
		"[other]\nak=X\n[ basic ]\nak=A", "ak=A\n[basic", "[basic]\n=\n:\n#ak=A\nak", "", "\x00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, value := range parseProfile(text, profileSection) {
			require.Contains(t, text, name)
			require.Contains(t, text, value)
			require.NotContains(t, name+value, "\n")
		}
	})
}

// Headers of an answer: what to wait, and what time it is.
func FuzzHeaders(f *testing.F) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, s := range []string{"", "0", "120", "-1", " 7 ", "1e9", "1795667259", "2.5", "00", ".", "99999999999", now.Format(http.TimeFormat), "Fri, 31 Dec 9999 23:59:59 GMT", "Thursday, 01-Jan-26 00:00:00 GMT", "\xff"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, after, date string) {
		h := http.Header{"Retry-After": {after}, "Date": {date}}
		wait := retryAfter(h, now)
		require.GreaterOrEqual(t, wait, time.Duration(0))
		require.LessOrEqual(t, wait, maxRetryAfter)
		_, again := retryIn(&Error{RetryAfter: wait, retry: throttled}, 1)
		require.Equal(t, wait <= maxWait, again, "nobody sleeps for %s", wait)
		c := clock{local: func() time.Time { return now }}
		c.observe(h, 0)
		if server, ok := c.server(); ok {
			require.NotZero(t, server.Year())
		}
	})
}
