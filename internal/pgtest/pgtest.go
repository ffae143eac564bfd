// Package pgtest starts real PostgreSQL servers and poolers for tests. scripts/tool brings
// them, where they are not installed.
package pgtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// patience is how long a server may take to start or stop, on a machine that is busy.
const patience = 2 * time.Minute

// Server is a PostgreSQL server.
type Server struct {
	Port     int
	Password string // of its superuser, postgres
	data     string
	running  *process
}

var shared struct {
	once   sync.Once
	server *Server
	folder string
}

// Shared is the server that all tests of a package share; each has a schema or a database of
// its own. TestMain is to call Main.
func Shared(t testing.TB) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("it needs PostgreSQL: too long for make quick")
	}
	shared.once.Do(func() {
		folder, err := os.MkdirTemp("", "workspace_exporter-postgres-")
		require.NoError(t, err)
		shared.folder = folder
		shared.server = start(t, folder)
	})
	require.NotNil(t, shared.server, "the server did not start")
	return shared.server
}

// Main runs the tests of a package, and stops the server that they share.
func Main(m *testing.M) int {
	code := m.Run()
	if shared.server != nil {
		shared.server.running.stop(syscall.SIGQUIT)
	}
	_ = os.RemoveAll(shared.folder)
	return code
}

// Start starts a server that the test has to itself.
func Start(t testing.TB) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("it needs PostgreSQL: too long for make quick")
	}
	folder, err := os.MkdirTemp("", "workspace_exporter-postgres-") // t.TempDir may be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	s := start(t, folder)
	t.Cleanup(s.Stop)
	return s
}

func start(t testing.TB, folder string) *Server {
	s := &Server{Password: rand.Text(), Port: freePort(t), data: filepath.Join(folder, "data")}
	passwords := filepath.Join(folder, "password")
	require.NoError(t, os.WriteFile(passwords, []byte(s.Password+"\n"), 0o600))
	give(t, folder, passwords)
	initdb := run(t, tool(t, "initdb"), "-D", s.data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", passwords, "--encoding", "UTF8", "--locale", "C", "--no-sync")
	require.Zero(t, initdb.wait(), "initdb: %s", initdb.output)
	s.Restart(t)
	return s
}

// Restart starts the server again, which does not run.
func (s *Server) Restart(t testing.TB) {
	s.running = run(t, tool(t, "postgres"), "-D", s.data, "-p", fmt.Sprint(s.Port), "-k", filepath.Dir(s.data), "-c", "listen_addresses=127.0.0.1",
		"-c", "fsync=off", "-c", "shared_buffers=32MB", "-c", "max_connections=200", "-c", "log_min_messages=fatal")
	s.running.until(t, func() error {
		c, err := pgx.Connect(context.Background(), s.DSN())
		if err == nil {
			err = c.Close(context.Background())
		}
		return err
	})
}

// Stop stops the server, whoever is connected.
func (s *Server) Stop() { s.running.stop(syscall.SIGINT) }

// Kill stops the server as a crash does.
func (s *Server) Kill() { s.running.stop(syscall.SIGQUIT) }

// DSN is how the superuser gets in.
func (s *Server) DSN() string { return s.DSNOn(s.Port) }

// DSNOn is the same by another port.
func (s *Server) DSNOn(port int) string {
	return fmt.Sprintf("postgres://postgres:%s@127.0.0.1:%d/postgres?sslmode=disable", s.Password, port)
}

// Exec executes statements.
func (s *Server) Exec(t testing.TB, statements string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), s.DSN())
	require.NoError(t, err)
	defer c.Close(context.Background())
	_, err = c.Exec(t.Context(), statements)
	require.NoError(t, err)
}

// Pooler starts a PgBouncer before the server, in transaction mode, with so many connections,
// and returns its port.
func (s *Server) Pooler(t testing.TB, connections int) int {
	t.Helper()
	folder, err := os.MkdirTemp("", "workspace_exporter-pgbouncer-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	port := freePort(t)
	settings, users := filepath.Join(folder, "pgbouncer.ini"), filepath.Join(folder, "users")
	require.NoError(t, os.WriteFile(users, fmt.Appendf(nil, "\"postgres\" %q\n", s.Password), 0o600))
	require.NoError(t, os.WriteFile(settings, fmt.Appendf(nil, `
[databases]
* = host=127.0.0.1 port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = scram-sha-256
auth_file = %s
pool_mode = transaction
default_pool_size = %d
server_reset_query_always = 0
`, s.Port, port, users, connections), 0o600))
	give(t, folder, settings, users)
	p := run(t, tool(t, "pgbouncer"), "-q", settings)
	t.Cleanup(func() { p.stop(syscall.SIGTERM) })
	p.until(t, func() error {
		c, err := pgx.Connect(context.Background(), s.DSNOn(port))
		if err == nil {
			err = c.Close(context.Background())
		}
		return err
	})
	return port
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// tool is the path of a program that scripts/tool brings.
func tool(t testing.TB, name string) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	command := exec.Command(filepath.Join(filepath.Dir(here), "../../scripts/tool"), name)
	command.Stderr = os.Stderr
	out, err := command.Output()
	require.NoError(t, err, "scripts/tool %s", name)
	return strings.TrimSpace(string(out))
}

// somebody is who runs the servers, which refuse to be root's.
const somebody = 65534

// give gives files to who runs the servers.
func give(t testing.TB, files ...string) {
	if os.Getuid() == 0 && !namespaces() {
		for _, file := range files {
			require.NoError(t, os.Chown(file, somebody, somebody))
		}
	}
}

// namespaces reports whether this system lets root be somebody else in a namespace, who has
// root's files all the same.
var namespaces = sync.OnceValue(func() bool {
	c := exec.Command("true")
	c.SysProcAttr = inNamespace()
	return c.Run() == nil
})

func inNamespace() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: somebody, HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: somebody, HostID: 0, Size: 1}}}
}

// process is a program that runs.
type process struct {
	command *exec.Cmd
	output  *output
	ended   chan struct{}
}

func run(t testing.TB, program string, args ...string) *process {
	t.Helper()
	p := &process{command: exec.Command(program, args...), output: &output{}, ended: make(chan struct{})}
	p.command.Stdout, p.command.Stderr = p.output, p.output
	p.command.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC", "LD_LIBRARY_PATH="+libraries(program))
	p.command.SysProcAttr = &syscall.SysProcAttr{}
	switch {
	case os.Getuid() == 0 && namespaces():
		p.command.SysProcAttr = inNamespace()
	case os.Getuid() == 0:
		p.command.SysProcAttr.Credential = &syscall.Credential{Uid: somebody, Gid: somebody}
	}
	p.command.SysProcAttr.Pdeathsig = syscall.SIGQUIT // a test that is killed leaves no server behind
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the signal comes when this thread ends
		err := p.command.Start()
		started <- err
		if err == nil {
			_ = p.command.Wait()
			close(p.ended)
		}
	}()
	require.NoError(t, <-started)
	return p
}

// libraries is where Debian's libraries are that were unpacked beside a program.
func libraries(program string) string {
	root, _, found := strings.Cut(program, "/usr/")
	if !found {
		return ""
	}
	list, _ := filepath.Glob(root + "/usr/lib/*-linux-*")
	if root == "" {
		return ""
	}
	more, _ := filepath.Glob(root + "/lib/*-linux-*")
	return strings.Join(append(list, more...), ":")
}

// wait waits for the end, and returns the exit code.
func (p *process) wait() int {
	<-p.ended
	return p.command.ProcessState.ExitCode()
}

func (p *process) stop(signal syscall.Signal) {
	_ = p.command.Process.Signal(signal)
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.command.Process.Kill()
		<-p.ended
	}
}

// until waits until ready has no error.
func (p *process) until(t testing.TB, ready func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		err := ready()
		if err == nil {
			return
		}
		select {
		case <-p.ended:
			require.Fail(t, "it ended", "%s", p.output)
		default:
		}
		require.True(t, time.Now().Before(end), "%v\n%s", err, p.output)
		time.Sleep(20 * time.Millisecond)
	}
}

// output is what a program has written.
type output struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}
