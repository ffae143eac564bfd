package service

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/internal/logging"
	"github.com/workspace-exporter/workspace_exporter/internal/pgtest"
)

// pollMetrics are the projects of which a service shows that it polls them.
func pollMetrics(t *testing.T, s *Service) (projects []string) {
	families, err := s.Exposition().Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != "workspace_exporter_polls_total" {
			continue
		}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				if l.GetName() == "project" {
					projects = append(projects, l.GetValue())
				}
			}
		}
	}
	slices.Sort(projects)
	return slices.Compact(projects)
}

// A project is polled once, under its lease, also after a reload. When it has moved to another
// replica, nothing of it is left.
func TestProjectsArePolledUnderTheirLeases(t *testing.T) {
	server := pgtest.Start(t)
	file := filepath.Join(t.TempDir(), "c.yml")
	load := func(window string) *config.Config {
		text := fmt.Sprintf("storage: {postgres: {dsn: %q, lease_duration: 30s}}\nmetrics: {user_windows: [%s]}\nprojects:\n", server.DSN(), window)
		for _, project := range []string{"a", "b", "c", "d"} {
			text += fmt.Sprintf("- {name: %s, project_id: %[1]s, endpoints: {appstream: 'http://127.0.0.1:1', workspace: 'http://127.0.0.1:1'}, credentials: {token: {token: t}}, sources: {user_connections: {}, sessions: {}}}\n", project)
		}
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		cfg, err := config.Load(file)
		require.NoError(t, err)
		return cfg
	}
	start := func() *Service {
		s, err := New(load("15m"), logging.New(io.Discard, "error", "logfmt"))
		require.NoError(t, err)
		s.Start()
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return s
	}
	polls := func(s *Service, projects int) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		sources := map[string]int{}
		for _, src := range s.state.Load().sources {
			sources[src.project]++
		}
		for project, n := range sources {
			if n != 2 || s.polls[project] == nil || !s.polls[project].lease.Valid() {
				return false
			}
		}
		return len(sources) == projects && len(s.polls) == projects && slices.Equal(pollMetrics(t, s), slices.Sorted(maps.Keys(sources)))
	}
	one := start()
	require.Eventually(t, func() bool { return polls(one, 4) }, time.Minute, 10*time.Millisecond)
	reloaded := load("1h")
	require.NoError(t, one.Reload(func() (*config.Config, error) { return reloaded, nil }))
	assert.True(t, polls(one, 4), "after a reload")
	two := start()
	require.Eventually(t, func() bool { return polls(one, 2) && polls(two, 2) }, time.Minute, 10*time.Millisecond, "two projects have moved")
}
