package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// trouble is a failed poll in the words of whoever is woken by it.
type trouble struct {
	What string // has happened
	Do   string // about it
}

// explainTrouble tells what a reason, and the error behind it, mean. The error itself
// says the rest; docs/runbooks.md has the same reasons.
func explainTrouble(reason fetcher.Reason, err error) trouble {
	api := &workspace.Error{}
	errors.As(err, &api)
	status := strings.TrimSpace(fmt.Sprintf("%d %s", api.Status, http.StatusText(api.Status)))
	switch reason {
	case fetcher.Unreachable:
		return explainSilence(err, api.Host)
	case fetcher.ServerError:
		return trouble{"The API has trouble of its own (" + status + ").",
			"Wait: the exporter tries again by itself. If this lasts, give the X-Request-Id below to the vendor's support."}
	case fetcher.Throttled:
		return trouble{"The API asks for fewer requests.",
			"Nothing yet: the exporter has slowed down. If this lasts, find out what else calls the API for this project, or raise poll_interval."}
	case fetcher.Credentials:
		if errors.Is(err, workspace.ErrCredentials) {
			return trouble{"The exporter has no credentials to send.",
				"Make readable what is named below. Files with secrets are read again at each attempt: nothing needs a restart."}
		}
		if errors.Is(err, workspace.ErrSignIn) {
			return trouble{"IAM does not accept the user or the password.",
				sentence(api.Advice(), "") + " A changed password is tried at once, the same one again after a while: IAM locks accounts."}
		}
		return trouble{"The API does not accept the credentials.", sentence(api.Advice(), "Check the credentials of this project.")}
	case fetcher.Permission:
		return trouble{"A permission is missing.", sentence(api.Advice(), "Check what the owner of the credentials may do in this project.")}
	case fetcher.Refused:
		return trouble{"The API refuses the request (" + status + ").", sentence(api.Advice(), "Check project_id, region and endpoints of this project.")}
	case fetcher.ExportTask:
		return trouble{"An export task of the API came to nothing.",
			"Wait for the next one. If this lasts, raise export_timeout or set mode: query for this source, and ask the vendor's support about the task named below."}
	case fetcher.Clock:
		return trouble{"The API's clock cannot be believed.",
			"Check whether a proxy answers in place of the API. If its clock was ahead and is right now, wait until the time it showed has come."}
	case fetcher.Disk:
		return explainDisk(err)
	}
	return trouble{"What the API gave cannot be read.",
		"Check whether a proxy answers in its place. For unknown columns, name them in columns. If this lasts, report it with the message below."}
}

// explainSilence tells why no whole answer came.
func explainSilence(err error, host string) trouble {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		return trouble{"The API's certificate is not trusted.",
			"Check the endpoint " + host + " and this machine's clock. If a proxy opens TLS on the way, name its CA in tls_config: {ca_file: ..}."}
	case errors.As(err, &name):
		return trouble{"The API's host name cannot be resolved.", "Check the name server of this machine, and the endpoint " + host + "."}
	case errors.Is(err, context.DeadlineExceeded):
		return trouble{"The API does not answer in time.",
			"Check network, firewall and proxy between this machine and " + host + ". If the API is only slow, raise request_timeout."}
	}
	return trouble{"The API cannot be reached.", "Check network, firewall and proxy between this machine and " + host + "; the doctor command tries one call."}
}

// explainDisk tells why nothing can be kept.
func explainDisk(err error) trouble {
	switch {
	case errors.Is(err, store.ErrDamaged):
		return trouble{"The store is damaged.", "Stop the exporter and restore storage.path from a backup, or move it away to start counting anew."}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return trouble{"The disk is full: what is read cannot be kept.", "Make room on the disk named below. The exporter goes on by itself."}
	}
	return trouble{"The disk cannot be written or read: what is read cannot be kept.",
		"See what the system's log says of the disk named below. When it works again, the exporter goes on by itself."}
}

// sentence makes one of text, or is otherwise if there is none.
func sentence(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:] + "."
}
