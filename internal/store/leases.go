package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/workspace-exporter/workspace_exporter/internal/lease"
)

// Leases are the leases in the database. Its methods are one statement each: a round trip, in
// a transaction of its own.
type Leases struct{ store *Postgres }

// do makes a statement, and takes each of its rows.
func (l *Leases) do(ctx context.Context, statement string, args []any, into []any, row func() error) error {
	batch := &pgx.Batch{}
	batch.Queue("BEGIN " + readWrite)
	batch.Queue(l.store.sql(statement), args...).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, into, row)
		return err
	})
	batch.Queue("COMMIT")
	err := l.store.beats.SendBatch(ctx, batch).Close()
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == tooManyConnections {
		l.store.pool.Reset() // those of ours that are idle keep the leases from being renewed
	}
	return l.store.unavailable(err)
}

const tooManyConnections = "53300"

// Leases returns the leases of the projects in the store.
func (s *Postgres) Leases() *Leases { return &Leases{s} }

// A row of store.replicas is a replica that is alive. Once it is gone, by expiry or by the
// replica's own will, it never comes back: so a lease whose owner has no row is free. Rows
// that another process is about to renew or delete are left alone.
const beatSQL = `
	WITH gone AS (
		DELETE FROM store.replicas WHERE owner IN (
			SELECT owner FROM store.replicas WHERE expires <= clock_timestamp() AND owner <> $1 FOR UPDATE SKIP LOCKED)
		RETURNING owner
	), me AS (
		%s
		RETURNING owner
	)
	SELECT (SELECT count(*) FROM me), l.projects, l.owners, l.epochs, r.owners, r.configs, r.projects
	FROM (SELECT array_agg(project) AS projects, array_agg(owner) AS owners, array_agg(epoch) AS epochs FROM store.leases) l,
		(SELECT array_agg(owner) AS owners, array_agg(config) AS configs,
			array_agg(CASE WHEN config = $3 THEN '' ELSE array_to_json(projects)::text END) AS projects
			FROM store.replicas WHERE owner <> $1 AND owner NOT IN (SELECT owner FROM gone)) r`

const (
	joinSQL = `INSERT INTO store.replicas (owner, expires, config, projects)
		VALUES ($1, clock_timestamp() + make_interval(secs => $2), $3, coalesce($4::text[], '{}'))`
	renewSQL = `UPDATE store.replicas SET expires = clock_timestamp() + make_interval(secs => $2), config = $3,
		projects = CASE WHEN config = $3 THEN projects ELSE coalesce($4::text[], '{}') END -- so that a long list is not written again and again
		WHERE owner = $1 AND expires > clock_timestamp()`
)

// Beat implements lease.Registry.
func (l *Leases) Beat(ctx context.Context, r lease.Replica, first bool) (*lease.View, error) {
	prepare := l.store.Prepare
	if first {
		prepare = l.store.prepareAgain
	}
	if err := prepare(ctx); err != nil {
		return nil, err
	}
	own := renewSQL
	if first {
		own = joinSQL
	}
	var alive int
	var projects, owners, others, configs, lists []string
	var epochs []int64
	err := l.do(ctx, fmt.Sprintf(beatSQL, own), []any{r.Owner, r.Duration.Seconds(), r.Config, r.Projects},
		[]any{&alive, &projects, &owners, &epochs, &others, &configs, &lists}, func() error { return nil })
	if err != nil {
		return nil, err
	}
	if alive == 0 {
		return nil, lease.ErrExpired
	}
	if first {
		if err := l.store.lookForLost(ctx); err != nil {
			return nil, err
		}
	}
	view := &lease.View{Replicas: map[string]lease.Replica{r.Owner: r}, Holders: map[string]lease.Holder{}}
	for i, project := range projects {
		view.Holders[project] = lease.Holder{Owner: owners[i], Epoch: epochs[i]}
	}
	for i, owner := range others {
		other := lease.Replica{Owner: owner, Duration: r.Duration, Config: configs[i], Projects: r.Projects}
		if lists[i] != "" {
			other.Projects = nil
			if err := json.Unmarshal([]byte(lists[i]), &other.Projects); err != nil {
				return nil, err
			}
		}
		view.Replicas[owner] = other
	}
	return view, nil
}

// takeSQL gives what nobody has taken since it was seen. The replica must be alive, and stays
// so until the statement ends: its row is locked.
const takeSQL = `
	WITH me AS (
		UPDATE store.replicas SET expires = expires WHERE owner = $1 AND expires > clock_timestamp() RETURNING owner
	), seen AS (
		SELECT * FROM unnest($2::text[], $3::bigint[]) AS s (project, epoch)
	), fresh AS (
		INSERT INTO store.leases (project, owner, epoch) SELECT project, $1, 1 FROM seen, me WHERE epoch = 0
		ON CONFLICT DO NOTHING RETURNING project, epoch
	), taken AS (
		UPDATE store.leases l SET owner = $1, epoch = l.epoch + 1 FROM seen s, me WHERE l.project = s.project AND l.epoch = s.epoch
		RETURNING l.project, l.epoch
	)
	SELECT project, epoch FROM fresh UNION ALL SELECT project, epoch FROM taken`

// Take implements lease.Registry.
func (l *Leases) Take(ctx context.Context, owner string, seen map[string]int64) (map[string]int64, error) {
	projects := slices.Sorted(maps.Keys(seen)) // so that two never wait for each other
	epochs := make([]int64, len(projects))
	for i, project := range projects {
		epochs[i] = seen[project]
	}
	taken := map[string]int64{}
	var project string
	var epoch int64
	return taken, l.do(ctx, takeSQL, []any{owner, projects, epochs}, []any{&project, &epoch}, func() error {
		taken[project] = epoch
		return nil
	})
}

// GiveBack implements lease.Registry.
func (l *Leases) GiveBack(ctx context.Context, owner string, projects []string) error {
	return l.do(ctx, `UPDATE store.leases SET owner = '' WHERE owner = $1 AND project = ANY ($2::text[])`, []any{owner, projects}, nil, func() error { return nil })
}

// Leave implements lease.Registry.
func (l *Leases) Leave(ctx context.Context, owner string) error {
	return l.do(ctx, `DELETE FROM store.replicas WHERE owner = $1`, []any{owner}, nil, func() error { return nil })
}
