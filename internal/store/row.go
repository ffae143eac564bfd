package store

import (
	"encoding/binary"
	"errors"
)

// Row writes the fields of a row one after the other. A Reader must ask for them
// in the same order.
type Row []byte

// Uint appends an unsigned number.
func (r *Row) Uint(v uint64) { *r = binary.AppendUvarint(*r, v) }

// Int appends a signed number.
func (r *Row) Int(v int64) { *r = binary.AppendVarint(*r, v) }

// Bool appends a truth.
func (r *Row) Bool(v bool) {
	if v {
		*r = append(*r, 1)
		return
	}
	*r = append(*r, 0)
}

// Bytes appends bytes with their length.
func (r *Row) Bytes(v []byte) {
	r.Uint(uint64(len(v)))
	*r = append(*r, v...)
}

// String appends text with its length.
func (r *Row) String(v string) {
	r.Uint(uint64(len(v)))
	*r = append(*r, v...)
}

// blockSize is the size of what stands for a person or a record, in bytes.
const blockSize = 16

// Blocks appends what stands for persons or records. A row of a table of persons begins
// with these, as many as it has: the store hides them.
func (r *Row) Blocks(values ...[blockSize]byte) {
	r.Uint(uint64(len(values)))
	for _, v := range values {
		*r = append(*r, v[:]...)
	}
}

var errRow = errors.New("a row ends too early or has bytes left over")

// Reader reads the fields of a Row. After a field that is not there it returns
// zero values, and Err says so.
type Reader struct {
	rest   []byte
	failed bool
}

// ReadRow begins to read b.
func ReadRow(b []byte) *Reader { return &Reader{rest: b} }

// Uint reads an unsigned number.
func (r *Reader) Uint() uint64 {
	v, n := binary.Uvarint(r.rest)
	r.skip(n)
	return v
}

// Int reads a signed number.
func (r *Reader) Int() int64 {
	v, n := binary.Varint(r.rest)
	r.skip(n)
	return v
}

// Bool reads a truth.
func (r *Reader) Bool() bool { return r.Uint() == 1 }

// Bytes reads bytes; they are valid as long as the row is.
func (r *Reader) Bytes() []byte { return r.take(r.Uint()) }

// String reads text.
func (r *Reader) String() string { return string(r.Bytes()) }

// Blocks reads what Row.Blocks has written.
func (r *Reader) Blocks() [][blockSize]byte {
	n := r.Uint()
	b := r.take(n * blockSize)
	if n > uint64(len(b)) {
		r.failed = true
		return nil
	}
	values := make([][blockSize]byte, n)
	for i := range values {
		values[i] = [blockSize]byte(b[i*blockSize:])
	}
	return values
}

// End reports whether everything was read, or reading has failed.
func (r *Reader) End() bool { return len(r.rest) == 0 }

// Err is not nil if a field was not there, or if any byte is left over.
func (r *Reader) Err() error {
	if r.failed || len(r.rest) > 0 {
		return errRow
	}
	return nil
}

func (r *Reader) skip(n int) {
	if n <= 0 {
		r.failed, r.rest = true, nil
		return
	}
	r.rest = r.rest[n:]
}

func (r *Reader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}
