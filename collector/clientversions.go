package collector

import "github.com/workspace-exporter/workspace_exporter/internal/record"

const clientVersion Label = "client_version"

var (
	versionAttempts = &Metric{Name: "workspace_client_version_login_attempts_total", Type: Counter, Labels: []Label{clientType, clientVersion},
		Help: "Login attempts by the client's operating system and version."}
	versionFailures = &Metric{Name: "workspace_client_version_login_failures_total", Type: Counter, Labels: []Label{clientType, clientVersion, failedCode},
		Help: "Failed login attempts by the client's operating system, its version and the failure code."}
)

// newClientVersions counts logins by the client's operating system and version.
func newClientVersions(f *families, _ Options) aggregator {
	return newBreakdown(f, versionAttempts, versionFailures, func(labels []pair, l *record.Login) []pair {
		return append(labels, clientType.is(l.ClientType), clientVersion.is(l.ClientVersion))
	})
}
