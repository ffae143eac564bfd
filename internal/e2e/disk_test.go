package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

const noLimit = ^uint64(0)

// limitFiles sets how large a file the running program may write; it is what a full
// disk looks like that anybody may fill.
func (e *exporter) limitFiles(bytes uint64) {
	e.t.Helper()
	limit := [2]uint64{bytes, noLimit}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(e.process.Process.Pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	require.Zero(e.t, errno)
}

func TestAFullDiskStopsCountingAndLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 50, time.Now().Add(-5*time.Minute), time.Second)...)
	e := runExporter(t, setup{URL: w.url})
	e.shows(w)
	want := w.expect()

	e.limitFiles(0)
	w.put(spread(100, 50, time.Now().Add(-5*time.Minute), time.Second)...)
	e.pollsEnd(project, "user_connections", "error", 2)
	m := e.metrics()
	assert.Empty(t, m.records().diff(want), "no value changes")
	assert.Zero(t, m.sum("workspace_exporter_source_up"))
	for _, said := range []string{e.get("/").body, e.logs.String()} {
		assert.True(t, containsAll(said, "state.db", "p/user_connections: nothing was written", "make room there"), said)
	}

	e.limitFiles(noLimit)
	e.shows(w)
	e.limitFiles(0)
	e.pollsEnd(project, "user_connections", "error", 1)
	e.kill() // nothing could be written any more, not even at the end
	e.start()
	e.shows(w)
}

// mount makes a small file system of its own, if the tests may do so.
func mount(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("this system lets the tests mount nothing: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestAFileSystemThatIsFullAndThenReadOnly(t *testing.T) {
	t.Parallel()
	dir := mount(t)
	filler := filepath.Join(dir, "filler")
	fill := func() {
		f, err := os.Create(filler)
		require.NoError(t, err)
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.NoError(t, f.Close())
	}
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 20, time.Now().Add(-5*time.Minute), time.Second)...)
	s := setup{URL: w.url, Storage: filepath.Join(dir, "data")}
	e := install(t, s)

	fill()
	code, _, stderr := command(t, e.dir, "--web.listen-address=127.0.0.1:0")
	assert.Equal(t, 1, code)
	assert.True(t, containsAll(stderr, s.Storage, "no space left on device"), stderr)
	require.NoError(t, os.Remove(filler))
	e.start()
	e.shows(w)
	fill()
	w.put(spread(1000, 2000, time.Now().Add(-5*time.Minute), 50*time.Millisecond)...) // more than its file has room for
	eventually(t, "polls fail for want of space", func() bool {
		return e.metrics()[pollsOf(project, "error")] >= 1 && containsAll(e.logs.String(), "no space left on device", "make room there")
	})
	require.NoError(t, os.Remove(filler))
	e.shows(w)
	require.Equal(t, 0, e.stop())

	require.NoError(t, syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	code, _, stderr = command(t, e.dir, "--web.listen-address=127.0.0.1:0")
	assert.Equal(t, 1, code)
	assert.True(t, containsAll(stderr, filepath.Join(s.Storage, "state.db"), "cannot be opened for writing", "read-only file system"), stderr)
	s.Storage = filepath.Join(dir, "other")
	e.configure(s)
	code, _, stderr = command(t, e.dir, "--web.listen-address=127.0.0.1:0")
	assert.Equal(t, 1, code)
	assert.True(t, containsAll(stderr, s.Storage, "cannot make the directory", "read-only file system"), stderr)
}

// nobody is a user without rights to anything.
const nobody = 65534

// commandOfNobody is command, run by somebody who is not root.
func commandOfNobody(t *testing.T, dir string, args ...string) (code int, stderr string) {
	t.Helper()
	c := exec.Command(binary, args...)
	c.Dir = dir
	if os.Geteuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	var said strings.Builder
	c.Stderr = &said
	require.IsType(t, &exec.ExitError{}, c.Run())
	return c.ProcessState.ExitCode(), said.String()
}

func TestAStoreWithoutPermissionIsRefused(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "workspace_exporter-") // t.TempDir is closed to others
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.Chmod(filepath.Dir(binary), 0o711))
	config := filepath.Join(dir, "workspace_exporter.yml")
	for name, c := range map[string]struct {
		prepare func(storage string) error
		want    string
	}{
		"no right to make the directory": {func(string) error { return os.Chmod(dir, 0o555) }, "cannot make the directory"},
		"no right to make the file":      {func(s string) error { return os.Mkdir(s, 0o555) }, "cannot be created"},
		"no right to write the file": {func(s string) error {
			if err := os.Mkdir(s, 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(s, "state.db"), []byte("x"), 0o444)
		}, "must be a file that belongs to the exporter's user"},
		"no right to look into the directory": {func(s string) error { return os.Mkdir(s, 0o000) }, "state.db"},
	} {
		storage := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		require.NoError(t, os.WriteFile(config, []byte(setup{URL: "http://127.0.0.1:1", Storage: storage}.text()), 0o644))
		require.NoError(t, c.prepare(storage), name)
		code, stderr := commandOfNobody(t, dir, "--web.listen-address=127.0.0.1:0")
		assert.Equal(t, 1, code, name)
		assert.True(t, containsAll(stderr, storage, "permission denied", c.want), "%s: %s", name, stderr)
		require.NoError(t, os.Chmod(dir, 0o755))
	}
}
