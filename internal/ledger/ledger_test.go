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
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// noon is when the first batch of a test is made.
var noon = time.Date(2026, 5, 21, 12, 0, 0, 0, time.UTC)

var defaultRules = Rules{SuccessCodes: []string{"", "0"}, PendingTimeout: time.Hour}

// identity makes a record's identity from a number.
func identity(kind byte, n int) record.Identity { return record.Identity{kind, byte(n >> 8), byte(n)} }

// login is a version of record n, with times in minutes relative to noon; a time that
// is not named is unknown.
type login struct {
	n                        int
	pre, start, end, updated float64
	code, reason             string
}

// unknown is a time that the record has not.
const unknown = 0

func at(minutes float64) time.Time {
	if minutes == unknown {
		return time.Time{}
	}
	return noon.Add(time.Duration(minutes * float64(time.Minute)))
}

func (v login) record() record.Login {
	return record.Login{ID: identity('i', v.n), Invariant: identity('v', v.n), Group: "office", Machine: "vm",
		PreConnect: at(v.pre), Start: at(v.start), End: at(v.end), Updated: at(v.updated), FailedCode: v.code, FailedReason: v.reason}
}

// batch is a batch of the last hour, so many minutes after noon.
func batch(minutes float64, versions ...record.Login) *record.Batch {
	now := noon.Add(time.Duration(minutes * float64(time.Minute)))
	return &record.Batch{From: now.Add(-time.Hour), To: now, Now: now, Logins: versions, UpToDate: true}
}

// totals are what events add up to.
type totals struct {
	Attempts     int
	Failures     map[string]int
	Logins       []time.Duration // login durations, sorted
	Sessions     []time.Duration // session durations, sorted
	Invalid      []string
	Dispositions []Disposition // in order
}

func newTotals() *totals { return &totals{Failures: map[string]int{}} }

func (s *totals) add(e *Event) {
	s.Dispositions = append(s.Dispositions, e.Disposition)
	if e.Attempt {
		s.Attempts++
	}
	if e.FailedCode != "" {
		s.Failures[e.FailedCode]++
	}
	if e.LoginDuration != nil {
		s.Logins = append(s.Logins, *e.LoginDuration)
	}
	if e.SessionDuration != nil {
		s.Sessions = append(s.Sessions, *e.SessionDuration)
	}
	s.Invalid = append(s.Invalid, e.InvalidFields...)
	slices.Sort(s.Logins)
	slices.Sort(s.Sessions)
}

func applyAll(l *Ledger, batches ...*record.Batch) *totals {
	s := newTotals()
	for _, r := range batches {
		l.Apply(r, s.add)
	}
	return s
}

func TestOutcome(t *testing.T) {
	for name, c := range map[string]struct {
		codes        []string // nil is the default
		code, reason string
		started      bool
		want         outcome
		wantCode     string
	}{
		"started":                           {started: true, want: success},
		"started with a success code":       {code: "0", started: true, want: success},
		"success code with a reason":        {code: "0", reason: "all fine", started: true, want: success},
		"neither":                           {want: pending},
		"success code, not started":         {code: "0", want: pending},
		"code":                              {code: "1003", want: failure, wantCode: "1003"},
		"code and start":                    {code: "1003", started: true, want: failure, wantCode: "1003"},
		"reason alone":                      {reason: "no server", want: failure, wantCode: CodeUnknown},
		"reason alone and start":            {reason: "no server", started: true, want: failure, wantCode: CodeUnknown},
		"another success code":              {codes: []string{"", "OK"}, code: "OK", started: true, want: success},
		"0 is no success code":              {codes: []string{"", "OK"}, code: "0", started: true, want: failure, wantCode: "0"},
		"no code is no success":             {codes: []string{"0"}, started: true, want: failure, wantCode: CodeUnknown},
		"no code is no success, not begun":  {codes: []string{"0"}, want: failure, wantCode: CodeUnknown},
		"codes are compared letter by case": {codes: []string{"", "ok"}, code: "OK", started: true, want: failure, wantCode: "OK"},
	} {
		rules := Rules{SuccessCodes: c.codes}
		if c.codes == nil {
			rules = defaultRules
		}
		l := record.Login{FailedCode: c.code, FailedReason: c.reason}
		if c.started {
			l.Start = noon
		}
		got, code := rules.outcome(&l)
		assert.Equal(t, c.want, got, name)
		assert.Equal(t, c.wantCode, code, name)
	}
}

// A history is what was read of one record, one slice of versions a batch, made at
// the minutes 1, 2, .. after noon.
func TestHistories(t *testing.T) {
	const pre, start, end = -10, -9.5, -1
	began := login{pre: pre, updated: pre}
	stands := login{pre: pre, start: start, updated: start}
	ended := login{pre: pre, start: start, end: end, updated: end}
	broke := login{pre: pre, code: "7", updated: -9}
	broken := login{pre: pre, start: start, code: "7", updated: -5} // stood first
	login30s, session := 30*time.Second, 510*time.Second

	for name, c := range map[string]struct {
		batches [][]login
		want    totals
		open    bool
	}{
		"success": {[][]login{{stands}}, totals{Attempts: 1, Logins: []time.Duration{login30s}, Dispositions: []Disposition{Counted}}, true},
		"failure": {[][]login{{broke}}, totals{Attempts: 1, Failures: map[string]int{"7": 1}, Dispositions: []Disposition{Counted}}, false},
		"failure by its reason": {[][]login{{{pre: pre, reason: "none free"}}},
			totals{Attempts: 1, Failures: map[string]int{CodeUnknown: 1}, Dispositions: []Disposition{Counted}}, false},
		"pending": {[][]login{{began}}, totals{Dispositions: []Disposition{Pending}}, false},
		"pending, then success": {[][]login{{began}, {began}, {stands}},
			totals{Attempts: 1, Logins: []time.Duration{login30s}, Dispositions: []Disposition{Pending, Duplicate, Counted}}, true},
		"pending, then failure": {[][]login{{began}, {broke}},
			totals{Attempts: 1, Failures: map[string]int{"7": 1}, Dispositions: []Disposition{Pending, Counted}}, false},
		"the end comes late": {[][]login{{stands}, {stands}, {ended}, {ended}},
			totals{Attempts: 1, Logins: []time.Duration{login30s}, Sessions: []time.Duration{session}, Dispositions: []Disposition{Counted, Duplicate, Updated, Duplicate}}, false},
		"all at once": {[][]login{{ended}},
			totals{Attempts: 1, Logins: []time.Duration{login30s}, Sessions: []time.Duration{session}, Dispositions: []Disposition{Counted}}, false},
		"two versions in one batch": {[][]login{{stands, ended}},
			totals{Attempts: 1, Logins: []time.Duration{login30s}, Sessions: []time.Duration{session}, Dispositions: []Disposition{Counted, Updated}}, false},
		"two versions, the newer first": {[][]login{{ended, stands}},
			totals{Attempts: 1, Logins: []time.Duration{login30s}, Sessions: []time.Duration{session}, Dispositions: []Disposition{Counted, Updated}}, false},
		"an old version comes back": {[][]login{{ended}, {stands}, {began}, {ended}},
			totals{Attempts: 1, Logins: []time.Duration{login30s}, Sessions: []time.Duration{session}, Dispositions: []Disposition{Counted, Duplicate, Duplicate, Duplicate}}, false},
		"success, then failure": {[][]login{{stands}, {broken}, {broken}},
			totals{Attempts: 1, Failures: map[string]int{"7": 1}, Logins: []time.Duration{login30s}, Dispositions: []Disposition{Counted, Reclassified, Duplicate}}, false},
		"success, then failure, in one batch": {[][]login{{broken, stands}},
			totals{Attempts: 1, Failures: map[string]int{"7": 1}, Logins: []time.Duration{login30s}, Dispositions: []Disposition{Counted, Reclassified}}, false},
		"success, failure, other failure": {[][]login{{stands}, {broken}, {{pre: pre, start: start, code: "8", updated: -4}}},
			totals{Attempts: 1, Failures: map[string]int{"7": 1}, Logins: []time.Duration{login30s}, Dispositions: []Disposition{Counted, Reclassified, Updated}}, false},
		"failure, then success": {[][]login{{broke}, {stands}},
			totals{Attempts: 1, Failures: map[string]int{"7": 1}, Logins: []time.Duration{login30s}, Dispositions: []Disposition{Counted, Updated}}, false},
		"failure, then a newer success": {[][]login{{broke}, {{pre: pre, start: start, updated: -8}}},
			totals{Attempts: 1, Failures: map[string]int{"7": 1}, Logins: []time.Duration{login30s}, Dispositions: []Disposition{Counted, Updated}}, true},
		"a failure has no durations": {[][]login{{{pre: pre, start: start, end: end, code: "7"}}},
			totals{Attempts: 1, Failures: map[string]int{"7": 1}, Dispositions: []Disposition{Counted}}, false},
		"the start is corrected": {[][]login{{stands}, {{pre: pre, start: -9, updated: -8}}, {{pre: pre, end: end, updated: end}}},
			totals{Attempts: 1, Logins: []time.Duration{login30s}, Sessions: []time.Duration{8 * time.Minute}, Dispositions: []Disposition{Counted, Updated, Updated}}, false},
		"without update times": {[][]login{{{pre: pre}}, {{pre: pre, start: start}}, {{pre: pre, start: start, end: end}}},
			totals{Attempts: 1, Logins: []time.Duration{login30s}, Sessions: []time.Duration{8*time.Minute + login30s}, Dispositions: []Disposition{Pending, Counted, Updated}}, false},
		"without update times, an old version comes back": {[][]login{{{pre: pre, start: start, code: "7"}}, {{pre: pre, start: start}}},
			totals{Attempts: 1, Failures: map[string]int{"7": 1}, Logins: []time.Duration{login30s}, Dispositions: []Disposition{Counted, Updated}}, false},
		"without a pre-connect time": {[][]login{{{start: start, end: end}}},
			totals{Attempts: 1, Sessions: []time.Duration{session}, Dispositions: []Disposition{Counted}}, false},
		"without any time": {[][]login{{{code: "7"}}, {{code: "7"}}},
			totals{Attempts: 1, Failures: map[string]int{"7": 1}, Dispositions: []Disposition{Counted, Duplicate}}, false},
		"negative durations": {[][]login{{{pre: -1, start: -2, end: -3}}, {{pre: -1, start: -2, end: -3}}},
			totals{Attempts: 1, Invalid: []string{"login_duration", "session_duration"}, Dispositions: []Disposition{Counted, Duplicate}}, false},
		"durations of nothing": {[][]login{{{pre: -2, start: -2, end: -2}}},
			totals{Attempts: 1, Logins: []time.Duration{0}, Sessions: []time.Duration{0}, Dispositions: []Disposition{Counted}}, false},
		"a clock that is ahead": {[][]login{{{pre: pre, start: start, end: 1.01, updated: 1.01}}, {{pre: pre, start: start, end: 1.01, updated: 1.01}}},
			totals{Attempts: 1, Logins: []time.Duration{login30s}, Sessions: []time.Duration{630*time.Second + 600*time.Millisecond}, Dispositions: []Disposition{Counted, Duplicate}}, false},
		"a clock that is days ahead": {[][]login{{{pre: 5000, start: 5001}}, {{pre: 5000, start: 5001}}},
			totals{Attempts: 1, Logins: []time.Duration{time.Minute}, Dispositions: []Disposition{Counted, Duplicate}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			l, got := New(defaultRules), newTotals()
			for i, versions := range c.batches {
				var logins []record.Login
				for _, v := range versions {
					logins = append(logins, v.record())
				}
				l.Apply(batch(float64(i+1), logins...), got.add)
			}
			if c.want.Failures == nil {
				c.want.Failures = map[string]int{}
			}
			assert.Equal(t, &c.want, got)
			wantOpen := map[Place]int64{}
			if c.open {
				wantOpen[Place{Group: "office", Machine: "vm"}] = 1
			}
			assert.Equal(t, wantOpen, l.OpenConnections())
			assert.Equal(t, 1, l.Len())
		})
	}
}

func TestPendingExpires(t *testing.T) {
	began := login{pre: -1, updated: -1}
	for name, c := range map[string]struct {
		version login
		batches []*record.Batch // after the first one, at minute 0; Logins is replaced if it is not empty
		want    []Disposition
	}{
		"not before its time": {began, []*record.Batch{batch(59, record.Login{})}, []Disposition{Pending, Duplicate}},
		"after its time":      {began, []*record.Batch{batch(60, record.Login{})}, []Disposition{Pending, Duplicate, Expired}},
		"once":                {began, []*record.Batch{batch(60, record.Login{}), batch(61, record.Login{}), batch(62)}, []Disposition{Pending, Duplicate, Expired, Duplicate}},
		"not while nobody looks where it is": {began,
			[]*record.Batch{batch(600), batch(1200)}, []Disposition{Pending}},
		"when it was looked for twice and is gone": {began,
			[]*record.Batch{{From: at(-30), To: at(30), Now: at(90), Reread: true}, {From: at(-30), To: at(30), Now: at(91), Reread: true}}, []Disposition{Pending, Expired}},
		"not for one window without it, which may be of a short file": {began,
			[]*record.Batch{{From: at(-30), To: at(30), Now: at(90), Reread: true}, batch(200)}, []Disposition{Pending}},
		"when its time is over, long after it was found to be gone": {began,
			[]*record.Batch{{From: at(-30), To: at(30), Now: at(31), Reread: true}, {From: at(-30), To: at(30), Now: at(32), Reread: true}, {From: at(-30), To: at(30), Now: at(40)}, batch(200)}, []Disposition{Pending, Expired}},
		"not if it has come back since": {began,
			[]*record.Batch{{From: at(-30), To: at(30), Now: at(31), Reread: true}, {From: at(-30), To: at(30), Now: at(32), Reread: true}, batch(40, record.Login{}), batch(200)}, []Disposition{Pending, Duplicate}},
		"when a review finds it as it was": {began,
			[]*record.Batch{{From: at(-30), To: at(30), Now: at(90), Reread: true, Logins: make([]record.Login, 1)}}, []Disposition{Pending, Duplicate, Expired}},
		"not at the edge of a window, which may be exclusive": {began,
			[]*record.Batch{{From: at(-1), To: at(30), Now: at(90), Reread: true}, {From: at(-30), To: at(-1), Now: at(91), Reread: true}}, []Disposition{Pending}},
		"not in the middle of catching up, when it may stand in a later piece": {began,
			[]*record.Batch{{From: at(-30), To: at(30), Now: at(90)}}, []Disposition{Pending}},
		"without any time, by the clock alone":        {login{}, []*record.Batch{batch(59), batch(60)}, []Disposition{Pending, Expired}},
		"after 30 days, although nobody could look":   {began, []*record.Batch{batch(30*24*60 - 2), batch(30 * 24 * 60)}, []Disposition{Pending, Expired}},
		"counted from first sight, not from its time": {login{pre: -50}, []*record.Batch{batch(11, record.Login{})}, []Disposition{Pending, Duplicate}},
	} {
		t.Run(name, func(t *testing.T) {
			l := New(defaultRules)
			got := applyAll(l, batch(0, c.version.record()))
			for _, r := range c.batches {
				if len(r.Logins) > 0 {
					r.Logins[0] = c.version.record()
				}
				l.Apply(r, got.add)
			}
			assert.Equal(t, c.want, got.Dispositions)
			if c.want[len(c.want)-1] == Expired {
				assert.Equal(t, 1, got.Attempts)
				assert.Equal(t, map[string]int{CodePendingTimeout: 1}, got.Failures)
				assert.Empty(t, l.Unfinished(at(1e6)))
			}
		})
	}
}

// What expired stays a failure, and is not counted again when it settles after all.
func TestSettlesAfterItExpired(t *testing.T) {
	for code, version := range map[string]login{
		"success": {pre: -1, start: 61, updated: 61},
		"failure": {pre: -1, code: "7", updated: 61},
	} {
		l := New(defaultRules)
		began := login{pre: -1, updated: -1}
		got := applyAll(l, batch(0, began.record()), batch(60, began.record()), batch(62, version.record()))
		assert.Equal(t, []Disposition{Pending, Duplicate, Expired, Updated}, got.Dispositions, code)
		assert.Equal(t, 1, got.Attempts, code)
		assert.Equal(t, map[string]int{CodePendingTimeout: 1}, got.Failures, code)
	}
}

// A record that expires is counted as its newest version describes it, also after a
// restart.
func TestExpiredEventDescribesTheRecord(t *testing.T) {
	first, second := login{pre: -1, updated: -1}.record(), login{updated: 5}.record()
	second.Group, second.AgentVersion, second.User, second.ClientIP = "factory", "2.0", 7, 9
	for _, restart := range []bool{false, true} {
		l := New(defaultRules)
		applyAll(l, batch(0, first), batch(6, second))
		if restart {
			l = restarted(t, l, map[string][]byte{})
		}
		var expired []*Event
		l.Apply(batch(70, second), func(e *Event) {
			if e.Disposition == Expired {
				expired = append(expired, e)
			}
		})
		require.Len(t, expired, 1)
		want := second
		want.PreConnect = first.PreConnect // which the second version did not repeat
		assert.Equal(t, &want, expired[0].Login, "restart: %v", restart)
		assert.Equal(t, at(70), expired[0].Now)
	}
}

func TestDeletedConnectionIsClosed(t *testing.T) {
	stands := login{pre: -10, start: -9, updated: -9}.record()
	gone := func(change func(*record.Batch)) *record.Batch {
		r := batch(5)
		change(r)
		return r
	}
	for name, c := range map[string]struct {
		batch       *record.Batch
		open, twice bool
	}{
		"it is still there":         {batch(5, stands), true, true},
		"it is not there":           {batch(5), false, true},
		"a reread misses it":        {gone(func(r *record.Batch) { r.Reread, r.UpToDate = true, false }), false, true},
		"a piece misses it":         {gone(func(r *record.Batch) { r.UpToDate = false }), true, true},
		"part of it is outside":     {gone(func(r *record.Batch) { r.From = at(-9.5) }), true, true},
		"it is at the end":          {gone(func(r *record.Batch) { r.To = at(-9) }), true, true},
		"it is at the start":        {gone(func(r *record.Batch) { r.From = at(-10) }), true, true},
		"30 days are over":          {&record.Batch{From: at(43199), To: at(43200), Now: at(43200), UpToDate: true}, false, false},
		"30 days are not over":      {&record.Batch{From: at(43188), To: at(43189), Now: at(43189), UpToDate: true}, true, true},
		"30 days are over, but why": {&record.Batch{From: at(-20), To: at(43200), Now: at(43200), UpToDate: true, Logins: []record.Login{stands}}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := New(defaultRules)
			applyAll(l, batch(0, stands))
			got := applyAll(l, c.batch)
			if c.twice {
				require.Len(t, l.OpenConnections(), 1, "a file may be short")
				got = applyAll(l, c.batch)
			}
			if c.open {
				assert.Equal(t, map[Place]int64{{Group: "office", Machine: "vm"}: 1}, l.OpenConnections())
			} else {
				assert.Empty(t, l.OpenConnections())
				assert.Equal(t, Updated, got.Dispositions[len(got.Dispositions)-1])
			}
			assert.Zero(t, got.Attempts)
			assert.Empty(t, got.Sessions)
		})
	}
}

// A connection that was taken for deleted and comes back is open again, and its end is
// measured.
func TestClosedConnectionComesBack(t *testing.T) {
	l := New(defaultRules)
	stands, ended := login{pre: -10, start: -9, updated: -9}, login{pre: -10, start: -9, end: 6, updated: 6}
	applyAll(l, batch(0, stands.record()), batch(4), batch(5))
	require.Empty(t, l.OpenConnections())
	applyAll(l, batch(6, stands.record()))
	require.Equal(t, map[Place]int64{{Group: "office", Machine: "vm"}: 1}, l.OpenConnections())
	applyAll(l, batch(7))
	got := applyAll(l, batch(8, ended.record()))
	assert.Equal(t, []time.Duration{15 * time.Minute}, got.Sessions)
	assert.Zero(t, got.Attempts)
}

// A list that is filtered by update time shows a record elsewhere once it has changed.
// That a review does not find it where it was may mean no more than this, so it must
// not be forgotten at once.
func TestMovedRecordIsNotCountedTwice(t *testing.T) {
	l := New(defaultRules)
	stands, ended := login{pre: -10, start: -9, updated: -9}, login{pre: -10, start: -9, end: 120, updated: 120}
	applyAll(l, batch(0, stands.record()), batch(120))
	for range 2 {
		applyAll(l, &record.Batch{From: at(-11), To: at(-8), Now: at(120), Reread: true})
	}
	applyAll(l, batch(120))
	l.Forget(at(60))
	got := applyAll(l, batch(121, ended.record()))
	assert.Zero(t, got.Attempts)
	assert.Len(t, got.Sessions, 1)
}

// The same for a change that carries a time in the future.
func TestChangeWithFutureTimeIsRemembered(t *testing.T) {
	l := New(defaultRules)
	ended := login{pre: -10, start: -9, end: 120.1, updated: 120.1}
	applyAll(l, batch(0, login{pre: -10, start: -9, updated: -9}.record()), batch(120, ended.record()))
	applyAll(l, &record.Batch{From: at(60), To: at(70), Now: at(121)}) // the first piece of the next poll
	l.Forget(at(60))
	got := applyAll(l, &record.Batch{From: at(70), To: at(121), Now: at(121), UpToDate: true, Logins: []record.Login{ended.record()}})
	assert.Zero(t, got.Attempts)
}

func TestReviewCountsNothingNew(t *testing.T) {
	l := New(defaultRules)
	applyAll(l, batch(0, login{n: 1, pre: -1}.record()))
	got := applyAll(l, &record.Batch{From: at(-5), To: at(5), Now: at(1), Reread: true, Logins: []record.Login{
		login{n: 1, pre: -1, start: -0.5}.record(), login{n: 2, pre: -1, start: -0.5}.record(), {ID: identity('x', 3), Invariant: identity('x', 3), Malformed: true}}})
	assert.Equal(t, []Disposition{Counted}, got.Dispositions)
	assert.Equal(t, 1, l.Len())
}

func TestMalformed(t *testing.T) {
	l := New(defaultRules)
	bad := record.Login{ID: identity('x', 1), Invariant: identity('x', 1), Malformed: true}
	got := applyAll(l, batch(0, bad, login{n: 2, code: "7"}.record()), batch(1, bad))
	assert.Equal(t, []Disposition{Invalid, Counted, Duplicate}, got.Dispositions)
	assert.Equal(t, 1, got.Attempts)
	l = restarted(t, l, map[string][]byte{})
	assert.Equal(t, []Disposition{Duplicate}, applyAll(l, batch(2, bad)).Dispositions)
}

func TestInvalidFieldsCountOnce(t *testing.T) {
	version := func(updated float64, invalid ...string) record.Login {
		v := login{start: -1, updated: updated}.record()
		v.Invalid = invalid
		return v
	}
	l := New(defaultRules)
	got := applyAll(l, batch(1, version(-1, "tenant_id", "end_time")), batch(2, version(-1, "tenant_id", "end_time")),
		batch(3, version(2, "end_time", "id", "pre_conn_time")))
	assert.Equal(t, []string{"tenant_id", "end_time", "id", "pre_conn_time"}, got.Invalid)
	l = restarted(t, l, map[string][]byte{})
	assert.Empty(t, applyAll(l, batch(4, version(2, "id", "tenant_id"))).Invalid)
}

// A record may come with its id from one way and without it from another.
func TestTwoIdentities(t *testing.T) {
	with := func(n, id int) record.Login {
		v := login{n: n, pre: -10, start: -9}.record()
		v.ID = identity('i', id)
		return v
	}
	without := func(n int) record.Login {
		v := with(n, 0)
		v.ID = v.Invariant
		return v
	}
	for name, c := range map[string]struct {
		batches  [][]record.Login
		attempts int
	}{
		"with, then without":             {[][]record.Login{{with(1, 1)}, {without(1)}}, 1},
		"without, then with":             {[][]record.Login{{without(1)}, {with(1, 1)}}, 1},
		"without, with, without, with":   {[][]record.Login{{without(1)}, {with(1, 1)}, {without(1)}, {with(1, 1)}}, 1},
		"never with":                     {[][]record.Login{{without(1), without(2)}, {without(2)}, {without(1)}}, 2},
		"both in one batch":              {[][]record.Login{{without(1), with(1, 1)}}, 1},
		"both, the other way round":      {[][]record.Login{{with(1, 1), without(1)}}, 1},
		"two that look the same":         {[][]record.Login{{with(1, 1), with(1, 2)}, {with(1, 2), with(1, 1)}}, 2},
		"two, one of them seen without":  {[][]record.Login{{without(1)}, {with(1, 1), with(1, 2)}, {with(1, 1)}}, 2},
		"two, and then one without":      {[][]record.Login{{with(1, 1), with(1, 2)}, {without(1)}}, 2},
		"different ones":                 {[][]record.Login{{with(1, 1)}, {without(2)}}, 2},
		"same id, changed all the while": {[][]record.Login{{with(1, 1)}, {with(2, 1)}}, 1},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", name, restart), func(t *testing.T) {
				l, got, rows := New(defaultRules), newTotals(), map[string][]byte{}
				for i, logins := range c.batches {
					l.Apply(batch(float64(i+1), slices.Clone(logins)...), got.add)
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

func TestForget(t *testing.T) {
	l := New(defaultRules)
	rows := map[string][]byte{}
	applyAll(l, batch(0,
		login{n: 1, pre: -50, code: "7"}.record(),                // over
		login{n: 2, pre: -50}.record(),                           // pending
		login{n: 3, pre: -50, start: -50}.record(),               // open
		login{n: 4, pre: -50, start: -50, end: -5}.record(),      // ended lately
		login{n: 5, pre: -50, code: "7", updated: -5}.record(),   // changed lately
		login{n: 6, code: "7"}.record(),                          // at an unknown time: seen now
		login{n: 7, pre: 9000, code: "7", updated: -50}.record(), // in the future: seen now
		login{n: 8, pre: -50, start: -49, end: -48}.record()))    // over
	l = restarted(t, l, rows)
	require.Equal(t, 8, l.Len())
	applyAll(l, &record.Batch{From: at(0.1), To: at(0.1), Now: at(0.1)}) // in which they are not
	l.Forget(at(-30))
	assert.Equal(t, 6, l.Len())
	assert.Len(t, saved(t, l, rows), 6)
	l.Forget(at(1))
	assert.Equal(t, 2, l.Len(), "what is unfinished stays")
	assert.Equal(t, 2, restarted(t, l, rows).Len())

	l = New(defaultRules)
	old := login{n: 9, pre: -50, code: "7"}.record()
	applyAll(l, batch(1, old))
	l.Forget(at(1))
	assert.Equal(t, 1, l.Len(), "what was just read may be read again")
	applyAll(l, batch(2))
	l.Forget(at(1))
	l.KnownFrom(at(1))
	assert.Zero(t, l.Len())
	var ev []Event
	l.Apply(batch(3, old), func(e *Event) { ev = append(ev, *e) })
	require.Len(t, ev, 1)
	assert.Equal(t, Forgotten, ev[0].Disposition, "it may have been counted")
	assert.False(t, ev[0].Attempt)
	assert.Zero(t, l.Len())
}

func TestUnfinished(t *testing.T) {
	l := New(defaultRules)
	applyAll(l, batch(0,
		login{n: 1, pre: -50, updated: -20}.record(),
		login{n: 2, pre: -50, start: -40, updated: -20}.record(),
		login{n: 3, pre: -45, start: -44, end: -43}.record(),
		login{n: 4, pre: -42, code: "7"}.record(),
		login{n: 5}.record(),
		login{n: 6, pre: -5}.record()))
	assert.Equal(t, []time.Time{at(-50), at(-40), at(-20)}, l.Unfinished(at(-10)))
	assert.Equal(t, []time.Time{at(-50), at(-40), at(-20), at(-5)}, l.Unfinished(at(10)))
	assert.Empty(t, l.Unfinished(at(-50)))
}

func TestOpenConnectionsByPlace(t *testing.T) {
	at := func(n int, group, machine string, version login) record.Login {
		version.n = n
		r := version.record()
		r.Group, r.Machine = group, machine
		return r
	}
	stands := login{pre: -10, start: -9, updated: -9}
	l := New(defaultRules)
	applyAll(l, batch(0, at(1, "a", "x", stands), at(2, "a", "x", stands), at(3, "a", "y", stands), at(4, "", "", stands)))
	want := map[Place]int64{{Group: "a", Machine: "x"}: 2, {Group: "a", Machine: "y"}: 1, {}: 1}
	assert.Equal(t, want, l.OpenConnections())
	l = restarted(t, l, map[string][]byte{})
	assert.Equal(t, want, l.OpenConnections())
	moved := stands
	moved.updated = -1
	stale := stands
	stale.updated = -9.5
	applyAll(l, batch(1, at(1, "a", "y", moved), at(2, "b", "z", stale), at(3, "a", "y", stands), at(4, "", "", stands)))
	assert.Equal(t, map[Place]int64{{Group: "a", Machine: "x"}: 1, {Group: "a", Machine: "y"}: 2, {}: 1}, l.OpenConnections())
}

// saved brings the rows up to date, as a commit does.
func saved(t rapid.TB, l *Ledger, rows map[string][]byte) map[string][]byte {
	t.Helper()
	var changes store.Changes
	l.Save(&changes)
	commit(rows, &changes)
	require.Len(t, rows, l.Len())
	return rows
}

// restarted is a ledger that knows what l has saved.
func restarted(t rapid.TB, l *Ledger, rows map[string][]byte) *Ledger {
	t.Helper()
	again := New(l.rules)
	for key, value := range saved(t, l, rows) {
		require.NoError(t, again.Load([]byte(key), value))
	}
	return again
}

// commit changes rows as a store would.
func commit(rows map[string][]byte, changes *store.Changes) {
	changes.Each(func(_ string, key, value []byte) {
		if value == nil {
			delete(rows, string(key))
		} else {
			rows[string(key)] = value
		}
	})
}
