package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// Two hosts of a cloud whose clocks are 90 s apart: every source has its own host's time.
func TestTwoHostsWithClocksOfTheirOwn(t *testing.T) {
	t.Parallel()
	behind := func() time.Time { return time.Now().Add(-90 * time.Second) }
	appStream := newWorld(t, simulator.Options{}, nil)
	desktops := newWorld(t, simulator.Options{Now: behind}, nil)
	at := time.Now().Add(-10 * time.Minute)
	appStream.put(spread(0, 20, at, time.Second)...)
	appStream.PutSessions(project, session(1, "Active", at))
	desktops.PutDesktops(project, connected(1, at))
	e := install(t, setup{})
	s := setup{URL: appStream.url, Sources: "{user_connections: {mode: query}, sessions: {mode: query, poll_interval: 300ms}, desktop_connections: {mode: query}, access_statistics: {mode: query, poll_interval: 300ms}}"}
	e.write("workspace_exporter.yml", strings.ReplaceAll(s.text(), `workspace: "`+appStream.url, `workspace: "`+desktops.url))
	code, stdout, stderr := command(t, e.dir, "doctor")
	assert.Zero(t, code, stderr)
	for _, w := range []*world{appStream, desktops} {
		assert.Equal(t, 2, strings.Count(stdout, "clock of "+strings.TrimPrefix(w.url, "http://")), stdout)
	}
	e.start()
	for _, source := range []string{"user_connections", "sessions", "desktop_connections", "access_statistics"} {
		e.pollsEnd(project, source, "success", 3)
	}
	m := e.metrics()
	assert.Equal(t, 4.0, m.sum("workspace_exporter_source_up"))
	assert.Zero(t, m.sum("workspace_exporter_polls_total", `result="error"`))
	assert.Equal(t, 21.0, m.sum("workspace_login_attempts_total"))
}
