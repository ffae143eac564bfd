package store

import (
	"sync"

	"go.etcd.io/bbolt"
)

// maxJoined bounds the changes of a transaction that several commits share.
const maxJoined = 20_000

// joiner makes one transaction of the commits that wait for the disk at the same time, so
// that many partitions wait for it no longer than one does. A commit alone waits for none.
type joiner struct {
	turn sync.Mutex // whose turn it is commits for the others, too
	mu   sync.Mutex // guards waiting
	// waiting are those whose turn is not over, the oldest first.
	waiting []*joined
}

// joined is a commit among others.
type joined struct {
	partition *embeddedPartition
	changes   *Changes
	done      bool // guarded by turn, as err is
	err       error
}

// commit returns when the changes are on disk, or are known not to be.
func (j *joiner) commit(p *embeddedPartition, changes *Changes) error {
	own := &joined{partition: p, changes: changes}
	j.mu.Lock()
	j.waiting = append(j.waiting, own)
	j.mu.Unlock()
	j.turn.Lock()
	defer j.turn.Unlock()
	for !own.done {
		commitAll(j.next())
	}
	return own.err
}

// next takes the oldest of those that wait, and as many more as one transaction may have.
func (j *joiner) next() (next []*joined) {
	j.mu.Lock()
	defer j.mu.Unlock()
	changes := 0
	for _, c := range j.waiting {
		if changes += len(c.changes.list); len(next) > 0 && changes > maxJoined {
			break
		}
		next = append(next, c)
	}
	j.waiting = j.waiting[len(next):]
	return next
}

// commitAll commits all together; or each alone, if that fails, so that none fails for
// another's sake.
func commitAll(commits []*joined) {
	together := len(commits) > 1 && commitTogether(commits) == nil
	for _, c := range commits {
		if c.done = true; !together {
			c.err = c.partition.commitAlone(c.changes)
		}
	}
}

func commitTogether(commits []*joined) error {
	s := commits[0].partition.store
	return guard(s.path, func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			for _, c := range commits {
				partition, err := c.partition.bucket(tx)
				if err != nil {
					return err
				}
				if err := s.apply(tx, partition, c.changes); err != nil {
					return err
				}
			}
			return nil
		})
	})
}
