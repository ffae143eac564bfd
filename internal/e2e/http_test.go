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
			require.NoError(t, e.fresh(30*time.Second), "beside clients %s", clients.what)
		}
		require.NoError(t, e.fresh(30*time.Second))
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
	w := newWorld(t, simulator.Options{Denied: []string{permission}}, nil)
	e := runExporter(t, setup{URL: w.url})
	e.pollsEnd(project, "user_connections", "error", 1)
	eventually(t, "the page shows the failure", func() bool { return strings.Contains(e.get("/").body, "class=\"trouble\"") })
	body := e.get("/").body
	assert.True(t, containsAll(body, "A permission is missing.", "Grant the permission "+permission, "does not work", "failing", ">permission</a>"), body)
	assert.NotContains(t, body, secretKey)
}
