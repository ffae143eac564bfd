package collector

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// info is a session that could not be initialised, as a source writes it: names and
// values by turns.
func info(fields ...string) record.Session {
	var s record.SessionInfo
	s.Set("session_state", record.StateFailed)
	for i := 0; i < len(fields); i += 2 {
		s.Set(fields[i], fields[i+1])
	}
	return s.Session()
}

// failedSessionsOf makes one failed session for each user, with or without ids.
func failedSessionsOf(ids bool, users ...int) (all []record.Session) {
	for _, n := range users {
		fields := []string{"login_user", fmt.Sprint("u", n), "pre_conn_time", t0.Add(-time.Hour).Format(time.RFC3339), "machine_name", "m"}
		if ids {
			fields = append(fields, "id", fmt.Sprint(n))
		}
		all = append(all, info(fields...))
	}
	return all
}

// Answers with ids and without tell of the same sessions, whichever come first.
func TestFailedSessionsAreFoundWithoutTheirIDs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, ofKind(Sessions))
		seen := map[int]bool{}
		for n := range rapid.IntRange(1, 5).Draw(rt, "snapshots") {
			users := rapid.SliceOfDistinct(rapid.IntRange(1, 6), rapid.ID[int]).Draw(rt, "users")
			for _, user := range users {
				seen[user] = true
			}
			b.snapshot(t0.Add(time.Duration(n)*time.Hour), failedSessionsOf(rapid.Bool().Draw(rt, "with ids"), users...)...)
			require.Equal(rt, float64(len(seen)), b.values(sessionFailures)[""])
			if rapid.Bool().Draw(rt, "restart") {
				b.restart()
			}
		}
	})
}

func TestFailedSessionsOfOneUserAndSecond(t *testing.T) {
	twin := func(id, machine string) record.Session {
		return info("id", id, "login_user", "u", "pre_conn_time", "2026-11-22T08:00:00Z", "machine_name", machine)
	}
	with, without := []record.Session{twin("1", "m"), twin("2", "n")}, []record.Session{twin("", "m"), twin("", "n")}
	for name, snapshots := range map[string][][]record.Session{
		"with ids, then without": {with, without, with},
		"without, then with ids": {without, with, without},
		"one is not there":       {with, without[1:], with[1:], without[:1], with},
		"two versions of each":   {append(with, with...), append(without, without...)},
		"a server is found late": {{twin("", ""), twin("", "n")}, without},
	} {
		for _, restart := range []bool{false, true} {
			b := newBench(t, ofKind(Sessions))
			for i, sessions := range snapshots {
				b.snapshot(t0.Add(time.Duration(i)*time.Minute), sessions...)
				if restart {
					b.restart()
				}
			}
			assert.Equal(t, 2.0, b.values(sessionFailures)[""], "%s, restart %v", name, restart)
		}
	}
	// Ids that start over.
	b := newBench(t, ofKind(Sessions))
	young := info("id", "1", "login_user", "v", "pre_conn_time", "2026-11-22T08:30:00Z")
	b.snapshot(t0, with...)
	for n := range 3 {
		b.snapshot(t0.Add(time.Duration(n)*time.Hour), append(with, young)...)
		b.restart()
	}
	assert.Equal(t, 3.0, b.values(sessionFailures)[""])
}

// What is there on and on is remembered, however long ago it was counted.
func TestFailedSessionsAreRememberedAsLongAsTheyAreThere(t *testing.T) {
	b := newBench(t, ofKind(Sessions))
	failed := failedSessionsOf(true, 1)
	b.snapshot(t0, failed...)
	for hours := 1; hours < 35*24; hours += 13 {
		b.snapshot(t0.Add(time.Duration(hours)*time.Hour), failed...)
	}
	assert.Equal(t, 1.0, b.values(sessionFailures)[""])
	b.snapshot(t0.Add(63 * 24 * time.Hour)) // nobody has looked for nearly 30 days
	b.snapshot(t0.Add(63*24*time.Hour+time.Hour), failed...)
	assert.Equal(t, 1.0, b.values(sessionFailures)[""])
}

// A row of format 1 holds nothing but when a session was there last.
func TestFailedSessionOfFormat1(t *testing.T) {
	b := newBench(t, ofKind(Sessions))
	b.snapshot(t0, failedSessionsOf(true, 1)...)
	for key, row := range b.storage.rows {
		if strings.HasPrefix(key, "failed_sessions\x00") {
			b.storage.rows[key] = string(noBlocks([]byte(row[33:41])))
		}
	}
	b.restart()
	b.snapshot(t0.Add(time.Minute), failedSessionsOf(true, 1)...)
	b.restart()
	b.snapshot(t0.Add(2*time.Minute), failedSessionsOf(false, 1)...)
	assert.Equal(t, 1.0, b.values(sessionFailures)[""])
}

// The delay is that from the session's start, or else from when it was asked for.
func TestSessionDelay(t *testing.T) {
	ago := func(d time.Duration) string { return t0.Add(-d).Format(time.RFC3339) }
	b := newBench(t, ofKind(Sessions))
	b.snapshot(t0,
		info("id", "1", "pre_conn_time", ago(50*time.Second), "start_time", ago(40*time.Second), "last_update_status_time", ago(time.Second)),
		info("id", "2", "pre_conn_time", ago(7*time.Second), "last_update_status_time", ago(time.Second)))
	assert.Equal(t, 47.0, b.families()[recordDelay.Name].Metric[0].Histogram.GetSampleSum())
}

// The newest snapshot is shown until there is a newer one, also by the next process.
func TestSnapshotOutlivesTheProcess(t *testing.T) {
	b := newBench(t, ofKind(Sessions))
	b.snapshot(t0, session(1, "m", "Active"), session(2, "n", "Disconnected"))
	b.snapshot(t0.Add(time.Minute), session(1, "m", "Active"), session(3, "m", "Active"))
	want := map[string]float64{"m/g/Active": 2, "n/g/Disconnected": 0}
	states := func() map[string]float64 {
		return b.values(serverSessions, "machine_name", "server_group", "session_state")
	}
	require.Equal(t, want, states())
	for range 2 {
		b.restart()
		assert.Equal(t, want, states())
	}
	b.snapshot(t0.Add(2*time.Minute), session(3, "n", "Active"))
	b.restart()
	assert.Equal(t, map[string]float64{"m/g/Active": 0, "n/g/Active": 1}, states())
	b.snapshot(t0.Add(3 * time.Minute))
	b.snapshot(t0.Add(4 * time.Minute))
	b.restart()
	assert.Empty(t, states())
	for key := range b.storage.rows {
		assert.False(t, strings.HasPrefix(key, "server_sessions\x00"), "a row is left over")
	}
}

// Who has failed lately is known to the next process, too.
func TestAccessFailuresByTheWindowsEnd(t *testing.T) {
	b := newBench(t, ofKind(AccessStatistics))
	read := func(to time.Time, accesses ...record.Access) {
		b.clock = to.Add(50 * time.Minute) // the window is settled long before now
		require.NoError(t, b.accumulator.Commit(&record.Batch{From: to.Add(-time.Minute), To: to, Now: b.clock, Accesses: accesses, UpToDate: true}))
	}
	users := func() float64 { return b.values(accessFailedUsers)[""] }
	read(t0, record.Access{User: 1, Failures: 1, Last: t0.Add(-time.Minute)}, record.Access{User: 2, Failures: 1, Last: t0.Add(-59 * time.Minute)})
	assert.Equal(t, 2.0, users(), "within the hour before the window's end")
	b.restart()
	assert.Equal(t, 2.0, users())
	read(t0.Add(30*time.Minute), record.Access{User: 3, Failures: 1, Last: t0.Add(40 * 24 * time.Hour)})
	assert.Equal(t, 2.0, users())
	read(t0.Add(2 * time.Hour))
	assert.Equal(t, 0.0, users(), "a time to come keeps nobody")
}
