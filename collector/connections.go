package collector

import (
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
)

// connections counts attempts and failures by server, and shows how many connections
// each server of which a login is known has open.
type connections struct {
	*breakdown
	open *family
}

func newConnections(t *tables, servers *breakdown) *connections {
	return &connections{breakdown: servers, open: t.volatileFamily(openConnections)}
}

func (c *connections) refresh(_ time.Time, l *ledger.Ledger) {
	c.open.recount(func(add func(int64, ...string)) {
		for _, s := range c.attempts.series {
			add(0, s.values...)
		}
		for place, n := range l.OpenConnections() {
			if c.attempts.find([]string{place.Group, place.Machine}) == nil {
				place = ledger.Place{Group: other, Machine: other}
			}
			add(n, place.Group, place.Machine)
		}
	})
}
