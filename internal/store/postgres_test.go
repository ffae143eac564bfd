package store

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/pgtest"
)

// proxy stands between a store and its database, and cuts connections.
type proxy struct {
	listener net.Listener
	to       string

	mu     sync.Mutex
	up     int           // how many bytes still go to the server; below 0: all
	down   int           // and from it
	closed bool          // no connection is let through
	hold   chan struct{} // what is cut off goes to the server when this is closed; nil: never
	held   sync.WaitGroup
}

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
		var hold chan struct{}
		all, cut := n, *left >= 0 && n > *left
		if cut {
			n, hold = *left, p.hold
			p.up, p.down, p.hold = -1, -1, nil // once
		} else if *left >= 0 {
			*left -= n
		}
		p.mu.Unlock()
		if hold != nil {
			p.held.Go(func() {
				<-hold
				_, _ = to.Write(b[:all])
				<-c.closed // when there is an answer, which nobody reads
			})
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
	for tries := 0; c.n != n; tries++ {
		require.Less(t, tries, 5)
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
		hold := make(chan struct{})
		p.mu.Lock()
		p.up, p.hold = 0, hold
		p.mu.Unlock()
		return func() {
			close(hold)
			p.held.Wait()
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
	lease := newLease(s, "p")
	lease.Lost = func(err error) { told = append(told, err) }
	old := &counter{partition: s.Partition("p", "s", lease), n: -1}
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

// Two processes with the same lease, as after a mistake, do not overwrite each other.
func TestSomebodyElseWrites(t *testing.T) {
	d := newDatabase(t)
	s := openAt(t, d).(*Postgres)
	lease := newLease(s, "p")
	one, two := &counter{partition: s.Partition("p", "s", lease), n: -1}, &counter{partition: s.Partition("p", "s", lease), n: -1}
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
