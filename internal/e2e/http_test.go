package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// dial connects to the exporter, sends some text, and leaves the connection open.
func (e *exporter) dial(text string) net.Conn {
	e.t.Helper()
	conn, err := net.DialTimeout("tcp", e.hostPort, patience)
	require.NoError(e.t, err)
	e.t.Cleanup(func() { _ = conn.Close() })
	_, _ = io.WriteString(conn, text) // a connection that is closed already is fine
	return conn
}

// fresh scrapes over a connection of its own, as Prometheus does after a pause.
func (e *exporter) fresh(timeout time.Duration) error {
	client := &http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(e.scheme + "://" + e.hostPort + "/metrics")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !bytes.Contains(body, []byte("workspace_login_attempts_total{"))) {
		err = fmt.Errorf("status %d, %d bytes", resp.StatusCode, len(body))
	}
	return err
}

func TestSlowAndIdleClientsDoNotKeepPrometheusOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 150, time.Now().Add(-10*time.Minute), time.Second)...)
	e := runExporter(t, setup{URL: w.url})
	e.polls(project, 1)
	before := e.only("process_open_fds").sum("process_open_fds")
	const request = "GET /metrics HTTP/1.1\r\nHost: exporter\r\n"
	for _, clients := range []struct {
		what string
		text string
		n    int
	}{
		{"that say nothing", "", 1000},
		{"that never end their headers", request + "X-Slow: ", 550},
		{"that never read what they asked for", strings.Repeat(request+"\r\n", 2), 550},
		{"that never send the body they promise", "POST /-/reload HTTP/1.1\r\nHost: exporter\r\nContent-Length: 1000000\r\n\r\n", 550},
	} {
		for range clients.n {
			e.dial(clients.text)
		}
		for range 5 {
			require.NoError(t, e.fresh(5*time.Second), "beside clients %s", clients.what)
		}
		require.NoError(t, e.fresh(5*time.Second))
		open := e.only("process_open_fds").sum("process_open_fds")
		assert.LessOrEqual(t, open, before+520, "connections are bounded, whatever clients %s do", clients.what)
	}
}

func TestAClientThatIsTooSlowIsCutOff(t *testing.T) {
	t.Parallel()
	e := runExporter(t, setup{URL: "http://127.0.0.1:1"})
	conn := e.dial("GET / HTTP/1.1\r\nHost: exporter\r\nX-Slow: ")
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	begun := time.Now()
	_, err := io.ReadAll(conn)
	require.NoError(t, err, "the server ends the connection")
	assert.Greater(t, time.Since(begun), 5*time.Second, "a client may be a little slow")
}

func TestTheServerTakesOnlySoMuch(t *testing.T) {
	t.Parallel()
	e := runExporter(t, setup{URL: "http://127.0.0.1:1"}, "--web.enable-lifecycle")

	r, err := e.request(http.MethodGet, "/", http.Header{"X-Large": {strings.Repeat("x", 1<<20)}})
	require.NoError(t, err)
	assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, r.status)

	// A body is of no use to us: we do not wait for it, nor read much of it.
	body := &endless{}
	resp, err := e.client.Post("http://"+e.hostPort+"/-/reload", "text/plain", body)
	if err == nil { // the answer may come before the connection ends, or not
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		require.NoError(t, resp.Body.Close())
	}
	eventually(t, "nobody reads the body any more", func() bool {
		read := body.sent.Load()
		return !holdsWithin(300*time.Millisecond, func() bool { return body.sent.Load() > read })
	})
	assert.Less(t, body.sent.Load(), int64(64<<20))
	assert.Equal(t, http.StatusOK, e.get("/-/healthy").status)
}

// endless is a body without end.
type endless struct{ sent atomic.Int64 }

func (b *endless) Read(p []byte) (int, error) {
	b.sent.Add(int64(len(p)))
	return len(p), nil
}

func TestEveryAnswerHasTheHeadersThatProtectBrowsers(t *testing.T) {
	t.Parallel()
	e := runExporter(t, setup{URL: "http://127.0.0.1:1"}, "--web.enable-pprof")
	for path, status := range map[string]int{
		"/": 200, "/metrics": 200, "/config": 200, "/-/healthy": 200, "/-/ready": 0, "/debug/pprof/": 200,
		"/-/reload": 405, "/no-such-page": 404, "//metrics": 0, "/metrics/": 404, "/-/": 404, "/debug/pprof/heap?debug=1": 200,
	} {
		r := e.get(path)
		if status != 0 {
			assert.Equal(t, status, r.status, path)
		}
		assert.Equal(t, "nosniff", r.header.Get("X-Content-Type-Options"), path)
		assert.Equal(t, "DENY", r.header.Get("X-Frame-Options"), path)
		assert.Equal(t, "no-referrer", r.header.Get("Referrer-Policy"), path)
		policy := r.header.Get("Content-Security-Policy")
		assert.Contains(t, policy, "default-src 'none'", path)
		assert.Contains(t, policy, "frame-ancestors 'none'", path)
		assert.NotContains(t, policy, "unsafe", path)
		assert.NotContains(t, policy, "script", path)
	}
}

func TestWhatIsNotMeantToBeAskedIsRefused(t *testing.T) {
	t.Parallel()
	e := runExporter(t, setup{URL: "http://127.0.0.1:1"}, "--web.enable-lifecycle")
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile", "/debug/pprof/cmdline", "/debug/vars"} {
		assert.Equal(t, http.StatusNotFound, e.get(path).status, path)
	}
	for _, path := range []string{"/", "/metrics", "/config", "/-/healthy", "/-/ready"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, http.MethodTrace, "PROPFIND"} {
			r, err := e.request(method, path, http.Header{"X-Http-Method-Override": {"GET"}})
			require.NoError(t, err)
			assert.Equal(t, http.StatusMethodNotAllowed, r.status, "%s %s", method, path)
			assert.NotContains(t, r.body, "X-Http-Method", "%s %s sends nothing back", method, path)
		}
		r, err := e.request(http.MethodHead, path, nil)
		require.NoError(t, err)
		assert.Contains(t, []int{200, 503}, r.status)
		assert.Empty(t, r.body)
	}
	reloads := func() int { return strings.Count(e.log.String(), "configuration reloaded") }
	for name, header := range map[string]http.Header{
		"a page of another site":    {"Sec-Fetch-Site": {"cross-site"}},
		"an old browser's":          {"Origin": {"https://elsewhere.example"}},
		"a page of a rebound name":  {"Origin": {"http://" + e.hostPort}, "Sec-Fetch-Site": {"same-origin"}},
		"its script":                {"Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Mode": {"cors"}},
		"a method that is no other": {"X-Http-Method-Override": {"POST"}},
	} {
		method := http.MethodPost
		if header.Get("X-Http-Method-Override") != "" {
			method = http.MethodGet
		}
		r, err := e.request(method, "/-/reload", header)
		require.NoError(t, err)
		assert.Contains(t, []int{http.StatusForbidden, http.StatusMethodNotAllowed}, r.status, name)
	}
	for mode, status := range map[string]int{"cors": 403, "same-origin": 403, "no-cors": 403, "websocket": 403, "navigate": 200} {
		r, err := e.request(http.MethodGet, "/config", http.Header{"Sec-Fetch-Mode": {mode}, "Sec-Fetch-Site": {"same-origin"}})
		require.NoError(t, err)
		assert.Equal(t, status, r.status, mode)
	}
	r, err := e.request(http.MethodPost, "/-/reload", nil)
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, r.status)
	eventually(t, "the log tells of the reload", func() bool { return reloads() > 0 })
	assert.Equal(t, 1, reloads())
}

// TestManyScrapesWhileABacklogIsRead: each is answered, and none sees less than the
// one before it.
func TestManyScrapesWhileABacklogIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 500, time.Now().Add(-10*time.Minute), time.Second)...)
	e := runExporter(t, setup{URL: w.url})
	e.polls(project, 1)
	w.put(spread(1000, 1000, time.Now().Add(-13*time.Minute), 600*time.Millisecond)...)
	const clients, scrapes = 20, 5
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			last := 0.0
			for range scrapes {
				r, err := e.request(http.MethodGet, "/metrics?name[]=workspace_login_attempts_total", nil)
				if !assert.NoError(t, err) || !assert.Equal(t, http.StatusOK, r.status, r.body) {
					return
				}
				now := parse(t, r.body).sum("workspace_login_attempts_total")
				assert.GreaterOrEqual(t, now, last)
				last = now
			}
		})
	}
	all.Wait()
	e.shows(w)
}

var lastDay = regexp.MustCompile(`Last 24 hours: <strong>([\d\x{202f}]+)</strong> attempts, <strong>([\d\x{202f}]+)</strong> failed`)

// TestTheLandingPageHasTheLastDay: the same as the counters, also after a crash.
func TestTheLandingPageHasTheLastDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 1150, time.Now().Add(-55*time.Minute), 2*time.Second)...)
	e := runExporter(t, setup{URL: w.url})
	e.shows(w)
	check := func() {
		t.Helper()
		found := lastDay.FindStringSubmatch(e.get("/").body)
		require.NotNil(t, found)
		shown := e.metrics()
		for i, name := range []string{"workspace_login_attempts_total", "workspace_login_failures_total"} {
			assert.Equal(t, fmt.Sprint(shown.sum(name)), strings.ReplaceAll(found[i+1], "\u202f", ""), name)
		}
	}
	check()
	e.kill()
	e.start()
	check()
	w.put(spread(5000, 30, time.Now().Add(-time.Minute), time.Second)...)
	e.shows(w)
	check()
}

func TestTheLandingPageSaysWhatToDo(t *testing.T) {
	t.Parallel()
	const permission = "workspace:session:listUserConnection"
	for name, c := range map[string]struct {
		options simulator.Options
		fault   *simulator.Fault
		says    []string
	}{
		"permission":  {simulator.Options{Denied: []string{permission}}, nil, []string{"A permission is missing.", "Grant the permission " + permission}},
		"throttled":   {simulator.Options{}, &simulator.Fault{Kind: simulator.FaultError, Status: 429}, []string{"asks for fewer requests"}},
		"unreachable": {simulator.Options{}, nil, []string{"cannot be reached", "127.0.0.1:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.options, nil)
			if c.fault != nil {
				w.AddFault(*c.fault)
			}
			url := w.url
			if name == "unreachable" {
				url = "http://127.0.0.1:1"
			}
			e := runExporter(t, setup{URL: url, RequestTimeout: "1s"})
			e.pollsEnd(project, "user_connections", "error", 1)
			eventually(t, "the page shows the failure", func() bool { return strings.Contains(e.get("/").body, "class=\"trouble\"") })
			body := e.get("/").body
			assert.True(t, containsAll(body, append(c.says, "does not work", "failing", ">"+name+"</a>")...), body)
			assert.NotContains(t, body, secretKey)
		})
	}
}
