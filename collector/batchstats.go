package collector

import (
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

const (
	disposition Label = "disposition"
	fieldName   Label = "field"
)

var (
	recordsTotal = &Metric{Name: "workspace_exporter_records_total", Type: Counter, Labels: []Label{disposition}, AboutSource: true,
		Help: "Readings of records by outcome: counted, pending (new, without an outcome yet), expired (none within pending_timeout: counted as a failure), reclassified (a counted success that became a failure), updated (known, and changed), duplicate (known, and unchanged), invalid (not an object), given_up (too many are unfinished: no end is looked for), forgotten (not counted: older than its window, so that it may have been counted before). A record is read in every poll while it is within the lookback."}
	invalidFields = &Metric{Name: "workspace_exporter_invalid_fields_total", Type: Counter, Labels: []Label{fieldName}, AboutSource: true,
		Help: "Fields that could not be read and were treated as missing, once per record. login_duration and session_duration stand for times in the wrong order."}
	recordDelay = &Metric{Name: "workspace_exporter_record_delay_seconds", Type: Histogram, AboutSource: true,
		Buckets: []float64{1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 86400},
		Help:    "Delay from the time of a record until it is counted."}
)

// batchStats counts what became of the records that were read.
type batchStats struct{ records, invalid, delay *family }

func newBatchStats(f *families, _ Options) aggregator { return batchStatsOf(f) }

// batchStatsOf is for aggregators that count records of which the ledger knows nothing.
func batchStatsOf(f *families) *batchStats {
	return &batchStats{records: f.of(recordsTotal), invalid: f.of(invalidFields), delay: f.of(recordDelay)}
}

func (s *batchStats) observe(e *ledger.Event) {
	s.add(e.Disposition, e.InvalidFields)
	if e.Attempt {
		s.delayed(e.Login.Time(), e.Now)
	}
}

func (s *batchStats) add(d ledger.Disposition, invalidFields []string) {
	s.records.add(1, disposition.is(string(d)))
	for _, name := range invalidFields {
		s.invalid.add(1, fieldName.is(name))
	}
}

// delayed observes how long after its own time a record is counted.
func (s *batchStats) delayed(at, now time.Time) {
	if !at.IsZero() {
		s.delay.observe(max(0, now.Sub(at)))
	}
}

// refresh lets every disposition begin at 0.
func (s *batchStats) refresh(time.Time, *ledger.Ledger) {
	for _, d := range ledger.Dispositions {
		s.records.admits(disposition.is(string(d)))
	}
}

// unreadable counts what could not be read in a list that is read whole again and again: once
// for as long as it stays so.
type unreadable struct {
	stats *batchStats
	each  func(*record.Batch, func(key string, malformed bool, invalid []string))
	known map[string]bool
}

func newUnreadable(f *families, each func(*record.Batch, func(key string, malformed bool, invalid []string))) aggregator {
	return &unreadable{stats: batchStatsOf(f), each: each}
}

func (u *unreadable) read(b *record.Batch) {
	found := map[string]bool{}
	u.each(b, func(key string, malformed bool, invalid []string) {
		if malformed {
			if found[key] = true; !u.known[key] {
				u.stats.add(ledger.Invalid, nil)
			}
		}
		for _, name := range invalid {
			if found[key+name] = true; !u.known[key+name] {
				u.stats.invalid.add(1, fieldName.is(name))
			}
		}
	})
	u.known = found
}
