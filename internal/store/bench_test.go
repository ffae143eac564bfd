package store

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// BenchmarkCommit is the time to a commit that is on disk.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []struct{ records, series int }{{100, 30}, {5000, 2000}} {
		b.Run(fmt.Sprintf("records=%d/series=%d", size.records, size.series), func(b *testing.B) {
			s, err := Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			book := s.Book("p", "s")
			b.ReportAllocs()
			for n := uint64(0); b.Loop(); n++ {
				if err := book.Commit(reading(n, size.records, size.series)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// reading is the batch of a reading with new records, in the order of time.
func reading(n uint64, records, series int) *Batch {
	batch := &Batch{}
	for i := range records {
		key := make([]byte, 24)
		binary.BigEndian.PutUint64(key, n*uint64(records)+uint64(i))
		batch.Put("rows", key, make([]byte, 60))
	}
	for i := range series {
		batch.Put("series", fmt.Appendf(nil, "workspace_login_failures_total/group %d", i), binary.BigEndian.AppendUint64(nil, n))
	}
	return batch
}
