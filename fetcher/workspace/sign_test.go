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
			proof{access: v.Access, secret: v.Secret, securityToken: v.SecurityToken}, []byte(v.Body), date)
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
				skew, known := client.AppStream().Skew()
				assert.True(t, known)
				assert.InDelta(t, c.off.Seconds(), skew.Seconds(), 1.01)
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
		_, known := c.AppStream().ServerTime()
		assert.False(t, known)
		_, known = c.AppStream().Skew()
		assert.False(t, known)

		header = "garbage"
		status = 400
		_, _ = list(t.Context(), c)
		_, known = c.AppStream().ServerTime()
		assert.False(t, known)

		header = date.Format(http.TimeFormat)
		_, _ = list(t.Context(), c)
		got, known := c.AppStream().ServerTime()
		assert.True(t, known)
		assert.Equal(t, date, got)
		time.Sleep(90 * time.Second)
		got, _ = c.AppStream().ServerTime()
		assert.Equal(t, date.Add(90*time.Second), got)

		header = date.Add(time.Minute).Format(http.TimeFormat)
		_, _ = list(t.Context(), c)
		got, _ = c.AppStream().ServerTime()
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
