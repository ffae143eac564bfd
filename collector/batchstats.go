package collector

import (
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
)

// batchStats counts what became of the records that were read.
type batchStats struct{ records, invalid, delay *family }

func newBatchStats(t *families) *batchStats {
	return &batchStats{records: t.family(recordsTotal), invalid: t.family(invalidFields), delay: t.family(recordDelay)}
}

func (r *batchStats) observe(e *ledger.Event) {
	r.add(e.Disposition, e.InvalidFields)
	if e.Attempt {
		r.delayed(e.Login.Time(), e.Now)
	}
}

func (r *batchStats) add(d ledger.Disposition, invalidFields []string) {
	r.records.add(1, disposition.is(string(d)))
	for _, name := range invalidFields {
		r.invalid.add(1, fieldName.is(name))
	}
}

// delayed observes how long after its own time a record is counted.
func (r *batchStats) delayed(at, now time.Time) {
	if !at.IsZero() {
		r.delay.observe(max(0, now.Sub(at)))
	}
}

// refresh lets every disposition begin at 0.
func (r *batchStats) refresh(time.Time, *ledger.Ledger) {
	for _, d := range ledger.Dispositions {
		r.records.admits(disposition.is(string(d)))
	}
}
