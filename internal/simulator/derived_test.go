package simulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// busy generates many logins, with many failures that come late.
func busy(c *clock) Options {
	o := generating(c)
	o.LoginsPerHour, o.Reclassified, o.History = 1200, 0.1, 4*time.Hour
	return o
}

// TestKindsAgree compares what each kind returns for the same logins, long after they
// have ended.
func TestKindsAgree(t *testing.T) {
	c := &clock{noon}
	o := busy(c)
	o.FilterOn = ByPreConnect
	s := New(o)
	from, to := noon.Add(-2*time.Hour), noon.Add(-time.Hour)
	c.now = noon.Add(24 * time.Hour)

	id := func(r Record) string { n, _ := strconv.Atoi(r.ID); return fmt.Sprintf("%016x", n) }
	desktops, sessions := map[string]Desktop{}, map[string]Session{}
	for _, d := range s.TruthDesktops(DefaultProjectID, from, to) {
		desktops[d.TransactionID[16:]] = d
	}
	for _, x := range s.TruthSessions(DefaultProjectID, from, to.Add(time.Hour)) {
		sessions[x.ID[16:]] = x
	}
	records := s.Truth(DefaultProjectID, from, to)
	assert.Greater(t, len(records), 1000)
	assert.Len(t, desktops, len(records))
	states := map[string]int{}
	for _, r := range records {
		d, known := desktops[id(r)]
		require.True(t, known, "each login is a desktop connection")
		assert.Equal(t, []any{r.UserName, r.PreConnTime, r.StartTime, r.EndTime, r.FailedReason == "", r.ClientType, r.ClientIP},
			[]any{d.UserName, toSeconds(d.ConnectionStartTime), toSeconds(d.ConnectionSetupTime), toSeconds(d.ConnectionEndTime), d.ConnectionFailureReason == "", d.TerminalType, d.TerminalIP})
		assert.Equal(t, r.StartTime != "", d.NetworkRTT > 0)
		assert.Equal(t, r.StartTime != "", d.E2ERTT > d.NetworkRTT)

		x, known := sessions[id(r)]
		require.Equal(t, r.MachineName != "", known, "each login that got to a server is a session")
		if !known {
			continue
		}
		states[x.SessionState]++
		assert.Equal(t, []string{r.MachineName, r.DesktopGroupName, r.ClientVersion, r.AgentVersion},
			[]string{x.MachineName, x.AppServerGroupName, x.ClientVersion, x.AgentVersion})
		assert.Equal(t, r.StartTime == "", x.SessionState == stateInitFail)
		if x.SessionState == stateInitFail {
			assert.Equal(t, []string{r.FailedCode, r.FailedReason}, []string{x.FailedCode, x.FailedReason})
		} else {
			assert.Empty(t, x.FailedCode)
		}
	}
	assert.Len(t, states, 2)
	assert.Positive(t, states[stateSignedOut])
	assert.Positive(t, states[stateInitFail])
}

func toSeconds(millis string) string {
	if millis == "" {
		return ""
	}
	return millis[:19] + "Z"
}

// TestLifeOfASession watches sessions from the first moment to the last.
func TestLifeOfASession(t *testing.T) {
	c := &clock{noon}
	s := New(busy(c))
	order := map[string]int{"": 0, stateInit: 1, stateActive: 2, stateInitFail: 2, stateDisconnected: 3, stateSignedOut: 4}
	seen := map[string]Session{}
	changes := map[string]int{}
	for ; c.now.Before(noon.Add(8 * time.Hour)); c.now = c.now.Add(2 * time.Minute) {
		for _, x := range s.TruthSessions(DefaultProjectID, noon, noon.Add(time.Minute)) {
			before := seen[x.ID]
			require.GreaterOrEqual(t, order[x.SessionState], order[before.SessionState], "%s to %s", before.SessionState, x.SessionState)
			if before.ID != "" {
				require.Equal(t, before.StartTime, x.StartTime, "the window's time stays")
			}
			if x.SessionState != before.SessionState {
				changes[x.SessionState]++
			}
			require.Equal(t, x.EndTime != "", x.SessionState == stateSignedOut || x.SessionState == stateInitFail)
			require.False(t, parseAny(x.LastUpdateStatusTime).After(c.now))
			seen[x.ID] = x
		}
		if c.now.Sub(noon) > 10*time.Minute {
			c.now = c.now.Add(13 * time.Minute)
		}
	}
	for _, state := range []string{stateActive, stateDisconnected, stateSignedOut} {
		assert.Positive(t, changes[state], state)
	}
	assert.Len(t, seen, len(s.TruthSessions(DefaultProjectID, noon, noon.Add(time.Minute))), "none goes away")
}

func TestSessionsAtWork(t *testing.T) {
	o := busy(&clock{noon})
	o.History = 2 * time.Hour
	s := New(o)
	states := map[string]int{}
	for _, x := range s.TruthSessions(DefaultProjectID, noon.Add(-2*time.Hour), noon) {
		states[x.SessionState]++
	}
	assert.Len(t, states, len(sessionStates), "%v", states)
	count := func(parameters string) int {
		return ask[page[Session]](t, s, get(sessionsPath+"?query_begin_time=2026-03-11T10:00:00.000Z&query_end_time=2026-03-11T12:00:00.000Z"+parameters)).Count
	}
	assert.Equal(t, states[stateActive]+states[stateInit], count("&session_state=Active,AppcInit"))
	assert.Equal(t, states[stateInitFail], count("&is_success=false"))
	assert.Equal(t, count(""), count("&is_success=true")+count("&is_success=false"))
	assert.Positive(t, count("&user_name=user001@corp.example"))
	assert.Zero(t, count("&user_name=nobody"))
	assert.Positive(t, count("&machine_name="+s.world.servers[0].name))
	assert.Positive(t, count("&app_server_group_id="+s.world.groups[0].id))
}

func TestDesktopFilters(t *testing.T) {
	o := busy(&clock{noon})
	o.LoginsPerHour = 1100
	s := New(o)
	type answer struct {
		Count   int       `json:"total_count"`
		Records []Desktop `json:"records"`
	}
	list := func(parameters string) answer { return ask[answer](t, s, get(desktopsPath+desktopHour+parameters)) }
	all := list("&limit=1000")
	assert.Equal(t, s.TruthDesktops(DefaultProjectID, noon.Add(-time.Hour), noon), append(all.Records, list("&limit=1000&offset=1000").Records...))
	assert.Len(t, list("").Records, 20)
	assert.NotNil(t, list("&limit=0").Records)
	assert.Empty(t, list("&limit=0").Records)
	assert.Equal(t, all.Count, list("&limit=0").Count)

	one := all.Records[0]
	assert.Positive(t, list("&user_name="+one.UserName).Count)
	assert.Positive(t, list("&computer_name="+one.ComputerName).Count)
	assert.Positive(t, list("&terminal_type=Windows+10").Count)
	assert.Zero(t, list("&terminal_type=Windows").Count, "not a fuzzy query")
	low, high := list("&limit=1000&max_network_rtt=30"), list("&limit=1000&min_network_rtt=31")
	assert.Positive(t, low.Count)
	assert.Less(t, low.Count+high.Count, all.Count, "who has no connection has no RTT")
	for _, d := range high.Records {
		assert.Greater(t, d.NetworkRTT, 30)
	}
}

// TestLateDesktops watches connections appear, start, fail and end.
func TestLateDesktops(t *testing.T) {
	c := &clock{noon}
	o := busy(c)
	o.LateBy = 5 * time.Minute
	s := New(o)
	seen := map[string]Desktop{}
	var late, setUp, failed, ended int
	for ; c.now.Before(noon.Add(20 * time.Minute)); c.now = c.now.Add(10 * time.Second) {
		for _, d := range s.TruthDesktops(DefaultProjectID, noon, noon.Add(5*time.Minute)) {
			before, known := seen[d.TransactionID]
			seen[d.TransactionID] = d
			switch {
			case !known:
				if c.now.Sub(parseAny(d.ConnectionStartTime)) > 20*time.Second {
					late++
				}
				continue
			case before.ConnectionSetupTime == "" && d.ConnectionSetupTime != "":
				setUp++
			case before.ConnectionFailureReason == "" && d.ConnectionFailureReason != "":
				failed++
			case before.ConnectionEndTime == "" && d.ConnectionEndTime != "":
				ended++
			}
		}
	}
	for name, n := range map[string]int{"late": late, "set up": setUp, "failed": failed, "ended": ended} {
		assert.Positive(t, n, name)
	}
}

// failedLogins are the login records of a time that failed, sorted by the time of
// the failure: the test's own way to the access statistics.
func failedLogins(s *Simulator, from, to time.Time) (failures []Record) {
	for _, r := range s.Truth(DefaultProjectID, from, to) {
		if r.FailedCode != "" {
			failures = append(failures, r)
		}
	}
	slices.SortStableFunc(failures, func(a, b Record) int { return strings.Compare(a.UpdateTime, b.UpdateTime) })
	return failures
}

func TestAccessIsTheFailuresMerged(t *testing.T) {
	c := &clock{noon}
	o := busy(c)
	o.Users, o.FilterOn, o.Script = 20, ByUpdate, 3*time.Hour
	s := New(o)
	c.now = noon.Add(24 * time.Hour)
	from, to := noon, noon.Add(3*time.Hour)
	type who struct{ user, code string }
	counts, last, messages := map[who]int{}, map[who]string{}, map[who]string{}
	var all int
	for _, r := range failedLogins(s, from.Add(-time.Hour), to) {
		id := who{r.UserName, r.FailedCode}
		fresh := last[id] == "" || parseAny(r.UpdateTime).Sub(parseAny(last[id])) > mergeWithin+time.Second
		last[id], messages[id] = r.UpdateTime, r.FailedReason
		if parseAny(r.UpdateTime).Before(from) {
			continue
		}
		all++
		if fresh {
			counts[id]++
		}
	}
	total := 0
	statistics := s.TruthAccess(DefaultProjectID, from, to)
	for _, a := range statistics {
		id := who{a.Username, a.ErrorCode}
		assert.InDelta(t, counts[id], a.AccessFailedCount, 1, "%v: login records have no milliseconds", id)
		assert.Equal(t, last[id], a.LastAccessFailedTime)
		assert.Equal(t, messages[id], a.ErrorMsg)
		total += a.AccessFailedCount
	}
	assert.Greater(t, all, 2*total, "users repeat their failures")
	assert.Greater(t, len(statistics), 50)

	parts := 0
	for at := from; !at.After(to); at = at.Add(7 * time.Minute) {
		end := at.Add(7*time.Minute - time.Second)
		if end.After(to) {
			end = to
		}
		for _, a := range s.TruthAccess(DefaultProjectID, at, end) {
			parts += a.AccessFailedCount
		}
	}
	assert.Equal(t, total, parts, "windows add up")
}

func TestMergeOfFailures(t *testing.T) {
	s := New(generating(&clock{noon.Add(time.Hour)}))
	at := func(user int32, minutes float64) login {
		pre := noon.Add(time.Duration(minutes * float64(time.Minute)))
		return login{id: int64(minutes * 1000), user: user, pre: pre, settled: pre, failure: &wrongPassword}
	}
	s.options.LoginsPerHour = 1
	clear(s.generated)
	for minute := -20; minute <= 60; minute++ {
		s.generated[bucketKey{DefaultProjectID, noon.Unix()/60 + int64(minute)}] = nil
	}
	for _, l := range []login{at(0, 0), at(0, 2), at(0, 4.9), at(0, 8), at(1, 8.5), at(0, 30)} {
		key := bucketKey{DefaultProjectID, l.pre.Unix() / 60}
		s.generated[key] = append(s.generated[key], l)
	}
	counts := func(from, to float64) string {
		var lines []string
		for _, a := range s.TruthAccess(DefaultProjectID, at(0, from).pre, at(0, to).pre) {
			lines = append(lines, fmt.Sprintf("%s×%d@%s", a.Username[:7], a.AccessFailedCount, a.LastAccessFailedTime[11:19]))
		}
		return strings.Join(lines, " ")
	}
	assert.Equal(t, "user001×2@12:08:00 user002×1@12:08:30", counts(0, 10))
	assert.Equal(t, "user001×3@12:30:00 user002×1@12:08:30", counts(0, 30))
	assert.Equal(t, "user001×1@12:02:00", counts(0, 3))
	assert.Empty(t, counts(1, 7), "repeats count where they began")
}

func TestAccessList(t *testing.T) {
	s := New(busy(&clock{noon}))
	truth := s.TruthAccess(DefaultProjectID, noon.Add(-time.Hour), noon)
	require.Greater(t, len(truth), 20)
	list := func(parameters string) page[Access] {
		return ask[page[Access]](t, s, get(accessPath+accessHour+parameters))
	}
	assert.Len(t, list("").Items, 10)
	var all []Access
	for len(all) < len(truth) {
		p := list(fmt.Sprintf("&limit=100&offset=%d", len(all)))
		require.NotEmpty(t, p.Items)
		require.Equal(t, len(truth), p.Count)
		all = append(all, p.Items...)
	}
	assert.Equal(t, truth, all)
	assert.True(t, slices.IsSortedFunc(list("&limit=100&sort_field=access_failed_count&sort_type=DESC").Items,
		func(a, b Access) int { return b.AccessFailedCount - a.AccessFailedCount }))
	assert.True(t, slices.IsSortedFunc(list("&limit=100&sort_field=last_access_failed_time").Items,
		func(a, b Access) int { return strings.Compare(a.LastAccessFailedTime, b.LastAccessFailedTime) }))
	for _, a := range list("&limit=100&username=user00").Items {
		assert.Contains(t, a.Username, "user00")
	}
	assert.Zero(t, list("&username=nobody").Count)
}

func TestPutOfEachKind(t *testing.T) {
	c := &clock{noon}
	s := New(everything(c))
	from := noon.Add(-time.Hour)
	s.PutSessions(DefaultProjectID, Session{ID: "1", StartTime: format(noon), SessionState: stateInit},
		Session{ID: "2", PreConnTime: format(noon)}, Session{ID: "3", StartTime: format(noon), VisibleAt: noon.Add(time.Second)})
	s.PutSessions(DefaultProjectID, Session{ID: "1", StartTime: format(noon), SessionState: stateActive})
	sessions := s.TruthSessions(DefaultProjectID, from, noon)
	require.Len(t, sessions, 2)
	assert.Equal(t, stateActive, sessions[0].SessionState)
	s.DeleteSession(DefaultProjectID, "1")

	s.PutDesktops(DefaultProjectID, Desktop{TransactionID: "a", ConnectionStartTime: formatMillis(noon), Raw: json.RawMessage(`{"sid":7}`)},
		Desktop{TransactionID: "b", ConnectionStartTime: "2026-03-11 11:59:59"})
	assert.JSONEq(t, `{"total_count":2,"records":[{"transaction_id":"b","connection_start_time":"2026-03-11 11:59:59","is_reconnect":false},{"sid":7}]}`,
		serve(s, get(desktopsPath)).Body.String())
	s.DeleteDesktop(DefaultProjectID, "a")

	s.PutAccess(DefaultProjectID, Access{Username: "u", AccessFailedCount: 3, LastAccessFailedTime: format(noon)},
		Access{Username: "v", AccessFailedCount: 1, LastAccessFailedTime: format(noon.Add(-2 * time.Hour))},
		Access{Username: "w", LastAccessFailedTime: format(noon), VisibleAt: noon.Add(time.Second)})
	assert.Equal(t, []Access{{Username: "u", AccessFailedCount: 3, LastAccessFailedTime: format(noon)}}, s.TruthAccess(DefaultProjectID, from, noon))
	s.DeleteAccess(DefaultProjectID, "u")

	c.now = noon.Add(time.Second)
	assert.Len(t, s.TruthSessions(DefaultProjectID, from, noon), 2)
	assert.Len(t, s.TruthDesktops(DefaultProjectID, from, noon), 1)
	assert.Len(t, s.TruthAccess(DefaultProjectID, from, noon), 1)
	assert.Empty(t, s.TruthSessions("another", from, noon))
}

func TestBeforePageIsOfEveryList(t *testing.T) {
	s := New(everything(&clock{noon}))
	var asked []int
	s.BeforePage(func(_ string, offset int) { asked = append(asked, offset) })
	for i, path := range []string{sessionsPath + sessionHour, accessPath + accessHour, desktopsPath + desktopHour} {
		serve(s, get(fmt.Sprintf("%s&offset=%d", path, i)))
	}
	assert.Equal(t, []int{0, 1, 2}, asked)
}
