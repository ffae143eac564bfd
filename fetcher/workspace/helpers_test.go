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

func list(ctx context.Context, c *Client) (*UserConnectionPage, error) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return c.ListUserConnections(ctx, UserConnectionQuery{From: now.Add(-time.Hour), To: now, Limit: 100})
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
