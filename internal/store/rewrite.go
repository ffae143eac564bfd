package store

import (
	"errors"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// rewriteTxSize bounds one transaction of a rewriting, in bytes.
const rewriteTxSize = 16 << 20

// rewrite copies what is in the file to a new one that takes its place, if a commit has
// asked for it: free pages hold what was removed until they are used again. Where there
// is no room for a second file, the next start tries again.
func (s *Store) rewrite() {
	asked := false
	_ = s.db.View(func(tx *bbolt.Tx) error {
		asked = tx.Bucket(metaBucket).Get(rewriteKey) != nil
		return nil
	})
	if !asked {
		return
	}
	temporary, err := emptyFile(s.path)
	if err != nil {
		return
	}
	defer os.Remove(temporary)
	if err := s.copyTo(temporary); err != nil {
		return
	}
	// The new file is open, and so locked, before it takes the old one's place: no other
	// process can get in between.
	db, err := openFile(temporary)
	if err != nil {
		return
	}
	if err := os.Rename(temporary, s.path); err != nil {
		_ = db.Close()
		return
	}
	_ = s.db.Close()
	s.db = db
	_ = syncDirectory(filepath.Dir(s.path))
}

func (s *Store) copyTo(name string) error {
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
