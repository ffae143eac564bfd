package workspace

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// What a user needs for desktop connections.
const (
	PermissionListDesktopConnections   = "workspace:connections:securityList"
	PermissionExportDesktopConnections = "workspace:connections:securityExport"
)

// minuteTime is how the API wants the times of desktop connections, in UTC.
const minuteTime = "2006-01-02T15:04Z"

// setMinutes adds a window in whole minutes that holds all of the one asked for.
func setMinutes(query url.Values, from, to time.Time) {
	last := to.UTC().Truncate(time.Minute)
	if last.Before(to) {
		last = last.Add(time.Minute)
	}
	query.Set("start_time", from.UTC().Format(minuteTime))
	query.Set("end_time", last.Format(minuteTime))
}

// ListDesktopConnections gets one page of desktop connections, of up to 1000 records
// (permission PermissionListDesktopConnections). From is cut to a minute, To rounded
// up to one. The error is an *Error.
func (c *Client) ListDesktopConnections(ctx context.Context, q PageQuery) (*Page[record.DesktopConnection], error) {
	query := q.values()
	setMinutes(query, q.From, q.To)
	return getPage[record.DesktopConnection](ctx, c, call{
		operation:  "ListLoginRecordsNew",
		permission: PermissionListDesktopConnections,
		base:       c.workspace, method: http.MethodGet, path: "/v2/" + c.projectID + "/connections/desktops",
		query: query,
	}, "total_count", "records")
}

// ExportDesktopConnectionsV2 writes the file with the desktop connections of a window
// to a writer (system S5, permission PermissionExportDesktopConnections): at most
// limit bytes. From is cut to a minute, to rounded up to one; language is en_US or
// zh_CN. The error is an *Error; part of the file may have been written then.
func (c *Client) ExportDesktopConnectionsV2(ctx context.Context, from, to time.Time, language string, w io.Writer, limit int64) error {
	query := url.Values{"language": {language}}
	setMinutes(query, from, to)
	return c.do(ctx, call{
		operation:  "ExportUserLoginInfoNew",
		permission: PermissionExportDesktopConnections,
		base:       c.workspace, method: http.MethodGet, path: "/v2/" + c.projectID + "/connections/desktops/export",
		query: query, auth: c.auth, file: &file{to: w, limit: limit},
	})
}

// ExportDesktopConnections creates an export task for the desktop connections of a
// window (the v3 call, which is to replace S5; permission
// PermissionExportDesktopConnections) and returns its id. Times are cut to seconds.
// The error is an *Error.
func (c *Client) ExportDesktopConnections(ctx context.Context, from, to time.Time, language string) (string, error) {
	return c.createTask(ctx, call{
		operation:  "ExportUserConnectionNew",
		permission: PermissionExportDesktopConnections,
		base:       c.workspace, method: http.MethodGet, path: "/v3/" + c.projectID + "/desktops/connections/export",
		query: url.Values{
			"start_time": {from.UTC().Format(apiTime)}, "end_time": {to.UTC().Format(apiTime)}, "language": {language},
		},
	})
}
