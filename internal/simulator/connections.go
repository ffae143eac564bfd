package simulator

import (
	"net/http"
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

// lead is how long before the time that a window is about a login may have begun.
func (f FilterTime) lead() time.Duration {
	switch f {
	case ByPreConnect:
		return 0
	case ByUpdate:
		return maxLogin + maxSession
	}
	return maxLogin
}

func newLoginCatalog(filterOn FilterTime) catalog[Record] {
	return catalog[Record]{
		fields: recordFields, at: filterOn.of, lead: filterOn.lead(), show: (*world).show,
		trace: func(l *login, now time.Time) (moments, bool) { return l.moments(now), !l.appears.After(now) },
	}
}

// connectionFilters are what a request for login records may hold: see the API's page.
var connectionFilters = []string{
	"id", "connect_type", "user_name", "machine_sid", "machine_name", "failed_reason", "failed_code", "client_name",
	"client_version", "client_type", "agent_version", "vm_ip", "connect_flag", "wi_ip", "public_ip", "update_time",
	"tenant_id", "login_start_time", "login_end_time", "virtual_ip",
}

var connectionWindow = windowRule{from: "login_start_time", to: "login_end_time", forms: []string{formSeconds, formBlank}}

// readConnectionQuery reads the body of a request for login records.
func readConnectionQuery(r *request) (q query, match func(*Record) bool, err error) {
	q.project = r.project
	values, err := readBody(r.body, connectionFilters)
	if err != nil {
		return q, nil, err
	}
	if q.from, q.to, err = connectionWindow.read(values, r.now); err != nil {
		return q, nil, err
	}
	var tests []func(*Record) bool
	for name, value := range values {
		tests = append(tests, equalField[Record](recordFields, name, value))
	}
	return q, every(tests), nil
}

// listUserConnections is POST /v1/{project_id}/session/user-connection.
func (s *Simulator) listUserConnections(r *request) answer {
	q, match, err := readConnectionQuery(r)
	if err == nil {
		err = r.readPage(&q, 10, 1, 100)
	}
	if err != nil {
		return invalid(r, err)
	}
	count, items := s.logins.page(s, q, match, r.now)
	return jsonAnswer(http.StatusOK, page[Record]{count, items})
}

// exportUserConnections is POST /v1/{project_id}/session/user-connection/export.
func (s *Simulator) exportUserConnections(r *request) answer {
	q, match, err := readConnectionQuery(r)
	if err != nil {
		return invalid(r, err)
	}
	return s.createTask(r, tableOf("UserLoginRecords", recordFields, s.logins.all(s, q, match, r.now)))
}

// Truth is the list that the API would show at this moment for a window, whole:
// whatever the faults, limits and credentials.
func (s *Simulator) Truth(projectID string, from, to time.Time) []Record {
	return s.logins.truth(s, projectID, from, to)
}

// Put adds records to a project; one whose id is there already takes its place.
func (s *Simulator) Put(projectID string, records ...Record) { s.logins.add(s, projectID, records) }

// Delete takes a record that was Put away again.
func (s *Simulator) Delete(projectID, id string) { s.logins.remove(s, projectID, id) }
