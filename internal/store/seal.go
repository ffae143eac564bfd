package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/go-kit/log"
	"go.etcd.io/bbolt"
)

// personal are the tables whose rows stand for persons, or for records that a person can
// be told from, and where their keys hold 16 bytes that do. Their values begin with more
// of these: see Row.Blocks. On disk all of them are under the store's seal; what is in
// other tables is in the clear.
var personal = map[string]int{"ledger": 8, "people": 8, "failed_users": 0, "failed_sessions": 0, "stages": 0}

// seal hides hashes, which somebody could find again by hashing every address or every
// name of a company. Equal values stay equal under a seal. Who has its key can take it
// off, so that one seal can be replaced by another.
type seal struct{ block cipher.Block }

// newSeal returns the seal of a key, which may have any length.
func newSeal(key []byte) *seal {
	sum := sha256.Sum256(append([]byte("workspace_exporter store seal\x00"), key...))
	block, err := aes.NewCipher(sum[:])
	if err != nil {
		panic(err) // only for a sum of the wrong length
	}
	return &seal{block}
}

// hide returns a row as it is on disk, reveal as it is in memory.
func (s *seal) hide(table string, key, value []byte) (k, v []byte, err error) {
	return cross(s.block.Encrypt, table, key, value)
}

func (s *seal) reveal(table string, key, value []byte) (k, v []byte, err error) {
	return cross(s.block.Decrypt, table, key, value)
}

func (s *seal) hideKey(table string, key []byte) ([]byte, error) {
	k, _, err := s.hide(table, key, []byte{0})
	return k, err
}

// cross takes the hidden parts of a row from one side of a seal to the other.
func cross(block func(dst, src []byte), table string, key, value []byte) (k, v []byte, err error) {
	at, ok := personal[table]
	if !ok {
		return key, value, nil
	}
	n, size := binary.Uvarint(value)
	if len(key) < at+blockSize || size <= 0 || n > uint64(len(value)-size)/blockSize {
		return nil, nil, errRow
	}
	k, v = bytes.Clone(key), bytes.Clone(value)
	block(k[at:], k[at:at+blockSize])
	for i := range int(n) {
		b := v[size+i*blockSize:][:blockSize]
		block(b, b)
	}
	return k, v, nil
}

// check is what stands in a partition to tell under which seal its rows are.
func (s *seal) check() []byte {
	sum := sha256.Sum256([]byte("which seal"))
	s.block.Encrypt(sum[:blockSize], sum[:blockSize])
	return sum[:blockSize]
}

// Option changes how a store is opened.
type Option func(*Embedded)

// SealedBy gives the key of the seal, which is kept elsewhere. Without it the store
// seals with a random key of its own, which is in the same file.
func SealedBy(key []byte) Option {
	return func(s *Embedded) { s.seals = append(s.seals, newSeal(key)) }
}

// Converting gives what makes of a row of format 1 one of the present format. Without it
// a store of format 1 is refused.
func Converting(row func(table string, key, value []byte) (k, v []byte, err error)) Option {
	return func(s *Embedded) { s.convert = row }
}

// LogTo sets the logger of what happens to the store.
func LogTo(logger log.Logger) Option { return func(s *Embedded) { s.logger = logger } }

// ownKeySize is the size of the random key of a store, in bytes. A checksum follows it.
const ownKeySize = 32

func newOwnKey() ([]byte, error) {
	key := make([]byte, ownKeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("no random key: %w", err)
	}
	return binary.BigEndian.AppendUint64(key, xxhash.Sum64(key)), nil
}

// ownKey is the random key of the store. A file of format 1 gets its key here.
func (s *Embedded) ownKey() (own []byte, err error) {
	formatOne := false
	err = s.db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		own = bytes.Clone(meta.Get(ownKeyKey))
		formatOne = bytes.Equal(meta.Get(formatKey), []byte{1})
		return nil
	})
	if err == nil && own == nil && formatOne {
		if own, err = newOwnKey(); err != nil {
			return nil, err
		}
		err = s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(ownKeyKey, own) })
	}
	if err != nil {
		return nil, fmt.Errorf("store %s: %w%s", s.path, err, advice(err))
	}
	if !wholeKey(own) {
		return nil, damaged(s.path, "the key of its pseudonyms is not whole")
	}
	return own[:ownKeySize], nil
}

// sealOf is the seal that the rows of a partition are under; nil if it is not among the
// store's seals, or if they are under none, as in format 1.
func (s *Embedded) sealOf(partition *bbolt.Bucket) *seal {
	for _, known := range s.seals {
		if bytes.Equal(partition.Get(sealKey), known.check()) {
			return known
		}
	}
	return nil
}

// errOtherKey is what a partition is refused with that is under none of the store's seals.
var errOtherKey = fmt.Errorf("%w: its pseudonyms were made with another key (storage.pseudonym_key or its file), without which it is not known what is counted: give that key again, or another storage.path or storage.postgres.schema to start counting anew", ErrRefused)
