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
