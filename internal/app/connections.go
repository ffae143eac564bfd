package app

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxConnections is how many connections our server has at once.
const maxConnections = 512

// connections keeps the number of connections within bounds. One too many makes the
// one go that has waited longest for its client: whatever other clients hold on to, a
// new one is always let in. (To let new ones wait instead would let idle ones keep
// Prometheus out.)
type connections struct {
	most int

	mu   sync.Mutex
	open map[net.Conn]*connection
}

// connection is one of them.
type connection struct {
	since    time.Time // since when it is the client's turn
	requests int       // that are ours to answer: while there are any, the client waits
}

// turnKey is where a request's context has what changes how many requests we work on.
type turnKey struct{}

// ours says that it is our turn (1) or the client's (-1) to do something about the
// request of ctx.
func ours(ctx context.Context, n int) {
	if change, ok := ctx.Value(turnKey{}).(func(int)); ok {
		change(n)
	}
}

// limit lets a server have no more connections than most.
func limit(server *http.Server, most int) {
	c := &connections{most: most, open: map[net.Conn]*connection{}}
	server.ConnState = c.changed
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, turnKey{}, func(n int) { c.works(conn, n) })
	}
	handler := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ours(r.Context(), 1)
		defer ours(r.Context(), -1)
		handler.ServeHTTP(w, r)
	})
}

func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
		return
	case http.StateNew:
		c.open[conn] = &connection{}
	}
	if known := c.open[conn]; known != nil {
		known.since = time.Now()
	}
	if len(c.open) > c.most {
		c.dropOne()
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

// dropOne closes the connection that has waited longest for its client. If we work
// for all others, that is the newest.
func (c *connections) dropOne() {
	var longest net.Conn
	for conn, state := range c.open {
		if state.requests == 0 && (longest == nil || state.since.Before(c.open[longest].since)) {
			longest = conn
		}
	}
	if longest != nil {
		delete(c.open, longest)
		go longest.Close() // may wait, if it has to say goodbye in TLS
	}
}
