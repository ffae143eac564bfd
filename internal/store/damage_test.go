package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// smallStore is the file of a store with branch pages, leaf pages, inline tables and
// a free list in it, and what its partition p/s holds.
func smallStore(t *testing.T) (file []byte, held rows) {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir)
	partition := s.Partition("p", "s", nil)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 3 {
		var changes Changes
		for range 40 {
			value := make([]byte, 40)
			for j := range value {
				value[j] = byte(random.Uint32())
			}
			changes.Put("rows", fmt.Appendf(nil, "%020d", random.IntN(120)), value)
		}
		changes.Put("series", []byte("login_attempts"), fmt.Append(nil, i))
		changes.Put("position", []byte("position"), fmt.Append(nil, i))
		require.NoError(t, partition.Commit(&changes))
	}
	held, err := load(partition)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	file, err = os.ReadFile(filepath.Join(dir, fileName))
	require.NoError(t, err)
	return file, held
}

// requireHonest starts with a damaged file: it is refused, or it holds the rows of the
// last commit.
func requireHonest(t *testing.T, dir string, last rows, what string, at int) (refused bool) {
	t.Helper()
	got, err := openAndLoad(dir)
	if err != nil {
		require.ErrorIs(t, err, ErrDamaged, "%s at byte %d", what, at)
		require.ErrorContains(t, err, dir)
		return true
	}
	require.True(t, maps.Equal(last, got), "%s at byte %d: loads other rows than were committed", what, at)
	return false
}

// requireSound is requireHonest, and a store that is not refused also holds what is
// committed to it from then on: what it takes for free is free.
func requireSound(t *testing.T, dir string, file []byte, last rows, what string, at int) (refused bool) {
	t.Helper()
	path := filepath.Join(dir, fileName)
	_ = os.Remove(path) // a new file, on which nobody has a lock
	require.NoError(t, os.WriteFile(path, file, 0o600))
	if requireHonest(t, dir, last, what, at) {
		return true
	}
	s, err := Open(dir)
	require.NoError(t, err)
	s.db.NoSync = true // the machine does not crash here
	want := maps.Clone(last)
	for n := range 3 {
		var changes Changes
		for i := range 20 {
			want[fmt.Sprintf("rows/%020d", 1000*n+i)] = string(make([]byte, 300))
		}
		for row, value := range want { // all, so that every page is rewritten
			table, key, _ := strings.Cut(row, "/")
			changes.Put(table, []byte(key), []byte(value))
		}
		require.NoError(t, s.Partition("p", "s", nil).Commit(&changes), "%s at byte %d", what, at)
	}
	require.NoError(t, s.Close())
	requireHonest(t, dir, want, what+", then commits,", at)
	return false
}

// Every byte, one by one; of the pages that are not in use, some. With the race detector,
// which is slow, some of all: CI runs this test without it too.
func TestFlippedByte(t *testing.T) {
	if testing.Short() {
		t.Skip("too long for make quick")
	}
	t.Parallel()
	file, last := smallStore(t)
	used, size := usedPages(t, file), os.Getpagesize()
	flips := []byte{0x01, 0x80, 0xff}
	const workers = 2
	var refused atomic.Int64
	var wg sync.WaitGroup
	for worker := range workers {
		dir, other := t.TempDir(), t.TempDir()
		path := filepath.Join(dir, fileName)
		wg.Go(func() {
			assert.NoError(t, os.WriteFile(path, file, 0o600))
			for at := worker; at < len(file) && !t.Failed(); at += workers {
				page, within := at/size, at%size
				if !used[uint64(page)] && within%61 > 0 || at/workers%step > 0 {
					continue
				}
				flip := flips[at/workers%len(flips)]
				setByte(t, path, at, file[at]^flip)
				if requireHonest(t, dir, last, "a flip", at) {
					refused.Add(1)
					// A new file: one that could not be opened may be locked still.
					assert.NoError(t, os.Remove(path))
					assert.NoError(t, os.WriteFile(path, file, 0o600))
					continue
				}
				setByte(t, path, at, file[at])
				if within < 256 { // where pages list what they have
					changed := bytes.Clone(file)
					changed[at] ^= flip
					requireSound(t, other, changed, last, "a flip", at)
				}
			}
		})
	}
	wg.Wait()
	require.Greater(t, refused.Load(), int64(len(used)*size/8/step))
}

func setByte(t *testing.T, path string, at int, b byte) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if assert.NoError(t, err) {
		_, err = f.WriteAt([]byte{b}, int64(at))
		assert.NoError(t, err)
		assert.NoError(t, f.Close())
	}
}

// usedPages are the pages that the store in the file uses, its heads included.
func usedPages(t *testing.T, file []byte) map[uint64]bool {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, fileName), file, 0o600))
	used, err := checkTree(open(t, dir).db)
	require.NoError(t, err)
	used[0], used[1] = true, true
	return used
}

func TestTruncatedFile(t *testing.T) {
	t.Parallel()
	file, last := smallStore(t)
	dir := t.TempDir()
	for n := 1; n < len(file); n += 1021 {
		requireSound(t, dir, file[:n], last, "a cut", n)
	}
}

// Pages that are overwritten by others, as a failing disk or a bad copy does.
func TestMisplacedPage(t *testing.T) {
	if testing.Short() {
		t.Skip("too long for make quick")
	}
	t.Parallel()
	file, last := smallStore(t)
	dir, size := t.TempDir(), os.Getpagesize()
	for to := range len(file) / size {
		for from := to % step; from < len(file)/size; from += step {
			bad := bytes.Clone(file)
			copy(bad[to*size:], file[from*size:(from+1)*size])
			requireSound(t, dir, bad, last, "a page in the place of another", to*size)
		}
		bad := bytes.Clone(file)
		clear(bad[to*size : (to+1)*size])
		requireSound(t, dir, bad, last, "a page of zeros", to*size)
	}
}

// Pages that lead to themselves or to one another: the database would follow them for
// ever, so Open refuses them, and nothing is loaded here.
func TestPagesInACircle(t *testing.T) {
	file, _ := smallStore(t)
	dir, size := t.TempDir(), uint64(os.Getpagesize())
	openIt := func(file []byte) (*Embedded, error) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fileName), file, 0o600))
		return Open(dir)
	}
	s, err := openIt(file)
	require.NoError(t, err)
	used, err := checkTree(s.db)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	branches, circles := 0, 0
	for id := range used {
		at := id * size
		if binary.NativeEndian.Uint16(file[at+8:]) != branchPage {
			continue
		}
		branches++
		for other := range used {
			bad := bytes.Clone(file)
			child := bad[at+pageHeader+8:]
			if binary.NativeEndian.Uint64(child) == other {
				continue
			}
			binary.NativeEndian.PutUint64(child, other)
			_, err := openIt(bad)
			require.ErrorIs(t, err, ErrDamaged, "page %d leads to page %d", id, other)
			if strings.Contains(err.Error(), "is used twice") {
				circles++
			}
		}
	}
	require.Positive(t, branches, "the store is too small to have a branch")
	require.Positive(t, circles, "no page led to itself")
}

// Whatever was committed, a store that is whole is not taken for a damaged one.
func TestWholeStoreIsNotRefused(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		s := open(t, t.TempDir())
		s.db.NoSync = true
		partition := s.Partition("p", "s", nil)
		random := rand.New(rand.NewPCG(seed, 0))
		for n := range 40 {
			var changes Changes
			for range random.IntN(600) {
				key := fmt.Appendf(nil, "%020d", random.IntN(5000))
				if seed%2 == 0 { // as time goes on
					key = fmt.Appendf(nil, "%020d", 100*n+random.IntN(2000))
				}
				if random.IntN(2) == 0 || n%20 > 15 {
					changes.Delete("rows", key)
					continue
				}
				changes.Put("rows", key, make([]byte, random.IntN(400)))
			}
			require.NoError(t, partition.Commit(&changes))
			_, err := checkTree(s.db)
			require.NoError(t, err)
		}
		_, err := load(partition)
		require.NoError(t, err)
	}
}
