package web

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// maxConnections is how many connections the server has at once.
	maxConnections = 512
	// grace is how long a client may be idle: after it has connected, sent a part of a
	// request, or taken a part of its answer.
	grace = time.Second
	// writeBufferBytes bounds what the kernel buffers of an answer. Without it, that is
	// megabytes for each client that asks and never reads.
	writeBufferBytes = 256 << 10
)

// connectionLimit bounds the number of connections. Beyond that, the longest-idle
// connection is closed: whatever other clients hold on to, a new one is let in. While no
// connection is idle, a new one waits.
type connectionLimit struct {
	max   int
	grace time.Duration

	mu      sync.Mutex
	changed *sync.Cond
	open    map[net.Conn]*connection
}

// connection is an open connection.
type connection struct {
	lastActive time.Time // when the client last did something
	answering  int       // scrapes being answered: while there are any, the client is not idle
	keptAlive  bool      // between two requests: has no grace
}

// limitKey is where a request's context has the function that reports activity.
type limitKey struct{}

// reportActivity reports that the client of a request has done something, and that the
// number of scrapes being answered has changed. Only scrapes count: another request,
// such as a reload, may take long, and does not keep its connection.
func reportActivity(ctx context.Context, answering int) {
	if report, ok := ctx.Value(limitKey{}).(func(int)); ok {
		report(answering)
	}
}

// limitConnections lets a server have no more connections than max, of which none is
// closed within its grace.
func limitConnections(server *http.Server, max int, grace time.Duration) {
	c := &connectionLimit{max: max, grace: grace, open: map[net.Conn]*connection{}}
	c.changed = sync.NewCond(&c.mu)
	server.ConnState = c.follow
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, limitKey{}, func(answering int) { c.activity(conn, answering) })
	}
}

// follow follows the state of a connection. The server waits for it before it accepts the
// next.
func (c *connectionLimit) follow(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
		c.changed.Broadcast()
		return
	case http.StateNew:
		for len(c.open) >= c.max && !c.closeIdle(time.Now()) {
			timeout := time.AfterFunc(c.grace, c.changed.Broadcast)
			c.changed.Wait()
			timeout.Stop()
		}
		c.open[conn] = &connection{}
		boundBuffer(conn)
	}
	if known := c.open[conn]; known != nil {
		known.lastActive, known.keptAlive = time.Now(), state == http.StateIdle
		c.changed.Broadcast()
	}
}

func boundBuffer(conn net.Conn) {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetWriteBuffer(writeBufferBytes) // only saves memory
	}
}

func (c *connectionLimit) activity(conn net.Conn, answering int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.open[conn]; known != nil {
		known.answering += answering
		known.lastActive = time.Now()
	}
}

// closeIdle closes the longest-idle connection. It reports whether there is one.
func (c *connectionLimit) closeIdle(now time.Time) bool {
	var longest net.Conn
	for conn, state := range c.open {
		if state.answering > 0 || !state.keptAlive && now.Sub(state.lastActive) < c.grace {
			continue
		}
		if longest == nil || state.lastActive.Before(c.open[longest].lastActive) {
			longest = conn
		}
	}
	if longest == nil {
		return false
	}
	delete(c.open, longest)
	go longest.Close() // TLS may wait to send its last message
	return true
}
