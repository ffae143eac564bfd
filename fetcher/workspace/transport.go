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
	// settledAge is from when on an answer that is an error of the server makes us look
	// its name up again.
	settledAge = 30 * time.Second
)

// transports gives requests a transport, whose connections are not used for ever.
type transports struct {
	mu      sync.Mutex
	base    http.RoundTripper // of which each transport is a copy, or which is all there is
	current *transport
}

// transport is one transport with its connections.
type transport struct {
	http.RoundTripper
	owner *transports
	made  time.Time

	// Guarded by the owner's mu.
	inFlight int
	retired  bool // no request uses it any more, but for those in flight
}

// use returns the transport for a request that begins; its done must be called when the
// answer has been read.
func (t *transports) use() *transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != nil && time.Since(t.current.made) >= maxConnectionAge {
		t.current.retire()
	}
	if t.current == nil {
		t.current = &transport{RoundTripper: t.base, owner: t, made: time.Now()}
		if base, ok := t.base.(*http.Transport); ok {
			t.current.RoundTripper = base.Clone()
		}
	}
	t.current.inFlight++
	return t.current
}

// replace gives later requests another transport.
func (t *transports) replace(base http.RoundTripper) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.base = base
	if t.current != nil {
		t.current.retire()
	}
}

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
		t.giveUp(0)
	case e.Status >= 500:
		t.giveUp(settledAge)
	}
}
