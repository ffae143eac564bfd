package workspace

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-kit/log/level"
)

const (
	// maxBodyBytes is the largest answer that is read, after decompression.
	maxBodyBytes = 32 << 20
	// maxErrorBytes is how much of an error's body is read.
	maxErrorBytes = 64 << 10
)

// call is one operation of the API.
type call struct {
	operation  string // its name in metrics and errors
	permission string // what a user needs for it
	base       *url.URL
	method     string
	path       string // below base, segments not escaped
	query      url.Values
	body       any           // sent as JSON; nil is no body
	auth       authenticator // nil: the request carries no credential
	advice     string        // what to check after a 401, for a call without auth
	// sendOnce is true if the call makes something new each time: it is sent again
	// only if the server surely has not carried it out.
	sendOnce bool
	// file is where the answer goes if it is a file; decode is not called then.
	file *file
	// decode reads the whole body of a 2xx answer. It may be called again, with
	// another answer, after it failed.
	decode func(http.Header, io.Reader) error
}

// do sends k until it succeeds, is refused, or has been tried often enough. The
// error is an *Error.
func (c *Client) do(ctx context.Context, k call) error {
	body, err := encode(k.body)
	if err != nil {
		return c.failure(k, fmt.Errorf("encoding the request: %w", err))
	}
	proved := false
	for try := 1; ; try++ {
		p, err := c.authenticate(ctx, k)
		if err != nil {
			return err
		}
		failed := c.attempt(ctx, k, p, body)
		if failed == nil {
			return nil
		}
		if !proved && ctx.Err() == nil {
			if proved, err = c.refreshAuth(ctx, k, p, failed); err != nil {
				return err
			}
			if proved {
				try--
				continue
			}
		}
		if err := c.backOff(ctx, try, failed); err != nil {
			return err
		}
	}
}

// backOff waits until failed may be tried again. It returns the error to give up
// with if it may not.
func (c *Client) backOff(ctx context.Context, try int, failed *Error) error {
	wait, again := retryIn(failed, try)
	again = again && try < c.attempts
	if failed.retry == throttled || failed.RetryAfter > 0 {
		c.pause.extend(max(wait, failed.RetryAfter))
		wait = 0 // every request, this one too, waits for the pause to end
	}
	if ctx.Err() != nil || !again {
		return failed
	}
	level.Debug(c.logger).Log("msg", "request failed, trying again", "attempt", try, "err", failed)
	if err := sleep(ctx, wait); err != nil {
		failed.Err = fmt.Errorf("gave up waiting to try again: %w", err)
		return failed
	}
	return nil
}

func encode(body any) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	return json.Marshal(body)
}

// prove gets what shows the server who sends k.
func (c *Client) authenticate(ctx context.Context, k call) (credential, error) {
	if k.auth == nil {
		return credential{}, nil
	}
	p, err := k.auth.credential(ctx)
	c.private.add(secretText, p.access, p.secret, p.securityToken, p.token)
	var failed *Error
	if err != nil && !errors.As(err, &failed) {
		return p, c.failure(k, fmt.Errorf("%w: %w", ErrCredentials, err))
	}
	return p, err
}

// refreshAuth reports whether k, refused with credential p, may succeed now: it
// was signed by a wrong clock, or there is a newer credential.
func (c *Client) refreshAuth(ctx context.Context, k call, p credential, failed *Error) (bool, error) {
	if k.auth == nil || failed.elsewhere || failed.Status != http.StatusUnauthorized && failed.Status != http.StatusForbidden {
		return false, nil
	}
	if p.token == "" && failed.signedOff.Abs() > maxSkew {
		c.clocks[k.base.Host].refuse()
		return true, nil
	}
	if failed.Status != http.StatusUnauthorized {
		return false, nil
	}
	if !c.isAside {
		k.auth.forget(p)
	}
	next, err := c.authenticate(ctx, k)
	return err == nil && next != p, err
}

// attempt sends k once, when it is its turn.
func (c *Client) attempt(ctx context.Context, k call, p credential, body []byte) *Error {
	if err := c.admit(ctx); err != nil {
		return c.notSent(k, err)
	}
	defer c.slots.Release(1)
	t := c.connections.use()
	defer t.done()
	failed := c.exchange(ctx, k, t, p, body)
	if failed != nil && ctx.Err() == nil {
		t.failed(failed)
	}
	return onlyOnce(k, failed)
}

// exchange sends k and reads the answer.
func (c *Client) exchange(ctx context.Context, k call, t http.RoundTripper, p credential, body []byte) *Error {
	if k.file != nil {
		return c.fetchFile(ctx, k, t, p)
	}
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	signed := c.host(k.base).signingTime()
	r, err := newRequest(limited, k, p, body, signed)
	if err != nil {
		return c.failure(k, err)
	}
	code, start := "error", time.Now()
	defer func() { c.observe(k.operation, code, time.Since(start)) }()

	// Not through http.Client, which would follow redirects with our credentials.
	resp, err := t.RoundTrip(r)
	if err != nil {
		return c.broken(ctx, k, nil, err)
	}
	defer resp.Body.Close()
	code = strconv.Itoa(resp.StatusCode)
	c.clocks[k.base.Host].observe(resp.Header, time.Since(start))
	if resp.StatusCode/100 != 2 {
		return c.refused(k, resp, p, signed)
	}
	return c.read(ctx, k, resp)
}

// notSent is the error of a call that was not admitted.
func (c *Client) notSent(k call, err error) *Error {
	var paused pausedError
	if errors.As(err, &paused) {
		failed := c.failure(k, paused)
		failed.retry, failed.RetryAfter = throttled, paused.left
		return failed
	}
	return c.failure(k, fmt.Errorf("gave up waiting to send it: %w", err))
}

// admit waits for a free slot, for the rate limit, and for the end of a pause
// that the server asked for. The caller releases the slot if there is no error.
func (c *Client) admit(ctx context.Context) error {
	deadline := time.Now().Add(maxWait)
	if err := c.slots.Acquire(ctx, 1); err != nil {
		return err
	}
	for {
		err := c.limiter.Wait(ctx)
		if err != nil && ctx.Err() == nil { // it fails early if there is no time left
			err = fmt.Errorf("%w (%w)", err, context.DeadlineExceeded)
		}
		paused := false
		if err == nil {
			paused, err = c.pause.wait(ctx, deadline)
		}
		if err != nil {
			c.slots.Release(1)
			return err
		}
		if !paused { // after a pause, everybody takes a new turn
			return nil
		}
	}
}

func newRequest(ctx context.Context, k call, p credential, body []byte, now time.Time) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, k.method, k.base.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	r.URL.Path = k.base.Path + k.path
	r.URL.RawPath = escapePath(r.URL.Path) // sent as it is signed
	r.URL.RawQuery = canonicalQuery(k.query)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "workspace_exporter")
	if k.auth != nil {
		p.apply(r, body, now)
	}
	return r, nil
}

// read decodes a 2xx answer.
func (c *Client) read(ctx context.Context, k call, resp *http.Response) *Error {
	body := &limitedBody{from: resp.Body, left: c.maxBody}
	err := k.decode(resp.Header, body)
	switch {
	case err == nil:
		return nil
	case errors.Is(body.err, errTooLarge):
		return c.answered(k, resp, body.first, fmt.Errorf("%w than %d MiB", errTooLarge, c.maxBody>>20))
	case body.err != nil:
		return c.broken(ctx, k, resp, body.err)
	}
	failed := c.answered(k, resp, body.first, errors.New(c.private.clean(err.Error())))
	failed.retry = once
	return failed
}

// broken is the error of an answer that did not come, or not to its end.
func (c *Client) broken(ctx context.Context, k call, resp *http.Response, err error) *Error {
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no complete answer within %s: %w", c.timeout, err)
	}
	err = c.clean(err)
	failed := c.failure(k, err)
	if resp != nil {
		failed = c.answered(k, resp, nil, fmt.Errorf("%w: %w", ErrCut, err))
	}
	var certificate *tls.CertificateVerificationError
	if !errors.As(err, &certificate) {
		failed.retry = soon
	}
	return failed
}

// cleanError is an error that may hold text of the server, cleaned.
type cleanError struct {
	text string
	error
}

func (e cleanError) Error() string { return e.text }
func (e cleanError) Unwrap() error { return e.error }

// clean hides what a broken answer may have put into an error. An error of the
// connection names our own and the server's address, which must stay; but where a
// redirect has led, or a proxy's certificate, may be a text of the server, too.
func (c *Client) clean(err error) error {
	var connection *net.OpError
	if errors.As(err, &connection) {
		return cleanError{c.private.secretless(err.Error()), err}
	}
	return cleanError{c.private.clean(err.Error()), err}
}

var errTooLarge = errors.New("the answer is larger")

// limitedBody reads no more than it has left, and remembers how the body began
// and what kept it from being read.
type limitedBody struct {
	from  io.Reader
	left  int
	first []byte
	err   error
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.left -= n
	b.first = append(b.first, p[:min(n, max(0, maxShownBytes-len(b.first)))]...)
	if b.left < 0 {
		err = errTooLarge
	}
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}
