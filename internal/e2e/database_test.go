package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/pgtest"
	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// A store moves from a folder to a database and back, and counts on as if nothing had happened.
// What is said of the database on the way does not have its password.
func TestStoreMovesToADatabaseAndBack(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	w := newWorld(t, simulator.Options{}, nil)
	id := 0
	more := func() {
		id += 100
		w.put(spread(id, 25, time.Now().Add(-5*time.Minute), time.Second)...)
		w.put(failed(attempt(id+50, time.Now().Add(-time.Minute)), "2001", time.Now()))
	}
	folder, database := setup{URL: w.url, Storage: "data"}, setup{URL: w.url, Postgres: server.DSN()}
	more()
	e := runExporter(t, folder)
	e.shows(w)
	var said strings.Builder
	run := func(want int, args ...string) string {
		t.Helper()
		code, stdout, stderr := command(t, e.dir, args...)
		said.WriteString(stdout + stderr)
		require.Equal(t, want, code, "%s\n%s", stdout, stderr)
		return stdout + stderr
	}
	there, back := []string{"migrate-store", "--from=data", "--to=postgres"}, []string{"migrate-store", "--from=postgres", "--to=back"}

	assert.Contains(t, run(2, there...), "has no storage.postgres")
	e.configure(database)
	assert.Contains(t, run(1, there...), "another process has it open")
	require.Equal(t, 0, e.stop())
	assert.Contains(t, run(0, "doctor"), "ok: the role may make the tables")
	assert.Contains(t, run(1, "codes"), "there is no store yet")
	assert.Contains(t, run(0, there...), "moved 1 source(s)")
	assert.Contains(t, run(0, there...), "nothing to do")
	assert.Contains(t, run(0, "codes"), "2001")

	more()
	e.start()
	e.shows(w)
	found := run(0, "doctor")
	assert.Contains(t, found, "ok: the role may read and write the tables")
	assert.Contains(t, found, "sources that have been counted: 1; replicas that are alive: 1")
	assert.Contains(t, run(1, back...), "1 replica(s) have it open")

	server.Stop()
	const reason = `workspace_exporter_source_failing{project="p",reason="storage",source="user_connections"}`
	more()
	// Whoever cannot renew a lease forgets the project; before that, its polls fail for this reason.
	assert.Contains(t, run(1, "doctor"), "the database cannot be used")
	eventually(t, "a poll fails, or the lease runs out", func() bool { return e.metrics()[reason] == 1 || len(e.metrics().records()) == 0 })
	server.Restart(t)
	e.shows(w)
	require.Equal(t, 0, e.stop())

	assert.Contains(t, run(0, back...), "moved 1 source(s)")
	assert.Contains(t, run(1, back...), "give another folder")
	said.WriteString(e.logs.String())
	more()
	folder.Storage = "back"
	e.configure(folder)
	e.start()
	e.shows(w)
	assert.NotContains(t, said.String(), server.Password)
}
