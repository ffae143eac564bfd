package backfill

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// flaky is a source that fails after a number of good answers, again and again.
type flaky struct {
	fetcher.NoTasks
	fetcher.HeedsWindows
	logins      []record.Login
	good, calls int
	windows     [][2]time.Time
}

func (f *flaky) Read(_ context.Context, from, to time.Time, _ int, handle fetcher.HandlePart) error {
	if f.calls++; f.calls%(f.good+1) == 0 {
		return errors.New("no network")
	}
	f.windows = append(f.windows, [2]time.Time{from, to})
	var logins []record.Login
	for _, l := range f.logins {
		if !l.Start.Before(from) && !l.Start.After(to) {
			logins = append(logins, l)
		}
	}
	return handle(to, logins)
}

func TestAHistoryGoesOnAfterAFailure(t *testing.T) {
	for good, succeeds := range map[int]bool{0: false, 1: true, 2: true, 100: true} {
		synctest.Test(t, func(t *testing.T) {
			until := time.Now().Add(-time.Hour).UTC()
			since := until.Add(-10 * 24 * time.Hour)
			f := &flaky{good: good}
			for i := range 10 * 24 {
				l := record.Login{ID: record.Identity{byte(i), 1}, Invariant: record.Identity{byte(i), 1}, Start: since.Add(time.Duration(i) * time.Hour)}
				f.logins = append(f.logins, l)
			}
			f.logins = append(f.logins, record.Login{ID: record.Identity{0, 2}, Invariant: record.Identity{0, 2}, Start: until}) // is not of it
			options := collector.Options{Kind: collector.Logins, Rules: ledger.Rules{SuccessCodes: []string{""}, PendingTimeout: time.Hour},
				Limits: collector.NewLimits(100, prometheus.NewCounterVec(prometheus.CounterOpts{}, []string{"family"}))}
			h := newHistory(options, period{since: since, until: until, step: time.Minute})
			var logged strings.Builder
			p, err := fetcher.NewPoller(&fetcher.History{Source: f, From: since, To: until, Skip: h.Skip}, h, collector.NewExporter(prometheus.NewRegistry()).Source("p", "s"),
				fetcher.Options{Interval: time.Minute, ServerTime: func() (time.Time, bool) { return time.Now(), true }, Logger: log.NewLogfmtLogger(&logged)})
			require.NoError(t, err)
			err = p.Finish(t.Context())
			if !succeeds {
				require.ErrorContains(t, err, "no network")
				assert.Equal(t, 5, f.calls)
				assert.Equal(t, 4, strings.Count(logged.String(), "will retry"))
				assert.Equal(t, 1, strings.Count(logged.String(), `msg="poll failed" `), "the last failure is not retried")
				return
			}
			require.NoError(t, err)
			assert.LessOrEqual(t, len(f.windows), 22, "what has been read is not read again") // 20 windows
			var out strings.Builder
			require.NoError(t, write(&out, []*history{h}, []string{"workspace_login_attempts_total"}))
			lines := strings.Split(out.String(), "\n")
			assert.Contains(t, lines[len(lines)-4], "} 240 ", "%d good answers in a row", good)
		})
	}
}
