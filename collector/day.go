package collector

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// A day is as many quarters of an hour as the landing page draws, the one that has
// just begun included.
const (
	QuarterLength = 15 * time.Minute
	DayQuarters   = int64(24 * time.Hour / QuarterLength)
)

// Quarter is what was counted of a quarter of an hour, by the records' own times.
type Quarter struct {
	Start              time.Time
	Attempts, Failures int64
}

// Day is what was counted of the last day, as of the last commit: for the landing page. An
// accumulator of logins fills it, see Options.Day. It may be read concurrently.
type Day struct {
	quarters atomic.Pointer[[]Quarter]
}

// Quarters are in the order of time: one that is not there was not read. They are nil until
// the source has ended its first poll, and for ever if it has no logins.
func (d *Day) Quarters() []Quarter {
	if quarters := d.quarters.Load(); quarters != nil {
		return *quarters
	}
	return nil
}

// dayCounts counts the attempts and failures of the last day. It knows the quarters that
// were read, also those in which nothing happened: what it does not know is no zero.
type dayCounts struct {
	published *Day              // may be nil
	quarters  map[int64]Quarter // by number
	changed   map[int64]bool
}

func newDayCounts(_ *families, o Options) aggregator {
	return &dayCounts{published: o.Day, quarters: map[int64]Quarter{}, changed: map[int64]bool{}}
}

// quarterOf is the number of the quarter that a time is in.
func quarterOf(t time.Time) int64 { return t.Unix() / int64(QuarterLength/time.Second) }

// read takes note of the time that a batch is of.
func (d *dayCounts) read(b *record.Batch) {
	if b.Reread {
		return // it looks for single records of times that were read before
	}
	first := max(quarterOf(b.From), quarterOf(b.Now)-DayQuarters+1)
	for n := first; n <= min(quarterOf(b.To), quarterOf(b.Now)); n++ {
		d.add(n, 0, 0)
	}
}

func (d *dayCounts) observe(e *ledger.Event) {
	if !e.Attempt && e.FailedCode == "" {
		return
	}
	at := e.Login.Time()
	if at.IsZero() || at.After(e.Now) {
		at = e.Now
	}
	var attempts, failures int64
	if e.Attempt {
		attempts = 1
	}
	if e.FailedCode != "" {
		failures = 1
	}
	d.add(quarterOf(at), attempts, failures)
}

func (d *dayCounts) add(n, attempts, failures int64) {
	q, known := d.quarters[n]
	if known && attempts == 0 && failures == 0 {
		return
	}
	q.Start = time.Unix(n*int64(QuarterLength/time.Second), 0).UTC()
	q.Attempts += attempts
	q.Failures += failures
	d.quarters[n] = q
	d.changed[n] = true
}

// refresh forgets what is older than a day.
func (d *dayCounts) refresh(now time.Time, _ *ledger.Ledger) {
	for n := range d.quarters {
		if n <= quarterOf(now)-DayQuarters {
			delete(d.quarters, n)
			d.changed[n] = true
		}
	}
}

func (d *dayCounts) publish() {
	if d.published == nil {
		return
	}
	list := make([]Quarter, 0, len(d.quarters))
	for _, n := range slices.Sorted(maps.Keys(d.quarters)) {
		list = append(list, d.quarters[n])
	}
	d.published.quarters.Store(&list)
}

const quartersTable = "quarters"

func (d *dayCounts) tables() []table {
	return []table{{name: quartersTable, load: d.load, save: d.save}}
}

func (d *dayCounts) load(key, value []byte) error {
	if len(key) != 8 {
		return errKey
	}
	r := store.ReadRow(value)
	attempts, failures := int64(r.Uint()), int64(r.Uint())
	n := int64(binary.BigEndian.Uint64(key))
	d.add(n, attempts, failures)
	delete(d.changed, n)
	return r.Err()
}

func (d *dayCounts) save(changes *store.Changes) {
	for n := range d.changed {
		key := binary.BigEndian.AppendUint64(nil, uint64(n))
		q, known := d.quarters[n]
		if !known {
			changes.Delete(quartersTable, key)
			continue
		}
		var row store.Row
		row.Uint(uint64(q.Attempts))
		row.Uint(uint64(q.Failures))
		changes.Put(quartersTable, key, row)
	}
	clear(d.changed)
}
