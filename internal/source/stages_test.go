package source

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// moody answers the list of desktop connections at once, with some that have just failed, and
// the questions for their stages as it likes.
type moody struct {
	mu     sync.Mutex
	polls  []time.Duration // when the list was asked for
	asked  []time.Time     // when stages were
	stages map[string]int  // how often, by access
	begun  time.Time
	mood   func(n int) http.HandlerFunc // of question number n
}

func (m *moody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	switch {
	case strings.HasSuffix(r.URL.Path, "/auth/tokens"):
		m.mu.Unlock()
		w.Header().Set("X-Subject-Token", "the-token-of-the-project")
		fmt.Fprint(w, `{"token":{"expires_at":"2100-01-01T00:00:00Z"}}`)
	case strings.HasSuffix(r.URL.Path, "/access-stages"):
		m.stages[r.URL.Query().Get("transaction_id")]++
		m.asked = append(m.asked, time.Now())
		answer := m.mood(len(m.asked))
		m.mu.Unlock()
		answer(w, r)
	default:
		m.polls = append(m.polls, time.Since(m.begun))
		m.mu.Unlock()
		w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
		records := failedBetween(r.URL.Query().Get("start_time"), r.URL.Query().Get("end_time"))
		fmt.Fprintf(w, `{"total_count":%d,"records":[%s]}`, len(records), strings.Join(records, ","))
	}
}

// failedBetween are seven failed accesses for each minute of a window, as far as it has passed.
func failedBetween(from, to string) (records []string) {
	const layout = "2006-01-02T15:04Z"
	first, _ := time.Parse(layout, from)
	last, _ := time.Parse(layout, to)
	for at := first; !at.After(last) && !at.After(time.Now()); at = at.Add(time.Minute) {
		for i := range 7 {
			records = append(records, fmt.Sprintf(`{"transaction_id":"t%d-%d","user_name":"u%[2]d","connection_start_time":%q,"connection_failure_reason":"No desktop"}`,
				at.Unix(), i, at.UTC().Format(time.RFC3339)))
		}
	}
	return records
}

var hugeStages = []byte(`{"stages":[` + strings.Repeat(" ", 2<<20) + `]}`)

// moods are all that may come in the place of an answer.
var moods = map[string]http.HandlerFunc{
	"good": func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"stages":[{"stage":"LOGIN","is_success":false}]}`)
	},
	"throttled":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) },
	"later":       func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "900"); w.WriteHeader(429) },
	"unavailable": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "60"); w.WriteHeader(503) },
	"denied":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) },
	"refused":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) },
	"unknown":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
	"elsewhere": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "https://elsewhere.test")
		w.WriteHeader(302)
	},
	"silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	"slow": func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(25 * time.Second)
		fmt.Fprint(w, `{"stages":[]}`)
	},
	"huge": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(hugeStages)
	},
	"array": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `[]`) },
	"of tomorrow": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(24*time.Hour).UTC().Format(http.TimeFormat))
		fmt.Fprint(w, `{"stages":null}`)
	},
}

// pollsOf are the times at which a source polls a moody API for a while.
func pollsOf(t require.TestingT, m *moody, stages *config.Stages, length time.Duration) []time.Duration {
	m.begun, m.stages = time.Now(), map[string]int{}
	s, block := desktopConnections, desktopConnections.Defaults().(*config.DesktopConnections)
	block.Mode, block.Stages, block.Lookback, block.InitialLookback = config.ModeQuery, stages, model.Duration(3*time.Minute), model.Duration(5*time.Minute)
	client, err := workspace.New(workspace.Options{
		ProjectID: "p", Endpoints: workspace.Endpoints{AppStream: "https://api.test", IAM: "https://iam.test"}, Transport: server(m.ServeHTTP),
		Credentials: workspace.Password("d", "u", func() (string, error) { return "p", nil }), Concurrency: 1,
	})
	require.NoError(t, err)
	counting := s.Counting(block)
	counting.StageRoom = s.StageRoom(block)
	counting.Limits = collector.NewLimits(1000, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "limited"}, []string{"family"}))
	accumulator, err := collector.Open(store.Discard{}, counting)
	require.NoError(t, err)
	opening := &Opening{Source: s, Block: block, Client: client, Tasks: export.NoMemory{},
		Metrics: collector.NewExporter(prometheus.NewRegistry()).Source("p", s.Name), Logger: log.NewNopLogger()}
	poller, err := opening.Poller(accumulator)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { poller.Run(ctx, nil) })
	if stages != nil {
		aside := client.Aside(workspace.Aside{Budget: &workspace.Budget{}, PerMinute: stages.MaxPerMinute, Pause: &workspace.Pause{}})
		running.Go(func() { opening.NewStages(aside, accumulator).Run(ctx) })
	}
	running.Wait()
	return m.polls
}

// Polls are at the same moments, whatever the API answers to questions for stages; and these
// keep to their budget, and ask for nothing again but what the API was too busy to answer.
func TestStagesNeverDelayPolls(t *testing.T) {
	const length = 8 * time.Minute
	var without []time.Duration
	synctest.Test(t, func(t *testing.T) { without = pollsOf(t, &moody{}, nil, length) })
	require.Greater(t, len(without), 7)
	rapid.Check(t, func(rt *rapid.T) {
		budget := rapid.SampledFrom([]int{1, 5, 30, 200}).Draw(rt, "max_per_minute")
		drawn := rapid.SliceOfN(rapid.SampledFrom([]string{"good", "throttled", "later", "unavailable", "denied", "refused", "unknown", "elsewhere",
			"silent", "slow", "huge", "array", "of tomorrow"}), 1, 8).Draw(rt, "moods")
		var with []time.Duration
		busy := map[string]bool{"throttled": true, "later": true}
		m := &moody{mood: func(n int) http.HandlerFunc { return moods[drawn[n%len(drawn)]] }}
		synctest.Test(t, func(*testing.T) { with = pollsOf(rt, m, &config.Stages{MaxPerMinute: budget}, length) })
		assert.Equal(rt, without, with)
		for i := budget; i < len(m.asked); i++ {
			assert.GreaterOrEqual(rt, m.asked[i].Sub(m.asked[i-budget]), time.Minute)
		}
		again := 0
		for _, n := range m.stages {
			again += n - 1
		}
		for i := range m.asked {
			if busy[drawn[(i+1)%len(drawn)]] {
				again--
			}
		}
		assert.LessOrEqual(rt, again, 0)
	})
}

// As many may wait as may be asked for until the next poll.
func TestStageRoom(t *testing.T) {
	block := desktopConnections.Defaults().(*config.DesktopConnections)
	assert.Zero(t, desktopConnections.StageRoom(block))
	assert.Zero(t, userConnections.StageRoom(userConnections.Defaults()))
	block.Stages = &config.Stages{MaxPerMinute: 30}
	for interval, want := range map[time.Duration]int{time.Second: 30, time.Minute: 30, 5 * time.Minute: 150} {
		block.PollInterval = model.Duration(interval)
		assert.Equal(t, want, desktopConnections.StageRoom(block))
	}
}
