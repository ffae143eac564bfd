package workspace

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxAttempts   = 4
	firstBackOff  = 500 * time.Millisecond
	maxRetryAfter = time.Minute
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
	again := try < maxAttempts && failed.RetryAfter <= maxRetryAfter
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

// retryAfter reads the header of that name, seconds or a date by the server's
// clock. It is 0 if there is none that can be read.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}

// throttle is the pause that the server asked all requests of a client to make.
type throttle struct {
	mu    sync.Mutex
	until time.Time
}

func (t *throttle) extend(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if until := time.Now().Add(d); until.After(t.until) {
		t.until = until
	}
}

func (t *throttle) left() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Until(t.until)
}

// wait returns when no pause is left, and reports whether there was one.
func (t *throttle) wait(ctx context.Context) (paused bool, err error) {
	for {
		d := t.left()
		if d <= 0 {
			return paused, nil
		}
		paused = true
		if err := sleep(ctx, d); err != nil {
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
