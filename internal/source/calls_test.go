package source

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
)

// server is a server without a network.
type server func(http.ResponseWriter, *http.Request)

func (s server) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	s(w, r)
	return w.Result(), nil
}

func newClient(t *testing.T, s server) *workspace.Client {
	t.Helper()
	client, err := workspace.New(workspace.Options{
		ProjectID:   "project1",
		Endpoints:   workspace.Endpoints{AppStream: "https://appstream.test", Workspace: "https://workspace.test"},
		Credentials: workspace.Token(func() (string, error) { return "token", nil }),
		Transport:   s,
	})
	require.NoError(t, err)
	return client
}

// What is sent for each call, and read of the answer, as the API's pages and the vendor's
// SDK have it.
func TestCalls(t *testing.T) {
	from := time.Date(2024, 2, 27, 11, 47, 51, 182_900_000, time.FixedZone("", 8*3600))
	to := from.Add(90 * time.Second)
	list := func(s *Source) func(context.Context, *workspace.Client) (any, error) {
		return func(ctx context.Context, c *workspace.Client) (any, error) {
			count, times, err := s.Probe(ctx, c, from, to)
			return fmt.Sprint(count, times), err
		}
	}
	task := func(s *Source) func(context.Context, *workspace.Client) (any, error) {
		return func(ctx context.Context, c *workspace.Client) (any, error) {
			o := &Opening{Source: s, Block: s.Defaults(), Client: c}
			operation := s.Export
			if w, ok := s.way.(*incremental); ok {
				operation = w.inLanguage(o, operation)
			}
			return c.CreateExportTask(ctx, operation, from, to)
		}
	}
	for name, c := range map[string]struct {
		call    func(context.Context, *workspace.Client) (any, error)
		request string
		body    string
		answer  string
		want    any
	}{
		"user_connections": {list(userConnections),
			"POST https://appstream.test/v1/project1/session/user-connection?limit=100&offset=0",
			`{"login_start_time":"2024-02-27T03:47:51Z","login_end_time":"2024-02-27T03:49:21Z"}`,
			`{"count":1,"items":[{"pre_conn_time":"2024-02-27T03:48:00Z"}]}`, "1 [2024-02-27 03:48:00 +0000 UTC]"},
		"user_connections, export": {task(userConnections),
			"POST https://appstream.test/v1/project1/session/user-connection/export",
			`{"login_start_time":"2024-02-27T03:47:51Z","login_end_time":"2024-02-27T03:49:21Z"}`, `{"task_id":"t1"}`, "t1"},
		"sessions": {list(sessions),
			"GET https://appstream.test/v1/project1/session/list-sessions?limit=100&offset=0&query_begin_time=2024-02-27T03%3A47%3A51.182Z&query_end_time=2024-02-27T03%3A49%3A21.182Z",
			``, `{"count":1,"items":[{"start_time":"2024-02-27T03:48:00Z"}]}`, "1 [2024-02-27 03:48:00 +0000 UTC]"},
		"sessions, export": {task(sessions),
			"POST https://appstream.test/v1/project1/session/list-sessions/export",
			`{"query_begin_time":"2024-02-27T03:47:51.182Z","query_end_time":"2024-02-27T03:49:21.182Z"}`, `{"task_id":"t1"}`, "t1"},
		"access_statistics": {list(accessStatistics),
			"GET https://workspace.test/v2/project1/statistics/metrics/app-user-access?end_time=2024-02-27T03%3A49%3A21Z&limit=100&offset=0&start_time=2024-02-27T03%3A47%3A51Z",
			``, `{"count":1,"items":[{"last_access_failed_time":"2024-02-27T03:48:00Z"}]}`, "1 [2024-02-27 03:48:00 +0000 UTC]"},
		"access_statistics, export": {task(accessStatistics),
			"POST https://workspace.test/v2/project1/statistics/metrics/app-user-access/export",
			`{"start_time":"2024-02-27T03:47:51Z","end_time":"2024-02-27T03:49:21Z"}`, `{"task_id":"t1"}`, "t1"},
		"app_connections": {list(appConnections),
			"POST https://appstream.test/v1/project1/session/app-connection?limit=100&offset=0",
			`{"brokering_start_time":"2024-02-27T03:47:51Z","brokering_end_time":"2024-02-27T03:49:21Z"}`,
			`{"count":1,"items":[{"brokering_time":"2024-02-27T03:48:00.5Z"}]}`, "1 [2024-02-27 03:48:00.5 +0000 UTC]"},
		"app_connections, export": {task(appConnections),
			"POST https://appstream.test/v1/project1/session/app-connection/export",
			`{"brokering_start_time":"2024-02-27T03:47:51Z","brokering_end_time":"2024-02-27T03:49:21Z"}`, `{"task_id":"t1"}`, "t1"},
		"desktop_connections": {list(desktopConnections),
			"GET https://workspace.test/v2/project1/connections/desktops?end_time=2024-02-27T03%3A50Z&limit=100&offset=0&start_time=2024-02-27T03%3A47Z",
			``, `{"total_count":1,"records":[{"connection_start_time":"2024-02-27T03:48:00Z"}]}`, "1 [2024-02-27 03:48:00 +0000 UTC]"},
		"desktop_connections, export_v3": {task(desktopConnections),
			"GET https://workspace.test/v3/project1/desktops/connections/export?end_time=2024-02-27T03%3A49%3A21Z&language=en_US&start_time=2024-02-27T03%3A47%3A51Z",
			``, `{"task_id":"t1"}`, "t1"},
		"desktop_connections, export_v2": {
			func(ctx context.Context, c *workspace.Client) (any, error) {
				block := desktopConnections.Defaults().(*config.DesktopConnections)
				block.Language = "zh_CN"
				o := &Opening{Source: desktopConnections, Block: block, Client: c}
				w := desktopConnections.way.(*incremental)
				var file bytes.Buffer
				err := c.DownloadFile(ctx, w.inLanguage(o, o.Download), from, to, &file, 100)
				return file.String(), err
			},
			"GET https://workspace.test/v2/project1/connections/desktops/export?end_time=2024-02-27T03%3A50Z&language=zh_CN&start_time=2024-02-27T03%3A47Z",
			``, "a,b\n", "a,b\n"},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, c.request, r.Method+" "+r.URL.String())
				body, _ := io.ReadAll(r.Body)
				assert.Equal(t, c.body, string(body))
				fmt.Fprint(w, c.answer)
			})
			got, err := c.call(t.Context(), client)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

// What is sent for lists of what is there now: their calls, in order.
func TestCallsOfLists(t *testing.T) {
	for name, c := range map[string]struct {
		source  *Source
		answers map[string]string // by what is sent
		size    int
	}{
		"servers": {servers, map[string]string{
			"GET https://appstream.test/v1/project1/app-server-groups?limit=100&offset=0":             `{"count":2,"items":[{"id":"g1","name":"one"},{"id":"g2","name":"two"}]}`,
			"GET https://appstream.test/v1/project1/app-servers/access-agent/latest-version":          `{"latest_version":"25.3"}`,
			"GET https://appstream.test/v1/project1/app-server-groups/g1":                             `{"id":"g1","route_policy":{"max_session":5}}`,
			"GET https://appstream.test/v1/project1/app-server-groups/g2":                             `{"id":"g2"}`,
			"GET https://appstream.test/v1/project1/app-server-groups/resources/restrict":             `{"max_session":60}`,
			"GET https://appstream.test/v1/project1/app-servers/access-agent/list?limit=100&offset=0": `{"count":1,"items":[{"server_id":"s","server_group_id":"g2"}]}`,
		}, 1},
		"desktops": {desktops, map[string]string{
			"GET https://workspace.test/v2/project1/statistics?statistics_type=attach-state&statistics_type=login-state&statistics_type=run-state":                     `{"total_num":7}`,
			"GET https://workspace.test/v2/project1/statistics?desktop_type=POOLED&statistics_type=attach-state&statistics_type=login-state&statistics_type=run-state": `{"total_num":3,"desktop_pool_statistics":[{"desktop_pool_id":"p","total_num":3}]}`,
		}, 7},
	} {
		t.Run(name, func(t *testing.T) {
			sent := map[string]bool{}
			client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				at := r.Method + " " + r.URL.String()
				assert.Contains(t, c.answers, at)
				assert.False(t, sent[at], "twice: %s", at)
				sent[at] = true
				body, _ := io.ReadAll(r.Body)
				assert.Empty(t, body)
				fmt.Fprint(w, c.answers[at])
			})
			size, times, err := c.source.Probe(t.Context(), client, time.Time{}, time.Time{})
			require.NoError(t, err)
			assert.Equal(t, c.size, size)
			assert.Empty(t, times)
			assert.Len(t, sent, len(c.answers))
		})
	}
}

// Whether stages may be asked for is tried with an access that failed, or else with any other.
func TestProbeOfStages(t *testing.T) {
	began := `"brokering_time":"2024-02-27T03:48:00Z"`
	for items, asked := range map[string]string{
		``:                         "",
		`{"id":"1",` + began + `}`: "",
		`{"id":"1","transaction_id":"good",` + began + `}`:                                                                   "good",
		`{"id":"1","transaction_id":"good",` + began + `},{"id":"2","transaction_id":"bad","failed_code":"7",` + began + `}`: "bad",
	} {
		got := ""
		client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				got = r.URL.Query().Get("transaction_id")
				fmt.Fprint(w, `{"stages":[]}`)
				return
			}
			fmt.Fprintf(w, `{"count":9,"items":[%s]}`, items)
		})
		to := time.Date(2024, 2, 27, 4, 0, 0, 0, time.UTC)
		tried, err := appConnections.ProbeStages(t.Context(), client, to.Add(-time.Hour), to)
		require.NoError(t, err)
		assert.Equal(t, asked != "", tried)
		assert.Equal(t, asked, got)
	}
}
