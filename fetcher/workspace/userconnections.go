package workspace

import (
	"context"
	"net/http"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// What a user needs for login records.
const (
	PermissionListUserConnections   = "workspace:session:listUserConnection"
	PermissionExportUserConnections = "workspace:session:exportUserConnection"
)

type (
	// UserConnectionQuery asks for login records. Its times are cut to seconds.
	UserConnectionQuery = PageQuery
	// UserConnectionPage is a page of them.
	UserConnectionPage = Page[record.UserConnection]
)

type userConnectionWindow struct {
	From string `json:"login_start_time"`
	To   string `json:"login_end_time"`
}

func newUserConnectionWindow(from, to time.Time) userConnectionWindow {
	return userConnectionWindow{from.UTC().Format(apiTime), to.UTC().Format(apiTime)}
}

// ListUserConnections gets one page of login records (system S1, permission
// PermissionListUserConnections). The error is an *Error; no part of a page
// that could not be read whole is returned.
func (c *Client) ListUserConnections(ctx context.Context, q UserConnectionQuery) (*UserConnectionPage, error) {
	return getPage[record.UserConnection](ctx, c, call{
		operation:  "ListUserConnection",
		permission: PermissionListUserConnections,
		base:       c.appStream, method: http.MethodPost, path: "/v1/" + c.projectID + "/session/user-connection",
		query: q.values(), body: newUserConnectionWindow(q.From, q.To),
	}, "count", "items")
}

// ExportUserConnections creates an export task for the login records of a window
// (system S2, permission PermissionExportUserConnections) and returns its id. Times
// are cut to seconds. The error is an *Error.
func (c *Client) ExportUserConnections(ctx context.Context, from, to time.Time) (string, error) {
	return c.createTask(ctx, call{
		operation:  "ExportUserConnection",
		permission: PermissionExportUserConnections,
		base:       c.appStream, method: http.MethodPost, path: "/v1/" + c.projectID + "/session/user-connection/export",
		body: newUserConnectionWindow(from, to),
	})
}
