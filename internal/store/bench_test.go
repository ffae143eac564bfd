package store

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
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
			partition := s.Partition("p", "s", nil)
			b.ReportAllocs()
			for n := uint64(0); b.Loop(); n++ {
				if err := partition.Commit(newRecords(n, size.records, size.series)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// newRecords is what a commit of new records writes, in no order.
func newRecords(n uint64, records, series int) *Changes {
	changes := &Changes{}
	for _, i := range rand.Perm(records) {
		key := make([]byte, 24)
		binary.BigEndian.PutUint64(key, n*uint64(records)+uint64(i))
		changes.Put("rows", key, make([]byte, 60))
	}
	for i := range series {
		changes.Put("series", fmt.Appendf(nil, "workspace_login_failures_total/group %d", i), binary.BigEndian.AppendUint64(nil, n))
	}
	return changes
}

// BenchmarkCommitsAtOnce is the time until 200 partitions that want to commit at the same
// time have done so: joined, and each by itself.
func BenchmarkCommitsAtOnce(b *testing.B) {
	for name, commit := range map[string]func(*embeddedPartition, *Changes) error{"joined": (*embeddedPartition).Commit, "alone": (*embeddedPartition).commitAlone} {
		b.Run("by="+name, func(b *testing.B) {
			s, err := Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			partitions := partitionsOf(s, 200)
			for n := uint64(0); b.Loop(); n++ {
				var all sync.WaitGroup
				for _, p := range partitions {
					all.Go(func() {
						if err := commit(p.(*embeddedPartition), newRecords(n, 10, 30)); err != nil {
							b.Error(err)
						}
					})
				}
				all.Wait()
			}
		})
	}
}
