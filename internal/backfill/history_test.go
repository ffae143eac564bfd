package backfill

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

func TestAHistoryIsWrittenAsOpenMetrics(t *testing.T) {
	since := time.Unix(1_700_000_080, 0).UTC() // 40 s into a step
	at := func(s int) time.Time { return since.Add(time.Duration(s) * time.Second) }
	login := func(n byte, start, end time.Time) record.Login {
		id := record.Identity{n}
		l := record.Login{ID: id, Invariant: id, Group: "a\"b\\", Start: start, PreConnect: start.Add(-1500 * time.Millisecond), End: end}
		return l
	}
	h := newHistory(collector.Options{Project: "p", Product: "app_streaming", Kind: collector.Logins, ConstantLabels: map[string]string{"job": "j"},
		Rules:  ledger.Rules{SuccessCodes: []string{""}, PendingTimeout: time.Minute},
		Limits: collector.NewLimits(100, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "x"}, []string{"family"}))},
		period{since: since, until: at(130), step: time.Minute})
	now := at(1000)
	after := login(4, at(130), time.Time{})
	require.NoError(t, h.Skip(&record.Batch{From: at(130), To: at(132), Now: now, Logins: []record.Login{after}}))
	require.NoError(t, h.Commit(&record.Batch{From: since, To: at(130), Now: now, UpToDate: true, Logins: []record.Login{
		login(0, at(-1), at(50)),  // before it, ends in the second step
		login(1, at(0), at(100)),  // in the first step, ends in the last
		login(2, at(20), at(140)), // in the second step, ends behind the history
		login(3, at(21), time.Time{}),
		after,
		{ID: record.Identity{5}, Invariant: record.Identity{5}, Group: "pending", PreConnect: at(125)},
		{ID: record.Identity{6}, Invariant: record.Identity{6}, Group: "late", Start: at(131)}, // of the last window all the same
	}}))
	names := []string{"workspace_login_attempts_total", "workspace_login_failures_total", "workspace_session_duration_seconds"}
	var out strings.Builder
	require.NoError(t, write(&out, []*history{h}, names))
	var got []string
	for _, line := range strings.Split(out.String(), "\n") {
		// Of the buckets, the first and the last will do.
		if bucket := strings.Contains(line, `le="`); !strings.HasPrefix(line, "# HELP") && (!bucket || strings.Contains(line, `le="60.0"`) || strings.Contains(line, `le="+Inf"`)) {
			got = append(got, line)
		}
	}
	samples := func(name string, values ...string) (lines []string) {
		for i, t := range []string{"1700000040", "1700000100", "1700000160", "1700000210", "1700000211"} {
			lines = append(lines, name+" "+values[i]+" "+t)
		}
		return lines
	}
	const ab = `{desktop_group="a\"b\\",job="j",product="app_streaming",project="p"`
	assert.Equal(t, slices.Concat(
		[]string{"# TYPE workspace_login_attempts counter"},
		samples(`workspace_login_attempts_total`+ab+"}", "0", "1", "3", "3", "0"),
		samples(`workspace_login_attempts_total{desktop_group="late",job="j",product="app_streaming",project="p"}`, "0", "0", "0", "1", "0"),
		samples(`workspace_login_attempts_total{desktop_group="pending",job="j",product="app_streaming",project="p"}`, "0", "0", "0", "1", "0"),
		[]string{"# TYPE workspace_login_failures counter"},
		samples(`workspace_login_failures_total{desktop_group="pending",failed_code="pending_timeout",job="j",product="app_streaming",project="p"}`, "0", "0", "0", "1", "0"),
		[]string{"# TYPE workspace_session_duration_seconds histogram"},
		samples(`workspace_session_duration_seconds_bucket`+ab+`,le="60.0"}`, "0", "0", "1", "1", "0"),
		samples(`workspace_session_duration_seconds_bucket`+ab+`,le="+Inf"}`, "0", "0", "1", "2", "0"),
		samples(`workspace_session_duration_seconds_count`+ab+"}", "0", "0", "1", "2", "0"),
		samples(`workspace_session_duration_seconds_sum`+ab+"}", "0", "0", "51", "151", "0"),
		[]string{"# EOF", ""},
	), got)
}

// Windows of half a day, as the API is asked for them, and what it shows in each. What an
// earlier window has counted is forgotten by then, and not counted once more.
func TestWhatWindowsShowBesidesTheirOwnCountsOnce(t *testing.T) {
	since, hour := time.Unix(1_700_000_000, 0).UTC(), time.Hour
	login := func(n byte, at time.Time) record.Login {
		id := record.Identity{n + 1}
		return record.Login{ID: id, Invariant: id, Start: at, End: at.Add(time.Minute)}
	}
	const windows = 10
	own := func(window int, zone time.Duration) []record.Login {
		at := since.Add(time.Duration(12*window)*hour + zone)
		return []record.Login{login(byte(2*window), at.Add(hour)), login(byte(2*window+1), at.Add(11*hour))}
	}
	all := func(from, to int) (logins []record.Login) {
		for window := max(0, from); window < to; window++ {
			logins = append(logins, own(window, 0)...)
		}
		return logins
	}
	for name, tc := range map[string]struct {
		skipped          []record.Login
		shown            func(window int) []record.Login
		counted          int
		reportsMisplaced bool
	}{
		"their own":                 {nil, func(n int) []record.Login { return own(n, 0) }, 2 * windows, false},
		"their own, in a zone west": {nil, func(n int) []record.Login { return own(n, -12*hour) }, 2 * windows, false},
		"their own, in a zone east": {nil, func(n int) []record.Login { return own(n, 14*hour) }, 2 * windows, false},
		"the newest three also":     {all(windows-3, windows), func(n int) []record.Login { return all(n-3, n+1) }, 2 * (windows - 3), true},
		"all that there is":         {all(0, windows), func(int) []record.Login { return all(0, windows) }, 0, true},
		"all before them also":      {nil, func(n int) []record.Login { return all(0, n+1) }, 2 * windows, true},
	} {
		t.Run(name, func(t *testing.T) {
			until := since.Add(12 * windows * hour)
			h := newHistory(collector.Options{Project: "p", Product: "app_streaming", Kind: collector.Logins, Lookback: 15 * time.Minute,
				Rules:  ledger.Rules{SuccessCodes: []string{""}, PendingTimeout: time.Minute},
				Limits: collector.NewLimits(100, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "x"}, []string{"family"}))},
				period{since: since.Add(-24 * hour), until: until.Add(24 * hour), step: time.Minute})
			now := until.Add(48 * hour)
			require.NoError(t, h.Skip(&record.Batch{From: until, To: until.Add(2 * time.Second), Now: now, Logins: tc.skipped}))
			for n := range windows {
				w := record.Batch{From: since.Add(time.Duration(12*n) * hour), To: since.Add(time.Duration(12*(n+1)) * hour), Now: now, Logins: tc.shown(n)}
				require.NoError(t, h.Commit(&w))
				// The parts of a file, of which the last one has nothing more.
				require.NoError(t, h.Commit(&record.Batch{From: w.From, To: w.To, Now: now}))
			}
			counted := 0
			for s := range h.series {
				if len(s.Counts()) == 1 {
					counted = max(counted, int(s.Counts()[0]))
				}
			}
			assert.Equal(t, tc.counted, counted)
			assert.Equal(t, tc.reportsMisplaced, h.misplaced > 0)
		})
	}
}

// A list that ignores its windows may show what has been open for longer than the API keeps it.
func TestWhatIsSkippedMayBeOpenForTooLong(t *testing.T) {
	until := time.Unix(1_700_000_000, 0).UTC()
	h := newHistory(collector.Options{Kind: collector.Logins, Rules: ledger.Rules{SuccessCodes: []string{""}}}, period{until: until, step: time.Minute})
	open := record.Login{ID: record.Identity{1}, Invariant: record.Identity{1}, Start: until.Add(-40 * 24 * time.Hour)}
	require.NoError(t, h.Skip(&record.Batch{From: until, To: until.Add(2 * time.Second), Now: until.Add(time.Hour), Logins: []record.Login{open}}))
	assert.Equal(t, 1, h.misplaced)
}

func TestHistoriesHaveWhatHappened(t *testing.T) {
	names := Metrics()
	assert.Subset(t, names, []string{"workspace_login_attempts_total", "workspace_login_failures_total", "workspace_session_duration_seconds",
		"workspace_desktop_network_round_trip_seconds"})
	for _, m := range collector.Metrics {
		if m.Type == collector.Gauge || m.AboutSource {
			assert.NotContains(t, names, m.Name)
		}
	}
	assert.NotContains(t, names, "workspace_session_failures_total", "of a source that has no histories")
}
