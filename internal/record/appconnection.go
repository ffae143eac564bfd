package record

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// AppConnection is the use of an application as the API's AppConnectionInfo or a row of an
// export file writes it. It is decoded, filled and tolerant like UserConnection.
type AppConnection struct{ raw }

// The places of an AppConnection's fields.
const (
	appID = iota
	appSID
	appAppID
	appName
	appMachineName
	appUserName
	appGroupName
	appGroupID
	appBrokeringTime
	appEndTime
	appFailedCode
	appFailureReason
	appClientMAC
	appClientName
	appClientIP
	appClientVersion
	appClientType
	appAgentVersion
	appVMIP
	appWIIP
	appVirtualIP
	appPublicIP
	appTenantID
	appTransactionID
	appInstanceID
	appInstanceName
	appHostID
	appStatus // of a file alone: the console shows one
)

// AppConnectionFields are the names of the fields that mean something to us, as the API
// writes them.
var AppConnectionFields = []string{
	appID: "id", appSID: "sid", appAppID: "app_id", appName: "app_name", appMachineName: "machine_name", appUserName: "user_name",
	appGroupName: "app_group_name", appGroupID: "app_group_id", appBrokeringTime: "brokering_time", appEndTime: "end_time",
	appFailedCode: "failed_code", appFailureReason: "connection_failure_reason",
	appClientMAC: "client_mac", appClientName: "client_name", appClientIP: "client_ip",
	appClientVersion: "client_version", appClientType: "client_type", appAgentVersion: "agent_version",
	appVMIP: "vm_ip", appWIIP: "wi_ip", appVirtualIP: "virtual_ip", appPublicIP: "public_ip", appTenantID: "tenant_id",
	appTransactionID: "transaction_id", appInstanceID: "aps_instance_id", appInstanceName: "aps_instance_name", appHostID: "aps_host_id",
	appStatus: "connection_status",
}

var appConnections = newKind(AppConnectionFields)

// Set fills the field of the API's name and reports whether there is one.
func (c *AppConnection) Set(name, value string) bool { return c.set(appConnections, name, value) }

// Refuse marks the field of the API's name as one that could not be read.
func (c *AppConnection) Refuse(name string) { c.refuse(appConnections, name) }

// UnmarshalJSONFrom reads one record, as UserConnection does.
func (c *AppConnection) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return c.decode(appConnections, d)
}

// Login is what the record says, cleaned: a launch is an attempt, which starts when the
// user opens the application. The API has no time of the record's last change.
func (c *AppConnection) Login() Login {
	if c.malformed {
		return malformedLogin(c.identity)
	}
	r := c.read(appConnections)
	l := Login{
		Group: r.label(appGroupName), App: r.label(appName), Machine: r.label(appMachineName),
		ClientType: r.label(appClientType), ClientVersion: r.label(appClientVersion), AgentVersion: r.label(appAgentVersion),
		FailedCode: r.code(appFailedCode),
		User:       r.person(appUserName), ClientIP: r.person(appClientIP),
		Start: r.time(appBrokeringTime), End: r.time(appEndTime),
	}
	if l.Group == "" {
		l.Group = r.label(appGroupID)
	}
	if reason := r.reason(appFailureReason, l.FailedCode); reason != "" {
		l.FailedReason = shown(reason, appPrivate(&r))
	}
	if l.FailedCode == "" && l.FailedReason == "" {
		l.FailedReason = r.failedStatus(appStatus)
	}
	l.Started = r.unread(appBrokeringTime) != ""
	// A user may open two applications in one second.
	var client [maxClient]string
	what := append(r.appendClient(client[:0], &l, appBrokeringTime, appClientName, appClientMAC, appClientIP), l.App)
	l.TransactionID = strings.Clone(r.id(appTransactionID)) // apart from the memory of the whole text
	l.identifyBy("app ", r.identity(appID), l.Machine, r.name(appUserName), what...)
	l.Invalid = r.invalidNames()
	return l
}

// statuses are the words that a console may have for how a connection is, in lower case and
// without blanks: true is a failure.
var statuses = map[string]bool{
	"failed": true, "failure": true, "fail": true, "error": true, "abnormal": true, "unsuccessful": true, "connectionfailed": true,
	"失败": true, "连接失败": true, "登录失败": true, "接入失败": true, "异常": true, "连接异常": true,
	"connected": false, "connecting": false, "disconnected": false, "active": false, "inuse": false, "ended": false, "closed": false, "normal": false,
	"已连接": false, "连接中": false, "已断开": false, "断开连接": false, "使用中": false, "已结束": false, "已关闭": false,
}

// failedStatus is a status in words, as a label value, if it is a failure. One that is not known
// is unreadable.
func (r *reading) failedStatus(place int) string {
	s := r.value(place)
	failed, known := statuses[wordOf(strings.TrimRight(narrow(s), ".!。 "))]
	r.check(place, known || s == "" || saysSuccess(s))
	if !failed {
		return ""
	}
	return intern(Label(s))
}

// appPrivate lists the personal text of the record.
func appPrivate(r *reading) []private {
	return slices.Concat(userForms(r.plain(appUserName)),
		addresses(r.plain(appClientMAC), r.plain(appClientIP), r.plain(appPublicIP), r.plain(appVMIP), r.plain(appVirtualIP), r.plain(appWIIP)),
		[]private{
			{r.plain(appClientName), "<client>"}, {r.plain(appMachineName), "<server>"}, {r.plain(appInstanceName), "<server>"},
			{r.plain(appSID), "<id>"}, {r.plain(appTenantID), "<id>"}, {r.plain(appID), "<id>"}, {r.plain(appTransactionID), "<id>"},
			{r.plain(appInstanceID), "<id>"}, {r.plain(appHostID), "<id>"},
		})
}

// AppConnectionColumns are the columns of a file of the use of applications.
var AppConnectionColumns = Columns{
	Required: [][]string{
		{"id", "transaction_id", "user_name"},
		{"brokering_time"},
	},
	Times: []string{"brokering_time", "end_time"},
	Titles: streamingTitles(map[string][]string{
		"id": {"Primary key", "Record ID", "Unique ID", "Application usage record ID",
			"主键", "主键ID", "编号", "记录ID", "应用使用记录ID", "唯一标识"},
		"sid": {"Application server SID", "Server SID", "APS SID", "Machine SID",
			"应用服务器SID", "服务器SID"},
		"app_id": {"Application ID", "应用ID"},
		"app_name": {"Application name", "Application", "App",
			"应用名称", "应用名", "应用"},
		"app_group_name": {"Application group", "Application group name", "App group",
			"应用组", "应用组名", "应用组名称"},
		"app_group_id": {"Application group ID", "应用组ID"},
		"brokering_time": {"Application login time", "Login time", "Usage time", "Application start time", "Start time", "Started", "Opened",
			"登录应用时间", "登录时间", "打开应用时间", "使用时间", "开始时间"},
		"end_time": {"Application logout time", "Logout time", "Application end time", "End time", "Ended", "Closed",
			"登录应用结束时间", "应用结束时间", "结束时间", "登出时间", "退出时间", "关闭时间"},
		"failed_code": {"Connection failure status code", "Connection failure code", "Failure status code", "Failure code", "Error code",
			"连接失败状态码", "连接失败码", "连接失败错误码", "失败状态码", "失败码", "失败错误码", "错误码"},
		"connection_failure_reason": {"Connection failure cause", "Failure cause", "Failure reason", "Failed reason", "Cause of failure",
			"连接失败原因", "失败原因"},
		"transaction_id": {"Transaction", "事务ID"},
		"aps_instance_id": {"Application server ID", "APS ID", "APS instance ID",
			"应用服务器ID"},
		"aps_instance_name": {"APS instance name", "Application server instance name",
			"应用服务器实例名称"},
		"aps_host_id": {"Dedicated host ID", "专属主机ID"},
		"connection_status": {"Connection state", "Status", "State", "Connection result", "Result",
			"连接状态", "状态", "连接结果", "结果"},
	}),
}
