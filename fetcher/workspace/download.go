package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"time"
)

const (
	maxRedirects  = 4
	lookupTimeout = 5 * time.Second
)

// ErrFileTooLarge is when a file is larger than wanted.
var ErrFileTooLarge = errors.New("the file is too large")

// file is where an answer goes that is a file.
type file struct {
	to    io.Writer
	limit int64 // bytes
}

// fetchFile sends a call whose answer is a file, once, and follows redirects. What
// limits the time is not how long it takes, but how long nothing comes.
//
// Once a byte of the file has come, it is not tried again here: it would be written
// twice.
func (c *Client) fetchFile(ctx context.Context, k call, t http.RoundTripper, p credential) *Error {
	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(c.timeout, func() { cancel(context.DeadlineExceeded) })
	defer stalled.Stop()

	signed := c.host(k.base).signingTime()
	r, err := newRequest(limited, k, p, nil, signed)
	if err != nil {
		return c.failure(k, err)
	}
	for hop := 0; ; hop++ {
		next, failed := c.fetch(ctx, k, t, r, stalled, func(resp *http.Response) *Error {
			if hop > 0 {
				return c.refusedElsewhere(k, resp)
			}
			return c.refused(k, resp, p, signed)
		})
		if failed != nil {
			failed.elsewhere = hop > 0
			if hop > 0 {
				failed.Host, failed.Path = cut(c.private.secretless(r.URL.Host), maxCleanBytes), "/…" // it may name people, and hold a signature
			}
			return failed
		}
		if next == nil {
			return nil
		}
		if hop == maxRedirects {
			return c.failure(k, fmt.Errorf("more than %d redirects", maxRedirects))
		}
		if err := c.checkRedirect(limited, k.base.Hostname(), next); err != nil {
			return c.failure(k, err)
		}
		r = bareRequest(limited, next)
		if next.Host != k.base.Host {
			t = withoutCertificate(t)
		}
	}
}

// bareRequest is a request that carries nothing of ours. Without a Content-Type too:
// it may be part of what a storage's link is signed over.
func bareRequest(ctx context.Context, to *url.URL) *http.Request {
	to.Fragment = ""
	r := (&http.Request{Method: http.MethodGet, URL: to, Host: to.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}}).WithContext(ctx)
	r.Header.Set("User-Agent", "workspace_exporter")
	return r
}

// fetch sends one request for a file. It returns where to go on if the answer is a
// redirect; refused makes the error of an answer that is none and not the file.
func (c *Client) fetch(ctx context.Context, k call, t http.RoundTripper, r *http.Request, stalled *time.Timer, refused func(*http.Response) *Error) (next *url.URL, failed *Error) {
	// The file is wanted as it is: what unpacks itself on the way has no size.
	r.Header.Set("Accept-Encoding", "identity")
	r.Header.Set("Accept", "*/*")
	code, start := "error", time.Now()
	defer func() { c.observe(k.operation, code, time.Since(start)) }()

	stalled.Reset(c.timeout)
	resp, err := t.RoundTrip(r)
	if err != nil {
		return nil, c.broken(ctx, k, nil, causeOf(r.Context(), err))
	}
	defer resp.Body.Close()
	code = strconv.Itoa(resp.StatusCode)
	if k.base.Host == r.URL.Host {
		c.clocks[k.base.Host].observe(resp.Header, time.Since(start))
	}
	switch {
	case resp.StatusCode/100 == 2:
		return nil, c.save(ctx, k, r, resp, stalled)
	case resp.StatusCode/100 == 3 && resp.Header.Get("Location") != "":
		next, err := r.URL.Parse(resp.Header.Get("Location"))
		if err != nil { // without its text, which may hold a signature
			return nil, c.failure(k, errors.New("the redirect's Location is not a URL"))
		}
		return next, nil
	}
	return nil, refused(resp)
}

// save writes a file that comes. Its content is in no error.
func (c *Client) save(ctx context.Context, k call, r *http.Request, resp *http.Response, stalled *time.Timer) *Error {
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return c.answered(k, resp, nil, errors.New("the file is packed on the way, which was not asked for, and is refused: its size is unknown"))
	}
	tooLarge := fmt.Errorf("%w: more than %d bytes", ErrFileTooLarge, k.file.limit)
	if resp.ContentLength > k.file.limit {
		return c.answered(k, resp, nil, tooLarge)
	}
	body := &flowing{from: resp.Body, progress: func() { stalled.Reset(c.timeout) }}
	n, err := io.Copy(k.file.to, io.LimitReader(body, k.file.limit))
	if err == nil && n == k.file.limit {
		if more, _ := io.ReadFull(body, make([]byte, 1)); more > 0 {
			return c.answered(k, resp, nil, tooLarge)
		}
	}
	switch {
	case body.err != nil:
		failed := c.broken(ctx, k, resp, causeOf(r.Context(), body.err))
		failed.retry = never
		return failed
	case err != nil:
		return c.answered(k, resp, nil, fmt.Errorf("writing the file: %w", err))
	}
	return nil
}

// causeOf is why a request was given up, or else err.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// flowing reports each read that brings something, and remembers what went wrong.
type flowing struct {
	from     io.Reader
	progress func()
	err      error
}

func (f *flowing) Read(p []byte) (int, error) {
	n, err := f.from.Read(p)
	if n > 0 {
		f.progress()
	}
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// storageCode is the code in the error of an object storage.
var storageCode = regexp.MustCompile(`<Code>([A-Za-z0-9.]{1,64})</Code>`)

// refusedElsewhere is the error of an answer of a host that a redirect led to. Such
// a host may repeat the request's signature: only a code is taken from the body.
func (c *Client) refusedElsewhere(k call, resp *http.Response) *Error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	failed := c.answered(k, resp, nil, nil)
	if code := storageCode.FindSubmatch(body); code != nil {
		failed.Code = c.private.clean(string(code[1]))
	}
	failed.advice = "the API redirected the download to this host"
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
		failed.retry = soon
	}
	return failed
}

// checkRedirect refuses a redirect to where the API has no business sending us. It
// may lead no nearer than the API itself is: from the internet not into a private
// network, and from neither to this machine; from nowhere to this machine's link, where
// clouds serve their servers' credentials. It must be HTTPS, except on this machine.
//
// A name is looked up once more to connect, so a name server that lies may get around
// this; it would gain a GET request without credentials. A name that cannot be looked
// up is left to the proxy, or else fails when connecting.
func (c *Client) checkRedirect(ctx context.Context, from string, to *url.URL) error {
	target := c.nearness(ctx, to.Hostname())
	var why string
	switch {
	case to.Host == "" || to.User != nil:
		why = "it names no host, or a user"
	case to.Scheme != "https" && (to.Scheme != "http" || target != thisMachine):
		why = "it is not HTTPS"
	case target == thisLink || target > c.nearness(ctx, from):
		why = "its address is " + nearnessText[target] + ", nearer than the API's"
	default:
		return nil
	}
	return errors.New(c.private.clean(fmt.Sprintf("the redirect to the host %q is not followed: %s", to.Hostname(), why)))
}

// nearness is how near a host is, by the nearest of its addresses.
type nearness int

const (
	internet nearness = iota
	privateNetwork
	thisMachine
	thisLink
)

var nearnessText = [...]string{"on the internet", "private", "this machine's", "on this machine's link"}

func (c *Client) nearness(ctx context.Context, host string) nearness {
	var addresses []netip.Addr
	if address, err := netip.ParseAddr(host); err == nil {
		addresses = append(addresses, address)
	} else {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		addresses, _ = c.lookup(ctx, host)
	}
	nearest := internet
	for _, a := range addresses {
		nearest = max(nearest, nearnessOf(a.Unmap()))
	}
	return nearest
}

// embedding is the network whose addresses end with one of IPv4, to which they lead (NAT64).
var embedding = netip.MustParsePrefix("64:ff9b::/96")

func nearnessOf(a netip.Addr) nearness {
	if embedding.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	switch {
	case a.IsLinkLocalUnicast(), a.IsMulticast():
		return thisLink
	case a.IsLoopback(), a.IsUnspecified():
		return thisMachine
	case a.IsPrivate():
		return privateNetwork
	}
	return internet
}
