package ledger

import (
	"encoding/binary"
	"fmt"
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

// bytesOf is what a ledger of n records holds of the heap. Some kilobytes more than that are the
// test's own.
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

// A million finished records must stay under 90 MB, and most of them are.
func TestMemory(t *testing.T) {
	const n, most = 50_000, 100
	require.Less(t, bytesOf(n)/n, most, "bytes a record")
}

// sizes are how many records the benchmarks remember.
var sizes = []int{10_000, 100_000, 1_000_000}

func BenchmarkMemory(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint("records=", n), func(b *testing.B) {
			used := 0
			for b.Loop() {
				used = bytesOf(n)
			}
			b.ReportMetric(float64(used)/float64(n), "B/record")
		})
	}
}

// BenchmarkGarbage is a collection of garbage beside what is remembered.
func BenchmarkGarbage(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint("records=", n), func(b *testing.B) {
			l := fill(n)
			runtime.GC()
			for b.Loop() {
				runtime.GC()
			}
			runtime.KeepAlive(l)
		})
	}
}

// BenchmarkForget drops ten records and counts ten new ones, as a poll does.
func BenchmarkForget(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint("records=", n), func(b *testing.B) {
			l, next := fill(n), n
			for b.Loop() {
				b.StopTimer()
				l.Apply(sessions(next, 10), func(*Event) {})
				next += 10
				b.StartTimer()
				l.Forget(noon.Add(time.Duration(next-n) * time.Millisecond))
				b.StopTimer()
				l.Save(&store.Changes{})
				b.StartTimer()
			}
		})
	}
}

// BenchmarkLoad takes all rows of a store.
func BenchmarkLoad(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint("records=", n), func(b *testing.B) {
			rows := rowsOf(n)
			for b.Loop() {
				l := New(defaultRules)
				rows.Each(func(_ string, key, value []byte) {
					if err := l.Load(key, value); err != nil {
						b.Fatal(err)
					}
				})
			}
		})
	}
}

// rowsOf are the rows of n records.
func rowsOf(n int) *store.Changes {
	l, rows := New(defaultRules), &store.Changes{}
	for first := 0; first < n; first += 1000 {
		l.Apply(sessions(first, 1000), func(*Event) {})
		l.Save(rows)
	}
	return rows
}

// BenchmarkApplyBesideOpen counts ten records that have ended, beside many connections that
// are open.
func BenchmarkApplyBesideOpen(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint("open=", n), func(b *testing.B) {
			l := New(defaultRules)
			open := sessions(0, n)
			for i := range open.Logins {
				at := noon.Add(time.Duration(i-n) * time.Second / 4)
				open.Logins[i].PreConnect, open.Logins[i].Start, open.Logins[i].End, open.Logins[i].Updated = at, at, time.Time{}, at
			}
			l.Apply(open, func(*Event) {})
			for next := n; b.Loop(); next += 10 {
				b.StopTimer()
				batch := sessions(next, 10)
				batch.From, batch.UpToDate = batch.To.Add(-time.Minute), true
				for i := range batch.Logins {
					batch.Logins[i].Start = batch.Logins[i].End
				}
				b.StartTimer()
				l.Apply(batch, func(*Event) {})
				l.Save(&store.Changes{})
			}
		})
	}
}
