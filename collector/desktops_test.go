package collector

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Desktops are often named after their persons: unless it is wanted, no metric and no row
// of the store has their names, also of what was counted before.
func TestNamesOfDesktopsAreNotKept(t *testing.T) {
	b := newBench(t, ofKind(DesktopLogins))
	named := func(n int, change ...func(*record.Login)) record.Login {
		return login(n, t0, append(change, func(l *record.Login) { l.Machine = "VDI-jane.doe" })...)
	}
	pending := func(l *record.Login) { l.Start = time.Time{} }
	keeps := func() bool {
		for row, value := range b.storage.rows {
			if strings.Contains(row+value, "jane") {
				return true
			}
		}
		for name, f := range b.families() {
			if strings.HasPrefix(name, "workspace_server_") || strings.Contains(f.String(), "jane") {
				return true
			}
		}
		return false
	}
	require.NoError(t, b.read(t0, named(1), named(2, pending), named(3, failing("7"))))
	require.True(t, keeps(), "with names")

	b.options.Rules.HideMachines = true
	b.restart()
	require.NoError(t, b.read(t0.Add(time.Minute), named(1), named(2, pending), named(4), named(5, pending), named(6, failing("7"))))
	require.False(t, keeps())
	require.Equal(t, map[string]float64{"": 4}, b.values(loginAttempts, "none"), "the same records are the same still")
	b.restart()
	require.NoError(t, b.read(t0.Add(2*time.Minute), named(1), named(5, pending), named(4)))
	require.False(t, keeps())
	require.Equal(t, map[string]float64{"": 4}, b.values(loginAttempts, "none"))
	require.Equal(t, 5.0, b.values(recordsTotal, "disposition")["duplicate"], "nothing has changed")

	b.options.Rules.HideMachines = false
	b.restart()
	require.NoError(t, b.read(t0.Add(3*time.Minute), named(7)))
	require.True(t, keeps(), "with names again")
}
