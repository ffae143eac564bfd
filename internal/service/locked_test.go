package service

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/internal/logging"
	"github.com/workspace-exporter/workspace_exporter/internal/pgtest"
)

// A project whose rows are locked in the database holds up no other one: not when they are
// taken over, and not when they are given back. It is read once it can be.
func TestALockedProjectHoldsUpNoOther(t *testing.T) {
	server := pgtest.Start(t)
	file := filepath.Join(t.TempDir(), "c.yml")
	text := fmt.Sprintf("storage: {postgres: {dsn: %q, lease_duration: 10s}}\nprojects:\n", server.DSN())
	for _, project := range strings.Split("abcdefghijkl", "") {
		text += fmt.Sprintf("- {name: %s, project_id: %[1]s, endpoints: {appstream: 'http://127.0.0.1:1', workspace: 'http://127.0.0.1:1'}, credentials: {token: {token: t}}, sources: {user_connections: {}}}\n", project)
	}
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	cfg, err := config.Load(file)
	require.NoError(t, err)
	start := func() *Service {
		s, err := New(cfg, logging.New(io.Discard, "error", "logfmt"))
		require.NoError(t, err)
		s.Start()
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return s
	}
	polled := func(s *Service) (n int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.polls)
	}
	one := start()
	require.Eventually(t, func() bool { return polled(one) == 12 }, time.Minute, 10*time.Millisecond)
	one.Stop()

	c, err := pgx.Connect(t.Context(), server.DSN())
	require.NoError(t, err)
	defer c.Close(context.Background())
	_, err = c.Exec(t.Context(), "BEGIN")
	require.NoError(t, err)
	_, err = c.Exec(t.Context(), "SELECT FROM public.workspace_exporter_partitions WHERE project = 'a' FOR UPDATE")
	require.NoError(t, err)
	two := start()
	require.Eventually(t, func() bool {
		held, _ := two.leases()
		assert.False(t, held.Held["a"], "who cannot read a project does not hold it, as far as an alert can see")
		return polled(two) == 11 && held.Held["b"]
	}, time.Minute, 10*time.Millisecond, "all others are read")
	three := start()
	require.Eventually(t, func() bool { return polled(two)+polled(three) == 11 && polled(three) >= 5 }, time.Minute, 10*time.Millisecond, "half of them move")
	_, err = c.Exec(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return polled(two) == 6 && polled(three) == 6 }, time.Minute, 10*time.Millisecond, "it is read, too")
}
