package workspace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// iam is IAM and the API behind it: only the newest token is good.
type iam struct {
	mu       sync.Mutex
	life     time.Duration
	delay    time.Duration
	made     int
	attempts int
	calls    int
	status   int  // of an answer of IAM, 201 if 0
	refuse   bool // the API refuses every token
	body     map[string]any
}

func (i *iam) RoundTrip(r *http.Request) (*http.Response, error) {
	return server(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Host == "iam.test" {
			time.Sleep(i.delay)
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		if r.URL.Host != "iam.test" {
			i.calls++
			if i.refuse || r.Header.Get("X-Auth-Token") != fmt.Sprint("token", i.made) {
				w.WriteHeader(401)
				return
			}
			ok(w)
			return
		}
		i.attempts++
		if i.status != 0 {
			w.WriteHeader(i.status)
			fmt.Fprint(w, `{"error":{"code":401,"message":"The username or password is wrong.","title":"Unauthorized"}}`)
			return
		}
		i.made++
		_ = json.UnmarshalRead(r.Body, &i.body)
		w.Header().Set("X-Subject-Token", fmt.Sprint("token", i.made))
		w.WriteHeader(201)
		fmt.Fprintf(w, `{"token":{"expires_at":%q}}`, time.Now().Add(i.life).UTC().Format("2006-01-02T15:04:05.000000Z"))
	}).RoundTrip(r)
}

func withPassword(o *Options) { o.Credentials = Password("acme", "jane", text("hunter2")) }

func TestPassword(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		i := &iam{life: 10 * time.Hour}
		c := newClient(t, i, withPassword)
		_, err := list(t.Context(), c)
		require.NoError(t, err)
		want := map[string]any{"auth": map[string]any{
			"identity": map[string]any{"methods": []any{"password"}, "password": map[string]any{
				"user": map[string]any{"name": "jane", "password": "hunter2", "domain": map[string]any{"name": "acme"}}}},
			"scope": map[string]any{"project": map[string]any{"id": "project1"}},
		}}
		assert.Equal(t, want, i.body)

		time.Sleep(9*time.Hour + 29*time.Minute)
		_, err = list(t.Context(), c)
		require.NoError(t, err)
		assert.Equal(t, 1, i.made, "kept in memory")
		time.Sleep(2 * time.Minute)
		_, err = list(t.Context(), c)
		require.NoError(t, err)
		assert.Equal(t, 2, i.made, "renewed half an hour before it expires")
	})
}

func TestTokenOfShortLife(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		i := &iam{life: 100 * time.Second}
		c := newClient(t, i, withPassword)
		for range 3 { // at 0, 85 and 170 s
			_, err := list(t.Context(), c)
			require.NoError(t, err)
			time.Sleep(85 * time.Second)
		}
		assert.Equal(t, 2, i.made)
	})
}

func TestOneTokenForAll(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		i := &iam{life: time.Hour, delay: time.Second}
		c := newClient(t, i, func(o *Options) { withPassword(o); o.Concurrency = 1 })
		for round := range 2 {
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					_, err := list(t.Context(), c)
					assert.NoError(t, err)
				})
			}
			all.Wait()
			assert.Equal(t, round+1, i.attempts)
			time.Sleep(55 * time.Minute)
		}
	})
}

// A request that gives up does not take the token from those who still wait.
func TestInitiatorGivesUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		i := &iam{life: time.Hour, delay: 10 * time.Second}
		c := newClient(t, i, withPassword)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var both sync.WaitGroup
		both.Go(func() { _, err := list(ctx, c); assert.ErrorIs(t, err, context.DeadlineExceeded) })
		both.Go(func() {
			time.Sleep(500 * time.Millisecond)
			_, err := list(t.Context(), c)
			assert.NoError(t, err)
		})
		both.Wait()
	})
}

func TestPasswordRefused(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		i := &iam{status: 401}
		c := newClient(t, i, withPassword)
		_, err := list(t.Context(), c)
		e := asError(t, err)
		assert.Equal(t, "CreateToken", e.Operation)
		assert.Equal(t, 401, e.Status)
		assert.ErrorContains(t, err, "check the domain, the user, the password")
		assert.Equal(t, 1, i.attempts)
		assert.Zero(t, i.calls)
	})
}

func TestTokenRefused(t *testing.T) {
	for name, c := range map[string]struct {
		refuse bool
		calls  int
	}{"once": {false, 2}, "always": {true, 2}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				i := &iam{life: 10 * time.Hour}
				client := newClient(t, i, withPassword)
				_, err := list(t.Context(), client)
				require.NoError(t, err)
				i.made++ // revoked
				i.calls, i.attempts, i.refuse = 0, 0, c.refuse
				_, err = list(t.Context(), client)
				if c.refuse {
					require.ErrorContains(t, err, "a new token was refused too")
				} else {
					require.NoError(t, err)
				}
				assert.Equal(t, c.calls, i.calls)
				assert.Equal(t, 1, i.attempts)
			})
		})
	}
}

func TestTokenIsUsedToItsEndIfIAMFails(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		i := &iam{life: 10 * time.Hour}
		c := newClient(t, i, withPassword)
		_, err := list(t.Context(), c)
		require.NoError(t, err)
		i.status = 400
		time.Sleep(9*time.Hour + 45*time.Minute)
		for range 3 {
			_, err = list(t.Context(), c)
			require.NoError(t, err)
		}
		assert.Equal(t, 2, i.attempts, "a failed renewal is tried again a minute later")
		time.Sleep(14*time.Minute + 30*time.Second)
		_, err = list(t.Context(), c)
		require.NoError(t, err)
		time.Sleep(40 * time.Second)
		_, err = list(t.Context(), c)
		require.Error(t, err, "less than a minute after a renewal failed, the token has expired")
	})
}

func TestTokenAnswers(t *testing.T) {
	for name, c := range map[string]struct{ header, body, want string }{
		"no token":     {"", `{"token":{"expires_at":"2030-01-01T00:00:00Z"}}`, "no X-Subject-Token"},
		"no body":      {"T", "", "expiry"},
		"bad expiry":   {"T", `{"token":{"expires_at":"later"}}`, "expires_at"},
		"other type":   {"T", `{"token":{"expires_at":7}}`, "expiry"},
		"says nothing": {"T", `{"token":{}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				made := 0
				client := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Host != "iam.test" {
						ok(w)
						return
					}
					made++
					w.Header().Set("X-Subject-Token", c.header)
					w.WriteHeader(201)
					fmt.Fprint(w, c.body)
				}), withPassword)
				_, err := list(t.Context(), client)
				if c.want != "" {
					require.ErrorContains(t, err, c.want)
					return
				}
				require.NoError(t, err)
				time.Sleep(50 * time.Minute)
				_, err = list(t.Context(), client)
				require.NoError(t, err)
				assert.Equal(t, 1, made)
			})
		})
	}
}

func TestStaticToken(t *testing.T) {
	for name, c := range map[string]struct {
		tokens   []string // as the file holds them, read by read
		attempts int
		want     string
	}{
		"good":       {[]string{"good"}, 1, ""},
		"rotated":    {[]string{"old", "good\n"}, 2, ""},
		"unchanged":  {[]string{"old", "old"}, 1, "the token has expired"},
		"also wrong": {[]string{"old", "older", "older", "oldest", "oldest"}, 2, "the token has expired"},
		"empty":      {[]string{" \n"}, 0, "the token is empty"},
		"two lines":  {[]string{"a\nb"}, 0, "control character"},
	} {
		t.Run(name, func(t *testing.T) {
			reads, attempts := 0, 0
			client := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
				attempts++
				if r.Header.Get("X-Auth-Token") != "good" {
					w.WriteHeader(401)
					return
				}
				ok(w)
			}), func(o *Options) {
				o.Credentials = Token(func() (string, error) {
					reads++
					return c.tokens[min(reads, len(c.tokens))-1], nil
				})
			})
			_, err := list(t.Context(), client)
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.want)
			}
			assert.Equal(t, c.attempts, attempts)
		})
	}
}

func TestSecretThatCannotBeRead(t *testing.T) {
	missing := func() (string, error) { return "", os.ErrNotExist }
	for _, creds := range []Credentials{
		Token(missing), AKSK(missing, text("s"), nil), AKSK(text("a"), missing, nil), AKSK(text("a"), text("s"), missing), Password("d", "u", missing),
	} {
		c := newClient(t, server(func(http.ResponseWriter, *http.Request) { t.Error("nothing must be sent") }), func(o *Options) { o.Credentials = creds })
		_, err := list(t.Context(), c)
		require.ErrorIs(t, err, os.ErrNotExist)
		assert.Equal(t, "ListUserConnection", asError(t, err).Operation)
	}
}

func clearEnvironment(t *testing.T) {
	for _, name := range []string{envAccessKey, envSecretKey, envSecurityToken, envProfileFile} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", t.TempDir())
}

// usedKeys is the access key and the security token that a request came with.
func usedKeys(t *testing.T, creds Credentials) (access, securityToken string, err error) {
	c := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Sscanf(r.Header.Get("Authorization"), "SDK-HMAC-SHA256 Access=%s", &access)
		securityToken = r.Header.Get("X-Security-Token")
		ok(w)
	}), func(o *Options) { o.Credentials = creds })
	_, err = list(t.Context(), c)
	return access, securityToken, err
}

func TestDefaultChain(t *testing.T) {
	clearEnvironment(t)
	nowhere := chain{metadataURL: "http://127.0.0.1:1"}
	_, _, err := usedKeys(t, nowhere)
	require.ErrorContains(t, err, "environment: HUAWEICLOUD_SDK_AK")
	require.ErrorContains(t, err, "profile file: open ")
	require.ErrorContains(t, err, "metadata service: dial")

	metadataService := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "PUT /meta-data/latest/api/token":
			assert.NotEmpty(t, r.Header.Get("X-Metadata-Token-Ttl-Seconds"))
			fmt.Fprint(w, "metadata-token")
		case "GET /openstack/latest/securitykey":
			assert.Equal(t, "metadata-token", r.Header.Get("X-Metadata-Token"))
			fmt.Fprint(w, `{"credential":{"access":"MAK","secret":"MSK","securitytoken":"MST","expires_at":"2099-01-08T03:50:07.574000Z"}}`)
		}
	}))
	defer metadataService.Close()
	access, securityToken, err := usedKeys(t, chain{metadataURL: metadataService.URL})
	require.NoError(t, err)
	assert.Equal(t, "MAK,", access)
	assert.Equal(t, "MST", securityToken)

	profile := filepath.Join(t.TempDir(), "credentials")
	require.NoError(t, os.WriteFile(profile, []byte("[global]\nak=G\n[basic]\n# ours\nak = PAK ; comment\nsk: \"P#SK\"\n"), 0o600))
	t.Setenv(envProfileFile, profile)
	access, securityToken, err = usedKeys(t, nowhere)
	require.NoError(t, err)
	assert.Equal(t, "PAK,", access)
	assert.Empty(t, securityToken)

	t.Setenv(envAccessKey, "EAK")
	t.Setenv(envSecretKey, "ESK")
	t.Setenv(envSecurityToken, "EST")
	access, securityToken, err = usedKeys(t, nowhere)
	require.NoError(t, err)
	assert.Equal(t, "EAK,", access)
	assert.Equal(t, "EST", securityToken)
}

func TestProfileFile(t *testing.T) {
	clearEnvironment(t)
	keys := parseProfile("\uFEFF[basic]\r\nak=A\r\nsk = 'S;S' ; comment\n;sk=no\n\nsecurity_token=T#x\nnoise\n[other]\nak=B\n", "basic")
	assert.Equal(t, map[string]string{"ak": "A", "sk": "S;S", "security_token": "T"}, keys)

	path := filepath.Join(t.TempDir(), "credentials")
	require.NoError(t, os.WriteFile(path, []byte("[basic]\nak=A\n"), 0o600))
	t.Setenv(envProfileFile, path)
	_, err := profileKeys(path)
	require.ErrorContains(t, err, path+" has no ak and sk in its section [basic]")
}

// A profile that others can read is logged, once.
func TestOpenProfileFile(t *testing.T) {
	for mode, warnings := range map[os.FileMode]int{0o600: 0, 0o640: 0, 0o644: 1} {
		clearEnvironment(t)
		path := filepath.Join(t.TempDir(), "credentials")
		require.NoError(t, os.WriteFile(path, []byte("[basic]\nak=ACCESSKEY\nsk=SECRETKEY\n"), mode))
		require.NoError(t, os.Chmod(path, mode))
		t.Setenv(envProfileFile, path)
		var said strings.Builder
		c := newClient(t, server(func(w http.ResponseWriter, _ *http.Request) { ok(w) }), func(o *Options) {
			o.Credentials, o.Logger = DefaultChain(), log.NewLogfmtLogger(&said)
		})
		for range 2 {
			_, err := list(t.Context(), c)
			require.NoError(t, err)
		}
		assert.Equal(t, warnings, strings.Count(said.String(), "chmod o-r is safer"), "%o: %s", mode, &said)
		assert.NotContains(t, said.String(), "SECRETKEY")
	}
}

func TestMetadata(t *testing.T) {
	clearEnvironment(t)
	const keys = `{"credential":{"accessKeyId":"A","secretAccessKey":"S","securityToken":"T","expiration":"2099-01-01T00:00:00Z"}}`
	for name, c := range map[string]struct {
		tokenStatus, keyStatus int
		body, want             string
	}{
		"no tokens known":  {405, 200, keys, ""},
		"token refused":    {403, 200, keys, "asking for a token: 403 Forbidden"},
		"no agency":        {200, 401, "Please configure Cloud Service Agency first", "needs an agency"},
		"not JSON":         {404, 200, "<html>", "not the JSON"},
		"keys incomplete":  {404, 200, `{"credential":{"access":"A"}}`, "incomplete"},
		"expiry is broken": {404, 200, `{"credential":{"access":"A","secret":"S","securitytoken":"T","expires_at":"x"}}`, "expire"},
	} {
		t.Run(name, func(t *testing.T) {
			requests := 0
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests++
				if r.Method == http.MethodPut {
					w.WriteHeader(c.tokenStatus)
					return
				}
				w.WriteHeader(c.keyStatus)
				fmt.Fprint(w, c.body)
			}))
			defer s.Close()
			observed := map[string]bool{}
			client := newClient(t, server(func(w http.ResponseWriter, _ *http.Request) { ok(w) }), func(o *Options) {
				o.Credentials = chain{metadataURL: s.URL}
				o.Observe = func(endpoint, code string, _ time.Duration) { observed[endpoint] = true }
			})
			_, err := list(t.Context(), client)
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			_, err = list(t.Context(), client)
			require.NoError(t, err)
			assert.Equal(t, 2, requests, "the keys are kept")
			assert.Equal(t, map[string]bool{"GetMetadataToken": true, "GetTemporaryKey": true, "ListUserConnection": true}, observed)
		})
	}
}

func TestLeaseSharesFailure(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		obtained := 0
		failed := errors.New("wrong password")
		l := &lease{now: time.Now, obtain: func(context.Context) (credential, time.Time, error) {
			obtained++
			time.Sleep(time.Second)
			return credential{}, time.Time{}, failed
		}}
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() { _, err := l.credential(t.Context()); assert.ErrorIs(t, err, failed) })
		}
		all.Wait()
		assert.Equal(t, 1, obtained, "a wrong password sent five times locks the account")
	})
}
