package simulator

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Access is how often a user's access failed with a code, as the API writes it
// (AppUserAccessData). It is a sum over the window that was asked for.
type Access struct {
	Username             string `json:"username" en:"Username" zh:"用户名称"`
	AccessFailedCount    int    `json:"access_failed_count" en:"Number of access failures" zh:"接入失败数"`
	LastAccessFailedTime string `json:"last_access_failed_time" en:"Latest access failure time" zh:"最近一次接入失败时间"`
	ErrorCode            string `json:"error_code" en:"Error code" zh:"错误码"`
	ErrorMsg             string `json:"error_msg" en:"Error message" zh:"错误信息"`

	// VisibleAt and Raw are as in Record. What is put in stands in each window that
	// its time of the last failure is in.
	VisibleAt time.Time       `json:"-"`
	Raw       json.RawMessage `json:"-"`
}

var accessFields = fieldsOf(Access{})

// MarshalJSON writes the statistics, or what stands in their place.
func (a Access) MarshalJSON() ([]byte, error) {
	type plain Access
	return rawOr(a.Raw, plain(a))
}

// key makes a user and code several items if their times differ.
func (a Access) key() string {
	return a.Username + "\x00" + a.ErrorCode + "\x00" + a.LastAccessFailedTime
}

// mergeWithin is the time in which a user's repeated failures with one code count
// once: from each failure to the next. So the windows of a day, each asked for by
// itself, add up to the day.
const mergeWithin = 3 * time.Minute

// accessIn sums up the failures of a window as the API knows them at now, by user
// and code. The caller holds s.mu.
func (s *Simulator) accessIn(q query, now time.Time) []Access {
	type who struct{ user, code string }
	sums, last := map[who]*Access{}, map[who]time.Time{}
	for _, l := range s.failuresBefore(q, now) {
		r, at := s.world.show(l, q.project, now), l.failedAt()
		id := who{r.UserName, r.FailedCode}
		before, repeated := last[id]
		repeated = repeated && at.Sub(before) <= mergeWithin
		last[id] = at
		if !s.inWindow(q, at) {
			continue
		}
		sum := sums[id]
		if sum == nil {
			if repeated { // it counts in the window in which it began
				continue
			}
			sum = &Access{Username: id.user, ErrorCode: id.code}
			sums[id] = sum
		}
		if !repeated {
			sum.AccessFailedCount++
		}
		sum.LastAccessFailedTime, sum.ErrorMsg = format(at), r.FailedReason
	}
	var list []Access
	for _, sum := range sums {
		list = append(list, *sum)
	}
	for _, a := range s.access[q.project] {
		if !a.VisibleAt.After(now) && s.inWindow(q, parseAny(a.LastAccessFailedTime)) {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, func(a, b Access) int { return cmp.Compare(a.key(), b.key()) })
	return list
}

// failuresBefore are the failures of a window and those shortly before, which may
// be repeated in it, in the order of their times.
func (s *Simulator) failuresBefore(q query, now time.Time) []*login {
	const lead = mergeWithin + maxLogin + maxTurn
	var failures []*login
	for l := range s.attempts(q.project, q.from.Add(-lead), q.to) {
		if l.failed(now) && !l.appears.After(now) {
			failures = append(failures, l)
		}
	}
	slices.SortFunc(failures, func(a, b *login) int {
		return cmp.Or(a.failedAt().Compare(b.failedAt()), cmp.Compare(a.id, b.id))
	})
	return failures
}

// failedAt is when a failure happens.
func (l *login) failedAt() time.Time {
	if l.ended.IsZero() {
		return l.settled
	}
	return l.ended
}

// accessFilters are what a request for access statistics may hold: see the API's page.
var accessFilters = []string{"start_time", "end_time", "username", "sort_field", "sort_type"}

var accessWindow = windowRule{from: "start_time", to: "end_time", forms: []string{formSeconds}, mandatory: true}

// readAccess understands the values of a request for access statistics and
// answers it, whole.
func (s *Simulator) readAccess(r *request, values map[string]string) ([]Access, error) {
	q := query{project: r.project}
	var err error
	if q.from, q.to, err = accessWindow.read(values, r.now); err != nil {
		return nil, err
	}
	sorted, err := readSort(values, "access_failed_count", "last_access_failed_time")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.DeleteFunc(s.accessIn(q, r.now), func(a Access) bool { return !strings.Contains(a.Username, values["username"]) })
	switch values["sort_field"] {
	case "access_failed_count":
		slices.SortStableFunc(list, func(a, b Access) int { return sorted * cmp.Compare(a.AccessFailedCount, b.AccessFailedCount) })
	case "last_access_failed_time":
		slices.SortStableFunc(list, func(a, b Access) int { return sorted * cmp.Compare(a.LastAccessFailedTime, b.LastAccessFailedTime) })
	}
	return list, nil
}

// readSort reads the direction in which a list is sorted by one of some fields: 1,
// or -1 for descending.
func readSort(values map[string]string, names ...string) (direction int, err error) {
	if err := oneOf(values, "sort_field", names...); err != nil {
		return 0, err
	}
	if err := oneOf(values, "sort_type", "ASC", "DESC"); err != nil {
		return 0, err
	}
	if values["sort_type"] != "" && values["sort_field"] == "" {
		return 0, errSortType
	}
	if values["sort_type"] == "DESC" {
		return -1, nil
	}
	return 1, nil
}

// listAccess is GET /v2/{project_id}/statistics/metrics/app-user-access.
func (s *Simulator) listAccess(r *request) answer {
	var q query
	if err := r.readPage(&q, 10, 1, 100); err != nil {
		return invalid(r, err)
	}
	q.project = r.project
	s.moveList(q)
	list, err := s.readAccess(r, r.parameters)
	if err != nil {
		return invalid(r, err)
	}
	return jsonAnswer(http.StatusOK, page[Access]{len(list), append([]Access{}, cut(list, q)...)})
}

// exportAccess is POST /v2/{project_id}/statistics/metrics/app-user-access/export.
func (s *Simulator) exportAccess(r *request) answer {
	values, err := readBody(r.body, accessFilters)
	if err != nil {
		return invalid(r, err)
	}
	list, err := s.readAccess(r, values)
	if err != nil {
		return invalid(r, err)
	}
	return s.createTask(r, tableOf("AppUserAccess", accessFields, list))
}

// TruthAccess is what the API would say at this moment of a window, whole.
func (s *Simulator) TruthAccess(projectID string, from, to time.Time) []Access {
	now := s.options.Now().UTC()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accessIn(query{project: projectID, from: from, to: to}, now)
}

// PutAccess adds statistics to a project. Those with a user, code and time that are
// there already take their place.
func (s *Simulator) PutAccess(projectID string, statistics ...Access) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.access[projectID] == nil {
		s.access[projectID] = map[string]Access{}
	}
	for _, a := range statistics {
		s.access[projectID][a.key()] = a
	}
}

// DeleteAccess takes all statistics of a user that were put in away again.
func (s *Simulator) DeleteAccess(projectID, username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, a := range s.access[projectID] {
		if a.Username == username {
			delete(s.access[projectID], key)
		}
	}
}
