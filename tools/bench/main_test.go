package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTableAndPlot(t *testing.T) {
	folder := t.TempDir()
	results, svg := filepath.Join(folder, "bench.txt"), filepath.Join(folder, "growth.svg")
	require.NoError(t, os.WriteFile(results, []byte(`goos: linux
BenchmarkXLSX/rows=10/by=us 1 1000000 ns/op 2 cpu-ms/op
BenchmarkXLSX/rows=10/by=us 1 1000000 ns/op 1 cpu-ms/op
BenchmarkXLSX/rows=100/by=us 1 1000000 ns/op 100 cpu-ms/op
BenchmarkXLSX/rows=100/by=excelize 1 1000000 ns/op 400 cpu-ms/op
some words of a test
BenchmarkScrape/text/changed=all/series=1 1 1000000 ns/op
BenchmarkScrape/text/changed=all/series=10 1 1000000 ns/op
BenchmarkOne 1 1000000 ns/op
PASS
`), 0o600))
	var table strings.Builder
	require.NoError(t, run(results, svg, &table))
	assert.Equal(t, "| Scrape text changed=all series |  | 1 / 10 | 1 / 1 ms | 0.00 |\n| XLSX rows | excelize 0.25 | 10 / 100 | 1 / 100 CPU ms | 2.00 |\n", table.String())
	picture, err := os.ReadFile(svg)
	require.NoError(t, err)
	assert.Contains(t, string(picture), "excelize")
	assert.Error(t, run(filepath.Join(folder, "none"), "", &table))
}
