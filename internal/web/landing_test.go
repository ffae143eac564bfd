package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/failurecode"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

var noon = time.Date(2026, 11, 24, 12, 7, 0, 0, time.UTC)

func TestEveryReasonHasAdviceOfItsOwn(t *testing.T) {
	silence := func(err error) error { return &workspace.Error{Host: "api.example", Err: err} }
	answer := func(status int) error { return &workspace.Error{Host: "api.example", Status: status} }
	seen := map[string]bool{}
	explained := map[fetcher.Reason]bool{}
	for _, c := range []struct {
		reason fetcher.Reason
		err    error
		does   string // part of what to do
	}{
		{fetcher.Disk, syscall.ENOSPC, "Make room"},
		{fetcher.Disk, syscall.EROFS, "system's log"},
		{fetcher.Disk, store.ErrDamaged, "backup"},
		{fetcher.Storage, store.ErrUnavailable, "doctor"},
		{fetcher.Storage, store.ErrDamaged, "storage.postgres.schema"},
		{fetcher.Storage, store.ErrRefused, "message below"},
		{fetcher.Storage, store.ErrLeaseLost, "stops showing it"},
		{fetcher.Credentials, silence(fmt.Errorf("%w: secret file x: is empty", workspace.ErrCredentials)), "no"},
		{fetcher.Credentials, answer(401), "credentials"},
		{fetcher.Unreachable, silence(&tls.CertificateVerificationError{Err: errors.New("x")}), "ca_file"},
		{fetcher.Unreachable, silence(tls.RecordHeaderError{}), "http://"},
		{fetcher.Unreachable, silence(&net.DNSError{}), "name server"},
		{fetcher.Unreachable, silence(&net.OpError{Op: "proxyconnect", Err: &net.DNSError{}}), "proxy_url"},
		{fetcher.Unreachable, silence(context.DeadlineExceeded), "request_timeout"},
		{fetcher.Unreachable, silence(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), "api.example"},
		{fetcher.Permission, answer(403), "owner of the credentials"},
		{fetcher.Throttled, answer(429), "slowed down"},
		{fetcher.Refused, answer(404), "project_id"},
		{fetcher.ServerError, answer(503), "X-Request-Id"},
		{fetcher.ExportTask, &export.TaskError{}, "mode: query"},
		{fetcher.Clock, errors.New("x"), "proxy"},
		{fetcher.Unreadable, errors.New("x"), "columns"},
	} {
		got := adviceFor(c.reason, fmt.Errorf("window a to b: %w", c.err))
		assert.Contains(t, got.Do, c.does, c.reason)
		assert.True(t, strings.HasSuffix(got.What, ".") && strings.HasSuffix(got.Do, "."), c.reason)
		assert.False(t, seen[got.What], got.What)
		seen[got.What], explained[c.reason] = true, true
	}
	for _, reason := range fetcher.Reasons {
		assert.True(t, explained[reason], reason)
	}
	assert.Equal(t, "Check the key.", sentence("check the key", "?"))
}

func TestTheStateOfASource(t *testing.T) {
	good := fetcher.Status{Polled: true, Interval: time.Minute, Position: cursor.Position{LastSuccess: noon.Add(-time.Minute)}}
	for want, change := range map[string]func(*fetcher.Status){
		up:         func(*fetcher.Status) {},
		starting:   func(s *fetcher.Status) { s.Polled = false },
		failing:    func(s *fetcher.Status) { s.LastError, s.CatchUp = errors.New("x"), true },
		catchingUp: func(s *fetcher.Status) { s.CatchUp = true },
		late:       func(s *fetcher.Status) { s.Position.LastSuccess = noon.Add(-time.Hour) },
	} {
		s := good
		change(&s)
		assert.Equal(t, want, stateOf(s, noon))
	}
	slow := fetcher.Status{Polled: true, Interval: time.Hour, Position: cursor.Position{LastSuccess: noon.Add(-2 * time.Hour)}}
	assert.Equal(t, up, stateOf(slow, noon))
}

func TestTheChart(t *testing.T) {
	assert.Nil(t, newChart(nil, noon))
	at := func(back int) time.Time {
		return noon.Truncate(collector.QuarterLength).Add(-time.Duration(back) * collector.QuarterLength)
	}
	day := []collector.Quarter{
		{Start: at(96), Attempts: 999, Failures: 999}, // older than a day
		{Start: at(95), Attempts: 2000, Failures: 1},
		{Start: at(94)},
		{Start: at(5), Attempts: 0, Failures: 3}, // of records that were successes in another quarter
		{Start: at(4), Attempts: 10, Failures: 10},
		{Start: at(1), Attempts: 4, Failures: 0},
	}
	c := newChart(day, noon)
	assert.Equal(t, []unread{{2, 88}, {92, 2}}, c.Unread, "the quarter that has just begun is not reported missing")
	assert.Equal(t, int64(2000), c.Top)
	assert.Equal(t, int64(2014), c.Attempts)
	assert.Equal(t, int64(14), c.Failures)
	require.Len(t, c.Bars, 4)
	assert.Equal(t, 0.0, c.Bars[0].X)
	assert.Equal(t, float64(leastHeight), c.Bars[0].Failed, "one failure in 2000 is seen")
	for _, b := range c.Bars {
		assert.InDelta(t, chartHeight, b.Y+b.Successes+b.Failed, 1e-9, "bars stand on the ground")
		assert.GreaterOrEqual(t, b.Y, 0.0)
		assert.Equal(t, chartHeight-b.Failed, b.FailedY())
	}
	assert.Zero(t, c.Bars[2].Successes)
	var attempts, failures int64
	for _, h := range c.Hours {
		attempts += h.Attempts
		failures += h.Failures
	}
	assert.Equal(t, [2]int64{c.Attempts, c.Failures}, [2]int64{attempts, failures}, "the table has what the drawing has")
	assert.Equal(t, hour{Start: noon.Add(-24*time.Hour + 8*time.Minute).Truncate(time.Hour), Attempts: 2000, Failures: 1}, c.Hours[0])
	require.Len(t, c.Ticks, 4)
	assert.Equal(t, noon.Truncate(6*time.Hour), c.Ticks[3].At)
	assert.Equal(t, "end", c.Ticks[3].Anchor())
	assert.Equal(t, "middle", c.Ticks[1].Anchor())
}

func TestNumbersAsPeopleReadThem(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1\u202f000", 1234567: "1\u202f234\u202f567"} {
		assert.Equal(t, want, number(n))
	}
	assert.Equal(t, "–", share(0, 0))
	assert.Equal(t, "2.5\u202f%", share(1, 40))
	for d, want := range map[time.Duration]string{-time.Second: "0 s", 59 * time.Second: "59 s", 61 * time.Second: "1 min 1 s",
		25*time.Hour + 59*time.Minute: "1 d 1 h", 3*time.Hour + 5*time.Minute: "3 h 5 min"} {
		assert.Equal(t, want, ago(d))
	}
	for n, want := range map[int64]int64{0: 1, 1: 1, 7: 8, 9: 10, 11: 20, 530: 600, 601: 800, 99999: 100000} {
		assert.Equal(t, want, roundUp(n))
	}
	p := &landingPage{Now: noon}
	assert.Equal(t, "12:06:00", p.Clock(noon.Add(-time.Minute)))
	assert.Equal(t, "2026-11-23 12:07:00", p.Clock(noon.Add(-24*time.Hour)))
}

// A page shows the codes with most failures, with nothing in them that a browser would run.
func TestThePageExplainsCodes(t *testing.T) {
	codes := []collector.FailureCode{{Code: "<b>1</b>", Reason: "<i>", Failures: 7000, Explanation: failurecode.Explanation{Class: "capacity", Text: "No server is free",
		Action: "Add servers", URL: "javascript:alert(1)"}}, {Code: "2", Failures: 6, Explanation: failurecode.Explanation{Class: "policy"}}}
	for n := range 6 {
		codes = append(codes, collector.FailureCode{Code: fmt.Sprint("code-", n), Failures: 1})
	}
	request := start(t, &fake{sources: []Source{{Codes: codes}, {}}}, Options{})
	_, page, _ := request(http.MethodGet, "/", nil)
	for _, want := range []string{"&lt;b&gt;1&lt;/b&gt;", "Reason: &lt;i&gt;", "7\u202f000", "No server is free", "Add servers", "policy", "No explanation yet", "code-2", "prints 3 more"} {
		assert.Contains(t, page, want)
	}
	assert.NotContains(t, page, "javascript:")
	assert.NotContains(t, page, "code-3")
	assert.Equal(t, 1, strings.Count(page, "What the failure codes mean"), "a source without codes has no such table")
}
