package ledger

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// fields are a record as a source writes it; one without a value is missing.
type fields map[string]string

// with is the record with some fields changed: names and values by turns.
func (f fields) with(changes ...string) fields {
	changed := fields{}
	for name, value := range f {
		changed[name] = value
	}
	for i := 0; i < len(changes); i += 2 {
		changed[changes[i]] = changes[i+1]
	}
	return changed
}

func (f fields) login() record.Login {
	var c record.UserConnection
	for name, value := range f {
		c.Set(name, value)
	}
	return c.Login()
}

func (f fields) desktop() record.Login {
	var c record.DesktopConnection
	for name, value := range f {
		c.Set(name, value)
	}
	return c.Login()
}

// text is a time as a source writes it, in minutes relative to noon.
func text(minutes float64) string { return at(minutes).Format(time.RFC3339) }

var (
	asked   = fields{"user_name": "u", "client_ip": "10.0.0.1", "pre_conn_time": text(-10)}
	started = asked.with("start_time", text(-9), "machine_name", "APS-1")
	undated = fields{"user_name": "u", "client_ip": "10.0.0.1"}
)

// A record is found by whatever form it had before, with an id and without, though what
// never changes becomes known bit by bit.
func TestWhatNeverChangesBecomesKnown(t *testing.T) {
	lateStart := undated.with("start_time", text(-9))
	for name, c := range map[string]struct {
		versions []fields
		attempts int
	}{
		"pending, started on a server, a file without ids": {[]fields{asked.with("id", "1"), started.with("id", "1"), started}, 1},
		"the same without any id":                          {[]fields{asked, started, started.with("end_time", text(-1))}, 1},
		"a file first, then pages":                         {[]fields{asked, started, started.with("id", "1")}, 1},
		"a file, pages, a file":                            {[]fields{asked, started.with("id", "1"), started, started.with("id", "1")}, 1},
		"an old file at last":                              {[]fields{asked.with("id", "1"), started.with("id", "1"), asked}, 1},
		"the start comes first":                            {[]fields{lateStart.with("id", "1"), started.with("id", "1"), started}, 1},
		"the start comes first, without ids":               {[]fields{lateStart, started, lateStart}, 1},
		"no time at first":                                 {[]fields{undated.with("id", "1"), lateStart.with("id", "1"), lateStart}, 1},
		"no time at first, without ids":                    {[]fields{undated, lateStart, lateStart.with("end_time", text(-1))}, 1},
		"no time, the start, all, without ids":             {[]fields{undated, lateStart, started}, 1},
		"no time at first, then a file":                    {[]fields{undated.with("id", "1"), lateStart, lateStart.with("id", "1")}, 1},
		"it moves to another server":                       {[]fields{started, started.with("machine_name", "APS-2"), started.with("machine_name", "APS-2")}, 1},
		"another user":                                     {[]fields{started, started.with("user_name", "v")}, 2},
		"another client":                                   {[]fields{started, started.with("client_ip", "10.0.0.2")}, 2},
		"another time":                                     {[]fields{started, started.with("pre_conn_time", text(-11))}, 2},
		"times without fractions":                          {[]fields{started.with("id", "1", "pre_conn_time", "2026-05-21T11:50:00.123Z"), started}, 1},
		"what has failed waits for no time":                {[]fields{undated.with("failed_code", "7"), started}, 2},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", name, restart), func(t *testing.T) {
				l, got, rows := New(defaultRules), newTotals(), map[string][]byte{}
				for i, version := range c.versions {
					l.Apply(batch(float64(i), version.login()), got.add)
					if restart {
						l = restarted(t, l, rows)
					}
				}
				assert.Equal(t, c.attempts, got.Attempts)
				assert.Equal(t, c.attempts, l.Len())
			})
		}
	}
}

// Desktop records have no time but that of their start.
func TestDesktopWithoutTransaction(t *testing.T) {
	l, got := New(defaultRules), newTotals()
	connection := fields{"user_name": "u", "connection_start_time": text(-9)}
	for i, version := range []fields{connection.with("transaction_id", "t"), connection.with("computer_name", "VDI-1"), connection.with("transaction_id", "t", "computer_name", "VDI-1")} {
		l.Apply(batch(float64(i), version.desktop()), got.add)
	}
	assert.Equal(t, 1, got.Attempts)
}

// Two logins of one account in one second from one client are two: as many as there are,
// and never a third, whichever of them is forgotten.
func TestTwins(t *testing.T) {
	open, ended := started.with("update_time", text(-9)), started.with("end_time", text(-5), "update_time", text(-5))
	one, two := open.with("id", "1"), ended.with("id", "2")
	for name, c := range map[string]struct {
		batches  [][]fields
		attempts int
	}{
		"by pages":                             {[][]fields{{one, two}, {one, two}}, 2},
		"by pages, then a file":                {[][]fields{{one, two}, {open, ended}}, 2},
		"by pages, then a file, the other way": {[][]fields{{one, two}, {ended, open}, {open}, {ended}}, 2},
		"a file, then pages":                   {[][]fields{{open, ended}, {one, two}}, 2},
		"on two servers":                       {[][]fields{{open, open.with("machine_name", "APS-2")}, {open.with("machine_name", "APS-2"), open}}, 2},
		"with two ends":                        {[][]fields{{ended, ended.with("end_time", text(-4))}, {ended.with("end_time", text(-4)), ended}}, 2},
		"one on another server, seen later":    {[][]fields{{open}, {open.with("machine_name", "APS-2"), open}, {open, open.with("machine_name", "APS-2")}}, 2},
		"two servers, then ids":                {[][]fields{{open, open.with("machine_name", "APS-2")}, {open.with("machine_name", "APS-2", "id", "2"), one}}, 2},
		"two versions, as a list that moves":   {[][]fields{{open, ended}, {ended}}, 1},
		"the same row twice":                   {[][]fields{{ended, ended}}, 1},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", name, restart), func(t *testing.T) {
				l, got, rows := New(defaultRules), newTotals(), map[string][]byte{}
				for i, versions := range c.batches {
					var logins []record.Login
					for _, v := range versions {
						logins = append(logins, v.login())
					}
					l.Apply(batch(float64(i), logins...), got.add)
					if restart {
						l = restarted(t, l, rows)
					}
				}
				assert.Equal(t, c.attempts, got.Attempts)
				assert.Equal(t, c.attempts, l.Len())
			})
		}
	}
	for _, restart := range []bool{false, true} {
		l, rows := New(defaultRules), map[string][]byte{}
		got := applyAll(l, batch(0, one.login(), two.login()), batch(120))
		l.Forget(at(60))
		require.Equal(t, 1, l.Len(), "one is open")
		if restart {
			l = restarted(t, l, rows)
		}
		last := open.with("end_time", text(119), "update_time", text(119))
		for range 2 {
			l.Apply(batch(121, last.login()), got.add)
			l.Apply(batch(122, last.with("id", "1").login()), got.add)
		}
		assert.Equal(t, 2, got.Attempts, "the other one is forgotten, restart %v", restart)
		assert.Empty(t, l.OpenConnections())
	}
}

// A database that restarts its numbers gives the ids of records that are remembered to others.
func TestIDsThatBeginAnew(t *testing.T) {
	old := func(n int) record.Login {
		return started.with("id", fmt.Sprint(n), "user_name", fmt.Sprint("old", n), "end_time", text(-8)).login()
	}
	young := func(n int) record.Login {
		return started.with("id", fmt.Sprint(n), "user_name", fmt.Sprint("young", n), "pre_conn_time", text(-5), "start_time", text(-4)).login()
	}
	for _, restart := range []bool{false, true} {
		l, got, rows := New(defaultRules), newTotals(), map[string][]byte{}
		var olds, both []record.Login
		for n := range 20 {
			olds, both = append(olds, old(n)), append(both, young(n), old(n))
		}
		for i, logins := range [][]record.Login{olds, both, olds, both} {
			l.Apply(batch(float64(i), logins...), got.add)
			if restart {
				l = restarted(t, l, rows)
			}
		}
		assert.Equal(t, 40, got.Attempts, "restart %v", restart)
		assert.Equal(t, 40, l.Len())
		ended := young(3)
		ended.End = at(3)
		l.Apply(&record.Batch{From: at(9), To: at(10), Now: at(10), Logins: []record.Login{ended}}, got.add)
		assert.Equal(t, 7*time.Minute, got.Sessions[20])
		assert.EqualValues(t, 19, l.OpenConnections()[Place{Group: "", Machine: "APS-1"}])

		// The old ones are forgotten, the young ones are not.
		l.Apply(batch(11), got.add)
		l.Forget(at(-7))
		assert.Equal(t, 20, l.Len())
		l.Apply(batch(12, young(3)), got.add)
		assert.Equal(t, 40, got.Attempts)
	}
	for name, c := range map[string]struct {
		changes  []string
		attempts int
	}{
		"another user":                      {[]string{"user_name", "v"}, 1},
		"another start":                     {[]string{"pre_conn_time", text(-5), "start_time", text(-4)}, 1},
		"no user, another start":            {[]string{"user_name", "", "pre_conn_time", text(-5), "start_time", text(-4)}, 1},
		"both":                              {[]string{"user_name", "v", "pre_conn_time", text(-5), "start_time", text(-4)}, 2},
		"another user, the minute":          {[]string{"user_name", "v", "pre_conn_time", "2026-05-21 11:50"}, 1},
		"another user and start, no asking": {[]string{"user_name", "v", "pre_conn_time", "", "start_time", text(-4)}, 2},
		"another user, nothing known":       {[]string{"user_name", "v", "pre_conn_time", "", "start_time", ""}, 1},
	} {
		first := started.with("id", "1")
		got := applyAll(New(defaultRules), batch(0, first.login()), batch(1, first.with(c.changes...).login()), batch(2, first.login()))
		assert.Equal(t, c.attempts, got.Attempts, name)
	}
}

// What was deleted at the source is given up when none of the windows that may show it
// has, twice: one for each of its times, hours apart, in whatever order.
func TestAbsentAtAllItsTimes(t *testing.T) {
	window := func(minutes, now float64) *record.Batch {
		return &record.Batch{From: at(minutes - 0.07), To: at(minutes + 0.07), Now: at(now), Reread: true}
	}
	for name, version := range map[string]login{
		"open":    {pre: -180, start: -120, updated: -60},
		"pending": {pre: -180, updated: -60},
	} {
		times := []float64{-180, -120, -60}
		if version.start == unknown {
			times = []float64{-180, -60}
		}
		rapid.Check(t, func(t *rapid.T) {
			l := New(defaultRules)
			got := applyAll(l, &record.Batch{From: at(-200), To: at(1), Now: at(1), UpToDate: true, Logins: []record.Login{version.record()}})
			now := 70.0
			left := map[float64]int{}
			for _, at := range times {
				left[at] = 2
			}
			for len(left) > 0 {
				require.Equal(t, 1, l.CountUnfinished(), "%s is not given up before it was looked for at %v", name, left)
				now++
				m := rapid.SampledFrom(times).Draw(t, "look at")
				r := window(m, now)
				if rapid.IntRange(0, 5).Draw(t, "it is there after all") == 0 {
					r.Logins = []record.Login{version.record()}
					if version.start == unknown {
						continue // it would expire, as it should
					}
					for _, at := range times {
						left[at] = 2
					}
				} else if left[m]--; left[m] <= 0 {
					delete(left, m)
				}
				l.Apply(r, got.add)
			}
			require.Zero(t, l.CountUnfinished(), name)
			require.Equal(t, 1, got.Attempts)
		})
	}

	l := New(defaultRules)
	applyAll(l, batch(0, login{pre: -10, start: 9000, updated: -9}.record()))
	assert.Equal(t, []time.Time{at(-10), at(-9)}, l.Unfinished(at(60)), "nobody looks for a time to come")
	applyAll(l, window(-10, 60), window(-9, 61), window(-10, 62), window(-9, 63))
	assert.Empty(t, l.OpenConnections(), "it is absent where it may have been")

	l = New(defaultRules)
	applyAll(l, batch(50, login{pre: -10, start: 40, updated: -10}.record()), window(-10, 51), window(-10, 52))
	require.Len(t, l.OpenConnections(), 1, "it may be where it started")
	applyAll(l, &record.Batch{From: at(15), To: at(20), Now: at(20), UpToDate: true})
	assert.Empty(t, l.OpenConnections(), "the clock was wrong: that time is to come")

	connection := fields{"user_name": "u", "connection_start_time": text(-300)}.desktop()
	l = New(defaultRules)
	applyAll(l, &record.Batch{From: at(-310), To: at(0), Now: at(0), UpToDate: true, Logins: []record.Login{connection}})
	require.Len(t, l.OpenConnections(), 1)
	applyAll(l, window(-300, 60), window(-300, 61))
	assert.Empty(t, l.OpenConnections())
}

// A record whose times change with each batch does not fill the memory.
func TestFormsAreBounded(t *testing.T) {
	l := New(defaultRules)
	for n := range 20 {
		applyAll(l, batch(float64(n), started.with("id", "1", "pre_conn_time", text(float64(-100-n))).login()))
	}
	require.Equal(t, 1, l.Len())
	assert.Len(t, l.memory.later, maxForms)
	got := applyAll(l, batch(30, started.with("pre_conn_time", text(-119)).login()))
	assert.Zero(t, got.Attempts)
	restarted(t, l, map[string][]byte{})
	applyAll(l, batch(31))
	for _, e := range l.memory.whole {
		l.memory.remove(e)
	}
	assert.Zero(t, l.memory.byForm.n)
	assert.Empty(t, l.memory.later)
}

// However twins and those whose ids start over are read, with their ids at least once, each
// counts once.
func TestAnyIdentitiesSameTotals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var records []fields
		for n := range rapid.IntRange(1, 6).Draw(t, "records") {
			user := rapid.SampledFrom([]string{"u", "v"}).Draw(t, "user")
			pre := float64(-rapid.IntRange(1, 3).Draw(t, "asked minutes ago") * 10)
			f := fields{"id": fmt.Sprint(n), "user_name": user, "client_ip": "10.0.0.1", "pre_conn_time": text(pre), "start_time": text(pre + 1)}
			if rapid.Bool().Draw(t, "number again") {
				f["id"] = fmt.Sprint(n, " ", user) // an id that another record of the user has not
				i := slices.IndexFunc(records, func(o fields) bool { return o["user_name"] != user && o["pre_conn_time"] != f["pre_conn_time"] })
				if i >= 0 && !slices.ContainsFunc(records, func(o fields) bool { return o["id"] == records[i]["id"] && o["user_name"] == user }) &&
					!slices.ContainsFunc(records, func(o fields) bool { return o["id"] == records[i]["id"] && o["pre_conn_time"] == f["pre_conn_time"] }) {
					f["id"] = records[i]["id"]
				}
			}
			records = append(records, f)
		}
		j := newJournal(t, defaultRules)
		now := 0.0
		read := func(records []fields, nameless bool) {
			var logins []record.Login
			for _, f := range rapid.Permutation(records).Draw(t, "order") {
				if nameless {
					f = f.with("id", "")
				}
				logins = append(logins, f.login())
			}
			now++
			j.apply(batch(now, logins...), func(*Ledger) {})
		}
		for range rapid.IntRange(0, 4).Draw(t, "batches") {
			n := rapid.IntRange(0, len(records)).Draw(t, "how many")
			read(rapid.Permutation(records).Draw(t, "which")[:n], rapid.Bool().Draw(t, "without ids"))
			require.LessOrEqual(t, j.totals.Attempts, len(records))
		}
		read(records, false)
		read(records, rapid.Bool().Draw(t, "without ids"))
		require.Equal(t, len(records), j.totals.Attempts)
		require.Equal(t, len(records), j.ledger.Len())
	})
}
