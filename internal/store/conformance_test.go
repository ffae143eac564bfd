package store

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/workspace-exporter/workspace_exporter/internal/pgtest"
)

// Every store keeps what is tested here.

// place is where a store is, which is opened and closed there, like by one process after
// the other.
type place interface {
	open(options ...string) (Store, error) // the option is the key of the seal
	// partition is one with a new lease, if it takes one.
	partition(s Store, project, source string) Partition
	// edit changes what is there as no exporter would.
	edit(t *testing.T, change tampering)
	name() string
	// holds reports whether these bytes are anywhere in it.
	holds(t *testing.T, b []byte) bool
}

// tampering is a change of a store behind its back.
type tampering struct {
	file func(*bbolt.Tx) error
	sql  string
}

// everywhere runs a test on each kind of store.
func everywhere(t *testing.T, test func(t *testing.T, p place)) {
	t.Run("embedded", func(t *testing.T) { test(t, folder(t.TempDir())) })
	t.Run("postgres", func(t *testing.T) { test(t, newDatabase(t)) })
}

func openAt(t testing.TB, p place, options ...string) Store {
	t.Helper()
	s, err := p.open(options...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// folder is the place of an embedded store.
type folder string

func (f folder) open(options ...string) (Store, error) {
	var with []Option
	for _, key := range options {
		with = append(with, SealedBy([]byte(key)))
	}
	s, err := Open(string(f), with...)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (f folder) partition(s Store, project, source string) Partition {
	return s.Partition(project, source, nil)
}

func (f folder) name() string { return string(f) }

func (d *database) name() string { return "schema " + d.schema }

func (f folder) holds(t *testing.T, b []byte) bool { return bytes.Contains(bytesOf(t, string(f)), b) }

// database is the place of a store in PostgreSQL: a schema.
type database struct {
	dsn, schema string
}

var schemas atomic.Int64

func newDatabase(t testing.TB) *database {
	t.Helper()
	return &database{dsn: pgtest.Shared(t).DSN(), schema: fmt.Sprint("test_", schemas.Add(1))}
}

func (d *database) options(key ...string) PostgresOptions {
	o := PostgresOptions{DSN: func() (string, error) { return d.dsn, nil }, Schema: d.schema}
	if len(key) > 0 {
		o.Key = []byte(key[0])
	}
	return o
}

func (d *database) open(key ...string) (Store, error) {
	s, err := OpenPostgres(d.options(key...))
	if err == nil {
		err = s.Prepare(context.Background())
	}
	return s, err
}

func (d *database) partition(s Store, project, source string) Partition {
	return s.Partition(project, source, newLease(s.(*Postgres), project))
}

// newLease takes the lease of a project, whoever has it.
func newLease(s *Postgres, project string) *Lease {
	lease := &Lease{}
	err := s.in(context.Background(), time.Minute, readWrite, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, s.sql(`
			WITH me AS (INSERT INTO store.replicas VALUES ('test', now() + '1 hour', '', '{}') ON CONFLICT (owner) DO NOTHING)
			INSERT INTO store.leases AS l VALUES ($1, 'test', 1) ON CONFLICT (project) DO UPDATE SET epoch = l.epoch + 1 RETURNING epoch`), project).Scan(&lease.Epoch)
	})
	if err != nil {
		lease.Epoch = -1 // a store that is closed or damaged
	}
	return lease
}

func (d *database) do(t *testing.T, f func(ctx context.Context, s *Postgres, c *pgx.Conn)) {
	t.Helper()
	s, err := OpenPostgres(d.options())
	require.NoError(t, err)
	defer s.Close()
	c, err := pgx.Connect(t.Context(), d.dsn)
	require.NoError(t, err)
	defer c.Close(context.Background())
	f(t.Context(), s, c)
}

func (d *database) holds(t *testing.T, b []byte) (found bool) {
	t.Helper()
	d.do(t, func(ctx context.Context, s *Postgres, c *pgx.Conn) {
		require.NoError(t, c.QueryRow(ctx, s.sql(`SELECT EXISTS (SELECT FROM store.rows WHERE position($1::bytea IN key) > 0 OR position($1::bytea IN value) > 0)`), b).Scan(&found))
	})
	return found
}

func (f folder) edit(t *testing.T, change tampering) { edit(t, string(f), change.file) }

func (d *database) edit(t *testing.T, change tampering) {
	t.Helper()
	d.do(t, func(ctx context.Context, s *Postgres, c *pgx.Conn) {
		_, err := c.Exec(ctx, s.sql(change.sql))
		require.NoError(t, err)
	})
}

// rows are the content of a partition: table/key to value.
type rows map[string]string

func load(b Partition) (rows, error) {
	all := rows{}
	err := b.Load(func(table string, key, value []byte) error {
		all[table+"/"+string(key)] = string(value)
		return nil
	})
	return all, err
}

func requireRows(t *testing.T, want rows, b Partition) {
	t.Helper()
	got, err := load(b)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func put(t testing.TB, b Partition, table, key, value string) {
	t.Helper()
	var changes Changes
	changes.Put(table, []byte(key), []byte(value))
	require.NoError(t, b.Commit(&changes))
}

func TestPartitionsAreApart(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		s := openAt(t, p)
		names := [][2]string{{"a", "bc"}, {"ab", "c"}, {"a", "b"}, {"", "a"}}
		for i, n := range names {
			put(t, p.partition(s, n[0], n[1]), "t", "k", fmt.Sprint(i))
		}
		for i, n := range names {
			requireRows(t, rows{"t/k": fmt.Sprint(i)}, p.partition(s, n[0], n[1]))
		}
	})
}

// What one process has written, the next one finds.
func TestReopen(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		s := openAt(t, p)
		partition := p.partition(s, "production", "user_connections")
		requireRows(t, rows{}, partition)
		put(t, partition, "rows", "1", "one")
		require.NoError(t, s.Close())
		requireRows(t, rows{"rows/1": "one"}, p.partition(openAt(t, p), "production", "user_connections"))
	})
}

func TestLoadGivesTablesAndKeysInOrder(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		partition := p.partition(openAt(t, p), "p", "s")
		var changes Changes
		for _, k := range []string{"b/2", "a/9", "B/1", "b/1", "a/10", "a/\xff", "a/Z", "head/x", "ä/1"} {
			table, key, _ := strings.Cut(k, "/")
			changes.Put(table, []byte(key), []byte("v"))
		}
		require.NoError(t, partition.Commit(&changes))
		var got []string
		require.NoError(t, partition.Load(func(table string, key, _ []byte) error {
			got = append(got, table+"/"+string(key))
			return nil
		}))
		assert.Equal(t, []string{"head/x", "B/1", "a/10", "a/9", "a/Z", "a/\xff", "b/1", "b/2", "ä/1"}, got)
		got = nil
		require.NoError(t, partition.LoadTable("a", func(key, _ []byte) error {
			got = append(got, string(key))
			return nil
		}))
		assert.Equal(t, []string{"10", "9", "Z", "\xff"}, got)
	})
}
func TestCommit(t *testing.T) { everywhere(t, testCommit) }

func testCommit(t *testing.T, p place) {
	s := openAt(t, p)
	partition := p.partition(s, "p", "s")
	put(t, partition, "t", "kept", "1")
	put(t, partition, "t", "gone", "2")

	var changes Changes
	changes.Put("t", []byte("twice"), []byte("first"))
	changes.Put("t", []byte("twice"), []byte("second"))
	changes.Delete("t", []byte("gone"))
	changes.Delete("t", []byte("never there"))
	changes.Delete("other", []byte("never there"))
	changes.Put("t", []byte("brief"), []byte("x"))
	changes.Delete("t", []byte("brief"))
	changes.Delete("t", []byte("back"))
	changes.Put("t", []byte("back"), []byte("y"))
	changes.Put("u", []byte("kept"), []byte("same key, other table"))
	changes.Put("t", []byte("empty"), []byte{})
	changes.Put("t", []byte("nothing"), nil)
	changes.Put("t", []byte("nothing"), nil)
	require.NoError(t, partition.Commit(&changes))
	require.NoError(t, partition.Commit(&Changes{}), "no changes")
	changes.Reset() // what is written over its memory is in no store
	for range 100 {
		changes.Put("t", []byte("over its memory"), []byte("z"))
	}

	want := rows{"t/kept": "1", "t/twice": "second", "t/back": "y", "u/kept": "same key, other table", "t/empty": "", "t/nothing": ""}
	requireRows(t, want, partition)
	require.NoError(t, s.Close())
	requireRows(t, want, p.partition(openAt(t, p), "p", "s"))
}

// A set that was large keeps no memory for its next use, and one that was small does.
func TestReset(t *testing.T) {
	var changes Changes
	for _, size := range []int{1, maxTextKept + 1} {
		changes.Put("t", []byte("k"), make([]byte, size))
		changes.Scrub = true
		changes.Reset()
		assert.True(t, changes.Empty())
		assert.False(t, changes.Scrub)
		assert.Equal(t, size == 1, cap(changes.list) > 0 && cap(changes.text) > 0)
	}
}

func TestCommitIsWholeOrNot(t *testing.T) { everywhere(t, testCommitIsWholeOrNot) }

func testCommitIsWholeOrNot(t *testing.T, p place) {
	for name, bad := range map[string]func(*Changes){
		"empty key":          func(b *Changes) { b.Put("t", nil, []byte("v")) },
		"key too long":       func(b *Changes) { b.Put("t", make([]byte, bbolt.MaxKeySize+1), []byte("v")) },
		"empty table":        func(b *Changes) { b.Put("", []byte("k"), []byte("v")) },
		"name of the digest": func(b *Changes) { b.Put(string(digestKey), []byte("k"), []byte("v")) },
	} {
		t.Run(name, func(t *testing.T) {
			s := openAt(t, p)
			partition := p.partition(s, "p", name)
			put(t, partition, "t", "k", "before")

			var changes Changes
			changes.Put("t", []byte("k"), []byte("after"))
			changes.Put("new", []byte("k"), []byte("after"))
			bad(&changes)
			changes.Delete("t", []byte("k"))
			err := partition.Commit(&changes)
			require.ErrorContains(t, err, "p/"+name+": nothing was written")
			require.ErrorContains(t, err, p.name())
			require.NotErrorIs(t, err, ErrDamaged)

			requireRows(t, rows{"t/k": "before"}, partition)
			put(t, partition, "t", "k2", "goes on")
			require.NoError(t, s.Close())
			s = openAt(t, p)
			requireRows(t, rows{"t/k": "before", "t/k2": "goes on"}, p.partition(s, "p", name))
			require.NoError(t, s.Close())
		})
	}
}

func TestClosedStoreRefuses(t *testing.T) { everywhere(t, testClosedStoreRefuses) }

func testClosedStoreRefuses(t *testing.T, p place) {
	s := openAt(t, p)
	partition := p.partition(s, "p", "s")
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "twice is harmless")
	_, err := load(partition)
	require.Error(t, err)
	require.Error(t, partition.Commit(&Changes{}))
}

func TestErrorOfTheReaderNamesTheTable(t *testing.T) {
	everywhere(t, testErrorOfTheReaderNamesTheTable)
}

func testErrorOfTheReaderNamesTheTable(t *testing.T, p place) {
	partition := p.partition(openAt(t, p), "p", "s")
	put(t, partition, "series", "k", "v")
	err := partition.Load(func(string, []byte, []byte) error { return errRow })
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, "p/s, table series: "+errRow.Error())
	refuse := fmt.Errorf("%w: for a test", ErrRefused)
	err = partition.Load(func(string, []byte, []byte) error { return refuse })
	require.ErrorIs(t, err, ErrRefused)
	require.NotErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, "p/s")
}

// Of concurrent commits to one partition, each is there in the end.
func TestCommitsAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		s := openAt(t, p)
		one, two := p.partition(s, "p", "one"), p.partition(s, "q", "two")
		want := rows{}
		var all sync.WaitGroup
		for i := range 40 {
			want[fmt.Sprint("t/", i)] = "v"
			for _, partition := range []Partition{one, two} {
				all.Go(func() {
					var changes Changes
					changes.Put("t", fmt.Append(nil, i), []byte("v"))
					assert.NoError(t, partition.Commit(&changes))
				})
			}
		}
		all.Wait()
		requireRows(t, want, one)
		requireRows(t, want, two)
	})
}

func TestRowChangedBehindItsBack(t *testing.T) {
	bucket := func(tx *bbolt.Tx) *bbolt.Bucket {
		return tx.Bucket(partitionsBucket).Bucket([]byte("p\x00s")).Bucket([]byte("t"))
	}
	const mine = ` partition = (SELECT id FROM store.partitions WHERE project = 'p')`
	for name, change := range map[string]tampering{
		"a value": {func(tx *bbolt.Tx) error { return bucket(tx).Put([]byte("k1"), []byte("v2")) },
			`UPDATE store.rows SET value = 'v2' WHERE key = 'k1' AND` + mine},
		"a row more": {func(tx *bbolt.Tx) error { return bucket(tx).Put([]byte("k4"), []byte("v4")) },
			`INSERT INTO store.rows SELECT partition, name, 'k4', 'v4', 0 FROM store.rows WHERE key = 'k1' AND` + mine},
		"a row less": {func(tx *bbolt.Tx) error { return bucket(tx).Delete([]byte("k1")) },
			`DELETE FROM store.rows WHERE key = 'k1' AND` + mine},
		"a row twice over": {func(tx *bbolt.Tx) error { return bucket(tx).Put([]byte("k0"), []byte("v1")) },
			`UPDATE store.rows r SET (value, digest) = (SELECT value, digest FROM store.rows WHERE key = 'k1' AND partition = r.partition) WHERE key = 'k0' AND` + mine},
		"values exchanged": {func(tx *bbolt.Tx) error {
			if err := bucket(tx).Put([]byte("k1"), []byte("v2")); err != nil {
				return err
			}
			return bucket(tx).Put([]byte("k2"), []byte("v1"))
		}, `UPDATE store.rows SET value = CASE key WHEN 'k1' THEN 'v2' ELSE 'v1' END::bytea WHERE key IN ('k1', 'k2') AND` + mine},
		"a table less": {func(tx *bbolt.Tx) error {
			return tx.Bucket(partitionsBucket).Bucket([]byte("p\x00s")).DeleteBucket([]byte("t"))
		}, `DELETE FROM store.rows WHERE` + mine},
		"the digest": {func(tx *bbolt.Tx) error {
			return tx.Bucket(partitionsBucket).Bucket([]byte("p\x00s")).Put(digestKey, make([]byte, 8))
		}, `UPDATE store.partitions SET digest = 0`},
		"no digest": {func(tx *bbolt.Tx) error {
			return tx.Bucket(partitionsBucket).Bucket([]byte("p\x00s")).Delete(digestKey)
		}, `UPDATE store.partitions SET seal = ''`},
		"a partition less": {func(tx *bbolt.Tx) error { return tx.Bucket(partitionsBucket).DeleteBucket([]byte("p\x00s")) },
			`DELETE FROM store.rows WHERE` + mine + `; DELETE FROM store.partitions WHERE project = 'p'`},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, p place) {
				s := openAt(t, p)
				for i := range 4 {
					put(t, p.partition(s, "p", "s"), "t", fmt.Sprint("k", i), fmt.Sprint("v", i))
				}
				put(t, p.partition(s, "other", "s"), "t", "k", "v")
				require.NoError(t, s.Close())
				p.edit(t, change)

				s, err := p.open()
				if err == nil {
					defer s.Close()
					_, err = load(p.partition(s, "p", "s"))
				}
				require.ErrorIs(t, err, ErrDamaged)
				require.ErrorContains(t, err, p.name())
			})
		})
	}
}
