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
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"go.etcd.io/bbolt"
	bberrors "go.etcd.io/bbolt/errors"
)

// Format is the version of the file's layout, and of that of its rows. A newer one is
// refused, an older one converted when it is opened.
const Format = 2

const (
	fileName = "state.db"
	// lockTimeout is how long Open waits for another process to let go.
	lockTimeout = time.Second
)

var (
	metaBucket       = []byte("meta")
	partitionsBucket = []byte("books") // the name that every store has
	formatKey        = []byte("format")
	namesKey         = []byte("names")
	digestKey        = []byte("digest")
	sealKey          = []byte("seal")
	ownKeyKey        = []byte("seal_key")
	rewriteKey       = []byte("rewrite") // true: pages that are free hold what must go
)

// Embedded is a store in a file. Only one process can have it open.
type Embedded struct {
	db    *bbolt.DB
	path  string
	seals []*seal // rows are put under the first, and may be under any
	// convert makes a row of the present format of one of format 1.
	convert func(table string, key, value []byte) (k, v []byte, err error)
	logger  log.Logger
	joiner  joiner
}

// Open opens the store in the directory dir, which it makes if it is not there.
// It never starts from nothing in place of a file that it cannot read.
func Open(dir string, options ...Option) (*Embedded, error) {
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
	s := &Embedded{db: db, path: path, logger: log.NewNopLogger()}
	for _, o := range options {
		o(s)
	}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

// prepare makes a file that was opened ready for use.
func (s *Embedded) prepare() error {
	if err := s.check(); err != nil {
		return err
	}
	s.removeLeftovers()
	own, err := s.ownKey()
	if err != nil {
		return err
	}
	// Rows that were written before a key was given are under the store's own seal.
	s.seals = append(s.seals, newSeal(own))
	changed, err := s.update()
	if err != nil {
		return err
	}
	if changed {
		level.Info(s.logger).Log("msg", "the store was converted: its format or its key has changed; earlier releases cannot open it any more", "path", s.path)
	}
	s.rewrite()
	return nil
}

// create makes an empty store under another name and renames it, so that a crash
// leaves either none or a whole one: an empty file is always damage.
func create(path string) error {
	temporary, err := emptyFile(path, ".new")
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
		partitions, err := tx.CreateBucket(partitionsBucket)
		if err != nil {
			return err
		}
		names, err := namesDigest(partitions)
		own, errKey := newOwnKey()
		return errors.Join(err, errKey, meta.Put(namesKey, names), meta.Put(ownKeyKey, own), meta.Put(formatKey, binary.AppendUvarint(nil, Format)))
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
func emptyFile(path, suffix string) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+suffix)
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
		// While it waited for the lock, another process may have put a new file there.
		if now, err := os.Stat(path); err == nil && os.SameFile(info, now) {
			return db, nil
		}
		return nil, errors.Join(fmt.Errorf("store %s: another process has just replaced it; start again", path), db.Close())
	case errors.Is(err, ErrDamaged):
		return nil, err
	case errors.Is(err, bberrors.ErrTimeout):
		return nil, fmt.Errorf("store %s: another process has it open; stop that one, or give each its own storage.path", path)
	case errors.As(err, &refused): // by the system, which says nothing about the content
		return nil, fmt.Errorf("store %s: cannot be opened for writing; it must be a file that belongs to the exporter's user: %w", path, err)
	}
	return nil, damaged(path, err.Error())
}

// check refuses a damaged file, one of a newer format, and one that has lost a partition.
func (s *Embedded) check() error {
	return guard(s.path, func() error {
		if _, err := checkTree(s.db); err != nil {
			return damaged(s.path, err.Error())
		}
		return s.db.View(func(tx *bbolt.Tx) error {
			meta, partitions := tx.Bucket(metaBucket), tx.Bucket(partitionsBucket)
			if meta == nil || partitions == nil {
				return damaged(s.path, "its first tables are missing")
			}
			version, n := binary.Uvarint(meta.Get(formatKey))
			if n <= 0 || version == 0 {
				return damaged(s.path, "it has no format version")
			}
			if version > Format {
				return fmt.Errorf("store %s: it has format %d, written by a newer version of the exporter; this one knows formats up to %d: use the newer version, or another storage.path", s.path, version, Format)
			}
			names, err := namesDigest(partitions)
			if err == nil && !bytes.Equal(names, meta.Get(namesKey)) {
				err = damaged(s.path, "its list of partitions does not match the list's digest")
			}
			return err
		})
	})
}

// namesDigest hashes the names of all partitions: one that is lost must not pass for one
// that never was.
func namesDigest(partitions *bbolt.Bucket) ([]byte, error) {
	var names Row
	err := partitions.ForEachBucket(func(name []byte) error {
		names.Bytes(name)
		return nil
	})
	return binary.BigEndian.AppendUint64(nil, xxhash.Sum64(names)), err
}

// Close releases the store.
func (s *Embedded) Close() error { return s.db.Close() }

// Partition implements Store.
func (s *Embedded) Partition(project, source string, _ *Lease) Partition {
	return s.partitionOf([]byte(project + "\x00" + source))
}

func (s *Embedded) partitionOf(name []byte) *embeddedPartition {
	return &embeddedPartition{store: s, name: name, title: strings.ReplaceAll(string(name), "\x00", "/")}
}

// embeddedPartition holds the rows of a partition in tables.
type embeddedPartition struct {
	store *Embedded
	name  []byte
	title string
}

// Load implements Partition.
func (b *embeddedPartition) Load(row func(table string, key, value []byte) error) error {
	return b.guard(func() error {
		return b.store.db.View(func(tx *bbolt.Tx) error {
			partition := tx.Bucket(partitionsBucket).Bucket(b.name)
			if partition == nil {
				return nil
			}
			s := b.store.sealOf(partition)
			if s == nil && partition.Get(digestKey) != nil {
				return cmp.Or(verify(partition), errOtherKey)
			}
			digest := sealDigest(partition)
			err := eachRow(partition, func(table string, key, value []byte) error {
				digest ^= rowDigest(table, key, value)
				key, value, err := s.reveal(table, key, value)
				if err != nil {
					return fmt.Errorf("table %s: %w", table, err)
				}
				if err := row(table, key, value); err != nil {
					return fmt.Errorf("table %s: %w", table, err)
				}
				return nil
			})
			if err != nil {
				return err
			}
			return compareDigest(partition, digest)
		})
	})
}

// LoadTable implements Partition.
func (b *embeddedPartition) LoadTable(table string, row func(key, value []byte) error) error {
	return b.guard(func() error {
		return b.store.db.View(func(tx *bbolt.Tx) error {
			partition := tx.Bucket(partitionsBucket).Bucket(b.name)
			if partition == nil || partition.Bucket([]byte(table)) == nil {
				return nil
			}
			s := b.store.sealOf(partition)
			if s == nil {
				return errOtherKey
			}
			return partition.Bucket([]byte(table)).ForEach(func(key, value []byte) error {
				key, value, err := s.reveal(table, key, value)
				if err != nil {
					return fmt.Errorf("table %s: %w", table, err)
				}
				return row(key, value)
			})
		})
	})
}

// verify checks the rows of a partition as they are on disk.
func verify(partition *bbolt.Bucket) error {
	digest := sealDigest(partition)
	err := eachRow(partition, func(table string, key, value []byte) error {
		digest ^= rowDigest(table, key, value)
		return nil
	})
	if err != nil {
		return err
	}
	return compareDigest(partition, digest)
}

func compareDigest(partition *bbolt.Bucket, digest uint64) error {
	if stored := partition.Get(digestKey); len(stored) != 8 || binary.BigEndian.Uint64(stored) != digest {
		return errors.New("the rows do not match their digest")
	}
	return nil
}

// sealDigest is the part that the mark of the seal has in the digest of a partition.
func sealDigest(partition *bbolt.Bucket) uint64 {
	mark := partition.Get(sealKey)
	if mark == nil {
		return 0
	}
	return rowDigest("", sealKey, mark)
}

// guard says of an error in which partition it is, and that the store is damaged unless it
// is only refused.
func (b *embeddedPartition) guard(f func() error) error {
	return guard(b.store.path, func() error {
		err := f()
		if err == nil || errors.Is(err, ErrDamaged) {
			return err
		}
		if errors.Is(err, ErrRefused) || errors.Is(err, errWrite) {
			return fmt.Errorf("store %s, %s: %w", b.store.path, b.title, err)
		}
		return damaged(b.store.path, b.title+", "+err.Error())
	})
}

// eachRow calls f for the rows of a partition, those of Head first.
func eachRow(partition *bbolt.Bucket, f func(table string, key, value []byte) error) error {
	rowsOf := func(table string) error {
		return partition.Bucket([]byte(table)).ForEach(func(key, value []byte) error { return f(table, key, value) })
	}
	if partition.Bucket([]byte(Head)) != nil {
		if err := rowsOf(Head); err != nil {
			return err
		}
	}
	return partition.ForEachBucket(func(table []byte) error {
		if string(table) == Head {
			return nil
		}
		return rowsOf(string(table))
	})
}

// Commit implements Partition. Changes of several partitions share a transaction if they wait
// for the disk at the same time.
func (b *embeddedPartition) Commit(changes *Changes) error { return b.store.joiner.commit(b, changes) }

func (b *embeddedPartition) commitAlone(changes *Changes) error {
	return b.guard(func() error {
		return b.update(func(tx *bbolt.Tx, partition *bbolt.Bucket) error { return b.store.apply(tx, partition, changes) })
	})
}

// errWrite is wrapped by what a commit fails with.
var errWrite = errors.New("nothing was written")

// update changes the partition in a transaction.
func (b *embeddedPartition) update(f func(tx *bbolt.Tx, partition *bbolt.Bucket) error) error {
	err := b.store.db.Update(func(tx *bbolt.Tx) error {
		partition, err := b.bucket(tx)
		if err != nil {
			return err
		}
		return f(tx, partition)
	})
	if err != nil {
		return fmt.Errorf("%w: %w%s", errWrite, err, advice(err))
	}
	return nil
}

// apply makes the changes.
func (s *Embedded) apply(tx *bbolt.Tx, partition *bbolt.Bucket, changes *Changes) error {
	stored := partition.Get(digestKey)
	if stored == nil || changes.clear {
		if err := errors.Join(clearTables(partition), partition.Put(sealKey, s.seals[0].check())); err != nil {
			return err
		}
		stored = binary.BigEndian.AppendUint64(nil, sealDigest(partition))
	}
	digest := binary.BigEndian.Uint64(stored)
	var table *bbolt.Bucket
	name := ""
	for _, i := range changes.inOrder() { // else the database moves half of a table's new rows for each of them
		c := &changes.list[i]
		var err error
		if table == nil || c.table != name {
			name = c.table
			if table, err = partition.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		if digest, err = s.applyOne(table, c, digest); err != nil {
			return err
		}
	}
	return errors.Join(partition.Put(digestKey, binary.BigEndian.AppendUint64(nil, digest)), mark(tx, changes.clear || changes.Scrub))
}

func clearTables(partition *bbolt.Bucket) error {
	var tables [][]byte
	err := partition.ForEachBucket(func(table []byte) error {
		tables = append(tables, bytes.Clone(table))
		return nil
	})
	for _, table := range tables {
		err = errors.Join(err, partition.DeleteBucket(table))
	}
	return err
}

func putIfNew(b *bbolt.Bucket, key, value []byte) error {
	if bytes.Equal(b.Get(key), value) {
		return nil
	}
	return b.Put(key, value)
}

// mark says of the file what a commit has made of it: it is of this format now, and
// if what was there is to go for good, it is to be rewritten.
func mark(tx *bbolt.Tx, rewrite bool) error {
	meta := tx.Bucket(metaBucket)
	err := putIfNew(meta, formatKey, binary.AppendUvarint(nil, Format))
	if rewrite {
		err = errors.Join(err, meta.Put(rewriteKey, []byte{1}))
	}
	return err
}

// advice says what to do about a commit that failed. The database passes some causes on
// as text alone.
func advice(err error) string {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if strings.Contains(err.Error(), full.Error()) {
			return "; make room there"
		}
	}
	return ""
}

// bucket finds the partition in the store, and makes it if it is not there.
func (b *embeddedPartition) bucket(tx *bbolt.Tx) (*bbolt.Bucket, error) {
	partitions := tx.Bucket(partitionsBucket)
	if partition := partitions.Bucket(b.name); partition != nil {
		return partition, nil
	}
	partition, err := partitions.CreateBucket(b.name)
	if err != nil {
		return nil, err
	}
	names, err := namesDigest(partitions)
	return partition, errors.Join(err, tx.Bucket(metaBucket).Put(namesKey, names))
}

// applyOne makes a change of a table, and returns the digest as it is then.
func (s *Embedded) applyOne(table *bbolt.Bucket, c *change, digest uint64) (_ uint64, err error) {
	key, value := c.key, c.value
	if c.deletes {
		key, err = s.seals[0].hideKey(c.table, key)
	} else {
		key, value, err = s.seals[0].hide(c.table, key, value)
	}
	if err != nil {
		return 0, fmt.Errorf("table %s: %w", c.table, err)
	}
	if old := table.Get(key); old != nil {
		digest ^= rowDigest(c.table, key, old)
	}
	if c.deletes {
		return digest, table.Delete(key)
	}
	return digest ^ rowDigest(c.table, key, value), table.Put(key, value)
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

func damaged(path, why string) error {
	return fmt.Errorf("store %s: %w (%s); restore it from a backup, or move it away to count from 0", path, ErrDamaged, why)
}
