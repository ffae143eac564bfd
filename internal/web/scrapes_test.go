package web

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
)

const patience = time.Minute

// serve starts a server as ours is.
func serve(t *testing.T, h http.Handler, connections int, grace time.Duration) string {
	t.Helper()
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	limitConnections(server, connections, grace)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

// fetch gets all of an answer over a connection of its own.
func fetch(address string) ([]byte, error) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	resp, err := client.Get("http://" + address + "/")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// ask sends a request and never reads the answer.
func ask(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: exporter\r\n\r\n")
	require.NoError(t, err)
	return conn
}

// answers is an answerer by a function, of which each call gives another version.
type answers func(ctx context.Context, scrape collector.Scrape) [][]byte

func (f answers) Answer(ctx context.Context, scrape collector.Scrape) (*collector.Answer, error) {
	chunks := f(ctx, scrape)
	return &collector.Answer{Chunks: chunks, Size: len(bytes.Join(chunks, nil)), Version: collector.NewVersion()}, ctx.Err()
}

func anyProject(string) error { return nil }

// TestClientsThatDoNotReadLargeAnswers hold neither connections nor more memory than
// they may.
func TestClientsThatDoNotReadLargeAnswers(t *testing.T) {
	large := bytes.Repeat([]byte("x"), 8<<20) // more than the system takes in advance
	for name, most := range map[string]int{"memory is short": 4 * len(large), "connections are short": 100 * len(large)} {
		t.Run(name, func(t *testing.T) {
			s := newScrapes(answers(func(context.Context, collector.Scrape) [][]byte { return [][]byte{large} }), anyProject, most)
			address := serve(t, s, 8, 100*time.Millisecond)
			for n := range 20 {
				ask(t, address)
				if n%5 == 4 {
					// A client before it may be served only now, and then the scrape is the oldest
					// that holds memory. The next one gets through.
					require.Eventually(t, func() bool {
						got, err := fetch(address)
						return err == nil && len(got) == len(large)
					}, patience, 10*time.Millisecond)
				}
			}
			require.Eventually(t, func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return heldBy(s.sent) <= min(s.maxHeld, 8*(len(large)+chunkBytes))
			}, patience, 10*time.Millisecond)
		})
	}
}

// heldBy is what is held by answers that are not cancelled.
func heldBy(sent []*sentAnswer) int {
	var h held
	for _, a := range sent {
		if a.cancelled.Err() == nil {
			h.add(a.Answer)
		}
	}
	return h.bytes
}

func TestHeldBytesAreTakenFromTheOldest(t *testing.T) {
	s := newScrapes(nil, nil, 100)
	shared := collector.NewVersion()
	var sent []*sentAnswer
	for _, version := range []collector.Version{collector.NewVersion(), shared, shared, collector.NewVersion(), collector.NewVersion()} {
		sent = append(sent, s.join(&collector.Answer{Size: 40, Version: version}))
	}
	assert.Equal(t, 80, heldBy(s.sent), "what is shared counts once")
	dropped := func() (is []bool) {
		for _, a := range sent {
			is = append(is, a.cancelled.Err() != nil)
		}
		return is
	}
	assert.Equal(t, []bool{true, true, true, false, false}, dropped())
	for _, a := range sent {
		s.leave(a)
	}
	assert.Zero(t, heldBy(s.sent))
	assert.Empty(t, s.sent)
}

// Answers of one version keep the same memory, but each has something of its own.
func TestWhatAnswersDoNotShareIsHeldByEach(t *testing.T) {
	s := newScrapes(nil, nil, 100)
	version := collector.NewVersion()
	var sent []*sentAnswer
	for range 4 {
		sent = append(sent, s.join(&collector.Answer{Size: 60, Own: 20, Version: version}))
		assert.LessOrEqual(t, heldBy(s.sent), 100)
	}
	assert.Error(t, sent[0].cancelled.Err())
	for _, a := range sent[1:] {
		assert.NoError(t, a.cancelled.Err())
	}
}

// What a scrape asks for is one of a few things, whatever it sends.
func TestWhatAScrapeAsksFor(t *testing.T) {
	const protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily"
	for _, c := range []struct {
		query, accept, encoding string
		want                    collector.Scrape
		contentType             string
	}{
		{"", "", "", collector.Scrape{}, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"},
		{"x=1&y[]=2", "text/html, */*;q=0.1", "br, deflate", collector.Scrape{}, ""},
		{strings.Repeat("project=p&name[]=b&", 3000) + "name[]=a", "", "", collector.Scrape{Names: []string{"a", "b"}, Projects: []string{"p"}}, ""},
		{"name[]=a&name[]=b&project=p", "text/plain;version=1.0.0", "gzip;q=0", collector.Scrape{Names: []string{"a", "b"}, Projects: []string{"p"}}, ""},
		{"", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8", "gzip", collector.Scrape{Format: collector.OpenMetrics, Gzip: true},
			"application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"},
		{"", "application/openmetrics-text;version=0.0.1", "zstd;q=1, GZIP ; q=0.5", collector.Scrape{Format: collector.OpenMetrics, Gzip: true}, ""},
		{"", "application/openmetrics-text;version=2.0.0,text/plain;escaping=dots", "", collector.Scrape{}, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"},
		{"", protobuf + ";encoding=delimited", "gzip;q=1.0", collector.Scrape{Format: collector.Protobuf, Gzip: true},
			"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=underscores"},
		{"", protobuf + ";encoding=text", "gzip;q=0.000", collector.Scrape{}, ""},
		{"", strings.Repeat("a/b,", 5000) + "application/openmetrics-text", "", collector.Scrape{}, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/metrics?"+c.query, nil)
		r.Header.Set("Accept", c.accept)
		r.Header.Set("Accept-Encoding", c.encoding)
		w := httptest.NewRecorder()
		newScrapes(answers(func(_ context.Context, got collector.Scrape) [][]byte {
			assert.Equal(t, c.want, got, "%v", c)
			return [][]byte{[]byte("a"), nil, []byte("b")}
		}), anyProject, 100).ServeHTTP(w, r)
		assert.Equal(t, "ab", w.Body.String())
		assert.Equal(t, c.want.Gzip, w.Header().Get("Content-Encoding") == "gzip")
		if c.contentType != "" {
			assert.Equal(t, c.contentType, w.Header().Get("Content-Type"))
		}
	}
	w := httptest.NewRecorder()
	newScrapes(nil, func(p string) error { return findProject((&fake{}).Config(), p) }, 100).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics?project=p&project=none", nil))
	assert.Equal(t, http.StatusNotFound, w.Code)
	assert.Equal(t, "the configuration has no project \"none\"\n", w.Body.String())
}

func TestAScrapeThatPanicsFailsAndHoldsNothing(t *testing.T) {
	s := newScrapes(answers(func(context.Context, collector.Scrape) [][]byte { panic(http.ErrAbortHandler) }), anyProject, 1000)
	address := serve(t, s, 2, 100*time.Millisecond)
	for range 5 {
		_, err := fetch(address)
		require.ErrorIs(t, err, io.EOF)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	assert.Empty(t, s.sent)
}

// While all connections wait for an answer, a new one waits for its turn.
func TestAScraperWaitsWhereAllOthersDo(t *testing.T) {
	made := make(chan struct{})
	var making atomic.Int64
	address := serve(t, newScrapes(answers(func(ctx context.Context, _ collector.Scrape) [][]byte {
		making.Add(1)
		defer making.Add(-1)
		select {
		case <-made:
		case <-ctx.Done():
		}
		return [][]byte{[]byte("x")}
	}), anyProject, 1000), 4, 100*time.Millisecond)
	var gone []net.Conn
	for range 4 {
		gone = append(gone, ask(t, address))
	}
	require.Eventually(t, func() bool { return making.Load() == 4 }, patience, time.Millisecond)
	var rest sync.WaitGroup
	for range 20 {
		rest.Go(func() {
			got, err := fetch(address)
			assert.NoError(t, err)
			assert.Equal(t, "x", string(got))
		})
	}
	for _, conn := range gone { // who leaves makes room for who waits
		require.NoError(t, conn.Close())
	}
	close(made)
	rest.Wait()
}

// A client that reads slowly, but does, is not idle.
func TestAClientThatReadsStaysBesideThoseThatDoNot(t *testing.T) {
	large := bytes.Repeat([]byte("x"), 16<<20)
	address := serve(t, newScrapes(answers(func(context.Context, collector.Scrape) [][]byte { return [][]byte{large} }), anyProject, 1<<30), 8, time.Second)
	reader := ask(t, address)
	read := 0
	for piece := make([]byte, 1<<20); read < len(large); {
		ask(t, address)
		n, err := io.ReadFull(reader, piece)
		read += n
		if read < len(large) {
			require.NoError(t, err, "after %d bytes", read)
		}
	}
}

func TestTheConnectionThatWaitsLongestGoes(t *testing.T) {
	working, answered := make(chan struct{}), make(chan struct{})
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/work" {
			reportActivity(r.Context(), 1)
			defer reportActivity(r.Context(), -1)
			working <- struct{}{}
			<-answered
		}
	}), 3, 100*time.Millisecond)
	dial := func(text string) net.Conn {
		conn, err := net.Dial("tcp", address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = io.WriteString(conn, text)
		require.NoError(t, err)
		return conn
	}
	closed := func(conn net.Conn) bool {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
		_, err := conn.Read(make([]byte, 1))
		return err != nil && !errors.Is(err, net.ErrClosed)
	}
	worked := dial("GET /work HTTP/1.1\r\nHost: exporter\r\n\r\n")
	<-working // it is the oldest, but we are the ones to act
	first := dial("")
	dial("GET /")
	for range 3 {
		_, err := fetch(address)
		require.NoError(t, err)
	}
	assert.True(t, closed(first))
	_, err := fetch(address)
	require.NoError(t, err)
	close(answered)
	head := make([]byte, len("HTTP/1.1 200"))
	_, err = io.ReadFull(worked, head)
	require.NoError(t, err)
	assert.Equal(t, "HTTP/1.1 200", string(head))
}
