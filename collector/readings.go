package collector

import (
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
)

// readings counts what became of the records that were read.
type readings struct{ records, invalid, delay *family }

func newReadings(t *tables) *readings {
	return &readings{records: t.family(recordsTotal), invalid: t.family(invalidFields), delay: t.family(recordDelay)}
}

func (r *readings) observe(e *ledger.Event) {
	r.records.add(1, string(e.Disposition))
	for _, name := range e.InvalidFields {
		r.invalid.add(1, name)
	}
	if e.Attempt && !e.Login.Time().IsZero() {
		r.delay.observe(max(0, e.Now.Sub(e.Login.Time())))
	}
}

// refresh lets every disposition begin at 0.
func (r *readings) refresh(time.Time, *ledger.Ledger) {
	for _, d := range ledger.Dispositions {
		r.records.admits(string(d))
	}
}
