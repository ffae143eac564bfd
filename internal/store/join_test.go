package store

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
)

// transactions is how many have changed a store.
func transactions(t *testing.T, s *Embedded) (n int) {
	t.Helper()
	require.NoError(t, s.db.View(func(tx *bbolt.Tx) error {
		n = tx.ID()
		return nil
	}))
	return n
}

// commitAtOnce has all commit while the disk is busy, and returns with what.
func commitAtOnce(s *Embedded, partitions []Partition, changes func(i int) *Changes) []error {
	errs := make([]error, len(partitions))
	var all sync.WaitGroup
	s.joiner.turn.Lock()
	for i, p := range partitions {
		all.Go(func() { errs[i] = p.Commit(changes(i)) })
	}
	waiting := func() int {
		s.joiner.mu.Lock()
		defer s.joiner.mu.Unlock()
		return len(s.joiner.waiting)
	}
	for waiting() < len(partitions) {
	}
	s.joiner.turn.Unlock()
	all.Wait()
	return errs
}

func partitionsOf(s *Embedded, n int) []Partition {
	partitions := make([]Partition, n)
	for i := range partitions {
		partitions[i] = s.Partition(fmt.Sprint("project ", i), "s", nil)
	}
	return partitions
}

func TestCommitsThatWaitAreJoined(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	partitions := partitionsOf(s, 50)
	for round := range 2 { // new partitions, and old ones
		before := transactions(t, s)
		for _, err := range commitAtOnce(s, partitions, func(i int) *Changes {
			c := &Changes{}
			c.Put("t", fmt.Append(nil, round), fmt.Append(nil, i))
			return c
		}) {
			require.NoError(t, err)
		}
		assert.Equal(t, before+1, transactions(t, s))
		assert.Empty(t, s.joiner.waiting)
	}
	put(t, partitions[0], "t", "2", "alone")
	require.NoError(t, s.Close())
	for i, p := range partitionsOf(open(t, dir), 50) {
		want := rows{"t/0": fmt.Sprint(i), "t/1": fmt.Sprint(i)}
		if i == 0 {
			want["t/2"] = "alone"
		}
		requireRows(t, want, p)
	}
}

// Of a transaction that fails, each commit fails or succeeds for itself.
func TestNoCommitFailsForAnothersSake(t *testing.T) {
	s := open(t, t.TempDir())
	partitions := partitionsOf(s, 9)
	errs := commitAtOnce(s, partitions, func(i int) *Changes {
		c := &Changes{}
		c.Put("t", []byte("key"), fmt.Append(nil, i))
		if i%4 == 1 {
			c.Put("t", []byte(strings.Repeat("long", bbolt.MaxKeySize)), nil)
		}
		return c
	})
	for i, p := range partitions {
		if i%4 == 1 {
			require.ErrorIs(t, errs[i], errWrite)
			require.ErrorContains(t, errs[i], p.(*embeddedPartition).title)
			requireRows(t, rows{}, p)
			continue
		}
		require.NoError(t, errs[i])
		requireRows(t, rows{"t/key": fmt.Sprint(i)}, p)
	}
}

// What is joined is bounded, and the oldest go first.
func TestTransactionsAreBounded(t *testing.T) {
	s := open(t, t.TempDir())
	before := transactions(t, s)
	for _, err := range commitAtOnce(s, partitionsOf(s, 4), func(i int) *Changes { return newRecords(0, maxJoined/2, 0) }) {
		require.NoError(t, err)
	}
	assert.Equal(t, before+2, transactions(t, s))
}
