package ledger

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// A ledger that is never saved does not note what Save would write: a long history would fill
// the memory with it. It counts as any other.
func TestUnsavedNotesNothing(t *testing.T) {
	rules := defaultRules
	rules.Unsaved = true
	l, events := New(rules), 0
	for first := 0; first < 3000; first += 1000 {
		b := sessions(first, 1000)
		l.Apply(b, func(*Event) { events++ })
		l.Forget(b.Now.Add(-100 * time.Millisecond))
	}
	assert.Equal(t, 3000, events)
	assert.Less(t, l.Len(), 2000, "some are forgotten")
	assert.Zero(t, len(l.changed))
	assert.Zero(t, len(l.forgotten))
	var changes store.Changes
	l.Save(&changes)
	assert.True(t, changes.Empty())
}
