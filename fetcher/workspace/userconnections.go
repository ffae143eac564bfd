package workspace

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// apiTime is how the API wants times, in UTC.
const apiTime = "2006-01-02T15:04:05Z"

// PermissionListUserConnections is what a user needs to list login records.
const PermissionListUserConnections = "workspace:session:listUserConnection"

// UserConnectionQuery asks for the login records of a window. From and To are cut
// to seconds. Whether the window includes its ends, and by which time of a record
// it selects, the API does not say.
type UserConnectionQuery struct {
	From, To time.Time
	Limit    int // 1 to 100
	Offset   int
}

// UserConnectionPage is one page of login records, in no known order.
type UserConnectionPage struct {
	Count int // records in the window, on all pages; -1 if the answer does not say
	Items []record.UserConnection
}

// ListUserConnections gets one page of login records (system S1, permission
// PermissionListUserConnections). The error is an *Error; no part of a page
// that could not be read whole is returned.
func (c *Client) ListUserConnections(ctx context.Context, q UserConnectionQuery) (*UserConnectionPage, error) {
	var page UserConnectionPage
	err := c.do(ctx, call{
		operation:  "ListUserConnection",
		permission: PermissionListUserConnections,
		base:       c.appStream, method: http.MethodPost, path: "/v1/" + c.projectID + "/session/user-connection",
		query: url.Values{"limit": {strconv.Itoa(q.Limit)}, "offset": {strconv.Itoa(q.Offset)}},
		body: struct {
			From string `json:"login_start_time"`
			To   string `json:"login_end_time"`
		}{q.From.UTC().Format(apiTime), q.To.UTC().Format(apiTime)},
		auth: c.auth,
		decode: func(_ http.Header, body io.Reader) (err error) {
			page.Count, page.Items, err = decodePage[record.UserConnection](body, "count", "items")
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	return &page, nil
}
