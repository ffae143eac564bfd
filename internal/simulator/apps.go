package simulator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// AppConnection is the use of an application as the API writes it (AppConnectionInfo).
// There is no time of its last change.
type AppConnection struct {
	ID                      string `json:"id" en:"Unique ID" zh:"唯一标识"`
	SID                     string `json:"sid,omitempty" en:"Application server SID" zh:"应用服务器sid"`
	AppID                   string `json:"app_id,omitempty" en:"Application ID" zh:"应用id"`
	AppName                 string `json:"app_name,omitempty" en:"Application name" zh:"应用名称"`
	MachineName             string `json:"machine_name,omitempty" en:"Application server name" zh:"应用服务器名称"`
	UserName                string `json:"user_name" en:"Login user" zh:"登录用户"`
	AppGroupName            string `json:"app_group_name,omitempty" en:"Application group name" zh:"应用组名称"`
	AppGroupID              string `json:"app_group_id,omitempty" en:"Application group ID" zh:"应用组id"`
	BrokeringTime           string `json:"brokering_time,omitempty" en:"Application login time" zh:"登录应用时间"`
	EndTime                 string `json:"end_time,omitempty" en:"Application logout time" zh:"登录应用结束时间"`
	FailedCode              string `json:"failed_code" en:"Connection failure status code" zh:"连接失败状态码"`
	ConnectionFailureReason string `json:"connection_failure_reason" en:"Connection failure cause" zh:"连接失败原因"`
	ClientMAC               string `json:"client_mac" en:"Client MAC address" zh:"客户端Mac"`
	ClientName              string `json:"client_name" en:"Client name" zh:"客户端名称"`
	ClientIP                string `json:"client_ip" en:"Client IP address" zh:"客户端ip"`
	ClientVersion           string `json:"client_version" en:"Client version" zh:"客户端版本"`
	ClientType              string `json:"client_type" en:"Client OS type" zh:"客户端操作系统类型"`
	PublicIP                string `json:"public_ip,omitempty" en:"Egress IP address of the client" zh:"客户端出口ip"`
	AgentVersion            string `json:"agent_version,omitempty" en:"APS HDA version" zh:"aps hda版本"`
	VMIP                    string `json:"vm_ip,omitempty" en:"Application server IP address" zh:"应用服务器ip"`
	WIIP                    string `json:"wi_ip" en:"Connection IP address" zh:"连接IP"`
	VirtualIP               string `json:"virtual_ip" en:"Virtual IP address of a session" zh:"会话虚拟ip"`
	TenantID                string `json:"tenant_id" en:"Tenant ID" zh:"租户id"`
	TransactionID           string `json:"transaction_id,omitempty" en:"Transaction ID" zh:"事务id"`
	ApsInstanceID           string `json:"aps_instance_id,omitempty" en:"Application server ID" zh:"应用服务器id"`
	ApsInstanceName         string `json:"aps_instance_name,omitempty" en:"Application server instance name" zh:"应用服务器实例名称"`
	ApsHostID               string `json:"aps_host_id,omitempty" en:"Dedicated host ID" zh:"专属主机id"`
	PrimaryServerGroupID    string `json:"primary_server_group_id,omitempty" en:"Primary server group ID" zh:"主服务器组id"`
	SecondaryServerGroupID  string `json:"secondary_server_group_id,omitempty" en:"Secondary server group ID" zh:"备服务器组id"`

	// VisibleAt and Raw are as in Record.
	VisibleAt time.Time       `json:"-"`
	Raw       json.RawMessage `json:"-"`
}

var appFields = fieldsOf(AppConnection{})

// MarshalJSON writes the use of an application, or what stands in its place.
func (a AppConnection) MarshalJSON() ([]byte, error) {
	type plain AppConnection
	return rawOr(a.Raw, plain(a))
}

func (a AppConnection) key() string          { return a.ID }
func (a AppConnection) visibleAt() time.Time { return a.VisibleAt }

func (a AppConnection) moments() moments {
	return moments{start: parseAny(a.BrokeringTime), end: parseAny(a.EndTime)}
}

// maxEndDelay is how late an end may be filled in: one in ten is late.
const maxEndDelay = 20 * time.Minute

// launch is what the API knows at now of the application that a login opens: nothing, if
// its group has a shared desktop, or if the user got to no server. The user opens it at
// pre, and its end is filled in when it has ended, or later.
func (w *world) launch(l *login, now time.Time) (m moments, known bool) {
	if w.groups[w.users[l.user].group].connectType != "2" || l.failure != nil && l.failure.noServer || l.appears.After(now) {
		return moments{}, false
	}
	m.start = l.pre
	filledIn := l.ended
	if l.mix()%10 == 0 {
		filledIn = filledIn.Add(time.Duration(l.mix() % uint64(maxEndDelay)))
	}
	if !l.ended.IsZero() && !now.Before(filledIn) {
		m.end = l.ended
	}
	return m, true
}

// newAppCatalog has windows of the time at which applications were opened.
func newAppCatalog(w *world) catalog[AppConnection] {
	return catalog[AppConnection]{fields: appFields, at: ByStart.of, show: (*world).showApp, trace: w.launch}
}

var appNames = []string{"Notepad++", "LibreOffice Calc", "SAP GUI", "AutoCAD", "Firefox"}

// app is the application that a login opens: each server of a group has one.
func (w *world) app(l *login) string {
	return appNames[int(l.server)/len(w.groups)%len(appNames)]
}

// Ways in which the API says that there is no end yet, and no failure. The vendor's pages
// have an example of each.
var (
	noEnds     = []string{"", "0001-01-01 00:00:00", "0001-01-01T00:00:00Z"}
	noFailures = []struct{ code, reason string }{{"", ""}, {"WKS.00000000", "success"}, {"WKS.00000000", "OK"}}
)

// showApp writes the application that a login opens as the API shows it at now. In every
// other group its name begins with the group's.
func (w *world) showApp(l *login, project string, now time.Time) AppConnection {
	r := w.show(l, project, now)
	g := &w.groups[w.users[l.user].group]
	m, _ := w.launch(l, now)
	none := noFailures[l.mix()>>8%uint64(len(noFailures))]
	a := AppConnection{
		ID: fmt.Sprintf("%032x", l.id), SID: r.MachineSID, AppName: w.app(l), MachineName: r.MachineName, UserName: r.UserName,
		AppGroupName: g.name, AppGroupID: fmt.Sprint(573743978327834000 + uint64(w.users[l.user].group)),
		BrokeringTime: formatMillis(m.start), EndTime: cmp.Or(formatMillis(m.end), noEnds[l.mix()>>16%uint64(len(noEnds))]),
		FailedCode: none.code, ConnectionFailureReason: none.reason,
		ClientMAC: r.ClientMAC, ClientName: r.ClientName, ClientIP: r.ClientIP, ClientVersion: r.ClientVersion, ClientType: r.ClientType,
		PublicIP: r.PublicIP, AgentVersion: r.AgentVersion, VMIP: r.VMIP, WIIP: r.WIIP, TenantID: project,
		TransactionID: transactionOf(l), ApsInstanceName: r.MachineName, PrimaryServerGroupID: g.id,
	}
	a.AppID = hexSHA256([]byte(a.AppName))[:23]
	a.ApsInstanceID = hexSHA256([]byte(r.MachineSID))[:32]
	if w.users[l.user].group%4 == 2 {
		a.AppName = g.name + "-" + a.AppName
	}
	if l.failed(now) {
		a.FailedCode, a.ConnectionFailureReason = r.FailedCode, r.FailedReason
	}
	return a
}

// appFilters are what a request for the use of applications may hold: see the vendor's SDK.
var appFilters = []string{
	"id", "sid", "machine_name", "user_name", "app_group_name", "app_group_id", "app_name", "failed_code", "connection_failure_reason",
	"client_name", "client_version", "client_type", "agent_version", "vm_ip", "wi_ip", "public_ip", "tenant_id", "virtual_ip",
	"brokering_start_time", "brokering_end_time",
}

// appFilterBytes are the lengths that the vendor's definitions state.
var appFilterBytes = map[string]int{"agent_version": 50, "app_group_id": 64}

var appWindow = windowRule{from: "brokering_start_time", to: "brokering_end_time", forms: []string{formSeconds, formBlank}}

// readAppQuery reads the body of a request for the use of applications.
func readAppQuery(r *request) (q query, match func(*AppConnection) bool, err error) {
	q.project = r.project
	values, err := readBody(r.body, appFilters)
	if err != nil {
		return q, nil, err
	}
	if q.from, q.to, err = appWindow.read(values, r.now); err != nil {
		return q, nil, err
	}
	if err := oneOf(values, "client_type", "Windows", "Mac"); err != nil {
		return q, nil, err
	}
	var tests []func(*AppConnection) bool
	for name, value := range values {
		if most, limited := appFilterBytes[name]; limited && len(value) > most {
			return q, nil, fmt.Errorf("%s must have at most %d characters", name, most)
		}
		tests = append(tests, appTest(name, value))
	}
	return q, every(tests), nil
}

// appTest is a filter of one field. Those of user and application are fuzzy; a client's
// type begins with the word of the filter.
func appTest(name, value string) func(*AppConnection) bool {
	switch name {
	case "user_name", "app_name":
		return func(a *AppConnection) bool { return strings.Contains(appFields.text(a, name), value) }
	case "client_type":
		return func(a *AppConnection) bool { return strings.HasPrefix(a.ClientType, value) }
	}
	return equalField[AppConnection](appFields, name, value)
}

// listAppConnections is POST /v1/{project_id}/session/app-connection.
func (s *Simulator) listAppConnections(r *request) answer {
	q, match, err := readAppQuery(r)
	if err == nil {
		err = r.readPage(&q, 10, 1, 100)
	}
	if err != nil {
		return invalid(r, err)
	}
	count, items := s.apps.page(s, q, match, r.now)
	return jsonAnswer(http.StatusOK, page[AppConnection]{count, items})
}

// exportAppConnections is POST /v1/{project_id}/session/app-connection/export.
func (s *Simulator) exportAppConnections(r *request) answer {
	q, match, err := readAppQuery(r)
	if err != nil {
		return invalid(r, err)
	}
	return s.createTask(r, tableOf("AppUsageRecords", appFields, s.apps.all(s, q, match, r.now)))
}

// TruthApps is the list of uses of applications that the API would show at this moment for
// a window of times at which they were opened, whole.
func (s *Simulator) TruthApps(projectID string, from, to time.Time) []AppConnection {
	return s.apps.truth(s, projectID, from, to)
}

// PutApps adds uses of applications to a project; one whose id is there already takes its
// place.
func (s *Simulator) PutApps(projectID string, connections ...AppConnection) {
	s.apps.add(s, projectID, connections)
}

// DeleteApp takes the use of an application that was put in away again.
func (s *Simulator) DeleteApp(projectID, id string) { s.apps.remove(s, projectID, id) }
