package workspace

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// testdata/signatures.jsonl was made with the signer of the vendor's SDK
// (huaweicloud-sdk-go-v3 v0.1.207, core/auth/signer): six requests by hand and 34
// with random odd characters, each signed with the headers host, X-Sdk-Date and,
// with temporary keys, X-Security-Token.
func TestSignAsTheSDK(t *testing.T) {
	lines, err := os.ReadFile("testdata/signatures.jsonl")
	require.NoError(t, err)
	n := 0
	for line := range bytes.Lines(lines) {
		var v struct {
			Method, Host, Path, Body, Access, Secret, Date, Authorization string

			Query         url.Values
			SecurityToken string `json:"security_token"`
		}
		require.NoError(t, json.Unmarshal(line, &v, json.MatchCaseInsensitiveNames(true)))
		date, err := time.Parse(signDateLayout, v.Date)
		require.NoError(t, err)
		base := &url.URL{Scheme: "https", Host: v.Host}
		r, err := newRequest(t.Context(), call{base: base, method: v.Method, path: v.Path, query: v.Query, auth: aksk{}},
			credential{access: v.Access, secret: v.Secret, securityToken: v.SecurityToken}, []byte(v.Body), date)
		require.NoError(t, err)
		assert.Equal(t, v.Authorization, r.Header.Get("Authorization"), "%s %q %v", v.Method, v.Path, v.Query)
		assert.Equal(t, v.SecurityToken, r.Header.Get("X-Security-Token"))

		// What is sent is what was signed.
		sent, err := url.ParseRequestURI(r.URL.RequestURI())
		require.NoError(t, err)
		assert.Equal(t, v.Path, sent.Path)
		assert.Equal(t, escapePath(v.Path), sent.EscapedPath())
		assert.Equal(t, canonicalQuery(v.Query), sent.RawQuery)
		n++
	}
	assert.Equal(t, 40, n)
}

func TestClockSkew(t *testing.T) {
	for name, c := range map[string]struct {
		off      time.Duration
		status   int
		attempts int
		wantErr  string
	}{
		"behind":          {off: -10 * time.Minute, status: 401, attempts: 2},
		"ahead, 403":      {off: time.Hour, status: 403, attempts: 2},
		"right":           {off: 30 * time.Second, status: 401, attempts: 1, wantErr: "check the access key"},
		"and still wrong": {off: 10 * time.Minute, status: 418, attempts: 2, wantErr: "the local clock is off by 10m"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				attempts := 0
				client := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
					attempts++
					signed, err := time.Parse(signDateLayout, r.Header.Get("X-Sdk-Date"))
					assert.NoError(t, err)
					if c.status == 418 || time.Since(signed).Abs() > 15*time.Second {
						w.WriteHeader(refusal(c.status))
						return
					}
					ok(w)
				}), func(o *Options) { o.Now = func() time.Time { return time.Now().Add(c.off) } })
				_, err := list(t.Context(), client)
				if c.wantErr == "" {
					require.NoError(t, err)
					_, err = list(t.Context(), client)
					require.NoError(t, err)
					attempts-- // the right time is known now
				} else {
					require.ErrorContains(t, err, c.wantErr)
				}
				assert.Equal(t, c.attempts, attempts)
				skew, known := client.Host(AppStream).Skew()
				assert.True(t, known)
				assert.InDelta(t, c.off.Seconds(), skew.Seconds(), 1.01)
			})
		})
	}
}

// No Date makes a signature that is good in a time to come: one of an answer none but of
// a quarter of an hour, one of a refusal none of more than a week. And a machine that
// slept needs no answer to know the time.
func TestNoSignatureOfATimeToCome(t *testing.T) {
	for name, c := range map[string]struct {
		date   time.Duration // from now
		status int           // of the first answer
		want   time.Duration // the next signature's
	}{
		"years, an answer":    {6 * 365 * 24 * time.Hour, 200, 0},
		"years, a refusal":    {6 * 365 * 24 * time.Hour, 401, 0},
		"years, a 403":        {6 * 365 * 24 * time.Hour, 403, 0},
		"two days, a refusal": {48 * time.Hour, 401, 48 * time.Hour},
		"a month, a refusal":  {30 * 24 * time.Hour, 401, 0},
		"hours, an answer":    {2 * time.Hour, 200, 0},
		"hours, a refusal":    {2 * time.Hour, 401, 2 * time.Hour},
		"minutes, an answer":  {10 * time.Minute, 200, 10 * time.Minute},
		"behind, an answer":   {-time.Hour, 200, 0},
		"behind, a refusal":   {-400 * 24 * time.Hour, 401, -400 * 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				var signed []time.Duration
				client := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
					at, err := time.Parse(signDateLayout, r.Header.Get("X-Sdk-Date"))
					assert.NoError(t, err)
					signed = append(signed, time.Until(at).Round(time.Second))
					w.Header().Set("Date", time.Now().Add(c.date).UTC().Format(http.TimeFormat))
					if len(signed) == 1 && c.status != 200 {
						w.WriteHeader(refusal(c.status))
						return
					}
					ok(w)
				}), nil)
				for range 2 {
					_, _ = list(t.Context(), client)
				}
				assert.Zero(t, signed[0])
				assert.InDelta(t, c.want.Seconds(), signed[1].Seconds(), 1.01)
			})
		})
	}
}

func TestServerTime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		date := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		header := date.Format(http.TimeFormat)
		status := 500
		c := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", header)
			w.WriteHeader(status)
		}), nil)
		_, known := c.Host(AppStream).ServerTime()
		assert.False(t, known)
		_, known = c.Host(AppStream).Skew()
		assert.False(t, known)

		header = "garbage"
		status = 400
		_, _ = list(t.Context(), c)
		_, known = c.Host(AppStream).ServerTime()
		assert.False(t, known)

		header = date.Format(http.TimeFormat)
		_, _ = list(t.Context(), c)
		got, known := c.Host(AppStream).ServerTime()
		assert.True(t, known)
		assert.Equal(t, date, got)
		time.Sleep(90 * time.Second)
		got, _ = c.Host(AppStream).ServerTime()
		assert.Equal(t, date.Add(90*time.Second), got)

		header = date.Add(time.Minute).Format(http.TimeFormat)
		_, _ = list(t.Context(), c)
		got, _ = c.Host(AppStream).ServerTime()
		assert.Equal(t, date.Add(time.Minute), got, "the newest Date counts")
	})
}

// refusal is the status to refuse with; 418 in the table means "always, with 401".
func refusal(status int) int {
	if status == 418 {
		return 401
	}
	return status
}
