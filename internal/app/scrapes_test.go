package app

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const patience = time.Minute

// serve starts a server as ours is.
func serve(t *testing.T, h http.Handler, connections int) string {
	t.Helper()
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	limit(server, connections)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

// fetch gets all of an answer over a connection of its own.
func fetch(address string) ([]byte, error) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
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

// TestClientsThatDoNotReadLargeAnswers hold neither places, nor connections, nor more
// memory than they may.
func TestClientsThatDoNotReadLargeAnswers(t *testing.T) {
	large := bytes.Repeat([]byte("x"), 8<<20) // more than the system takes in advance
	for name, most := range map[string]int{"memory is short": 4 * len(large), "connections are short": 100 * len(large)} {
		t.Run(name, func(t *testing.T) {
			s := newScrapes(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(large) }), 1, most)
			address := serve(t, s, 8)
			for n := range 20 {
				ask(t, address)
				if n%5 == 4 {
					got, err := fetch(address)
					require.NoError(t, err)
					require.Len(t, got, len(large))
				}
			}
			require.Eventually(t, func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.held <= min(s.most, 8*len(large)) && len(s.next) == 0
			}, patience, 10*time.Millisecond)
		})
	}
}

func TestHeldBytesAreTakenFromTheOldest(t *testing.T) {
	s := newScrapes(nil, 1, 100)
	var answers []*answer
	for range 4 {
		a, _ := s.join(httptest.NewRequest(http.MethodGet, "/", nil))
		clear(s.next)
		a.body.Write(make([]byte, 40))
		s.send(a)
		answers = append(answers, a)
	}
	dropped := func() (is []bool) {
		for _, a := range answers {
			is = append(is, a.cut.Err() != nil)
		}
		return is
	}
	assert.Equal(t, []bool{true, true, false, false}, dropped())
	for _, a := range answers {
		s.leave(a)
	}
	assert.Zero(t, s.held)
	assert.Empty(t, s.sent)
}

// TestScrapesShareAnswersButSeeNothingOld: what is asked for while an answer is made
// waits for the next one, all together.
func TestScrapesShareAnswersButSeeNothingOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int64
		s := newScrapes(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/x-"+r.URL.RawQuery)
			_, _ = w.Write([]byte{byte(made.Add(1))})
			time.Sleep(time.Second)
		}), 1, 1000)
		var mu sync.Mutex
		answers := map[byte]int{}
		var all sync.WaitGroup
		scrape := func(query string) {
			all.Go(func() {
				r := httptest.NewRequest(http.MethodGet, "/metrics?"+query, nil)
				w := httptest.NewRecorder()
				s.ServeHTTP(w, r)
				assert.Equal(t, "text/x-"+query, w.Header().Get("Content-Type"))
				mu.Lock()
				defer mu.Unlock()
				answers[w.Body.Bytes()[0]]++
			})
		}
		scrape("a")
		synctest.Wait() // the first is being made now
		for range 100 {
			scrape("a")
		}
		all.Wait()
		assert.Equal(t, map[byte]int{1: 1, 2: 100}, answers)
		scrape("a")
		scrape("b")
		all.Wait()
		assert.Equal(t, int64(4), made.Load(), "who asks for something else gets something else")
		assert.Empty(t, s.next)
		assert.Zero(t, s.held)
	})
}

func TestAScrapeThatPanicsFailsAndHoldsNothing(t *testing.T) {
	s := newScrapes(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half an answer"))
		panic(http.ErrAbortHandler)
	}), 1, 1000)
	address := serve(t, s, 20)
	for range 3 {
		_, err := fetch(address)
		require.ErrorIs(t, err, io.EOF)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	assert.Empty(t, s.sent)
	assert.Empty(t, s.next)
}

func TestTheConnectionThatWaitsLongestGoes(t *testing.T) {
	working, answered := make(chan struct{}), make(chan struct{})
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/work" {
			working <- struct{}{}
			<-answered
		}
	}), 3)
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
