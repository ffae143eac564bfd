package collector

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

var t0 = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// memory is a Storage that can fail.
type memory struct {
	rows map[string]string
	fail error // before anything is written
	// failAfter comes when all is written, and before it is published.
	failAfter error
}

func (m *memory) Load(row func(table string, key, value []byte) error) error {
	isHead := func(k string) bool { return strings.HasPrefix(k, store.Head+"\x00") }
	for _, heads := range []bool{true, false} {
		for k, v := range m.rows {
			if isHead(k) != heads {
				continue
			}
			table, key, _ := strings.Cut(k, "\x00")
			if err := row(table, []byte(key), []byte(v)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *memory) Commit(b *store.Changes) error {
	if m.fail != nil {
		return m.fail
	}
	b.Each(func(table string, key, value []byte) {
		if value == nil {
			delete(m.rows, table+"\x00"+string(key))
		} else {
			m.rows[table+"\x00"+string(key)] = string(value)
		}
	})
	return m.failAfter
}

// bench is an accumulator with its surroundings, for one test.
type bench struct {
	t           testing.TB
	storage     *memory
	options     Options
	limited     *prometheus.CounterVec
	accumulator *Accumulator
	clock       time.Time
	holdErr     error // of the last EndHolds
}

func newBench(t testing.TB, change func(*Options)) *bench {
	b := &bench{t: t, storage: &memory{rows: map[string]string{}}, clock: t0,
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "workspace_exporter_series_limited_total"}, []string{"family"})}
	b.options = Options{Project: "p", Product: "app_streaming", Source: "user_connections",
		Rules:    ledger.Rules{SuccessCodes: []string{"", "0"}, PendingTimeout: time.Hour},
		Lookback: 15 * time.Minute, UserWindows: []Window{{"15m", 15 * time.Minute}, {"1h", time.Hour}},
		Limits: NewLimits(1000, b.limited), Now: func() time.Time { return b.clock }}
	if change != nil {
		change(&b.options)
	}
	b.restart()
	return b
}

func (b *bench) restart() {
	b.t.Helper()
	b.options.Limits, b.options.Day = NewLimits(b.options.Limits.max, b.limited), &Day{}
	accumulator, err := Open(b.storage, b.options)
	require.NoError(b.t, err)
	b.accumulator = accumulator
}

// read commits a batch that ends at the time now.
func (b *bench) read(now time.Time, logins ...record.Login) error {
	b.clock = now
	return b.accumulator.Commit(&record.Batch{From: now.Add(-time.Hour), To: now, Now: now, Logins: logins, UpToDate: true})
}

func (b *bench) families() map[string]*dto.MetricFamily {
	b.t.Helper()
	b.holdErr = b.accumulator.EndHolds()
	e := NewExposition(prometheus.NewRegistry())
	e.Publish([]*Accumulator{b.accumulator}, nil)
	families, err := e.Gather()
	require.NoError(b.t, err)
	byName := map[string]*dto.MetricFamily{}
	for _, f := range families {
		byName[f.GetName()] = f
	}
	return byName
}

// values are the series of a family by the values of the given labels.
func (b *bench) values(m *Metric, labels ...string) map[string]float64 {
	b.t.Helper()
	return valuesOf(b.families()[m.Name], labels)
}

func valuesOf(f *dto.MetricFamily, labels []string) map[string]float64 {
	values := map[string]float64{}
	for _, metric := range f.GetMetric() {
		var key []string
		for _, name := range labels {
			for _, l := range metric.Label {
				if l.GetName() == name {
					key = append(key, l.GetValue())
				}
			}
		}
		v := metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		values[strings.Join(key, "/")] += v
	}
	return values
}

// login makes a success; change makes something else of it.
func login(n int, at time.Time, change ...func(*record.Login)) record.Login {
	id := record.Identity{byte(n), byte(n >> 8), byte(n >> 16), 1}
	l := record.Login{ID: id, Invariant: record.Identity{2, byte(n), byte(n >> 8), byte(n >> 16)}, Group: "g", Machine: "m",
		ClientType: "Windows 10", ClientVersion: "1", AgentVersion: "2", User: record.Person(n + 1), ClientIP: 9,
		PreConnect: at.Add(-3 * time.Second), Start: at, Updated: at}
	for _, c := range change {
		c(&l)
	}
	return l
}

func failing(code string) func(*record.Login) {
	return func(l *record.Login) { l.FailedCode, l.Start, l.Updated = code, time.Time{}, l.PreConnect }
}

func inGroup(group string) func(*record.Login) { return func(l *record.Login) { l.Group = group } }

func TestNothingIsShownBeforeTheFirstPollEnds(t *testing.T) {
	b := newBench(t, nil)
	assert.Empty(t, b.families())
	require.NoError(t, b.accumulator.Commit(&record.Batch{From: t0.Add(-time.Hour), To: t0.Add(-time.Minute), Now: t0, Logins: []record.Login{login(1, t0.Add(-2*time.Minute))}}))
	assert.Empty(t, b.families(), "a backlog that is half read")
	require.NoError(t, b.read(t0, login(1, t0.Add(-2*time.Minute)), login(2, t0.Add(-time.Second))))
	assert.Equal(t, map[string]float64{"g": 2}, b.values(loginAttempts, "desktop_group"))
}

func TestFailedCommitChangesNothing(t *testing.T) {
	b := newBench(t, nil)
	require.NoError(t, b.read(t0, login(1, t0)))
	before := b.families()
	b.storage.fail = errors.New("no space left on device")
	for range 2 {
		require.ErrorIs(t, b.read(t0.Add(time.Minute), login(1, t0), login(2, t0)), b.storage.fail)
		assert.Equal(t, before, b.families())
	}
	position, err := b.accumulator.Position()
	require.NoError(t, err)
	assert.Equal(t, t0, position.Cursor)
	b.storage.fail = nil
	require.NoError(t, b.read(t0.Add(time.Minute), login(1, t0), login(2, t0)))
	assert.Equal(t, map[string]float64{"g": 2}, b.values(loginAttempts, "desktop_group"))
}

func TestRestartShowsTheSameAtOnce(t *testing.T) {
	b := newBench(t, nil)
	require.NoError(t, b.read(t0, login(1, t0.Add(-time.Minute)), login(2, t0.Add(-time.Minute), failing("7"), func(l *record.Login) { l.FailedReason = "why" }),
		login(3, t0, func(l *record.Login) { l.End = t0 })))
	before := b.families()
	b.restart()
	assert.Equal(t, fmt.Sprint(before), fmt.Sprint(b.families()))
	require.NoError(t, b.read(t0.Add(time.Second), login(1, t0.Add(-time.Minute))))
	assert.Equal(t, map[string]float64{"g": 3}, b.values(loginAttempts, "desktop_group"))
}

func TestNewSeriesIsHeldAtZero(t *testing.T) {
	b := newBench(t, func(o *Options) { o.NewSeriesHold = 2 * time.Minute })
	require.NoError(t, b.read(t0, login(1, t0), login(2, t0, failing("7"))))
	assert.Equal(t, map[string]float64{"g/7": 1}, b.values(loginFailures, "desktop_group", "failed_code"), "history is shown at once")

	at := t0.Add(time.Minute)
	require.NoError(t, b.read(at, login(3, at, inGroup("new")), login(4, at, failing("8")), login(5, at, failing("8")), login(6, at, failing("7"))))
	held := map[string]float64{"g/7": 2, "g/8": 0, "new/7": 0, "new/8": 0}
	assert.Equal(t, held, b.values(loginFailures, "desktop_group", "failed_code"))
	b.restart()
	assert.Equal(t, held, b.values(loginFailures, "desktop_group", "failed_code"), "a restart holds on")
	b.clock = at.Add(2*time.Minute - 1)
	assert.Equal(t, held, b.values(loginFailures, "desktop_group", "failed_code"))
	assert.Equal(t, map[string]float64{"g": 1, "new": 0}, b.values(loginDuration, "desktop_group"))
	b.clock = at.Add(2 * time.Minute)
	assert.Equal(t, map[string]float64{"g/7": 2, "g/8": 2, "new/7": 0, "new/8": 0}, b.values(loginFailures, "desktop_group", "failed_code"))
	assert.Equal(t, map[string]float64{"g": 1, "new": 1}, b.values(loginDuration, "desktop_group"))

	// What stood at 0 for long enough shows its first failure at once.
	require.NoError(t, b.read(b.clock, login(7, b.clock, inGroup("new"), failing("7"))))
	assert.Equal(t, 1.0, b.values(loginFailures, "desktop_group", "failed_code")["new/7"])
	assert.Equal(t, 5.0, b.values(loginFailedUsers, "window")["15m"], "gauges are never held")
}

func TestCreatedTimestampsSurvive(t *testing.T) {
	b := newBench(t, nil)
	require.NoError(t, b.read(t0, login(1, t0)))
	later := t0.Add(time.Hour)
	require.NoError(t, b.read(later, login(2, later, inGroup("new"))))
	b.restart()
	var created []time.Time
	for _, m := range b.families()[loginAttempts.Name].Metric {
		created = append(created, m.GetCounter().GetCreatedTimestamp().AsTime())
	}
	assert.Equal(t, []time.Time{t0.Add(-time.Hour), later}, created, "history counts from where it was read from")
}

func TestMaxSeriesFoldsAndLosesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.IntRange(1, 8).Draw(rt, "limit")
		b := newBench(t, func(o *Options) { o.Limits = NewLimits(limit, nil) })
		n := 0
		for poll := range rapid.IntRange(1, 4).Draw(rt, "polls") {
			var logins []record.Login
			for range rapid.IntRange(0, 20).Draw(rt, "logins") {
				n++
				l := login(n, t0, inGroup(fmt.Sprint("g", rapid.IntRange(0, 5).Draw(rt, "group"))))
				if code := rapid.IntRange(0, 6).Draw(rt, "code"); code > 0 {
					failing(fmt.Sprint("c", code))(&l)
				}
				logins = append(logins, l)
			}
			require.NoError(t, b.read(t0.Add(time.Duration(poll)*time.Second), logins...))
			if rapid.Bool().Draw(rt, "restart") {
				b.restart()
			}
		}
		attempts := b.values(loginAttempts, "desktop_group")
		failures := b.values(loginFailures, "desktop_group")
		total := 0.0
		for group, count := range attempts {
			total += count
			assert.LessOrEqual(rt, failures[group], count, "failures of %s", group)
		}
		assert.Equal(rt, float64(n), total)
		for group := range failures {
			if _, ok := attempts[group]; !ok {
				assert.Zero(rt, failures[group])
			}
		}
		for name, f := range b.families() {
			if name != recordsTotal.Name {
				assert.LessOrEqual(rt, len(f.Metric), limit+1, name)
			}
		}
	})
}

func TestUsersAreCountedInSlidingWindows(t *testing.T) {
	b := newBench(t, nil)
	same := func(l *record.Login) { l.User = 77 }
	require.NoError(t, b.read(t0,
		login(1, t0.Add(-50*time.Minute), same), login(2, t0.Add(-10*time.Minute), same, failing("7")), login(3, t0.Add(-time.Minute), same, failing("7")),
		login(4, t0, inGroup("other group")), login(5, t0.Add(-20*time.Minute), failing("8"), func(l *record.Login) { l.User = 0 })))
	check := func(users, failed, perUser, perIP map[string]float64) {
		t.Helper()
		assert.Equal(t, users, b.values(loginUsers, "window"))
		assert.Equal(t, failed, b.values(loginFailedUsers, "window"))
		assert.Equal(t, perUser, b.values(maxFailuresPerUser, "window"))
		assert.Equal(t, perIP, b.values(maxFailuresPerClientIP, "window"))
	}
	check(map[string]float64{"15m": 2, "1h": 2}, map[string]float64{"15m": 1, "1h": 1},
		map[string]float64{"15m": 2, "1h": 2}, map[string]float64{"15m": 2, "1h": 3})
	assert.Equal(t, map[string]float64{"g/15m": 1, "g/1h": 1, "other group/15m": 1, "other group/1h": 1}, b.values(groupUsers, "desktop_group", "window"))
	assert.Equal(t, map[string]float64{"g/15m": 1, "g/1h": 1, "other group/15m": 0, "other group/1h": 0}, b.values(groupFailedUsers, "desktop_group", "window"))

	b.restart()
	require.NoError(t, b.read(t0.Add(30*time.Minute)))
	check(map[string]float64{"15m": 0, "1h": 2}, map[string]float64{"15m": 0, "1h": 1},
		map[string]float64{"15m": 0, "1h": 2}, map[string]float64{"15m": 0, "1h": 3})
	require.NoError(t, b.read(t0.Add(2*time.Hour)))
	check(map[string]float64{"15m": 0, "1h": 0}, map[string]float64{"15m": 0, "1h": 0},
		map[string]float64{"15m": 0, "1h": 0}, map[string]float64{"15m": 0, "1h": 0})
	for row := range b.storage.rows {
		assert.False(t, strings.HasPrefix(row, "people\x00"), "a pseudonym outlives its window")
	}
}

func TestReclassifiedFailureCountsItsUser(t *testing.T) {
	b := newBench(t, nil)
	require.NoError(t, b.read(t0, login(1, t0)))
	require.NoError(t, b.read(t0.Add(time.Minute), login(1, t0, func(l *record.Login) { l.FailedCode, l.Updated = "7", t0.Add(time.Minute) })))
	assert.Equal(t, map[string]float64{"15m": 1, "1h": 1}, b.values(loginFailedUsers, "window"))
	assert.Equal(t, map[string]float64{"15m": 1, "1h": 1}, b.values(maxFailuresPerUser, "window"))
	b.restart()
	assert.Equal(t, map[string]float64{"15m": 1, "1h": 1}, b.values(loginUsers, "window"))
}

// A record that fails after it was counted makes two samples of one time, each of which
// the next process knows.
func TestReclassifiedFailureOutlivesTheProcess(t *testing.T) {
	b := newBench(t, nil)
	fails := func(l *record.Login) { l.FailedCode, l.Updated = "7", t0.Add(time.Second) }
	require.NoError(t, b.read(t0, login(1, t0, inGroup("a"))))
	require.NoError(t, b.read(t0.Add(time.Minute), login(1, t0, inGroup("b"), fails)))
	for range 2 {
		users := b.values(groupUsers, "desktop_group", "window")
		assert.Equal(t, 1.0, users["a/1h"])
		assert.Equal(t, 1.0, b.values(loginFailedUsers, "window")["1h"])
		assert.Equal(t, 1.0, b.values(maxFailuresPerUser, "window")["1h"])
		b.restart()
	}
	require.NoError(t, b.read(t0.Add(2*time.Hour)))
	b.restart()
	assert.Zero(t, b.values(loginUsers, "window")["1h"])
	for key := range b.storage.rows {
		assert.False(t, strings.HasPrefix(key, "people\x00"), "a sample is left over")
	}
}

// A record of a wrong clock, far ahead, stays in a window no longer than others do, and
// what earlier versions have stored of such leaves it.
func TestAUserOfTheFutureLeaves(t *testing.T) {
	b := newBench(t, nil)
	future := login(1, t0.Add(40*24*time.Hour), func(l *record.Login) { l.FailedCode, l.PreConnect = "7", t0.Add(-time.Minute) })
	failed := func() float64 { return b.values(loginFailedUsers, "window")["1h"] }
	require.NoError(t, b.read(t0, future))
	assert.Equal(t, 1.0, failed())
	require.NoError(t, b.read(t0.Add(time.Hour)))
	assert.Zero(t, failed())
	assert.Zero(t, b.values(maxFailuresPerUser, "window")["1h"])

	list := b.accumulator.state.aggregators.all
	p := list[slices.IndexFunc(list, func(a aggregator) bool { _, is := a.(*userWindows); return is })].(*userWindows)
	v := p.sample("g", 2, 0, true)
	v.at, v.id = future.Start.UnixMilli(), future.ID
	p.insert(v)
	p.added = append(p.added, v)
	require.NoError(t, b.read(t0.Add(2*time.Hour)))
	assert.Zero(t, failed())
	for key := range b.storage.rows {
		assert.False(t, strings.HasPrefix(key, "people\x00"), "a sample is left over")
	}
}

// When a clock that was ahead comes back, the windows are what they would have been.
func TestWindowsGoBackWithTheClock(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b, straight := newBench(t, nil), newBench(t, nil)
		now := t0
		for range rapid.IntRange(1, 8).Draw(rt, "polls") {
			now = now.Add(time.Duration(rapid.IntRange(1, 10).Draw(rt, "minutes")) * time.Minute)
			l := login(rapid.IntRange(1, 5).Draw(rt, "user"), now, failing("7"))
			l.ID[9] = byte(now.Sub(t0) / time.Minute)
			l.Invariant[9] = l.ID[9]
			ahead := time.Duration(rapid.IntRange(0, 30).Draw(rt, "ahead")) * time.Minute
			require.NoError(rt, b.read(now.Add(ahead), l)) // less than the longest window, which forgets
			require.NoError(rt, straight.read(now, l))
			require.NoError(rt, b.read(now))
			require.Equal(rt, straight.values(loginUsers, "window")["15m"], b.values(loginUsers, "window")["15m"])
			require.Equal(rt, straight.values(maxFailuresPerUser, "window")["15m"], b.values(maxFailuresPerUser, "window")["15m"])
		}
	})
}

func TestOpenConnectionsFollowTheirRecords(t *testing.T) {
	b := newBench(t, nil)
	moved := func(l *record.Login) { l.Machine, l.Updated = "n", t0.Add(time.Second) }
	require.NoError(t, b.read(t0, login(1, t0), login(2, t0)))
	assert.Equal(t, map[string]float64{"m": 2}, b.values(openConnections, "machine_name"))
	require.NoError(t, b.read(t0.Add(time.Second), login(1, t0, moved), login(3, t0, moved, func(l *record.Login) { l.End = t0.Add(time.Second) })))
	assert.Equal(t, map[string]float64{"m": 1, "n": 1}, b.values(openConnections, "machine_name"))
	b.restart()
	require.NoError(t, b.read(t0.Add(2*time.Second), login(1, t0, moved, func(l *record.Login) { l.End = t0.Add(2 * time.Second) }), login(2, t0)))
	assert.Equal(t, map[string]float64{"m": 1, "n": 0}, b.values(openConnections, "machine_name"))
	assert.Equal(t, map[string]float64{"g": 2}, b.values(sessionDuration, "desktop_group"))
}

func TestInvalidFieldsCountOncePerRecord(t *testing.T) {
	b := newBench(t, nil)
	bad := func(l *record.Login) { l.Invalid = []string{"end_time"} }
	for range 3 {
		require.NoError(t, b.read(t0, login(1, t0, bad), login(2, t0, func(l *record.Login) { l.PreConnect = t0.Add(time.Second) })))
	}
	assert.Equal(t, map[string]float64{"end_time": 1, "login_duration": 1}, b.values(invalidFields, "field"))
	assert.Equal(t, map[string]float64{"": 2}, b.values(recordDelay), "the delay is that of being counted")
	assert.Equal(t, map[string]float64{"counted": 2, "duplicate": 4, "updated": 0, "pending": 0, "expired": 0, "given_up": 0, "forgotten": 0, "reclassified": 0, "invalid": 0},
		b.values(recordsTotal, "disposition"))
}

func ofKind(k Kind) func(*Options) {
	return func(o *Options) {
		o.Kind, o.Source, o.ConstantLabels = k, fmt.Sprint("source", k), map[string]string{"site": "x"}
	}
}

func (b *bench) snapshot(now time.Time, sessions ...record.Session) {
	b.t.Helper()
	b.clock = now
	require.NoError(b.t, b.accumulator.Commit(&record.Batch{From: now.Add(-30 * 24 * time.Hour), To: now, Now: now, Sessions: sessions, UpToDate: true}))
}

func (b *bench) statistics(from, to time.Time, accesses ...record.Access) {
	b.t.Helper()
	b.clock = to
	require.NoError(b.t, b.accumulator.Commit(&record.Batch{From: from, To: to, Now: to, Accesses: accesses, UpToDate: true}))
}

func session(n int, machine, state string) record.Session {
	return record.Session{ID: record.Identity{byte(n), 9}, Group: "g", Machine: machine, State: state, Start: t0}
}

func TestSessionsShowTheNewestSnapshot(t *testing.T) {
	b := newBench(t, ofKind(Sessions))
	b.snapshot(t0, session(1, "m", "Active"), session(2, "m", "Active"), session(3, "n", "Disconnected"), session(4, "n", "SignedOut"), session(5, "n", "AppcInit"))
	assert.Equal(t, map[string]float64{"m/g/Active": 2, "n/g/Disconnected": 1, "n/g/AppcInit": 1}, b.values(serverSessions, "machine_name", "server_group", "session_state"))
	b.snapshot(t0.Add(time.Minute), session(1, "m", "Disconnected"))
	assert.Equal(t, map[string]float64{"m/Active": 0, "m/Disconnected": 1, "n/Disconnected": 0, "n/AppcInit": 0}, b.values(serverSessions, "machine_name", "session_state"), "what is gone goes to 0")
	b.snapshot(t0.Add(2*time.Minute), session(1, "m", "Disconnected"))
	assert.Equal(t, map[string]float64{"m/Disconnected": 1}, b.values(serverSessions, "machine_name", "session_state"), "and then away")
}

func TestTwoVersionsOfASessionAreOneSession(t *testing.T) {
	for _, newestFirst := range []bool{false, true} {
		b := newBench(t, ofKind(Sessions))
		versions := []record.Session{session(1, "m", "Active"), session(1, "m", "Disconnected")}
		versions[1].Updated = t0.Add(time.Second)
		if newestFirst {
			slices.Reverse(versions)
		}
		b.snapshot(t0.Add(time.Minute), versions...)
		assert.Equal(t, map[string]float64{"m/Disconnected": 1}, b.values(serverSessions, "machine_name", "session_state"))
	}
}

// Sessions that are over are many, and nothing but a number.
func TestSessionsThatAreOverAreRead(t *testing.T) {
	b := newBench(t, ofKind(Sessions))
	r := &record.Batch{From: t0.Add(-time.Hour), To: t0, Now: t0, UpToDate: true}
	for n, state := range []string{"SignedOut", "Active", "SignedOut"} {
		s := session(n, "m", state)
		require.NoError(t, r.AddSession(&s))
	}
	require.Len(t, r.Sessions, 1)
	require.NoError(t, b.accumulator.Commit(r))
	assert.Equal(t, map[string]float64{"m/Active": 1}, b.values(serverSessions, "machine_name", "session_state"))
	assert.Equal(t, 3.0, b.values(recordsTotal, "disposition")["duplicate"])
}

func TestFailedSessionsCountOnce(t *testing.T) {
	b := newBench(t, ofKind(Sessions))
	failed := func(n int, code string) record.Session {
		s := session(n, "m", record.StateFailed)
		s.FailedCode = code
		return s
	}
	b.snapshot(t0, failed(1, "7"), failed(2, ""), session(3, "m", "AppcInit"))
	for day := range 40 {
		b.restart()
		b.snapshot(t0.Add(time.Duration(day)*24*time.Hour), failed(1, "7"), failed(2, ""), failed(3, "7"))
	}
	assert.Equal(t, map[string]float64{"g/7": 2, "g/unknown": 1}, b.values(sessionFailures, "server_group", "failed_code"))
	b.snapshot(t0.Add(100 * 24 * time.Hour))
	for row := range b.storage.rows {
		assert.False(t, strings.HasPrefix(row, "failed_sessions\x00"), "a session that cannot come back is remembered")
	}
}

func TestAccessStatisticsAddUp(t *testing.T) {
	b := newBench(t, ofKind(AccessStatistics))
	access := func(user, n int, code string, at time.Time) record.Access {
		return record.Access{User: record.Person(user), Failures: n, Code: code, Last: at}
	}
	b.statistics(t0.Add(-time.Hour), t0, access(1, 3, "E1", t0.Add(-50*time.Minute)), access(2, 1, "E2", t0.Add(-time.Minute)), access(1, 2, "", t0.Add(-40*time.Minute)))
	assert.Equal(t, map[string]float64{"E1": 3, "E2": 1, "unknown": 2}, b.values(accessFailures, "error_code"))
	assert.Equal(t, map[string]float64{"1h": 2}, b.values(accessFailedUsers, "window"))
	b.restart()
	b.statistics(t0, t0.Add(30*time.Minute), access(3, 5, "E1", t0.Add(time.Minute)))
	assert.Equal(t, map[string]float64{"E1": 8, "E2": 1, "unknown": 2}, b.values(accessFailures, "error_code"))
	assert.Equal(t, map[string]float64{"1h": 2}, b.values(accessFailedUsers, "window"), "the first user failed more than an hour ago")
}

func TestDesktopsHaveRoundTrips(t *testing.T) {
	b := newBench(t, ofKind(DesktopLogins))
	ms := func(n int) *time.Duration { d := time.Duration(n) * time.Millisecond; return &d }
	connection := func(n int, change ...func(*record.Login)) record.Login {
		return login(n, t0, append(change, func(l *record.Login) { l.PreConnect, l.Setup = time.Time{}, t0.Add(4*time.Second) })...)
	}
	measured := func(l *record.Login) { l.NetworkRTT, l.EndToEndRTT = ms(20), ms(45) }
	for range 2 {
		require.NoError(t, b.read(t0.Add(time.Minute), connection(1, measured), connection(2, func(l *record.Login) { l.Reconnect = true }), connection(3)))
	}
	require.NoError(t, b.read(t0.Add(2*time.Minute), connection(3, func(l *record.Login) { l.NetworkRTT = ms(7) })))
	assert.Equal(t, map[string]float64{"Windows 10": 2}, b.values(networkRoundTrip, "client_type"))
	assert.Equal(t, map[string]float64{"Windows 10": 1}, b.values(endToEndRoundTrip, "client_type"))
	assert.Equal(t, map[string]float64{"g": 2}, b.values(loginDuration, "desktop_group"), "a reconnect is no login to wait for")
	assert.Equal(t, 8.0, b.families()[loginDuration.Name].Metric[0].Histogram.GetSampleSum())
	assert.Equal(t, map[string]float64{"g": 3}, b.values(loginAttempts, "desktop_group"))
}

func TestMetricsAreWellFormed(t *testing.T) {
	logins := newBench(t, ofKind(Logins))
	require.NoError(t, logins.read(t0, login(1, t0, func(l *record.Login) { l.End = t0.Add(time.Second) }), login(2, t0, failing("7"), func(l *record.Login) { l.Invalid = []string{"id"} }),
		login(3, t0, failing("unknown")))) // which has an explanation
	desktops := newBench(t, func(o *Options) { ofKind(DesktopLogins)(o); o.Product = "desktop" })
	rtt := time.Millisecond
	require.NoError(t, desktops.read(t0, login(1, t0, func(l *record.Login) { l.NetworkRTT, l.EndToEndRTT, l.Reconnect = &rtt, &rtt, true })))
	snapshots := newBench(t, ofKind(Sessions))
	snapshots.snapshot(t0, session(1, "m", "Active"), session(2, "m", record.StateFailed))
	statistics := newBench(t, ofKind(AccessStatistics))
	statistics.statistics(t0, t0, record.Access{User: 1, Failures: 1})
	fleet := newBench(t, ofKind(Servers))
	fleet.fleet(record.Fleet{LatestAgent: "1", Servers: []record.Server{server(1, "g", record.StatusRegistered, 1)}, Groups: []record.ServerGroup{{ID: "g", MaxSessions: 1}}})
	park := newBench(t, ofKind(DesktopNumbers))
	park.desktops(desktopCount("", 1, 1))
	launches := newBench(t, func(o *Options) { ofKind(AppLaunches)(o); o.StageRoom = 1 })
	require.NoError(t, launches.read(t0, login(1, t0, func(l *record.Login) { l.End = t0.Add(time.Second) }), login(2, t0, failing("unknown"), transaction("t"))))
	launches.finish(record.StageOutcome{Result: record.StageFound, Stage: record.FailedStage{Stage: "LOGIN", ErrorCode: "7"}})

	process := prometheus.NewRegistry()
	ours := NewExporter(process)
	ours.Source("p", "user_connections")
	ours.Request("p")("ListUserConnection", "200", time.Second)
	e := NewExposition(process)
	e.Publish([]*Accumulator{logins.accumulator, desktops.accumulator, snapshots.accumulator, statistics.accumulator, fleet.accumulator, park.accumulator, launches.accumulator}, map[string]string{"site": "x"})
	// The library's own gatherer checks consistency, which ours leaves out.
	families, err := prometheus.Gatherers{e}.Gather()
	require.NoError(t, err)
	problems, err := testutil.GatherAndLint(e)
	require.NoError(t, err)
	assert.Empty(t, problems)
	shown := map[string]bool{}
	for _, f := range families {
		shown[f.GetName()] = true
		for _, m := range f.Metric {
			for _, l := range m.Label {
				assert.NotContains(t, setByScrapers, l.GetName(), "%s: the scrape would rename the label", f.GetName())
			}
			assert.True(t, slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == "site" }), f.GetName())
		}
	}
	for _, m := range Metrics {
		assert.True(t, shown[m.Name], "%s is fed by nothing", m.Name)
	}
}

// setByScrapers are the labels that every target has, or that the Prometheus operator
// gives it: a scrape renames ours of the same name to exported_...
var setByScrapers = []string{"job", "instance", "service", "endpoint", "namespace", "pod", "container", "node"}

func TestNativeBucketsAgreeWithTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ours := newHistogram(loginDuration.Buckets)
		theirs := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x", Buckets: loginDuration.Buckets, NativeHistogramBucketFactor: 1.1})
		for range rapid.IntRange(1, 30).Draw(t, "n") {
			d := time.Duration(rapid.IntRange(0, 1_000_000).Draw(t, "ms")) * time.Millisecond
			if rapid.Bool().Draw(t, "whole") {
				d = time.Duration(1<<rapid.IntRange(0, 16).Draw(t, "power")) * time.Second
			}
			ours.observe(loginDuration.Buckets, d)
			theirs.Observe(d.Seconds())
		}
		var want dto.Metric
		require.NoError(t, theirs.Write(&want))
		got := ours.write(loginDuration.Buckets, want.Histogram.CreatedTimestamp)
		assert.InDelta(t, want.Histogram.GetSampleSum(), got.GetSampleSum(), 1e-6)
		got.SampleSum = want.Histogram.SampleSum
		assert.Equal(t, want.Histogram.String(), got.String())
	})
}

func TestHoldsFollowTheConfiguration(t *testing.T) {
	b := newBench(t, func(o *Options) { o.NewSeriesHold = 10 * time.Minute })
	require.NoError(t, b.read(t0))
	require.NoError(t, b.read(t0.Add(time.Minute), login(1, t0)))
	assert.Equal(t, map[string]float64{"g": 0}, b.values(loginAttempts, "desktop_group"))
	b.options.NewSeriesHold = 0
	b.restart()
	assert.Equal(t, map[string]float64{"g": 1}, b.values(loginAttempts, "desktop_group"))
	b.options.NewSeriesHold = 10 * time.Minute
	b.restart()
	assert.Equal(t, map[string]float64{"g": 1}, b.values(loginAttempts, "desktop_group"), "what was shown must not fall")
}

func TestClockSetBackLetsNoCounterFall(t *testing.T) {
	b := newBench(t, func(o *Options) { o.NewSeriesHold = 2 * time.Minute })
	require.NoError(t, b.read(t0))
	require.NoError(t, b.read(t0.Add(time.Minute), login(1, t0)))
	require.NoError(t, b.read(t0.Add(4*time.Minute)))
	assert.Equal(t, map[string]float64{"g": 1}, b.values(loginAttempts, "desktop_group"))
	b.clock = t0.Add(-time.Hour)
	b.restart()
	assert.Equal(t, map[string]float64{"g": 1}, b.values(loginAttempts, "desktop_group"))
}

// seenWithItsValue is an accumulator of which a scrape has seen a new series with its value, with
// no commit of records since its hold ended. The machine's clock is then set back.
func seenWithItsValue(t *testing.T) *bench {
	b := newBench(t, func(o *Options) { o.NewSeriesHold = 2 * time.Minute })
	require.NoError(t, b.read(t0))
	at := t0.Add(time.Minute)
	require.NoError(t, b.read(at, login(1, at)))
	b.clock = at.Add(2*time.Minute + 10*time.Second)
	require.Equal(t, map[string]float64{"g": 1}, b.values(loginAttempts, "desktop_group"), "shown when the hold has ended")
	require.NoError(t, b.holdErr)
	b.clock = b.clock.Add(-30 * time.Second)
	return b
}

func TestAHoldThatHasEndedStaysEnded(t *testing.T) {
	one := map[string]float64{"g": 1}
	t.Run("restart", func(t *testing.T) {
		b := seenWithItsValue(t)
		b.restart()
		assert.Equal(t, one, b.values(loginAttempts, "desktop_group"))
	})
	t.Run("failed commit", func(t *testing.T) {
		b := seenWithItsValue(t)
		b.storage.fail = errors.New("disk full")
		require.Error(t, b.read(b.clock))
		b.storage.fail = nil
		_, err := b.accumulator.Position() // loads what the store holds
		require.NoError(t, err)
		assert.Equal(t, one, b.values(loginAttempts, "desktop_group"))
	})
	t.Run("another hold", func(t *testing.T) {
		b := seenWithItsValue(t)
		b.options.NewSeriesHold = time.Hour
		b.restart()
		assert.Equal(t, one, b.values(loginAttempts, "desktop_group"))
	})
}

// What is not on disk is not shown: a hold goes on until its end can be written.
func TestAHoldEndsOnDiskFirst(t *testing.T) {
	b := newBench(t, func(o *Options) { o.NewSeriesHold = 2 * time.Minute })
	require.NoError(t, b.read(t0))
	require.NoError(t, b.read(t0.Add(time.Minute), login(1, t0)))
	b.clock = t0.Add(4 * time.Minute)
	b.storage.fail = errors.New("disk full")
	assert.Equal(t, map[string]float64{"g": 0}, b.values(loginAttempts, "desktop_group"))
	require.ErrorIs(t, b.holdErr, b.storage.fail)
	b.storage.fail, b.storage.failAfter = nil, errors.New("power cut")
	assert.Equal(t, map[string]float64{"g": 0}, b.values(loginAttempts, "desktop_group"))
	b.storage.failAfter = nil
	b.clock = t0.Add(-time.Hour)
	assert.Equal(t, map[string]float64{"g": 0}, b.values(loginAttempts, "desktop_group"), "no commit since")
	_, err := b.accumulator.Position()
	require.NoError(t, err)
	assert.Equal(t, map[string]float64{"g": 1}, b.values(loginAttempts, "desktop_group"), "as it is on disk")
}

func TestAReviewMovesNothing(t *testing.T) {
	b := newBench(t, nil)
	open := login(1, t0.Add(-time.Hour))
	require.NoError(t, b.read(t0, open))
	before, err := b.accumulator.Position()
	require.NoError(t, err)
	require.NoError(t, b.accumulator.Commit(&record.Batch{From: t0.Add(-time.Hour), To: t0.Add(time.Minute), Now: t0.Add(time.Minute), Reread: true,
		Logins: []record.Login{open, login(2, t0)}}))
	after, err := b.accumulator.Position()
	require.NoError(t, err)
	assert.Equal(t, before, after)
	assert.Equal(t, map[string]float64{"g": 1}, b.values(loginAttempts, "desktop_group"), "what it finds beside is for the next poll")
}

// A piece of a poll that catches up may end before the cursor of the poll before.
func TestTheCursorNeverGoesBack(t *testing.T) {
	b := newBench(t, nil)
	require.NoError(t, b.read(t0))
	require.NoError(t, b.accumulator.Commit(&record.Batch{From: t0.Add(-15 * time.Minute), To: t0.Add(-5 * time.Minute), Now: t0.Add(time.Hour)}))
	position, err := b.accumulator.Position()
	require.NoError(t, err)
	assert.Equal(t, t0, position.Cursor)
}

func TestAUserIsInAWindowUntilItsVeryEnd(t *testing.T) {
	b := newBench(t, nil)
	require.NoError(t, b.read(t0))
	require.NoError(t, b.read(t0, login(1, t0.Add(-15*time.Minute)), login(2, t0.Add(-15*time.Minute+time.Millisecond))))
	assert.Equal(t, map[string]float64{"15m": 1, "1h": 2}, b.values(loginUsers, "window"))
	require.NoError(t, b.read(t0.Add(time.Hour)))
	assert.Equal(t, map[string]float64{"15m": 0, "1h": 0}, b.values(loginUsers, "window"))
}

func TestAFailedCommitTakesNoRoom(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Limits = NewLimits(2, nil) })
	require.NoError(t, b.read(t0, login(1, t0)))
	b.storage.fail = errors.New("no space left on device")
	for range 5 {
		require.Error(t, b.read(t0.Add(time.Minute), login(2, t0, inGroup("new"))))
	}
	b.storage.fail = nil
	require.NoError(t, b.read(t0.Add(time.Minute), login(2, t0, inGroup("new"))))
	assert.Equal(t, map[string]float64{"g": 1, "new": 1}, b.values(loginAttempts, "desktop_group"))
}
