package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/config"
)

// TestLabelsAreTaken looks for labels of the metric table that constant_labels may still
// have: such a label would stand twice in a line.
func TestLabelsAreTaken(t *testing.T) {
	table, err := os.ReadFile("docs/metrics.md")
	require.NoError(t, err)
	label := regexp.MustCompile("`([a-z_]+)`")
	rows := 0
	for line := range strings.Lines(string(table)) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || !strings.HasPrefix(line, "| `workspace_") {
			continue
		}
		rows++
		for _, found := range label.FindAllStringSubmatch(cells[3], -1) {
			assert.True(t, config.IsOwnLabel(found[1]), "%s of %s", found[1], cells[1])
		}
	}
	assert.Greater(t, rows, 50)
}
