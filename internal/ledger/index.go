package ledger

import (
	"hash/maphash"
	"iter"
	"math/bits"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// index finds records by an identity in their slots: a hash table of refs, which takes a few
// bytes a record where a map would take 36. Nearly always one record has an identity; of more
// than maxTwins, which only a malicious API would write, it knows those.
type index struct {
	slots *slots
	key   func(*slot) record.Identity
	seed  maphash.Seed
	// table holds refs in their lower bits, and as much of the hash of their identities as
	// there is room for above: other records need not be looked at. 0 is nothing. What does
	// not fit where its hash points to stands behind it, without a gap.
	table   []uint32
	refBits int
	n       int
}

const maxTwins = 64

func newIndex(s *slots, key func(*slot) record.Identity) *index {
	return &index{slots: s, key: key, seed: maphash.MakeSeed(), table: make([]uint32, 16), refBits: 8}
}

// locate returns where an identity would stand, and what marks it.
func (x *index) locate(id record.Identity) (at int, mark uint32) {
	hash := maphash.Bytes(x.seed, id[:])
	hi, lo := bits.Mul64(hash, uint64(len(x.table)))
	return int(hi), uint32(lo>>32) >> x.refBits << x.refBits
}

func (x *index) refIn(at int) ref { return ref(x.table[at] & (1<<x.refBits - 1)) }

func (x *index) after(at int) int {
	if at++; at < len(x.table) {
		return at
	}
	return 0
}

// all are the records with an identity, and where they stand.
func (x *index) all(id record.Identity) iter.Seq2[int, ref] {
	return func(yield func(int, ref) bool) {
		at, mark := x.locate(id)
		for ; x.table[at] != 0; at = x.after(at) {
			r := x.refIn(at)
			if x.table[at]^uint32(r) == mark && x.key(x.slots.at(r)) == id && !yield(at, r) {
				return
			}
		}
	}
}

// find returns a record with an identity; 0 if there is none.
func (x *index) find(id record.Identity) ref {
	for _, r := range x.all(id) {
		return r
	}
	return 0
}

// add takes in a record, by the identity in its slot.
func (x *index) add(r ref) {
	if (x.n+1)*8 > len(x.table)*7 || r>>x.refBits != 0 {
		x.grow()
		return
	}
	x.put(r)
}

func (x *index) put(r ref) {
	id := x.key(x.slots.at(r))
	twins := 0
	for range x.all(id) {
		if twins++; twins == maxTwins {
			return
		}
	}
	at, mark := x.locate(id)
	for x.table[at] != 0 {
		at = x.after(at)
	}
	x.table[at] = mark | uint32(r)
	x.n++
}

// grow makes the table larger by a half, and takes in every record that has a slot.
func (x *index) grow() {
	x.table, x.n = make([]uint32, len(x.table)*3/2), 0
	x.refBits = bits.Len32(uint32(x.slots.used)) + 1
	for r := ref(1); r <= x.slots.used; r++ {
		if x.slots.at(r).id != (record.Identity{}) {
			x.put(r)
		}
	}
}

// remove takes a record out, if it is there, and closes the gap.
func (x *index) remove(r ref) {
	at := -1
	for i, found := range x.all(x.key(x.slots.at(r))) {
		if found == r {
			at = i
			break
		}
	}
	if at < 0 {
		return
	}
	x.n--
	for next := x.after(at); x.table[next] != 0; next = x.after(next) {
		home, _ := x.locate(x.key(x.slots.at(x.refIn(next))))
		if distance(home, next, len(x.table)) >= distance(at, next, len(x.table)) {
			x.table[at], at = x.table[next], next
		}
	}
	x.table[at] = 0
}

// distance is how far apart two places of a table are, of which the second is behind the first.
func distance(from, to, size int) int {
	if to < from {
		to += size
	}
	return to - from
}
