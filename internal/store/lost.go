package store

import (
	"context"
	"sync"

	"github.com/go-kit/log/level"
	"github.com/jackc/pgx/v5"
)

// known is what this process knows to be in the database: of each partition, how many commits
// there were, and the number of the last one. It outlives the leases, which end when a
// database is restored or fails over.
type known struct {
	lost func(commits int64) // may be nil

	mu         sync.Mutex
	partitions map[partitionName]lastCommit
}

type lastCommit struct{ commits, number int64 }

// keep remembers how a partition is, and returns how many commits are missing of those that
// were known.
func (k *known) keep(n partitionName, now lastCommit) (lost int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.partitions[n]
	k.partitions[n] = now
	switch {
	case now.commits < before.commits:
		lost = before.commits - now.commits
	case now.commits == before.commits && now.number != before.number && before.commits > 0:
		lost = 1 // at least: there are others in their place
	}
	if lost > 0 && k.lost != nil {
		k.lost(lost)
	}
	return lost
}

// OnLost has f called with how many commits the database turns out to have lost.
func (s *Postgres) OnLost(f func(commits int64)) { s.known.lost = f }

// lookForLost compares all partitions with what is known of them: after a restore, this
// replica may not get the lease of a project that it had.
func (s *Postgres) lookForLost(ctx context.Context) error {
	s.known.mu.Lock()
	before := len(s.known.partitions)
	s.known.mu.Unlock()
	if before == 0 {
		return nil
	}
	found := map[partitionName]lastCommit{}
	err := s.in(ctx, statementTimeout, readOnly, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, s.sql(`SELECT project, source, commits, last_commit FROM store.partitions`))
		if err != nil {
			return err
		}
		var n partitionName
		var last lastCommit
		_, err = pgx.ForEachRow(rows, []any{&n.project, &n.source, &last.commits, &last.number}, func() error {
			found[n] = last
			return nil
		})
		return err
	})
	if err != nil {
		return err
	}
	sources, lost, example := 0, int64(0), partitionName{}
	for _, n := range s.known.names() {
		if missing := s.known.keep(n, found[n]); missing > 0 {
			sources, lost, example = sources+1, lost+missing, n
		}
	}
	if sources > 0 {
		s.warnOfLost(lost, "sources", sources, "example", example)
	}
	return nil
}

func (k *known) names() (names []partitionName) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for n := range k.partitions {
		names = append(names, n)
	}
	return names
}

func (s *Postgres) warnOfLost(lost int64, more ...any) {
	level.Error(s.logger).Log(append([]any{"msg", "the database has lost commits: it was restored, or failed over to a server that was behind; counters fall, and rise again as the same records are read again",
		"lost", lost}, more...)...)
}

// comparePlace warns if the database is not the one that was prepared last. There may be no
// process left that knows what was in that one.
func (s *Postgres) comparePlace(ctx context.Context, tx pgx.Tx) error {
	var before, now string
	if err := tx.QueryRow(ctx, s.sql(`SELECT m.place, d.oid || '/' || $1::regclass::oid FROM store.store m, pg_database d WHERE d.datname = current_database()`), s.Table("store")).
		Scan(&before, &now); err != nil {
		return err
	}
	var timeline string // grows when a server recovers to a point in time, or takes over from another
	if err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)`).Scan(&timeline)
	}); err == nil { // not every server has it
		now += "/" + timeline
	}
	if before == now || s.reads {
		return nil
	}
	done, err := tx.Exec(ctx, s.sql(`UPDATE store.store SET place = $1 WHERE place = $2`), now, before)
	if err == nil && before != "" && done.RowsAffected() > 0 {
		level.Warn(s.logger).Log("msg", "the database was restored, copied or failed over since an exporter was started last: if it is older than it was, counters fall, and rise again as the same records are read again",
			"schema", s.schema)
	}
	return err
}
