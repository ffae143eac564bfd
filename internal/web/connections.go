package web

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// maxConnections is how many connections our server has at once.
	maxConnections = 512
	// grace is how long a client may do nothing, when it has connected, asked, or taken
	// some of its answer.
	grace = time.Second
	// writeBufferBytes is what the system takes of an answer in advance. By itself it
	// takes megabytes, for each client that asks and never reads.
	writeBufferBytes = 256 << 10
)

// connections keeps the number of connections within bounds. One too many makes the
// one go that has waited longest for its client: whatever other clients hold on to, a
// new one is always let in. While all others wait for us, or have just done something, a
// new one waits, too.
type connections struct {
	most  int
	grace time.Duration

	mu      sync.Mutex
	changed *sync.Cond
	open    map[net.Conn]*connection
}

// connection is one of them.
type connection struct {
	since    time.Time // since when it is the client's turn
	requests int       // scrapes that are ours to answer: while there are any, the client waits
	idle     bool      // nothing is under way
}

// turnKey is where a request's context has what changes how many requests we work on.
type turnKey struct{}

// ours says that it is our turn (1) or the client's (-1) to do something about the
// request of ctx, or that the client did (0). What is not said to be ours, such as a
// reload, may take long, and does not keep its connection.
func ours(ctx context.Context, n int) {
	if change, ok := ctx.Value(turnKey{}).(func(int)); ok {
		change(n)
	}
}

// limit lets a server have no more connections than most, of which none goes within its
// grace.
func limit(server *http.Server, most int, grace time.Duration) {
	c := &connections{most: most, grace: grace, open: map[net.Conn]*connection{}}
	c.changed = sync.NewCond(&c.mu)
	server.ConnState = c.state
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, turnKey{}, func(n int) { c.works(conn, n) })
	}
}

// state follows a connection. The server waits for it before it accepts the next.
func (c *connections) state(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
		c.changed.Broadcast()
		return
	case http.StateNew:
		for len(c.open) >= c.most && !c.dropOne(time.Now()) {
			again := time.AfterFunc(c.grace, c.changed.Broadcast)
			c.changed.Wait()
			again.Stop()
		}
		c.open[conn] = &connection{}
		boundBuffer(conn)
	}
	if known := c.open[conn]; known != nil {
		known.since, known.idle = time.Now(), state == http.StateIdle
		c.changed.Broadcast()
	}
}

func boundBuffer(conn net.Conn) {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok { // of TLS
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetWriteBuffer(writeBufferBytes) // without it, too, all works
	}
}

func (c *connections) works(conn net.Conn, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.open[conn]; known != nil {
		known.requests += n
		known.since = time.Now()
	}
}

// dropOne closes the connection that has waited longest for its client. It reports
// whether there is one.
func (c *connections) dropOne(now time.Time) bool {
	var longest net.Conn
	for conn, state := range c.open {
		if state.requests > 0 || !state.idle && now.Sub(state.since) < c.grace {
			continue
		}
		if longest == nil || state.since.Before(c.open[longest].since) {
			longest = conn
		}
	}
	if longest == nil {
		return false
	}
	delete(c.open, longest)
	go longest.Close() // may wait, if it has to say goodbye in TLS
	return true
}
