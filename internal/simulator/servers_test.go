package simulator

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is put in is there, and nothing else; only the call that shows a group has its policy.
func TestServersThatArePutIn(t *testing.T) {
	o := everything(&clock{noon})
	o.LoginsPerHour = 0
	s := New(o)
	s.PutServers(DefaultProjectID, Server{ServerID: "b", ServerGroupID: "g"}, Server{ServerID: "a", ServerGroupID: "g"})
	s.PutServerGroups(DefaultProjectID, ServerGroup{ID: "g", Name: "finance", RoutePolicy: &RoutePolicy{MaxSession: 7}})
	s.SetTenant(DefaultProjectID, "1.2", 9)
	servers := ask[page[Server]](t, s, get(serversPath+"/list?limit=1"))
	assert.Equal(t, 2, servers.Count)
	require.Len(t, servers.Items, 1)
	assert.Equal(t, "a", servers.Items[0].ServerID)
	listed := ask[page[ServerGroup]](t, s, get(groupsPath)).Items
	require.Len(t, listed, 1)
	assert.Nil(t, listed[0].RoutePolicy)
	assert.Equal(t, 2, listed[0].AppServerCount)
	assert.Equal(t, 7, ask[ServerGroup](t, s, get(groupsPath+"/g")).RoutePolicy.MaxSession)
	assert.Equal(t, 404, serve(s, get(groupsPath+"/h")).Code)
	assert.Equal(t, "1.2", ask[map[string]string](t, s, get(serversPath+"/latest-version"))["latest_version"])
	assert.Equal(t, 9, ask[map[string]int](t, s, get(groupsPath+"/resources/restrict"))["max_session"])
	s.DeleteServer(DefaultProjectID, "a")
	assert.Equal(t, 1, ask[page[Server]](t, s, get(serversPath+"/list")).Count)
}

// A generated server has the sessions that the list of sessions has on it, and the incidents
// of the script show.
func TestGeneratedServers(t *testing.T) {
	c := &clock{noon}
	o := busy(c)
	o.Script = time.Hour
	s := New(o)
	sessions := map[string]int{}
	for _, x := range s.TruthSessions(DefaultProjectID, noon.Add(-12*time.Hour), noon) {
		if x.SessionState == stateActive || x.SessionState == stateDisconnected {
			sessions[x.MachineName]++
		}
	}
	servers := s.TruthServers(DefaultProjectID)
	require.Len(t, servers, 20)
	total := 0
	for _, v := range servers {
		assert.Equal(t, sessions[v.MachineName], v.SessionCount, v.MachineName)
		total += v.SessionCount
	}
	assert.Greater(t, total, 100)
	states := func() map[string]int {
		n := map[string]int{}
		for _, v := range s.TruthServers(DefaultProjectID) {
			n[v.Status]++
		}
		return n
	}
	quiet := states()
	assert.Zero(t, quiet[serverUnregistered])
	assert.NotZero(t, quiet[serverMaintaining])
	c.now = noon.Add(12 * time.Minute)
	assert.Equal(t, 1, states()[serverUnregistered])
}

// There is room on every server, though not much, in the busiest hour too.
func TestServersHaveRoom(t *testing.T) {
	nine := time.Date(2026, 3, 4, 9, 30, 0, 0, time.UTC) // a Wednesday
	for name, o := range map[string]Options{
		"the demo":     {LoginsPerHour: 1200, AllDay: true, ConnectedFor: 15 * time.Minute},
		"office hours": {LoginsPerHour: 300},
	} {
		c := &clock{nine}
		o.Seed, o.History, o.Now = 1, 24*time.Hour, c.Now
		s := New(o)
		for _, later := range []time.Duration{0, 2 * time.Hour} {
			c.now = nine.Add(later)
			for i := range s.world.groups {
				room := s.world.groups[i].room(i, s.options)
				for _, v := range s.TruthServers(DefaultProjectID) {
					if v.ServerGroupID == s.world.groups[i].id {
						assert.LessOrEqual(t, v.SessionCount, room, "%s: %s", name, v.MachineName)
						assert.Greater(t, v.SessionCount, room/10, "%s: %s", name, v.MachineName)
					}
				}
			}
		}
	}
}

// The numbers of all desktops are those of dedicated ones and of all pools.
func TestDesktopStatistics(t *testing.T) {
	for word, wanted := range map[string]int{"": 2, TypePool: 0} {
		o := everything(&clock{noon})
		o.LoginsPerHour, o.PoolType = 0, word
		s := New(o)
		numbers := func(total, ready int) DesktopStatistics {
			return DesktopStatistics{TotalNum: total, LoginState: &LoginStateStatistics{Ready: ready}}
		}
		s.PutDesktopStatistics(DefaultProjectID, numbers(5, 1), DesktopPool{"p", "one", numbers(7, 2)}, DesktopPool{"q", "two", numbers(11, 3)})
		type answer struct {
			DesktopStatistics
			Pools []DesktopPool `json:"desktop_pool_statistics"`
		}
		all := ask[answer](t, s, get(numbersPath+"?statistics_type=login-state&statistics_type=run-state"))
		assert.Equal(t, 23, all.TotalNum)
		assert.Equal(t, 6, all.LoginState.Ready)
		assert.Nil(t, all.Attach)
		assert.Empty(t, all.Pools)
		pooled := ask[answer](t, s, get(numbersPath+"?desktop_type=POOLED"))
		assert.Equal(t, 18, pooled.TotalNum)
		assert.Nil(t, pooled.LoginState)
		assert.Len(t, pooled.Pools, wanted)
		if word == TypePool {
			assert.Len(t, ask[answer](t, s, get(numbersPath+"?desktop_type=POOL")).Pools, 2)
		} else {
			assert.Equal(t, http.StatusBadRequest, serve(s, get(numbersPath+"?desktop_type=POOL")).Code)
		}
	}
}
