package collector

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Open connections beyond the limit are counted, and given up with one line of the log.
func TestTooManyOpenConnectionsAreTold(t *testing.T) {
	var logged bytes.Buffer
	b := newBench(t, func(o *Options) { o.Rules.MaxUnfinished, o.Logger = 100, log.NewLogfmtLogger(&logged) })
	var logins []record.Login
	for n := range 130 {
		logins = append(logins, login(n, t0.Add(time.Duration(n-600)*time.Second)))
	}
	for minute := range 3 {
		require.NoError(t, b.read(t0.Add(time.Duration(minute)*time.Minute), logins...))
		b.restart()
	}
	assert.Equal(t, map[string]float64{"g": 130}, b.values(loginAttempts, "desktop_group"))
	assert.Equal(t, map[string]float64{"g": 95}, b.values(openConnections, "desktop_group"))
	assert.Equal(t, 35.0, b.values(recordsTotal, "disposition")["given_up"])
	assert.Equal(t, 1, strings.Count(logged.String(), "too many records are open or pending"), logged.String())
	assert.Contains(t, logged.String(), "given_up=35")
}

// Records from before all that is remembered are not counted, also after a restart, and one
// line of the log in an hour says so.
func TestForgottenRecordsAreTold(t *testing.T) {
	var logged bytes.Buffer
	b := newBench(t, func(o *Options) { o.Logger = log.NewLogfmtLogger(&logged) })
	ended := func(n int, at time.Time) record.Login {
		return login(n, at, func(l *record.Login) { l.End = at })
	}
	require.NoError(t, b.read(t0, ended(1, t0)))
	for minute := range 70 {
		now := t0.Add(time.Duration(minute+1) * time.Minute)
		require.NoError(t, b.read(now, ended(2, t0.Add(-140*time.Minute)), ended(10+minute, now)))
		b.restart()
	}
	assert.Equal(t, map[string]float64{"g": 71}, b.values(loginAttempts, "desktop_group"))
	assert.Equal(t, 70.0, b.values(recordsTotal, "disposition")["forgotten"])
	assert.Equal(t, 70, strings.Count(logged.String(), "records are not counted"), "one for each process")

	logged.Reset()
	for minute := range 70 {
		require.NoError(t, b.read(t0.Add(time.Duration(minute+80)*time.Minute), ended(2, t0.Add(-140*time.Minute))))
	}
	assert.Equal(t, 2, strings.Count(logged.String(), "records are not counted"), logged.String())
	assert.Contains(t, logged.String(), "records=60")
}

// Times that are all off, and an hour that local clocks have twice, are no reason to count less.
func TestTimesThatAreOffAreNotForgotten(t *testing.T) {
	for name, off := range map[string]func(minute int) time.Duration{
		"another zone":        func(int) time.Duration { return -8 * time.Hour },
		"clocks are put back": func(minute int) time.Duration { return -time.Duration(min(minute/30, 1)) * time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			var lookback []record.Login
			for minute := range 120 {
				now := t0.Add(time.Duration(minute) * time.Minute)
				lookback = append(lookback, login(minute, now.Add(off(minute)), func(l *record.Login) { l.End = l.Start }))
				require.NoError(t, b.read(now, lookback[max(0, minute-15):]...))
				if minute%7 == 0 {
					b.restart()
				}
			}
			assert.Equal(t, map[string]float64{"g": 120}, b.values(loginAttempts, "desktop_group"))
			assert.Zero(t, b.values(recordsTotal, "disposition")["forgotten"])
		})
	}
}
