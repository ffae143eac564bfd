package simulator

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Record is a login record as the API writes it (UserConnectionInfo). What the
// vendor's example leaves out when empty is left out here.
type Record struct {
	ID               string `json:"id"`
	ConnectType      string `json:"connect_type"`
	UserName         string `json:"user_name"`
	DesktopGroupName string `json:"desktop_group_name,omitempty"`
	PreConnTime      string `json:"pre_conn_time,omitempty"`
	StartTime        string `json:"start_time,omitempty"`
	EndTime          string `json:"end_time,omitempty"`
	MachineSID       string `json:"machine_sid"`
	MachineName      string `json:"machine_name"`
	FailedReason     string `json:"failed_reason"`
	FailedCode       string `json:"failed_code"`
	ClientMAC        string `json:"client_mac"`
	ClientName       string `json:"client_name"`
	ClientIP         string `json:"client_ip"`
	ClientVersion    string `json:"client_version"`
	ClientType       string `json:"client_type"`
	AgentVersion     string `json:"agent_version"`
	VMIP             string `json:"vm_ip"`
	ConnectFlag      string `json:"connect_flag"`
	WIIP             string `json:"wi_ip"`
	UpdateTime       string `json:"update_time,omitempty"`
	TenantID         string `json:"tenant_id"`
	VirtualIP        string `json:"virtual_ip"`
	PublicIP         string `json:"public_ip,omitempty"`

	// VisibleAt is when the record appears. Zero: at once.
	VisibleAt time.Time `json:"-"`
	// Raw, if not nil, is served in the record's place: for records that the API
	// should not send. The fields still say which window it is in.
	Raw json.RawMessage `json:"-"`
}

// MarshalJSON writes the record, or what stands in its place.
func (r Record) MarshalJSON() ([]byte, error) {
	if r.Raw != nil {
		return r.Raw, nil
	}
	type plain Record
	return json.Marshal(plain(r))
}

// page is the answer of a list.
type page struct {
	Count int      `json:"count"`
	Items []Record `json:"items"`
}

// ReadPage reads the records of an answer as the API writes it, to Put them.
func ReadPage(r io.Reader) ([]Record, error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	var p page
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("reading a page of login records: %w", err)
	}
	return p.Items, nil
}

// Put adds records to a project; one whose id is there already takes its place.
func (s *Simulator) Put(projectID string, records ...Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.put[projectID] == nil {
		s.put[projectID] = map[string]Record{}
	}
	for _, r := range records {
		s.put[projectID][r.ID] = r
	}
}

// Delete takes a record that was Put away again.
func (s *Simulator) Delete(projectID, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.put[projectID], id)
}

// field finds a field by the name that a request's body filters it by.
func (r *Record) field(name string) string {
	switch name {
	case "id":
		return r.ID
	case "connect_type":
		return r.ConnectType
	case "user_name":
		return r.UserName
	case "machine_sid":
		return r.MachineSID
	case "machine_name":
		return r.MachineName
	case "failed_reason":
		return r.FailedReason
	case "failed_code":
		return r.FailedCode
	case "client_name":
		return r.ClientName
	case "client_version":
		return r.ClientVersion
	case "client_type":
		return r.ClientType
	case "agent_version":
		return r.AgentVersion
	case "vm_ip":
		return r.VMIP
	case "connect_flag":
		return r.ConnectFlag
	case "wi_ip":
		return r.WIIP
	case "public_ip":
		return r.PublicIP
	case "update_time":
		return r.UpdateTime
	case "tenant_id":
		return r.TenantID
	case "virtual_ip":
		return r.VirtualIP
	}
	return ""
}

// moments are the times of a record as it is now; zero where it has none.
type moments struct{ pre, start, end, update time.Time }

func (r *Record) moments() moments {
	return moments{parseAny(r.PreConnTime), parseAny(r.StartTime), parseAny(r.EndTime), parseAny(r.UpdateTime)}
}

// parseAny reads the forms in which answers have been seen to hold times.
func parseAny(s string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
