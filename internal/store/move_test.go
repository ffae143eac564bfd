package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// filled is a folder with a store of two projects, one of them large, and a source of which
// nothing is counted.
func filled(t *testing.T, key ...string) folder {
	f := folder(t.TempDir())
	s := openAt(t, f, key...)
	commitPerson(t, s.Partition("p", "s", nil), "first")
	require.NoError(t, s.Partition("large", "s", nil).Commit(newRecords(0, 2*moveChunk+7, 3)))
	require.NoError(t, s.Partition("empty", "s", nil).Commit(&Changes{}))
	require.NoError(t, s.Close())
	return f
}

func moveTo(t *testing.T, f folder, d *database, key ...string) (Moved, error) {
	t.Helper()
	from, err := f.open(key...)
	require.NoError(t, err)
	defer from.Close()
	to, err := OpenPostgres(d.options(key...))
	require.NoError(t, err)
	defer to.Close()
	return MoveToDatabase(t.Context(), from.(*Embedded), to)
}

func moveBack(t *testing.T, d *database, dir string, key ...string) (Moved, error) {
	t.Helper()
	o := d.options(key...)
	o.ReadOnly = true
	from, err := OpenPostgres(o)
	require.NoError(t, err)
	defer from.Close()
	var options []Option
	for _, k := range key {
		options = append(options, SealedBy([]byte(k)))
	}
	return MoveToFolder(t.Context(), from, dir, options...)
}

// What moves to a database and back is the same, under whatever seal, and can be gone on with.
func TestMoveThereAndBack(t *testing.T) {
	for name, key := range map[string][]string{"own keys": nil, "a key that is given": {"secret"}} {
		t.Run(name, func(t *testing.T) {
			f, d := filled(t, key...), newDatabase(t)
			moved, err := moveTo(t, f, d, key...)
			require.NoError(t, err)
			assert.Equal(t, 2, moved.Partitions)
			assert.Equal(t, 2*moveChunk+7+3+2, moved.Rows)
			assert.False(t, moved.Already)
			assert.False(t, d.holds(t, somebody[:]))

			again, err := moveTo(t, f, d, key...)
			require.NoError(t, err)
			assert.True(t, again.Already)
			assert.Equal(t, moved.Digest, again.Digest)

			s := openAt(t, d, key...)
			requirePerson(t, d.partition(s, "p", "s"), "first")
			requireRows(t, rows{}, d.partition(s, "empty", "s"))
			put(t, d.partition(s, "p", "s"), "t", "k", "v")
			d.edit(t, tampering{sql: `DELETE FROM store.replicas`})

			_, err = moveTo(t, f, d, key...)
			require.ErrorIs(t, err, ErrRefused)
			require.ErrorContains(t, err, "not the same")

			back := filepath.Join(t.TempDir(), "back")
			moved, err = moveBack(t, d, back, key...)
			require.NoError(t, err)
			assert.Equal(t, 2*moveChunk+7+3+3, moved.Rows)
			entries, err := os.ReadDir(back)
			require.NoError(t, err)
			assert.Len(t, entries, 1)
			opened := openAt(t, folder(back), key...)
			got, err := load(opened.Partition("p", "s", nil))
			require.NoError(t, err)
			assert.Equal(t, "v", got["t/k"])
			got, err = load(opened.Partition("large", "s", nil))
			require.NoError(t, err)
			assert.Len(t, got, 2*moveChunk+10)

			_, err = moveBack(t, d, back, key...)
			require.ErrorIs(t, err, ErrRefused)
			require.ErrorContains(t, err, "give another folder")
		})
	}
}

// Nothing moves while a replica is there, or from what is damaged or not there; what is refused
// leaves nothing behind.
func TestMoveRefused(t *testing.T) {
	f, d := filled(t), newDatabase(t)
	s := openAt(t, d).(*Postgres)
	put(t, d.partition(s, "q", "s"), "t", "k", "v")
	back := t.TempDir()
	for range 2 {
		_, err := moveTo(t, f, d)
		require.ErrorContains(t, err, "1 replica(s) have it open")
		_, err = moveBack(t, d, back)
		require.ErrorContains(t, err, "1 replica(s) have it open")
	}
	d.edit(t, tampering{sql: `DELETE FROM store.replicas; UPDATE store.rows SET value = 'x'`})
	_, err := moveBack(t, d, back)
	require.ErrorIs(t, err, ErrDamaged)
	_, err = moveTo(t, f, d)
	require.ErrorIs(t, err, ErrDamaged)
	entries, err := os.ReadDir(back)
	require.NoError(t, err)
	assert.Empty(t, entries)

	none := newDatabase(t)
	_, err = moveBack(t, none, back)
	require.ErrorContains(t, err, "tables are not made yet")
	_, err = OpenExisting(back)
	require.ErrorIs(t, err, os.ErrNotExist)
	entries, err = os.ReadDir(back)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

// A move that is interrupted has moved nothing.
func TestMoveInterrupted(t *testing.T) {
	f, d := filled(t), newDatabase(t)
	from := openAt(t, f).(*Embedded)
	to := openAt(t, d).(*Postgres)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := MoveToDatabase(ctx, from, to)
	require.ErrorIs(t, err, ErrUnavailable)
	d.do(t, func(ctx context.Context, s *Postgres, c *pgx.Conn) {
		var n int
		require.NoError(t, c.QueryRow(ctx, s.sql(`SELECT count(*) FROM store.partitions`)).Scan(&n))
		assert.Zero(t, n)
	})
	moved, err := MoveToDatabase(t.Context(), from, to)
	require.NoError(t, err)
	assert.False(t, moved.Already)
}

func TestExamine(t *testing.T) {
	d := newDatabase(t)
	s, err := OpenPostgres(d.options())
	require.NoError(t, err)
	defer s.Close()
	found, err := s.Examine(t.Context())
	require.NoError(t, err)
	assert.Zero(t, found.Tables)
	assert.NotEmpty(t, found.Version)
	require.NoError(t, s.Prepare(t.Context()))
	put(t, d.partition(s, "p", "s"), "t", "k", "v")
	found, err = s.Examine(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []int{tablesVersion, 1, 1}, []int{found.Tables, found.Replicas, found.Partitions})
	assert.Less(t, found.Skew.Abs().Seconds(), 30.0)

	d.edit(t, tampering{sql: fmt.Sprintf(`CREATE ROLE lacking LOGIN PASSWORD 'lacking'; GRANT USAGE ON SCHEMA %[1]s TO lacking;
		GRANT SELECT ON ALL TABLES IN SCHEMA %[1]s TO lacking; GRANT INSERT, UPDATE, DELETE ON store.rows TO lacking`, d.schema)})
	c, err := pgx.ParseConfig(d.dsn)
	require.NoError(t, err)
	for schema, want := range map[string]string{d.schema: "the role lacks INSERT on", "absent_" + d.schema: "the role may not make one", "pg_catalog": "GRANT USAGE, CREATE ON SCHEMA"} {
		o := d.options()
		o.Schema = schema
		o.DSN = func() (string, error) {
			return fmt.Sprintf("postgres://lacking:lacking@127.0.0.1:%d/postgres?sslmode=disable", c.Port), nil
		}
		lacking, err := OpenPostgres(o)
		require.NoError(t, err)
		_, err = lacking.Examine(t.Context())
		require.ErrorContains(t, err, want)
		require.NoError(t, lacking.Close())
	}
}
