package collector

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

var sessionFailures = &Metric{Name: "workspace_session_failures_total", Type: Counter, Labels: []Label{serverGroup, failedCode},
	Help: "Sessions that could not be initialised, each counted once."}

// sessionFailureCounts counts each session once that could not be initialised.
type sessionFailureCounts struct {
	stats    *batchStats
	failures *family

	failed      map[record.Identity]*failedSession
	byInvariant map[record.Identity][]*failedSession
	changed     map[*failedSession]bool
	gone        []record.Identity
	snapshot    uint64 // number of the one that is being read
}

// failedSession is a session that was counted, for as long as a snapshot may hold it.
type failedSession struct {
	id, invariant record.Identity // the second is unknown in rows of format 1
	hasID         bool
	user          uint32 // a hash; 0 if unknown
	began         int64  // Unix seconds; 0 if unknown
	last          int64  // when a snapshot held it last, in Unix milliseconds
	snapshot      uint64 // the last one that held it
}

func newSessionFailures(f *families, _ Options) aggregator {
	return &sessionFailureCounts{stats: batchStatsOf(f), failures: f.of(sessionFailures), failed: map[record.Identity]*failedSession{},
		byInvariant: map[record.Identity][]*failedSession{}, changed: map[*failedSession]bool{}}
}

// read takes a snapshot.
func (s *sessionFailureCounts) read(b *record.Batch) {
	s.stats.records.add(int64(b.SignedOut), disposition.is(string(ledger.Duplicate)))
	s.snapshot++
	var unknown []*record.Session
	for i := range b.Sessions {
		session := &b.Sessions[i]
		switch known := s.byID(session); {
		case session.Malformed:
			s.stats.add(ledger.Invalid, nil)
		case session.State != record.StateFailed:
			s.stats.add(ledger.Duplicate, nil)
		case known == nil:
			unknown = append(unknown, session)
		default:
			s.stats.add(ledger.Duplicate, nil)
			s.present(known, session, b.Now)
		}
	}
	// Only now it is known which of those that look the same are there by their ids.
	for _, session := range unknown {
		s.count(session, b.Now)
	}
	s.forget(b.Now)
}

// byID finds a session that was counted. An id that comes back with another user and
// another start is another session.
func (s *sessionFailureCounts) byID(session *record.Session) *failedSession {
	f := s.failed[session.ID]
	user, began := uint32(session.User), session.Began()
	if f != nil && f.user != 0 && f.began != 0 && user != 0 && !began.IsZero() && f.user != user && f.began != began.Unix() {
		f = nil
	}
	if f == nil {
		f = s.failed[session.ID.With(uint64(session.User))]
	}
	return f
}

// count adds a failed session that is not known by its id, unless it is known by what
// never changes in it: either it or what is known of it has no id.
func (s *sessionFailureCounts) count(session *record.Session, now time.Time) {
	f := s.byID(session) // two versions of it may be in the snapshot
	for _, alike := range s.byInvariant[session.Invariant] {
		if f == nil && alike.snapshot != s.snapshot && !(alike.hasID && session.HasID) {
			f = alike
		}
	}
	if f != nil {
		s.stats.add(ledger.Duplicate, nil)
		s.present(f, session, now)
		return
	}
	s.stats.add(ledger.Counted, session.Invalid)
	s.stats.delayed(cmp.Or(session.Start, session.PreConnect), now)
	s.failures.add(1, serverGroup.is(session.Group), failedCode.is(cmp.Or(session.FailedCode, ledger.CodeUnknown)))
	s.present(&failedSession{}, session, now)
}

// present notes that a snapshot holds a session.
func (s *sessionFailureCounts) present(f *failedSession, session *record.Session, now time.Time) {
	next := failedSession{f.id, session.Invariant, session.HasID, cmp.Or(uint32(session.User), f.user), f.began, f.last, s.snapshot}
	if began := session.Began(); !began.IsZero() {
		next.began = began.Unix()
	}
	if next.id != session.ID && next.id != session.ID.With(uint64(session.User)) {
		next.id = session.ID
		if s.failed[next.id] != nil {
			next.id = session.ID.With(uint64(session.User))
		}
	}
	// Once a day is enough to know what is still there.
	if now.UnixMilli()-f.last > (24 * time.Hour).Milliseconds() {
		next.last = now.UnixMilli()
	}
	before := *f
	before.snapshot = s.snapshot
	if before != next {
		s.remove(f)
		*f = next
		s.insert(f)
		s.changed[f] = true
	}
	f.snapshot = s.snapshot
}

func (s *sessionFailureCounts) insert(f *failedSession) {
	s.failed[f.id] = f
	if alike := s.byInvariant[f.invariant]; f.invariant != (record.Identity{}) && len(alike) < maxAlike {
		s.byInvariant[f.invariant] = append(alike, f)
	}
}

// maxAlike is how many sessions that look the same are kept apart without their ids.
const maxAlike = 64

func (s *sessionFailureCounts) remove(f *failedSession) {
	if s.failed[f.id] != f {
		return
	}
	delete(s.failed, f.id)
	delete(s.changed, f)
	s.gone = append(s.gone, f.id)
	alike := slices.DeleteFunc(s.byInvariant[f.invariant], func(o *failedSession) bool { return o == f })
	if s.byInvariant[f.invariant] = alike; len(alike) == 0 {
		delete(s.byInvariant, f.invariant)
	}
}

// forget drops failed sessions that no snapshot has held for so long that none will.
func (s *sessionFailureCounts) forget(now time.Time) {
	for _, f := range s.failed {
		if now.UnixMilli()-f.last > (cursor.Retention + 24*time.Hour).Milliseconds() {
			s.remove(f)
		}
	}
}

// failedSessionsTable is the table of the failed sessions that were counted.
const failedSessionsTable = "failed_sessions"

func (s *sessionFailureCounts) tables() []table {
	return []table{{name: failedSessionsTable, ofProject: true, load: s.load, save: s.save}}
}

// load takes a row: when a session was there last, and, which rows of format 1 have not,
// what is known of it.
func (s *sessionFailureCounts) load(key, value []byte) error {
	blocks := store.ReadRow(value).Blocks()
	rest := 1 + len(blocks)*len(record.Identity{})
	if len(key) != len(record.Identity{}) || len(value) < rest+8 || len(blocks) == 1 {
		return errKey
	}
	f := &failedSession{id: record.Identity(key), last: int64(binary.BigEndian.Uint64(value[rest:]))}
	r := store.ReadRow(value[rest+8:])
	if len(blocks) > 0 {
		f.invariant, f.user = blocks[0], uint32(record.PersonIn(blocks[1]))
		f.hasID, f.began = r.Bool(), r.Int()
	}
	s.insert(f)
	return r.Err()
}

func (s *sessionFailureCounts) save(changes *store.Changes) {
	for _, id := range s.gone {
		changes.Delete(failedSessionsTable, id[:])
	}
	for f := range s.changed {
		var row store.Row
		row.Blocks(f.invariant, record.Person(f.user).Block())
		row = binary.BigEndian.AppendUint64(row, uint64(f.last))
		row.Bool(f.hasID)
		row.Int(f.began)
		changes.Put(failedSessionsTable, f.id[:], row)
	}
	s.gone = s.gone[:0]
	clear(s.changed)
}
