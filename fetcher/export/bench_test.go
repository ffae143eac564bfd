package export

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// manyRows is a table with every field, as a large export has it.
func manyRows(count int) [][]string {
	rows := [][]string{record.UserConnectionFields}
	at := time.Date(2023, 6, 5, 0, 0, 0, 0, time.UTC)
	for i := range count {
		start := at.Add(time.Duration(i) * time.Second)
		write := func(d time.Duration) string { return start.Add(d).Format(time.RFC3339) }
		rows = append(rows, []string{
			fmt.Sprintf("%032x", i*7919), fmt.Sprintf("user%05d@example.com", i*31%5000), fmt.Sprintf("group%d", i%20),
			write(0), write(4 * time.Second), write(time.Hour), write(time.Hour),
			fmt.Sprintf("S-1-5-21-1213649063-4191095369-2401105760-%d", i%300), fmt.Sprintf("APS-%d", i%300), "", "",
			"c8-d9-d2-01-3a-57", fmt.Sprintf("PC%d", i*31%5000), fmt.Sprintf("10.1.%d.%d", i%250, i*31%250),
			"23.2.2.0", "Windows 10", "23.2.2.0423", "10.2.0.1", "192.168.1.1", "", "203.0.113.7", "a4da8115c9d8464ead3a38309130523f",
		})
	}
	return rows
}

func BenchmarkReadTable(b *testing.B) {
	const count = 2000
	rows := manyRows(count)
	for name, file := range map[string][]byte{
		"text":        []byte(csvFile(b, ',', true, rows)),
		"XLSX/shared": xlsxFile(b, false, rows),
		"XLSX/inline": xlsxFile(b, true, rows),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				summary, err := ReadTable(bytes.NewReader(file), int64(len(file)), Logins, func(Row) error { return nil })
				require.NoError(b, err)
				require.Equal(b, count, summary.Rows)
			}
			b.ReportMetric(float64(count*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
