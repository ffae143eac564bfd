package ledger

import (
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// sessions are records from number first on, one a millisecond, each of a connection
// that has ended.
func sessions(first, n int) *record.Batch {
	now := noon.Add(time.Duration(first+n) * time.Millisecond)
	r := &record.Batch{From: now, To: now, Now: now, Logins: make([]record.Login, n)}
	for i := range r.Logins {
		end := noon.Add(time.Duration(first+i) * time.Millisecond)
		l := &r.Logins[i]
		*l = record.Login{Group: "office", Machine: "vm", PreConnect: end.Add(-time.Hour), Start: end.Add(-59 * time.Minute), End: end, Updated: end}
		binary.BigEndian.PutUint64(l.ID[:], uint64(first+i)*0x9e3779b97f4a7c15)
		l.Invariant = l.ID
		l.Invariant[15] = 1
	}
	return r
}

// BenchmarkApply counts a page of new records and writes their rows, among 10,000 that
// are remembered.
func BenchmarkApply(b *testing.B) {
	const page, kept = 100, 10_000
	l := New(defaultRules)
	b.ReportAllocs()
	for n := 0; b.Loop(); n += page {
		b.StopTimer()
		r := sessions(n, page)
		b.StartTimer()
		l.Apply(r, func(*Event) {})
		var changes store.Changes
		l.Save(&changes)
		if n%kept == 0 {
			b.StopTimer()
			l.Forget(r.Now.Add(-kept * time.Millisecond))
			b.StartTimer()
		}
	}
}

// BenchmarkApplyDuplicates reads a page again of which nothing has changed.
func BenchmarkApplyDuplicates(b *testing.B) {
	l, r := New(defaultRules), sessions(0, 100)
	l.Apply(r, func(*Event) {})
	b.ReportAllocs()
	for b.Loop() {
		l.Apply(r, func(*Event) {})
	}
}

// fill makes a ledger remember n records.
func fill(n int) *Ledger {
	l := New(defaultRules)
	for first := 0; first < n; first += 1000 {
		l.Apply(sessions(first, 1000), func(*Event) {})
		l.Save(&store.Changes{})
	}
	return l
}

// bytesOf is what a ledger of n records holds of the heap.
func bytesOf(n int) int {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	l := fill(n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(l)
	return int(after.HeapAlloc) - int(before.HeapAlloc)
}

// A source with 200,000 logins in a lookback must stay well under 100 MB.
func TestMemory(t *testing.T) {
	const n, most = 50_000, 350
	require.Less(t, bytesOf(n)/n, most, "bytes a record")
}

func BenchmarkMemory(b *testing.B) {
	const n = 200_000
	used := 0
	for b.Loop() {
		used = bytesOf(n)
	}
	b.ReportMetric(float64(used)/n, "B/record")
	b.ReportMetric(float64(used)/(1<<20), "MiB")
}

// BenchmarkForget drops nothing of 200,000 records, as most polls do.
func BenchmarkForget(b *testing.B) {
	const n = 200_000
	l := fill(n)
	for b.Loop() {
		l.Forget(noon.Add(-2 * time.Hour))
	}
	b.ReportMetric(n, "records")
}
