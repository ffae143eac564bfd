package workspace

import (
	"net/url"
	"time"
)

// Host is one of the API's hosts. Each has a clock of its own: those of two hosts of a
// cloud may be apart.
type Host struct {
	Name   string // with the port, if it is not the usual one
	client *Client
}

// Endpoint is one of the API's two endpoints for records.
type Endpoint int

const (
	// AppStream has login records and sessions of application streaming.
	AppStream Endpoint = iota
	// Workspace has desktops, statistics and export tasks.
	Workspace
)

// Host is that of an endpoint.
func (c *Client) Host(e Endpoint) Host { return c.host(c.base(e)) }

// Owner is whose records an endpoint has: of which project, and where.
func (c *Client) Owner(e Endpoint) string { return c.base(e).String() + " " + c.projectID }

func (c *Client) base(e Endpoint) *url.URL {
	if e == AppStream {
		return c.appStream
	}
	return c.workspace
}

func (c *Client) host(base *url.URL) Host { return Host{base.Host, c} }

// ServerTime is the time of the host's clock now, as of its last answer. It is not ahead
// of that clock and at most about a second and one request behind it. While the host has
// not answered, another host's clock is the best guess; it is false until there was any
// answer.
func (h Host) ServerTime() (time.Time, bool) {
	if t, ok := h.client.clocks[h.Name].server(); ok {
		return t, true
	}
	for _, base := range []*url.URL{h.client.appStream, h.client.workspace} {
		if t, ok := h.client.clocks[base.Host].server(); ok {
			return t, true
		}
	}
	return time.Time{}, false
}

// Skew is by how much the local clock is ahead of the host's. It is false until there was
// an answer.
func (h Host) Skew() (time.Duration, bool) { return h.client.clocks[h.Name].skew() }

// now is the host's time, or the local one while no host's is known.
func (h Host) now() time.Time {
	if t, ok := h.ServerTime(); ok {
		return t
	}
	return h.client.local().UTC()
}

// signingTime is when a request to the host is to be dated.
func (h Host) signingTime() time.Time { return h.client.clocks[h.Name].signingTime(h.ServerTime()) }

// setClocks gives each host a clock.
func (c *Client) setClocks() {
	c.clocks = map[string]*clock{}
	for _, base := range []*url.URL{c.appStream, c.workspace, c.iam} {
		if base != nil && c.clocks[base.Host] == nil {
			c.clocks[base.Host] = &clock{local: c.local}
		}
	}
}
