package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/lease"
	"github.com/workspace-exporter/workspace_exporter/internal/pgtest"
)

// proxy stands between a store and its database, and cuts connections.
type proxy struct {
	listener net.Listener
	to       string

	mu     sync.Mutex
	up     int   // how many bytes still go to the server; below 0: all
	down   int   // and from it
	closed bool  // no connection is let through
	hold   *held // what is cut off goes to the server later; nil: never
	sent   int   // pieces that went to the server
}

// held is what goes to the server when release is closed; the server has answered when
// answered is.
type held struct{ release, answered chan struct{} }

// proxied is a connection by way of a proxy.
type proxied struct {
	client, server net.Conn
	once           sync.Once
	closed         chan struct{}
}

func (c *proxied) close() {
	c.once.Do(func() {
		_ = c.client.Close()
		_ = c.server.Close()
		close(c.closed)
	})
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l, to: to, up: -1, down: -1}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil || p.isClosed() {
				_ = client.Close()
				continue
			}
			c := &proxied{client: client, server: server, closed: make(chan struct{})}
			go p.pass(c, client, server, &p.up)
			go p.pass(c, server, client, &p.down)
		}
	}()
	return p
}

func (p *proxy) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// pass copies bytes from one side to the other, as many as are left.
func (p *proxy) pass(c *proxied, from io.Reader, to io.Writer, left *int) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		p.mu.Lock()
		var hold *held
		if left == &p.up && n > 0 {
			p.sent++
		}
		all, cut := n, *left >= 0 && n > *left
		if cut {
			n, hold = *left, p.hold
			p.up, p.down, p.hold = -1, -1, nil // once
		} else if *left >= 0 {
			*left -= n
		}
		p.mu.Unlock()
		if hold != nil {
			go func() {
				<-hold.release
				_, _ = to.Write(b[:all])
				<-c.closed // when there is an answer, which nobody reads
				close(hold.answered)
			}()
			_ = c.client.Close()
			return
		}
		_, writeErr := to.Write(b[:n])
		if cut || err != nil || writeErr != nil {
			c.close()
			return
		}
	}
}

// limit cuts the next connection that passes more than so many bytes to the server, or from it.
func (p *proxy) limit(up, down int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up, p.down = up, down
}

// close lets nothing through, or again everything.
func (p *proxy) close(closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = closed
}

func (p *proxy) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// sends is how often something went to the server.
func (p *proxy) sends() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent
}

// left is how many bytes may still pass.
func (p *proxy) left() (up, down int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.up, p.down
}

// counter counts in a partition as an accumulator does: it loads again when a commit fails.
type counter struct {
	partition Partition
	n         int // -1: to be loaded
}

func (c *counter) load() error {
	c.n = 0
	err := c.partition.Load(func(_ string, key, value []byte) (err error) {
		if string(key) == "n" {
			c.n, err = strconv.Atoi(string(value))
		}
		return err
	})
	if err != nil {
		c.n = -1
	}
	return err
}

// add tries to count one more.
func (c *counter) add() error {
	if c.n < 0 {
		if err := c.load(); err != nil {
			return err
		}
	}
	var changes Changes
	changes.Put("t", []byte("n"), fmt.Append(nil, c.n+1))
	changes.Put("t", fmt.Append(nil, "event ", c.n+1), []byte("v"))
	changes.Delete("t", fmt.Append(nil, "event ", c.n-2))
	err := c.partition.Commit(&changes)
	if c.n++; err != nil {
		c.n = -1
	}
	return err
}

// to counts up to n, however often that fails.
func (c *counter) to(t *testing.T, n int) {
	t.Helper()
	for tries := n - max(c.n, 0) + 5; c.n != n; tries-- {
		require.Positive(t, tries)
		if c.n < 0 && c.load() == nil {
			continue
		}
		_ = c.add()
	}
}

// commitsOf is how many commits a partition has had.
func (d *database) commitsOf(t *testing.T, project string) (n int) {
	t.Helper()
	d.do(t, func(ctx context.Context, s *Postgres, c *pgx.Conn) {
		require.NoError(t, c.QueryRow(ctx, s.sql(`SELECT commits FROM store.partitions WHERE project = $1`), project).Scan(&n))
	})
	return n
}

// by opens the store by way of another port.
func (d *database) by(t *testing.T, port int) *Postgres {
	t.Helper()
	u, err := url.Parse(d.dsn)
	require.NoError(t, err)
	u.Host = net.JoinHostPort("127.0.0.1", fmt.Sprint(port))
	o := d.options()
	o.DSN = func() (string, error) { return u.String(), nil }
	s, err := OpenPostgres(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// A connection is cut after every byte of a commit, but for most of its text, and of its
// answer. Nothing is counted twice
// or lost, whatever Commit returns.
func TestCommitCutAtEveryByte(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	p := newProxy(t, fmt.Sprint("127.0.0.1:", pgtest.Shared(t).Port))
	s := d.by(t, p.port())
	require.NoError(t, s.Prepare(t.Context()))
	c := &counter{partition: d.partition(s, "p", "s"), n: -1}
	require.NoError(t, c.load())
	c.to(t, 3)

	const many = 1 << 20
	p.limit(many, many)
	require.NoError(t, c.add())
	up, down := p.left()
	up, down = many-up, many-down
	cuts, answered := 0, 0
	cutAt := func(up, down int) {
		want := c.n + 1
		p.limit(up, down)
		if c.add() == nil {
			answered++
		}
		cuts++
		c.to(t, want)
	}
	for i := 0; i < up; i++ {
		cutAt(i, -1)
		if up-i > 400 { // in the text of the statement
			i += 12
		}
	}
	for i := range down {
		cutAt(-1, i)
	}
	assert.Equal(t, cuts, answered, "while the database is there, the answer is found out")
	assert.Equal(t, c.n, d.commitsOf(t, "p"), "each counted by one commit")
	got, err := load(d.partition(s, "p", "s"))
	require.NoError(t, err)
	assert.Equal(t, strconv.Itoa(c.n), got["t/n"])
	assert.Len(t, got, 4)
}

// The connection is cut, and the database cannot be asked what became of the commit.
func TestCommitCutAndNoAnswer(t *testing.T) {
	d := newDatabase(t)
	p := newProxy(t, fmt.Sprint("127.0.0.1:", pgtest.Shared(t).Port))
	s := d.by(t, p.port())
	require.NoError(t, s.Prepare(t.Context()))
	c := &counter{partition: d.partition(s, "p", "s"), n: -1}
	c.to(t, 3)
	for _, lost := range []struct{ up, down int }{{40, -1}, {-1, 0}, {-1, 100}} {
		want := c.n + 1
		p.limit(lost.up, lost.down)
		p.close(true)
		err := c.add()
		require.ErrorIs(t, err, ErrUnavailable)
		require.ErrorContains(t, err, "storage.postgres, schema "+d.schema+", p/s")
		require.ErrorIs(t, c.load(), ErrUnavailable)
		p.close(false)
		c.to(t, want)
	}
	assert.Equal(t, c.n, d.commitsOf(t, "p"))
}

// A commit reaches the server long after its connection was cut.
func TestCommitThatComesLate(t *testing.T) {
	d := newDatabase(t)
	p := newProxy(t, fmt.Sprint("127.0.0.1:", pgtest.Shared(t).Port))
	s := d.by(t, p.port())
	require.NoError(t, s.Prepare(t.Context()))
	c := &counter{partition: d.partition(s, "p", "s"), n: -1}
	c.to(t, 3)
	late := func() (arrive func()) {
		hold := &held{make(chan struct{}), make(chan struct{})}
		p.mu.Lock()
		p.up, p.hold = 0, hold
		p.mu.Unlock()
		return func() {
			close(hold.release)
			<-hold.answered
		}
	}

	arrive := late()
	require.NoError(t, c.add(), "it is done again")
	arrive()
	c.to(t, 5)
	assert.Equal(t, 5, d.commitsOf(t, "p"))

	arrive = late()
	p.close(true)
	require.ErrorIs(t, c.add(), ErrUnavailable)
	p.close(false)
	require.NoError(t, c.load())
	require.Equal(t, 5, c.n)
	arrive() // before anything else was committed
	c.to(t, 6)
	assert.Equal(t, 6, d.commitsOf(t, "p"))

	got, err := load(d.partition(s, "p", "s"))
	require.NoError(t, err)
	assert.Len(t, got, 4)
	assert.Equal(t, "6", got["t/n"])
}

// Whoever has lost the lease commits nothing, and is told.
func TestLeaseLost(t *testing.T) {
	d := newDatabase(t)
	s := openAt(t, d).(*Postgres)
	var told []error
	own := newLease(s, "p")
	own.Lost = func(err error) { told = append(told, err) }
	old := &counter{partition: s.Partition("p", "s", own), n: -1}
	old.to(t, 2)

	next := newLease(s, "p")
	require.ErrorIs(t, old.add(), ErrLeaseLost, "before the new one has read anything")
	require.Len(t, told, 1)
	require.ErrorIs(t, old.load(), ErrLeaseLost)
	c := &counter{partition: s.Partition("p", "s", next), n: -1}
	c.to(t, 4)
	require.ErrorIs(t, old.add(), ErrLeaseLost)
	assert.Equal(t, 4, d.commitsOf(t, "p"))

	reader := s.Partition("p", "s", nil)
	requireRows(t, rows{"t/n": "4", "t/event 2": "v", "t/event 3": "v", "t/event 4": "v"}, reader)
	require.ErrorIs(t, reader.Commit(&Changes{}), ErrLeaseLost)
	c.to(t, 5)
}

// A process that has slept past its lease commits nothing, even if nobody has taken it.
func TestLeaseExpired(t *testing.T) {
	d := newDatabase(t)
	s := openAt(t, d).(*Postgres)
	c := &counter{partition: d.partition(s, "p", "s"), n: -1}
	c.to(t, 2)
	d.edit(t, tampering{sql: `UPDATE store.replicas SET expires = now()`})
	require.ErrorIs(t, c.add(), ErrLeaseLost)
	require.ErrorIs(t, c.load(), ErrLeaseLost)
	d.edit(t, tampering{sql: `UPDATE store.replicas SET expires = now() + '1 hour'`})
	c.to(t, 3)
	d.edit(t, tampering{sql: `DELETE FROM store.replicas`})
	require.ErrorIs(t, c.add(), ErrLeaseLost)
	assert.Equal(t, 3, d.commitsOf(t, "p"))
}

// Two processes with the same lease, as after a mistake, do not overwrite each other.
func TestSomebodyElseWrites(t *testing.T) {
	d := newDatabase(t)
	s := openAt(t, d).(*Postgres)
	own := newLease(s, "p")
	one, two := &counter{partition: s.Partition("p", "s", own), n: -1}, &counter{partition: s.Partition("p", "s", own), n: -1}
	one.to(t, 2)
	require.NoError(t, two.load())
	require.NoError(t, two.add())
	require.ErrorIs(t, one.add(), ErrLeaseLost, "what it has in memory is not what is there")
	require.ErrorIs(t, one.partition.Commit(&Changes{}), ErrLeaseLost)
	require.NoError(t, one.load())
	assert.Equal(t, 3, one.n)
	require.NoError(t, one.add())
	assert.Equal(t, 4, d.commitsOf(t, "p"))
}

// PgBouncer in transaction mode gives every transaction another connection.
func TestBehindAPooler(t *testing.T) {
	d := newDatabase(t)
	server := pgtest.Shared(t)
	s := d.by(t, server.Pooler(t, 2))
	require.NoError(t, s.Prepare(t.Context()))
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			c := &counter{partition: d.partition(s, fmt.Sprint(i), "s"), n: -1}
			c.to(t, 20)
		})
	}
	all.Wait()
	for i := range 6 {
		assert.Equal(t, 20, d.commitsOf(t, fmt.Sprint(i)))
	}
}

// Replicas that are started together make the tables once.
func TestPrepareAtOnce(t *testing.T) {
	d := newDatabase(t)
	port := pgtest.Shared(t).Pooler(t, 4)
	stores := make([]*Postgres, 8)
	var all sync.WaitGroup
	for i := range stores {
		stores[i] = d.by(t, port)
		all.Go(func() { assert.NoError(t, stores[i].Prepare(t.Context())) })
	}
	all.Wait()
	for _, s := range stores {
		assert.True(t, bytes.Equal(stores[0].first().check(), s.first().check()), "they have one key")
	}
}

// A commit that finds its connection open takes one round trip.
func TestRoundTrips(t *testing.T) {
	d := newDatabase(t)
	p := newProxy(t, fmt.Sprint("127.0.0.1:", pgtest.Shared(t).Port))
	s := d.by(t, p.port())
	c := &counter{partition: d.partition(openAt(t, d), "p", "s"), n: -1}
	c.partition.(*postgresPartition).store = s
	c.to(t, 3)
	before := p.sends()
	c.to(t, 13)
	assert.LessOrEqual(t, p.sends()-before, 20)
}

// What the database cannot be used for is said, with what to do; the password is not.
func TestUnusable(t *testing.T) {
	server := pgtest.Shared(t)
	d := newDatabase(t)
	require.NoError(t, openAt(t, d).Close())
	newer, future := newDatabase(t), newDatabase(t)
	for _, made := range []*database{newer, future} {
		require.NoError(t, openAt(t, made).Close())
	}
	newer.edit(t, tampering{sql: `UPDATE store.store SET version = 99`})
	future.edit(t, tampering{sql: `UPDATE store.store SET format = 99`})
	server.Exec(t, `CREATE ROLE nobody LOGIN PASSWORD 'hunter2-of-nobody'; CREATE SCHEMA closed; REVOKE ALL ON SCHEMA closed FROM PUBLIC`)
	nobody := fmt.Sprintf("postgres://nobody:hunter2-of-nobody@127.0.0.1:%d/postgres?sslmode=disable", server.Port)
	for name, c := range map[string]struct {
		dsn, schema string
		want        string
		is          error
	}{
		"no server listens":  {"postgres://u:hunter2@127.0.0.1:1/d", "x", "refused; check host, port and sslmode in the dsn", ErrUnavailable},
		"wrong password":     {fmt.Sprintf("postgres://postgres:hunter2@127.0.0.1:%d/postgres", server.Port), "x", "; check user and password in the dsn", ErrUnavailable},
		"no such database":   {server.DSN() + "&dbname=none", "x", `database "none" does not exist`, ErrUnavailable},
		"no TLS":             {strings.Replace(server.DSN(), "disable", "require", 1), "x", "refused TLS", ErrUnavailable},
		"read-only":          {server.DSN() + "&default_transaction_read_only=on", "x", "target_session_attrs=read-write", ErrUnavailable},
		"no privilege":       {nobody, "closed", "the role needs USAGE and CREATE on the schema closed", ErrUnavailable},
		"no schema":          {nobody, "absent", "permission denied for database", ErrUnavailable},
		"tables of tomorrow": {server.DSN(), newer.schema, "its tables have version 99, made by a newer version", ErrRefused},
		"rows of tomorrow":   {server.DSN(), future.schema, fmt.Sprintf("it has format 99, written by a newer version of the exporter; this one knows formats up to %d", Format), ErrRefused},
		"not a dsn":          {"host=x password=hunter2 port=hunter2", "x", "the dsn is not a connection string", ErrUnavailable},
		"a broken URL":       {"postgres://u:hunter2@[::1/d%zz", "x", "the dsn is not a connection string", ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := OpenPostgres(PostgresOptions{DSN: func() (string, error) { return c.dsn, nil }, Schema: c.schema})
			if err == nil {
				defer s.Close()
				err = s.Prepare(t.Context())
			}
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, "storage.postgres, schema "+c.schema)
			require.ErrorContains(t, err, c.want)
			for wrapped := err; wrapped != nil; wrapped = errors.Unwrap(wrapped) {
				assert.NotContains(t, fmt.Sprintf("%+v", wrapped), "hunter2")
				assert.NotContains(t, wrapped.Error(), server.Password)
			}
		})
	}
}

// A role that has no more than the documents give it will do, once the tables are there.
func TestLeastPrivileges(t *testing.T) {
	server := pgtest.Shared(t)
	d := newDatabase(t)
	require.NoError(t, openAt(t, d).Close())
	server.Exec(t, fmt.Sprintf(`CREATE ROLE least LOGIN PASSWORD 'least'; GRANT USAGE ON SCHEMA %[1]s TO least;
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %[1]s TO least`, d.schema))
	least := &database{dsn: fmt.Sprintf("postgres://least:least@127.0.0.1:%d/postgres?sslmode=disable", server.Port), schema: d.schema}
	c := &counter{partition: least.partition(openAt(t, least), "p", "s"), n: -1}
	c.to(t, 5)
	assert.Equal(t, 5, d.commitsOf(t, "p"))
}

// The DSN is asked again for each connection: a password may change while the exporter runs.
func TestPasswordChanges(t *testing.T) {
	server := pgtest.Shared(t)
	d := newDatabase(t)
	server.Exec(t, `CREATE ROLE changing SUPERUSER LOGIN PASSWORD 'hunter2-old'`)
	var dsn atomic.Value
	give := func(password string) {
		dsn.Store(fmt.Sprintf("postgres://changing:%s@127.0.0.1:%d/postgres?sslmode=disable", password, server.Port))
	}
	give("hunter2-old")
	s, err := OpenPostgres(PostgresOptions{DSN: func() (string, error) { return dsn.Load().(string), nil }, Schema: d.schema})
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.Prepare(t.Context()))
	c := &counter{partition: d.partition(s, "p", "s"), n: -1}
	c.to(t, 3)
	server.Exec(t, `ALTER ROLE changing PASSWORD 'hunter2-new'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'changing'`)
	err = c.add()
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorContains(t, err, "password authentication failed")
	assert.NotContains(t, err.Error(), "hunter2")
	give("hunter2-new")
	c.to(t, 5)
	assert.Equal(t, 5, d.commitsOf(t, "p"))
}

// The server crashes, is away, and comes back; then with less than it had.
func TestServerGoneAndBack(t *testing.T) {
	server := pgtest.Start(t)
	d := &database{dsn: server.DSN(), schema: "public"}
	var logged bytes.Buffer
	o := d.options()
	o.Logger = log.NewLogfmtLogger(log.NewSyncWriter(&logged))
	s, err := OpenPostgres(o)
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.Prepare(t.Context()))
	c := &counter{partition: d.partition(s, "p", "s"), n: -1}
	c.to(t, 3)
	server.Kill()
	require.ErrorIs(t, c.add(), ErrUnavailable)
	require.ErrorIs(t, c.load(), ErrUnavailable)
	server.Restart(t)
	c.to(t, 5)
	assert.Equal(t, 5, d.commitsOf(t, "p"))

	// Restored from a copy of before two commits.
	d.edit(t, tampering{sql: `CREATE TABLE saved AS SELECT * FROM store.rows; CREATE TABLE was AS SELECT * FROM store.partitions`})
	c.to(t, 7)
	d.edit(t, tampering{sql: `DELETE FROM store.rows; INSERT INTO store.rows SELECT * FROM saved;
		UPDATE store.partitions SET (digest, claim, commits, last_commit) = (SELECT digest, claim, commits, last_commit FROM was)`})
	_ = c.add()
	require.NoError(t, c.load())
	assert.Equal(t, 5, c.n)
	assert.Contains(t, logged.String(), "the database has lost commits")
	c.to(t, 8)
	assert.Equal(t, 8, d.commitsOf(t, "p"))
}

// No statement waits for ever, and what is answered is on disk.
func TestLimits(t *testing.T) {
	s := openAt(t, newDatabase(t)).(*Postgres)
	var timeout, durable string
	require.NoError(t, s.in(t.Context(), time.Minute, readWrite, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT current_setting('statement_timeout'), current_setting('synchronous_commit')`).Scan(&timeout, &durable)
	}))
	assert.Equal(t, []string{"1min", "on"}, []string{timeout, durable})
	batch := &pgx.Batch{}
	batch.Queue(`SELECT set_config('synchronous_commit', 'off', true)`)
	batch.Queue(limits(50 * time.Millisecond))
	batch.Queue(`SELECT current_setting('synchronous_commit')`).QueryRow(func(row pgx.Row) error { return row.Scan(&durable) })
	batch.Queue(`SELECT pg_sleep(600)`)
	require.ErrorContains(t, s.pool.SendBatch(t.Context(), batch).Close(), "statement timeout")
	assert.Equal(t, "on", durable)
	require.NoError(t, s.pool.QueryRow(t.Context(), `SELECT current_setting('statement_timeout')`).Scan(&timeout))
	assert.Equal(t, "0", timeout, "they are the transaction's alone")
}

// A source that catches up commits much at once.
func TestLargeCommit(t *testing.T) {
	d := newDatabase(t)
	partition := d.partition(openAt(t, d), "p", "s")
	require.NoError(t, partition.Commit(newRecords(0, 20_000, 2_000)))
	require.NoError(t, partition.Commit(newRecords(0, 20_000, 2_000)), "the same rows again")
	got, err := load(partition)
	require.NoError(t, err)
	assert.Len(t, got, 22_000)
}

// While a replica reads a partition, another one can take it over: nothing is locked.
func TestReadingLocksNothing(t *testing.T) {
	t.Parallel()
	s := openAt(t, newDatabase(t)).(*Postgres)
	old := &counter{partition: s.Partition("p", "s", newLease(s, "p")), n: -1}
	old.to(t, 3)
	var next *counter
	require.NoError(t, old.partition.Load(func(string, []byte, []byte) error {
		if next == nil {
			next = &counter{partition: s.Partition("p", "s", newLease(s, "p")), n: -1}
			next.to(t, 4)
		}
		return nil
	}))
	require.ErrorIs(t, old.add(), ErrLeaseLost)
	next.to(t, 5)
}

// locked locks a partition until the test ends, as a client does that has got stuck.
func locked(t *testing.T, d *database, s *Postgres, project string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), d.dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	_, err = c.Exec(t.Context(), "BEGIN")
	require.NoError(t, err)
	_, err = c.Exec(t.Context(), s.sql(`SELECT FROM store.partitions WHERE project = $1 FOR UPDATE`), project)
	require.NoError(t, err)
}

// Whoever waits for a lock gives up soon, and keeps its connection from nobody. What was not
// written is written later.
func TestLockedPartition(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	s := openAt(t, d).(*Postgres)
	c := &counter{partition: s.Partition("p", "s", newLease(s, "p")), n: -1}
	c.to(t, 3)
	t.Run("locked", func(t *testing.T) {
		locked(t, d, s, "p")
		err := c.add()
		require.ErrorIs(t, err, ErrUnavailable)
		require.ErrorContains(t, err, "lock timeout")
		err = c.load()
		require.ErrorIs(t, err, ErrUnavailable)
		require.ErrorContains(t, err, "lock timeout")
	})
	c.to(t, 5)
}

// What waits for the database ends with the lease.
func TestStatementsEndWithTheirLease(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	s := openAt(t, d).(*Postgres)
	own := newLease(s, "p")
	ctx, lose := context.WithCancel(t.Context())
	own.Context = ctx
	c := &counter{partition: s.Partition("p", "s", own), n: -1}
	c.to(t, 3)
	lose()
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	require.ErrorContains(t, c.add(), "context canceled")
	assert.Equal(t, 3, d.commitsOf(t, "p"))
}

// The defaults of a role or a database do not change how the store works.
func TestDefaultsOfARole(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	role := d.schema + "_role"
	pgtest.Shared(t).Exec(t, fmt.Sprintf(`CREATE ROLE %[1]s LOGIN SUPERUSER PASSWORD 'p';
		ALTER ROLE %[1]s SET default_transaction_isolation = 'serializable';
		ALTER ROLE %[1]s SET search_path = 'nowhere';
		ALTER ROLE %[1]s SET timezone = 'Asia/Kathmandu';
		ALTER ROLE %[1]s SET datestyle = 'German';
		ALTER ROLE %[1]s SET bytea_output = 'escape';
		ALTER ROLE %[1]s SET client_encoding = 'LATIN1';
		ALTER ROLE %[1]s SET standard_conforming_strings = off;
		ALTER ROLE %[1]s SET synchronous_commit = off`, role))
	d.dsn = strings.Replace(d.dsn, "postgres:"+pgtest.Shared(t).Password, role+":p", 1)
	s := openAt(t, d).(*Postgres)
	var isolation, idle string
	require.NoError(t, s.in(t.Context(), statementTimeout, readWrite, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT current_setting('transaction_isolation'), current_setting('idle_in_transaction_session_timeout')`).Scan(&isolation, &idle)
	}))
	assert.Equal(t, []string{"read committed", "5s"}, []string{isolation, idle})
	e, err := s.Examine(t.Context())
	require.NoError(t, err)
	assert.InDelta(t, 0, e.Skew.Seconds(), 60)
	leases := s.Leases()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			me := lease.Replica{Owner: fmt.Sprint("r", i), Duration: time.Hour, Projects: []string{"生产"}}
			for n := range 30 {
				_, err := leases.Beat(t.Context(), me, n == 0)
				assert.NoError(t, err)
			}
		})
		all.Go(func() {
			name := fmt.Sprint("生产", i)
			c := &counter{partition: s.Partition(name, "s", newLease(s, name)), n: -1}
			for range 30 {
				assert.NoError(t, c.load())
				assert.NoError(t, c.add())
			}
		})
	}
	all.Wait()
}

func acquire(t *testing.T, s *Postgres) *pgxpool.Conn {
	c, err := s.pool.Acquire(t.Context())
	require.NoError(t, err)
	return c
}

// Where there are too few connections, leases come first: idle ones of the store are closed.
func TestLeasesComeFirst(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	s := openAt(t, d).(*Postgres)
	role := d.schema + "_role"
	pgtest.Shared(t).Exec(t, fmt.Sprintf(`CREATE ROLE %[1]s LOGIN PASSWORD 'example-password' CONNECTION LIMIT 2; GRANT USAGE ON SCHEMA %[2]s TO %[1]s;
		GRANT ALL ON ALL TABLES IN SCHEMA %[2]s TO %[1]s`, role, s.schema))
	few := *d
	few.dsn = strings.Replace(d.dsn, "postgres:"+pgtest.Shared(t).Password, role+":example-password", 1)
	narrow := openAt(t, &few).(*Postgres)
	for _, c := range []*pgxpool.Conn{acquire(t, narrow), acquire(t, narrow)} {
		c.Release() // both are idle now
	}
	me := lease.Replica{Owner: "me", Duration: time.Hour}
	require.Eventually(t, func() bool {
		_, err := narrow.Leases().Beat(t.Context(), me, true)
		return err == nil
	}, time.Minute, 10*time.Millisecond)
}
