package simulator

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSameSeedSameRecords(t *testing.T) {
	from, to := noon.Add(-time.Hour), noon
	one, other := New(generating(&clock{noon})), New(generating(&clock{noon}))
	for at := to.Add(-10 * time.Minute); !at.Before(from); at = at.Add(-10 * time.Minute) {
		other.Truth(DefaultProjectID, at, at.Add(10*time.Minute)) // asks backwards
	}
	want := one.Truth(DefaultProjectID, from, to)
	assert.Greater(t, len(want), 200)
	assert.Equal(t, want, other.Truth(DefaultProjectID, from, to))
	for _, limit := range []int{7, 100} {
		assert.Equal(t, want, listAll(t, other, limit, window(from, to)))
	}
	o := generating(&clock{noon})
	o.Seed++
	assert.NotEqual(t, want, New(o).Truth(DefaultProjectID, from, to))
}

func TestWindowsAddUp(t *testing.T) {
	for _, filter := range []FilterTime{ByStartOrPreConnect, ByPreConnect, ByStart, ByUpdate} {
		o := generating(&clock{noon})
		o.FilterOn = filter
		s := New(o)
		from := noon.Add(-4 * time.Hour)
		var parts []string
		for at := from; at.Before(noon); at = at.Add(10 * time.Minute) {
			for _, r := range s.Truth(DefaultProjectID, at, at.Add(10*time.Minute-time.Second)) {
				parts = append(parts, r.ID)
			}
		}
		var whole []string
		for _, r := range s.Truth(DefaultProjectID, from, noon.Add(-time.Second)) {
			whole = append(whole, r.ID)
		}
		assert.ElementsMatch(t, whole, parts)
		slices.Sort(whole)
		assert.Len(t, slices.Compact(whole), len(whole), "ids are unique")
	}
}

func TestForgottenBucketsComeBack(t *testing.T) {
	s := New(generating(&clock{noon}))
	want := s.Truth(DefaultProjectID, noon.Add(-time.Hour), noon)
	clear(s.generated)
	assert.Equal(t, want, s.Truth(DefaultProjectID, noon.Add(-time.Hour), noon))
}

func TestHistoryBegins(t *testing.T) {
	start := noon.Add(30 * time.Second)
	o := generating(&clock{start})
	o.History, o.LoginsPerHour, o.FilterOn = time.Hour, 3600, ByPreConnect
	records := New(o).Truth(DefaultProjectID, noon.Add(-5*time.Hour), noon)
	require.NotEmpty(t, records)
	assert.WithinRange(t, parseAny(records[0].PreConnTime), start.Add(-time.Hour), start.Add(-time.Hour+30*time.Second))
	o.LoginsPerHour = 0
	assert.Empty(t, New(o).Truth(DefaultProjectID, noon.Add(-5*time.Hour), noon))
}

// TestLifeOfALogin watches records from their first appearance to their end.
func TestThePastMayBeCalmer(t *testing.T) {
	o := Options{Seed: 1, History: 25 * time.Hour, LoginsPerHour: 1200, AllDay: true, PastLoginsPerHour: 100, Now: (&clock{noon}).Now}
	s := New(o)
	day := len(s.Truth(DefaultProjectID, noon.Add(-24*time.Hour), noon.Add(-time.Hour)))
	hour := len(s.Truth(DefaultProjectID, noon.Add(-time.Hour), noon))
	assert.InDelta(t, 2300, day, 500)
	assert.InDelta(t, 1200, hour, 200)
}

func TestLifeOfALogin(t *testing.T) {
	c := &clock{noon}
	o := generating(c)
	o.Reclassified, o.LateBy, o.FilterOn = 0.2, 5*time.Minute, ByPreConnect
	o.LoginsPerHour = 1000
	s := New(o)
	seen := map[string]Record{}
	var late, pendingThenStarted, pendingThenFailed, startedThenFailed, ended int
	for ; c.now.Before(noon.Add(20 * time.Minute)); c.now = c.now.Add(5 * time.Second) {
		for _, r := range s.Truth(DefaultProjectID, noon, noon.Add(10*time.Minute)) {
			before, known := seen[r.ID]
			seen[r.ID] = r
			require.False(t, parseAny(r.UpdateTime).After(c.now), "nothing is known before it happens")
			switch {
			case !known:
				if c.now.Sub(parseAny(r.PreConnTime)) > 15*time.Second {
					late++
				}
				continue
			case before.StartTime != "":
				require.Equal(t, before.StartTime, r.StartTime)
			case r.StartTime != "":
				pendingThenStarted++
			case before.FailedCode == "" && r.FailedCode != "":
				pendingThenFailed++
			}
			require.False(t, before.FailedCode != "" && r.FailedCode != before.FailedCode, "a failure stays")
			if before.StartTime != "" && before.FailedCode == "" && r.FailedCode != "" {
				startedThenFailed++
			}
			if before.EndTime == "" && r.EndTime != "" {
				ended++
			}
		}
	}
	assert.Len(t, seen, len(s.Truth(DefaultProjectID, noon, noon.Add(10*time.Minute))))
	for name, n := range map[string]int{
		"seen": len(seen), "late": late, "started": pendingThenStarted, "failed": pendingThenFailed,
		"failed later": startedThenFailed, "ended": ended,
	} {
		assert.Positive(t, n, name)
	}
}

func TestNoneLateNoneReclassified(t *testing.T) {
	c := &clock{noon}
	o := generating(c)
	o.Reclassified, o.LateBy = -1, -1
	s := New(o)
	c.now = noon.Add(time.Hour)
	for l := range s.attempts(DefaultProjectID, noon, c.now) {
		assert.Less(t, l.appears.Sub(l.pre), 2*time.Second)
		assert.True(t, l.failure == nil || !l.ended.After(l.settled))
	}
}

func TestABelievableDay(t *testing.T) {
	o := generating(&clock{noon.Add(24 * time.Hour)})
	o.AllDay, o.LoginsPerHour, o.History, o.Users = false, 300, 4*24*time.Hour, 2000
	s := New(o)
	midnight := noon.Add(-12 * time.Hour)
	records := s.Truth(DefaultProjectID, midnight, midnight.Add(24*time.Hour-time.Second))
	assert.InDelta(t, 7200, len(records), 500)

	tally := map[string]map[string]int{}
	count := func(what, value string) {
		if tally[what] == nil {
			tally[what] = map[string]int{}
		}
		tally[what][value]++
	}
	scrubbing := 0
	for _, r := range records {
		count("hour", r.PreConnTime[11:13])
		count("user", r.UserName)
		count("group", r.DesktopGroupName)
		count("type", r.ClientType)
		count("version", r.ClientVersion)
		if r.MachineName != "" {
			count("server", r.MachineName)
			count("agent", r.AgentVersion)
		}
		count("code", r.FailedCode)
		if strings.Contains(r.FailedReason, r.UserName) || strings.Contains(r.FailedReason, r.ClientIP) {
			scrubbing++
		}
		require.NotContains(t, r.FailedReason, "{")
	}
	assert.Greater(t, tally["hour"]["09"], 20*tally["hour"]["02"], "office hours")
	assert.Greater(t, tally["user"]["user001@corp.example"], 20*len(records)/2000, "a few log in often")
	assert.Greater(t, len(tally["user"]), 800, "many log in")
	assert.Len(t, tally["group"], 5)
	assert.Len(t, tally["type"], 3)
	assert.Len(t, tally["version"], 4)
	assert.Len(t, tally["server"], 20)
	assert.Len(t, tally["agent"], 2)
	assert.Len(t, tally["code"], 13, "a dozen, and success")
	failures := len(records) - tally["code"][""]
	assert.InDelta(t, 0.03, float64(failures)/float64(len(records)), 0.01)
	assert.Positive(t, scrubbing, "reasons hold personal text")

	saturday := midnight.Add(-4 * 24 * time.Hour)
	assert.Less(t, len(s.Truth(DefaultProjectID, saturday.Add(12*time.Hour), saturday.Add(24*time.Hour))), 1000)
}

func TestProjectsDiffer(t *testing.T) {
	s := New(generating(&clock{noon}))
	assert.NotEqual(t, s.Truth("a", noon.Add(-time.Hour), noon), s.Truth("b", noon.Add(-time.Hour), noon))
}

// TestScript looks at each phase of the cycle: what happens, and that it is quiet
// before and after.
func TestScript(t *testing.T) {
	for _, cycle := range []time.Duration{30 * time.Second, 10 * time.Minute} {
		c := &clock{noon}
		o := generating(c)
		o.Script, o.LateBy, o.Reclassified, o.FilterOn = cycle, -1, -1, ByPreConnect
		o.LoginsPerHour = 600 * float64(10*time.Minute/cycle)
		s := New(o)
		c.now = noon.Add(2*cycle + maxLogin)
		for repeat := range 2 {
			codes := func(from, to float64) (codes map[string]int, records []Record) {
				start := noon.Add(time.Duration(repeat) * cycle)
				at := func(share float64) time.Time { return start.Add(time.Duration(share * float64(cycle))) }
				codes = map[string]int{}
				records = s.Truth(DefaultProjectID, at(from), at(to).Add(-time.Second))
				for _, r := range records {
					codes[r.FailedCode]++
				}
				return codes, records
			}
			for _, quiet := range [][2]float64{{0, 0.05}, {0.37, 0.6}, {0.77, 0.8}, {0.96, 1}} {
				n, _ := codes(quiet[0], quiet[1])
				assert.Zero(t, n[unreachable.code]+n[badAgent.code], "quiet from %v", quiet)
			}
			outage, records := codes(0.05, 0.35)
			assert.Positive(t, outage[unreachable.code])
			servers := map[string]bool{}
			for _, r := range records {
				if r.FailedCode == unreachable.code {
					servers[r.MachineName] = true
				}
				if r.MachineName == s.world.servers[0].name {
					assert.Equal(t, unreachable.code, r.FailedCode, "every login on the lost server fails")
				}
			}
			assert.Len(t, servers, 1)

			rollOut, records := codes(0.6, 0.75)
			assert.Positive(t, rollOut[badAgent.code])
			for _, r := range records {
				assert.Equal(t, r.FailedCode == badAgent.code, r.FailedCode == badAgent.code && r.AgentVersion == newAgent)
			}

			sprayed, records := codes(0.8, 0.95)
			assert.Positive(t, sprayed[wrongPassword.code])
			addresses, users := map[string]int{}, map[string]int{}
			for _, r := range records {
				if r.FailedCode == wrongPassword.code {
					addresses[r.ClientIP]++
					users[r.UserName]++
				}
			}
			assert.Greater(t, addresses[sprayAddress], len(users)/2)
			if cycle > time.Minute { // in less there are but a few
				assert.Positive(t, users["user001@corp.example"])
			}
		}
	}
}

// TestTheKeptOutTryAgain: in an outage there are far more failures than people. A password
// spray is the other way about, and the alerts tell the one from the other by it.
func TestTheKeptOutTryAgain(t *testing.T) {
	c := &clock{noon}
	o := generating(c)
	o.Script, o.LoginsPerHour, o.LateBy, o.FilterOn = 15*time.Minute, 1200, -1, ByPreConnect
	s := New(o)
	c.now = noon.Add(o.Script)
	for code, phase := range map[string][2]float64{unreachable.code: {0.05, 0.35}, badAgent.code: {0.6, 0.75}} {
		at := func(share float64) time.Time { return noon.Add(time.Duration(share * float64(o.Script))) }
		failures, users := 0, map[string]bool{}
		for _, r := range s.Truth(DefaultProjectID, at(phase[0]), at(phase[1])) {
			if r.FailedCode == code {
				failures++
				users[r.UserName] = true
			}
		}
		assert.GreaterOrEqual(t, len(users), 8, code)
		assert.Greater(t, failures, 16, code)
		assert.Greater(t, float64(failures), 1.8*float64(len(users)), code)
	}
}

func TestRecordsAreWhatTheAPIWrites(t *testing.T) {
	s := New(generating(&clock{noon}))
	body, err := json.Marshal(s.Truth(DefaultProjectID, noon.Add(-time.Hour), noon))
	require.NoError(t, err)
	var records []map[string]any
	require.NoError(t, json.Unmarshal(body, &records))
	for _, r := range records {
		for name, value := range r {
			assert.IsType(t, "", value, name)
		}
		assert.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`, r["pre_conn_time"])
		assert.Equal(t, DefaultProjectID, r["tenant_id"])
	}
}

// BenchmarkMonthByHours pages through 30 days of 500 logins an hour in windows of
// an hour.
func BenchmarkMonthByHours(b *testing.B) {
	for b.Loop() {
		o := generating(&clock{noon})
		o.LoginsPerHour, o.History = 500, 30*24*time.Hour
		s := New(o)
		for at := noon.Add(-30 * 24 * time.Hour); at.Before(noon); at = at.Add(time.Hour) {
			for range 6 { // pages
				s.mu.Lock()
				s.logins.list(s, query{project: DefaultProjectID, from: at, to: at.Add(time.Hour)}, nil, noon)
				s.mu.Unlock()
			}
		}
	}
}

// BenchmarkPageOfAMonth lists 30 days at once.
func BenchmarkPageOfAMonth(b *testing.B) {
	o := generating(&clock{noon})
	o.LoginsPerHour, o.History = 500, 30*24*time.Hour
	s := New(o)
	for b.Loop() {
		s.logins.list(s, query{project: DefaultProjectID, from: noon.Add(-30 * 24 * time.Hour), to: noon}, nil, noon)
	}
}
