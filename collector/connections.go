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

func newConnections(t *families, servers *breakdown) *connections {
	return &connections{breakdown: servers, open: t.volatileFamily(openConnections)}
}

func (c *connections) refresh(_ time.Time, l *ledger.Ledger) {
	c.open.recount(func(add func(int64, ...pair)) {
		for _, s := range c.attempts.series {
			add(0, c.attempts.pairs(s)...)
		}
		for place, n := range l.OpenConnections() {
			labels := []pair{desktopGroup.is(place.Group), machineName.is(place.Machine)}
			if c.attempts.find(labels...) == nil {
				fold(labels)
			}
			add(n, labels...)
		}
	})
}
