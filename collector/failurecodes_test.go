package collector

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/workspace-exporter/workspace_exporter/internal/failurecode"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

func because(text string) func(*record.Login) { return func(l *record.Login) { l.FailedReason = text } }

// texts are the reasons that are shown, by code.
func (b *bench) texts() map[string]float64 { return b.values(failureCodeInfo, "failed_code", "reason") }

func TestEachCodeHasAReason(t *testing.T) {
	b := newBench(t, nil)
	waiting := login(3, t0, func(l *record.Login) { l.Start = time.Time{} })
	require.NoError(t, b.read(t0, login(2, t0, failing("7")), login(4, t0, failing("8")), waiting))
	assert.Equal(t, map[string]float64{"7/": 1, "8/": 1}, b.texts())
	require.NoError(t, b.read(t0.Add(2*time.Hour), waiting, login(1, t0, failing("7"), because("No server."))))
	want := map[string]float64{"7/No server.": 1, "8/": 1, "pending_timeout/No outcome within pending_timeout.": 1}
	assert.Equal(t, want, b.texts(), "the first text of a code that had none is shown at once")
	b.restart()
	assert.Equal(t, want, b.texts())
}

// TestReasonStays lets the texts of a code change with each record, in several ways: one
// text is shown all the time.
func TestReasonStays(t *testing.T) {
	for what, text := range map[string]func(n int) string{
		"all different": func(n int) string { return fmt.Sprint("Session ", n, " ended.") },
		"by turns":      func(n int) string { return fmt.Sprint("Text ", n%2) },
		"one of three":  func(n int) string { return fmt.Sprint("Text ", n*n%7%3) },
		"now and then":  func(n int) string { return fmt.Sprint("Text ", n%5/4) },
	} {
		t.Run(what, func(t *testing.T) {
			b := newBench(t, nil)
			for n := range 400 {
				at := t0.Add(time.Duration(n) * time.Minute)
				require.NoError(t, b.read(at, login(n, at, failing("7"), because(text(n)))))
				if n%50 == 0 {
					b.restart()
				}
				require.Equal(t, map[string]float64{"7/" + text(0): 1}, b.texts(), n)
			}
		})
	}
}

func TestReasonFollowsWhatMostFailuresHave(t *testing.T) {
	b := newBench(t, nil)
	n, t0 := 0, t0.Add(time.Minute) // well within an hour
	fails := func(at time.Time, text string) {
		n++
		require.NoError(t, b.read(at, login(n, at, failing("7"), because(text))))
	}
	fails(t0, "rare")
	for i := range 9 {
		fails(t0.Add(time.Duration(i)*time.Minute), "old")
	}
	assert.Equal(t, map[string]float64{"7/rare": 1}, b.texts(), "not within the hour")
	b.restart()
	fails(t0.Add(time.Hour), "new")
	assert.Equal(t, map[string]float64{"7/old": 1}, b.texts())
	for i := range 8 { // once a day: ten are enough, however long that takes
		fails(t0.Add(time.Duration(i+1)*24*time.Hour), "new")
		b.restart()
	}
	fails(t0.Add(9*24*time.Hour), "old")
	assert.Equal(t, map[string]float64{"7/old": 1}, b.texts())
	fails(t0.Add(10*24*time.Hour), "old")
	assert.Equal(t, map[string]float64{"7/new": 1}, b.texts())
}

// TestReasonDoesNotDependOnTheOrder reads the same records in another order, and in
// other batches: only time decides.
func TestReasonDoesNotDependOnTheOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var all []record.Login
		for n := range rapid.IntRange(1, 60).Draw(r, "records") {
			at := t0.Add(time.Duration(rapid.IntRange(0, 600).Draw(r, "minute")) * time.Minute)
			text := rapid.SampledFrom([]string{"a", "b", "b", "b", "c", ""}).Draw(r, "text")
			all = append(all, login(n, at, failing("7"), because(text)))
		}
		slices.SortStableFunc(all, func(x, y record.Login) int { return x.PreConnect.Compare(y.PreConnect) })
		first := rapid.IntRange(1, len(all)).Draw(r, "of the first batch")
		texts := func(parts ...[]record.Login) map[string]float64 {
			b := newBench(t, nil)
			for _, part := range parts {
				if len(part) > 0 {
					require.NoError(r, b.read(part[len(part)-1].PreConnect.Add(time.Hour), part...))
					b.restart()
				}
			}
			return b.texts()
		}
		head, tail := all[:first], all[first:]
		want := texts(head, tail)
		shuffled := rapid.Permutation(head).Draw(r, "order")
		last := slices.MaxFunc(head, func(x, y record.Login) int { return x.PreConnect.Compare(y.PreConnect) })
		at := slices.IndexFunc(shuffled, func(l record.Login) bool { return l.ID == last.ID })
		shuffled[at], shuffled[len(shuffled)-1] = shuffled[len(shuffled)-1], shuffled[at] // it says when the batch was read
		require.Equal(r, want, texts(shuffled, tail))
		// The first text of a code is that of the first batch that has any.
		named := slices.ContainsFunc(head, func(l record.Login) bool { return l.FailedReason != "" })
		if middle := len(tail) / 2; middle > 0 && named {
			require.Equal(r, want, texts(head, tail[:middle], tail[middle:]))
		}
	})
}

const wrongPassword = "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 52e, v4563"

// TestExplanations reads failures with codes and reasons that have an explanation.
func TestExplanations(t *testing.T) {
	own := failurecode.Rules{{Code: "1003", Explanation: failurecode.Explanation{Class: "capacity", Text: "No server is free", TextZH: "没有空闲的服务器",
		Action: "Add servers", ActionZH: "增加服务器", URL: "https://wiki.example.com/1003"}}}
	b := newBench(t, func(o *Options) { o.Explanations = own })
	explained := func() map[string]float64 { return b.values(failureCodeInfo, "failed_code", "class", "explanation") }
	advice := func() map[string]float64 {
		return b.values(failureCodeAdvice, "failed_code", "class", "explanation_zh", "action", "action_zh", "url")
	}
	waiting := login(9, t0, func(l *record.Login) { l.Start = time.Time{} })
	require.NoError(t, b.read(t0, login(1, t0, failing("1003")), login(2, t0, failing("7"), because("No idea.")), login(3, t0, failing("8"), because(wrongPassword)),
		login(4, t0, failing(""), because("Refused.")), waiting))
	require.NoError(t, b.read(t0.Add(2*time.Hour), waiting))
	want := map[string]float64{"1003/capacity/No server is free": 1, "7//": 1, "8/credentials/The user name or the password is wrong": 1,
		"unknown/unknown/The login failed with a reason, but without a code": 1, "pending_timeout/no_outcome/The login neither started nor failed within pending_timeout": 1}
	assert.Equal(t, want, explained())
	assert.Len(t, advice(), 4, "of codes with an explanation only")
	assert.Contains(t, advice(), "1003/capacity/没有空闲的服务器/Add servers/增加服务器/https://wiki.example.com/1003")
	b.restart()
	assert.Equal(t, want, explained())

	// Another text of most failures, and another configuration: nothing else changes labels.
	require.NoError(t, b.read(t0.Add(2*time.Hour), login(10, t0.Add(2*time.Hour), failing("8"), because("Once."))))
	assert.Equal(t, want, explained())
	long := strings.Repeat("x", record.MaxLabelBytes+1)
	b.options.Explanations = failurecode.Rules{{Reason: regexp.MustCompile("(?i)acceptsecuritycontext"), Explanation: failurecode.Explanation{Class: "mine", Text: long, URL: "https://" + long}}}
	b.restart()
	assert.Contains(t, explained(), "8/mine/"+long[1:])
	assert.Contains(t, advice(), "8/mine/"+long[1:]+"///", "a part of a link leads nowhere")
	assert.Contains(t, explained(), "1003//", "what was configured before is gone")
}

// TestFailureCodes lists codes with their counts, be they held or not.
func TestFailureCodes(t *testing.T) {
	b := newBench(t, func(o *Options) { o.NewSeriesHold = time.Hour })
	assert.Empty(t, b.accumulator.FailureCodes())
	require.NoError(t, b.read(t0, login(1, t0, failing("7"), because("No server."))))
	require.NoError(t, b.read(t0.Add(time.Minute), login(2, t0, failing("8"), because(wrongPassword)), login(3, t0, failing("8"), func(l *record.Login) { l.Group = "other group" })))
	for range 2 {
		codes := b.accumulator.FailureCodes()
		require.Len(t, codes, 2)
		assert.Equal(t, []any{"8", wrongPassword, int64(2), "credentials"}, []any{codes[0].Code, codes[0].Reason, codes[0].Failures, codes[0].Class})
		assert.Equal(t, FailureCode{Code: "7", Reason: "No server.", Failures: 1}, codes[1])
		b.restart()
	}
	sessions := newBench(t, ofKind(Sessions))
	sessions.snapshot(t0, session(1, "m", record.StateFailed), session(2, "m", record.StateFailed))
	require.Len(t, sessions.accumulator.FailureCodes(), 1)
	assert.Equal(t, int64(2), sessions.accumulator.FailureCodes()[0].Failures)
	statistics := newBench(t, ofKind(AccessStatistics))
	statistics.statistics(t0, t0, record.Access{User: 1, Failures: 3, Code: "WKS.1"})
	assert.Equal(t, []FailureCode{{Code: "WKS.1", Failures: 3}}, statistics.accumulator.FailureCodes())
}

// TestEachKindHasOneFailureCounter, or the codes of a source would be missing, or count twice.
func TestEachKindHasOneFailureCounter(t *testing.T) {
	for _, kind := range anyKind {
		withCodes, counters := 0, 0
		for _, m := range metricsOf([]Kind{kind}) {
			if m.Type == Counter && (slices.Contains(m.Labels, failedCode) || slices.Contains(m.Labels, errorCode)) {
				withCodes++
			}
			if slices.Contains(failureCounters, m) {
				counters++
			}
		}
		assert.Equal(t, min(1, withCodes), counters, "kind %d", kind)
	}
}

// TestManyCodes explains each code once, however often its failures are counted.
func TestManyCodes(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.Explanations = failurecode.Rules{{Reason: regexp.MustCompile("x"), Explanation: failurecode.Explanation{Class: "x"}}}
	})
	for n := range 500 {
		require.NoError(t, b.read(t0, login(n, t0, failing(fmt.Sprint(1+n%100)), because("x"))))
	}
	assert.Len(t, b.accumulator.state.families.explained, 100, "and nothing else is remembered")
	assert.Len(t, b.accumulator.FailureCodes(), 100)
}
