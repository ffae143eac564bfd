package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// What a user needs for export tasks.
const (
	PermissionListExportTasks   = "workspace:tenants:listExportTasks"
	PermissionDownloadExport    = "workspace:tenants:exportData"
	PermissionDeleteExportTasks = "workspace:tenants:deleteExportTasks"
)

// The words for the status of an export task. There may be more.
const (
	TaskCreating = "CREATING"
	TaskSuccess  = "SUCCESS"
	TaskFail     = "FAIL"
	TaskExpired  = "EXPIRED"
)

// ExportTask is the state of an export task. All texts are cleaned, as in Error.
type ExportTask struct {
	ID         string
	Status     string // upper case
	FailReason string // of a failed task
	Code       string // error_code of a failed task
}

// ErrNoTask is when no host knows an export task: it is quite new, or has been
// deleted.
var ErrNoTask = errors.New("the export task is not in the list of tasks")

// plainID is an id that can stand in a path and in a log.
var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// createTask sends a call that creates an export task, once, and returns its id.
func (c *Client) createTask(ctx context.Context, k call) (string, error) {
	var id string
	k.auth, k.sendOnce = c.auth, true
	k.decode = func(_ http.Header, body io.Reader) (err error) {
		id, err = decodeTaskID(body)
		return err
	}
	if err := c.do(ctx, k); err != nil {
		return "", err
	}
	return id, nil
}

func decodeTaskID(r io.Reader) (id string, err error) {
	var body bytes.Buffer
	if _, err := body.ReadFrom(r); err != nil {
		return "", err
	}
	d := jsontext.NewDecoder(&body, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	err = eachMember(d, func(name string) error {
		if name != "task_id" || d.PeekKind() != '"' {
			return d.SkipValue()
		}
		token, err := d.ReadToken()
		id = token.String()
		return err
	})
	if err == nil && !plainID.MatchString(id) {
		err = errors.New(`the answer has no "task_id" that can be one`)
	}
	return id, err
}

// ExportTask returns the state of an export task (permission
// PermissionListExportTasks), or ErrNoTask. Any other error is an *Error.
//
// Which host lists the tasks of application streaming, the API's pages do not say:
// the one that does is found out, and remembered until the task is deleted.
func (c *Client) ExportTask(ctx context.Context, id string) (ExportTask, error) {
	missing := ErrNoTask
	for i, base := range c.taskHosts(id) {
		task, err := c.taskAt(ctx, base, id)
		var failed *Error
		switch {
		case err == nil:
			c.tasks.Store(id, base)
			return task, nil
		case errors.Is(err, ErrNoTask):
		case errors.As(err, &failed) && (failed.Status == http.StatusNotFound || i > 0 && failed.Status == http.StatusForbidden):
			missing = fmt.Errorf("%w: %w", ErrNoTask, err) // this host has no such list
		default:
			return task, err
		}
	}
	return ExportTask{}, missing
}

// CheckExportTasks lists export tasks, and returns why no host does. It changes nothing.
func (c *Client) CheckExportTasks(ctx context.Context) error {
	var first error
	for _, base := range c.taskHosts("") {
		_, err := c.listedTask(ctx, base, url.Values{"limit": {"1"}})
		if err == nil || errors.Is(err, ErrNoTask) { // it has listed them
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// taskAt looks for a task on a host. A list without the filter is_download has only
// tasks that were not downloaded yet.
func (c *Client) taskAt(ctx context.Context, base *url.URL, id string) (ExportTask, error) {
	query := url.Values{"task_id": {id}, "limit": {"100"}}
	task, err := c.listedTask(ctx, base, query)
	if errors.Is(err, ErrNoTask) {
		query.Set("is_download", "true")
		task, err = c.listedTask(ctx, base, query)
	}
	return task, err
}

// taskHosts are the hosts that may know a task.
func (c *Client) taskHosts(id string) []*url.URL {
	if base, ok := c.tasks.Load(id); ok {
		return []*url.URL{base.(*url.URL)}
	}
	if *c.workspace == *c.appStream {
		return []*url.URL{c.workspace}
	}
	return []*url.URL{c.workspace, c.appStream}
}

// listedTask asks for the task whose id is in the query.
func (c *Client) listedTask(ctx context.Context, base *url.URL, query url.Values) (ExportTask, error) {
	page, err := getPage[taskItem](ctx, c, call{
		operation:  "ListExportTasks",
		permission: PermissionListExportTasks,
		base:       base, method: http.MethodGet, path: "/v2/" + c.projectID + "/export-tasks",
		query: query,
	}, "count", "export_tasks")
	if err != nil {
		return ExportTask{}, err
	}
	id := query.Get("task_id")
	for _, item := range page.Items {
		if item.id == id {
			return ExportTask{
				ID:         id,
				Status:     strings.ToUpper(cut(c.private.clean(item.status), 32)),
				FailReason: c.private.clean(item.failReason),
				Code:       cut(c.private.clean(item.errorCode), 64),
			}, nil
		}
	}
	return ExportTask{}, ErrNoTask
}

// taskItem is a task as it is listed. Whatever else an answer has is not kept: as a map, it
// would take twenty times the memory.
type taskItem struct{ id, status, failReason, errorCode string }

// UnmarshalJSONFrom reads what is text or a number.
func (t *taskItem) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '{' {
		return d.SkipValue()
	}
	fields := map[string]*string{"task_id": &t.id, "status": &t.status, "fail_reason": &t.failReason, "error_code": &t.errorCode}
	return eachMember(d, func(name string) error {
		field, kind := fields[name], d.PeekKind()
		if field == nil || kind != '"' && kind != '0' {
			return d.SkipValue()
		}
		token, err := d.ReadToken()
		*field = token.String()
		return err
	})
}

// DownloadExport writes the file of a finished export task to a writer (permission
// PermissionDownloadExport): at most limit bytes. Redirects are followed: see
// checkRedirect. The error is an *Error; part of the file may have been written then.
func (c *Client) DownloadExport(ctx context.Context, id string, w io.Writer, limit int64) error {
	return c.atTask(id, func(base *url.URL) error {
		return c.do(ctx, call{
			operation:  "DownloadExportFile",
			permission: PermissionDownloadExport,
			base:       base, method: http.MethodGet, path: "/v2/" + c.projectID + "/export-tasks/" + id + "/download",
			auth: c.auth, file: &file{to: w, limit: limit},
		})
	})
}

// DeleteExportTask deletes a task and its file (permission
// PermissionDeleteExportTasks). The error is an *Error.
func (c *Client) DeleteExportTask(ctx context.Context, id string) error {
	err := c.atTask(id, func(base *url.URL) error {
		return c.do(ctx, call{
			operation:  "DeleteExportTasks",
			permission: PermissionDeleteExportTasks,
			base:       base, method: http.MethodPost, path: "/v2/" + c.projectID + "/export-tasks/batch-delete",
			body: struct {
				IDs []string `json:"task_ids"`
			}{[]string{id}},
			auth: c.auth, decode: func(http.Header, io.Reader) error { return nil },
		})
	})
	c.tasks.Delete(id)
	return err
}

// atTask sends to the hosts that may know a task, until one does.
func (c *Client) atTask(id string, send func(*url.URL) error) error {
	if !plainID.MatchString(id) {
		return fmt.Errorf("%q is not the id of an export task", cut(id, 128))
	}
	var err error
	for _, base := range c.taskHosts(id) {
		var failed *Error
		if err = send(base); !errors.As(err, &failed) || failed.Status != http.StatusNotFound {
			return err
		}
	}
	return err
}
