package store

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Examination is what can be seen of a database without changing it.
type Examination struct {
	Version string
	TLS     bool
	// Skew is how far the local clock is ahead of the database's.
	Skew time.Duration
	// Tables is the version of the tables; 0 if there are none yet.
	Tables int
	// Replicas are how many have leases now, and Partitions the sources that have been counted.
	Replicas, Partitions int
}

// Examine looks at the database: what it cannot be used for is the error.
func (s *Postgres) Examine(ctx context.Context) (e Examination, err error) {
	err = s.in(ctx, statementTimeout, readOnly, func(ctx context.Context, tx pgx.Tx) error {
		_, e.TLS = tx.Conn().PgConn().Conn().(*tls.Conn)
		if err := s.checkServer(ctx, tx); err != nil {
			return err
		}
		var now time.Time
		asked := time.Now()
		if err := tx.QueryRow(ctx, `SELECT current_setting('server_version'), clock_timestamp()`).Scan(&e.Version, &now); err != nil {
			return err
		}
		answered := time.Now()
		e.Skew = asked.Add(answered.Sub(asked) / 2).Sub(now)
		if e.Tables, err = s.version(ctx, tx); err != nil {
			return err
		}
		if e.Tables == 0 {
			return s.mayCreate(ctx, tx)
		}
		if err := s.mayWrite(ctx, tx); err != nil {
			return err
		}
		return tx.QueryRow(ctx, s.sql(`SELECT (SELECT count(*) FROM store.replicas WHERE expires > now()), (SELECT count(*) FROM store.partitions)`)).Scan(&e.Replicas, &e.Partitions)
	})
	if err != nil {
		err = databaseError{fmt.Errorf("%s: %w", s.title, err)}
	}
	return e, err
}

// mayCreate is an error if the role may not make the tables.
func (s *Postgres) mayCreate(ctx context.Context, tx pgx.Tx) error {
	var may, there bool
	err := tx.QueryRow(ctx, `SELECT coalesce((SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1),
		has_database_privilege(current_database(), 'CREATE')), EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)`, s.schema).Scan(&may, &there)
	switch {
	case err != nil || may:
		return err
	case there:
		return fmt.Errorf("%w: the role may not make tables there; GRANT USAGE, CREATE ON SCHEMA %s to it, or give it a schema of its own", ErrUnavailable, s.schema)
	}
	return fmt.Errorf("%w: there is no schema %s, and the role may not make one; CREATE SCHEMA %s AUTHORIZATION the role", ErrUnavailable, s.schema, s.schema)
}

// tables are all tables of the store.
var tables = []string{"store", "replicas", "leases", "partitions", "rows"}

// mayWrite is an error if the role lacks a privilege on a table.
func (s *Postgres) mayWrite(ctx context.Context, tx pgx.Tx) error {
	var lacking []string
	for _, table := range tables {
		for _, privilege := range []string{"SELECT", "INSERT", "UPDATE", "DELETE"} {
			var may bool
			if err := tx.QueryRow(ctx, `SELECT has_table_privilege($1, $2)`, s.Table(table), privilege).Scan(&may); err != nil {
				return err
			}
			if !may {
				lacking = append(lacking, privilege+" on "+s.Table(table))
			}
		}
	}
	if len(lacking) > 0 {
		return fmt.Errorf("%w: the role lacks %s; GRANT it", ErrUnavailable, strings.Join(lacking, ", "))
	}
	return nil
}
