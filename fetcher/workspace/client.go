// Package workspace is the client of the Workspace API: one Client for one project.
//
// It guarantees that a call either returns the whole, decoded answer, or an error
// that says what failed and what to do, and that no secret, user name or address
// is in that error. It signs every attempt again, waits where the server asks
// for it, and follows redirects only to download a file, without credentials.
package workspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
)

// What Options means where it says nothing.
const (
	DefaultRequestTimeout    = 30 * time.Second
	DefaultRequestsPerSecond = 10
	DefaultBurst             = 10
	DefaultConcurrency       = 4
)

// Endpoints are base URLs, like https://appstream.cn-north-4.myhuaweicloud.com.
// They may have a path, which then stands before the API's own.
type Endpoints struct {
	AppStream string // login records and sessions
	Workspace string // desktops, statistics, export tasks; AppStream if empty
	IAM       string // needed for Password only
}

// Options make a Client. ProjectID, Endpoints.AppStream and Credentials are
// required.
type Options struct {
	ProjectID   string
	Endpoints   Endpoints
	Credentials Credentials
	// Transport has TLS and proxy set up; nil is http.DefaultTransport. An
	// *http.Transport is copied each time that new connections are wanted.
	Transport http.RoundTripper
	// Connections are shared with other clients, in place of a transport. Nil if they are not.
	Connections *Connections
	// Secrets are what must not be shown, beside the credentials: those of a proxy.
	Secrets []string
	// RequestTimeout limits one attempt, its body included.
	RequestTimeout time.Duration
	// RequestsPerSecond and Burst limit the rate, Concurrency the requests in
	// flight, of all calls together.
	RequestsPerSecond  float64
	Burst, Concurrency int
	// Observe is called for every attempt: the operation's name (ListUserConnection,
	// CreateToken, ..), the HTTP status or "error", and how long it took.
	Observe func(operation, code string, d time.Duration)
	Logger  log.Logger
	// Pause is shared by the clients of a project. One of its own if nil.
	Pause *Pause
	// SignIns is shared by all clients of a process. One of its own if nil.
	SignIns *SignIns
	// Now is the local clock. The real one if nil.
	Now func() time.Time
}

// Client speaks to the API for one project. It is safe for concurrent use.
type Client struct {
	projectID                 string
	appStream, workspace, iam *url.URL

	connections *Connections
	timeout     time.Duration
	maxBody     int // bytes
	auth        authenticator
	local       func() time.Time  // the local clock
	clocks      map[string]*clock // by host
	private     *redactor
	tasks       sync.Map // the base URL, by the id of an export task, of the host that knows it
	lookup      func(ctx context.Context, host string) ([]netip.Addr, error)

	slots    *semaphore.Weighted
	limiter  limiter
	pause    *Pause
	signIns  *SignIns
	attempts int // of each call
	isAside  bool

	mu     sync.Mutex
	asides []*Client

	observe func(operation, code string, d time.Duration)
	logger  log.Logger
}

// New checks o and makes a Client; the error names everything that is wrong. It
// sends nothing.
func New(o Options) (*Client, error) {
	c := &Client{
		projectID:   o.ProjectID,
		connections: o.Connections,
		timeout:     orDefault(o.RequestTimeout, DefaultRequestTimeout),
		maxBody:     maxBodyBytes,
		attempts:    maxAttempts,
		private:     &redactor{},
		local:       o.Now,
		slots:       semaphore.NewWeighted(int64(orDefault(o.Concurrency, DefaultConcurrency))),
		limiter: rate.NewLimiter(rate.Limit(orDefault(o.RequestsPerSecond, DefaultRequestsPerSecond)),
			orDefault(o.Burst, DefaultBurst)),
		observe: o.Observe,
		logger:  o.Logger,
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
	}
	if c.pause = o.Pause; c.pause == nil {
		c.pause = &Pause{}
	}
	if c.signIns = o.SignIns; c.signIns == nil {
		c.signIns = &SignIns{}
	}
	if c.connections == nil {
		c.connections = NewConnections(cmp.Or[http.RoundTripper](o.Transport, http.DefaultTransport))
	}
	if c.local == nil {
		c.local = time.Now
	}
	if c.observe == nil {
		c.observe = func(string, string, time.Duration) {}
	}
	if c.logger == nil {
		c.logger = log.NewNopLogger()
	}
	c.private.add(secretText, o.Secrets...)
	if err := errors.Join(c.setProject(o.ProjectID), c.setEndpoints(o.Endpoints), c.setCredentials(o)); err != nil {
		return nil, err
	}
	return c, nil
}

// limiter says when the next request may be sent.
type limiter interface{ Wait(context.Context) error }

// SetTransport has requests from now on use another transport, also those of clients that
// share its connections.
func (c *Client) SetTransport(t http.RoundTripper) {
	for _, one := range c.withAsides() {
		one.connections.replace(t)
	}
}

// Close closes the connections of a client that is not used any more.
func (c *Client) Close() {
	for _, one := range c.withAsides() {
		one.connections.renew()
	}
}

func orDefault[T int | float64 | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// setProject refuses an id that would be more, or less, than one segment of a path.
func (c *Client) setProject(id string) error {
	if id == "" || strings.Trim(id, ".") == "" || strings.ContainsAny(id, "/\\?#% \t\r\n") {
		return fmt.Errorf("project id %q: must be the id of a project, like a4da8115c9d8464ead3a38309130523f", id)
	}
	return nil
}

func (c *Client) setEndpoints(e Endpoints) error {
	var errs [3]error
	c.appStream, errs[0] = parseEndpoint("appstream", e.AppStream)
	c.workspace = c.appStream
	if e.Workspace != "" {
		c.workspace, errs[1] = parseEndpoint("workspace", e.Workspace)
	}
	if e.IAM != "" {
		c.iam, errs[2] = parseEndpoint("iam", e.IAM)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	c.setClocks()
	return nil
}

// parseEndpoint never repeats the text: it may hold a password.
func parseEndpoint(name, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("endpoint %s: must be a URL like https://%s.cn-north-4.myhuaweicloud.com, without user, query and fragment", name, name)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	return u, nil
}

func (c *Client) setCredentials(o Options) error {
	if o.Credentials == nil {
		return errors.New("credentials: there are none")
	}
	c.auth = o.Credentials.bind(c)
	if _, ok := o.Credentials.(password); ok && o.Endpoints.IAM == "" {
		return errors.New("endpoint iam: a user and a password need it, to get a token")
	}
	return nil
}
