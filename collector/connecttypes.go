package collector

import "github.com/workspace-exporter/workspace_exporter/internal/record"

const connectType Label = "connect_type"

var (
	connectTypeAttempts = &Metric{Name: "workspace_connect_type_login_attempts_total", Type: Counter, Labels: []Label{connectType},
		Help: "Login attempts by what was connected to: shared_desktop, application, or another value as the API has it."}
	connectTypeFailures = &Metric{Name: "workspace_connect_type_login_failures_total", Type: Counter, Labels: []Label{connectType, failedCode},
		Help: "Failed login attempts by what was connected to and the failure code."}
)

// newConnectTypes counts logins by whether they are to a desktop or to an application.
func newConnectTypes(f *families, _ Options) aggregator {
	return newBreakdown(f, connectTypeAttempts, connectTypeFailures, func(labels []pair, l *record.Login) []pair {
		return append(labels, connectType.is(l.ConnectType))
	})
}
