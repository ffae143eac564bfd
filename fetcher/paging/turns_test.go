package paging

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
)

// Of those who wait, the one with the oldest window is first, and among those of one window
// the one who came first. Who gives up leaves its turn to the others.
func TestOlderWindowsHaveTheirTurnFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		at := func(minute int) cursor.Window {
			return cursor.Window{From: time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC)}
		}
		for range maxPagesAtOnce {
			require.NoError(t, all.take(t.Context(), at(0)))
		}
		var came []string
		wait := func(ctx context.Context, name string, minute int) {
			go func() {
				if all.take(ctx, at(minute)) == nil {
					came = append(came, name)
				}
			}()
			synctest.Wait()
		}
		givenUp, giveUp := context.WithCancel(t.Context())
		wait(t.Context(), "newer", 3)
		wait(givenUp, "given up", 1)
		wait(t.Context(), "older", 2)
		wait(t.Context(), "older, later", 2)
		giveUp()
		synctest.Wait()
		for range maxPagesAtOnce {
			all.leave()
			synctest.Wait()
		}
		assert.Equal(t, []string{"older", "older, later", "newer"}, came)
		assert.Equal(t, 3, all.taken, "nothing is lost")
	})
}
