package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is sent for each call, as the API's pages and the vendor's SDK have it.
func TestCalls(t *testing.T) {
	from := time.Date(2024, 2, 27, 11, 47, 51, 182_900_000, time.FixedZone("", 8*3600))
	to := from.Add(90 * time.Second)
	query := PageQuery{From: from, To: to, Limit: 100, Offset: 300}
	for name, c := range map[string]struct {
		call    func(context.Context, *Client) (any, error)
		request string
		body    string
		answer  string
		want    any
	}{
		"POST: the window in the body": {
			func(ctx context.Context, c *Client) (any, error) {
				return c.CreateExportTask(ctx, loginExport, from, to)
			},
			"POST https://appstream.test/v1/project1/session/user-connection/export",
			`{"login_start_time":"2024-02-27T03:47:51Z","login_end_time":"2024-02-27T03:49:21Z"}`, `{"x":{"task_id":"no"},"task_id":"t1"}`, "t1",
		},
		"GET: the window in the query": {
			func(ctx context.Context, c *Client) (any, error) {
				o := desktopExport.With("language", "zh_CN")
				return c.CreateExportTask(ctx, &o, from, to)
			},
			"GET https://workspace.test/v3/project1/desktops/connections/export?end_time=2024-02-27T03%3A49%3A21Z&language=zh_CN&start_time=2024-02-27T03%3A47%3A51Z",
			``, `{"task_id":"t1"}`, "t1",
		},
		"a file in the answer": {
			func(ctx context.Context, c *Client) (any, error) {
				var file bytes.Buffer
				err := c.DownloadFile(ctx, &desktopList.Operation, from, to, &file, 100)
				return file.String(), err
			},
			"GET https://workspace.test/v2/project1/connections/desktops?end_time=2024-02-27T03%3A50Z&start_time=2024-02-27T03%3A47Z",
			``, "a,b\n", "a,b\n",
		},
		"a page, by milliseconds": {
			func(ctx context.Context, c *Client) (any, error) {
				page, err := sessionList.Page(ctx, c, query)
				return fmt.Sprintln(page.Count, len(page.Items), page.Items[0].Session().State), err
			},
			"GET https://appstream.test/v1/project1/session/list-sessions?limit=100&offset=300&query_begin_time=2024-02-27T03%3A47%3A51.182Z&query_end_time=2024-02-27T03%3A49%3A21.182Z",
			``, `{"count":301,"items":[{"session_state":"Active"}]}`, "301 1 Active\n",
		},
		"a page, by minutes": {
			func(ctx context.Context, c *Client) (any, error) {
				page, err := desktopList.Page(ctx, c, query)
				login := page.Items[0].Login()
				return fmt.Sprintln(page.Count, len(page.Items), login.Machine), err
			},
			"GET https://workspace.test/v2/project1/connections/desktops?end_time=2024-02-27T03%3A50Z&limit=100&offset=300&start_time=2024-02-27T03%3A47Z",
			``, `{"total_count":301,"records":[{"computer_name":"pc"}]}`, "301 1 pc\n",
		},
		"a page, of no window": {
			func(ctx context.Context, c *Client) (any, error) {
				all := *loginList
				all.Method, all.Window, all.Query = http.MethodGet, WindowParams{}, url.Values{"type": {"a", "b"}}
				page, err := all.Page(ctx, c, query)
				return fmt.Sprintln(page.Count, len(page.Items)), err
			},
			"GET https://appstream.test/v1/project1/session/user-connection?limit=100&offset=300&type=a&type=b",
			``, `{"count":0,"items":[]}`, "0 0\n",
		},
		"delete": {
			func(ctx context.Context, c *Client) (any, error) { return nil, c.DeleteExportTask(ctx, "t1") },
			"POST https://workspace.test/v2/project1/export-tasks/batch-delete", `{"task_ids":["t1"]}`, ``, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
				assert.Equal(t, c.request, r.Method+" "+r.URL.String())
				assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
				assert.NotEmpty(t, r.Header.Get("Authorization"))
				body, _ := io.ReadAll(r.Body)
				assert.Equal(t, c.body, string(body))
				fmt.Fprint(w, c.answer)
			}), nil)
			got, err := c.call(t.Context(), client)
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestWholeMinutesStay(t *testing.T) {
	at := time.Date(2024, 2, 27, 3, 47, 0, 0, time.UTC)
	from, to := Minutes.format(at, at.Add(time.Minute))
	assert.Equal(t, []string{"2024-02-27T03:47Z", "2024-02-27T03:48Z"}, []string{from, to})
}

func TestWorkspaceIsAppStreamIfNotGiven(t *testing.T) {
	c := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "appstream.test", r.URL.Host)
		fmt.Fprint(w, `{"task_id":"t1"}`)
	}), func(o *Options) { o.Endpoints.Workspace = "" })
	_, err := c.CreateExportTask(t.Context(), desktopExport, time.Now(), time.Now())
	require.NoError(t, err)
	assert.Len(t, c.taskHosts("t1"), 1)
}

func TestTasksAreCreatedOnce(t *testing.T) {
	status := func(code int, body string) server {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}
	}
	broken := func(op string) roundTripper {
		return func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: op, Err: errors.New("connection reset")}
		}
	}
	for name, c := range map[string]struct {
		first    http.RoundTripper
		attempts int
	}{
		"success":              {status(200, `{"task_id":"t1"}`), 1},
		"server error":         {status(500, `{}`), 1},
		"unavailable":          {status(503, `{"error_code":"WKS.0503"}`), 1},
		"gateway, unavailable": {status(503, `{"error_code":"APIGW.0602"}`), 2},
		"gateway, timed out":   {status(504, `{"error_code":"APIG.0201"}`), 1},
		"throttled":            {status(429, `{"error_code":"APIGW.0308"}`), 2},
		"no connection":        {broken("dial"), 2},
		"broken connection":    {broken("read"), 1},
		"unreadable":           {status(200, `{"task_id":`), 1},
		"no id":                {status(200, `{"task_id":7}`), 1},
		"no such id":           {status(200, `{"task_id":"../../secrets"}`), 1},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				attempts := 0
				client := newClient(t, roundTripper(func(r *http.Request) (*http.Response, error) {
					if attempts++; attempts == 1 {
						return c.first.RoundTrip(r)
					}
					return status(200, `{"task_id":"t2"}`).RoundTrip(r)
				}), nil)
				id, err := client.CreateExportTask(t.Context(), loginExport, time.Now(), time.Now())
				assert.Equal(t, c.attempts, attempts)
				assert.Equal(t, name == "success" || c.attempts == 2, err == nil)
				assert.Equal(t, err == nil, id != "")
			})
		})
	}
}

func TestExportTask(t *testing.T) {
	const listed = `{"count":2,"export_tasks":[{"task_id":"t0","status":"SUCCESS"},{"task_id":"t1","status":"fail","fail_reason":"user jane@corp.example at 10.1.2.3","error_code":"WKS.1"}]}`
	task := ExportTask{ID: "t1", Status: TaskFail, FailReason: "user <user> at <address>", Code: "WKS.1"}
	none := `{"count":0,"export_tasks":[]}`
	for name, c := range map[string]struct {
		answers  map[string]string // by the request's host and is_download; a status alone is an error
		want     ExportTask
		err      error
		requests int
		again    int // requests when it is asked for once more
	}{
		"listed":             {map[string]string{"workspace.test ": listed}, task, nil, 1, 1},
		"downloaded":         {map[string]string{"workspace.test ": none, "workspace.test true": listed}, task, nil, 2, 2},
		"elsewhere":          {map[string]string{"workspace.test ": none, "workspace.test true": none, "appstream.test ": listed}, task, nil, 3, 1},
		"elsewhere, no list": {map[string]string{"workspace.test ": "404", "appstream.test ": listed}, task, nil, 2, 1},
		"nowhere":            {map[string]string{"workspace.test ": none, "workspace.test true": none, "appstream.test ": none, "appstream.test true": none}, ExportTask{}, ErrNoTask, 4, 4},
		"nowhere, no list":   {map[string]string{"workspace.test ": none, "workspace.test true": none, "appstream.test ": "403"}, ExportTask{}, ErrNoTask, 3, 3},
		"no permission":      {map[string]string{"workspace.test ": "403"}, ExportTask{}, &Error{}, 1, 1},
		"only other tasks":   {map[string]string{"workspace.test ": `{"export_tasks":[{"task_id":"t0"},null]}`, "workspace.test true": none, "appstream.test ": "404"}, ExportTask{}, ErrNoTask, 3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			requests := 0
			client := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
				requests++
				q := r.URL.Query()
				assert.Equal(t, "t1", q.Get("task_id"))
				answer := c.answers[r.URL.Host+" "+q.Get("is_download")]
				require.NotEmpty(t, answer, r.URL)
				if len(answer) == 3 {
					code := 0
					_, _ = fmt.Sscan(answer, &code)
					w.WriteHeader(code)
				}
				fmt.Fprint(w, answer)
			}), nil)
			for _, want := range []int{c.requests, c.again} {
				requests = 0
				got, err := client.ExportTask(t.Context(), "t1")
				assert.Equal(t, c.want, got)
				assert.Equal(t, want, requests)
				switch c.err {
				case nil:
					require.NoError(t, err)
				case ErrNoTask:
					require.ErrorIs(t, err, ErrNoTask)
				default:
					assert.Contains(t, asError(t, err).Error(), "grant the permission workspace:tenants:listExportTasks")
				}
			}
		})
	}
}

// A task is downloaded and deleted where it is listed.
func TestTaskIsWhereItIsListed(t *testing.T) {
	var seen []string
	client := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.URL.Host+strings.TrimPrefix(r.URL.Path, "/v2/project1"))
		switch {
		case r.URL.Host == "workspace.test":
			w.WriteHeader(404)
		case strings.HasSuffix(r.URL.Path, "export-tasks"):
			fmt.Fprint(w, `{"export_tasks":[{"task_id":"t1","status":"SUCCESS"}]}`)
		}
	}), nil)
	require.NoError(t, client.DownloadExport(t.Context(), "t1", io.Discard, 10), "an unknown one is looked for")
	_, err := client.ExportTask(t.Context(), "t1")
	require.NoError(t, err)
	require.NoError(t, client.DownloadExport(t.Context(), "t1", io.Discard, 10))
	require.NoError(t, client.DeleteExportTask(t.Context(), "t1"))
	assert.Equal(t, []string{
		"workspace.test/export-tasks/t1/download", "appstream.test/export-tasks/t1/download",
		"workspace.test/export-tasks", "appstream.test/export-tasks",
		"appstream.test/export-tasks/t1/download", "appstream.test/export-tasks/batch-delete",
	}, seen)
	assert.Len(t, client.taskHosts("t1"), 2, "forgotten when it is deleted")
	assert.Error(t, client.DownloadExport(t.Context(), "../t1", io.Discard, 10))
}

func FuzzTaskID(f *testing.F) {
	for _, s := range []string{`{"task_id":"2b31ed520"}`, `{"task_id":null}`, `{"task_id":"a","task_id":7}`, "", "[", `{"task_id":"\ud800"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := decodeTaskID(strings.NewReader(s))
		if err == nil && !plainID.MatchString(id) {
			t.Fatalf("%q", id)
		}
	})
}

// What a list of tasks has beside them takes no memory.
func TestListOfTasksIsNotKept(t *testing.T) {
	const unit = `[],`
	body := `{"count":1,"export_tasks":[{"x":[` + strings.Repeat(unit, 4<<20/len(unit)) + `{}],"task_id":"t1","status":7,"fail_reason":{}}]}`
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, items, err := decodePage[taskItem](strings.NewReader(body), "count", "export_tasks")
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	assert.Equal(t, []taskItem{{id: "t1", status: "7"}}, items)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(40<<20))
}
