package record

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// DesktopConnection is a connection to a desktop as the API's Record or a row of an
// export file writes it. It is decoded, filled and tolerant like UserConnection.
type DesktopConnection struct{ raw }

// The places of a DesktopConnection's fields.
const (
	deskComputerName = iota
	deskUserName
	deskTerminalMAC
	deskTerminalName
	deskTerminalIP
	deskTerminalType
	deskClientVersion
	deskAgentVersion
	deskDesktopIP
	deskStartTime
	deskSetupTime
	deskEndTime
	deskIsReconnect
	deskFailureReason
	deskNetworkRTT
	deskEndToEndRTT
	deskSourceIP
	deskPublicIP
	deskTransactionID
	deskSID
	deskDetails
)

// DesktopConnectionFields are the names of the fields that mean something to us, as
// the API writes them; connection_details is a column of the console's alone.
var DesktopConnectionFields = []string{
	deskComputerName: "computer_name", deskUserName: "user_name",
	deskTerminalMAC: "terminal_mac", deskTerminalName: "terminal_name", deskTerminalIP: "terminal_ip", deskTerminalType: "terminal_type",
	deskClientVersion: "client_version", deskAgentVersion: "agent_version", deskDesktopIP: "desktop_ip",
	deskStartTime: "connection_start_time", deskSetupTime: "connection_setup_time", deskEndTime: "connection_end_time",
	deskIsReconnect: "is_reconnect", deskFailureReason: "connection_failure_reason",
	deskNetworkRTT: "network_rtt", deskEndToEndRTT: "e2e_rtt",
	deskSourceIP: "source_ip", deskPublicIP: "public_ip", deskTransactionID: "transaction_id", deskSID: "sid",
	deskDetails: "connection_details",
}

var desktopConnections = newKind(DesktopConnectionFields, deskIsReconnect)

// Set fills the field of the API's name and reports whether there is one.
func (c *DesktopConnection) Set(name, value string) bool {
	return c.set(desktopConnections, name, value)
}

// Refuse marks the field of the API's name as one that could not be read.
func (c *DesktopConnection) Refuse(name string) { c.refuse(desktopConnections, name) }

// UnmarshalJSONFrom reads one record, as UserConnection does.
func (c *DesktopConnection) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return c.decode(desktopConnections, d)
}

// Login is what the record says, cleaned. Desktops have no group. Start is the
// record's connection_start_time and Setup its connection_setup_time.
//
// A failure is a connection_failure_reason, and FailedCode a code made of it (see
// failureSlug), for the API has none. The newer console has details of all connections
// instead, which are a reason only where no connection was set up.
func (c *DesktopConnection) Login() Login {
	if c.malformed {
		return malformedLogin(c.identity)
	}
	r := c.read(desktopConnections)
	l := Login{
		Machine: r.label(deskComputerName), ClientType: r.label(deskTerminalType),
		ClientVersion: r.label(deskClientVersion), AgentVersion: r.label(deskAgentVersion),
		User: r.person(deskUserName), ClientIP: r.person(deskTerminalIP),
		Start: r.time(deskStartTime), Setup: r.time(deskSetupTime), End: r.time(deskEndTime),
		Reconnect: r.truth(deskIsReconnect), NetworkRTT: r.milliseconds(deskNetworkRTT), EndToEndRTT: r.milliseconds(deskEndToEndRTT),
	}
	l.Started = r.unread(deskStartTime) != ""
	reason := r.value(deskFailureReason)
	if reason == "" && l.Setup.IsZero() && r.unread(deskSetupTime) == "" {
		reason = r.value(deskDetails)
	}
	if saysSomething(reason) && !saysSuccess(reason) {
		reason = withoutPersonal(reason, deskPrivate(&r))
		l.FailedReason, l.FailedCode = intern(Label(reason)), intern(failureSlug(reason))
	}
	l.identifyDesktop(&r)
	l.Invalid = r.invalidNames()
	return l
}

// identifyDesktop sets the record's identities. A reconnect goes on with the
// transaction_id of the connection that broke, so the id counts only together with
// the time. The sid is the desktop's own, not the connection's: it tells no
// connection from another.
func (l *Login) identifyDesktop(r *reading) {
	var id Identity
	if text := r.id(deskTransactionID); text != "" {
		l.TransactionID = strings.Clone(text) // apart from the memory of the whole text
		id = identify("transaction", text, cmp.Or(r.unread(deskStartTime), l.began().Format(time.RFC3339)))
	}
	var client [maxClient]string
	l.identifyBy("desktop ", id, l.Machine, r.name(deskUserName),
		r.appendClient(client[:0], l, deskStartTime, deskTerminalName, deskTerminalMAC, deskTerminalIP)...)
}

// deskPrivate lists the personal text of the record.
func deskPrivate(r *reading) []private {
	return slices.Concat(userForms(r.plain(deskUserName)),
		addresses(r.plain(deskTerminalMAC), r.plain(deskTerminalIP), r.plain(deskDesktopIP), r.plain(deskSourceIP), r.plain(deskPublicIP)),
		[]private{
			{r.plain(deskTerminalName), "<client>"}, {r.plain(deskComputerName), "<server>"},
			{r.plain(deskTransactionID), "<id>"}, {r.plain(deskSID), "<id>"},
		})
}

// DesktopConnectionColumns are the columns of a file of desktop connections.
var DesktopConnectionColumns = Columns{
	Required: [][]string{
		{"transaction_id", "user_name"},
		{"connection_start_time", "connection_setup_time"},
	},
	Times: []string{"connection_start_time", "connection_setup_time", "connection_end_time"},
	Titles: map[string][]string{
		"computer_name": {"Computer", "Desktop name", "Desktop",
			"计算机名", "计算机名称", "桌面名称", "桌面名", "桌面"},
		"user_name": {"Connected user", "连接用户", "Login user", "Login username", "User", "Account",
			"用户名", "用户名称", "用户", "登录用户", "登录用户名"},
		"terminal_mac": {"Terminal MAC address", "Client MAC", "Client MAC address",
			"终端MAC", "终端MAC地址", "客户端MAC", "客户端MAC地址"},
		"terminal_name": {"Terminal", "Client name",
			"终端名称", "终端名", "客户端名称"},
		"terminal_ip": {"Terminal IP address", "Client IP", "Client IP address",
			"终端IP", "终端IP地址", "客户端IP", "客户端IP地址"},
		"terminal_type": {"Terminal OS type", "Terminal OS", "Terminal system type", "OS type of the terminal", "Client OS type", "Client type",
			"终端系统类型", "终端类型", "终端操作系统", "终端操作系统类型", "客户端类型"},
		"client_version": {"AccessClient version", "Access client version", "Terminal version",
			"AccessClient版本", "AccessClient版本号", "客户端版本", "终端版本"},
		"agent_version": {"AccessAgent version", "Access agent version", "HDA version",
			"AccessAgent版本", "AccessAgent版本号", "代理版本", "HDA版本"},
		"desktop_ip": {"Desktop IP address", "Computer IP address",
			"桌面IP", "桌面IP地址"},
		"connection_start_time": {"Connection started", "Started", "Start time of the connection", "Start time",
			"开始连接时间", "连接开始时间", "开始时间"},
		"connection_setup_time": {"Connection established", "Established", "Time when the connection was set up", "Setup time", "Connection establishment time", "Connected",
			"建立连接时间", "连接建立时间"},
		"connection_end_time": {"Connection ended", "Ended", "End time of the connection", "End time", "Disconnection time", "Disconnected",
			"结束连接时间", "连接结束时间", "结束时间", "断开时间", "断开连接时间"},
		"is_reconnect": {"Reconnection (Yes/No)", "Reconnection", "Reconnect", "Reconnected", "Whether to reconnect", "Reconnected or not",
			"是否重连", "重连"},
		"connection_failure_reason": {"Connection failure cause", "Failure cause", "Failure reason", "Cause of failure",
			"连接失败原因", "失败原因"},
		"network_rtt": {"Average latency", "Average latency (ms)", "Latency", "Latency (ms)", "平均时延", "平均时延(ms)", "时延", "时延(ms)", "Network RTT (ms)", "Network latency (ms)", "Network latency", "Network delay (ms)", "Network delay",
			"网络时延", "网络时延ms", "网络时延毫秒", "网络延时", "网络延迟"},
		"e2e_rtt": {"E2E RTT (ms)", "End-to-end RTT (ms)", "End-to-end RTT", "End-to-end latency (ms)", "End-to-end latency", "E2E latency (ms)", "E2E latency", "End-to-end delay (ms)", "End-to-end delay",
			"端到端时延", "端到端时延ms", "端到端时延毫秒", "端到端延时", "端到端延迟"},
		"source_ip": {"Source IP address", "Source IP address of the client", "Client source IP address", "Client source IP",
			"客户端源IP", "客户端源IP地址", "源IP", "源IP地址"},
		"public_ip": {"Egress IP address of the client", "Client egress IP address", "Egress IP address", "Egress IP", "Public IP address",
			"客户端出网IP", "客户端出网IP地址", "客户端出口IP", "出网IP", "出口IP", "公网IP"},
		"transaction_id": {"Transaction",
			"事务ID", "事务"},
		"connection_details": {"连接详细描述", "连接详情"},
		"sid": {"Desktop SID", "Computer SID",
			"桌面SID"},
	},
}
