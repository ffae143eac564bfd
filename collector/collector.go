// Package collector turns what the ledger says into metrics: one aggregator per
// file, and one list, below, that names them all.
//
// An Accumulator holds all of one source: it commits ledger, counters and cursor together,
// and only then shows the new values. A scrape reads what was shown last and
// nothing else.
package collector

import (
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// aggregator turns events into the values of its families.
type aggregator interface {
	observe(e *ledger.Event)
}

// refresher is an aggregator that has something to do after each batch.
type refresher interface {
	refresh(now time.Time, l *ledger.Ledger)
}

// keeper is an aggregator with rows of its own in the store.
type keeper interface {
	table() string
	load(key, value []byte) error
	save(changes *store.Changes)
}

// batchReader is an aggregator that looks at a batch as a whole, before any event.
type batchReader interface {
	read(r *record.Batch)
}

// Kind is what a source tells of.
type Kind int

// The kinds of sources.
const (
	Logins Kind = iota
	DesktopLogins
	Sessions
	AccessStatistics
)

// aggregators lists what each kind of source is turned into. Their order is that of
// the calls: the later ones may rely on the series that the earlier ones made.
var aggregators = map[Kind]func(*families, Options) []aggregator{
	Logins:        ofLogins,
	DesktopLogins: func(t *families, o Options) []aggregator { return append(ofLogins(t, o), newRoundTrips(t)) },
	Sessions: func(t *families, _ Options) []aggregator {
		return []aggregator{newSessions(t, newBatchStats(t)), newOnServers(t)}
	},
	AccessStatistics: func(t *families, _ Options) []aggregator { return []aggregator{newAccesses(t, newBatchStats(t))} },
}

func ofLogins(t *families, o Options) []aggregator {
	logins, reasons := newLogins(t), newReasons(t)
	list := []aggregator{
		logins,
		newBreakdown(t, clientAttempts, clientFailures, byClient),
		newBreakdown(t, versionAttempts, versionFailures, byClientVersion),
		newDurations(t),
		newUserWindows(t, o.UserWindows, logins),
		reasons, reasonCounts{reasons},
		newBatchStats(t),
		newDay(),
	}
	if !o.Rules.HideMachines {
		list = append(list, newConnections(t, newBreakdown(t, serverAttempts, serverFailures, byServer)))
	}
	return list
}
