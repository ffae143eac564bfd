package store

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// sector is what a disk writes as a whole.
const sector = 512

// A power cut lets any of the sectors that a commit wrote get to the disk, and not the
// others, until it has synced: the store holds what it held before. The head is
// written after that, and is in one sector.
func TestTornCommit(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	dir := t.TempDir()
	s := open(t, dir)
	path := filepath.Join(dir, fileName)
	file := func() []byte {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		return b
	}
	heads := 2 * os.Getpagesize()
	for n := 1; n <= 12; n++ {
		before := file()
		require.NoError(t, s.Partition("p", "s", nil).Commit(numbered(n)))
		after := file()
		before = append(before, make([]byte, len(after)-len(before))...)

		var changed []int
		for at := heads; at < len(after); at += sector {
			if !bytes.Equal(before[at:at+sector], after[at:at+sector]) {
				changed = append(changed, at)
			}
		}
		require.Greater(t, len(changed), 3)
		torn := func(share float64) []byte {
			b := bytes.Clone(before)
			for _, at := range changed {
				if random.Float64() < share {
					copy(b[at:at+sector], after[at:])
				}
			}
			return b
		}
		for _, share := range []float64{0, 0.1, 0.5, 0.9, 1} {
			requireContent(t, torn(share), content(n-1))
		}
		whole := torn(1)
		copy(whole[:heads], after)
		requireContent(t, whole, content(n))
	}
}

func requireContent(t *testing.T, file []byte, want rows) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, fileName), file, 0o600))
	got, err := openAndLoad(dir)
	require.NoError(t, err)
	require.True(t, maps.Equal(want, got))
}

// What Commit promises holds only if nothing turns the syncing off.
func TestCommitsAreSynced(t *testing.T) {
	s := open(t, t.TempDir())
	require.False(t, s.db.NoSync)
	require.False(t, s.db.NoGrowSync)
	require.False(t, s.db.NoFreelistSync)
}
