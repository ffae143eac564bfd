package workspace

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxAttempts  = 4
	firstBackOff = 500 * time.Millisecond
	// maxWait is how long a request may wait for a pause to end. If that takes longer,
	// the poll fails at once, for everybody to see.
	maxWait = time.Minute
	// maxRetryAfter is the longest time that a server can make us wait, and
	// maxAsked the longest that it may ask for: more is a mistake.
	maxRetryAfter = 15 * time.Minute
	maxAsked      = 24 * time.Hour
)

// retry is which failures are worth another attempt, and when.
type retry int

const (
	never     retry = iota // it would fail again
	once                   // an unreadable answer: perhaps cut on the way
	soon                   // the server or the connection has a problem
	throttled              // we are too fast
)

// retryOf tells how an answer that is an error may be retried.
func retryOf(status int, code string) retry {
	switch {
	case status == http.StatusTooManyRequests, code == "APIGW.0308", code == "APIG.0308":
		return throttled
	case status >= 500:
		return soon
	}
	return never
}

// onlyOnce keeps a call that must be sent once from being sent again, unless the
// gateway said that it did not pass it on, or there was no connection at all.
func onlyOnce(k call, failed *Error) *Error {
	if !k.sendOnce || failed == nil || failed.retry == throttled || failed.Status == http.StatusServiceUnavailable && isGateway(failed.Code) {
		return failed
	}
	var network *net.OpError
	if !errors.As(failed.Err, &network) || network.Op != "dial" {
		failed.retry = never
	}
	return failed
}

func isGateway(code string) bool {
	return strings.HasPrefix(code, "APIGW.") || strings.HasPrefix(code, "APIG.")
}

// retryIn is how long to wait after the failure of attempt number try, and whether
// another attempt makes sense. The vendor's advice for a throttled request is 2 to
// 5 seconds.
func retryIn(failed *Error, try int) (time.Duration, bool) {
	again := try < maxAttempts && failed.RetryAfter <= maxWait
	if failed.retry == once {
		again = try == 1
	}
	switch {
	case failed.retry == never:
		return 0, false
	case failed.RetryAfter > 0:
		return failed.RetryAfter, again
	case failed.retry == throttled:
		return 2*time.Second + rand.N(3*time.Second), again
	}
	mean := firstBackOff << (try - 1)
	return mean/2 + rand.N(mean), again
}

// secondsPattern is how a server may write seconds.
var secondsPattern = regexp.MustCompile(`^[0-9]{1,15}(\.[0-9]{1,15})?$`)

// retryAfter reads the header of that name: seconds, or a date by the server's clock. It
// is 0 if there is none that makes sense: one of the past, or of more than a day ahead,
// such as a point in time in place of seconds.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	var asked time.Duration
	if secondsPattern.MatchString(text) {
		seconds, _ := strconv.ParseFloat(text, 64) // the pattern is a number's
		asked = time.Duration(min(seconds, 2*maxAsked.Seconds()) * float64(time.Second))
	} else if date, err := http.ParseTime(text); err == nil {
		asked = date.Sub(now)
	}
	if asked <= 0 || asked > maxAsked {
		return 0
	}
	return min(asked, maxRetryAfter)
}

// Pause is the time for which a server asked all requests of a project to wait. Clients
// of the same project share one, so that it outlives them.
type Pause struct {
	mu    sync.Mutex
	until time.Time
}

func (p *Pause) extend(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(d); until.After(p.until) {
		p.until = until
	}
}

// left is how long the pause still takes.
func (p *Pause) left() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, time.Until(p.until))
}

// pausedError is why a request is not sent.
type pausedError struct{ left time.Duration }

func (pausedError) Error() string {
	return "not sent: the server has asked this project's requests to wait"
}

// wait returns when no pause is left, and reports whether there was one. It does not wait
// beyond a deadline.
func (p *Pause) wait(ctx context.Context, deadline time.Time) (paused bool, err error) {
	for {
		left := p.left()
		switch {
		case left == 0:
			return paused, nil
		case left > time.Until(deadline):
			return paused, pausedError{left}
		}
		paused = true
		if err := sleep(ctx, left); err != nil {
			return paused, fmt.Errorf("the server throttles: %w", err)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
