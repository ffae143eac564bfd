package collector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// What another release stored with other labels is ignored: it refuses no start and does not
// stay.
func TestASnapshotWithOtherLabelsIsDropped(t *testing.T) {
	b := newBench(t, ofKind(Sessions))
	b.snapshot(t0, session(1, "m", record.StateActive))
	var value store.Row
	value.Int(3)
	var others []string
	for _, labels := range [][]string{{"m", "g"}, {"m", "g", record.StateActive, "more"}} {
		var key store.Row
		for _, l := range labels {
			key.String(l)
		}
		others = append(others, "server_sessions\x00"+string(key))
		b.storage.rows[others[len(others)-1]] = string(value)
	}
	b.restart()
	assert.Equal(t, map[string]float64{"m": 1}, b.values(serverSessions, "machine_name"), "what has the labels of this release is shown")
	b.snapshot(t0.Add(time.Minute), session(1, "m", record.StateActive))
	for _, key := range others {
		assert.NotContains(t, b.storage.rows, key)
	}
	assert.Equal(t, map[string]float64{"m": 1}, b.values(serverSessions, "machine_name"))
}

// A snapshot that shows nothing new changes nothing that is exposed, but for what finds room.
func TestTheSameSnapshotAgain(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Kind, o.Limits = Sessions, NewLimits(2, nil) })
	again := func(minutes int) []*part {
		b.snapshot(t0.Add(time.Duration(minutes)*time.Minute), session(1, "m", record.StateActive), session(2, "n", record.StateActive), session(3, "o", record.StateActive))
		return b.accumulator.published()[serverSessions]
	}
	again(0)
	assert.Len(t, b.values(serverSessions, "machine_name"), 3, "two, and the rest")
	b.options.Limits.add(serverSessions.Name, -1)
	first := again(1)
	assert.Equal(t, map[string]float64{"m": 1, "n": 1, "o": 1}, b.values(serverSessions, "machine_name"))
	second := again(2)
	require.Len(t, second, 1)
	assert.Same(t, first[0], second[0])
}

// Tables of two aggregators must not have one name: each would load the other's rows.
func TestEachTableHasOneOwner(t *testing.T) {
	for _, kind := range anyKind {
		f := &families{options: &Options{Kind: kind}}
		names := map[string]bool{seriesTable: true, positionTable: true, store.Head: true}
		for _, table := range f.aggregators(kind).tables {
			require.False(t, names[table.name], table.name)
			names[table.name] = true
		}
	}
}
