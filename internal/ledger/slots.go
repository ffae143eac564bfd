package ledger

import (
	"math"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// ref is where a record is remembered; 0 is nowhere.
type ref uint32

// slot is what is remembered of a record, in 76 bytes and without a pointer, so that it costs
// the garbage collector nothing. Of a record that is unfinished, or has what does not fit,
// only the identities, the batch and next are here, and all is in an entry.
type slot struct {
	id, invariant record.Identity // no id: the slot is free
	user, machine uint32
	second        uint32   // of keep
	milli         uint16   // of keep
	is            uint16   // flags
	times         [5]int32 // in milliseconds from keep; see unknownTime
	batch         uint32   // number of the last batch that held the record
	next          ref      // of those that are filed under one second, or are free
}

// unknownTime stands for a time that is not known.
const unknownTime = math.MinInt32

func (e *entry) times() [5]*int64 {
	return [...]*int64{&e.preConnect, &e.start, &e.setup, &e.end, &e.updated}
}

// pack writes an entry into the slot, and reports whether all of it fits. When a record was
// first seen matters only while it is pending.
func (s *slot) pack(e *entry) bool {
	s.id, s.invariant, s.batch = e.id, e.invariant, e.batch
	if e.isUnfinished() || e.has(givenUp) || e.invalid != "" || e.forms != "" || e.is > math.MaxUint16 ||
		e.keep < 0 || e.keep/1000 > math.MaxUint32 {
		return false
	}
	for i, t := range e.times() {
		d := *t - e.keep
		switch {
		case *t == 0:
			d = unknownTime
		case d <= unknownTime || d > math.MaxInt32:
			return false
		}
		s.times[i] = int32(d)
	}
	s.second, s.milli, s.is = uint32(e.keep/1000), uint16(e.keep%1000), uint16(e.is)
	s.user, s.machine = e.user, e.machine
	return true
}

// unpack makes e what pack was called with.
func (s *slot) unpack(e *entry) {
	*e = entry{id: s.id, invariant: s.invariant, user: s.user, machine: s.machine, batch: s.batch, is: flags(s.is)}
	e.keep = int64(s.second)*1000 + int64(s.milli)
	for i, t := range e.times() {
		if s.times[i] != unknownTime {
			*t = e.keep + int64(s.times[i])
		}
	}
}

// slots are the slots of all records. They never move.
type slots struct {
	chunks []*[slotsPerChunk]slot
	used   ref // the last that was ever used
	free   ref // the first of those that are free again
	n      int // how many records have one
}

// slotsPerChunk makes chunks that fill one of the sizes in which Go allocates.
const slotsPerChunk = 128

func (s *slots) at(r ref) *slot { return &s.chunks[(r-1)/slotsPerChunk][(r-1)%slotsPerChunk] }

// take returns a slot that nothing uses.
func (s *slots) take() ref {
	s.n++
	if r := s.free; r != 0 {
		s.free = s.at(r).next
		*s.at(r) = slot{}
		return r
	}
	if s.used%slotsPerChunk == 0 {
		s.chunks = append(s.chunks, new([slotsPerChunk]slot))
	}
	s.used++
	return s.used
}

func (s *slots) release(r ref) {
	s.n--
	*s.at(r) = slot{next: s.free}
	s.free = r
}
