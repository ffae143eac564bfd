// Package tasknotes remembers the export tasks that are under way, so that a restart takes
// them up instead of creating them again.
package tasknotes

import (
	"maps"
	"slices"
	"sync"

	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// Table is the table of the notes: the key is what a task is for, the value its id.
const Table = "tasks"

// Storage keeps the notes; store.Partition is one.
type Storage interface {
	LoadTable(table string, row func(key, value []byte) error) error
	Commit(*store.Changes) error
}

// Notes are the notes of one source. Each is committed by itself. They may be used
// concurrently.
type Notes struct {
	storage Storage

	mu  sync.Mutex
	ids map[string]string // by what the task is for
}

// Open loads the notes. Those of another project are left out; they are deleted with what
// the collector deletes of it. An empty projectID is that of any project.
func Open(storage Storage, projectID string) (*Notes, error) {
	n := &Notes{storage: storage, ids: map[string]string{}}
	stored, err := storedProject(storage)
	if err != nil || projectID != "" && stored != "" && stored != projectID {
		return n, err
	}
	return n, storage.LoadTable(Table, func(key, value []byte) error {
		n.ids[string(key)] = string(value)
		return nil
	})
}

func storedProject(storage Storage) (id string, err error) {
	err = storage.LoadTable(store.Head, func(key, value []byte) error {
		if string(key) != store.ProjectKey {
			return nil
		}
		r := store.ReadRow(value)
		id = r.String()
		return r.Err()
	})
	return id, err
}

// Get returns the id of the task for a key, if one is under way.
func (n *Notes) Get(key string) (id string, ok bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	id, ok = n.ids[key]
	return id, ok, nil
}

// Keys lists, in order, what tasks are under way for.
func (n *Notes) Keys() ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.ids)), nil
}

// Set remembers a task. It is on disk when Set returns.
func (n *Notes) Set(key, id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	changes := &store.Changes{}
	changes.Put(Table, []byte(key), []byte(id))
	if err := n.storage.Commit(changes); err != nil {
		return err
	}
	n.ids[key] = id
	return nil
}

// Clear forgets the task for a key.
func (n *Notes) Clear(key string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	changes := &store.Changes{}
	changes.Delete(Table, []byte(key))
	if err := n.storage.Commit(changes); err != nil {
		return err
	}
	delete(n.ids, key)
	return nil
}
