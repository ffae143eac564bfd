package workspace

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

var (
	// ErrCredentials is when there is nothing to show the server who sends a request.
	ErrCredentials = errors.New("credentials")
	// ErrCut is when an answer ended before its end.
	ErrCut = errors.New("reading the answer")
)

// Error is a call that failed. All text in it that comes from the server is
// cleaned: no secrets, no names, no addresses, no control characters.
type Error struct {
	Operation string // ListUserConnection, CreateToken, ..
	Method    string
	Host      string
	Path      string // without the query
	Status    int    // 0 if there was no answer
	Code      string // the answer's error_code
	Message   string // the answer's error_msg, or else how its body begins
	RequestID string // X-Request-Id, which the vendor's support asks for
	// Permission is what the operation needs; "" for operations that need none.
	Permission string
	// RetryAfter is how long to wait, as the server asks; 0 if it does not.
	RetryAfter time.Duration
	// Err is why there is no answer, or why it could not be read; or nil.
	Err error

	advice    string
	retry     retry
	elsewhere bool          // it is another host's answer, to which a redirect led
	signedOff time.Duration // server's clock minus the time of the refused signature
}

// Error says what failed, how, and what to do.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s %s%s", e.Operation, e.Method, e.Host, e.Path)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": %d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Code != "" {
		b.WriteString(", " + e.Code)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %s", e.Err)
	}
	if e.Message != "" {
		fmt.Fprintf(&b, ": %s", e.Message)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (X-Request-Id %s)", e.RequestID)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, "; the server asks to wait %s", e.RetryAfter.Round(time.Second))
	}
	if advice := e.Advice(); advice != "" {
		b.WriteString("; " + advice)
	}
	return b.String()
}

// Throttled reports whether the server says that there are too many requests.
func (e *Error) Throttled() bool {
	return e.retry == throttled || retryOf(e.Status, e.Code) == throttled
}

// IsThrottled reports whether the server refused a request because there are too many.
func IsThrottled(err error) bool {
	var api *Error
	return errors.As(err, &api) && api.Throttled()
}

// IsRefused reports whether the server refuses what was asked for: perhaps only so large a
// window, or a page so far behind.
func IsRefused(err error) bool {
	var api *Error
	return errors.As(err, &api) && api.Status == http.StatusBadRequest && !api.Throttled() && !errors.Is(err, context.Canceled)
}

// IsNotFound reports whether the server says that there is no such thing.
func IsNotFound(err error) bool {
	var api *Error
	return errors.As(err, &api) && api.Status == http.StatusNotFound
}

// IsForbidden reports whether a permission is missing.
func IsForbidden(err error) bool {
	var api *Error
	return errors.As(err, &api) && api.Status == http.StatusForbidden && !api.Throttled()
}

// IsProxyUnreachable reports whether there is no connection to the proxy. Its name, too, may
// be what cannot be resolved.
func IsProxyUnreachable(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) && network.Op == "proxyconnect" // so net/http names it
}

// Advice is what to do, as far as the answer tells, or that there is none; or empty.
func (e *Error) Advice() string {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	var network *net.OpError
	switch {
	case e.advice != "":
		return e.advice
	case errors.As(e.Err, &certificate):
		return "check the endpoint " + e.Host + " and this machine's clock; if a proxy opens TLS on the way, name its CA in tls_config: {ca_file: ..}"
	case errors.As(e.Err, &notTLS):
		return "what answers at " + e.Host + " does not speak TLS: check whether the endpoint or proxy_url must begin with http://, and its port"
	case IsProxyUnreachable(e):
		return "check proxy_url, or the environment if proxy_from_environment is on"
	case errors.As(e.Err, &name):
		return "check region and endpoints, the name server of this machine, and whether it needs a proxy (proxy_url) to reach " + e.Host
	case errors.As(e.Err, &network) && network.Op == "dial":
		return "check the endpoint, the firewall, and whether this machine needs a proxy (proxy_url) to reach " + e.Host
	}
	return ""
}

// Unwrap returns Err: context.Canceled, context.DeadlineExceeded, ..
func (e *Error) Unwrap() error { return e.Err }

// failure is the error of a call that got no answer.
func (c *Client) failure(k call, err error) *Error {
	return &Error{
		Operation: k.operation, Method: k.method, Host: k.base.Host, Path: k.base.Path + k.path,
		Permission: k.permission, Err: err,
	}
}

// answered is the error of a call whose answer is of no use.
func (c *Client) answered(k call, resp *http.Response, body []byte, err error) *Error {
	failed := c.failure(k, err)
	failed.Status = resp.StatusCode
	failed.RequestID = cut(c.private.clean(resp.Header.Get("X-Request-Id")), 64)
	failed.Message = c.private.shape(string(body))
	return failed
}

// refused is the error of a call whose answer is not 2xx.
func (c *Client) refused(k call, resp *http.Response, p credential, signed time.Time) *Error {
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes)) // what came of it will do
	body := parseErrorBody(raw)
	failed := c.answered(k, resp, raw, nil)
	failed.Code = cut(c.private.clean(body.code), 64)
	if body.message != "" {
		failed.Message = c.private.clean(body.message)
	}
	if body.encoded {
		failed.Message = strings.TrimSpace(failed.Message + " (encoded_authorization_message is present)")
	}
	if failed.RequestID == "" {
		failed.RequestID = cut(c.private.clean(body.requestID), 64)
	}
	if failed.retry = retryOf(failed.Status, failed.Code); failed.retry != never {
		failed.RetryAfter = retryAfter(resp.Header, c.host(k.base).now())
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		failed.signedOff = date.Sub(signed)
	}
	failed.advice = c.advise(k, resp, p, failed.retry)
	return failed
}

// advise says what to do about an answer that is not 2xx.
func (c *Client) advise(k call, resp *http.Response, p credential, again retry) string {
	switch {
	case again == throttled:
		return "lower the rate limit if this happens often"
	case resp.StatusCode/100 == 3:
		return c.private.clean("redirects are not followed, they would carry the credentials elsewhere: check the endpoint" + redirectHost(resp))
	case resp.StatusCode == http.StatusUnauthorized:
		return c.adviseCredentials(k, p)
	case resp.StatusCode == http.StatusForbidden && k.permission != "":
		return "grant the permission " + k.permission + " to the owner of the credentials"
	case resp.StatusCode == http.StatusNotFound:
		return "check the project id and the endpoint"
	}
	return ""
}

func redirectHost(resp *http.Response) string {
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || to.Host == "" {
		return ""
	}
	return ", the server points to the host " + to.Hostname()
}

func (c *Client) adviseCredentials(k call, p credential) string {
	advice := k.advice
	if k.auth != nil {
		advice = k.auth.advice(p)
	}
	if skew, ok := c.host(k.base).Skew(); ok && skew.Abs() > maxSkew {
		advice += fmt.Sprintf("; the local clock is off by %s, set it right", skew.Round(time.Second))
	}
	return advice
}

// errorBody is what the gateway, the services and IAM say of an error.
type errorBody struct {
	code, message, requestID string
	encoded                  bool // it has an encoded_authorization_message
}

// parseErrorBody understands {"error_code", "error_msg"} and IAM's {"error":
// {"code", "message", "title"}}. A body that is neither gives the zero value.
func parseErrorBody(raw []byte) errorBody {
	var m map[string]any
	err := json.Unmarshal(raw, &m, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return errorBody{}
	}
	_, encoded := m["encoded_authorization_message"]
	if inner, ok := m["error"].(map[string]any); ok {
		m = inner
	}
	return errorBody{
		code:      firstText(m, "error_code", "code"),
		message:   firstText(m, "error_msg", "message", "title"),
		requestID: firstText(m, "request_id"),
		encoded:   encoded,
	}
}

// firstText is the first of the named members that is text or a number.
func firstText(m map[string]any, names ...string) string {
	for _, name := range names {
		switch v := m[name].(type) {
		case string:
			if strings.TrimSpace(v) != "" {
				return v
			}
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
	}
	return ""
}
