package simulator

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAppsAgreeWithLogins compares the use of applications with the login records of the
// same logins, long after they have ended.
func TestAppsAgreeWithLogins(t *testing.T) {
	c := &clock{noon}
	o := busy(c)
	o.FilterOn = ByPreConnect
	s := New(o)
	from, to := noon.Add(-2*time.Hour), noon.Add(-time.Hour)
	c.now = noon.Add(24 * time.Hour)

	type use struct{ user, group, machine, begin, end, code, reason string }
	var want, got []use
	for _, r := range s.Truth(DefaultProjectID, from, to) {
		if r.ConnectType == "2" && r.MachineName != "" {
			want = append(want, use{r.UserName, r.DesktopGroupName, r.MachineName, r.PreConnTime, r.EndTime, r.FailedCode, r.FailedReason})
		}
	}
	names, successes := map[string]int{}, map[string]int{}
	for _, a := range s.TruthApps(DefaultProjectID, from, to) {
		names[a.AppName]++
		if a.FailedCode == "" || a.FailedCode == "WKS.00000000" {
			successes[a.FailedCode+a.ConnectionFailureReason]++
			a.FailedCode, a.ConnectionFailureReason = "", ""
		}
		got = append(got, use{a.UserName, a.AppGroupName, a.MachineName, toSeconds(a.BrokeringTime), format(parseAny(a.EndTime)), a.FailedCode, a.ConnectionFailureReason})
	}
	require.Greater(t, len(want), 300)
	assert.ElementsMatch(t, want, got)
	assert.Positive(t, names["Notepad++"])
	assert.Positive(t, names["Engineering-LibreOffice Calc"])
	assert.Len(t, successes, 3, "empty, and two words for success")
}

// TestLifeOfAnApp watches uses of applications appear, end late and fail.
func TestLifeOfAnApp(t *testing.T) {
	c := &clock{noon}
	s := New(busy(c))
	noEnd, seen := map[string]bool{}, map[string]AppConnection{}
	var ended, endedLate, failedLater int
	for ; c.now.Before(noon.Add(12 * time.Hour)); c.now = c.now.Add(5 * time.Minute) {
		for _, a := range s.TruthApps(DefaultProjectID, noon, noon.Add(5*time.Minute)) {
			before, known := seen[a.ID]
			seen[a.ID] = a
			if parseAny(a.EndTime).Year() == 1 {
				noEnd[a.EndTime] = true
			}
			if !known {
				continue
			}
			require.Equal(t, before.BrokeringTime, a.BrokeringTime)
			if parseAny(before.EndTime).Year() == 1 && parseAny(a.EndTime).Year() > 1 {
				ended++
				if c.now.Sub(parseAny(a.EndTime)) > 6*time.Minute {
					endedLate++
				}
			}
			if before.FailedCode != a.FailedCode {
				failedLater++
			}
		}
	}
	assert.Len(t, noEnd, len(noEnds), "%v", noEnd)
	assert.Greater(t, ended, 20)
	assert.Positive(t, endedLate)
	assert.Positive(t, failedLater)
}

func TestAppFilters(t *testing.T) {
	s := New(busy(&clock{noon}))
	count := func(filter string) int {
		return ask[page[AppConnection]](t, s, post(appsPath, `{"brokering_start_time":"2026-03-11T11:00:00Z","brokering_end_time":"2026-03-11T12:00:00Z"`+filter+`}`)).Count
	}
	all := count("")
	assert.Len(t, s.TruthApps(DefaultProjectID, noon.Add(-time.Hour), noon), all)
	windows, mac := count(`,"client_type":"Windows"`), count(`,"client_type":"Mac"`)
	assert.Positive(t, windows)
	assert.Positive(t, mac)
	assert.Less(t, windows+mac, all)
	fuzzy := count(`,"app_name":"SAP"`)
	assert.Positive(t, fuzzy)
	assert.Less(t, fuzzy, all)
	assert.Positive(t, count(`,"user_name":"user00"`))
	assert.Zero(t, count(`,"app_group_name":"Call"`), "not a fuzzy query")
	assert.Positive(t, count(`,"app_group_name":"Call Center"`))
}

func TestPutApps(t *testing.T) {
	c := &clock{noon}
	s := New(everything(c))
	s.PutApps(DefaultProjectID,
		AppConnection{ID: "1", BrokeringTime: "2022-08-13 07:00:20"},
		AppConnection{ID: "2", BrokeringTime: formatMillis(noon), EndTime: "0001-01-01 00:00:00", Raw: json.RawMessage(`{"id":7}`)},
		AppConnection{ID: "3", BrokeringTime: formatMillis(noon), VisibleAt: noon.Add(time.Second)})
	list := func() string { return serve(s, post(appsPath, `{}`)).Body.String() }
	assert.JSONEq(t, `{"count":1,"items":[{"id":7}]}`, list())
	c.now = noon.Add(time.Second)
	s.DeleteApp(DefaultProjectID, "2")
	assert.Contains(t, list(), `"count":1`)
	assert.Contains(t, list(), `"id":"3"`)
}
