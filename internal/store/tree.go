package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
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
	headLength    = 64 // with the checksum of all before it at its end
	idSize        = 8
)

var errHead = errors.New("one of its two heads is not what it should be")

// tree is a walk through the pages of a file.
type tree struct {
	file     io.ReaderAt
	pageSize uint64
	pages    uint64 // that the file has
	seen     map[uint64]bool
}

// checkTree returns the numbers of the pages that db uses, or an error if they are not
// a tree, or if one of them is listed as free: it would be overwritten.
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
	h, err := t.newestHead()
	if err != nil {
		return nil, err
	}
	t.pages = min(t.pages, h.end) // what is behind was never used
	if err := t.page(h.root, span{}); err != nil {
		return nil, err
	}
	return t.seen, t.free(h)
}

// head says where the rest of the file is, as of a commit.
type head struct{ root, free, end, commit uint64 }

// newestHead reads the two heads, those of the last commit and of the one before. If one
// of them is damaged, the database would use the other one, and counters would fall.
// A crash is not the reason: a head is smaller than what any disk writes as a whole.
func (t *tree) newestHead() (newest head, err error) {
	for id := range uint64(2) {
		page, err := t.read(id, t.pageSize)
		if err != nil {
			return newest, err
		}
		b := page[pageHeader:][:headLength]
		sum := fnv.New64a()
		_, _ = sum.Write(b[:headLength-8]) // which never fails
		field := func(i int) uint64 { return binary.NativeEndian.Uint64(b[i:]) }
		h := head{root: field(16), free: field(32), end: field(40), commit: field(48)}
		if field(headLength-8) != sum.Sum64() || h.commit%2 != id {
			return newest, errHead
		}
		if h.commit >= newest.commit {
			newest = h
		}
	}
	return newest, nil
}

// free checks the list of free pages.
func (t *tree) free(h head) error {
	page, err := t.claim(h.free)
	if err != nil {
		return err
	}
	count, ids := uint64(binary.NativeEndian.Uint16(page[10:])), page[pageHeader:]
	if count == 0xffff { // more than fit there
		count, ids = binary.NativeEndian.Uint64(ids), ids[idSize:]
	}
	if count > uint64(len(ids))/idSize {
		return errors.New("the list of free pages is longer than its page")
	}
	free := map[uint64]bool{}
	for i := range count {
		id := binary.NativeEndian.Uint64(ids[i*idSize:])
		if id < 2 || id >= t.pages || t.seen[id] || free[id] {
			return fmt.Errorf("page %d cannot be free", id)
		}
		free[id] = true
	}
	return nil
}

// span is where the keys of a page must lie: they begin with the first and stay before
// the end; nil is no bound.
type span struct{ first, end []byte }

// page checks the page with this number and all below it.
func (t *tree) page(id uint64, keys span) error {
	page, err := t.claim(id)
	if err != nil {
		return err
	}
	return t.elements(id, page, keys)
}

// claim reads a page that nothing else may use, with the pages that go on with it.
func (t *tree) claim(id uint64) ([]byte, error) {
	if id < 2 || id >= t.pages || t.seen[id] {
		return nil, fmt.Errorf("page %d is used twice or is not there", id)
	}
	page, err := t.read(id, t.pageSize)
	if err != nil {
		return nil, err
	}
	more := uint64(binary.NativeEndian.Uint32(page[12:]))
	if id+more >= t.pages || binary.NativeEndian.Uint64(page) != id {
		return nil, fmt.Errorf("page %d is not what it should be", id)
	}
	for used := id; used <= id+more; used++ {
		if t.seen[used] {
			return nil, fmt.Errorf("page %d is used twice or is not there", used)
		}
		t.seen[used] = true
	}
	if more > 0 {
		return t.read(id, (1+more)*t.pageSize)
	}
	return page, nil
}

func (t *tree) read(id, size uint64) ([]byte, error) {
	page := make([]byte, size)
	_, err := t.file.ReadAt(page, int64(id*t.pageSize))
	return page, err
}

// elements checks that what a page lists lies in the page and is in order, and follows it.
func (t *tree) elements(id uint64, page []byte, keys span) error {
	if len(page) < pageHeader {
		return fmt.Errorf("page %d is too short", id)
	}
	kind, count := binary.NativeEndian.Uint16(page[8:]), uint64(binary.NativeEndian.Uint16(page[10:]))
	if kind != leafPage && (kind != branchPage || count == 0) || pageHeader+count*elementSize > uint64(len(page)) {
		return fmt.Errorf("page %d is not what it should be", id)
	}
	list := make([]element, count)
	for i := range list {
		var ok bool
		if list[i], ok = readElement(kind, page, pageHeader+uint64(i)*elementSize); !ok {
			return fmt.Errorf("page %d has a row outside of it", id)
		}
		key := list[i].key
		if i > 0 && bytes.Compare(list[i-1].key, key) >= 0 {
			return fmt.Errorf("page %d is not in order", id)
		}
		if i == 0 && keys.first != nil && !bytes.Equal(key, keys.first) || keys.end != nil && bytes.Compare(key, keys.end) >= 0 {
			return fmt.Errorf("page %d has a key that belongs elsewhere", id)
		}
	}
	for i, e := range list {
		below := span{e.key, keys.end}
		if i+1 < len(list) {
			below.end = list[i+1].key
		}
		if err := t.follow(id, kind, e, below); err != nil {
			return err
		}
	}
	return nil
}

// element is a child of a branch, or a row or a table of a leaf.
type element struct {
	key   []byte
	child uint64 // of a branch
	table []byte // the header of a table, or nil
}

// readElement reads the element that begins at a place of the page; ok is false if it
// does not lie in the page.
func readElement(kind uint16, page []byte, at uint64) (e element, ok bool) {
	field := func(i uint64) uint64 { return uint64(binary.NativeEndian.Uint32(page[at+4*i:])) }
	if kind == branchPage {
		key, end := at+field(0), at+field(0)+field(1)
		if end > uint64(len(page)) {
			return e, false
		}
		return element{key: page[key:end], child: binary.NativeEndian.Uint64(page[at+8:])}, true
	}
	flags, key := field(0), at+field(1)
	value := key + field(2)
	end := value + field(3)
	if end > uint64(len(page)) {
		return e, false
	}
	e.key = page[key:value]
	if flags&bucketElement != 0 {
		e.table = page[value:end:end]
	}
	return e, true
}

// follow checks what an element of page id leads to.
func (t *tree) follow(id uint64, kind uint16, e element, keys span) error {
	switch {
	case kind == branchPage:
		return t.page(e.child, keys)
	case e.table == nil:
		return nil
	case len(e.table) < bucketHeader:
		return fmt.Errorf("page %d has a table without a page", id)
	}
	if root := binary.NativeEndian.Uint64(e.table); root != 0 {
		return t.page(root, span{})
	}
	return t.elements(id, e.table[bucketHeader:], span{})
}
