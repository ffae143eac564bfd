// Package store keeps what must outlive the process: per source one book, with
// the ledger, the counters and the cursor in it. A commit to a book is whole or
// not at all, and it is on disk when Commit returns.
//
// Every book carries a digest of its rows, so that a damaged file is refused
// instead of counted on.
package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/cespare/xxhash/v2"
	"go.etcd.io/bbolt"
	bberrors "go.etcd.io/bbolt/errors"
)

// format is the version of the file's layout. A newer one is refused.
const format = 1

const (
	fileName = "state.db"
	// lockTimeout is how long Open waits for another process to let go.
	lockTimeout = time.Second
)

var (
	metaBucket  = []byte("meta")
	booksBucket = []byte("books")
	formatKey   = []byte("format")
	namesKey    = []byte("names")
	digestKey   = []byte("digest")
)

// Store is an open store. Only one process can have it open.
type Store struct {
	db   *bbolt.DB
	path string
}

// Open opens the store in the directory dir, which it makes if it is not there.
// It never starts from nothing in place of a file that it cannot read.
func Open(dir string) (*Store, error) {
	if err := makeDirectory(dir); err != nil {
		return nil, fmt.Errorf("storage.path %s: cannot make the directory: %w", dir, err)
	}
	path := filepath.Join(dir, fileName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("store %s: cannot be created: %w", path, err)
		}
	}
	db, err := openFile(path)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, path: path}
	if err := s.check(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// create makes an empty store under another name and renames it, so that a crash
// leaves either none or a whole one: an empty file is always damage.
func create(path string) error {
	temporary, err := emptyFile(path)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	db, err := bbolt.Open(temporary, 0o600, &bbolt.Options{Timeout: lockTimeout})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return err
		}
		books, err := tx.CreateBucket(booksBucket)
		if err != nil {
			return err
		}
		names, err := namesDigest(books)
		return errors.Join(err, meta.Put(namesKey, names), meta.Put(formatKey, binary.AppendUvarint(nil, format)))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	// A link, not a rename: of two processes that start together, the second
	// must not put its empty store in place of the first one's.
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) {
		if err := os.Rename(temporary, path); err != nil { // no links on this file system
			return err
		}
	}
	return syncDirectory(filepath.Dir(path))
}

// emptyFile makes a file beside path that no other process uses.
func emptyFile(path string) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new")
	if err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// makeDirectory makes a directory, and those above it, so that a power cut does not
// take them away again with the store in them.
func makeDirectory(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	above := filepath.Dir(filepath.Clean(dir))
	if above != dir {
		if err := makeDirectory(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return cmp.Or(err, error(&fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}))
	}
	_ = syncDirectory(above) // which one may write to and yet not read
	return nil
}

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	// Some systems cannot sync a directory; then the file system orders renames itself.
	_ = d.Sync()
	return d.Close()
}

func openFile(path string) (db *bbolt.DB, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	if info.Size() == 0 {
		return nil, damaged(path, "the file is empty")
	}
	err = guard(path, func() (err error) {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType})
		return err
	})
	var refused syscall.Errno
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, ErrDamaged):
		return nil, err
	case errors.Is(err, bberrors.ErrTimeout):
		return nil, fmt.Errorf("store %s: another process has it open; stop that one, or give each its own storage.path", path)
	case errors.As(err, &refused): // by the system, which says nothing about the content
		return nil, fmt.Errorf("store %s: cannot be opened for writing; it must be a file that belongs to the exporter's user: %w", path, err)
	}
	return nil, damaged(path, err.Error())
}

// check refuses a damaged file, one of a newer format, and one that has lost a book.
func (s *Store) check() error {
	return guard(s.path, func() error {
		if _, err := checkTree(s.db); err != nil {
			return damaged(s.path, err.Error())
		}
		return s.db.View(func(tx *bbolt.Tx) error {
			meta, books := tx.Bucket(metaBucket), tx.Bucket(booksBucket)
			if meta == nil || books == nil {
				return damaged(s.path, "its first tables are missing")
			}
			version, n := binary.Uvarint(meta.Get(formatKey))
			if n <= 0 || version == 0 {
				return damaged(s.path, "it has no format version")
			}
			if version > format {
				return fmt.Errorf("store %s: it has format %d, written by a newer version of the exporter; this one knows formats up to %d: use the newer version, or another storage.path", s.path, version, format)
			}
			names, err := namesDigest(books)
			if err == nil && !bytes.Equal(names, meta.Get(namesKey)) {
				err = damaged(s.path, "its list of books does not match the list's digest")
			}
			return err
		})
	})
}

// namesDigest hashes the names of all books: one that is lost must not pass for one
// that never was.
func namesDigest(books *bbolt.Bucket) ([]byte, error) {
	var names Row
	err := books.ForEachBucket(func(name []byte) error {
		names.Bytes(name)
		return nil
	})
	return binary.BigEndian.AppendUint64(nil, xxhash.Sum64(names)), err
}

// Close releases the store.
func (s *Store) Close() error { return s.db.Close() }

// Book is the part of the store that belongs to one source of one project.
func (s *Store) Book(project, source string) *Book {
	return &Book{store: s, name: []byte(project + "\x00" + source), title: project + "/" + source}
}

// Book holds the rows of one source in tables.
type Book struct {
	store *Store
	name  []byte
	title string
}

// Batch is a set of changes to a book. Later changes of a row replace earlier ones.
type Batch struct{ changes []change }

type change struct {
	table      string
	key, value []byte
	deletes    bool
}

// Put writes a row. The batch keeps key and value.
func (b *Batch) Put(table string, key, value []byte) {
	if value == nil {
		value = []byte{} // to the database, nil is no value
	}
	b.changes = append(b.changes, change{table: table, key: key, value: value})
}

// Delete takes a row away, if it is there.
func (b *Batch) Delete(table string, key []byte) {
	b.changes = append(b.changes, change{table: table, key: key, deletes: true})
}

// Each calls f for every change, in order; a nil value deletes.
func (b *Batch) Each(f func(table string, key, value []byte)) {
	for _, c := range b.changes {
		f(c.table, c.key, c.value)
	}
}

// Load calls row for every row of the book, table by table, in the order of the
// keys. It fails if the book is damaged. Key and value are valid during the call.
func (b *Book) Load(row func(table string, key, value []byte) error) error {
	return guard(b.store.path, func() error {
		return b.store.db.View(func(tx *bbolt.Tx) error {
			book := tx.Bucket(booksBucket).Bucket(b.name)
			if book == nil {
				return nil
			}
			var digest uint64
			err := book.ForEachBucket(func(table []byte) error {
				return book.Bucket(table).ForEach(func(key, value []byte) error {
					digest ^= rowDigest(string(table), key, value)
					if err := row(string(table), key, value); err != nil {
						if errors.Is(err, ErrNewer) {
							return fmt.Errorf("store %s: %s: %w; use that version, or another storage.path", b.store.path, b.title, err)
						}
						return damaged(b.store.path, fmt.Sprintf("%s, table %s: %v", b.title, table, err))
					}
					return nil
				})
			})
			if err != nil {
				return err
			}
			if stored := book.Get(digestKey); len(stored) != 8 || binary.BigEndian.Uint64(stored) != digest {
				return damaged(b.store.path, b.title+": the rows do not match their digest")
			}
			return nil
		})
	})
}

// Commit writes the batch as a whole. When it returns nil, the changes are on disk;
// when it fails, none of them is.
func (b *Book) Commit(batch *Batch) error {
	return guard(b.store.path, func() error {
		err := b.store.db.Update(func(tx *bbolt.Tx) error {
			book, err := b.bucket(tx)
			if err != nil {
				return err
			}
			var digest uint64
			if stored := book.Get(digestKey); len(stored) == 8 {
				digest = binary.BigEndian.Uint64(stored)
			}
			for i := range batch.changes {
				if digest, err = apply(book, &batch.changes[i], digest); err != nil {
					return err
				}
			}
			return book.Put(digestKey, binary.BigEndian.AppendUint64(nil, digest))
		})
		if err != nil {
			return fmt.Errorf("store %s: nothing was written for %s: %w%s", b.store.path, b.title, err, advice(err))
		}
		return nil
	})
}

// advice says what to do about a commit that failed. The database passes some causes on
// as text alone.
func advice(err error) string {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if strings.Contains(err.Error(), full.Error()) {
			return "; make room there, and counting goes on by itself"
		}
	}
	return ""
}

// bucket finds the book in the store, and makes it if it is not there.
func (b *Book) bucket(tx *bbolt.Tx) (*bbolt.Bucket, error) {
	books := tx.Bucket(booksBucket)
	if book := books.Bucket(b.name); book != nil {
		return book, nil
	}
	book, err := books.CreateBucket(b.name)
	if err != nil {
		return nil, err
	}
	names, err := namesDigest(books)
	return book, errors.Join(err, tx.Bucket(metaBucket).Put(namesKey, names))
}

func apply(book *bbolt.Bucket, c *change, digest uint64) (uint64, error) {
	table, err := book.CreateBucketIfNotExists([]byte(c.table))
	if err != nil {
		return 0, err
	}
	if old := table.Get(c.key); old != nil {
		digest ^= rowDigest(c.table, c.key, old)
	}
	if c.deletes {
		return digest, table.Delete(c.key)
	}
	return digest ^ rowDigest(c.table, c.key, c.value), table.Put(c.key, c.value)
}

// rowDigest hashes one row. Digests of rows are combined by XOR, so that a commit
// need not read the rows that it leaves alone.
func rowDigest(table string, key, value []byte) uint64 {
	var buf [256]byte
	row := Row(buf[:0])
	row.String(table)
	row.Bytes(key)
	row.Bytes(value)
	return xxhash.Sum64(row)
}

// guard turns a panic of the database, which is how it reports a damaged page, into
// an error; also the fault that comes of reading where a damaged or cut file leads.
func guard(path string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damaged(path, fmt.Sprint(p))
		}
	}()
	return f()
}

// ErrNewer is what a row of a newer version of the exporter is refused with.
var ErrNewer = errors.New("written by a newer version of the exporter")

// ErrDamaged is what every error about a damaged store wraps.
var ErrDamaged = errors.New("the store is damaged")

func damaged(path, why string) error {
	return fmt.Errorf("store %s: %w (%s); restore it from a backup, or move it away to start counting anew", path, ErrDamaged, why)
}

// Discard is a book that keeps nothing, for what runs once.
type Discard struct{}

// Load finds no rows.
func (Discard) Load(func(table string, key, value []byte) error) error { return nil }

// Commit forgets the batch.
func (Discard) Commit(*Batch) error { return nil }
