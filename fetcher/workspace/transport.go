package workspace

import (
	"errors"
	"net/http"
	"sync"
	"time"
)

const (
	// maxConnectionAge is how long connections are used for new requests: a name that
	// has moved is looked up again, also while its old address still answers.
	maxConnectionAge = 4 * time.Minute
	// youngAge is from when on a connection that breaks, or does not answer, makes us use new
	// ones. Of many clients that share theirs, one that has this happen all the time must not
	// have the others connect each time.
	youngAge = time.Second
	// settledAge is from when on an answer that is an error of the server makes us look
	// its name up again.
	settledAge = 30 * time.Second
)

// Connections gives requests a transport, whose connections are not used for ever. Clients
// that share them ask the same servers through the same proxy, with the same TLS settings.
type Connections struct {
	mu      sync.Mutex
	base    http.RoundTripper // of which each transport is a copy, or which is all there is
	current *transport
}

// NewConnections are those that a transport makes. An *http.Transport is copied each time
// that new ones are wanted.
func NewConnections(base http.RoundTripper) *Connections { return &Connections{base: base} }

// transport is one transport with its connections.
type transport struct {
	http.RoundTripper
	owner *Connections
	made  time.Time

	// Guarded by the owner's mu.
	inFlight int
	retired  bool // no request uses it any more, but for those in flight
}

// use returns the transport for a request that begins; its done must be called when the
// answer has been read.
func (c *Connections) use() *transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && time.Since(c.current.made) >= maxConnectionAge {
		c.current.retire()
	}
	if c.current == nil {
		c.current = &transport{RoundTripper: c.base, owner: c, made: time.Now()}
		if base, ok := c.base.(*http.Transport); ok {
			c.current.RoundTripper = base.Clone()
		}
	}
	c.current.inFlight++
	return c.current
}

// replace gives later requests another transport.
func (c *Connections) replace(base http.RoundTripper) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base = base
	if c.current != nil {
		c.current.retire()
	}
}

// apart are connections by the same transport that share nothing with these.
func (c *Connections) apart() *Connections {
	c.mu.Lock()
	defer c.mu.Unlock()
	return NewConnections(c.base)
}

// renew has later requests use new connections.
func (c *Connections) renew() { c.replace(c.apart().base) }

// done is called when a request that uses the transport has its answer, or an error.
func (t *transport) done() {
	t.owner.mu.Lock()
	defer t.owner.mu.Unlock()
	t.inFlight--
	t.closeUnused()
}

// withoutCertificate is the transport for hosts that are not the API's: it shows them no
// client certificate, and keeps no connection.
func withoutCertificate(t http.RoundTripper) http.RoundTripper {
	if ours, ok := t.(*transport); ok {
		t = ours.RoundTripper
	}
	base, ok := t.(*http.Transport)
	if !ok || base.TLSClientConfig == nil {
		return t
	}
	bare := base.Clone()
	bare.DisableKeepAlives = true
	bare.TLSClientConfig.Certificates, bare.TLSClientConfig.GetClientCertificate = nil, nil
	return bare
}

// giveUp has later requests use new connections, unless these are younger than that.
func (t *transport) giveUp(age time.Duration) {
	t.owner.mu.Lock()
	defer t.owner.mu.Unlock()
	if t.owner.current == t && time.Since(t.made) >= age {
		t.retire()
	}
}

// retire is for who holds the owner's mu.
func (t *transport) retire() {
	t.retired, t.owner.current = true, nil
	t.closeUnused()
}

func (t *transport) closeUnused() {
	connections, ok := t.RoundTripper.(*http.Transport)
	if ok && t.retired && t.inFlight == 0 {
		connections.CloseIdleConnections()
	}
}

// failed takes note of an attempt that failed: its connection may be dead, or lead to
// where the server is no more.
func (t *transport) failed(e *Error) {
	switch {
	case e.Status == 0, errors.Is(e, ErrCut):
		t.giveUp(youngAge)
	case e.Status >= 500:
		t.giveUp(settledAge)
	}
}
