package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// The database follows its pages without question: where damage makes a page lead to
// itself, it would read on until the memory is full. So the tree is walked once
// before it is trusted. The layout of a page is that of bbolt's format 2, in the
// byte order of the processor.
const (
	pageHeader    = 16 // id, flags, count, overflow
	elementSize   = 16 // of a branch: offset, key length, page; of a leaf: flags, offset, key length, value length
	branchPage    = 1
	leafPage      = 2
	bucketElement = 1
	bucketHeader  = 16 // root page, or 0 if the one page of the bucket follows; sequence
)

// tree is a walk through the pages of a file.
type tree struct {
	file     io.ReaderAt
	pageSize uint64
	pages    uint64 // that the file has
	seen     map[uint64]bool
}

// checkTree returns the numbers of the pages that db uses, or an error if they are not
// a tree.
func checkTree(db *bbolt.DB) (map[uint64]bool, error) {
	file, err := os.Open(db.Path())
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	size := uint64(db.Info().PageSize)
	t := &tree{file: file, pageSize: size, pages: uint64(info.Size()) / size, seen: map[uint64]bool{}}
	err = db.View(func(tx *bbolt.Tx) error {
		return t.page(uint64(tx.Cursor().Bucket().RootPage()))
	})
	return t.seen, err
}

// page checks the page with this number and all below it.
func (t *tree) page(id uint64) error {
	if id < 2 || id >= t.pages || t.seen[id] {
		return fmt.Errorf("page %d is used twice or is not there", id)
	}
	t.seen[id] = true
	page, err := t.read(id, t.pageSize)
	if err != nil {
		return err
	}
	overflow := uint64(binary.NativeEndian.Uint32(page[12:]))
	if id+overflow >= t.pages || binary.NativeEndian.Uint64(page) != id {
		return fmt.Errorf("page %d is not what it should be", id)
	}
	if overflow > 0 {
		if page, err = t.read(id, (1+overflow)*t.pageSize); err != nil {
			return err
		}
	}
	return t.elements(id, page)
}

func (t *tree) read(id, size uint64) ([]byte, error) {
	page := make([]byte, size)
	_, err := t.file.ReadAt(page, int64(id*t.pageSize))
	return page, err
}

// elements checks that what a page lists lies in the page, and follows it.
func (t *tree) elements(id uint64, page []byte) error {
	if len(page) < pageHeader {
		return fmt.Errorf("page %d is too short", id)
	}
	kind, count := binary.NativeEndian.Uint16(page[8:]), uint64(binary.NativeEndian.Uint16(page[10:]))
	if kind != leafPage && (kind != branchPage || count == 0) || pageHeader+count*elementSize > uint64(len(page)) {
		return fmt.Errorf("page %d is not what it should be", id)
	}
	var before []byte
	for i := range count {
		key, err := t.element(id, kind, page, pageHeader+i*elementSize)
		if err != nil {
			return err
		}
		if i > 0 && bytes.Compare(before, key) >= 0 {
			return fmt.Errorf("page %d is not in order", id)
		}
		before = key
	}
	return nil
}

// element checks the element that begins at a place of the page, and returns its key.
func (t *tree) element(id uint64, kind uint16, page []byte, at uint64) ([]byte, error) {
	field := func(i uint64) uint64 { return uint64(binary.NativeEndian.Uint32(page[at+4*i:])) }
	if kind == branchPage {
		key, end := at+field(0), at+field(0)+field(1)
		if end > uint64(len(page)) {
			return nil, fmt.Errorf("page %d has a key outside of it", id)
		}
		return page[key:end], t.page(binary.NativeEndian.Uint64(page[at+8:]))
	}
	flags, key := field(0), at+field(1)
	value := key + field(2)
	end := value + field(3)
	if end > uint64(len(page)) {
		return nil, fmt.Errorf("page %d has a row outside of it", id)
	}
	if flags&bucketElement != 0 {
		return page[key:value], t.bucket(id, page[value:end])
	}
	return page[key:value], nil
}

// bucket checks a table, or a table of tables, that page id lists.
func (t *tree) bucket(id uint64, header []byte) error {
	if len(header) < bucketHeader {
		return fmt.Errorf("page %d has a table without a page", id)
	}
	if root := binary.NativeEndian.Uint64(header); root != 0 {
		return t.page(root)
	}
	return t.elements(id, header[bucketHeader:])
}
