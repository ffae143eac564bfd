package collector

import "github.com/workspace-exporter/workspace_exporter/internal/ledger"

var desktopReconnects = &Metric{Name: "workspace_desktop_reconnects_total", Type: Counter, Labels: []Label{clientType},
	Help: "Successful logins to desktops that take up an earlier connection, each counted once. They are among the login attempts, too."}

// reconnects counts the logins that take up an earlier connection.
type reconnects struct{ family *family }

func newReconnects(f *families, _ Options) aggregator {
	return &reconnects{f.of(desktopReconnects)}
}

func (r *reconnects) observe(e *ledger.Event) {
	if e.Reconnected {
		r.family.add(1, clientType.is(e.Login.ClientType))
	}
}
