package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// smallStore is the file of a store with branch pages, leaf pages, inline tables and
// a free list in it, and what its book p/s held after the last two commits.
func smallStore(t *testing.T) (file []byte, last, before rows) {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir)
	book := s.Book("p", "s")
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 3 {
		var batch Batch
		for range 60 {
			value := make([]byte, 40)
			for j := range value {
				value[j] = byte(random.Uint32())
			}
			batch.Put("ledger", fmt.Appendf(nil, "%020d", random.IntN(200)), value)
		}
		batch.Put("series", []byte("login_attempts"), fmt.Append(nil, i))
		batch.Put("position", []byte("position"), fmt.Append(nil, i))
		var err error
		before, err = load(book)
		require.NoError(t, err)
		require.NoError(t, book.Commit(&batch))
	}
	last, err := load(book)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	file, err = os.ReadFile(filepath.Join(dir, fileName))
	require.NoError(t, err)
	return file, last, before
}

// requireHonest starts with a damaged file: it is refused, or it holds the rows of the
// last commit. Only damage of the head, of which the file has two copies, may lead
// back to the commit before: it looks like a commit that the power cut short.
func requireHonest(t *testing.T, dir string, file []byte, last, before rows, headDamaged bool, what string, at int) (refused bool) {
	t.Helper()
	path := filepath.Join(dir, fileName)
	_ = os.Remove(path) // a new file, on which nobody has a lock
	require.NoError(t, os.WriteFile(path, file, 0o600))
	got, err := openAndLoad(dir)
	if err != nil {
		require.ErrorContains(t, err, dir, "%s at byte %d", what, at)
		return true
	}
	if headDamaged && got["position/position"] == before["position/position"] {
		last = before
	}
	require.True(t, maps.Equal(last, got), "%s at byte %d: loads other rows than were committed", what, at)
	return false
}

func TestFlippedByte(t *testing.T) {
	t.Parallel()
	file, last, before := smallStore(t)
	dir, head := t.TempDir(), 2*os.Getpagesize()
	flips := []byte{0x01, 0x80, 0xff}
	refused := 0
	for i := 0; i < len(file); i += stepAt(i) {
		bad := append([]byte(nil), file...)
		bad[i] ^= flips[i%len(flips)]
		if requireHonest(t, dir, bad, last, before, i < head, "a flip", i) {
			refused++
		}
	}
	require.Positive(t, refused)
}

// stepAt tries every byte of the head of a page, where the damage is worst, and some
// of the others.
func stepAt(i int) int {
	if i%os.Getpagesize() < 48 {
		return 1
	}
	return 211
}

func TestTruncatedFile(t *testing.T) {
	t.Parallel()
	file, last, before := smallStore(t)
	dir := t.TempDir()
	for n := 1; n < len(file); n += 1021 {
		requireHonest(t, dir, file[:n], last, before, false, "a cut", n)
	}
}

// Pages that are overwritten by others, as a failing disk or a bad copy does.
func TestMisplacedPage(t *testing.T) {
	t.Parallel()
	file, last, before := smallStore(t)
	dir, size := t.TempDir(), os.Getpagesize()
	for to := range len(file) / size {
		for from := range len(file) / size {
			bad := append([]byte(nil), file...)
			copy(bad[to*size:], file[from*size:(from+1)*size])
			requireHonest(t, dir, bad, last, before, to < 2, "a page in the place of another", to*size)
		}
		bad := append([]byte(nil), file...)
		clear(bad[to*size : (to+1)*size])
		requireHonest(t, dir, bad, last, before, to < 2, "a page of zeros", to*size)
	}
}

// Pages that lead to themselves or to one another: the database would follow them for
// ever, so Open refuses them, and nothing is loaded here.
func TestPagesInACircle(t *testing.T) {
	file, _, _ := smallStore(t)
	dir, size := t.TempDir(), uint64(os.Getpagesize())
	openIt := func(file []byte) (*Store, error) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fileName), file, 0o600))
		return Open(dir)
	}
	s, err := openIt(file)
	require.NoError(t, err)
	used, err := checkTree(s.db)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	branches := 0
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
			require.ErrorContains(t, err, "is used twice")
		}
	}
	require.Positive(t, branches, "the store is too small to have a branch")
}
