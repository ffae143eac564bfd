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

const errorCode Label = "error_code"

var (
	accessFailures = &Metric{Name: "workspace_access_failures_total", Type: Counter, Labels: []Label{errorCode},
		Help: "Failed accesses as the vendor's statistics count them. The vendor merges failures of a user within minutes: this is not the number of failed logins."}
	accessFailedUsers = &Metric{Name: "workspace_access_failed_users", Type: Gauge, Labels: []Label{windowName},
		Help: "Distinct users with a failed access within the window at the end of the vendor's statistics."}
)

// accesses adds up the vendor's access statistics. Each batch is a window of its
// own, so that all that it holds is new.
type accesses struct {
	stats           *batchStats
	failures, users *family

	last    map[record.Person]int64 // last failure of a user, in Unix milliseconds
	changed map[record.Person]bool
}

func newAccesses(f *families, _ Options) aggregator {
	return &accesses{stats: batchStatsOf(f), failures: f.of(accessFailures), users: f.of(accessFailedUsers),
		last: map[record.Person]int64{}, changed: map[record.Person]bool{}}
}

// read takes the statistics of a window.
func (a *accesses) read(b *record.Batch) {
	for i := range b.Accesses {
		access := &b.Accesses[i]
		if access.Malformed {
			a.stats.add(ledger.Invalid, nil)
			continue
		}
		a.stats.add(ledger.Counted, access.Invalid)
		a.stats.delayed(access.Last, b.Now)
		a.failures.add(int64(access.Failures), errorCode.is(cmp.Or(access.Code, ledger.CodeUnknown)))
		at := access.Last
		if at.IsZero() || at.After(b.To) { // a wrong clock's: it would stay until that time
			at = b.To
		}
		if access.User != 0 && at.UnixMilli() > a.last[access.User] {
			a.last[access.User] = at.UnixMilli()
			a.changed[access.User] = true
		}
	}
	for user, at := range a.last {
		if at <= b.To.Add(-accessWindow).UnixMilli() || at > b.To.Add(accessWindow).UnixMilli() {
			delete(a.last, user)
			a.changed[user] = true
		}
	}
}

func (a *accesses) refresh(time.Time, *ledger.Ledger) {
	a.users.recount(func(add adder) { add(int64(len(a.last)), windowName.is(accessWindowName)) })
}

// failedUsersTable is the table of the users with a failed access.
const failedUsersTable = "failed_users"

func (a *accesses) tables() []table {
	return []table{{name: failedUsersTable, ofProject: true, load: a.load, save: a.save}}
}

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
			changes.Put(failedUsersTable, key[:], noBlocks(binary.BigEndian.AppendUint64(nil, uint64(at))))
		} else {
			changes.Delete(failedUsersTable, key[:])
		}
	}
	clear(a.changed)
}
