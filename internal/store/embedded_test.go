package store

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

func open(t testing.TB, dir string) *Embedded {
	t.Helper()
	s, err := Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// edit changes a closed store as no exporter would.
func edit(t *testing.T, dir string, change func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, fileName), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(change))
	require.NoError(t, db.Close())
}

func TestOpenCreatesAndReopens(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s, err := Open(dir)
	require.NoError(t, err)
	partition := s.Partition("production", "user_connections", nil)
	requireRows(t, rows{}, partition)
	put(t, partition, "rows", "1", "one")
	require.NoError(t, s.Close())

	again := open(t, dir)
	requireRows(t, rows{"rows/1": "one"}, again.Partition("production", "user_connections", nil))

	for name, mode := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, fileName): 0o600} {
		info, err := os.Stat(name)
		require.NoError(t, err)
		assert.Equal(t, mode, info.Mode().Perm(), name)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "nothing but the store is left over")
}

func TestOpenRefuses(t *testing.T) {
	// file is a whole store with two commits in it.
	file := func(t *testing.T, dir string) string {
		s, err := Open(dir)
		require.NoError(t, err)
		put(t, s.Partition("p", "s", nil), "t", "k", "v")
		require.NoError(t, s.Close())
		return filepath.Join(dir, fileName)
	}
	for name, c := range map[string]struct {
		prepare func(t *testing.T, dir string)
		want    []string
		damaged bool
	}{
		"the directory is a file": {func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(dir))
			require.NoError(t, os.WriteFile(dir, nil, 0o600))
		}, []string{"storage.path", "cannot make the directory"}, false},
		"the file is a directory": {func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(filepath.Join(dir, fileName), 0o700))
		}, []string{"cannot be opened for writing"}, false},
		"an empty file": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, fileName), nil, 0o600))
		}, []string{"the file is empty"}, true},
		"another kind of file": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, fileName), []byte(strings.Repeat("not a store\n", 9999)), 0o600))
		}, nil, true},
		"a short text": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, fileName), []byte("x"), 0o600))
		}, nil, true},
		"both copies of the head gone": {func(t *testing.T, dir string) {
			path := file(t, dir)
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			clear(b[:2*os.Getpagesize()])
			require.NoError(t, os.WriteFile(path, b, 0o600))
		}, nil, true},
		"no tables": {func(t *testing.T, dir string) {
			file(t, dir)
			edit(t, dir, func(tx *bbolt.Tx) error { return tx.DeleteBucket(partitionsBucket) })
		}, []string{"its first tables are missing"}, true},
		"no format": {func(t *testing.T, dir string) {
			file(t, dir)
			edit(t, dir, func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Delete(formatKey) })
		}, []string{"it has no format version"}, true},
		"a newer format": {func(t *testing.T, dir string) {
			file(t, dir)
			edit(t, dir, func(tx *bbolt.Tx) error {
				return tx.Bucket(metaBucket).Put(formatKey, binary.AppendUvarint(nil, Format+1))
			})
		}, []string{fmt.Sprintf("it has format %d, written by a newer version", Format+1), "use the newer version, or another storage.path"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			require.NoError(t, os.Mkdir(dir, 0o700))
			c.prepare(t, dir)
			before, _ := os.ReadFile(filepath.Join(dir, fileName))

			s, err := Open(dir)
			require.Error(t, err)
			assert.Nil(t, s)
			assert.ErrorContains(t, err, dir)
			for _, want := range c.want {
				assert.ErrorContains(t, err, want)
			}
			if c.damaged {
				assert.ErrorIs(t, err, ErrDamaged)
				assert.ErrorContains(t, err, "restore it from a backup, or move it away")
			} else {
				assert.NotErrorIs(t, err, ErrDamaged)
			}
			after, _ := os.ReadFile(filepath.Join(dir, fileName))
			assert.Equal(t, before, after, "what is refused is left as it was")
		})
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel() // it waits for the lock
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s.Partition("p", "s", nil), "t", "k", "v")

	_, err := Open(dir)
	require.ErrorContains(t, err, "another process has it open; stop that one, or give each its own storage.path")
	require.ErrorContains(t, err, dir)
	require.NotErrorIs(t, err, ErrDamaged)

	put(t, s.Partition("p", "s", nil), "t", "k2", "the first goes on")
	require.NoError(t, s.Close())
	requireRows(t, rows{"t/k": "v", "t/k2": "the first goes on"}, open(t, dir).Partition("p", "s", nil))
}

// Two exporters that are started together on an empty directory: one gets it.
func TestCreateAtOnce(t *testing.T) {
	t.Parallel() // the losers wait for the lock
	var all sync.WaitGroup
	for i := range 8 {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(i))
		const processes = 4
		stores, errs := make([]*Embedded, processes), make([]error, processes)
		var round sync.WaitGroup
		start := make(chan struct{})
		for j := range processes {
			round.Go(func() {
				<-start
				if stores[j], errs[j] = Open(dir); errs[j] == nil {
					put(t, stores[j].Partition("p", "s", nil), "t", "k", "v")
				}
			})
		}
		close(start)
		all.Go(func() {
			round.Wait()
			won := 0
			for j, err := range errs {
				if err != nil {
					assert.ErrorContains(t, err, "another process has it open")
					continue
				}
				won++
				requireRows(t, rows{"t/k": "v"}, stores[j].Partition("p", "s", nil))
				assert.NoError(t, stores[j].Close())
			}
			assert.Equal(t, 1, won)
		})
	}
	all.Wait()
}

// create alone, many at once: no one may fail or put an unfinished file in place.
func TestCreateRace(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), fileName)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if assert.NoError(t, create(path)) {
					info, err := os.Stat(path)
					assert.NoError(t, err)
					assert.Positive(t, info.Size())
				}
			})
		}
		wg.Wait()
		requireRows(t, rows{}, open(t, filepath.Dir(path)).Partition("p", "s", nil))
	}
}

// A crash while the store is made leaves a file under another name, whatever is in it.
func TestCrashInCreate(t *testing.T) {
	whole := filepath.Join(t.TempDir(), fileName)
	require.NoError(t, create(whole))
	b, err := os.ReadFile(whole)
	require.NoError(t, err)
	for _, n := range []int{0, 1, len(b) / 2, len(b)} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, fileName+".1234.new"), b[:n], 0o600))
		s := open(t, dir)
		put(t, s.Partition("p", "s", nil), "t", "k", "v")
		requireRows(t, rows{"t/k": "v"}, s.Partition("p", "s", nil))
	}
}

// openAndLoad reads the partition p/s as a starting exporter does.
func openAndLoad(dir string) (rows, error) {
	s, err := Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	return load(s.Partition("p", "s", nil))
}
