package store

import (
	"bytes"
	"context"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// migrations are the steps to the present tables, one file each.
//
//go:embed migrations/*.sql
var migrations embed.FS

const (
	// tablesVersion is the number of the last step.
	tablesVersion = 1
	// oldestServer is the first version of PostgreSQL that has bit_xor.
	oldestServer = 140000
	// statementTimeout bounds each statement, on the server too; loadTimeout those that read a
	// whole partition.
	statementTimeout = 15 * time.Second
	loadTimeout      = 5 * time.Minute
	// rowLockTimeout bounds how long a statement waits for a lock: whoever holds one for longer is
	// no commit of ours.
	rowLockTimeout = 3 * time.Second
	// idleTimeout is when the server ends a transaction whose process says nothing any more, as
	// one that was paused. So its locks do not outlive its leases for long.
	idleTimeout = 5 * time.Second
	// beatConnections are those for the leases. One is used, and others if that one hangs.
	beatConnections = 3
	// connectTimeout is for a DSN that gives none.
	connectTimeout = 10 * time.Second
	// connectionLife bounds how long a rotated password or a moved server stays unnoticed.
	connectionLife = 5 * time.Minute
)

// PostgresOptions say how a store in PostgreSQL is opened.
type PostgresOptions struct {
	// DSN is asked before each new connection.
	DSN func() (string, error)
	// Schema is where the tables are.
	Schema string
	// Key is that of the seal, which is kept elsewhere. Without one the store seals with a
	// random key of its own, which is in the same database.
	Key []byte
	// ReadOnly makes no tables, if there are none: the error is an fs.ErrNotExist.
	ReadOnly bool
	Logger   log.Logger
}

// Postgres is a store in PostgreSQL, which several processes share. It needs no more of a
// connection than a pooler in transaction mode has: transactions, and no state beyond them.
type Postgres struct {
	pool   *pgxpool.Pool
	beats  *pgxpool.Pool // is for the leases: these never wait for what is slow
	schema string
	names  *strings.Replacer // makes names of tables of store.NAME
	title  string            // of the store in errors
	key    []byte
	reads  bool // and does nothing else
	logger log.Logger
	known  known

	secretsMu sync.Mutex
	secrets   map[string]bool // that no error may show

	preparing sync.Mutex
	seals     atomic.Pointer[[]*seal] // nil until the store is prepared
}

// OpenPostgres opens a store. It does not connect yet.
func OpenPostgres(o PostgresOptions) (*Postgres, error) {
	quoted := pgx.Identifier{o.Schema}.Sanitize()
	s := &Postgres{schema: o.Schema, title: fmt.Sprintf("storage.postgres, schema %s", o.Schema), key: o.Key, reads: o.ReadOnly, logger: o.Logger,
		names: strings.NewReplacer("store.", quoted+".workspace_exporter_"), secrets: map[string]bool{}, known: known{partitions: map[partitionName]lastCommit{}}}
	if s.logger == nil {
		s.logger = log.NewNopLogger()
	}
	c, err := s.parse(o.DSN)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.title, err)
	}
	c.BeforeConnect = func(_ context.Context, next *pgx.ConnConfig) error {
		now, err := s.parse(o.DSN)
		if err == nil {
			*next = *now.ConnConfig
		}
		return err
	}
	alone := c.Copy()
	alone.MaxConns, alone.MinConns, alone.MinIdleConns = beatConnections, 0, 0
	if s.beats, err = pgxpool.NewWithConfig(context.Background(), alone); err != nil {
		return s, s.unavailable(err)
	}
	s.pool, err = pgxpool.NewWithConfig(context.Background(), c)
	return s, s.unavailable(err)
}

// parse reads the DSN. What it returns, and what comes of it, never shows it.
func (s *Postgres) parse(dsn func() (string, error)) (*pgxpool.Config, error) {
	text, err := dsn()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	c, err := pgxpool.ParseConfig(text)
	if err != nil { // its text may show a part of the DSN
		return nil, fmt.Errorf("%w: the dsn is not a connection string, or names a file that cannot be read; it is not shown, see check-config", ErrUnavailable)
	}
	s.secretsMu.Lock()
	s.secrets[c.ConnConfig.Password] = true
	s.secrets[text] = true
	s.secretsMu.Unlock()
	// Statements with a name stay with a connection, which a pooler gives to others.
	c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	c.ConnConfig.StatementCacheCapacity, c.ConnConfig.DescriptionCacheCapacity = 0, 0
	if c.ConnConfig.ConnectTimeout == 0 {
		c.ConnConfig.ConnectTimeout = connectTimeout
	}
	if _, given := c.ConnConfig.RuntimeParams["application_name"]; !given {
		c.ConnConfig.RuntimeParams["application_name"] = "workspace_exporter"
	}
	// What the defaults of role or database would change. Poolers know these.
	for name, value := range map[string]string{"client_encoding": "UTF8", "datestyle": "ISO", "standard_conforming_strings": "on"} {
		c.ConnConfig.RuntimeParams[name] = value
	}
	c.MaxConnLifetime, c.MaxConnLifetimeJitter, c.MaxConnIdleTime = connectionLife, connectionLife/5, connectionLife
	c.PingTimeout = connectTimeout
	return c, nil
}

// Close releases the store.
func (s *Postgres) Close() error {
	s.pool.Close()
	s.beats.Close()
	return nil
}

// Pool is what statements about leases are sent by, and Table the name of a table in them.
func (s *Postgres) Pool() *pgxpool.Pool { return s.pool }

// Table is the full name of a table, quoted.
func (s *Postgres) Table(name string) string { return s.sql("store." + name) }

// sql puts the names of tables into a statement.
func (s *Postgres) sql(statement string) string { return s.names.Replace(statement) }

// ErrUnavailable is wrapped by every error that the database answers with, or that keeps it
// from answering.
var ErrUnavailable = errors.New("the database cannot be used")

// ErrLeaseLost is wrapped by what a partition is refused with whose lease has gone to another
// process, or that another process has written to.
var ErrLeaseLost = errors.New("the lease is lost")

// databaseError is every error of a store in a database, so that it is not looked for on this
// machine's disk.
type databaseError struct{ error }

func (e databaseError) Unwrap() error { return e.error }

// OfDatabase says which kind of error this is, to who does not know this package.
func (databaseError) OfDatabase() {}

// unavailable makes an error of one of the database's, with nothing secret in it.
func (s *Postgres) unavailable(err error) error {
	if err == nil {
		return nil
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "25006" {
		s.beats.Reset()
		s.pool.Reset() // it has become a standby: connections are to look for the primary again
	}
	text := err.Error()
	s.secretsMu.Lock()
	for secret := range s.secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "<secret>")
		}
	}
	s.secretsMu.Unlock()
	// The cause is not wrapped: it has its own text.
	return fmt.Errorf("%w: %s%s", ErrUnavailable, strings.Join(strings.Fields(text), " "), s.remedy(err))
}

// remedy says what to do about an error of the database.
func (s *Postgres) remedy(err error) string {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		if _, unconnected := errors.AsType[*pgconn.ConnectError](err); unconnected {
			return "; check host, port and sslmode in the dsn, and that the server accepts connections from here"
		}
		return ""
	}
	switch refused.Code {
	case "28P01":
		return "; check user and password in the dsn"
	case "42501":
		return fmt.Sprintf("; the role needs USAGE and CREATE on the schema %s at the first start, and SELECT, INSERT, UPDATE, DELETE on its tables", s.schema)
	case "25006":
		return "; it is a standby or read-only: name all servers in the dsn, with target_session_attrs=read-write"
	case "53100":
		return "; make room there"
	case "53300":
		return "; raise max_connections or the role's limit, or lower pool_max_conns in the dsn"
	case "22P05":
		return "; make the database with ENCODING 'UTF8', or name projects without such characters"
	}
	return ""
}

func (s *Postgres) damaged(why string) error {
	return fmt.Errorf("%w (%s); restore the database from a backup, or give another storage.postgres.schema to count from 0", ErrDamaged, why)
}

// modes of transactions. The role's default may be another one, which refuses what others
// have changed meanwhile.
const (
	readWrite = "ISOLATION LEVEL READ COMMITTED"
	readOnly  = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
)

// in calls f in a transaction. If its end is unknown, that is an error.
func (s *Postgres) in(ctx context.Context, timeout time.Duration, mode string, f func(context.Context, pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var own error
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{BeginQuery: "BEGIN " + mode + ";" + limits(timeout)}, func(tx pgx.Tx) error {
		own = f(ctx, tx)
		return own
	})
	if own != nil {
		return s.explain(own)
	}
	return s.unavailable(err)
}

// explain leaves errors of ours as they are.
func (s *Postgres) explain(err error) error {
	if _, ok := errors.AsType[readerError](err); ok {
		return err
	}
	for _, known := range []error{ErrUnavailable, ErrLeaseLost, ErrDamaged, ErrRefused, errWrite} {
		if errors.Is(err, known) {
			return err
		}
	}
	return s.unavailable(err)
}

// limits are settings of the transaction alone, whatever the defaults of the role: how bytes are
// written, what it waits for, and that a commit is on disk when it is answered.
func limits(timeout time.Duration) string {
	idle := timeout
	if timeout == statementTimeout { // others wait for what this one has locked
		idle = idleTimeout
	}
	return fmt.Sprintf(`SELECT set_config('bytea_output', 'hex', true), set_config('statement_timeout', '%d', true), set_config('lock_timeout', '%d', true), set_config('idle_in_transaction_session_timeout', '%d', true),
		set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)`,
		timeout.Milliseconds(), rowLockTimeout.Milliseconds(), idle.Milliseconds())
}

// Prepare makes the tables, if they are not there or are of an earlier release, and checks
// what must be right before anything is counted. Several processes may do it at once. What
// needs the store does it, if it is not done.
func (s *Postgres) Prepare(ctx context.Context) error {
	s.preparing.Lock()
	defer s.preparing.Unlock()
	if s.seals.Load() != nil {
		return nil
	}
	return s.prepare(ctx)
}

// prepareAgain is for who joins: the database may be another one than before, with another key.
func (s *Postgres) prepareAgain(ctx context.Context) error {
	s.preparing.Lock()
	defer s.preparing.Unlock()
	return s.prepare(ctx)
}

func (s *Postgres) prepare(ctx context.Context) error {
	var own []byte
	err := s.in(ctx, loadTimeout, readWrite, func(ctx context.Context, tx pgx.Tx) (err error) {
		if err := s.checkServer(ctx, tx); err != nil {
			return err
		}
		if err := s.migrate(ctx, tx); err != nil {
			return err
		}
		if own, err = s.checkNames(ctx, tx); err != nil {
			return err
		}
		return s.comparePlace(ctx, tx)
	})
	if err != nil {
		return databaseError{fmt.Errorf("%s: %w", s.title, err)}
	}
	var seals []*seal
	if s.key != nil {
		seals = append(seals, newSeal(s.key))
	}
	seals = append(seals, newSeal(own))
	s.seals.Store(&seals)
	return nil
}

// checkServer refuses a server that is too old, or that cannot be written to.
func (s *Postgres) checkServer(ctx context.Context, tx pgx.Tx) error {
	var version int
	var standby bool
	err := tx.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, pg_is_in_recovery()`).Scan(&version, &standby)
	switch {
	case err != nil:
		return err
	case version < oldestServer:
		return fmt.Errorf("%w: it is PostgreSQL %d; %d is the first that will do", ErrUnavailable, version/10000, oldestServer/10000)
	case standby:
		return fmt.Errorf("%w: it is a standby; name all servers in the dsn, with target_session_attrs=read-write", ErrUnavailable)
	}
	return nil
}

// migrate takes the steps that are missing. Others who want the same wait for the end of the
// transaction, and find nothing left to do.
func (s *Postgres) migrate(ctx context.Context, tx pgx.Tx) error {
	version, err := s.version(ctx, tx)
	if err != nil || version == tablesVersion {
		return err
	}
	if version == 0 && s.seals.Load() != nil { // they may be about to be restored
		return s.damaged("its tables are gone")
	}
	if version < tablesVersion && s.reads {
		return fmt.Errorf("%w: %w: its tables are not made yet, or are of an earlier release: start the exporter first", ErrRefused, fs.ErrNotExist)
	}
	if version < tablesVersion {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, "workspace_exporter "+s.schema); err != nil {
			return err
		}
		if version, err = s.version(ctx, tx); err != nil {
			return err
		}
	}
	if version > tablesVersion {
		return fmt.Errorf("%w: its tables have version %d, made by a newer version of the exporter; this one knows versions up to %d: use the newer version, or another schema",
			ErrRefused, version, tablesVersion)
	}
	for step := version + 1; step <= tablesVersion; step++ {
		if err := s.step(ctx, tx, step); err != nil {
			return err
		}
	}
	if version < tablesVersion {
		level.Info(s.logger).Log("msg", "tables made in the database", "schema", s.schema, "version", tablesVersion)
	}
	return nil
}

// version is that of the tables, 0 if there are none.
func (s *Postgres) version(ctx context.Context, tx pgx.Tx) (version int, err error) {
	there := false
	// to_regclass may not see what another transaction has just made.
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname = 'workspace_exporter_store')`, s.schema).Scan(&there)
	if err != nil || !there {
		return 0, err
	}
	format := 0
	err = tx.QueryRow(ctx, s.sql(`SELECT version, format FROM store.store`)).Scan(&version, &format)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, s.damaged("the table " + s.Table("store") + " is empty")
	}
	if err == nil && format > Format {
		err = fmt.Errorf("%w: it has format %d, written by a newer version of the exporter; this one knows formats up to %d: use the newer version, or another schema",
			ErrRefused, format, Format)
	}
	return version, err
}

func (s *Postgres) step(ctx context.Context, tx pgx.Tx, step int) error {
	if step == 1 {
		there := false
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)`, s.schema).Scan(&there); err != nil {
			return err
		}
		if !there {
			if _, err := tx.Exec(ctx, "CREATE SCHEMA "+pgx.Identifier{s.schema}.Sanitize()); err != nil {
				return err
			}
		}
	}
	statements, err := migrations.ReadFile(fmt.Sprintf("migrations/%d.sql", step))
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, s.sql(string(statements))); err != nil {
		return err
	}
	if step > 1 {
		_, err = tx.Exec(ctx, s.sql(`UPDATE store.store SET version = $1`), step)
		return err
	}
	own, err := newOwnKey()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, s.sql(`INSERT INTO store.store (id, version, format, own_key, names) VALUES (1, 1, $1, $2, 0)`), Format, own)
	return err
}

// checkNames refuses a store that has lost a partition, or one whose own key is not whole. It
// returns that key.
func (s *Postgres) checkNames(ctx context.Context, tx pgx.Tx) ([]byte, error) {
	rows, err := tx.Query(ctx, s.sql(`SELECT m.own_key, m.names, p.project, p.source FROM store.store m LEFT JOIN store.partitions p ON true`))
	if err != nil {
		return nil, err
	}
	var own []byte
	var stored, names int64
	var project, source *string
	_, err = pgx.ForEachRow(rows, []any{&own, &stored, &project, &source}, func() error {
		if project != nil {
			names ^= nameDigest(*project, *source)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case names != stored:
		return nil, s.damaged("its list of partitions does not match the list's digest")
	case !wholeKey(own):
		return nil, s.damaged("the key of its pseudonyms is not whole")
	}
	return bytes.Clone(own[:ownKeySize]), nil
}

// nameDigest hashes the name of a partition. Those of all are combined by XOR.
func nameDigest(project, source string) int64 {
	return int64(xxhash.Sum64String(project + "\x00" + source))
}

// first is the seal that rows are written under.
func (s *Postgres) first() *seal { return (*s.seals.Load())[0] }

// sealed is the seal with this mark; nil if it is not among the store's.
func (s *Postgres) sealed(mark []byte) *seal {
	for _, known := range *s.seals.Load() {
		if bytes.Equal(mark, known.check()) {
			return known
		}
	}
	return nil
}

// Partition implements Store.
func (s *Postgres) Partition(project, source string, lease *Lease) Partition {
	return &postgresPartition{store: s, project: project, source: source, lease: lease}
}

// random is a number that nobody else has.
func random() int64 { return int64(rand.Uint64()) }

func markDigest(mark []byte) uint64 { return rowDigest("", sealKey, mark) }

func wholeKey(own []byte) bool {
	return len(own) == ownKeySize+8 && binary.BigEndian.Uint64(own[ownKeySize:]) == xxhash.Sum64(own[:ownKeySize])
}
