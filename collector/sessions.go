package collector

import (
	"cmp"
	"encoding/binary"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// shownStates are those in which a session is on a server.
var shownStates = map[string]bool{record.StateActive: true, record.StateDisconnected: true, record.StateInit: true}

// sessions shows how many sessions each server has, by state, as of the newest
// snapshot, and counts each session once that could not be initialised.
type sessions struct {
	*readings
	shown, failures *family

	servers map[serverState]int64 // of the newest snapshot; 0 for what was only in the one before
	// counted remembers the failed sessions, by when a snapshot held them last, in
	// Unix milliseconds.
	counted map[record.Identity]int64
	changed map[record.Identity]bool
}

type serverState struct{ machine, group, state string }

func newSessions(t *tables, r *readings) *sessions {
	return &sessions{readings: r, shown: t.volatileFamily(serverSessions), failures: t.family(sessionFailures),
		servers: map[serverState]int64{}, counted: map[record.Identity]int64{}, changed: map[record.Identity]bool{}}
}

// read takes a snapshot.
func (s *sessions) read(r *record.Reading) {
	servers := map[serverState]int64{}
	for place, n := range s.servers {
		if n > 0 {
			servers[place] = 0
		}
	}
	s.records.add(int64(r.SignedOut), disposition.is(string(ledger.Duplicate)))
	newest := map[record.Identity]*record.Session{} // a file may hold two versions of a session
	for i := range r.Sessions {
		session := &r.Sessions[i]
		s.count(session, r.Now)
		if known := newest[session.ID]; known == nil || session.Updated.After(known.Updated) {
			newest[session.ID] = session
		}
	}
	for _, session := range newest {
		if shownStates[session.State] {
			servers[serverState{session.Machine, session.Group, session.State}]++
		}
	}
	s.servers = servers
	s.forget(r.Now)
}

// count adds a failed session when it is seen for the first time.
func (s *sessions) count(session *record.Session, now time.Time) {
	if session.Malformed {
		s.add(ledger.Invalid, nil)
		return
	}
	if session.State != record.StateFailed {
		s.add(ledger.Duplicate, nil)
		return
	}
	last, known := s.counted[session.ID]
	if known {
		s.add(ledger.Duplicate, nil)
	} else {
		s.add(ledger.Counted, session.Invalid)
		s.delayed(cmp.Or(session.Start, session.PreConnect), now)
		s.failures.add(1, serverGroup.is(session.Group), failedCode.is(cmp.Or(session.FailedCode, ledger.CodeUnknown)))
	}
	// Once a day is enough to know what is still there.
	if !known || now.UnixMilli()-last > (24*time.Hour).Milliseconds() {
		s.counted[session.ID] = now.UnixMilli()
		s.changed[session.ID] = true
	}
}

// forget drops failed sessions that no snapshot has held for so long that none will.
func (s *sessions) forget(now time.Time) {
	for id, last := range s.counted {
		if now.UnixMilli()-last > (ledger.MaxAge + 24*time.Hour).Milliseconds() {
			delete(s.counted, id)
			s.changed[id] = true
		}
	}
}

func (s *sessions) refresh(now time.Time, l *ledger.Ledger) {
	s.readings.refresh(now, l)
	s.shown.clear()
	for place, n := range s.servers {
		s.shown.add(n, machineName.is(place.machine), serverGroup.is(place.group), sessionState.is(place.state))
	}
}

// failedSessionsTable is the table of the failed sessions that were counted.
const failedSessionsTable = "failed_sessions"

func (s *sessions) table() string { return failedSessionsTable }

func (s *sessions) load(key, value []byte) error {
	if len(key) != len(record.Identity{}) || len(value) != 9 {
		return errKey
	}
	s.counted[record.Identity(key)] = int64(binary.BigEndian.Uint64(value[1:]))
	return nil
}

func (s *sessions) save(batch *store.Batch) {
	for id := range s.changed {
		if last, ok := s.counted[id]; ok {
			batch.Put(s.table(), id[:], noBlocks(binary.BigEndian.AppendUint64(nil, uint64(last))))
		} else {
			batch.Delete(s.table(), id[:])
		}
	}
	clear(s.changed)
}
