package collector

import (
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

var (
	serverAttempts = &Metric{Name: "workspace_server_login_attempts_total", Type: Counter, Labels: []Label{desktopGroup, machineName},
		Help: "Login attempts by server."}
	serverFailures = &Metric{Name: "workspace_server_login_failures_total", Type: Counter, Labels: []Label{desktopGroup, machineName, failedCode},
		Help: "Failed login attempts by server and failure code."}
	openConnections = &Metric{Name: "workspace_server_open_connections", Type: Gauge, Labels: []Label{desktopGroup, machineName},
		Help:     "Connections that started and have not ended, by server, as of the last poll.",
		Headline: "Open connections"}
)

// servers counts logins by server, and shows how many connections each server of which
// a login is known has open.
type servers struct {
	*breakdown
	*openGauge
}

func newServers(f *families, o Options) aggregator {
	if o.Rules.HideMachines {
		return nil
	}
	open := f.of(openConnections)
	b := newBreakdown(f, serverAttempts, serverFailures, func(labels []pair, l *record.Login) []pair {
		return append(labels, desktopGroup.is(l.Group), machineName.is(l.Machine))
	})
	return &servers{b, newOpenGauge(open, b, func(p ledger.Place) []pair { return []pair{desktopGroup.is(p.Group), machineName.is(p.Machine)} })}
}
