package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/jackc/pgx/v5"
	"go.etcd.io/bbolt"
)

// Moved is what was copied from one store to another.
type Moved struct {
	Partitions, Rows int
	// Digest is that of all rows as they are in memory: the same in both stores.
	Digest uint64
	// Already is true if all of it was there, and nothing was done.
	Already bool
}

// moveChunk is how many rows are written at once.
const moveChunk = 5000

// partitionName is the name of a partition.
type partitionName struct{ project, source string }

func (n partitionName) String() string { return n.project + "/" + n.source }

// tally is what is in a partition, as it is in memory.
type tally struct {
	rows   int
	digest uint64
}

func (c *tally) add(table string, key, value []byte) {
	c.rows++
	c.digest ^= rowDigest(table, key, value)
}

// contents is what is in each partition of a store.
type contents map[partitionName]tally

// put takes what is in a partition. One without rows is as good as none.
func (c contents) put(n partitionName) func(tally, error) error {
	return func(found tally, err error) error {
		if found.rows > 0 {
			c[n] = found
		}
		return err
	}
}

// moved sums them up.
func (c contents) moved() Moved {
	m := Moved{Partitions: len(c)}
	for n, partition := range c {
		m.Rows += partition.rows
		var row Row
		row.String(n.project)
		row.String(n.source)
		row.Uint(partition.digest)
		m.Digest ^= xxhash.Sum64(row)
	}
	return m
}

// OpenExisting opens the store in a folder, and makes none.
func OpenExisting(dir string, options ...Option) (*Embedded, error) {
	if _, err := os.Stat(filepath.Join(dir, fileName)); err != nil {
		return nil, fmt.Errorf("store %s: %w", filepath.Join(dir, fileName), err)
	}
	return Open(dir, options...)
}

// MoveToDatabase copies a store to a database that has nothing yet, in one transaction, and
// compares what is there then. Nobody else may have either of them open.
func MoveToDatabase(ctx context.Context, from *Embedded, to *Postgres) (moved Moved, err error) {
	if err := to.Prepare(ctx); err != nil {
		return moved, err
	}
	err = to.in(ctx, loadTimeout, readWrite, func(ctx context.Context, tx pgx.Tx) error {
		there, err := to.alone(ctx, tx)
		if err != nil {
			return err
		}
		want := contents{}
		if len(there) == 0 { // sources may have been there of which nothing was counted yet
			if _, err := tx.Exec(ctx, to.sql(`DELETE FROM store.partitions`)); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, to.sql(`UPDATE store.store SET names = 0`)); err != nil {
				return err
			}
		}
		for _, n := range from.partitionNames() {
			if len(there) == 0 {
				err = want.put(n)(to.fill(ctx, tx, n, from.Partition(n.project, n.source, nil)))
			} else {
				err = want.put(n)(tallyOf(from.Partition(n.project, n.source, nil)))
			}
			if err != nil {
				return err
			}
		}
		if moved = want.moved(); len(there) > 0 {
			moved.Already = true
			if !maps.Equal(there, want) {
				return fmt.Errorf("%w: %d sources have been counted there already, and not the same; give another storage.postgres.schema", ErrRefused, len(there))
			}
			return nil
		}
		if there, err = to.contents(ctx, tx); err == nil && !maps.Equal(there, want) {
			err = errMoved
		}
		return err
	})
	if err != nil {
		return moved, databaseError{fmt.Errorf("%s: %w", to.title, err)}
	}
	return moved, nil
}

var errMoved = fmt.Errorf("%w: what was written is not what is read back", ErrRefused)

// MoveToFolder copies a store to a folder that has none, under another name until it is whole.
// Nobody else may have the store open.
func MoveToFolder(ctx context.Context, from *Postgres, folder string, options ...Option) (moved Moved, err error) {
	path := filepath.Join(folder, fileName)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return moved, fmt.Errorf("store %s: %w: it is there already; give another folder", path, ErrRefused)
	}
	if err := from.Prepare(ctx); err != nil {
		return moved, err
	}
	half := filepath.Join(folder, "half-moved")
	if err := os.RemoveAll(half); err != nil {
		return moved, err
	}
	defer os.RemoveAll(half)
	to, err := Open(half, options...)
	if err != nil {
		return moved, err
	}
	want := contents{}
	err = from.in(ctx, loadTimeout, readWrite, func(ctx context.Context, tx pgx.Tx) (err error) {
		if _, err := from.alone(ctx, tx); err != nil {
			return err
		}
		want, err = from.each(ctx, tx, func(n partitionName) (func(table string, key, value []byte) error, func() error) {
			return chunks(to.Partition(n.project, n.source, nil))
		})
		return err
	})
	if err != nil {
		err = databaseError{fmt.Errorf("%s: %w", from.title, err)}
	}
	for n, c := range want {
		if there, loadErr := tallyOf(to.Partition(n.project, n.source, nil)); err == nil && (loadErr != nil || there != c) {
			err = errors.Join(errMoved, loadErr)
		}
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return moved, err
	}
	return want.moved(), errors.Join(os.Rename(filepath.Join(half, fileName), path), syncDirectory(folder))
}

// chunks returns what takes rows to a partition, some at a time, and what takes the last of
// them.
func chunks(to Partition) (row func(table string, key, value []byte) error, end func() error) {
	changes := &Changes{}
	end = func() error {
		whole := changes
		changes = &Changes{}
		return to.Commit(whole)
	}
	return func(table string, key, value []byte) error {
		changes.Put(table, key, value)
		if len(changes.list) < moveChunk {
			return nil
		}
		return end()
	}, end
}

// tallyOf reads a whole partition.
func tallyOf(p Partition) (c tally, err error) {
	return c, p.Load(func(table string, key, value []byte) error {
		c.add(table, key, value)
		return nil
	})
}

// partitionNames are the names of all partitions, in order.
func (s *Embedded) partitionNames() (names []partitionName) {
	_ = s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(partitionsBucket).ForEachBucket(func(b []byte) error {
			project, source, _ := strings.Cut(string(b), "\x00")
			names = append(names, partitionName{project, source})
			return nil
		})
	})
	return names
}

// alone keeps replicas away until the end of the transaction, and refuses if there are any. It
// returns what is in the database.
func (s *Postgres) alone(ctx context.Context, tx pgx.Tx) (contents, error) {
	if _, err := tx.Exec(ctx, s.sql(`LOCK TABLE store.replicas IN EXCLUSIVE MODE`)); err != nil {
		return nil, err
	}
	replicas := 0
	if err := tx.QueryRow(ctx, s.sql(`SELECT count(*) FROM store.replicas WHERE expires > clock_timestamp()`)).Scan(&replicas); err != nil {
		return nil, err
	}
	if replicas > 0 {
		return nil, fmt.Errorf("%w: %d replica(s) have it open; stop them, and wait for lease_duration if they were killed", ErrRefused, replicas)
	}
	return s.contents(ctx, tx)
}

// contents reads everything.
func (s *Postgres) contents(ctx context.Context, tx pgx.Tx) (contents, error) {
	return s.each(ctx, tx, func(partitionName) (func(table string, key, value []byte) error, func() error) {
		return func(string, []byte, []byte) error { return nil }, func() error { return nil }
	})
}

// each reads every partition by what begin returns: what takes each row, and what is called at
// the end.
func (s *Postgres) each(ctx context.Context, tx pgx.Tx, begin func(partitionName) (row func(table string, key, value []byte) error, end func() error)) (contents, error) {
	rows, err := tx.Query(ctx, s.sql(`SELECT project, source FROM store.partitions ORDER BY project, source`))
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (n partitionName, err error) { return n, row.Scan(&n.project, &n.source) })
	if err != nil {
		return nil, err
	}
	all := contents{}
	for _, n := range names {
		b := &postgresPartition{store: s, project: n.project, source: n.source}
		found, err := b.find(ctx, tx, 0)
		if err != nil {
			return nil, err
		}
		row, end := begin(n)
		var c tally
		err = b.read(ctx, tx, &found, func(table string, key, value []byte) error {
			c.add(table, key, value)
			return row(table, key, value)
		})
		if err = all.put(n)(c, errors.Join(err, end())); err != nil {
			return nil, s.inPartition(n, err)
		}
	}
	return all, nil
}

// inPartition says of an error of which partition it is.
func (s *Postgres) inPartition(n partitionName, err error) error {
	if _, ok := errors.AsType[readerError](err); ok && !errors.Is(err, errWrite) && !errors.Is(err, ErrRefused) {
		return s.damaged(n.String() + ", " + err.Error())
	}
	return fmt.Errorf("%s: %w", n, err)
}

// fill makes a partition of another one's rows.
func (s *Postgres) fill(ctx context.Context, tx pgx.Tx, n partitionName, from Partition) (c tally, err error) {
	b := &postgresPartition{store: s, project: n.project, source: n.source}
	mark := s.first().check()
	digest := markDigest(mark)
	err = tx.QueryRow(ctx, s.sql(`INSERT INTO store.partitions (project, source, epoch, claim, seal, digest, commits, last_commit)
		VALUES ($1, $2, 0, 0, $3, 0, 1, $4) RETURNING id`), n.project, n.source, mark, random()).Scan(&b.id)
	if err != nil {
		return c, err
	}
	changes := &Changes{}
	write := func() error {
		columns, err := b.prepare(changes)
		changes = &Changes{}
		if err != nil {
			return err
		}
		for _, d := range columns.digests {
			digest ^= uint64(d)
		}
		if err := b.copyRows(ctx, tx, b.id, columns); err != nil {
			return fmt.Errorf("%w: %w", errWrite, s.explain(err)) // it is no damage of what is read
		}
		return nil
	}
	err = from.Load(func(table string, key, value []byte) error {
		c.add(table, key, value)
		changes.Put(table, key, value)
		if len(changes.list) < moveChunk {
			return nil
		}
		return write()
	})
	if err = errors.Join(err, write()); err != nil {
		return c, err
	}
	_, err = tx.Exec(ctx, s.sql(`UPDATE store.partitions SET digest = $2 WHERE id = $1`), b.id, int64(digest))
	if err != nil {
		return c, err
	}
	_, err = tx.Exec(ctx, s.sql(`UPDATE store.store SET names = names # $1`), nameDigest(n.project, n.source))
	return c, err
}
