package fetcher

import (
	"context"
	"errors"
	"io/fs"
	"net/http"

	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
)

// Reason is why a poll failed, in one word. docs/runbooks.md says what to do about each.
type Reason = string

// The reasons.
const (
	Unreachable Reason = "unreachable"  // no answer came, or not to its end
	ServerError Reason = "server_error" // the API answers with an error of its own
	Throttled   Reason = "throttled"    // the API answers that there are too many requests
	Credentials Reason = "credentials"  // they are refused, or cannot be read
	Permission  Reason = "permission"   // they are good, and may not do this
	Refused     Reason = "refused"      // any other answer that is an error
	ExportTask  Reason = "export_task"  // an export task came to nothing
	Unreadable  Reason = "unreadable"   // an answer or a file means nothing, or a list never held still
	Clock       Reason = "clock"        // the server's clock cannot be believed
	Disk        Reason = "disk"         // the store or a temporary file could not be written or read
	Storage     Reason = "storage"      // the store's database could not be written or read
)

// Reasons lists all of them.
var Reasons = []Reason{Unreachable, ServerError, Throttled, Credentials, Permission, Refused, ExportTask, Unreadable, Clock, Disk, Storage}

// reasonError is an error whose reason its text alone would not tell.
type reasonError struct {
	error
	reason Reason
}

func (e reasonError) Unwrap() error { return e.error }

// databaseError is an error of a store that is in a database.
type databaseError interface {
	error
	OfDatabase()
}

// ofStore is an error of the store, with its reason.
func ofStore(err error) error {
	var database databaseError
	if errors.As(err, &database) {
		return reasonError{err, Storage}
	}
	return reasonError{err, Disk}
}

// reasonOf is the reason of an error; empty if there is none.
func reasonOf(err error) Reason {
	var known reasonError
	var database databaseError
	var file *fs.PathError
	var task *export.TaskError
	var api *workspace.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &known):
		return known.reason
	case errors.As(err, &database):
		return Storage
	case errors.Is(err, workspace.ErrCredentials), errors.Is(err, workspace.ErrSignIn): // before Disk: they may be in a file
		return Credentials
	case errors.As(err, &file):
		return Disk
	case errors.As(err, &task):
		return ExportTask
	case errors.As(err, &api):
		return reasonOfAnswer(api)
	}
	return Unreadable
}

func reasonOfAnswer(e *workspace.Error) Reason {
	switch {
	case e.Status == http.StatusUnauthorized:
		return Credentials
	case e.Throttled():
		return Throttled
	case e.Status == http.StatusForbidden:
		return Permission
	case e.Status == 0, e.Status/100 == 2 && (errors.Is(e, context.DeadlineExceeded) || errors.Is(e, workspace.ErrCut)):
		return Unreachable
	case e.Status/100 == 2:
		return Unreadable
	case e.Status >= 500:
		return ServerError
	}
	return Refused
}
