package store

import (
	"bytes"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRow(t *testing.T) {
	var row Row
	for _, v := range []uint64{0, 1, 127, 128, math.MaxUint64} {
		row.Uint(v)
	}
	for _, v := range []int64{0, -1, 63, -64, math.MinInt64, math.MaxInt64} {
		row.Int(v)
	}
	row.Bytes(nil)
	row.Bytes([]byte{0, 255})
	row.String("")
	row.String("中文\x00")

	r := ReadRow(row)
	for _, v := range []uint64{0, 1, 127, 128, math.MaxUint64} {
		assert.Equal(t, v, r.Uint())
	}
	for _, v := range []int64{0, -1, 63, -64, math.MinInt64, math.MaxInt64} {
		assert.Equal(t, v, r.Int())
	}
	assert.Empty(t, r.Bytes())
	assert.Equal(t, []byte{0, 255}, r.Bytes())
	assert.Empty(t, r.String())
	assert.Equal(t, "中文\x00", r.String())
	require.NoError(t, r.Err())

	assert.Zero(t, r.Uint(), "after the end")
	require.Error(t, r.Err())
}

func TestReaderRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		row  []byte
		read func(*Reader)
	}{
		"left over":             {[]byte{1, 2}, func(r *Reader) { r.Uint() }},
		"nothing read":          {[]byte{1}, func(*Reader) {}},
		"number that ends":      {[]byte{0x80}, func(r *Reader) { r.Uint() }},
		"number too large":      {bytes.Repeat([]byte{0xff}, 11), func(r *Reader) { r.Uint() }},
		"signed number":         {nil, func(r *Reader) { r.Int() }},
		"text that ends":        {[]byte{3, 'a', 'b'}, func(r *Reader) { _ = r.String() }},
		"text longer than int":  {bytes.Repeat([]byte{0xff}, 9), func(r *Reader) { _ = r.String() }},
		"bytes of no length":    {nil, func(r *Reader) { r.Bytes() }},
		"good after bad is bad": {[]byte{3, 'a'}, func(r *Reader) { _ = r.String(); r.Uint() }},
	} {
		r := ReadRow(c.row)
		c.read(r)
		assert.Error(t, r.Err(), name)
	}
}

// What was written is read; and whatever the bytes, a reader neither panics nor takes
// less or more than all of them for a row.
func FuzzRow(f *testing.F) {
	f.Add(uint64(1), int64(-1), false, []byte("a"), "b", []byte{3, 'a'})
	f.Add(uint64(math.MaxUint64), int64(math.MinInt64), true, []byte{}, "\xff", bytes.Repeat([]byte{0xff}, 20))
	f.Fuzz(func(t *testing.T, u uint64, i int64, yes bool, b []byte, s string, garbage []byte) {
		var row Row
		row.Uint(u)
		row.Int(i)
		row.Bool(yes)
		row.Bytes(b)
		row.String(s)

		r := ReadRow(row)
		assert.Equal(t, u, r.Uint())
		assert.Equal(t, i, r.Int())
		assert.Equal(t, yes, r.Bool())
		assert.True(t, bytes.Equal(b, r.Bytes()))
		assert.Equal(t, s, r.String())
		require.NoError(t, r.Err())

		read := func(b []byte) error {
			r := ReadRow(b)
			r.Uint()
			r.Int()
			r.Bool()
			r.Bytes()
			_ = r.String()
			return r.Err()
		}
		require.Error(t, read(append(row, 0)), "a byte more")
		require.Error(t, read(row[:len(row)-1]), "a byte less")
		_ = read(garbage)
	})
}
