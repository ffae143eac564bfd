package workspace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a server without a network: time stands still in a synctest bubble
// while a real connection is used.
type server func(w http.ResponseWriter, r *http.Request)

func (s server) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	s(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

const onePage = `{"count":1,"items":[{"id":"1","start_time":"2026-01-01T00:00:00Z"}]}`

func ok(w http.ResponseWriter) { fmt.Fprint(w, onePage) }

func text(s string) func() (string, error) { return func() (string, error) { return s, nil } }

func newClient(t testing.TB, transport http.RoundTripper, change func(*Options)) *Client {
	t.Helper()
	o := Options{
		ProjectID:   "project1",
		Endpoints:   Endpoints{AppStream: "https://appstream.test", Workspace: "https://workspace.test", IAM: "https://iam.test"},
		Credentials: AKSK(text("ACCESSKEY"), text("SECRETKEY"), nil),
		Transport:   transport,
	}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	require.NoError(t, err)
	return c
}

// One operation of each form.
var (
	loginList = &List[record.UserConnection]{Operation: Operation{
		Name: "ListUserConnection", Permission: "workspace:session:listUserConnection",
		Endpoint: AppStream, Method: http.MethodPost, Path: "/v1/{project_id}/session/user-connection",
		Window: WindowParams{"login_start_time", "login_end_time", Seconds},
	}, Count: "count", Items: "items", Limit: 100}
	sessionList = &List[record.SessionInfo]{Operation: Operation{
		Name: "ListSessions", Permission: "workspace:session:listSessions",
		Endpoint: AppStream, Method: http.MethodGet, Path: "/v1/{project_id}/session/list-sessions",
		Window: WindowParams{"query_begin_time", "query_end_time", Milliseconds},
	}, Count: "count", Items: "items", Limit: 100}
	desktopList = &List[record.DesktopConnection]{Operation: Operation{
		Name: "ListLoginRecordsNew", Permission: "workspace:connections:securityList",
		Endpoint: Workspace, Method: http.MethodGet, Path: "/v2/{project_id}/connections/desktops",
		Window: WindowParams{"start_time", "end_time", Minutes},
	}, Count: "total_count", Items: "records", Limit: 1000}
	loginExport = &Operation{
		Name: "ExportUserConnection", Permission: "workspace:session:exportUserConnection",
		Endpoint: AppStream, Method: http.MethodPost, Path: "/v1/{project_id}/session/user-connection/export",
		Window: WindowParams{"login_start_time", "login_end_time", Seconds},
	}
	desktopExport = &Operation{
		Name: "ExportUserConnectionNew", Permission: "workspace:connections:securityExport",
		Endpoint: Workspace, Method: http.MethodGet, Path: "/v3/{project_id}/desktops/connections/export",
		Window: WindowParams{"start_time", "end_time", Seconds},
	}
)

func list(ctx context.Context, c *Client) (*Page[record.UserConnection], error) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return loginList.Page(ctx, c, PageQuery{From: now.Add(-time.Hour), To: now, Limit: 100})
}

func asError(t testing.TB, err error) *Error {
	t.Helper()
	var e *Error
	require.True(t, errors.As(err, &e), "%v", err)
	return e
}

// inBubble runs f in a bubble where waiting takes no time.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}
