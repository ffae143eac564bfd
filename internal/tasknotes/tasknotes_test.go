package tasknotes

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

var errDisk = errors.New("disk full")

// faulty is a storage that can fail.
type faulty struct {
	Storage
	err error
}

func (f *faulty) Commit(changes *store.Changes) error {
	if f.err != nil {
		return f.err
	}
	return f.Storage.Commit(changes)
}

func partition(t *testing.T) store.Partition {
	s, err := store.Open(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s.Partition("p", "s", nil)
}

func open(t *testing.T, storage Storage, projectID string) *Notes {
	n, err := Open(storage, projectID)
	require.NoError(t, err)
	return n
}

func TestNotesOutliveTheProcess(t *testing.T) {
	storage := &faulty{Storage: partition(t)}
	n := open(t, storage, "one")
	require.NoError(t, n.Set("b", "2"))
	require.NoError(t, n.Set("a", "1"))
	require.NoError(t, n.Set("a", "3"))
	n = open(t, storage, "one")
	keys, err := n.Keys()
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, keys)
	id, ok, err := n.Get("a")
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, "3", id)

	storage.err = errDisk
	require.ErrorIs(t, n.Clear("b"), errDisk)
	require.ErrorIs(t, n.Set("c", "4"), errDisk)
	keys, err = n.Keys()
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, keys, "memory is not ahead of the store")
	storage.err = nil
	require.NoError(t, n.Clear("b"))
	keys, err = open(t, storage, "one").Keys()
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, keys)
}

// A task belongs to a project_id: another project under the same name does not know it.
func TestNotesOfAnotherProjectAreLeftOut(t *testing.T) {
	storage := partition(t)
	var row store.Row
	row.String("one")
	changes := &store.Changes{}
	changes.Put(store.Head, []byte(store.ProjectKey), row)
	require.NoError(t, storage.Commit(changes))
	require.NoError(t, open(t, storage, "one").Set("a", "1"))
	for projectID, want := range map[string]bool{"one": true, "two": false, "": true} {
		_, known, err := open(t, storage, projectID).Get("a")
		require.NoError(t, err)
		assert.Equal(t, want, known, projectID)
	}
}
