package simulator

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Order is how a list is sorted, by the time a record's connection was asked for.
type Order int

const (
	// Ascending is oldest first.
	Ascending Order = iota
	// Descending is newest first.
	Descending
	// ShuffledTies is oldest first, the records of one second in another order at
	// each request: a database that sorts by a time alone may do this.
	ShuffledTies
)

// FilterTime is the time of a record that a window is about.
type FilterTime int

const (
	// ByStartOrPreConnect is the start time, or the pre-connect time as long as
	// there is none.
	ByStartOrPreConnect FilterTime = iota
	// ByPreConnect is the pre-connect time.
	ByPreConnect
	// ByStart is the start time alone: a record without one is in no window.
	ByStart
	// ByUpdate is the time of the last change.
	ByUpdate
)

func (f FilterTime) of(m moments) time.Time {
	switch f {
	case ByPreConnect:
		return m.pre
	case ByStart:
		return m.start
	case ByUpdate:
		return m.update
	}
	if m.start.IsZero() {
		return m.pre
	}
	return m.start
}

// maxWindow is how long a window may be, and how far back it may reach: "only
// data within 30 days" say the vendor's definitions, of both. That a window
// beyond is refused, rather than cut or answered empty, is our reading.
const maxWindow = 30 * 24 * time.Hour

// bodyFields are those that a request may hold: see the API's page.
var bodyFields = []string{
	"id", "connect_type", "user_name", "machine_sid", "machine_name", "failed_reason", "failed_code", "client_name",
	"client_version", "client_type", "agent_version", "vm_ip", "connect_flag", "wi_ip", "public_ip", "update_time",
	"tenant_id", "login_start_time", "login_end_time", "virtual_ip",
}

// query is a request for login records, understood.
type query struct {
	project       string
	from, to      time.Time
	filters       map[string]string
	limit, offset int
}

// listUserConnections is POST /v1/{project_id}/session/user-connection.
func (s *Simulator) listUserConnections(r *request) answer {
	q, err := readQuery(r)
	if err != nil {
		return refuse(r, http.StatusBadRequest, codeParameter, "Invalid parameter: "+err.Error())
	}
	s.mu.Lock()
	hook := s.beforePage
	s.mu.Unlock()
	if hook != nil {
		hook(q.project, q.offset)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.list(q, r.now)
	p := page{Count: len(list), Items: []Record{}}
	first := min(q.offset, len(list))
	for _, e := range list[first:min(first+q.limit, len(list))] {
		p.Items = append(p.Items, e.show(s.world, q.project, r.now))
	}
	return jsonAnswer(http.StatusOK, p)
}

// Truth is the list that the API would show at this moment for a window, whole:
// whatever the faults, limits and credentials.
func (s *Simulator) Truth(projectID string, from, to time.Time) []Record {
	now := s.options.Now().UTC()
	s.mu.Lock()
	defer s.mu.Unlock()
	var records []Record
	for _, e := range s.list(query{project: projectID, from: from, to: to}, now) {
		records = append(records, e.show(s.world, projectID, now))
	}
	return records
}

func readQuery(r *request) (query, error) {
	q := query{project: r.project}
	var err error
	if q.limit, err = intParameter(r, "limit", 10, 1, 100); err != nil {
		return q, err
	}
	if q.offset, err = intParameter(r, "offset", 0, 0, 1<<31-1); err != nil {
		return q, err
	}
	if q.filters, err = readFilters(r.body); err != nil {
		return q, err
	}
	q.from, q.to, err = readWindow(q.filters, r.now)
	return q, err
}

func intParameter(r *request, name string, fallback, lowest, highest int) (int, error) {
	values, given := r.URL.Query()[name]
	if !given {
		return fallback, nil
	}
	n, err := strconv.Atoi(values[0])
	if err != nil || len(values) > 1 || n < lowest || n > highest {
		return 0, fmt.Errorf("%s must be a number from %d to %d", name, lowest, highest)
	}
	return n, nil
}

// readFilters wants one JSON object of strings, with fields of the API's page only.
func readFilters(body []byte) (map[string]string, error) {
	var fields map[string]*string
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&fields); err != nil || fields == nil {
		return nil, fmt.Errorf("the body must be a JSON object of strings")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("the body must be one JSON object")
	}
	filters := map[string]string{}
	for name, value := range fields {
		if !contains(bodyFields, name) {
			return nil, fmt.Errorf("unknown field %q", name)
		}
		if value == nil {
			return nil, fmt.Errorf("%s must be a string", name)
		}
		filters[name] = *value
	}
	return filters, nil
}

// readWindow takes the window out of the filters. Neither end means the last 30
// days, one alone is refused (both are the API's rules); the order of the ends
// being checked is our reading.
func readWindow(filters map[string]string, now time.Time) (from, to time.Time, err error) {
	start, hasStart := filters["login_start_time"]
	end, hasEnd := filters["login_end_time"]
	delete(filters, "login_start_time")
	delete(filters, "login_end_time")
	if !hasStart && !hasEnd {
		return now.Add(-maxWindow), now, nil
	}
	if !hasStart || !hasEnd {
		return from, to, fmt.Errorf("login_start_time and login_end_time must be given together")
	}
	if from, err = parseRequestTime(start); err != nil {
		return from, to, fmt.Errorf("login_start_time %w", err)
	}
	if to, err = parseRequestTime(end); err != nil {
		return from, to, fmt.Errorf("login_end_time %w", err)
	}
	switch {
	case from.After(to):
		err = fmt.Errorf("login_start_time must not be after login_end_time")
	case to.Sub(from) > maxWindow:
		err = fmt.Errorf("the time range must not exceed 30 days")
	case from.Before(now.Add(-maxWindow)):
		err = fmt.Errorf("login_start_time must be within the last 30 days")
	}
	return from, to, err
}

// parseRequestTime reads the two forms that the pages show, to the second and in
// UTC. time.Parse would also accept a fraction.
func parseRequestTime(s string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02T15:04:05Z", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil && len(s) == len(layout) {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("must look like 2022-10-31T08:07:39Z or 2022-10-31 08:07:39")
}

// entry is a record in a list: a generated login or one that was put in.
type entry struct {
	second int64 // the list is sorted by it
	login  *login
	record *Record
}

func (e entry) show(w *world, project string, now time.Time) Record {
	if e.record != nil {
		return *e.record
	}
	return w.show(e.login, project, now)
}

// list makes the list of a query as it is now. The caller holds s.mu.
func (s *Simulator) list(q query, now time.Time) []entry {
	list := s.listGenerated(q, now)
	for _, r := range s.put[q.project] {
		m := r.moments()
		if !r.VisibleAt.After(now) && s.inWindow(q, m) && matches(&r, q.filters) {
			list = append(list, entry{second: sortTime(m), record: &r})
		}
	}
	s.sort(list)
	return list
}

func (s *Simulator) listGenerated(q query, now time.Time) []entry {
	var list []entry
	for l := range s.logins(q.project, q.from.Add(-s.lead()), q.to) {
		m := l.moments(now)
		if l.appears.After(now) || !s.inWindow(q, m) {
			continue
		}
		if len(q.filters) > 0 {
			if r := s.world.show(l, q.project, now); !matches(&r, q.filters) {
				continue
			}
		}
		list = append(list, entry{second: l.pre.Unix(), login: l})
	}
	return list
}

// lead is how long before the time that a window is about a login may have begun.
func (s *Simulator) lead() time.Duration {
	switch s.options.FilterOn {
	case ByPreConnect:
		return 0
	case ByUpdate:
		return maxLogin + maxSession
	}
	return maxLogin
}

// inWindow compares to the second, as the API writes times. The end is in the
// window unless Options.EndExcluded.
func (s *Simulator) inWindow(q query, m moments) bool {
	t := s.options.FilterOn.of(m).Truncate(time.Second)
	if t.IsZero() || t.Before(q.from) || t.After(q.to) {
		return false
	}
	return !s.options.EndExcluded || t.Before(q.to)
}

func matches(r *Record, filters map[string]string) bool {
	for name, value := range filters {
		if r.field(name) != value {
			return false
		}
	}
	return true
}

func sortTime(m moments) int64 {
	for _, t := range []time.Time{m.pre, m.start, m.update} {
		if !t.IsZero() {
			return t.Unix()
		}
	}
	return 0
}

func (s *Simulator) sort(list []entry) {
	tie := compareIDs
	if s.options.Order == ShuffledTies {
		seed := maphash.MakeSeed()
		tie = func(a, b entry) int { return cmp.Compare(a.hash(seed), b.hash(seed)) }
	}
	slices.SortFunc(list, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.second, b.second), tie(a, b))
	})
	if s.options.Order == Descending {
		slices.Reverse(list)
	}
}

// compareIDs sorts generated logins by number, before what was put in.
func compareIDs(a, b entry) int {
	switch {
	case a.login != nil && b.login != nil:
		return cmp.Compare(a.login.id, b.login.id)
	case a.record != nil && b.record != nil:
		return cmp.Compare(a.record.ID, b.record.ID)
	case a.login != nil:
		return -1
	}
	return 1
}

func (e entry) hash(seed maphash.Seed) uint64 {
	if e.login != nil {
		return maphash.Comparable(seed, e.login.id)
	}
	return maphash.String(seed, e.record.ID)
}
