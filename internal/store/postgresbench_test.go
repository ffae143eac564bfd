package store

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkPostgresCommit is a commit of new records and of series to a partition that has
// many rows already, and what the server writes ahead for it.
func BenchmarkPostgresCommit(b *testing.B) {
	for _, size := range []struct{ there, records, series int }{{1000, 10, 30}, {100_000, 10, 30}, {100_000, 100, 300}} {
		b.Run(fmt.Sprintf("there=%d/records=%d/series=%d", size.there, size.records, size.series), func(b *testing.B) {
			d := newDatabase(b)
			opened, err := d.open()
			require.NoError(b, err)
			s := opened.(*Postgres)
			defer s.Close()
			partition := d.partition(s, "p", "s")
			require.NoError(b, partition.Commit(newRecords(0, size.there, size.series)))
			written := func() (n int64) {
				require.NoError(b, s.pool.QueryRow(context.Background(), `SELECT wal_bytes::bigint FROM pg_stat_wal`).Scan(&n))
				return n
			}
			before := written()
			n := uint64(size.there)
			commits := 0
			for b.Loop() {
				require.NoError(b, partition.Commit(newRecords(n, size.records, size.series)))
				n++
				commits++
			}
			b.ReportMetric(float64(written()-before)/float64(commits), "WAL-B/op")
		})
	}
}
