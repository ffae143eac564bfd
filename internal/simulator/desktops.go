package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Desktop is a connection to a desktop as the API writes it (Record of the
// service "workspace"). What is empty is left out.
type Desktop struct {
	SID                     string `json:"sid,omitempty" en:"Desktop SID" zh:"桌面sid"`
	TransactionID           string `json:"transaction_id,omitempty" en:"Transaction ID" zh:"事务id"`
	ComputerName            string `json:"computer_name,omitempty" en:"Computer name" zh:"计算机名"`
	UserName                string `json:"user_name,omitempty" en:"Username" zh:"用户名"`
	TerminalMAC             string `json:"terminal_mac,omitempty" en:"Terminal MAC address" zh:"终端MAC地址"`
	TerminalName            string `json:"terminal_name,omitempty" en:"Terminal name" zh:"终端名称"`
	TerminalIP              string `json:"terminal_ip,omitempty" en:"Terminal IP address" zh:"终端IP"`
	ClientVersion           string `json:"client_version,omitempty" en:"AccessClient version" zh:"AccessClient版本"`
	TerminalType            string `json:"terminal_type,omitempty" en:"Terminal OS type" zh:"终端系统类型"`
	AgentVersion            string `json:"agent_version,omitempty" en:"AccessAgent version" zh:"AccessAgent版本"`
	DesktopIP               string `json:"desktop_ip,omitempty" en:"Desktop IP address" zh:"桌面IP"`
	ConnectionStartTime     string `json:"connection_start_time,omitempty" en:"Connection start time" zh:"开始连接时间"`
	ConnectionSetupTime     string `json:"connection_setup_time,omitempty" en:"Connection setup time" zh:"建立连接时间"`
	ConnectionEndTime       string `json:"connection_end_time,omitempty" en:"Connection end time" zh:"结束连接时间"`
	IsReconnect             bool   `json:"is_reconnect" en:"Reconnection" zh:"是否重连"`
	ConnectionFailureReason string `json:"connection_failure_reason,omitempty" en:"Connection failure cause" zh:"连接失败原因"`
	NetworkRTT              int    `json:"network_rtt,omitempty" en:"Network latency (ms)" zh:"网络时延ms"`  // 0: none
	E2ERTT                  int    `json:"e2e_rtt,omitempty" en:"End-to-end latency (ms)" zh:"端到端时延 ms"` // 0: none
	SourceIP                string `json:"source_ip,omitempty" en:"Source IP address of the client" zh:"客户端源ip"`
	PublicIP                string `json:"public_ip,omitempty" en:"Egress IP address of the client" zh:"客户端出网IP"`
	EnterpriseProjectID     string `json:"enterprise_project_id,omitempty" en:"Enterprise project ID" zh:"企业项目ID"`

	// VisibleAt and Raw are as in Record.
	VisibleAt time.Time       `json:"-"`
	Raw       json.RawMessage `json:"-"`
}

var desktopFields = fieldsOf(Desktop{})

// MarshalJSON writes the connection, or what stands in its place.
func (d Desktop) MarshalJSON() ([]byte, error) {
	type plain Desktop
	return rawOr(d.Raw, plain(d))
}

func (d Desktop) key() string          { return d.TransactionID }
func (d Desktop) visibleAt() time.Time { return d.VisibleAt }

func (d Desktop) moments() moments {
	return moments{pre: parseAny(d.ConnectionStartTime), start: parseAny(d.ConnectionSetupTime), end: parseAny(d.ConnectionEndTime)}
}

// newDesktopCatalog has windows of the start time.
func newDesktopCatalog() catalog[Desktop] {
	return catalog[Desktop]{
		fields: desktopFields, at: ByPreConnect.of, show: (*world).showDesktop,
		trace: func(l *login, now time.Time) (moments, bool) { return l.moments(now), !l.appears.After(now) },
	}
}

// showDesktop writes a login to the user's own desktop as the API shows it at now.
// Times have milliseconds here, and a failure has a reason only.
func (w *world) showDesktop(l *login, project string, now time.Time) Desktop {
	r, m := w.show(l, project, now), l.moments(now)
	r.MachineName = fmt.Sprintf("DT-%05d", l.user+1)
	r.VMIP = netip.AddrFrom4([4]byte{10, 30, byte(l.user >> 8), byte(l.user)}).String()
	r.AgentVersion = l.agent
	d := Desktop{
		SID: fmt.Sprintf("S-1-5-21-2842135174-1590827381-3385071902-%d", 2000+l.user), TransactionID: transactionOf(l),
		ComputerName: r.MachineName, UserName: r.UserName, TerminalMAC: r.ClientMAC, TerminalName: r.ClientName, TerminalIP: r.ClientIP,
		ClientVersion: r.ClientVersion, TerminalType: r.ClientType, AgentVersion: r.AgentVersion, DesktopIP: r.VMIP,
		ConnectionStartTime: formatMillis(m.pre), ConnectionSetupTime: formatMillis(m.start), ConnectionEndTime: formatMillis(m.end),
		IsReconnect: l.mix()%8 == 0, SourceIP: r.ClientIP, PublicIP: r.PublicIP, EnterpriseProjectID: "0",
	}
	if l.failed(now) {
		d.ConnectionFailureReason = l.failure.text(&r, w.users[l.user].account)
	}
	if !m.start.IsZero() {
		d.NetworkRTT = 3 + int(l.mix()>>8%60)
		d.E2ERTT = d.NetworkRTT + 15 + int(l.mix()>>16%80)
	}
	return d
}

// desktopFilters are what every request for desktop connections may hold.
var desktopFilters = []string{"start_time", "end_time", "user_name", "computer_name", "terminal_type"}

var (
	desktopWindow = windowRule{from: "start_time", to: "end_time", forms: []string{formMinutes}, unlimited: true}
	// That one end will do is on the vendor's page.
	desktopTaskWindow = windowRule{from: "start_time", to: "end_time", forms: []string{formSeconds}, alone: true}
)

// readDesktopQuery understands the parameters of a request for desktop connections,
// but for limit, offset and language.
func readDesktopQuery(r *request, window windowRule) (q query, match func(*Desktop) bool, err error) {
	q.project = r.project
	if q.from, q.to, err = window.read(r.parameters, r.now); err != nil {
		return q, nil, err
	}
	var tests []func(*Desktop) bool
	for name, value := range r.parameters {
		test, err := r.desktopTest(name, value)
		if err != nil {
			return q, nil, err
		}
		if test != nil {
			tests = append(tests, test)
		}
	}
	return q, every(tests), nil
}

func (r *request) desktopTest(name, value string) (func(*Desktop) bool, error) {
	switch name {
	case "limit", "offset", "language":
		return nil, nil
	case "domain":
		return func(d *Desktop) bool { return strings.HasSuffix(d.UserName, "@"+value) }, nil
	case "terminal_type":
		if r.route.task { // a fuzzy query only there, says the vendor's page
			return func(d *Desktop) bool { return strings.Contains(d.TerminalType, value) }, nil
		}
	case "min_e2e_rtt", "min_network_rtt", "max_e2e_rtt", "max_network_rtt":
		return r.rttTest(name)
	}
	return equalField[Desktop](desktopFields, name, value), nil
}

func (r *request) rttTest(name string) (func(*Desktop) bool, error) {
	bound, err := intParameter(r.parameters, name, 0, 0, 1<<31-1)
	end, field, _ := strings.Cut(name, "_")
	return func(d *Desktop) bool {
		rtt := d.NetworkRTT
		if field == "e2e_rtt" {
			rtt = d.E2ERTT
		}
		return rtt > 0 && (end == "min" && rtt >= bound || end == "max" && rtt <= bound)
	}, err
}

// listDesktops is GET /v2/{project_id}/connections/desktops.
func (s *Simulator) listDesktops(r *request) answer {
	q, match, err := readDesktopQuery(r, desktopWindow)
	if err == nil {
		err = r.readPage(&q, 20, 0, 1000)
	}
	if err != nil {
		return invalid(r, err)
	}
	count, items := s.desktops.page(s, q, match, r.now)
	return jsonAnswer(http.StatusOK, struct {
		Count   int       `json:"total_count"`
		Records []Desktop `json:"records"`
	}{count, items})
}

// exportDesktops is GET /v2/{project_id}/connections/desktops/export.
func (s *Simulator) exportDesktops(r *request) answer {
	t, err := s.desktopTable(r, desktopWindow)
	if err != nil {
		return invalid(r, err)
	}
	return fileAnswer(s.fileName(t.name, r.now), s.options.File.encode(t, s.options.Seed))
}

// exportDesktopsByTask is GET /v3/{project_id}/desktops/connections/export.
func (s *Simulator) exportDesktopsByTask(r *request) answer {
	t, err := s.desktopTable(r, desktopTaskWindow)
	if err != nil {
		return invalid(r, err)
	}
	return s.createTask(r, t)
}

func (s *Simulator) desktopTable(r *request, window windowRule) (table, error) {
	if err := oneOf(r.parameters, "language", "en_US", "zh_CN"); err != nil {
		return table{}, err
	}
	q, match, err := readDesktopQuery(r, window)
	if err != nil {
		return table{}, err
	}
	t := tableOf("DesktopConnections", desktopFields, s.desktops.all(s, q, match, r.now))
	t.language = r.parameters["language"]
	return t, nil
}

// TruthDesktops is the list of desktop connections that the API would show at this
// moment for a window of start times, whole.
func (s *Simulator) TruthDesktops(projectID string, from, to time.Time) []Desktop {
	return s.desktops.truth(s, projectID, from, to)
}

// PutDesktops adds connections to a project; one whose transaction id is there
// already takes its place.
func (s *Simulator) PutDesktops(projectID string, connections ...Desktop) {
	s.desktops.add(s, projectID, connections)
}

// DeleteDesktop takes a connection that was put in away again.
func (s *Simulator) DeleteDesktop(projectID, transactionID string) {
	s.desktops.remove(s, projectID, transactionID)
}
