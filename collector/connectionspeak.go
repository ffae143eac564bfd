package collector

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

var connectionsPeak = &Metric{Name: "workspace_connections_peak", Type: Gauge, Labels: []Label{windowName},
	Help: "Most connections open at once within the window before the last poll, from their starts and ends."}

// connectionPeaks finds the most connections that were open at once in sliding windows over
// the records' own times. It keeps at which times how many connections started and ended,
// and no longer than the longest window: what came before follows from the number that the
// ledger knows to be open. So an error, as after a release that did not keep the times,
// lasts no longer than the windows.
type connectionPeaks struct {
	peak    *family
	windows []Window
	longest time.Duration

	steps   []step  // in the order of time, each time once
	sum     int64   // of all steps
	added   []step  // since the last refresh
	changed []int64 // when the steps have changed that are to be saved
}

// step is by how much the number of open connections grew at a time.
type step struct {
	at, n int64 // Unix milliseconds; starts less ends
}

func compareSteps(a, b step) int { return cmp.Compare(a.at, b.at) }

func newConnectionPeaks(f *families, o Options) aggregator {
	c := &connectionPeaks{peak: f.of(connectionsPeak), windows: o.UserWindows}
	for _, w := range c.windows {
		c.longest = max(c.longest, w.Length)
	}
	return c
}

func (c *connectionPeaks) observe(e *ledger.Event) {
	if len(c.windows) == 0 || e.OpenBefore == e.OpenNow {
		return
	}
	after := e.Now.Add(-c.longest).UnixMilli()
	add := func(at, n int64) {
		if at > after {
			c.added = append(c.added, step{at, n})
			c.changed = append(c.changed, at)
		}
	}
	addSpan := func(span ledger.Span, n int64) {
		add(span.Start, n)
		if !span.Open {
			add(span.End, -n)
		}
	}
	addSpan(e.OpenBefore, -1)
	addSpan(e.OpenNow, 1)
}

func (c *connectionPeaks) refresh(now time.Time, l *ledger.Ledger) {
	c.merge()
	c.forget(now)
	c.peak.recount(func(add adder) {
		for i, n := range c.peaks(now, l.CountOpen()) {
			add(n, windowName.is(c.windows[i].Name))
		}
	})
}

// merge puts what was added into the order of time. What is earlier than all of it stays
// where it is.
func (c *connectionPeaks) merge() {
	if len(c.added) == 0 {
		return
	}
	for _, s := range c.added {
		c.sum += s.n
	}
	from, _ := slices.BinarySearchFunc(c.steps, slices.MinFunc(c.added, compareSteps), compareSteps)
	tail := append(slices.Clone(c.steps[from:]), c.added...)
	slices.SortFunc(tail, compareSteps)
	c.steps, c.added = c.steps[:from], c.added[:0]
	for i := 0; i < len(tail); {
		sum := step{at: tail[i].at}
		for ; i < len(tail) && tail[i].at == sum.at; i++ {
			sum.n += tail[i].n
		}
		if sum.n != 0 {
			c.steps = append(c.steps, sum)
		}
	}
}

// forget drops the steps before the longest window.
func (c *connectionPeaks) forget(now time.Time) {
	gone, _ := slices.BinarySearchFunc(c.steps, step{at: now.Add(-c.longest).UnixMilli() + 1}, compareSteps)
	for _, s := range c.steps[:gone] {
		c.sum -= s.n
		c.changed = append(c.changed, s.at)
	}
	c.steps = c.steps[gone:]
}

// peaks are the highest numbers of open connections in each window before now, of which
// open are left after all steps.
func (c *connectionPeaks) peaks(now time.Time, open int64) []int64 {
	peaks, after := make([]int64, len(c.windows)), make([]int64, len(c.windows))
	n := open - c.sum
	for i, w := range c.windows {
		peaks[i], after[i] = n, now.Add(-w.Length).UnixMilli()
	}
	for _, s := range c.steps {
		if s.at > now.UnixMilli() { // a wrong clock's
			break
		}
		n += s.n
		for i := range peaks {
			if n > peaks[i] || s.at <= after[i] {
				peaks[i] = n
			}
		}
	}
	return peaks
}

// connectionsTable is the table of the steps. It says of no record when it started.
const connectionsTable = "connections"

func (c *connectionPeaks) tables() []table {
	return []table{{name: connectionsTable, ofProject: true, load: c.load, save: c.save}}
}

func (c *connectionPeaks) load(key, value []byte) error {
	if len(key) != 8 {
		return errKey
	}
	r := store.ReadRow(value)
	c.added = append(c.added, step{int64(binary.BigEndian.Uint64(key)), r.Int()})
	return r.Err()
}

func (c *connectionPeaks) save(changes *store.Changes) {
	slices.Sort(c.changed)
	c.changed = slices.Compact(c.changed)
	changes.Grow(len(c.changed))
	var key, value store.Row
	for _, at := range c.changed {
		key = binary.BigEndian.AppendUint64(key[:0], uint64(at))
		if i, found := slices.BinarySearchFunc(c.steps, step{at: at}, compareSteps); found {
			value = value[:0]
			value.Int(c.steps[i].n)
			changes.Put(connectionsTable, key, value)
		} else {
			changes.Delete(connectionsTable, key)
		}
	}
	c.changed = c.changed[:0]
}
