package export

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// The columns of each kind of record.
var (
	Logins             = ColumnsOf(record.UserConnectionColumns)
	Sessions           = ColumnsOf(record.SessionInfoColumns)
	AccessStatistics   = ColumnsOf(record.AppUserAccessColumns)
	DesktopConnections = ColumnsOf(record.DesktopConnectionColumns)
)

// tables are the kinds of file, with the fields of their records.
var tables = map[string]struct {
	columns Columns
	record  record.Columns
	fields  []string
}{
	"logins":              {Logins, record.UserConnectionColumns, record.UserConnectionFields},
	"sessions":            {Sessions, record.SessionInfoColumns, record.SessionInfoFields},
	"access statistics":   {AccessStatistics, record.AppUserAccessColumns, record.AppUserAccessFields},
	"desktop connections": {DesktopConnections, record.DesktopConnectionColumns, record.DesktopConnectionFields},
}

// fieldsOf are the fields of a header row.
func fieldsOf(h header) (fields []string) {
	for _, c := range h {
		fields = append(fields, c.field)
	}
	return fields
}

func TestColumnsOfEveryField(t *testing.T) {
	for kind, c := range tables {
		assert.Equal(t, slices.Sorted(slices.Values(c.fields)), c.columns.Fields(), kind)
		for _, field := range slices.Concat(append(c.columns.needs, c.columns.times)...) {
			assert.Contains(t, c.fields, field, kind)
		}
		assert.True(t, c.columns.complete(c.columns.header(c.fields)), kind)
	}
}

// The descriptions that the API's pages and the vendor's definitions give.
func TestDescriptions(t *testing.T) {
	for field, descriptions := range map[string][]string{
		"id":                 {"Primary key", "主键"},
		"user_name":          {"Login user", "登录用户"},
		"desktop_group_name": {"Desktop group name", "桌面组名"},
		"pre_conn_time":      {"Pre-connection time", "预连接时间"},
		"start_time":         {"Start time", "开始时间"},
		"end_time":           {"End time", "结束时间"},
		"machine_sid":        {"Application server SID", "应用服务器sid"},
		"machine_name":       {"Application server name", "应用服务器名称"},
		"failed_reason":      {"Connection failure cause", "连接失败原因"},
		"failed_code":        {"Connection failure status code", "连接失败状态码"},
		"client_mac":         {"Client MAC address", "客户端Mac"},
		"client_name":        {"Client name", "客户端名称"},
		"client_ip":          {"Client IP address", "客户端ip"},
		"client_version":     {"Client version", "客户端版本"},
		"client_type":        {"Client OS type", "客户端操作系统类型"},
		"agent_version":      {"APS HDA version", "aps hda版本"},
		"vm_ip":              {"Application server IP address", "应用服务器ip"},
		"wi_ip":              {"Connection IP address", "连接IP"},
		"update_time":        {"Update time", "更新时间"},
		"tenant_id":          {"Tenant ID", "租户id"},
		"virtual_ip":         {"Virtual IP address of a session", "会话虚拟ip"},
		"public_ip":          {"Egress IP address of the client", "客户端出口ip"},
	} {
		for _, description := range append(descriptions, field) {
			assert.Equal(t, []string{field}, fieldsOf(Logins.header([]string{description})), description)
		}
	}
}

// The descriptions of the fields of the other kinds in the vendor's definitions.
func TestOtherDescriptions(t *testing.T) {
	for kind, rows := range map[string]map[string][]string{
		"sessions": {
			"id":                      {"Primary key ID", "主键ID"},
			"session_stamp":           {"Session ID", "会话标识"},
			"login_user":              {"Login user", "当前会话的登录用户"},
			"app_server_group_id":     {"AppServer group ID", "AppServer组ID"},
			"app_server_group_name":   {"AppServer group name", "AppServer组名称"},
			"pre_conn_time":           {"Pre-connection time", "预连接时间"},
			"start_time":              {"Session start time", "会话开始时间"},
			"end_time":                {"Session end time", "会话结束时间"},
			"machine_name":            {"Server name", "服务器名称"},
			"session_state":           {"Session state", "会话状态"},
			"failed_reason":           {"Error cause", "错误原因消息"},
			"failed_code":             {"Error cause code", "错误原因码"},
			"last_update_status_time": {"Last status change time", "状态最后变化时间"},
		},
		"access statistics": {
			"username":                {"Username", "用户名称"},
			"access_failed_count":     {"Number of access failures", "接入失败数"},
			"last_access_failed_time": {"Latest access failure time", "最近一次接入失败时间"},
			"error_code":              {"Error code", "错误码"},
			"error_msg":               {"Error message", "错误信息"},
		},
		"desktop connections": {
			"sid":                       {"Desktop SID", "桌面sid"},
			"transaction_id":            {"Transaction ID", "事务id"},
			"computer_name":             {"Computer name", "计算机名"},
			"user_name":                 {"Username", "用户名"},
			"terminal_mac":              {"Terminal MAC address", "终端MAC地址"},
			"terminal_name":             {"Terminal name", "终端名称"},
			"terminal_ip":               {"Terminal IP address", "终端IP"},
			"client_version":            {"AccessClient version", "AccessClient版本"},
			"terminal_type":             {"Terminal type", "终端系统类型"},
			"agent_version":             {"AccessAgent version", "AccessAgent版本"},
			"connection_start_time":     {"Connection start time", "开始连接时间"},
			"connection_setup_time":     {"Connection setup time", "建立连接时间"},
			"connection_end_time":       {"Connection end time", "结束连接时间"},
			"is_reconnect":              {"Is reconnect", "是否重连"},
			"connection_failure_reason": {"Connection failure cause", "连接失败原因"},
			"network_rtt":               {"Network RTT (ms)", "网络时延ms"},
			"e2e_rtt":                   {"End-to-end latency (ms)", "端到端时延 ms"},
			"source_ip":                 {"Source IP", "客户端源ip"},
			"public_ip":                 {"Egress IP address of the client", "客户端出网IP"},
		},
	} {
		for field, descriptions := range rows {
			for _, description := range descriptions {
				assert.Equal(t, []string{field}, fieldsOf(tables[kind].columns.header([]string{description})), "%s: %s", kind, description)
			}
		}
	}
}

// The titles that the vendor's guides name, of the console of today and of before.
func TestConsoleTitles(t *testing.T) {
	desktops := []string{"user_name", "computer_name", "terminal_ip", "terminal_type", "desktop_ip", "public_ip", "connection_start_time", "connection_end_time", "network_rtt", "",
		"connection_details", "terminal_mac", "terminal_name", "client_version", "agent_version", "connection_setup_time", "is_reconnect", ""}
	for name, c := range map[string]struct {
		columns Columns
		titles  string
		fields  []string
	}{
		"desktops":          {DesktopConnections, "连接用户, 桌面名称, 终端IP, 终端系统类型, 桌面IP, 客户端出口IP, 开始连接时间, 结束连接时间, 平均时延(ms), 会话监控, 连接详细描述, 终端MAC地址, 终端名称, AccessClient版本, AccessAgent版本, 建立连接时间, 是否重连, 企业项目", desktops},
		"desktops, English": {DesktopConnections, "Connected User, Desktop Name, Terminal IP Address, Terminal OS Type, Desktop IP Address, Egress IP, Connection Started, Connection Ended, Average Latency, Session Monitoring, Connection Details, Terminal MAC Address, Terminal Name, AccessClient Version, AccessAgent Version, Connection Established, Reconnection (Yes/No), Enterprise Project", desktops},
		"desktops, before": {DesktopConnections, "桌面名称, 登录用户, 终端IP, 终端系统类型, 桌面IP, 开始连接时间, 结束连接时间, 连接失败原因",
			[]string{"computer_name", "user_name", "terminal_ip", "terminal_type", "desktop_ip", "connection_start_time", "connection_end_time", "connection_failure_reason"}},
		"desktops, before, English": {DesktopConnections, "Desktop Name, Login User, Terminal IP, Terminal OS Type, Desktop IP, Started, Ended, Failure Cause",
			[]string{"computer_name", "user_name", "terminal_ip", "terminal_type", "desktop_ip", "connection_start_time", "connection_end_time", "connection_failure_reason"}},
		"desktops, long ago": {DesktopConnections, "Desktop Name, Desktop IP Address, Login User, Terminal IP Address, Terminal System Type, Connection Start Time, Connection End Time, Failure Cause",
			[]string{"computer_name", "desktop_ip", "user_name", "terminal_ip", "terminal_type", "connection_start_time", "connection_end_time", "connection_failure_reason"}},
		"logins": {Logins, "Usage time, login user, client name, APS name, APS HDA version, virtual IP address, APS IP address",
			[]string{"start_time", "user_name", "client_name", "machine_name", "agent_version", "virtual_ip", "vm_ip"}},
		"statistics": {AccessStatistics, "连接用户, 接入失败次数", []string{"username", "access_failed_count"}},
	} {
		assert.Equal(t, c.fields, fieldsOf(c.columns.header(strings.Split(c.titles, ", "))), name)
	}
}

func TestNamesStandForOneFieldEach(t *testing.T) {
	for kind, c := range tables {
		for range 20 { // the order of a map decides, if two fields share a name
			for k, field := range ColumnsOf(c.record).fields {
				assert.Equal(t, field, c.columns.fields[k], "%s: %s", kind, k)
			}
		}
	}
}

func TestSpellingOfNames(t *testing.T) {
	for _, name := range []string{"start_time", "START TIME", " Start　Time ", "startTime", "\uFEFFStart time:", "Start time (UTC)"} {
		assert.Equal(t, []string{"start_time"}, fieldsOf(Logins.header([]string{name})), name)
	}
	assert.Equal(t, []string{"id", "id", "start_time", "start_time", "", "", "", ""}, fieldsOf(Logins.header([]string{"ID", "Primary key", "Start time (UTC+08:00)", "start_time.1", "", "UTC", "ID (UTC)", "start_time1"})))
	for title, hours := range map[string]int{"Start time (UTC+08:00)": 8, "开始时间（GMT+8）": 8, "开始时间(北京时间)": 8, "Start time (UTC)": 0, "startTimeUTC": 0, "start_time_utc": 0} {
		h := Logins.header([]string{title})
		if assert.NotNil(t, h[0].zone, title) {
			_, offset := time.Date(2024, 1, 5, 0, 0, 0, 0, h[0].zone).Zone()
			assert.Equal(t, hours*3600, offset, title)
		}
	}
	assert.Nil(t, Logins.header([]string{"start_time"})[0].zone)
}

func TestRemarksBehindTitles(t *testing.T) {
	for title, want := range map[string]string{
		"开始时间(Start time)": "start_time", "Start time (开始时间)": "start_time", "Start time (yyyy-MM-dd HH:mm:ss)": "start_time", "登录用户（Login user）": "user_name", "Login user (start time)": "", "Login user (x)": "", "Start time (ms)": "start_time",
	} {
		assert.Equal(t, want, Logins.column(title).field, title)
	}
	assert.Equal(t, "network_rtt", DesktopConnections.column("Average latency (毫秒)").field)
	assert.Empty(t, DesktopConnections.column("Average latency (s)").field)
	for _, title := range []string{"Start time (CST)", "开始时间（本地时间）", "Start time [local]"} {
		_, _, err := read([]byte("id,pre_conn_time," + title + "\n1,2024-01-05 08:03:07,2024-01-05 08:03:07\n"))
		require.ErrorContains(t, err, "is a time in a zone that is not known", title)
	}
	more, err := Logins.With(map[string]string{"Start time (CST)": "start_time"})
	require.NoError(t, err)
	assert.Empty(t, more.doubtful([]string{"Start time (CST)"}))
}

func TestWith(t *testing.T) {
	more, err := Logins.With(map[string]string{"Wer ": "user_name", "Client": "client_ip"})
	require.NoError(t, err)
	assert.Equal(t, []string{"user_name", "client_ip"}, fieldsOf(more.header([]string{"wer", "client"})))
	assert.Equal(t, []string{"", "client_name"}, fieldsOf(Logins.header([]string{"wer", "client"})), "the original is left alone")

	_, err = Logins.With(map[string]string{"Wer": "username"})
	assert.ErrorContains(t, err, `column "Wer": there is no field "username"; allowed are agent_version, client_ip`)
	more, err = DesktopConnections.With(map[string]string{"Connection details": ""})
	require.NoError(t, err)
	assert.Equal(t, []string{"", "user_name"}, fieldsOf(more.header([]string{"Connection Details", "user_name"})), "a column can be dropped")
	assert.NotContains(t, more.Fields(), "")

	_, err = Logins.With(map[string]string{"--": "id"})
	assert.ErrorContains(t, err, "needs a letter or a digit")
}
