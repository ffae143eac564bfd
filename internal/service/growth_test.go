package service

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/source"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// endless is an API with a login every so often, for ever, of which it keeps nothing.
type endless time.Duration

func (every endless) RoundTrip(r *http.Request) (*http.Response, error) {
	var window struct {
		From time.Time `json:"login_start_time"`
		To   time.Time `json:"login_end_time"`
	}
	if err := json.UnmarshalRead(r.Body, &window); err != nil {
		return nil, err
	}
	var limit, offset int
	if _, err := fmt.Sscanf(r.URL.RawQuery, "limit=%d&offset=%d", &limit, &offset); err != nil {
		return nil, err
	}
	first := (window.From.Unix() + int64(time.Duration(every).Seconds()) - 1) / int64(time.Duration(every).Seconds())
	last := window.To.Unix() / int64(time.Duration(every).Seconds())
	var items []string
	for n := first + int64(offset); n <= last && len(items) < limit; n++ {
		at := time.Unix(n*int64(time.Duration(every).Seconds()), 0).UTC().Format(time.RFC3339)
		code := ""
		if n%10 == 0 {
			code = "1001"
		}
		items = append(items, fmt.Sprintf(`{"id":"%d","user_name":"user%d","desktop_group_name":"g%d","machine_name":"m%d","client_ip":"10.0.0.%d","start_time":%q,"end_time":%q,"failed_code":%q}`,
			n, n%500, n%5, n%20, n%250, at, at, code))
	}
	body := fmt.Sprintf(`{"count":%d,"items":[%s]}`, max(0, last-first+1), strings.Join(items, ","))
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}},
		Body: io.NopCloser(bytes.NewReader([]byte(body))), Request: r}, nil
}

// footprint is what a process takes that could grow.
type footprint struct {
	goroutines, descriptors int
	heap                    uint64
	file                    int64
}

func takeFootprint(t *testing.T, dir string) footprint {
	open, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	info, err := os.Stat(filepath.Join(dir, "state.db"))
	require.NoError(t, err)
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return footprint{runtime.NumGoroutine(), len(open), m.HeapAlloc, info.Size()}
}

// Thousands of polls, of which each reads a lookback that has moved on, leave the process
// and its store as large as the first hundreds did.
func TestNothingGrows(t *testing.T) {
	if testing.Short() {
		t.Skip("too long for make quick")
	}
	dir := t.TempDir()
	if fast, err := os.MkdirTemp("/dev/shm", "workspace_exporter-"); err == nil { // where syncing costs nothing
		t.Cleanup(func() { _ = os.RemoveAll(fast) })
		dir = fast
	}
	synctest.Test(t, func(t *testing.T) {
		st, err := store.Open(dir)
		require.NoError(t, err)
		defer func() { require.NoError(t, st.Close()) }()
		client, err := workspace.New(workspace.Options{ProjectID: "p", Endpoints: workspace.Endpoints{AppStream: "http://api.test"},
			Credentials: workspace.Token(func() (string, error) { return "token", nil }), Transport: endless(20 * time.Second)})
		require.NoError(t, err)
		registry := prometheus.NewRegistry()
		described := source.Named("user_connections")
		settings := described.Defaults()
		settings.Common().Mode = config.ModeQuery
		options := described.Counting(settings)
		options.Project = "p"
		options.UserWindows = []collector.Window{{Name: "15m", Length: 15 * time.Minute}}
		options.Limits = collector.NewLimits(1000, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "limited"}, []string{"family"}))
		accumulator, err := collector.Open(st.Partition("p", described.Name, nil), options)
		require.NoError(t, err)
		opening := source.Opening{Source: described, Block: settings, Project: "p", Client: client, Tasks: export.NoMemory{},
			Metrics: collector.NewExporter(registry).Source("p", described.Name), Logger: log.NewNopLogger()}
		poller, err := opening.Poller(accumulator)
		require.NoError(t, err)
		exposition := collector.NewExposition(registry)
		exposition.Publish([]*collector.Accumulator{accumulator}, nil)

		var early footprint
		for n := range growthPolls {
			require.NoError(t, poller.Poll(t.Context()))
			_, err := exposition.Gather()
			require.NoError(t, err)
			if n == growthPolls/10 {
				early = takeFootprint(t, dir)
			}
			time.Sleep(time.Minute) // of the bubble's clock
		}
		late := takeFootprint(t, dir)
		t.Logf("after %d polls: %+v; after %d: %+v", growthPolls/10, early, growthPolls, late)
		assert.Equal(t, early.goroutines, late.goroutines)
		assert.Equal(t, early.descriptors, late.descriptors)
		assert.LessOrEqual(t, late.file, early.file, "the store grows")
		assert.Less(t, late.heap, early.heap+early.heap/4+1<<20, "the memory grows")
	})
}
