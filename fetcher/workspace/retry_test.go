package workspace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRetry(t *testing.T) {
	type answer struct {
		status     int
		retryAfter string
		body       string
		broken     bool
	}
	date := func(d time.Duration) string { // the bubble's clock starts here
		return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(d).Format(http.TimeFormat)
	}
	throttledBody := `{"error_code":"APIGW.0308","error_msg":"policy user over ratelimit, limit:10, time:1 minute"}`
	for name, c := range map[string]struct {
		answers   []answer // the last one again and again; a status of 0 is 200
		attempts  int
		least     time.Duration
		most      time.Duration
		status    int // of the error, 0 if none
		waitAdded time.Duration
	}{
		"5xx, then fine":            {answers: []answer{{status: 500}, {}}, attempts: 2, least: 250 * time.Millisecond, most: 750 * time.Millisecond},
		"5xx for ever":              {answers: []answer{{status: 503}}, attempts: 4, least: 1750 * time.Millisecond, most: 5250 * time.Millisecond, status: 503},
		"502, 504":                  {answers: []answer{{status: 502}, {status: 504}, {}}, attempts: 3, least: 750 * time.Millisecond, most: 2250 * time.Millisecond},
		"broken connection":         {answers: []answer{{broken: true}, {}}, attempts: 2, least: 250 * time.Millisecond, most: 750 * time.Millisecond},
		"429":                       {answers: []answer{{status: 429}, {}}, attempts: 2, least: 2 * time.Second, most: 5 * time.Second},
		"429 for ever":              {answers: []answer{{status: 429}}, attempts: 4, least: 6 * time.Second, most: 15 * time.Second, status: 429},
		"throttled by its code":     {answers: []answer{{status: 400, body: throttledBody}, {}}, attempts: 2, least: 2 * time.Second, most: 5 * time.Second},
		"the other code":            {answers: []answer{{status: 403, body: `{"error_code":"APIG.0308"}`}, {}}, attempts: 2, least: 2 * time.Second, most: 5 * time.Second},
		"Retry-After seconds":       {answers: []answer{{status: 429, retryAfter: "17"}, {}}, attempts: 2, least: 17 * time.Second, most: 17 * time.Second},
		"Retry-After 503":           {answers: []answer{{status: 503, retryAfter: "60"}, {}}, attempts: 2, least: time.Minute, most: time.Minute},
		"Retry-After date":          {answers: []answer{{status: 429, retryAfter: date(9 * time.Second)}, {}}, attempts: 2, least: 9 * time.Second, most: 9 * time.Second},
		"Retry-After past":          {answers: []answer{{status: 503, retryAfter: date(-time.Hour)}, {}}, attempts: 2, least: 250 * time.Millisecond, most: 750 * time.Millisecond},
		"Retry-After is garbage":    {answers: []answer{{status: 429, retryAfter: "soon"}, {}}, attempts: 2, least: 2 * time.Second, most: 5 * time.Second},
		"Retry-After is negative":   {answers: []answer{{status: 429, retryAfter: "-3"}, {}}, attempts: 2, least: 2 * time.Second, most: 5 * time.Second},
		"Retry-After in fractions":  {answers: []answer{{status: 429, retryAfter: "2.5"}, {}}, attempts: 2, least: 2500 * time.Millisecond, most: 2500 * time.Millisecond},
		"Retry-After is 0":          {answers: []answer{{status: 429, retryAfter: "0"}, {}}, attempts: 2, least: 2 * time.Second, most: 5 * time.Second},
		"Retry-After is too long":   {answers: []answer{{status: 429, retryAfter: "61"}}, attempts: 1, status: 429, waitAdded: 61 * time.Second},
		"Retry-After is very long":  {answers: []answer{{status: 503, retryAfter: "86400"}}, attempts: 1, status: 503, waitAdded: 15 * time.Minute},
		"and a date":                {answers: []answer{{status: 503, retryAfter: date(time.Hour)}}, attempts: 1, status: 503, waitAdded: 15 * time.Minute},
		"Retry-After of a day more": {answers: []answer{{status: 429, retryAfter: "86401"}, {}}, attempts: 2, least: 2 * time.Second, most: 5 * time.Second},
		"a point in time":           {answers: []answer{{status: 429, retryAfter: "1795667259"}, {}}, attempts: 2, least: 2 * time.Second, most: 5 * time.Second},
		"in milliseconds":           {answers: []answer{{status: 503, retryAfter: "1795667259000"}, {}}, attempts: 2, least: 250 * time.Millisecond, most: 750 * time.Millisecond},
		"the year 9999":             {answers: []answer{{status: 503, retryAfter: "Fri, 31 Dec 9999 23:59:59 GMT"}, {}}, attempts: 2, least: 250 * time.Millisecond, most: 750 * time.Millisecond},
		"Retry-After 403":           {answers: []answer{{status: 403, retryAfter: "3600"}}, attempts: 1, status: 403},
		"4xx":                       {answers: []answer{{status: 400}}, attempts: 1, status: 400},
		"unreadable once":           {answers: []answer{{body: "{"}, {}}, attempts: 2, least: 250 * time.Millisecond, most: 750 * time.Millisecond},
		"unreadable after a 500":    {answers: []answer{{status: 500}, {body: "{"}}, attempts: 2, least: 250 * time.Millisecond, most: 750 * time.Millisecond, status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				var attempts int
				var signatures = map[string]bool{}
				client := newClient(t, roundTripper(func(r *http.Request) (*http.Response, error) {
					a := c.answers[min(attempts, len(c.answers)-1)]
					attempts++
					signatures[r.Header.Get("X-Sdk-Date")] = true
					if a.broken {
						return nil, errors.New("connection reset by peer")
					}
					return server(func(w http.ResponseWriter, r *http.Request) {
						if a.retryAfter != "" {
							w.Header().Set("Retry-After", a.retryAfter)
						}
						if a.status != 0 {
							w.WriteHeader(a.status)
						}
						if a.status == 0 && a.body == "" {
							a.body = onePage
						}
						fmt.Fprint(w, a.body)
					}).RoundTrip(r)
				}), nil)
				start := time.Now()
				_, err := list(t.Context(), client)
				took := time.Since(start)
				assert.Equal(t, c.attempts, attempts)
				assert.GreaterOrEqual(t, took, c.least)
				assert.LessOrEqual(t, took, c.most)
				if c.least >= 2*time.Second {
					assert.Len(t, signatures, attempts, "every attempt is signed again")
				}
				if c.status == 0 {
					require.NoError(t, err)
					return
				}
				assert.Equal(t, c.status, asError(t, err).Status)
				assert.Equal(t, c.waitAdded, asError(t, err).RetryAfter)
			})
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestThrottleSlowsAll(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var mu sync.Mutex
		var sent []time.Duration
		start := time.Now()
		c := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, time.Since(start))
			if len(sent) == 1 {
				w.Header().Set("Retry-After", "30")
				w.WriteHeader(429)
				return
			}
			ok(w)
		}), nil)
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Second)
				_, err := list(t.Context(), c)
				assert.NoError(t, err)
			})
		}
		all.Wait()
		require.Len(t, sent, 7)
		for _, at := range sent[1:] {
			assert.GreaterOrEqual(t, at, 30*time.Second)
			assert.Less(t, at, 31*time.Second)
		}
	})
}

// What the server asks holds for the project: for its other requests, and for a client
// that takes the place of this one.
func TestAPauseHoldsForTheProject(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		asked  string
		lasts  time.Duration
	}{
		"429":         {429, "600", 10 * time.Minute},
		"503":         {503, "600", 10 * time.Minute},
		"half a day":  {503, "43200", 15 * time.Minute},
		"no sense":    {429, "1795667259", 5 * time.Second},
		"two minutes": {429, "120", 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				sent := 0
				api := server(func(w http.ResponseWriter, r *http.Request) {
					if sent++; sent == 1 {
						w.Header().Set("Retry-After", c.asked)
						w.WriteHeader(c.status)
						return
					}
					ok(w)
				})
				pause := &Pause{}
				client := func() *Client { return newClient(t, api, func(o *Options) { o.Pause = pause }) }
				start := time.Now()
				_, err := list(t.Context(), client())
				if c.lasts <= maxWait {
					require.NoError(t, err)
					assert.LessOrEqual(t, time.Since(start), c.lasts)
					return
				}
				require.Error(t, err)
				require.Zero(t, time.Since(start), "the poll fails at once")
				for time.Since(start) < c.lasts-maxWait {
					_, err := sessionList.Page(t.Context(), client(), PageQuery{From: start.Add(-time.Hour), To: start, Limit: 100})
					e := asError(t, err)
					require.True(t, e.Throttled())
					require.Equal(t, c.lasts-time.Since(start), e.RetryAfter)
					require.ErrorContains(t, err, "the server has asked this project's requests to wait")
					require.Equal(t, 1, sent)
					time.Sleep(10 * time.Second)
				}
				_, err = list(t.Context(), client())
				require.NoError(t, err)
				assert.Equal(t, c.lasts, time.Since(start), "a short rest of it is waited for")
			})
		})
	}
}

// Others may make the pause longer and longer: nobody waits for that without end.
func TestNobodyWaitsForEver(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newClient(t, server(func(w http.ResponseWriter, _ *http.Request) { ok(w) }), nil)
		ctx, stop := context.WithCancel(t.Context())
		defer synctest.Wait()
		defer stop()
		go func() {
			for ctx.Err() == nil {
				c.pause.extend(30 * time.Second)
				_ = sleep(ctx, 20*time.Second) // the loop asks how it ended
			}
		}()
		time.Sleep(time.Second)
		start := time.Now()
		_, err := list(t.Context(), c)
		assert.True(t, asError(t, err).Throttled())
		assert.LessOrEqual(t, time.Since(start), maxAttempts*maxWait)
	})
}
