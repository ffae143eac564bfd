package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
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
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

var noon = time.Date(2026, 11, 24, 12, 7, 0, 0, time.UTC)

func TestEveryTroubleHasWordsOfItsOwn(t *testing.T) {
	silence := func(err error) error { return &workspace.Error{Host: "api.example", Err: err} }
	answer := func(status int) error { return &workspace.Error{Host: "api.example", Status: status} }
	seen := map[string]string{}
	for name, c := range map[string]struct {
		err  error
		does string // part of what to do
	}{
		"disk full":        {syscall.ENOSPC, "Make room"},
		"disk read-only":   {syscall.EROFS, "system's log"},
		"store damaged":    {store.ErrDamaged, "backup"},
		"no credentials":   {silence(fmt.Errorf("%w: secret file x: is empty", workspace.ErrCredentials)), "no"},
		"certificate":      {silence(&tls.CertificateVerificationError{Err: errors.New("x")}), "ca_file"},
		"host name":        {silence(&net.DNSError{}), "name server"},
		"timeout":          {silence(context.DeadlineExceeded), "request_timeout"},
		"unreachable":      {silence(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), "api.example"},
		"permission":       {&workspace.Error{Status: 403, Permission: "workspace:a:b"}, "Grant workspace:a:b"},
		"forbidden":        {answer(403), "project_id"},
		"unauthorized":     {answer(401), "credentials"},
		"not found":        {answer(404), "project_id"},
		"trouble there":    {answer(503), "X-Request-Id"},
		"unreadable":       {answer(200), "report"},
		"export task":      {&export.TaskError{}, "mode: query"},
		"clock":            {fetcher.ErrClock, "proxy"},
		"moving list":      {fetcher.ErrMoved, "rate_limit"},
		"anything else":    {errors.New("?"), "doctor"},
		"a redirect":       {answer(302), "endpoints"},
		"a wrong argument": {answer(400), "endpoints"},
	} {
		got := explainTrouble(fmt.Errorf("window a to b: %w", c.err))
		assert.Contains(t, got.Do, c.does, name)
		assert.True(t, strings.HasSuffix(got.What, ".") && strings.HasSuffix(got.Do, "."), name)
		if other, taken := seen[got.What]; taken {
			t.Errorf("%s and %s have the same words: %s", name, other, got.What)
		}
		seen[got.What] = name
	}
	assert.Equal(t, "Check the key.", sentence("check the key", "?"))
}

func TestTheStateOfASource(t *testing.T) {
	good := fetcher.Status{Polled: true, Interval: time.Minute, Position: record.Position{LastSuccess: noon.Add(-time.Minute)}}
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
	slow := fetcher.Status{Polled: true, Interval: time.Hour, Position: record.Position{LastSuccess: noon.Add(-2 * time.Hour)}}
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
	assert.Equal(t, []span{{2, 88}, {92, 2}}, c.Unread, "the quarter that has just begun is not reported missing")
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
	p := &page{Now: noon}
	assert.Equal(t, "12:06:00", p.Clock(noon.Add(-time.Minute)))
	assert.Equal(t, "2026-11-23 12:07:00", p.Clock(noon.Add(-24*time.Hour)))
}
