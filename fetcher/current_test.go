package fetcher

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// nowFunc is a CurrentSource.
type nowFunc func(context.Context) (*record.Batch, error)

func (f nowFunc) ReadNow(ctx context.Context) (*record.Batch, error) { return f(ctx) }

func (f nowFunc) Inherit(CurrentSource) {}

// A list without times is read once a poll, whatever clocks say, and committed as of the
// server's time; after a failure nothing is committed.
func TestCurrent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.skew, w.unknown = -20*time.Second, true
		reads, fails := 0, error(nil)
		o := options()
		o.ServerTime, o.Logger = w.serverTime, w.logger()
		p, err := NewPoller(&Current{Source: nowFunc(func(context.Context) (*record.Batch, error) {
			reads++
			w.unknown = false // there is an answer
			return &record.Batch{Fleet: record.Fleet{LatestAgent: "1"}}, fails
		})}, w, w, o)
		require.NoError(t, err)
		require.NoError(t, p.Poll(t.Context()))
		assert.Equal(t, 1, reads, "a request without a time is right by any clock")
		require.Len(t, w.batches, 1)
		b := w.batches[0]
		assert.Equal(t, []time.Time{w.now(), w.now(), w.now()}, []time.Time{b.From, b.To, b.Now})
		assert.True(t, b.UpToDate)
		assert.Equal(t, "1", b.Fleet.LatestAgent)
		assert.Equal(t, w.now(), p.Status().Position.LastSuccess)

		fails = errors.New("no network")
		require.ErrorIs(t, p.Poll(t.Context()), fails)
		assert.Len(t, w.batches, 1)
		assert.ErrorIs(t, p.Status().LastError, fails)
	})
}

// fleetAPI is a fake of the calls, which counts them.
type fleetAPI struct {
	servers []record.Server
	groups  []record.ServerGroup
	max     map[string]int // by group
	gone    string         // a group that is listed and does not exist
	fails   string         // a call
	mu      sync.Mutex     // pages are asked for side by side
	calls   []string
	// forbidden are calls for which a permission is missing.
	forbidden map[string]bool
}

var errFails = errors.New("fails")

func (f *fleetAPI) call(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, name)
	switch {
	case name == f.fails:
		return errFails
	case f.forbidden[name]:
		return &workspace.Error{Operation: name, Status: http.StatusForbidden}
	}
	return nil
}

// since are the calls since it was called last.
func (f *fleetAPI) since() string {
	calls := strings.Join(f.calls, " ")
	f.calls = nil
	return calls
}

func (f *fleetAPI) reader(t *testing.T) *ReadFleet {
	api := FleetAPI{
		Group: func(_ context.Context, id string) (record.ServerGroup, error) {
			if id == f.gone {
				return record.ServerGroup{}, errors.Join(f.call("group:"+id), ErrNoGroup)
			}
			return record.ServerGroup{ID: id, MaxSessions: f.max[id]}, f.call("group:" + id)
		},
		LatestAgent: func(context.Context) (string, error) { return "25.3", f.call("agent") },
		MaxSessions: func(context.Context) (int, error) { return 60, f.call("max") },
	}
	api.Servers.Limit, api.Groups.Limit = 100, 100
	api.Servers.Get = func(_ context.Context, q workspace.PageQuery) (int, []record.Server, error) {
		first := min(q.Offset, len(f.servers))
		return len(f.servers), f.servers[first:min(first+q.Limit, len(f.servers))], f.call("servers")
	}
	api.Groups.Get = func(context.Context, workspace.PageQuery) (int, []record.ServerGroup, error) {
		return len(f.groups), f.groups, f.call("groups")
	}
	return NewReadFleet(api, func() { t.Error("mismatch") }, log.NewNopLogger())
}

func (f *fleetAPI) addGroup(id string, bundle, most int, servers int) {
	f.groups = append(f.groups, record.ServerGroup{ID: id, Name: strings.ToUpper(id), MaxSessions: bundle, Identity: record.Identity{byte(len(f.groups))}})
	f.max[id] = most
	for range servers {
		n := len(f.servers)
		f.servers = append(f.servers, record.Server{ID: record.Identity{byte(n), byte(n >> 8), 1}, GroupID: id, Group: strings.ToUpper(id)})
	}
}

func maxima(b *record.Batch) map[string]int {
	most := map[string]int{}
	for _, g := range b.Fleet.Groups {
		most[g.Name] = g.MaxSessions
	}
	return most
}

// The number of calls: one a poll for up to a page of servers; groups, each of them and the
// latest version once an hour, or when a server shows a group that is not known.
func TestFleetCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleetAPI{max: map[string]int{}}
		f.addGroup("a", 40, 5, 2)
		f.addGroup("b", 40, 0, 1)
		f.addGroup("c", 0, 0, 1)
		r := f.reader(t)
		read := func() *record.Batch {
			b, err := r.ReadNow(t.Context())
			require.NoError(t, err)
			time.Sleep(5 * time.Minute)
			return b
		}
		b := read()
		assert.Equal(t, "groups agent group:a group:b group:c max servers", f.since())
		assert.Len(t, b.Fleet.Servers, 4)
		assert.Equal(t, "25.3", b.Fleet.LatestAgent)
		assert.Equal(t, map[string]int{"A": 5, "B": 40, "C": 60}, maxima(b))
		for range 11 {
			assert.Equal(t, map[string]int{"A": 5, "B": 40, "C": 60}, maxima(read()))
		}
		assert.Equal(t, strings.TrimSpace(strings.Repeat("servers ", 11)), f.since())
		f.max["a"] = 7
		assert.Equal(t, map[string]int{"A": 7, "B": 40, "C": 60}, maxima(read()))
		assert.Equal(t, "groups agent group:a group:b group:c max servers", f.since(), "an hour is over")

		f.addGroup("d", 0, 3, 1)
		assert.Equal(t, map[string]int{"A": 7, "B": 40, "C": 60, "D": 3}, maxima(read()))
		assert.Equal(t, "servers groups group:d", f.since())
		read()
		assert.Equal(t, "servers", f.since())
		f.servers[0].GroupID = "hidden"
		read()
		assert.Equal(t, "servers groups", f.since())
		read()
		assert.Equal(t, "servers", f.since(), "a group that is not listed is not looked for in each poll")
		f.servers = nil
		assert.Empty(t, read().Fleet.Servers)
		assert.Equal(t, "servers", f.since())

		f.addGroup("e", 9, 0, 250)
		f.gone = "e"
		b = read()
		assert.Len(t, b.Fleet.Servers, 250)
		assert.Equal(t, 9, maxima(b)["E"], "as it was listed")
		assert.Equal(t, "servers servers servers servers groups group:e", f.since(), "it is not known yet how long pages are")
		f.gone = ""
		assert.Equal(t, 0, f.max["e"])
		f.max["e"] = 3
		assert.Equal(t, 3, maxima(read())["E"], "it was not there for a moment alone")
		assert.Equal(t, "group:e servers servers servers servers", f.since())
		read()
		assert.Equal(t, "servers servers servers", f.since())
		f.gone = "e"
		for range 24 {
			read()
		}
		assert.Equal(t, 3, strings.Count(f.since(), "group:e"), "one that is not there is asked for once more, and then once an hour")
		assert.Equal(t, 9, maxima(read())["E"])
	})
}

// What a poll that fails has read of groups is kept.
func TestFleetGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleetAPI{max: map[string]int{}}
		f.addGroup("a", 0, 5, 1)
		f.addGroup("b", 0, 6, 1)
		r := f.reader(t)
		for _, c := range []struct{ fails, calls string }{
			{"groups", "groups"}, {"agent", "groups agent"}, {"group:b", "agent group:a group:b"}, {"servers", "group:b servers"}, {"", "servers"},
		} {
			f.fails = c.fails
			_, err := r.ReadNow(t.Context())
			assert.Equal(t, c.fails != "", errors.Is(err, errFails), "%s: %v", c.fails, err)
			assert.Equal(t, c.calls, f.since())
		}
	})
}

// A reload is no reason to read groups again.
func TestFleetOutlivesReloads(t *testing.T) {
	f := &fleetAPI{max: map[string]int{}}
	f.addGroup("a", 0, 5, 1)
	before, after := &Current{Source: f.reader(t)}, &Current{Source: f.reader(t)}
	_, err := before.Source.ReadNow(t.Context())
	require.NoError(t, err)
	f.since()
	after.inherit(before)
	b, err := after.Source.ReadNow(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "servers", f.since())
	assert.Equal(t, map[string]int{"A": 5}, maxima(b))
	assert.Equal(t, "25.3", b.Fleet.LatestAgent)

	other := &Current{Source: f.reader(t), Owner: "another project"}
	other.inherit(before)
	_, err = other.Source.ReadNow(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "groups agent group:a servers", f.since())

	desktops := &ReadDesktopNumbers{poolWord: poolWord{pooled: typePool}}
	next := &ReadDesktopNumbers{}
	next.Inherit(desktops)
	assert.Equal(t, []string{typePool, typePooled}, next.words())
	next.Inherit(before.Source)
	assert.Equal(t, typePool, next.pooled)
}

// A server whose group's name is not there is in the group all the same, and a group that is
// listed as one for virtual desktops is one.
func TestFleetFillsIn(t *testing.T) {
	f := &fleetAPI{max: map[string]int{}}
	f.addGroup("a", 40, 5, 2)
	f.addGroup("v", 1, 5, 1)
	f.groups[1].OneSession = true
	f.servers[1].Group = "a"
	f.servers = append(f.servers, record.Server{ID: record.Identity{9}, GroupID: "hidden", Group: "hidden"}, record.Server{ID: record.Identity{10}})
	b, err := f.reader(t).ReadNow(t.Context())
	require.NoError(t, err)
	var groups []string
	for i := range b.Fleet.Servers {
		groups = append(groups, b.Fleet.Servers[i].Group)
	}
	assert.Equal(t, []string{"A", "A", "V", "hidden", ""}, groups)
	assert.Equal(t, map[string]int{"A": 5, "V": 1}, maxima(b))
}

// All permissions that are missing are named at once; of groups, one is asked for.
func TestFleetWithoutPermissions(t *testing.T) {
	f := &fleetAPI{max: map[string]int{}, forbidden: map[string]bool{}}
	f.addGroup("a", 0, 5, 1)
	f.addGroup("b", 0, 5, 1)
	r := f.reader(t)
	for _, c := range []struct{ forbidden, calls string }{
		{"groups agent servers", "groups agent servers"},
		{"agent group:a group:b", "groups agent group:a servers"},
		{"servers", "agent group:a group:b servers"},
		{"", "servers"},
	} {
		f.forbidden = map[string]bool{}
		for _, call := range strings.Fields(c.forbidden) {
			f.forbidden[call] = true
		}
		_, err := r.ReadNow(t.Context())
		assert.Equal(t, c.calls, f.since())
		assert.Equal(t, c.forbidden != "", workspace.IsForbidden(err))
		for _, call := range strings.Fields(strings.TrimSuffix(c.forbidden, " group:b")) {
			assert.ErrorContains(t, err, call)
			assert.Equal(t, Permission, reasonOf(err))
		}
	}
}

func desktopStatistics(t *testing.T, text string) (d record.DesktopStatistics) {
	require.NoError(t, json.Unmarshal([]byte(text), &d))
	return d
}

// Two calls a poll, by whichever word the API lists pools.
func TestDesktopNumbers(t *testing.T) {
	const all, two = `{"total_num":10}`, `{"total_num":3,"desktop_pool_statistics":[{"desktop_pool_name":"A","total_num":2},{"desktop_pool_name":"B","total_num":1}]}`
	refused := &workspace.Error{Status: http.StatusBadRequest}
	for name, c := range map[string]struct {
		answers   map[string]string // by the type; "" is refused
		calls     string            // of three polls
		dedicated int
		unknown   bool // pools are shown as one
		err       string
		mismatch  int
	}{
		"as enumerated":                   {answers: map[string]string{typePooled: two}, calls: " POOLED,  POOLED,  POOLED", dedicated: 7},
		"as the page says":                {answers: map[string]string{typePooled: `{"total_num":3}`, typePool: two}, calls: " POOLED POOL,  POOL,  POOL", dedicated: 7},
		"only as it says":                 {answers: map[string]string{typePool: two}, calls: " POOLED POOL,  POOL,  POOL", dedicated: 7},
		"no pools":                        {answers: map[string]string{typePooled: `{"total_num":0}`}, calls: " POOLED,  POOLED,  POOLED", dedicated: 10},
		"an empty list":                   {answers: map[string]string{typePooled: `{"total_num":0,"desktop_pool_statistics":[]}`}, calls: " POOLED,  POOLED,  POOLED", dedicated: 10},
		"an empty list, as the page says": {answers: map[string]string{typePooled: `{"total_num":3,"desktop_pool_statistics":[]}`, typePool: two}, calls: " POOLED POOL,  POOL,  POOL", dedicated: 7},
		"not by pool":                     {answers: map[string]string{typePooled: `{"total_num":3}`, typePool: `{"total_num":3,"desktop_pool_statistics":[]}`}, calls: " POOLED POOL,  POOL,  POOL", dedicated: 7, unknown: true},
		"not by pool, refused":            {answers: map[string]string{typePooled: `{"total_num":3,"desktop_pool_statistics":null}`}, calls: " POOLED POOL,  POOLED,  POOLED", dedicated: 7, unknown: true},
		"pools without numbers":           {answers: map[string]string{typePooled: `{"total_num":3,"desktop_pool_statistics":[{"desktop_pool_name":"A"},{"desktop_pool_name":"B","total_num":1}]}`}, calls: " POOLED,  POOLED,  POOLED", dedicated: 7},
		"refused":                         {calls: " POOLED POOL,  POOLED POOL,  POOLED POOL", err: "400"},
		"more than all has":               {answers: map[string]string{typePooled: `{"total_num":11,"desktop_pool_statistics":[{"desktop_pool_name":"A","total_num":11}]}`}, calls: " POOLED,  POOLED,  POOLED", mismatch: 3},
	} {
		t.Run(name, func(t *testing.T) {
			var calls []string
			mismatches := 0
			d := &ReadDesktopNumbers{Logger: log.NewNopLogger(), Mismatch: func() { mismatches++ }, Get: func(_ context.Context, desktopType string) (record.DesktopStatistics, error) {
				calls[len(calls)-1] += desktopType + " "
				if desktopType == "" {
					return desktopStatistics(t, all), nil
				}
				if c.answers[desktopType] == "" {
					return record.DesktopStatistics{}, refused
				}
				return desktopStatistics(t, c.answers[desktopType]), nil
			}}
			for range 3 {
				calls = append(calls, "")
				b, err := d.ReadNow(t.Context())
				if c.err != "" {
					require.ErrorContains(t, err, c.err)
					continue
				}
				require.NoError(t, err)
				assert.Empty(t, b.Desktops[0].Pool)
				assert.Equal(t, c.dedicated, *b.Desktops[0].Total)
				if c.unknown {
					assert.Equal(t, []record.DesktopCount{{Pool: "unknown", Total: b.Desktops[1].Total, Attach: map[string]int{}, RunState: map[string]int{}, LoginState: map[string]int{}}}, b.Desktops[1:])
				}
			}
			for i := range calls {
				calls[i] = strings.TrimRight(calls[i], " ")
			}
			assert.Equal(t, c.calls, strings.Join(calls, ", "))
			assert.Equal(t, c.mismatch, mismatches)
		})
	}
}
