package collector

import (
	"cmp"
	"encoding/binary"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// accessWindow is how far back users with a failed access are counted.
const (
	accessWindow     = time.Hour
	accessWindowName = "1h" // its value of the label window
)

// accesses adds up the vendor's access statistics. Each batch is a window of its
// own, so that all that it holds is new.
type accesses struct {
	*batchStats
	failures, users *family

	last    map[record.Person]int64 // last failure of a user, in Unix milliseconds
	changed map[record.Person]bool
}

func newAccesses(t *families, r *batchStats) *accesses {
	return &accesses{batchStats: r, failures: t.family(accessFailures), users: t.volatileFamily(accessFailedUsers),
		last: map[record.Person]int64{}, changed: map[record.Person]bool{}}
}

// read takes the statistics of a window.
func (a *accesses) read(r *record.Batch) {
	for i := range r.Accesses {
		access := &r.Accesses[i]
		if access.Malformed {
			a.add(ledger.Invalid, nil)
			continue
		}
		a.add(ledger.Counted, access.Invalid)
		a.delayed(access.Last, r.Now)
		a.failures.add(int64(access.Failures), errorCode.is(cmp.Or(access.Code, ledger.CodeUnknown)))
		at := access.Last
		if at.IsZero() || at.After(r.To) { // a wrong clock's: it would stay until that time
			at = r.To
		}
		if access.User != 0 && at.UnixMilli() > a.last[access.User] {
			a.last[access.User] = at.UnixMilli()
			a.changed[access.User] = true
		}
	}
	for user, at := range a.last {
		if at <= r.To.Add(-accessWindow).UnixMilli() || at > r.To.Add(accessWindow).UnixMilli() {
			delete(a.last, user)
			a.changed[user] = true
		}
	}
}

func (a *accesses) refresh(now time.Time, l *ledger.Ledger) {
	a.batchStats.refresh(now, l)
	a.users.recount(func(add func(int64, ...pair)) { add(int64(len(a.last)), windowName.is(accessWindowName)) })
}

// failedUsersTable is the table of the users with a failed access.
const failedUsersTable = "failed_users"

func (a *accesses) table() string { return failedUsersTable }

func (a *accesses) load(key, value []byte) error {
	if len(key) != len(record.Identity{}) || len(value) != 9 {
		return errKey
	}
	a.last[record.PersonIn([16]byte(key))] = int64(binary.BigEndian.Uint64(value[1:]))
	return nil
}

func (a *accesses) save(changes *store.Changes) {
	for user := range a.changed {
		key := user.Block()
		if at, ok := a.last[user]; ok {
			changes.Put(a.table(), key[:], noBlocks(binary.BigEndian.AppendUint64(nil, uint64(at))))
		} else {
			changes.Delete(a.table(), key[:])
		}
	}
	clear(a.changed)
}
