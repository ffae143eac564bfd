package workspace

import (
	"context"
	"net/http"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// What a user needs for sessions.
const (
	PermissionListSessions   = "workspace:session:listSessions"
	PermissionExportSessions = "workspace:session:exportSessions"
)

// sessionTime is how the API wants the times of sessions, in UTC.
const sessionTime = "2006-01-02T15:04:05.000Z"

// ListSessions gets one page of the sessions that started in a window
// (permission PermissionListSessions). Times are cut to milliseconds. The error is
// an *Error.
func (c *Client) ListSessions(ctx context.Context, q PageQuery) (*Page[record.SessionInfo], error) {
	query := q.values()
	query.Set("query_begin_time", q.From.UTC().Format(sessionTime))
	query.Set("query_end_time", q.To.UTC().Format(sessionTime))
	return getPage[record.SessionInfo](ctx, c, call{
		operation:  "ListSessions",
		permission: PermissionListSessions,
		base:       c.appStream, method: http.MethodGet, path: "/v1/" + c.projectID + "/session/list-sessions",
		query: query,
	}, "count", "items")
}

// ExportSessions creates an export task for the sessions that started in a window
// (system S3, permission PermissionExportSessions) and returns its id. Times are cut
// to milliseconds. The error is an *Error.
func (c *Client) ExportSessions(ctx context.Context, from, to time.Time) (string, error) {
	return c.createTask(ctx, call{
		operation:  "ExportSessions",
		permission: PermissionExportSessions,
		base:       c.appStream, method: http.MethodPost, path: "/v1/" + c.projectID + "/session/list-sessions/export",
		body: struct {
			From string `json:"query_begin_time"`
			To   string `json:"query_end_time"`
		}{from.UTC().Format(sessionTime), to.UTC().Format(sessionTime)},
	})
}
