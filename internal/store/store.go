// Package store keeps what must outlive the process: per source one partition, with
// the ledger, the counters and the cursor in it. A commit to a partition is whole or
// not at all, and it is on disk when Commit returns.
//
// Every partition carries a digest of its rows, so that a damaged one is refused
// instead of counted on.
package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
)

// Store is an open store.
type Store interface {
	// Partition is the part of the store that belongs to one source of one project. The lease
	// is that of the project.
	Partition(project, source string, lease *Lease) Partition
	// Close releases the store.
	Close() error
}

// Partition holds the rows of one source in tables.
type Partition interface {
	// Load calls row for every row of the partition, table by table, in the order of their
	// names and keys; Head is the first table. It fails if the partition is damaged, or if row
	// does. Key and value are valid during the call.
	Load(row func(table string, key, value []byte) error) error
	// LoadTable calls row for every row of one table, in the order of their keys. It does not
	// compare the partition with its digest, as Load does. Key and value are valid during the
	// call.
	LoadTable(table string, row func(key, value []byte) error) error
	// Commit writes the changes as a whole. When it returns nil, the changes are on disk; when
	// it fails, the partition must be loaded again to know what is there. It uses the changes
	// no longer than it takes: their memory is used again.
	Commit(changes *Changes) error
}

// Lease is the right to write to the partitions of a project, where several processes share a
// store. The embedded store needs none; without one, a shared store can only be read.
type Lease struct {
	// Epoch grows with each lease of the project.
	Epoch int64
	// Context ends when the lease is known to be lost: what is under way is given up then. May
	// be nil.
	Context context.Context
	// Lost is called when a commit is refused because the right has gone to somebody else. May
	// be nil.
	Lost func(err error)
}

// Changes is a set of changes to a partition. Later changes of a row replace earlier ones.
type Changes struct {
	list []change
	text []byte // what keys and values are parts of
	// Scrub takes what the changes remove out of free pages of the file, too: when the
	// store is opened next.
	Scrub bool
	clear bool // every row that the partition has goes first
}

type change struct {
	table      string
	key, value []byte
	deletes    bool
}

// Grow makes room for n more changes.
func (b *Changes) Grow(n int) { b.list = slices.Grow(b.list, n) }

// Put writes a row. Key and value are copied.
func (b *Changes) Put(table string, key, value []byte) {
	b.list = append(b.list, change{table: table, key: b.copyOf(key), value: b.copyOf(value)})
}

// Delete takes a row away, if it is there. The key is copied.
func (b *Changes) Delete(table string, key []byte) {
	b.list = append(b.list, change{table: table, key: b.copyOf(key), deletes: true})
}

// copyOf is never nil: to the database, nil is no value.
func (b *Changes) copyOf(p []byte) []byte {
	if b.text == nil {
		b.text = make([]byte, 0, firstText)
	}
	start := len(b.text)
	b.text = append(b.text, p...)
	return b.text[start:len(b.text):len(b.text)]
}

// firstText is enough for the few changes of most sets, in bytes.
const firstText = 256

// Append adds those of another set.
func (b *Changes) Append(more *Changes) {
	for _, c := range more.list {
		if c.deletes {
			b.Delete(c.table, c.key)
		} else {
			b.Put(c.table, c.key, c.value)
		}
	}
	b.Scrub = b.Scrub || more.Scrub
}

// Reset empties the set, to be filled again. What it held must not be in use any more.
func (b *Changes) Reset() {
	if cap(b.text) > maxTextKept {
		*b = Changes{}
		return
	}
	clear(b.list)
	*b = Changes{list: b.list[:0], text: b.text[:0]}
}

// maxTextKept is how much memory a set keeps for its next use, in bytes: more than a poll of
// hundreds of records needs. What a backlog needed is not kept by each of thousands of sources.
const maxTextKept = 256 << 10

// inOrder are the changes in the order of their rows. Those of one row stay in theirs.
func (b *Changes) inOrder() []int {
	order := make([]int, len(b.list))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := &b.list[i], &b.list[j]
		if a.table != b.table {
			return strings.Compare(a.table, b.table)
		}
		return cmp.Or(bytes.Compare(a.key, b.key), i-j)
	})
	return order
}

// Empty reports whether the changes would change nothing.
func (b *Changes) Empty() bool { return len(b.list) == 0 }

// Each calls f for every change, in order; a nil value deletes. Keys and values are good until
// Reset.
func (b *Changes) Each(f func(table string, key, value []byte)) {
	for _, c := range b.list {
		f(c.table, c.key, c.value)
	}
}

// Head is the table whose rows are loaded first: they say how others are to be read.
const Head = "head"

// ProjectKey is the row of Head that holds the project_id of the partition's rows.
const ProjectKey = "project_id"

// ErrRefused is wrapped by what a partition is refused with that is whole, and yet cannot be
// used; the error says what to do.
var ErrRefused = errors.New("the store is refused")

// ErrDamaged is what every error about a damaged store wraps.
var ErrDamaged = errors.New("the store is damaged")

// Discard is a partition that keeps nothing, for what runs once.
type Discard struct{}

// Load finds no rows.
func (Discard) Load(func(table string, key, value []byte) error) error { return nil }

// Commit forgets the changes.
func (Discard) Commit(*Changes) error { return nil }
