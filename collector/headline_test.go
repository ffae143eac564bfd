package collector

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

func TestHeadlinesAreTheSumsOfTheirGauges(t *testing.T) {
	b := newBench(t, ofKind(Sessions))
	assert.Empty(t, b.accumulator.Headlines(), "nothing is known yet")
	b.snapshot(t0, session(1, "m", record.StateActive), session(2, "n", record.StateActive), session(3, "n", record.StateDisconnected))
	assert.Equal(t, []Headline{{Title: "Sessions", Total: 3, Parts: []HeadlinePart{{record.StateActive, 2}, {record.StateDisconnected, 1}}}},
		b.accumulator.Headlines())
}

func TestOnlyGaugesHaveHeadlines(t *testing.T) {
	for _, m := range Metrics {
		if m.Headline != "" {
			assert.Equal(t, Gauge, m.Type, m.Name)
			assert.True(t, m.HeadlineBy == "" || slices.Contains(m.Labels, m.HeadlineBy), m.Name)
		}
	}
}
