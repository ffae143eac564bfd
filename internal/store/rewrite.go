package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-kit/log/level"
	"go.etcd.io/bbolt"
)

// update brings every partition to the present format and under the store's first seal, each
// in a transaction of its own: whatever interrupts it, the next start goes on. It reports
// whether there was anything to do.
func (s *Embedded) update() (changed bool, err error) {
	var names [][]byte
	err = s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(partitionsBucket).ForEachBucket(func(name []byte) error {
			names = append(names, bytes.Clone(name))
			return nil
		})
	})
	for _, name := range names {
		if err != nil {
			return changed, err
		}
		b := s.partitionOf(name)
		var did bool
		if did, err = b.rewriteRows(); did {
			changed = true
		}
	}
	return changed, err
}

// rewriteRows brings the rows of a partition to the present format, under the store's first
// seal, and reports whether they were not.
func (b *embeddedPartition) rewriteRows() (changed bool, err error) {
	return changed, b.guard(func() error {
		var row func(table string, key, value []byte) (k, v []byte, err error)
		err := b.store.db.View(func(tx *bbolt.Tx) (err error) {
			row, err = b.outdated(tx.Bucket(partitionsBucket).Bucket(b.name))
			return err
		})
		if row == nil || err != nil {
			return err
		}
		changed = true
		return b.update(func(tx *bbolt.Tx, partition *bbolt.Bucket) error {
			changes := Changes{clear: true}
			err := eachRow(partition, func(table string, key, value []byte) error {
				k, v, err := row(table, key, value)
				changes.Put(table, k, v)
				return err
			})
			if err != nil {
				return err
			}
			return b.store.apply(tx, partition, &changes)
		})
	})
}

// outdated returns what makes rows of the present form of a partition's rows; nil if that is
// what they have, or if nobody can.
func (b *embeddedPartition) outdated(partition *bbolt.Bucket) (func(table string, key, value []byte) (k, v []byte, err error), error) {
	from := b.store.sealOf(partition)
	if from == b.store.seals[0] || partition.Get(digestKey) == nil {
		return nil, nil
	}
	if err := verify(partition); err != nil {
		return nil, err
	}
	switch {
	case from != nil:
		return from.reveal, nil
	case partition.Get(sealKey) != nil:
		return nil, nil // under another key, which is reported when the partition is loaded
	case b.store.convert == nil:
		return nil, fmt.Errorf("%w: it has format 1: start the exporter once with it", ErrRefused)
	}
	return b.store.convert, nil
}

// rewriteSuffix ends the names of files that are to take the store's place.
const rewriteSuffix = ".rewrite"

// rewriteTxSize bounds one transaction of a rewriting, in bytes.
const rewriteTxSize = 16 << 20

// rewrite copies what is in the file to a new one that takes its place, if something was
// removed that must not stay in free pages. What prevents that is logged, and tried again
// by the next start: it is no reason not to count.
func (s *Embedded) rewrite() {
	asked := false
	_ = s.db.View(func(tx *bbolt.Tx) error {
		asked = tx.Bucket(metaBucket).Get(rewriteKey) != nil
		return nil
	})
	if !asked {
		return
	}
	if err := s.replaceFile(); err != nil {
		level.Warn(s.logger).Log("msg", "the store could not be rewritten, so that free pages of its file keep what was removed: names or hashes in the clear; the next start tries again",
			"path", s.path, "err", err)
	}
}

func (s *Embedded) replaceFile() error {
	temporary, err := emptyFile(s.path, rewriteSuffix)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	if err := s.copyTo(temporary); err != nil {
		return err
	}
	// The new file is open, and so locked, before it takes the old one's place: no other
	// process can get in between.
	db, err := openFile(temporary)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, s.path); err != nil {
		return errors.Join(err, db.Close())
	}
	old := s.db
	s.db = db
	return errors.Join(old.Close(), syncDirectory(filepath.Dir(s.path)))
}

func (s *Embedded) copyTo(name string) error {
	db, err := bbolt.Open(name, 0o600, &bbolt.Options{Timeout: lockTimeout})
	if err != nil {
		return err
	}
	err = bbolt.Compact(db, s.db, rewriteTxSize)
	if err == nil {
		err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Delete(rewriteKey) })
	}
	return errors.Join(err, db.Close())
}

// removeLeftovers removes the files of rewritings that were killed. Nobody else writes
// there: the store is locked.
func (s *Embedded) removeLeftovers() {
	left, _ := filepath.Glob(s.path + ".*" + rewriteSuffix)
	for _, name := range left {
		_ = os.Remove(name)
	}
}
