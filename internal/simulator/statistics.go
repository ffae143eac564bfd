package simulator

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// DesktopStatistics are numbers of desktops, as the API writes them.
type DesktopStatistics struct {
	TotalNum   int                   `json:"total_num"`
	Attach     *AttachStatistics     `json:"attach_statistics,omitempty"`
	RunState   *RunStateStatistics   `json:"run_state_statistics,omitempty"`
	LoginState *LoginStateStatistics `json:"login_state_statistics,omitempty"`
}

// AttachStatistics are desktops by whether they belong to a user.
type AttachStatistics struct {
	Attached    int `json:"attached_num"`
	Unattached  int `json:"unattached_num"`
	Attaching   int `json:"attaching_num"`
	AttachError int `json:"attach_error_num"`
}

// RunStateStatistics are desktops by how they run.
type RunStateStatistics struct {
	Stop       int `json:"stop_num"`
	Active     int `json:"active_num"`
	Error      int `json:"error_num"`
	Hibernated int `json:"hibernated_num"`
}

// LoginStateStatistics are desktops by who is on them.
type LoginStateStatistics struct {
	InUse           int `json:"in_use_num"`
	Unregistered    int `json:"unregistered_num"`
	UnableToConnect int `json:"unable_to_connect_num"`
	Ready           int `json:"ready_num"`
	Disconnected    int `json:"disconnected_num"`
}

// DesktopPool are the desktops of a pool.
type DesktopPool struct {
	ID   string `json:"desktop_pool_id"`
	Name string `json:"desktop_pool_name"`
	DesktopStatistics
}

// desktopPark is what was put in of a project's desktops.
type desktopPark struct {
	dedicated DesktopStatistics
	pools     map[string]DesktopPool
}

// PutDesktopStatistics sets the numbers of dedicated desktops, and adds pools; one whose id is
// there already takes its place.
func (s *Simulator) PutDesktopStatistics(projectID string, dedicated DesktopStatistics, pools ...DesktopPool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	park := s.parks[projectID]
	if park.pools == nil {
		park.pools = map[string]DesktopPool{}
	}
	park.dedicated = dedicated
	for _, p := range pools {
		park.pools[p.ID] = p
	}
	s.parks[projectID] = park
}

// DeleteDesktopPool takes a pool that was put in away again.
func (s *Simulator) DeleteDesktopPool(projectID, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.parks[projectID].pools, id)
}

// plus adds the numbers of other desktops.
func (d DesktopStatistics) plus(o DesktopStatistics) DesktopStatistics {
	sum := DesktopStatistics{TotalNum: d.TotalNum + o.TotalNum, Attach: &AttachStatistics{}, RunState: &RunStateStatistics{}, LoginState: &LoginStateStatistics{}}
	for _, x := range []DesktopStatistics{d, o} {
		if a := x.Attach; a != nil {
			s := sum.Attach
			*s = AttachStatistics{s.Attached + a.Attached, s.Unattached + a.Unattached, s.Attaching + a.Attaching, s.AttachError + a.AttachError}
		}
		if a := x.RunState; a != nil {
			s := sum.RunState
			*s = RunStateStatistics{s.Stop + a.Stop, s.Active + a.Active, s.Error + a.Error, s.Hibernated + a.Hibernated}
		}
		if a := x.LoginState; a != nil {
			s := sum.LoginState
			*s = LoginStateStatistics{s.InUse + a.InUse, s.Unregistered + a.Unregistered, s.UnableToConnect + a.UnableToConnect, s.Ready + a.Ready, s.Disconnected + a.Disconnected}
		}
	}
	return sum
}

// only leaves out what was not asked for.
func (d DesktopStatistics) only(types []string) DesktopStatistics {
	if !contains(types, "attach-state") {
		d.Attach = nil
	}
	if !contains(types, "run-state") {
		d.RunState = nil
	}
	if !contains(types, "login-state") {
		d.LoginState = nil
	}
	return d
}

// parkAt are the desktops of a project at a time. The caller holds s.mu.
func (s *Simulator) parkAt(project string, now time.Time) (dedicated DesktopStatistics, pools []DesktopPool) {
	park := s.parks[project]
	dedicated, pools = park.dedicated, slices.Collect(maps.Values(park.pools))
	if s.options.LoginsPerHour > 0 {
		users := map[int32]bool{}
		for l := range s.attempts(project, now.Add(-maxSession-maxLogin), now) {
			if !l.ended.IsZero() && !now.Before(l.settled) && now.Before(l.ended) {
				users[l.user] = true
			}
		}
		inUse, all := make([]int, len(s.world.groups)), make([]int, len(s.world.groups))
		for i := range s.world.users {
			g := s.world.users[i].group
			all[g]++
			if users[int32(i)] {
				inUse[g]++
			}
		}
		for i := range s.world.groups {
			numbers := s.world.desktops(i, all[i], inUse[i], now)
			if i == 0 {
				dedicated = dedicated.plus(numbers)
			} else {
				pools = append(pools, DesktopPool{s.world.groups[i].id, s.world.groups[i].name, numbers})
			}
		}
	}
	slices.SortFunc(pools, func(a, b DesktopPool) int { return cmp.Compare(a.ID, b.ID) })
	return dedicated, pools
}

// desktops are those of a group: one for each user of the first group, and pools of fewer for
// the others. A bad roll-out leaves some of the last pool without connection, and the
// outage sends so many users to the first pool that none is free.
func (w *world) desktops(group, users, inUse int, now time.Time) DesktopStatistics {
	total := users
	if group > 0 {
		total = max(users*9/10, 4)
	}
	lost := 0
	if incident := w.incidentAt(now); incident == &script[1] && group == len(w.groups)-1 {
		lost = min(3, total)
	} else if incident == &script[0] && group == 1 {
		total = min(total, max(inUse, 1))
	}
	inUse = min(inUse, total-lost)
	ready := total - lost - inUse
	attached := total
	if group > 0 {
		attached = inUse
	}
	return DesktopStatistics{
		TotalNum: total, Attach: &AttachStatistics{Attached: attached, Unattached: total - attached}, RunState: &RunStateStatistics{Active: total},
		LoginState: &LoginStateStatistics{InUse: inUse, UnableToConnect: lost, Ready: ready},
	}
}

// What a request for statistics may ask for.
const (
	typeDedicated = "DEDICATED"
	typePooled    = "POOLED" // as the vendor's enumeration has it
	// TypePool is the word by which, as the vendor's page says, the numbers of each pool come.
	TypePool = "POOL"
)

var statisticsTypes = []string{"attach-state", "login-state", "run-state"}

// readDesktopTypes reads which desktops are asked for, and whether pool by pool.
func (s *Simulator) readDesktopTypes(r *request) (dedicated, pooled, byPool bool, err error) {
	types := r.arrays["desktop_type"]
	if len(types) == 0 {
		return true, true, false, nil
	}
	word := cmp.Or(s.options.PoolType, typePooled)
	for _, t := range types {
		switch {
		case t == typeDedicated:
			dedicated = true
		case t == typePooled, t == word:
			pooled, byPool = true, byPool || t == word
		default:
			return false, false, false, fmt.Errorf("desktop_type must be one of %s, %s", typeDedicated, typePooled)
		}
	}
	return dedicated, pooled, byPool, nil
}

// showDesktopStatistics is GET /v2/{project_id}/statistics.
func (s *Simulator) showDesktopStatistics(r *request) answer {
	dedicated, pooled, byPool, err := s.readDesktopTypes(r)
	if err != nil {
		return invalid(r, err)
	}
	types := r.arrays["statistics_type"]
	for _, t := range types {
		if !contains(statisticsTypes, t) {
			return invalid(r, fmt.Errorf("statistics_type must be of %v", statisticsTypes))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one, pools := s.parkAt(r.project, r.now)
	if ids := r.arrays["desktop_pool_ids"]; len(ids) > 0 {
		pools = slices.DeleteFunc(pools, func(p DesktopPool) bool { return !contains(ids, p.ID) })
	}
	var body struct {
		DesktopStatistics
		Pools []DesktopPool `json:"desktop_pool_statistics,omitempty"`
	}
	if dedicated {
		body.DesktopStatistics = body.plus(one)
	}
	for _, p := range pools {
		if pooled {
			body.DesktopStatistics = body.plus(p.DesktopStatistics)
		}
		if byPool {
			p.DesktopStatistics = p.plus(DesktopStatistics{}).only(types)
			body.Pools = append(body.Pools, p)
		}
	}
	body.DesktopStatistics = body.plus(DesktopStatistics{}).only(types)
	return jsonAnswer(http.StatusOK, body)
}

// TruthDesktopStatistics are the desktops that there are at this moment.
func (s *Simulator) TruthDesktopStatistics(projectID string) (dedicated DesktopStatistics, pools []DesktopPool) {
	now := s.options.Now().UTC()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parkAt(projectID, now)
}
