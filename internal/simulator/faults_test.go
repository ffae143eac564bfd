package simulator

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startServer serves a simulator with one record over HTTP.
func startServer(t *testing.T) (*Simulator, *httptest.Server) {
	t.Helper()
	s := New(everything(&clock{noon}))
	s.Put(DefaultProjectID, Record{ID: "1", PreConnTime: format(noon)})
	server := httptest.NewUnstartedServer(s)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return s, server
}

// call lists over HTTP and reads the answer, at most a megabyte of it.
func call(ctx context.Context, server *httptest.Server) (*http.Response, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+listPath, strings.NewReader(`{}`))
	if err != nil {
		return nil, "", err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Auth-Token", "static")
	response, err := server.Client().Do(r)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response, string(body), err
}

func TestFaults(t *testing.T) {
	_, clean := startServer(t)
	_, whole, err := call(t.Context(), clean)
	require.NoError(t, err)

	tests := map[string]struct {
		fault Fault
		check func(t *testing.T, r *http.Response, body string, err error)
	}{
		"error": {Fault{Kind: FaultError}, func(t *testing.T, r *http.Response, body string, err error) {
			require.NoError(t, err)
			assert.Equal(t, 503, r.StatusCode)
			assert.Contains(t, body, "APIGW.0201")
		}},
		"not the client's fault": {Fault{Kind: FaultError, Status: 400}, func(t *testing.T, r *http.Response, _ string, err error) {
			require.NoError(t, err)
			assert.Equal(t, 400, r.StatusCode)
		}},
		"chosen error": {Fault{Kind: FaultError, Status: 429, Code: "APIG.0308", RetryAfter: "7"}, func(t *testing.T, r *http.Response, body string, err error) {
			require.NoError(t, err)
			assert.Equal(t, 429, r.StatusCode)
			assert.Equal(t, "7", r.Header.Get("Retry-After"))
			assert.Contains(t, body, `"error_code":"APIG.0308"`)
		}},
		"hang for a while": {Fault{Kind: FaultHang, Seconds: 0.01}, func(t *testing.T, _ *http.Response, _ string, err error) {
			assert.ErrorIs(t, err, io.EOF)
		}},
		"drop": {Fault{Kind: FaultDrop}, func(t *testing.T, _ *http.Response, _ string, err error) {
			assert.ErrorIs(t, err, io.EOF)
		}},
		"drop in the body": {Fault{Kind: FaultDropBody}, func(t *testing.T, r *http.Response, body string, err error) {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			assert.Equal(t, 200, r.StatusCode)
			assert.Equal(t, whole[:len(whole)/2], body)
		}},
		"truncate": {Fault{Kind: FaultTruncate}, func(t *testing.T, _ *http.Response, body string, err error) {
			require.NoError(t, err)
			assert.Equal(t, whole[:len(whole)/2], body)
		}},
		"oversize": {Fault{Kind: FaultOversize}, func(t *testing.T, _ *http.Response, body string, err error) {
			require.NoError(t, err)
			assert.Len(t, body, 1<<20)
		}},
		"garbage": {Fault{Kind: FaultGarbage}, func(t *testing.T, r *http.Response, body string, err error) {
			require.NoError(t, err)
			assert.Equal(t, 200, r.StatusCode)
			assert.Contains(t, body, "<html>")
		}},
		"slow": {Fault{Kind: FaultSlow, Seconds: 0.05}, func(t *testing.T, _ *http.Response, body string, err error) {
			require.NoError(t, err)
			assert.Equal(t, whole, body)
		}},
		"empty": {Fault{Kind: FaultEmpty}, func(t *testing.T, r *http.Response, body string, err error) {
			require.NoError(t, err)
			assert.Equal(t, 200, r.StatusCode)
			assert.Empty(t, body)
		}},
		"skew": {Fault{Kind: FaultSkew, Seconds: -3600}, func(t *testing.T, r *http.Response, body string, err error) {
			require.NoError(t, err)
			assert.Equal(t, noon.Add(-time.Hour).Format(http.TimeFormat), r.Header.Get("Date"))
			assert.Equal(t, whole, body)
		}},
		"count": {Fault{Kind: FaultCount, Count: 4}, func(t *testing.T, _ *http.Response, body string, err error) {
			require.NoError(t, err)
			var p page[Record]
			require.NoError(t, json.Unmarshal([]byte(body), &p))
			assert.Equal(t, 5, p.Count)
			assert.Len(t, p.Items, 1)
		}},
		"count_is": {Fault{Kind: FaultCountIs, Count: -4}, func(t *testing.T, _ *http.Response, body string, err error) {
			require.NoError(t, err)
			assert.Contains(t, body, `"count":-4`)
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, server := startServer(t)
			test.fault.Times = 1
			s.AddFault(test.fault)
			r, body, err := call(t.Context(), server)
			test.check(t, r, body, err)
			assert.Empty(t, s.Faults())
			_, body, err = call(t.Context(), server)
			require.NoError(t, err, "then all is well")
			assert.Equal(t, whole, body)
			assert.Empty(t, s.Violations())
		})
	}
}

func TestHangUntilTheClientLeaves(t *testing.T) {
	s, server := startServer(t)
	s.AddFault(Fault{Kind: FaultHang})
	ctx, leave := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer leave()
	_, _, err := call(ctx, server)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Eventually(t, func() bool { return s.Calls()[Call{DefaultProjectID, routes[1].path, 0}] == 1 }, time.Minute, time.Millisecond)
}

func TestWhichRequestsAFaultHits(t *testing.T) {
	o := everything(&clock{noon})
	o.ProjectIDs = []string{DefaultProjectID, "second"}
	s := New(o)
	list := func(project string) int {
		r := newCall("", `{}`)
		r.URL.Path = "/v1/" + project + "/session/user-connection"
		return serve(s, r).Code
	}
	token := func() int { return serve(s, tokenCall("password", "second")).Code }

	id := s.AddFault(Fault{Kind: FaultError, Project: "second"})
	assert.Equal(t, []int{200, 503, 201}, []int{list(DefaultProjectID), list("second"), token()})
	s.RemoveFault(id)
	s.AddFault(Fault{Kind: FaultError, Path: "/v3/"})
	assert.Equal(t, []int{200, 200, 503}, []int{list(DefaultProjectID), list("second"), token()})
	s.RemoveFault(0)
	s.AddFault(Fault{Kind: FaultError, Status: 500, Times: 2})
	s.AddFault(Fault{Kind: FaultError, Status: 502, Times: 1})
	assert.Equal(t, []int{500, 500, 502, 200}, []int{list("second"), list("second"), list("second"), list("second")})
}

func TestProbability(t *testing.T) {
	s := New(everything(&clock{noon}))
	s.AddFault(Fault{Kind: FaultError, Probability: 0.3})
	failed := 0
	for range 500 {
		if serve(s, newCall("", `{}`)).Code != 200 {
			failed++
		}
	}
	assert.InDelta(t, 150, failed, 50)
}

func TestFaultsThatMakeNoSense(t *testing.T) {
	s := New(everything(&clock{noon}))
	for _, f := range []Fault{{}, {Kind: "other"}, {Kind: FaultError, Status: 99}, {Kind: FaultDrop, Times: -1}, {Kind: FaultDrop, Probability: 2}, {Kind: FaultSlow}} {
		assert.Panics(t, func() { s.AddFault(f) }, f)
	}
}

func TestFaultsOverHTTP(t *testing.T) {
	s := New(everything(&clock{noon}))
	do := func(method, path, body string) (int, string) {
		w := serve(s, httptest.NewRequest(method, path, strings.NewReader(body)))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	expect := func(status int, want, method, path, body string) {
		t.Helper()
		code, got := do(method, path, body)
		assert.Equal(t, status, code, got)
		assert.Contains(t, got, want)
	}
	expect(200, `[]`, "GET", "/-/faults", "")
	expect(201, `{"id":1,"kind":"error","status":500}`, "POST", "/-/faults", `{"kind":"error","status":500}`)
	expect(201, `{"id":2,"kind":"drop","times":3}`, "POST", "/-/faults", `{"kind":"drop","times":3}`)
	expect(400, "kind must be one of", "POST", "/-/faults", `{"kind":"fire"}`)
	expect(400, "unknown field", "POST", "/-/faults", `{"kind":"error","state":500}`)
	expect(400, "not a fault", "POST", "/-/faults", `{`)
	assert.Equal(t, 500, serve(s, newCall("", `{}`)).Code)
	expect(204, "", "DELETE", "/-/faults?id=1", "")
	expect(400, "number", "DELETE", "/-/faults?id=one", "")
	expect(200, `[{"id":2,"kind":"drop","times":3}]`, "GET", "/-/faults", "")
	expect(204, "", "DELETE", "/-/faults", "")
	expect(200, `[]`, "GET", "/-/faults", "")
	expect(405, "", "PUT", "/-/faults", "")
	expect(404, "", "GET", "/-/other", "")
	assert.Equal(t, 200, serve(s, newCall("", `{}`)).Code)
	assert.Len(t, s.Calls(), 2, "the interface itself is not counted")
}

func TestDropPanicsAsTheServerWants(t *testing.T) {
	s := New(everything(&clock{noon}))
	s.AddFault(Fault{Kind: FaultDrop})
	defer func() {
		err, _ := recover().(error)
		assert.ErrorIs(t, err, http.ErrAbortHandler)
	}()
	serve(s, newCall("", `{}`))
}
