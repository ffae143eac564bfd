package store

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/lease"
)

// logged opens a store that logs to the builder, and counts lost commits.
func logged(t *testing.T, d *database) (s *Postgres, text *strings.Builder, lost *int64) {
	t.Helper()
	text, lost = &strings.Builder{}, new(int64)
	o := d.options()
	o.Logger = log.NewLogfmtLogger(text)
	s, err := OpenPostgres(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	s.OnLost(func(n int64) { *lost += n })
	require.NoError(t, s.Prepare(t.Context()))
	return s, text, lost
}

// set changes partitions behind the store's back, as a restore does.
func (d *database) set(t *testing.T, what string) {
	t.Helper()
	d.do(t, func(ctx context.Context, s *Postgres, c *pgx.Conn) {
		_, err := c.Exec(ctx, s.sql(what))
		require.NoError(t, err)
	})
}

// A database that has lost commits is reported, also if the leases have run out meanwhile: by
// whoever loads a partition of which it knew more, and by whoever joins, of all others.
func TestLostCommitsAreReported(t *testing.T) {
	d := newDatabase(t)
	s, text, lost := logged(t, d)
	for i := range 3 {
		project := fmt.Sprint("p", i)
		c := &counter{partition: s.Partition(project, "s", newLease(s, project)), n: -1}
		c.to(t, 4+i)
	}
	me := lease.Replica{Owner: "me", Duration: time.Minute}
	join := func() {
		t.Helper()
		_, err := s.Leases().Beat(t.Context(), me, true)
		require.NoError(t, err)
		me.Owner += "x"
	}
	join()
	c := &counter{partition: s.Partition("p0", "s", newLease(s, "p0")), n: -1}
	require.NoError(t, c.load())
	require.NoError(t, c.add())
	assert.Zero(t, *lost)
	assert.NotContains(t, text.String(), "lost commits")

	d.set(t, `UPDATE store.partitions SET commits = 2, last_commit = 7 WHERE project = 'p0'`)
	require.NoError(t, s.Partition("p0", "s", newLease(s, "p0")).Load(nothing))
	assert.EqualValues(t, 3, *lost)
	assert.Contains(t, text.String(), "lost commits")

	text.Reset()
	d.set(t, `UPDATE store.partitions SET commits = 1, last_commit = 8 WHERE project = 'p1'`)
	d.set(t, `UPDATE store.partitions SET last_commit = 9 WHERE project = 'p2'`) // as many, and others
	join()
	assert.EqualValues(t, 3+4+1, *lost)
	assert.Equal(t, 1, strings.Count(text.String(), "lost commits"))
	assert.Contains(t, text.String(), "sources=2")
	join()
	assert.EqualValues(t, 3+4+1, *lost, "once")
}

// Who starts with a database that was restored while no replica ran says so, once.
func TestRestoredDatabaseIsReported(t *testing.T) {
	d := newDatabase(t)
	for range 2 {
		_, text, _ := logged(t, d)
		assert.NotContains(t, text.String(), "was restored")
	}
	d.do(t, func(ctx context.Context, s *Postgres, c *pgx.Conn) { // what pg_restore does: it makes the table anew
		for _, statement := range []string{`CREATE TABLE store.copy (LIKE store.store INCLUDING ALL)`, `INSERT INTO store.copy SELECT * FROM store.store`,
			`DROP TABLE store.store`, `ALTER TABLE store.copy RENAME TO workspace_exporter_store`} {
			_, err := c.Exec(ctx, s.sql(statement))
			require.NoError(t, err)
		}
	})
	_, text, _ := logged(t, d)
	assert.Contains(t, text.String(), "was restored")
	_, text, _ = logged(t, d)
	assert.NotContains(t, text.String(), "was restored")
}

// The database is made anew while a replica runs. What the replica writes from then on can be
// read by others, and by itself after a restart.
func TestDatabaseMadeAnew(t *testing.T) {
	d := newDatabase(t)
	s, _, lost := logged(t, d)
	c := &counter{partition: s.Partition("p", "s", newLease(s, "p")), n: -1}
	c.to(t, 4)
	d.do(t, func(ctx context.Context, _ *Postgres, c *pgx.Conn) {
		_, err := c.Exec(ctx, "DROP SCHEMA "+d.schema+" CASCADE")
		require.NoError(t, err)
	})
	require.ErrorIs(t, c.add(), ErrUnavailable)
	me := lease.Replica{Owner: "me", Duration: time.Minute}
	_, err := s.Leases().Beat(t.Context(), me, true)
	require.ErrorIs(t, err, ErrDamaged, "it may be about to be restored")
	openAt(t, d) // who starts makes it anew
	_, err = s.Leases().Beat(t.Context(), me, true)
	require.NoError(t, err)
	assert.EqualValues(t, 4, *lost)
	c = &counter{partition: s.Partition("p", "s", newLease(s, "p")), n: -1}
	c.to(t, 2)
	other := openAt(t, d).(*Postgres)
	c = &counter{partition: other.Partition("p", "s", newLease(other, "p")), n: -1}
	require.NoError(t, c.load())
	assert.Equal(t, 2, c.n)
}

func nothing(string, []byte, []byte) error { return nil }
