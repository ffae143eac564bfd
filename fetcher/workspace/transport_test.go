package workspace

import (
	"context"
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

// swallower passes connections on to a server, until it swallows all that those it has
// carry, without closing them: what a load balancer leaves behind that has failed over.
type swallower struct {
	net.Listener
	to string

	mu    sync.Mutex
	dead  *atomic.Bool
	conns []net.Conn
}

func newSwallower(t *testing.T, to string) *swallower {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &swallower{Listener: l, to: to, dead: &atomic.Bool{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close() // the client will see
				continue
			}
			s.mu.Lock()
			s.conns = append(s.conns, in, out)
			dead := s.dead
			s.mu.Unlock()
			all.Go(func() { pass(out, in, dead) })
			all.Go(func() { pass(in, out, dead) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.mu.Lock()
		for _, c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		all.Wait()
	})
	return s
}

func pass(to io.Writer, from io.Reader, dead *atomic.Bool) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if dead.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// failOver swallows what the connections so far carry; new ones are good.
func (s *swallower) failOver() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead.Store(true)
	s.dead = &atomic.Bool{}
}

func TestADeadConnectionIsGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		http2   bool
		timeout time.Duration // of a request
		pings   bool
	}{
		"HTTP/2, by a request's timeout":   {http2: true, timeout: 500 * time.Millisecond},
		"HTTP/2, by pings":                 {http2: true, timeout: time.Hour, pings: true},
		"HTTP/1.1, by a request's timeout": {timeout: 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			var proto atomic.Value
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				proto.Store(r.Proto)
				ok(w)
			}))
			s.EnableHTTP2 = c.http2
			s.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that a retry has abandoned
			s.StartTLS()
			defer s.Close()
			proxy := newSwallower(t, s.Listener.Addr().String())
			transport := s.Client().Transport.(*http.Transport).Clone()
			transport.MaxIdleConnsPerHost = 4
			if c.pings {
				transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: 50 * time.Millisecond, PingTimeout: 50 * time.Millisecond}
			}
			client := newClient(t, transport, func(o *Options) {
				o.Endpoints.AppStream, o.RequestTimeout = "https://"+proxy.Addr().String(), c.timeout
			})
			defer client.Close()
			var all sync.WaitGroup
			for range 4 { // HTTP/1.1 leaves some idle connections, all of which die
				all.Go(func() { _, err := list(t.Context(), client); assert.NoError(t, err) })
			}
			all.Wait()
			want := "HTTP/1.1"
			if c.http2 {
				want = "HTTP/2.0"
			}
			require.Equal(t, want, proto.Load())
			proxy.failOver()
			_, err := list(t.Context(), client)
			require.NoError(t, err)
		})
	}
}

// names is a network in memory, with a server for each address and a name that moves.
type names struct {
	address string // of the API's name
	lookups atomic.Int64
	servers map[string]http.HandlerFunc
	t       *testing.T
	served  *sync.WaitGroup
}

func (n *names) dial(context.Context, string, string) (net.Conn, error) {
	n.lookups.Add(1)
	ours, theirs := net.Pipe()
	handler := n.servers[n.address]
	l := &oneConn{conn: theirs, closed: make(chan struct{})}
	server := &http.Server{Handler: handler, ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			close(l.closed)
		}
	}}
	n.served.Go(func() { _ = server.Serve(l) }) // it ends with the connection
	return ours, nil
}

// oneConn is a listener with a single connection.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}
func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// The name has moved, and its old address still answers: well, or with 503.
func TestANameThatMovesIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		old    http.HandlerFunc
		within time.Duration
	}{
		"the old address answers": {func(w http.ResponseWriter, _ *http.Request) { ok(w) }, 5 * time.Minute},
		"with 503":                {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, time.Minute},
		"with 404":                {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				moved, found := false, 0
				n := &names{address: "old", t: t, served: &sync.WaitGroup{}, servers: map[string]http.HandlerFunc{
					"old": func(w http.ResponseWriter, r *http.Request) {
						if moved {
							c.old(w, r)
							return
						}
						ok(w)
					},
					"new": func(w http.ResponseWriter, _ *http.Request) { found++; ok(w) }}}
				client := newClient(t, &http.Transport{DialContext: n.dial, IdleConnTimeout: 2 * time.Minute}, func(o *Options) {
					o.Endpoints.AppStream = "http://appstream.test"
				})
				for range 3 {
					_, err := list(t.Context(), client)
					require.NoError(t, err)
					time.Sleep(time.Minute)
				}
				assert.EqualValues(t, 1, n.lookups.Load(), "one connection for all")
				moved, n.address = true, "new"
				start := time.Now()
				for found == 0 && time.Since(start) < time.Hour {
					_, _ = list(t.Context(), client) // it may fail
					time.Sleep(10 * time.Second)
				}
				assert.LessOrEqual(t, time.Since(start), c.within)
				client.Close()
				synctest.Wait()
				n.served.Wait()
			})
		})
	}
}

// Transports that are not used any more leave nothing behind, however they were used.
func TestNoConnectionIsLeftBehind(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		n := &names{t: t, served: &sync.WaitGroup{}, servers: map[string]http.HandlerFunc{"": func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Second)
			ok(w)
		}}}
		base := &http.Transport{DialContext: n.dial}
		client := newClient(t, base, func(o *Options) { o.Endpoints.AppStream = "http://appstream.test" })
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond)
				_, err := list(t.Context(), client)
				assert.NoError(t, err)
			})
			all.Go(func() {
				time.Sleep(time.Duration(i) * 130 * time.Millisecond)
				client.SetTransport(base) // while requests are in flight
			})
		}
		all.Wait()
		client.Close()
		synctest.Wait()
		n.served.Wait() // every connection was closed
	})
}

// Thousands of projects need no connection each, but what is aside has its own.
func TestClientsShareConnections(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		n := &names{t: t, served: &sync.WaitGroup{}, servers: map[string]http.HandlerFunc{"": func(w http.ResponseWriter, _ *http.Request) { ok(w) }}}
		shared := NewConnections(&http.Transport{DialContext: n.dial})
		var clients []*Client
		for range 10 {
			clients = append(clients, newClient(t, nil, func(o *Options) { o.Endpoints.AppStream, o.Connections = "http://appstream.test", shared }))
		}
		for _, client := range clients {
			_, err := list(t.Context(), client)
			require.NoError(t, err)
		}
		assert.EqualValues(t, 1, n.lookups.Load())
		aside := clients[0].Aside(Aside{Budget: &Budget{}, PerMinute: 10, Pause: &Pause{}})
		_, err := list(t.Context(), aside)
		require.NoError(t, err)
		assert.EqualValues(t, 2, n.lookups.Load())
		for _, client := range clients {
			client.Close()
		}
		synctest.Wait()
		n.served.Wait()
	})
}

// One client whose every request is cut off does not have the others connect each time.
func TestAClientThatFailsLeavesTheOthersTheirConnections(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		n := &names{t: t, served: &sync.WaitGroup{}, servers: map[string]http.HandlerFunc{"": func(w http.ResponseWriter, r *http.Request) {
			if r.Host == "cut.test" {
				panic(http.ErrAbortHandler)
			}
			ok(w)
		}}}
		shared := NewConnections(&http.Transport{DialContext: n.dial, MaxIdleConnsPerHost: 4})
		at := func(url string) *Client {
			return newClient(t, nil, func(o *Options) { o.Endpoints.AppStream, o.Connections = url, shared })
		}
		cut, good := at("http://cut.test"), at("http://good.test")
		cut.attempts = 1
		used := map[*transport]bool{}
		begun := time.Now()
		for time.Since(begun) < 10*time.Second {
			_, err := list(t.Context(), cut)
			require.Error(t, err)
			_, err = list(t.Context(), good)
			require.NoError(t, err)
			used[shared.current] = true
			time.Sleep(10 * time.Millisecond)
		}
		assert.LessOrEqual(t, len(used), 11)
		assert.Greater(t, len(used), 5, "what breaks is given up")
		good.Close()
		cut.Close()
		synctest.Wait()
		n.served.Wait()
	})
}
