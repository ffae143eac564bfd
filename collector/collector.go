// Package collector turns what the ledger reports into metrics: one aggregator per
// file, and one list, below, that names them all.
//
// An Accumulator holds what one source has counted: it commits ledger, counters and
// cursor together, and only then publishes the new values. A scrape reads what was
// published last and nothing else.
package collector

import (
	"slices"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// Kind is the kind of the records that a source has. It selects its aggregators.
type Kind int

// The kinds of records.
const (
	Logins Kind = iota
	DesktopLogins
	Sessions
	AccessStatistics
	Servers
	DesktopNumbers
	AppLaunches
)

var (
	anyLogins = []Kind{Logins, DesktopLogins}
	launches  = []Kind{AppLaunches}
	anyKind   = []Kind{Logins, DesktopLogins, Sessions, AccessStatistics, Servers, DesktopNumbers, AppLaunches}
)

// aggregators names every aggregator, and the kinds of records that feed it. They are
// called in this order: a later one may rely on the series that an earlier one made.
// CONTRIBUTING.md says how to add a metric or a label.
var aggregators = []registration{
	{newLoginCounts, anyLogins},
	{newClients, anyLogins},
	{newClientVersions, anyLogins},
	{newServers, anyLogins},
	{newDurations, anyLogins},
	{newLoginUsers, anyLogins},
	{newLoginFailureCodes, anyLogins},
	{newConnectionPeaks, anyLogins},
	{newConnectTypes, []Kind{Logins}},
	{newRoundTrips, []Kind{DesktopLogins}},
	{newReconnects, []Kind{DesktopLogins}},
	{newServerSessions, []Kind{Sessions}},
	{newDisconnected, []Kind{Sessions}},
	{newDisconnectedUndated, []Kind{Sessions}},
	{newSessionFailures, []Kind{Sessions}},
	{newAccesses, []Kind{AccessStatistics}},
	{newFleet, []Kind{Servers}},
	{newUnreadableServers, []Kind{Servers}},
	{newDesktopNumbers, []Kind{DesktopNumbers}},
	{newUnreadableDesktopNumbers, []Kind{DesktopNumbers}},
	{newApps, launches},
	{newAppUsers, launches},
	{newAppFailureCodes, launches},
	{newStages, []Kind{DesktopLogins, AppLaunches}},
	{newBatchStats, anyKind},
	{newDayCounts, slices.Concat(anyLogins, launches)},
}

type registration struct {
	new   func(*families, Options) aggregator // returns nil if the options turn it off
	kinds []Kind
}

// Metrics lists every metric that comes from records.
var Metrics = metricsOf(anyKind)

func metricsOf(kinds []Kind) []*Metric {
	f := &families{options: &Options{}}
	for _, kind := range kinds {
		f.aggregators(kind)
	}
	metrics := make([]*Metric, len(f.list))
	for i, family := range f.list {
		metrics[i] = family.Metric
	}
	return metrics
}

// aggregator computes the values of its families. It implements those of the following
// interfaces that it needs.
type aggregator any

// batchReader looks at each batch as a whole, before any event.
type batchReader interface {
	read(b *record.Batch)
}

// observer takes each event of the ledger.
type observer interface {
	observe(e *ledger.Event)
}

// refresher has something to do after each batch.
type refresher interface {
	refresh(now time.Time, l *ledger.Ledger)
}

// keeper has rows of its own in the store.
type keeper interface {
	tables() []table
}

// publisher publishes something beside its metrics, after each commit.
type publisher interface {
	publish()
}

// table is what an aggregator stores, beside its counters. Its rows are committed
// together with those of the ledger.
type table struct {
	name string
	// ofProject means that rows are void under another project_id.
	ofProject bool
	load      func(key, value []byte) error
	save      func(*store.Changes) // adds what has changed since it was last called
}

// aggregatorSet holds the aggregators of one source by what they do.
type aggregatorSet struct {
	all        []aggregator
	readers    []batchReader
	observers  []observer
	refreshers []refresher
	publishers []publisher
	tables     []table
	stages     *stages // nil if the kind has none
}

// aggregators makes the aggregators of a kind of records.
func (f *families) aggregators(kind Kind) *aggregatorSet {
	s := &aggregatorSet{}
	for _, a := range aggregators {
		if slices.Contains(a.kinds, kind) {
			if a := a.new(f, *f.options); a != nil {
				s.add(a)
			}
		}
	}
	return s
}

func (s *aggregatorSet) add(a aggregator) {
	s.all = append(s.all, a)
	if r, ok := a.(batchReader); ok {
		s.readers = append(s.readers, r)
	}
	if o, ok := a.(observer); ok {
		s.observers = append(s.observers, o)
	}
	if r, ok := a.(refresher); ok {
		s.refreshers = append(s.refreshers, r)
	}
	if p, ok := a.(publisher); ok {
		s.publishers = append(s.publishers, p)
	}
	if st, ok := a.(*stages); ok {
		s.stages = st
	}
	if k, ok := a.(keeper); ok {
		s.tables = append(s.tables, k.tables()...)
	}
}

func (s *aggregatorSet) observe(e *ledger.Event) {
	for _, o := range s.observers {
		o.observe(e)
	}
}

func (s *aggregatorSet) refresh(now time.Time, l *ledger.Ledger) {
	for _, r := range s.refreshers {
		r.refresh(now, l)
	}
}

// table finds a table by its name.
func (s *aggregatorSet) table(name string) (table, bool) {
	i := slices.IndexFunc(s.tables, func(t table) bool { return t.name == name })
	if i < 0 {
		return table{}, false
	}
	return s.tables[i], true
}
