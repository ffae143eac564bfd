package store

import (
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A copy that is made while another commits holds one of the states that there were.
func TestACopyOfAStoreThatIsInUse(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir)
	require.NoError(t, err)
	defer s.Close()
	partition := s.Partition("p", "s", nil)
	commit := func(n uint64) {
		var changes Changes
		for row := range uint64(300) { // all rows say the same
			changes.Put("t", binary.BigEndian.AppendUint64(nil, row), binary.BigEndian.AppendUint64(make([]byte, 50), n))
		}
		assert.NoError(t, partition.Commit(&changes))
	}
	commit(0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := uint64(1); ; n++ {
			select {
			case <-stop:
				return
			default:
				commit(n)
			}
		}
	}()
	for range 20 {
		require.NoError(t, ReadCopy(dir, func(c Store) error {
			seen := map[string]int{}
			err := c.Partition("p", "s", nil).Load(func(_ string, _, value []byte) error {
				seen[string(value)]++
				return nil
			})
			if err == nil {
				assert.Len(t, seen, 1)
			}
			return err
		}))
	}
	close(stop)
	<-stopped
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1)
}

func TestACopyOfNoStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	err := ReadCopy(dir, func(Store) error { panic("there is none") })
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoDirExists(t, dir)
}
