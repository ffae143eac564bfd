package collector

import "github.com/workspace-exporter/workspace_exporter/internal/record"

var (
	clientAttempts = &Metric{Name: "workspace_client_login_attempts_total", Type: Counter, Labels: []Label{clientType, agentVersion},
		Help: "Login attempts by the client's operating system and the server's agent version."}
	clientFailures = &Metric{Name: "workspace_client_login_failures_total", Type: Counter, Labels: []Label{clientType, agentVersion, failedCode},
		Help: "Failed login attempts by the client's operating system, the server's agent version and the failure code."}
)

// newClients counts logins by the client's operating system and the server's agent.
func newClients(f *families, _ Options) aggregator {
	return newBreakdown(f, clientAttempts, clientFailures, func(labels []pair, l *record.Login) []pair {
		return append(labels, clientType.is(l.ClientType), agentVersion.is(l.AgentVersion))
	})
}
