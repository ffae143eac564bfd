package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Operation describes a call of the API for the records of a window.
type Operation struct {
	Name       string // as the vendor's SDK has it; in metrics and errors
	Permission string // what a user needs for it: an action of IAM
	Endpoint   Endpoint
	Method     string
	Path       string // {project_id} stands for the id
	// Window says how the call takes its window: in the body of a POST, in the query of a GET.
	Window WindowParams
	Query  url.Values // whatever else is asked
}

// WindowParams are the parameters for the two ends of a window. Without names a call
// takes no window.
type WindowParams struct {
	From, To string
	Layout   Layout
}

// Layout is how a call wants times, in UTC. They are cut to its unit.
type Layout string

// The layouts that the API has.
const (
	Seconds      Layout = "2006-01-02T15:04:05Z"
	Milliseconds Layout = "2006-01-02T15:04:05.000Z"
	// Minutes rounds the end of a window up, so that it holds all of the one asked for.
	Minutes Layout = "2006-01-02T15:04Z"
)

func (l Layout) format(from, to time.Time) (string, string) {
	if l == Minutes {
		if last := to.Truncate(time.Minute); last.Before(to) {
			to = last.Add(time.Minute)
		}
	}
	return from.UTC().Format(string(l)), to.UTC().Format(string(l))
}

// With is the operation with one more parameter in its query.
func (o Operation) With(name, value string) Operation {
	query := maps.Clone(o.Query)
	if query == nil {
		query = url.Values{}
	}
	query.Set(name, value)
	o.Query = query
	return o
}

// At is the operation with an id in its path. It is not ok if that is no id.
func (o Operation) At(name, id string) (at Operation, ok bool) {
	o.Path = strings.ReplaceAll(o.Path, "{"+name+"}", id)
	return o, plainID.MatchString(id)
}

// call is the operation for a window.
func (o *Operation) call(c *Client, from, to time.Time) call {
	k := call{operation: o.Name, permission: o.Permission, base: c.base(o.Endpoint), method: o.Method,
		path: strings.ReplaceAll(o.Path, "{project_id}", c.projectID), query: url.Values{}, auth: c.auth}
	maps.Copy(k.query, o.Query)
	if o.Window.From == "" {
		return k
	}
	first, last := o.Window.Layout.format(from, to)
	if o.Method == http.MethodPost {
		k.body = jsontext.Value(fmt.Sprintf("{%q:%q,%q:%q}", o.Window.From, first, o.Window.To, last))
		return k
	}
	k.query.Set(o.Window.From, first)
	k.query.Set(o.Window.To, last)
	return k
}

// List describes a call that lists records of a window by pages.
type List[T any] struct {
	Operation
	Count, Items string // the keys of an answer
	Limit        int    // the most records in one page
}

// Page gets one page. The error is an *Error; no part of a page that could not be read
// whole is returned.
func (l *List[T]) Page(ctx context.Context, c *Client, q PageQuery) (*Page[T], error) {
	k := l.call(c, q.From, q.To)
	maps.Copy(k.query, q.values())
	return getPage[T](ctx, c, k, l.Count, l.Items)
}

// Get sends an operation without a window, and reads the answer, one JSON object, into T. How
// much of it is tolerated is up to T. The error is an *Error.
func Get[T any](ctx context.Context, c *Client, o *Operation) (answer T, err error) {
	k := o.call(c, time.Time{}, time.Time{})
	k.decode = func(_ http.Header, body io.Reader) (err error) {
		answer, err = decodeObject[T](body)
		return err
	}
	err = c.do(ctx, k)
	return answer, err
}

func decodeObject[T any](r io.Reader) (answer T, err error) {
	var body bytes.Buffer // whole: see decodePage
	if _, err := body.ReadFrom(r); err != nil {
		return answer, err
	}
	d := jsontext.NewDecoder(&body, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	switch kind := d.PeekKind(); {
	case kind == '{':
		err = json.UnmarshalDecode(d, &answer)
	default:
		if _, err = d.ReadToken(); errors.Is(err, io.EOF) {
			err = errEmpty
		} else if err == nil {
			err = errNoObject
		}
	}
	if err == nil {
		err = atEnd(d)
	}
	return answer, err
}

// CreateExportTask creates an export task for the records of a window, and returns its
// id. The error is an *Error.
func (c *Client) CreateExportTask(ctx context.Context, o *Operation, from, to time.Time) (string, error) {
	return c.createTask(ctx, o.call(c, from, to))
}

// DownloadFile writes the file that a call answers with: at most limit bytes. The error
// is an *Error; part of the file may have been written then.
func (c *Client) DownloadFile(ctx context.Context, o *Operation, from, to time.Time, w io.Writer, limit int64) error {
	k := o.call(c, from, to)
	k.file = &file{to: w, limit: limit}
	return c.do(ctx, k)
}
