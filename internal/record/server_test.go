package record

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func decoded[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	require.NoError(t, json.UnmarshalRead(strings.NewReader(text), &v, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)), text)
	return v
}

func ptr(n int) *int { return &n }

func TestServer(t *testing.T) {
	for text, want := range map[string]Server{
		`{"server_id":"s1","machine_name":"APS-1","maintain_status":false,"server_name":"one","server_group_id":"g1","server_group_name":"Finance","sid":"S-1","session_count":7,"status":"REGISTERED","current_version":"22.10.0.1020"}`: {
			GroupID: "g1", Group: "Finance", Machine: "APS-1", Status: "REGISTERED", AgentVersion: "22.10.0.1020", Sessions: ptr(7)},
		`{"server_id":"s1","server_name":"one","server_group_id":"g1","maintain_status":"true","session_count":"0","status":" unregister "}`: {
			GroupID: "g1", Group: "g1", Machine: "one", Status: "UNREGISTER", Maintenance: true, Sessions: ptr(0)},
		`{"server_id":"s1","status":"MAINTAINING","session_count":null}`: {Status: "MAINTAINING", Maintenance: true},
		`{"server_id":"s1","status":"NONE","machine_name":"-"}`:          {Status: "NONE"},
		`{"server_id":"s1","session_count":-1,"maintain_status":{},"status":[],"current_version":12}`: {AgentVersion: "12",
			Invalid: []string{"maintain_status", "session_count", "status"}},
	} {
		details := decoded[ServerHDADetails](t, text)
		got := details.Server()
		assert.Equal(t, identify("server", "s1"), got.ID, text)
		got.ID = Identity{}
		assert.Equal(t, want, got, text)
	}
	other := decoded[ServerHDADetails](t, `[]`)
	assert.True(t, other.Server().Malformed)
	bySID, byName := decoded[ServerHDADetails](t, `{"sid":"x","machine_name":"m"}`), decoded[ServerHDADetails](t, `{"machine_name":"m"}`)
	assert.NotEqual(t, bySID.Server().ID, byName.Server().ID)
	assert.True(t, (&Server{Status: StatusRegistered}).TakesUsers())
	assert.False(t, (&Server{Status: StatusRegistered, Maintenance: true}).TakesUsers())
	assert.False(t, (&Server{Status: "FREEZE"}).TakesUsers())
}

// What the administrator has set counts before what the bundle usually has; a server of a
// group for virtual desktops has one session.
func TestServerGroup(t *testing.T) {
	for text, want := range map[string]ServerGroup{
		`{"id":"g","name":"Finance","route_policy":{"max_session":5,"cpu_threshold":80},"product_info":{"sessions":40}}`: {ID: "g", Name: "Finance", MaxSessions: 5},
		`{"id":"g","route_policy":null,"product_info":{"product_id":"p","sessions":"40"}}`:                               {ID: "g", Name: "g", MaxSessions: 40},
		`{"id":"g","route_policy":{"max_session":0},"product_info":{"sessions":40}}`:                                     {ID: "g", Name: "g", MaxSessions: 40},
		`{"id":"g","route_policy":{"max_session":5},"is_vdi":true}`:                                                      {ID: "g", Name: "g", MaxSessions: 1, OneSession: true},
		`{"id":"g"}`: {ID: "g", Name: "g"},
		`{"id":"g","max_session":7,"sessions":8}`: {ID: "g", Name: "g"},
		`{"id":"g","route_policy":"none","product_info":{"sessions":[]},"is_vdi":"perhaps"}`: {ID: "g", Name: "g",
			Invalid: []string{"is_vdi", "product_info.sessions", "route_policy.max_session"}},
	} {
		details := decoded[ServerGroupDetails](t, text)
		got := details.Group()
		got.Identity = Identity{}
		assert.Equal(t, want, got, text)
	}
	limits := decoded[TenantLimits](t, `{"max_session":60,"max_group_count":9}`)
	assert.Equal(t, 60, limits.MaxSessions())
	latest := decoded[LatestAgent](t, `{"latest_version":"25.3"}`)
	assert.Equal(t, "25.3", latest.Version())
	latest = decoded[LatestAgent](t, `{"latest_version":null}`)
	assert.Empty(t, latest.Version())
}

func TestDesktopCounts(t *testing.T) {
	answer := decoded[DesktopStatistics](t, `{"total_num":100,"attach_statistics":{"attached_num":80,"unattached_num":20,"attaching_num":0,"attach_error_num":0},
		"run_state_statistics":{"stop_num":10,"active_num":90,"error_num":0,"hibernated_num":0},
		"login_state_statistics":{"in_use_num":30,"unregistered_num":1,"ready_num":60,"disconnected_num":9,"stop_num":7},
		"desktop_pool_statistics":[{"desktop_pool_id":"p","desktop_pool_name":"Training","total_num":20,"login_state_statistics":{"in_use_num":40,"ready_num":"x"}},
			{"desktop_pool_id":"q","total_num":1},{},7]}`)
	require.True(t, answer.HasPools())
	all := answer.All()
	assert.Equal(t, DesktopCount{Total: ptr(100), Attach: map[string]int{"attached": 80, "unattached": 20, "attaching": 0, "attach_error": 0},
		RunState:   map[string]int{"stop": 10, "active": 90, "error": 0, "hibernated": 0},
		LoginState: map[string]int{"in_use": 30, "unregistered": 1, "ready": 60, "disconnected": 9}}, all)
	pools := answer.Pools()
	none := map[string]int{}
	assert.Equal(t, []DesktopCount{
		{Pool: "Training", Total: ptr(20), Attach: none, RunState: none, LoginState: map[string]int{"in_use": 40}, Invalid: []string{"login_state_statistics.ready_num"}},
		{Pool: "q", Total: ptr(1), Attach: none, RunState: none, LoginState: none},
		{Pool: "unknown", Attach: none, RunState: none, LoginState: none},
		{Malformed: true},
	}, pools)

	rest, exact := all.Minus(&DesktopCount{}, pools[:2])
	assert.True(t, exact)
	assert.Equal(t, ptr(79), rest.Total)
	assert.Empty(t, rest.LoginState, "a pool does not say how many of its are, nor do all pools together")
	rest, exact = all.Minus(&DesktopCount{LoginState: map[string]int{"in_use": 31, "ready": 5}}, pools)
	assert.False(t, exact, "more desktops of pools are in use than desktops at all")
	assert.Nil(t, rest.Total)
	assert.Equal(t, map[string]int{"in_use": 0, "ready": 55}, rest.LoginState)
	rest, exact = all.Minus(&DesktopCount{}, pools[:1])
	assert.False(t, exact)
	assert.Equal(t, map[string]int{"in_use": 0}, rest.LoginState)
	rest, exact = all.Minus(&DesktopCount{}, nil)
	assert.True(t, exact)
	assert.Equal(t, all, rest)

	bare := decoded[DesktopStatistics](t, `{"total_num":3,"desktop_pool_statistics":null}`)
	assert.False(t, bare.HasPools())
	empty := decoded[DesktopStatistics](t, `{"desktop_pool_statistics":[]}`)
	assert.False(t, empty.HasPools())
}
