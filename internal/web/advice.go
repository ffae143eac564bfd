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

// advice explains a failed poll.
type advice struct {
	What string // what has happened
	Do   string // what to do about it
}

// adviceFor explains a reason and the error behind it. The page shows the error, too;
// docs/runbooks.md has the same reasons.
func adviceFor(reason fetcher.Reason, err error) advice {
	api := &workspace.Error{}
	errors.As(err, &api)
	status := strings.TrimSpace(fmt.Sprintf("%d %s", api.Status, http.StatusText(api.Status)))
	switch reason {
	case fetcher.Unreachable:
		return adviceForNoAnswer(err, api)
	case fetcher.ServerError:
		return advice{"The API reports an error of its own (" + status + ").",
			"Wait: the exporter retries. If this lasts, give the X-Request-Id below to the vendor's support."}
	case fetcher.Throttled:
		return advice{"The API asks for fewer requests.",
			"Nothing yet: the exporter has slowed down. If this lasts, find out what else calls the API for this project, or raise poll_interval."}
	case fetcher.Credentials:
		if errors.Is(err, workspace.ErrCredentials) {
			return advice{"The exporter has no credentials to send.",
				"Fix what the message below names. Secret files are read again at each attempt: no restart is needed."}
		}
		if errors.Is(err, workspace.ErrSignIn) {
			return advice{"IAM does not accept the user or the password.",
				sentence(api.Advice(), "") + " A changed password is tried at once. The same password is tried again only after a while, since IAM locks accounts."}
		}
		return advice{"The API does not accept the credentials.", sentence(api.Advice(), "Check the credentials of this project.")}
	case fetcher.Permission:
		return advice{"A permission is missing.", sentence(api.Advice(), "Check which permissions the owner of the credentials has in this project.")}
	case fetcher.Refused:
		return advice{"The API refuses the request (" + status + ").", sentence(api.Advice(), "Check project_id, region and endpoints of this project.")}
	case fetcher.ExportTask:
		return advice{"An export task of the API failed.",
			"Wait for the next one. If this lasts, raise export_timeout or set mode: query for this source, and ask the vendor's support about the task named below."}
	case fetcher.Clock:
		return advice{"The API's clock is wrong.",
			"Check whether a proxy answers in place of the API. If its clock was ahead and is correct again, wait until the time that it showed."}
	case fetcher.Disk:
		return adviceForDisk(err)
	case fetcher.Storage:
		return adviceForDatabase(err)
	}
	return advice{"The API's answer cannot be read.",
		"Check whether a proxy answers in place of the API. If columns are unknown, name them under columns. If this lasts, report it with the message below."}
}

// adviceForNoAnswer explains why there is no answer, or no whole one.
func adviceForNoAnswer(err error, api *workspace.Error) advice {
	host := api.Host
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &certificate):
		return advice{"The API's certificate is not trusted.", sentence(api.Advice(), "")}
	case errors.As(err, &notTLS):
		return advice{"What answers does not speak TLS.", sentence(api.Advice(), "")}
	case workspace.IsProxyUnreachable(err):
		return advice{"The proxy cannot be reached.", sentence(api.Advice(), "")}
	case errors.As(err, &name):
		return advice{"The API's host name cannot be resolved.", sentence(api.Advice(), "")}
	case errors.Is(err, context.DeadlineExceeded):
		return advice{"The API does not answer in time.",
			"Check network, firewall and proxy between this machine and " + host + ". If the API is only slow, raise request_timeout."}
	}
	return advice{"The API cannot be reached.", "Check network, firewall and proxy between this machine and " + host + "; the doctor command tries one call."}
}

// adviceForDisk explains why nothing can be stored.
func adviceForDisk(err error) advice {
	switch {
	case errors.Is(err, store.ErrDamaged):
		return advice{"The store is damaged.", "Stop the exporter and restore storage.path from a backup, or move it away to start counting again."}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return advice{"The disk is full: nothing can be stored.", "Make room on the disk named below. The exporter then continues."}
	}
	return advice{"The disk cannot be written or read: nothing can be stored.",
		"See the system's log about the disk named below. When it works again, the exporter continues."}
}

// adviceForDatabase explains why nothing can be stored in the database.
func adviceForDatabase(err error) advice {
	switch {
	case errors.Is(err, store.ErrLeaseLost):
		return advice{"Another replica has this project.", "Nothing: this replica stops showing it."}
	case errors.Is(err, store.ErrDamaged):
		return advice{"What is in the database is damaged.", "Stop the exporter and restore the database from a backup, or give another storage.postgres.schema to start counting again."}
	case errors.Is(err, store.ErrRefused):
		return advice{"What is in the database cannot be used by this exporter.", "Do what the message below says."}
	}
	return advice{"The database cannot be used: nothing can be stored.",
		"Nothing yet: the exporter tries again, and then catches up. If this lasts, the doctor command says what is wrong with storage.postgres."}
}

// sentence makes text a sentence. Without a text it returns fallback.
func sentence(text, fallback string) string {
	if text == "" {
		return fallback
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:] + "."
}
