package record

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// UserConnection is a login record as the API's UserConnectionInfo or a row of an
// export file writes it. Decode it from JSON, or fill it with Set; then call
// Login.
//
// Any field may be missing, null or of another type than the API's pages say:
// such a field is missing, and Login names it in Invalid.
type UserConnection struct{ raw }

// The places of a UserConnection's fields.
const (
	connID = iota
	connUserName
	connGroupName
	connPreConnTime
	connStartTime
	connEndTime
	connUpdateTime
	connMachineSID
	connMachineName
	connFailedReason
	connFailedCode
	connClientMAC
	connClientName
	connClientIP
	connClientVersion
	connClientType
	connAgentVersion
	connVMIP
	connWIIP
	connVirtualIP
	connPublicIP
	connTenantID
	connConnectType
)

// UserConnectionFields are the names of the fields that mean something to us, as
// the API writes them.
var UserConnectionFields = []string{
	connID: "id", connUserName: "user_name", connGroupName: "desktop_group_name",
	connPreConnTime: "pre_conn_time", connStartTime: "start_time", connEndTime: "end_time", connUpdateTime: "update_time",
	connMachineSID: "machine_sid", connMachineName: "machine_name",
	connFailedReason: "failed_reason", connFailedCode: "failed_code",
	connClientMAC: "client_mac", connClientName: "client_name", connClientIP: "client_ip",
	connClientVersion: "client_version", connClientType: "client_type", connAgentVersion: "agent_version",
	connVMIP: "vm_ip", connWIIP: "wi_ip", connVirtualIP: "virtual_ip", connPublicIP: "public_ip", connTenantID: "tenant_id",
	connConnectType: "connect_type",
}

var userConnections = newKind(UserConnectionFields)

// Set fills the field of the API's name and reports whether there is one.
func (c *UserConnection) Set(name, value string) bool { return c.set(userConnections, name, value) }

// Refuse marks the field of the API's name as one that could not be read.
func (c *UserConnection) Refuse(name string) { c.refuse(userConnections, name) }

// UnmarshalJSONFrom reads one record. It fails only where the JSON itself does: a
// record that is not an object is Malformed, a field of a wrong type is invalid.
func (c *UserConnection) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return c.decode(userConnections, d)
}

// Login is what the record says, cleaned: see Login.
func (c *UserConnection) Login() Login {
	if c.malformed {
		return malformedLogin(c.identity)
	}
	r := c.read(userConnections)
	user := r.name(connUserName)
	l := Login{
		User: pseudonym(user), ClientIP: r.person(connClientIP),
		Group: r.label(connGroupName), Machine: r.label(connMachineName),
		ClientType: r.label(connClientType), ClientVersion: r.label(connClientVersion), AgentVersion: r.label(connAgentVersion),
		ConnectType: r.connectType(connConnectType),
		FailedCode:  r.code(connFailedCode),
		PreConnect:  r.time(connPreConnTime), Start: r.time(connStartTime), End: r.time(connEndTime), Updated: r.time(connUpdateTime),
	}
	if reason := r.reason(connFailedReason, l.FailedCode); reason != "" {
		l.FailedReason = shown(reason, connPrivate(&r))
	}
	l.Started = r.unread(connStartTime) != ""
	var client [maxClient]string
	l.identifyBy("", r.identity(connID), l.Machine, user,
		r.appendClient(client[:0], &l, connStartTime, connClientName, connClientMAC, connClientIP)...)
	l.Invalid = r.invalidNames()
	return l
}

// What a login of application streaming is to. The API may have other values, which stay as
// they are.
const (
	ToSharedDesktop = "shared_desktop"
	ToApplication   = "application"
)

// connectTypes are the numbers for what is connected to, and words for them, in lower case
// and without blanks.
var connectTypes = map[string]string{
	"1": ToSharedDesktop, "shareddesktop": ToSharedDesktop, "desktop": ToSharedDesktop, "共享桌面": ToSharedDesktop, "桌面": ToSharedDesktop,
	"2": ToApplication, "application": ToApplication, "app": ToApplication, "sharedapplication": ToApplication,
	"应用": ToApplication, "应用程序": ToApplication, "共享应用": ToApplication,
}

func (r *reading) connectType(place int) string {
	number, _ := whole(narrow(r.value(place)))
	if known := connectTypes[wordOf(number)]; known != "" || number == "" {
		return known
	}
	return r.label(place)
}

// connPrivate lists the personal text of the record.
func connPrivate(r *reading) []private {
	return slices.Concat(userForms(r.plain(connUserName)),
		addresses(r.plain(connClientMAC), r.plain(connClientIP), r.plain(connPublicIP), r.plain(connVMIP), r.plain(connVirtualIP), r.plain(connWIIP)),
		[]private{
			{r.plain(connClientName), "<client>"}, {r.plain(connMachineName), "<server>"},
			{r.plain(connMachineSID), "<id>"}, {r.plain(connTenantID), "<id>"}, {r.plain(connID), "<id>"},
		})
}

// UserConnectionColumns are the columns of a file of login records of application streaming.
var UserConnectionColumns = Columns{
	Required: [][]string{
		{"id", "user_name"},
		{"start_time", "pre_conn_time", "update_time"},
	},
	Times: []string{"pre_conn_time", "start_time", "end_time", "update_time"},
	Titles: streamingTitles(map[string][]string{
		"id": {"Primary key", "Record ID", "Login record ID", "Unique ID",
			"主键", "主键ID", "编号", "记录ID", "登录记录ID", "登录记录唯一标识ID", "唯一标识"},
		"desktop_group_name": {"Desktop group", "Application group", "Application group name", "App group", "App group name",
			"Server group", "Server group name", "APS group", "APS group name",
			"桌面组", "桌面组名", "桌面组名称", "应用组", "应用组名", "应用组名称", "服务器组", "服务器组名", "服务器组名称"},
		"pre_conn_time": {"Pre-connection time", "Pre-connect time", "Preconnection start time",
			"预连接时间", "预连接开始时间"},
		"start_time": {"Usage time", "Connection started", "Connection established", "登录应用时间", "开始连接时间", "建立连接时间", "Login time", "Login start time", "Connection start time", "Connected",
			"开始时间", "登录时间", "登录开始时间", "连接开始时间", "连接建立时间"},
		"end_time": {"Connection ended", "登录应用结束时间", "结束连接时间", "Logout time", "Login end time", "Connection end time", "Disconnection time", "Disconnected",
			"结束时间", "登出时间", "退出时间", "登录结束时间", "连接结束时间", "断开时间", "断开连接时间"},
		"update_time": {"Updated", "Last updated", "Last update time",
			"更新时间", "最后更新时间", "最近更新时间"},
		"machine_sid": {"Application server SID", "Server SID", "APS SID",
			"应用服务器SID", "服务器SID"},
		"failed_reason": {"Connection failure cause", "Connection failure reason", "Failure cause", "Failure reason", "Cause of failure",
			"连接失败原因", "失败原因", "登录失败原因"},
		"failed_code": {"Connection failure status code", "Connection failure code", "Failure status code", "Failure code", "Error code",
			"连接失败状态码", "连接失败码", "连接失败错误码", "失败状态码", "失败码", "失败错误码", "登录失败码", "错误码"},
		"connect_type": {"Connection type", "Connected to",
			"连接类型", "连接方式"},
	}),
}
