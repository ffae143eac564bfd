package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
)

// postgresPartition holds the rows of a partition in the database. Whoever has the lease of
// its project claims it before it writes: by a random number that each commit compares.
//
// So an answer that got lost does no harm. A commit whose answer is missing may yet be made, by
// a server that has not noticed anything. The next claim ends that: it waits for such a commit
// or comes before it, and then that commit finds another claim. And it tells which of the two
// it was, by the number of the last commit.
type postgresPartition struct {
	store           *Postgres
	project, source string
	lease           *Lease // nil: only to be read

	mu      sync.Mutex
	id      int64
	claim   int64 // 0 if it must be claimed before anything is written
	commits int64 // known to be there
	last    int64 // of them; what is in memory was loaded with it, or committed it
	unknown int64 // a commit whose answer was lost
	known   bool  // commits and last are
}

// claimed is a partition as a claim, or a read, found it.
type claimed struct {
	id, digest, commits, last, claim int64
	seal                             []byte
	there                            bool
}

// scan reads what claimSQL and readSQL return.
func (c *claimed) scan(row pgx.Row) error {
	err := row.Scan(&c.id, &c.digest, &c.seal, &c.commits, &c.last, &c.claim)
	c.there = err == nil
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}

const claimSQL = `
	WITH claimed AS (
		INSERT INTO store.partitions AS p (project, source, epoch, claim, seal, digest, commits, last_commit)
		SELECT $1, $2, $3, $4, $5, $6, 0, 0
		WHERE EXISTS (SELECT FROM store.leases l JOIN store.replicas r USING (owner) WHERE l.project = $1 AND l.epoch = $3 AND r.expires > clock_timestamp())
		ON CONFLICT (project, source) DO UPDATE SET epoch = excluded.epoch, claim = excluded.claim WHERE p.epoch <= excluded.epoch
		RETURNING p.id, p.digest, p.seal, p.commits, p.last_commit, p.xmax = 0 AS is_new
	), listed AS (
		UPDATE store.store SET names = names # $7 WHERE EXISTS (SELECT FROM claimed WHERE is_new)
	)
	SELECT id, digest, seal, commits, last_commit, $4::bigint FROM claimed`

const readSQL = `SELECT id, digest, seal, commits, last_commit, claim FROM store.partitions WHERE project = $1 AND source = $2`

const (
	headSQL  = `SELECT name, key, value FROM store.rows WHERE partition = $1 AND name = $2 ORDER BY key`
	otherSQL = `SELECT name, key, value FROM store.rows WHERE partition = $1 AND name <> $2 ORDER BY name, key`
)

// A commit is one statement. It finds the digests of the rows that it replaces one by one, by
// the key: the partition may have a hundred thousand others. That the last commit is the one
// that is known shows that the database has lost none, as by a failover.
const commitSQL = `
	WITH new AS (
		SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bigint[]) AS n (name, key, value, digest)
	), mine AS (
		UPDATE store.partitions p SET commits = p.commits + 1, last_commit = $7, digest = p.digest
			# coalesce((SELECT bit_xor(n.digest) FROM new n WHERE n.value IS NOT NULL), 0)
			# coalesce((SELECT bit_xor((SELECT r.digest FROM store.rows r WHERE r.partition = $5 AND r.name = n.name AND r.key = n.key)) FROM new n), 0)
		WHERE p.id = $5 AND p.claim = $6 AND p.last_commit = $8
			AND EXISTS (SELECT FROM store.leases l JOIN store.replicas r USING (owner) WHERE l.project = p.project AND l.epoch = $9 AND r.expires > clock_timestamp())
		RETURNING p.id
	), gone AS (
		DELETE FROM store.rows WHERE EXISTS (SELECT FROM mine) AND ctid = ANY (ARRAY(
			SELECT (SELECT r.ctid FROM store.rows r WHERE r.partition = $5 AND r.name = n.name AND r.key = n.key) FROM new n WHERE n.value IS NULL))
	), put AS (
		INSERT INTO store.rows (partition, name, key, value, digest)
		SELECT mine.id, n.name, n.key, n.value, n.digest FROM mine, new n WHERE n.value IS NOT NULL
		ON CONFLICT (partition, name, key) DO UPDATE SET value = excluded.value, digest = excluded.digest
	)
	SELECT EXISTS (SELECT FROM mine)`

// Load implements Partition. With a lease, it claims the partition first, in a transaction of
// its own: nothing is locked while it reads, which may take long.
func (b *postgresPartition) Load(row func(table string, key, value []byte) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	ctx := b.context()
	if err := b.store.Prepare(ctx); err != nil {
		return err
	}
	b.claim = 0
	found, err := b.claimAnew(ctx)
	if err == nil {
		found, err = b.readAll(ctx, found.claim, row)
	}
	if err != nil {
		return b.refuse(err)
	}
	b.claim = found.claim
	b.keep(&found)
	return nil
}

// context is what statements are sent under: without the lease they are of no use any more.
func (b *postgresPartition) context() context.Context {
	if b.lease == nil || b.lease.Context == nil {
		return context.Background()
	}
	return b.lease.Context
}

// claimAnew claims the partition, if there is a lease, and brings its rows under the store's
// first seal.
func (b *postgresPartition) claimAnew(ctx context.Context) (found claimed, err error) {
	if b.lease == nil {
		return found, nil
	}
	if found, err = b.claimIt(ctx); err != nil || bytes.Equal(found.seal, b.store.first().check()) {
		return found, err
	}
	err = b.store.in(ctx, loadTimeout, readWrite, func(ctx context.Context, tx pgx.Tx) error {
		if err := b.own(ctx, tx, found.claim, &found, readSQL+` FOR UPDATE`); err != nil {
			return err
		}
		again := &Changes{}
		err := b.read(ctx, tx, &found, func(table string, key, value []byte) error {
			again.Put(table, key, value)
			return nil
		})
		if err != nil {
			return err
		}
		return b.rewrite(ctx, tx, found.id, again)
	})
	return found, err
}

// claimIt claims the partition.
func (b *postgresPartition) claimIt(ctx context.Context) (found claimed, err error) {
	err = b.store.in(ctx, statementTimeout, readWrite, func(ctx context.Context, tx pgx.Tx) (err error) {
		found, err = b.find(ctx, tx, random())
		return err
	})
	return found, err
}

// own finds the partition, which must be claimed by this number: 0 if by none.
func (b *postgresPartition) own(ctx context.Context, tx pgx.Tx, claim int64, found *claimed, statement string) error {
	if err := found.scan(tx.QueryRow(ctx, b.store.sql(statement), b.project, b.source)); err != nil {
		return err
	}
	if claim != 0 && (!found.there || found.claim != claim) {
		return fmt.Errorf("%w: another replica has claimed it", ErrLeaseLost)
	}
	return nil
}

// readAll reads all rows, as they are at one moment.
func (b *postgresPartition) readAll(ctx context.Context, claim int64, row func(table string, key, value []byte) error) (found claimed, err error) {
	err = b.store.in(ctx, loadTimeout, readOnly, func(ctx context.Context, tx pgx.Tx) error {
		if err := b.own(ctx, tx, claim, &found, readSQL); err != nil || !found.there {
			return err
		}
		return b.read(ctx, tx, &found, row)
	})
	return found, err
}

// remember remembers how the partition is, for longer than it is open here.
func (b *postgresPartition) remember(commits, number int64) {
	if b.lease == nil {
		return
	}
	if lost := b.store.known.keep(partitionName{b.project, b.source}, lastCommit{commits, number}); lost > 0 {
		b.store.warnOfLost(lost, "project", b.project, "source", b.source)
	}
}

// keep remembers how the partition was found.
func (b *postgresPartition) keep(found *claimed) {
	b.remember(found.commits, found.last)
	b.id, b.commits, b.last, b.unknown, b.known = found.id, found.commits, found.last, 0, true
}

// find claims the partition, or reads how it is.
func (b *postgresPartition) find(ctx context.Context, tx pgx.Tx, claim int64) (found claimed, err error) {
	if b.lease == nil {
		return found, found.scan(tx.QueryRow(ctx, b.store.sql(readSQL), b.project, b.source))
	}
	mark := b.store.first().check()
	err = found.scan(tx.QueryRow(ctx, b.store.sql(claimSQL), b.project, b.source, b.lease.Epoch, claim, mark, int64(markDigest(mark)), nameDigest(b.project, b.source)))
	if err == nil && !found.there {
		err = fmt.Errorf("%w: it has expired, or another replica has it", ErrLeaseLost)
	}
	return found, err
}

// read calls row for every row, and compares the digest.
func (b *postgresPartition) read(ctx context.Context, tx pgx.Tx, found *claimed, row func(table string, key, value []byte) error) error {
	from := b.store.sealed(found.seal)
	digest := markDigest(found.seal)
	err := b.eachRow(ctx, tx, found.id, func(table string, key, value []byte) error {
		digest ^= rowDigest(table, key, value)
		if from == nil {
			return nil
		}
		key, value, err := from.reveal(table, key, value)
		if err == nil {
			err = row(table, key, value)
		}
		return inTable(table, err)
	})
	switch {
	case err != nil:
		return err
	case int64(digest) != found.digest:
		return b.store.damaged("the rows do not match their digest")
	case from == nil:
		return errOtherKey
	}
	return nil
}

// readerError is an error of what reads rows, or of a row.
type readerError struct{ error }

func (e readerError) Unwrap() error { return e.error }

func inTable(table string, err error) error {
	if err == nil {
		return nil
	}
	return readerError{fmt.Errorf("table %s: %w", table, err)}
}

// eachRow calls f for the rows of a partition as they are in the database, those of Head first.
func (b *postgresPartition) eachRow(ctx context.Context, tx pgx.Tx, id int64, f func(table string, key, value []byte) error) error {
	for _, statement := range []string{headSQL, otherSQL} {
		if err := b.query(ctx, tx, statement, id, Head, f); err != nil {
			return err
		}
	}
	return nil
}

func (b *postgresPartition) query(ctx context.Context, tx pgx.Tx, statement string, id int64, table string, f func(table string, key, value []byte) error) error {
	rows, err := tx.Query(ctx, b.store.sql(statement), id, table)
	if err != nil {
		return err
	}
	var name string
	var key, value []byte
	_, err = pgx.ForEachRow(rows, []any{&name, &key, &value}, func() error { return f(name, key, value) })
	return err
}

// LoadTable implements Partition.
func (b *postgresPartition) LoadTable(table string, row func(key, value []byte) error) error {
	if err := b.store.Prepare(b.context()); err != nil {
		return err
	}
	err := b.store.in(b.context(), loadTimeout, readOnly, func(ctx context.Context, tx pgx.Tx) error {
		var found claimed
		if err := found.scan(tx.QueryRow(ctx, b.store.sql(readSQL), b.project, b.source)); err != nil || !found.there {
			return err
		}
		from := b.store.sealed(found.seal)
		if from == nil {
			return errOtherKey
		}
		return b.query(ctx, tx, headSQL, found.id, table, func(_ string, key, value []byte) error {
			key, value, err := from.reveal(table, key, value)
			if err == nil {
				err = row(key, value)
			}
			return inTable(table, err)
		})
	})
	return b.refuse(err)
}

// rewrite puts all rows under the store's first seal.
func (b *postgresPartition) rewrite(ctx context.Context, tx pgx.Tx, id int64, rows *Changes) error {
	c, err := b.prepare(rows)
	if err != nil {
		return err
	}
	mark := b.store.first().check()
	digest := markDigest(mark)
	for _, d := range c.digests {
		digest ^= uint64(d)
	}
	if _, err := tx.Exec(ctx, b.store.sql(`DELETE FROM store.rows WHERE partition = $1`), id); err != nil {
		return err
	}
	if err := b.copyRows(ctx, tx, id, c); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, b.store.sql(`UPDATE store.partitions SET seal = $2, digest = $3 WHERE id = $1`), id, mark, int64(digest))
	return err
}

func (b *postgresPartition) copyRows(ctx context.Context, tx pgx.Tx, id int64, c *rowChanges) error {
	_, err := tx.Exec(ctx, b.store.sql(`INSERT INTO store.rows (partition, name, key, value, digest)
		SELECT $5, * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bigint[])`), c.names, c.keys, c.values, c.digests, id)
	return err
}

// rowChanges are changes as columns: at most one for each row, as it is in the database.
type rowChanges struct {
	names   []string
	keys    [][]byte
	values  [][]byte // nil deletes
	digests []int64
}

// maxKey is the longest key: an index of the database takes no more than about 2,700 bytes.
const maxKey = 2500

// noTables are names that no table has: the embedded store keeps something else there.
var noTables = []string{"", string(digestKey), string(sealKey)}

// prepare makes columns of changes. The last change of a row is the one that counts.
func (b *postgresPartition) prepare(changes *Changes) (*rowChanges, error) {
	last := make(map[string]int, len(changes.list))
	for i, c := range changes.list {
		if len(c.key) == 0 || len(c.key) > maxKey || slices.Contains(noTables, c.table) {
			return nil, fmt.Errorf("table %q: no table has this name, or a key has %d bytes; 1 to %d are allowed", c.table, len(c.key), maxKey)
		}
		last[c.table+"\x00"+string(c.key)] = i
	}
	columns := &rowChanges{}
	for i, c := range changes.list {
		if last[c.table+"\x00"+string(c.key)] != i {
			continue
		}
		var key, value []byte
		var err error
		if c.deletes {
			key, err = b.store.first().hideKey(c.table, c.key)
		} else {
			key, value, err = b.store.first().hide(c.table, c.key, c.value)
		}
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", c.table, err)
		}
		columns.names, columns.keys, columns.values = append(columns.names, c.table), append(columns.keys, key), append(columns.values, value)
		columns.digests = append(columns.digests, int64(rowDigest(c.table, key, value)))
	}
	return columns, nil
}

// Commit implements Partition. If the answer is lost, it finds out what became of the commit.
func (b *postgresPartition) Commit(changes *Changes) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.store.Prepare(b.context()); err != nil {
		return err
	}
	if b.lease == nil {
		return b.refuse(fmt.Errorf("%w: there is no lease", ErrLeaseLost))
	}
	columns, err := b.prepare(changes)
	if err != nil {
		return b.refuse(fmt.Errorf("%w: %w", errWrite, err))
	}
	commit := random()
	for try := 1; ; try++ {
		if b.claim == 0 {
			if claimErr := b.reclaim(); claimErr != nil {
				if err != nil {
					claimErr = fmt.Errorf("it will be found out whether this was written: %w", claimErr)
				}
				return b.refuse(claimErr)
			}
		}
		if b.last == commit { // it was made, and the answer lost
			return nil
		}
		if try > commitTries {
			return b.refuse(err)
		}
		if err = b.write(columns, commit); err == nil {
			return nil
		}
		b.claim, b.unknown = 0, commit
	}
}

// commitTries is how often a commit is tried: a connection may have died meanwhile.
const commitTries = 2

// write makes the commit, in one round trip.
func (b *postgresPartition) write(c *rowChanges, commit int64) error {
	ctx, cancel := context.WithTimeout(b.context(), statementTimeout)
	defer cancel()
	batch := &pgx.Batch{}
	batch.Queue("BEGIN " + readWrite)
	batch.Queue(limits(statementTimeout))
	mine := false
	batch.Queue(b.store.sql(commitSQL), c.names, c.keys, c.values, c.digests, b.id, b.claim, commit, b.last, b.lease.Epoch).
		QueryRow(func(row pgx.Row) error { return row.Scan(&mine) })
	batch.Queue("COMMIT")
	if err := b.store.pool.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("%w: %w", errWrite, b.store.unavailable(err))
	}
	if !mine {
		return fmt.Errorf("%w: %w: the lease of the project has expired, or another replica has it", errWrite, ErrLeaseLost)
	}
	b.commits, b.last, b.unknown = b.commits+1, commit, 0
	b.remember(b.commits, b.last)
	return nil
}

// reclaim claims the partition again, in which there must be what was left there, with the
// unknown commit or without it.
func (b *postgresPartition) reclaim() error {
	var found claimed
	err := b.store.in(b.context(), statementTimeout, readWrite, func(ctx context.Context, tx pgx.Tx) (err error) {
		if found, err = b.find(ctx, tx, random()); err != nil {
			return err
		}
		if !bytes.Equal(found.seal, b.store.first().check()) {
			return errOtherKey
		}
		if b.known && found.last != b.last && (found.last != b.unknown || b.unknown == 0) {
			b.remember(found.commits, found.last)
			return fmt.Errorf("%w: another process has written to it, or the database was restored", ErrLeaseLost)
		}
		return nil
	})
	if err != nil {
		return err
	}
	b.claim = found.claim
	b.keep(&found)
	return nil
}

// refuse says of an error in which partition it is, and that the store is damaged if a row is.
func (b *postgresPartition) refuse(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[readerError](err); ok && !errors.Is(err, ErrRefused) {
		err = b.store.damaged(b.title() + ", " + err.Error())
	} else {
		err = fmt.Errorf("%s: %w", b.title(), err)
	}
	if errors.Is(err, ErrLeaseLost) && b.lease != nil && b.lease.Lost != nil {
		b.lease.Lost(err)
	}
	return databaseError{err}
}

func (b *postgresPartition) title() string {
	return b.store.title + ", " + b.project + "/" + b.source
}
