package collector

import (
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

var (
	serverAttempts = &Metric{Name: "workspace_server_login_attempts_total", Type: Counter, Labels: []Label{desktopGroup, machineName},
		Help: "Login attempts by server."}
	serverFailures = &Metric{Name: "workspace_server_login_failures_total", Type: Counter, Labels: []Label{desktopGroup, machineName, failedCode},
		Help: "Failed login attempts by server and failure code."}
	openConnections = &Metric{Name: "workspace_server_open_connections", Type: Gauge, Labels: []Label{desktopGroup, machineName},
		Help: "Connections that started and have not ended, by server, as of the last poll."}
)

// servers counts logins by server, and shows how many connections each server of which
// a login is known has open.
type servers struct {
	*breakdown
	open *family
}

func newServers(f *families, o Options) aggregator {
	if o.Rules.HideMachines {
		return nil
	}
	return &servers{open: f.of(openConnections), breakdown: newBreakdown(f, serverAttempts, serverFailures, func(l *record.Login) []pair {
		return []pair{desktopGroup.is(l.Group), machineName.is(l.Machine)}
	})}
}

func (s *servers) refresh(_ time.Time, l *ledger.Ledger) {
	s.open.recount(func(add adder) {
		for _, known := range s.attempts.series {
			add(0, s.attempts.pairs(known)...)
		}
		for place, n := range l.OpenConnections() {
			labels := []pair{desktopGroup.is(place.Group), machineName.is(place.Machine)}
			if s.attempts.find(labels...) == nil {
				fold(labels)
			}
			add(n, labels...)
		}
	})
}
