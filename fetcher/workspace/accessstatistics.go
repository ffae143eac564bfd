package workspace

import (
	"context"
	"net/http"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// What a user needs for access statistics.
const (
	PermissionListAccessStatistics   = "workspace:statistics:listAppUserAccessData"
	PermissionExportAccessStatistics = "workspace:statistics:exportAppUserAccessData"
)

// ListAccessStatistics gets one page of the access statistics of a window
// (permission PermissionListAccessStatistics). Times are cut to seconds. The error
// is an *Error.
func (c *Client) ListAccessStatistics(ctx context.Context, q PageQuery) (*Page[record.AppUserAccess], error) {
	query := q.values()
	query.Set("start_time", q.From.UTC().Format(apiTime))
	query.Set("end_time", q.To.UTC().Format(apiTime))
	return getPage[record.AppUserAccess](ctx, c, call{
		operation:  "ListAppUserAccessData",
		permission: PermissionListAccessStatistics,
		base:       c.workspace, method: http.MethodGet, path: "/v2/" + c.projectID + "/statistics/metrics/app-user-access",
		query: query,
	}, "count", "items")
}

// ExportAccessStatistics creates an export task for the access statistics of a
// window (system S4, permission PermissionExportAccessStatistics) and returns its
// id. Times are cut to seconds. The error is an *Error.
func (c *Client) ExportAccessStatistics(ctx context.Context, from, to time.Time) (string, error) {
	return c.createTask(ctx, call{
		operation:  "ExportAppUserAccessData",
		permission: PermissionExportAccessStatistics,
		base:       c.workspace, method: http.MethodPost, path: "/v2/" + c.projectID + "/statistics/metrics/app-user-access/export",
		body: struct {
			From string `json:"start_time"`
			To   string `json:"end_time"`
		}{from.UTC().Format(apiTime), to.UTC().Format(apiTime)},
	})
}
