package workspace

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNewRefuses(t *testing.T) {
	good := Options{ProjectID: "p", Endpoints: Endpoints{AppStream: "https://a.test"}, Credentials: Token(text("T"))}
	_, err := New(good)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"no project":       {func(o *Options) { o.ProjectID = "" }, `project id ""`},
		"project is path":  {func(o *Options) { o.ProjectID = "a/b" }, `project id "a/b"`},
		"project is dots":  {func(o *Options) { o.ProjectID = ".." }, `project id ".."`},
		"no endpoint":      {func(o *Options) { o.Endpoints.AppStream = "" }, "endpoint appstream"},
		"endpoint is host": {func(o *Options) { o.Endpoints.Workspace = "a.test" }, "endpoint workspace"},
		"user in endpoint": {func(o *Options) { o.Endpoints.IAM = "https://u:hunter2@a.test" }, "endpoint iam"},
		"no credentials":   {func(o *Options) { o.Credentials = nil }, "credentials"},
		"password, no IAM": {func(o *Options) { o.Credentials = Password("d", "u", text("p")) }, "endpoint iam"},
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			c.change(&o)
			_, err := New(o)
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		ok(w)
	}))
	defer s.Close()
	observed := map[string]int{}
	c := newClient(t, &http.Transport{DisableKeepAlives: true}, func(o *Options) {
		o.Endpoints.AppStream = s.URL + "/a prefix/"
		o.Observe = func(operation, code string, d time.Duration) { observed[operation+" "+code]++ }
	})
	east := time.FixedZone("", 8*3600)
	page, err := loginList.Page(t.Context(), c, PageQuery{
		From: time.Date(2025, 4, 25, 0, 0, 0, 999, east), To: time.Date(2025, 5, 24, 10, 21, 49, 0, time.UTC), Limit: 100, Offset: 200,
	})
	require.NoError(t, err)
	assert.Equal(t, 1, page.Count)
	require.Len(t, page.Items, 1)
	login := page.Items[0].Login()
	assert.Equal(t, "2026-01-01T00:00:00Z", login.Start.Format(time.RFC3339))

	assert.Equal(t, "POST", got.Method)
	assert.Equal(t, "/a%20prefix/v1/project1/session/user-connection?limit=100&offset=200", got.RequestURI)
	assert.Equal(t, "application/json", got.Header.Get("Content-Type"))
	assert.JSONEq(t, `{"login_start_time":"2025-04-24T16:00:00Z","login_end_time":"2025-05-24T10:21:49Z"}`, string(body))
	assert.Contains(t, got.Header.Get("Authorization"), "Access=ACCESSKEY, SignedHeaders=host;x-sdk-date, Signature=")
	assert.Equal(t, map[string]int{"ListUserConnection 200": 1}, observed)
}

func TestErrors(t *testing.T) {
	for name, c := range map[string]struct {
		status   int
		header   http.Header
		body     string
		want     Error
		contains []string
		absent   []string
	}{
		"permission": {
			status: 403, body: `{"error_code":"WKS.0403","error_msg":"User: iam::77:user:jane is not allowed","encoded_authorization_message":"AbCdEf"}`,
			header:   http.Header{"X-Request-Id": {"req-1\x07"}},
			want:     Error{Status: 403, Code: "WKS.0403", RequestID: "req-1"},
			contains: []string{"ListUserConnection: POST appstream.test/v1/project1/session/user-connection: 403 Forbidden, WKS.0403", "X-Request-Id req-1", "grant the permission workspace:session:listUserConnection", "encoded_authorization_message is present"},
			absent:   []string{"jane", "AbCdEf", "limit="},
		},
		"iam": {
			status: 400, body: `{"error":{"code":"IAM.0001","message":"no such thing","title":"Bad"}}`,
			want: Error{Status: 400, Code: "IAM.0001", Message: "no such thing"},
		},
		"numeric code": {
			status: 404, body: `{"error":{"code":404,"title":"Not Found"}}`,
			want: Error{Status: 404, Code: "404", Message: "Not Found"}, contains: []string{"check the project id"},
		},
		"html": {
			status: 405, body: "<html><title>405\n Not\x00Allowed</title> jane.doe@corp.example 10.1.2.3",
			want: Error{Status: 405, Message: "<html><title>405 Not Allowed</title> <user> <address>"},
		},
		"json of another kind": {
			status: 415, body: `{"user_name":"jane","list":["bob",1,true], "x`,
			want: Error{Status: 415, Message: `{"user_name":"…","list":["…",1,true], "…"`},
		},
		"long": {
			status: 400, body: `{"error_code":"` + strings.Repeat("C", 1000) + `","error_msg":"` + strings.Repeat("\u4e2d", 1000) + `"}`,
			want: Error{Status: 400, Code: strings.Repeat("C", 64), Message: strings.Repeat("\u4e2d", 66)},
		},
		"unauthorized": {
			status: 401, body: `{"error_code":"APIGW.0301","error_msg":"Incorrect IAM authentication information: verify aksk signature fail"}`,
			want: Error{Status: 401, Code: "APIGW.0301"}, contains: []string{"check the access key"},
		},
		"redirect": {
			status: 302, header: http.Header{"Location": {"https://elsewhere.test/x?token=SECRETKEY"}},
			want: Error{Status: 302}, contains: []string{"redirects are not followed", "elsewhere.test"}, absent: []string{"SECRETKEY"},
		},
		"bad redirect": {
			status: 307, header: http.Header{"Location": {"https://%zz"}}, want: Error{Status: 307}, contains: []string{"redirects are not followed"},
		},
		"empty": {status: 400, want: Error{Status: 400}},
	} {
		t.Run(name, func(t *testing.T) {
			requests := 0
			client := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
				requests++
				for k, v := range c.header {
					w.Header()[k] = v
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}), nil)
			_, err := list(t.Context(), client)
			e := asError(t, err)
			assert.Equal(t, 1, requests, "must not be tried again")
			assert.Equal(t, c.want.Status, e.Status)
			assert.Equal(t, c.want.Code, e.Code)
			assert.Equal(t, c.want.RequestID, e.RequestID)
			assert.Equal(t, "workspace:session:listUserConnection", e.Permission)
			if c.want.Message != "" {
				assert.Equal(t, c.want.Message, e.Message)
			}
			for _, s := range c.contains {
				assert.Contains(t, err.Error(), s)
			}
			for _, s := range c.absent {
				assert.NotContains(t, err.Error(), s)
			}
		})
	}
}

// A server that echoes all it receives must not bring it into an error.
func TestSecretsNeverInErrors(t *testing.T) {
	secrets := []string{"ACCESSKEY", "SECRET/KEY+&<x>", "SECURITYTOKEN", "STATICTOKEN", "PASS WORD\"1", "IAMTOKEN", "jane", "acme"}
	credentials := map[string]Credentials{
		"aksk":     AKSK(text(secrets[0]), text(secrets[1]), text(secrets[2])),
		"token":    Token(text(secrets[3])),
		"password": Password("acme", "jane", text(secrets[4])),
	}
	echoes := map[string]func(w http.ResponseWriter, r *http.Request){
		"message": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(400)
			fmt.Fprintf(w, `{"error_code":"X.%s","error_msg":"%v %v"}`, r.Header.Get("X-Auth-Token"), r.Header, secrets[1])
		},
		"text": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Request-Id", r.Header.Get("X-Auth-Token")+r.Header.Get("X-Security-Token"))
			w.WriteHeader(401)
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%v %s %v", r.Header, body, secrets[1])
		},
		"cut": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(404)
			fmt.Fprint(w, strings.Repeat(" ", maxShownBytes-7)+secrets[1]+"SECURITYTOKEN"+"STATICTOKEN")
		},
		"unreadable": func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%v %v", secrets, r.Header) },
		"html": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(502)
			fmt.Fprint(w, "SECRET/KEY+&amp;&lt;x&gt; SECRET%2FKEY%2B%26%3Cx%3E ", r.Header)
		},
	}
	for credential, creds := range credentials {
		for echo, answer := range echoes {
			for _, iam := range []bool{true, false} {
				t.Run(fmt.Sprint(credential, " ", echo, " ", iam), func(t *testing.T) {
					inBubble(t, func(t *testing.T) {
						c := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
							if r.URL.Host == "iam.test" && !iam {
								w.Header().Set("X-Subject-Token", "IAMTOKEN")
								w.WriteHeader(201)
								fmt.Fprint(w, `{"token":{}}`)
								return
							}
							answer(w, r)
						}), func(o *Options) { o.Credentials = creds })
						_, err := list(t.Context(), c)
						require.Error(t, err)
						said := fmt.Sprintf("%v %+v", err, *asError(t, err))
						own := map[string][]string{"aksk": secrets[:3], "token": secrets[3:4], "password": secrets[4:]}[credential]
						for _, s := range own {
							assert.NotContains(t, said, s)
						}
						if credential == "aksk" {
							assert.NotContains(t, said, "SECRET/") // cut or escaped
						}
					})
				})
			}
		}
	}
}

// testBody stands for the limit of 32 MiB, which takes long to fill.
const testBody = 1 << 20

func TestUnreadableAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		body     string
		attempts int
		want     string
	}{
		"empty":     {"", 2, "the answer is empty"},
		"blank":     {" \n ", 2, "the answer is empty"},
		"html":      {"<html>maintenance", 2, "<html>maintenance"},
		"truncated": {onePage[:50], 2, "unexpected EOF"},
		"trailing":  {onePage + "{}", 2, "follows"},
		"array":     {"[]", 2, "not a JSON object"},
		"neither":   {`{"total":0}`, 2, "neither"},
		"items":     {`{"items":{"user_name":"jane"}}`, 2, `"items": neither an array nor null`},
		"count":     {`{"count":"many"}`, 2, "count"},
		"large":     {`{"count":0,"x":"` + strings.Repeat("x", testBody) + `"}`, 1, "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				attempts := 0
				client := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
					attempts++
					w.Header().Set("X-Request-Id", "req-7")
					fmt.Fprint(w, c.body)
				}), nil)
				assert.Equal(t, 32<<20, client.maxBody)
				client.maxBody = testBody
				page, err := list(t.Context(), client)
				require.ErrorContains(t, err, c.want)
				assert.Nil(t, page)
				assert.Equal(t, c.attempts, attempts)
				assert.Contains(t, err.Error(), "ListUserConnection")
				assert.Contains(t, err.Error(), "200 OK")
				assert.Contains(t, err.Error(), "req-7")
				assert.NotContains(t, err.Error(), "jane")
			})
		})
	}
}

// What only a real connection can do.
func TestConnection(t *testing.T) {
	var attempts atomic.Int32
	broken := func(answer http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if attempts.Add(1) == 1 {
				answer(w, r)
				return
			}
			ok(w)
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"closed":        broken(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"cut in a body": broken(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1000"); ok(w) }),
		"cut in a chunk": broken(func(w http.ResponseWriter, _ *http.Request) {
			ok(w)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}),
		"slow": broken(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body); <-r.Context().Done() }),
	} {
		t.Run(name, func(t *testing.T) {
			attempts.Store(0)
			s := httptest.NewServer(handler)
			defer s.Close()
			c := newClient(t, &http.Transport{DisableKeepAlives: true}, func(o *Options) {
				o.Endpoints.AppStream = s.URL
				if name == "slow" {
					o.RequestTimeout = 2 * time.Second
				}
			})
			_, err := list(t.Context(), c)
			require.NoError(t, err)
			assert.EqualValues(t, 2, attempts.Load())
		})
	}
}

func TestCompressedAnswerIsLimitedUnpacked(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := io.Copy(z, io.LimitReader(blanks{}, testBody+1))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}))
	defer s.Close()
	c := newClient(t, &http.Transport{DisableKeepAlives: true}, func(o *Options) { o.Endpoints.AppStream = s.URL })
	c.maxBody = testBody
	_, err = list(t.Context(), c)
	require.ErrorIs(t, err, errTooLarge)
}

type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestUntrustedCertificateIsNotRetried(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer s.Close()
	attempts := 0
	c := newClient(t, &http.Transport{}, func(o *Options) {
		o.Endpoints.AppStream = s.URL
		o.Observe = func(_, code string, _ time.Duration) { attempts++; assert.Equal(t, "error", code) }
	})
	_, err := list(t.Context(), c)
	require.ErrorContains(t, err, "certificate")
	assert.Equal(t, 1, attempts)
}

func TestAttemptTimesOut(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		attempts := 0
		c := newClient(t, server(func(_ http.ResponseWriter, r *http.Request) { attempts++; <-r.Context().Done() }), nil)
		_, err := list(t.Context(), c)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "no complete answer within 30s")
		assert.Equal(t, maxAttempts, attempts)
	})
}

func TestConcurrencyAndRate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var inFlight, most, total atomic.Int32
		c := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
			most.Store(max(most.Load(), inFlight.Add(1)))
			time.Sleep(10 * time.Millisecond)
			inFlight.Add(-1)
			total.Add(1)
			ok(w)
		}), func(o *Options) { o.Concurrency, o.RequestsPerSecond, o.Burst = 3, 10, 5 })
		start := time.Now()
		var all sync.WaitGroup
		for range 25 {
			all.Go(func() {
				_, err := list(t.Context(), c)
				assert.NoError(t, err)
			})
		}
		all.Wait()
		assert.EqualValues(t, 25, total.Load())
		assert.LessOrEqual(t, most.Load(), int32(3))
		assert.InDelta(t, 2, time.Since(start).Seconds(), 0.1) // 5 at once, 20 at 10 a second
	})
}

func TestCancel(t *testing.T) {
	status := func(code int, header ...string) server {
		return func(w http.ResponseWriter, r *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		}
	}
	hang := server(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for name, c := range map[string]struct {
		server server
		change func(*Options)
		before func(*Client)
	}{
		"in an attempt":   {server: hang},
		"in a back-off":   {server: status(503, "Retry-After", "50")},
		"in a throttle":   {server: status(429, "Retry-After", "50")},
		"for a slot":      {server: hang, change: func(o *Options) { o.Concurrency = 1 }, before: func(c *Client) { _ = c.slots.Acquire(context.Background(), 1) }},
		"for the rate":    {server: hang, change: func(o *Options) { o.RequestsPerSecond, o.Burst = 0.001, 1 }, before: func(c *Client) { _ = c.limiter.Wait(context.Background()) }},
		"for a token":     {server: hang, change: func(o *Options) { o.Credentials = Password("d", "u", text("p")) }},
		"before anything": {server: hang},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				client := newClient(t, c.server, c.change)
				if c.before != nil {
					c.before(client)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if name == "before anything" {
					cancel()
				}
				time.AfterFunc(time.Second, cancel)
				start := time.Now()
				_, err := list(ctx, client)
				require.ErrorIs(t, err, context.Canceled)
				assert.LessOrEqual(t, time.Since(start), time.Second)
				synctest.Wait()
			})
		})
	}
}

func TestDeadlineTooNearForTheRate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newClient(t, server(func(w http.ResponseWriter, _ *http.Request) { ok(w) }), func(o *Options) { o.RequestsPerSecond, o.Burst = 0.001, 1 })
		require.NoError(t, c.limiter.Wait(t.Context()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := list(ctx, c)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
