package record

import "maps"

// Columns say how the columns of files stand for the fields of a record.
type Columns struct {
	// Required are the fields without which a file is of no use: of every group it must
	// have at least one. The first group says whose, or which, a record is.
	Required [][]string
	Times    []string // the fields that hold a time
	// Titles are the titles that a field's column may have, beside the field's own name:
	// the English and Chinese descriptions of the API's definitions, and what a console is
	// likely to call the same things.
	Titles map[string][]string
}

// streamingTitles adds the titles that all lists of application streaming have in common.
func streamingTitles(own map[string][]string) map[string][]string {
	all := maps.Clone(commonTitles)
	maps.Copy(all, own)
	return all
}

var commonTitles = map[string][]string{
	"user_name": {"Connected user", "连接用户", "Login user", "Login username", "User", "Username", "Account",
		"登录用户", "登录用户名", "登录用户名称", "用户", "用户名", "用户名称", "用户账号"},
	"machine_name": {"Application server name", "Application server", "Server name", "Server", "APS name", "Machine",
		"应用服务器名称", "应用服务器名", "应用服务器", "服务器名称", "服务器名", "机器名称", "机器名"},
	"client_mac": {"Client MAC address",
		"客户端MAC", "客户端MAC地址"},
	"client_name": {"Client", "Terminal name",
		"客户端名称", "客户端名", "终端名称"},
	"client_ip": {"Client IP address",
		"客户端IP", "客户端IP地址"},
	"client_version": {"Terminal version",
		"客户端版本", "客户端版本号", "终端版本"},
	"client_type": {"Client OS type", "Client OS", "Client operating system", "Client operating system type", "Terminal type",
		"客户端操作系统类型", "客户端操作系统", "客户端系统类型", "客户端类型", "终端类型"},
	"agent_version": {"APS HDA version", "HDA version", "HDA", "Application server HDA version",
		"APS HDA版本", "APS HDA版本号", "HDA版本", "HDA版本号", "代理版本"},
	"vm_ip": {"APS IP address", "APS IP", "Application server IP address", "Application server IP", "Server IP address", "Server IP",
		"应用服务器IP", "应用服务器IP地址", "服务器IP", "服务器IP地址"},
	"wi_ip": {"Connection IP address", "Connection IP",
		"连接IP", "连接IP地址"},
	"virtual_ip": {"Virtual IP address of a session", "Session virtual IP address", "Virtual IP address",
		"会话虚拟IP", "会话虚拟IP地址", "虚拟IP", "虚拟IP地址"},
	"public_ip": {"Egress IP address of the client", "Client egress IP address", "Egress IP address", "Egress IP", "Public IP address",
		"客户端出口IP", "客户端出口IP地址", "出口IP", "公网IP", "公网IP地址"},
	"tenant_id": {"Tenant",
		"租户", "租户ID"},
}
