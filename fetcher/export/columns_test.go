package export

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

func TestLoginsKnowsEveryField(t *testing.T) {
	want := slices.Sorted(slices.Values(record.UserConnectionFields))
	assert.Equal(t, want, Logins.Fields())
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
			assert.Equal(t, header{field}, Logins.header([]string{description}), description)
		}
	}
}

func TestNamesStandForOneFieldEach(t *testing.T) {
	for range 20 { // the order of a map decides, if two fields share a name
		for k, field := range newColumns(Logins.needs, Logins.times, loginNames).fields {
			assert.Equal(t, field, Logins.fields[k], k)
		}
	}
}

func TestSpellingOfNames(t *testing.T) {
	for _, name := range []string{"start_time", "START TIME", " Start　Time ", "startTime", "\uFEFFStart time:", "Start time (UTC)"} {
		assert.Equal(t, header{"start_time"}, Logins.header([]string{name}), name)
	}
	assert.Equal(t, header{"id", "", "", "", ""}, Logins.header([]string{"ID", "Primary key", "Start time (UTC+08:00)", "", "UTC"}),
		"a field's first column counts; a time of another zone is not ours")
}

func TestWith(t *testing.T) {
	more, err := Logins.With(map[string]string{"Wer ": "user_name", "Client": "client_ip"})
	require.NoError(t, err)
	assert.Equal(t, header{"user_name", "client_ip"}, more.header([]string{"wer", "client"}))
	assert.Equal(t, header{"", "client_name"}, Logins.header([]string{"wer", "client"}), "the original is left alone")

	_, err = Logins.With(map[string]string{"Wer": "username"})
	assert.ErrorContains(t, err, `column "Wer": there is no field "username"; allowed are agent_version, client_ip`)
	_, err = Logins.With(map[string]string{"--": "id"})
	assert.ErrorContains(t, err, "needs a letter or a digit")
}
