package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// copies is how often a store is copied until one copy is whole.
const copies = 10

// ReadCopy calls read with a copy of the store in dir, which another process may have
// open and write to at the same time: it is neither locked nor changed. The error is an
// fs.ErrNotExist if there is no store.
func ReadCopy(dir string, read func(Store) error, options ...Option) error {
	path := filepath.Join(dir, fileName)
	temporary, err := os.MkdirTemp("", "workspace_exporter-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	for try := 1; ; try++ {
		if err := copyFile(path, filepath.Join(temporary, fileName)); err != nil {
			return fmt.Errorf("store %s: cannot be copied: %w", path, err)
		}
		err := readStore(temporary, read, options)
		// What was written while it was copied may have torn it; the digests show that.
		if !errors.Is(err, ErrDamaged) {
			return err
		}
		if try == copies {
			return fmt.Errorf("store %s: none of %d copies was whole: %w", path, copies, err)
		}
	}
}

func readStore(dir string, read func(Store) error, options []Option) error {
	s, err := Open(dir, options...)
	if err != nil {
		return err
	}
	return errors.Join(read(s), s.Close())
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
