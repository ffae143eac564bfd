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
	ID               string `json:"id" en:"Primary key" zh:"主键"`
	ConnectType      string `json:"connect_type" en:"Connection type" zh:"连接类型"`
	UserName         string `json:"user_name" en:"Login user" zh:"登录用户"`
	DesktopGroupName string `json:"desktop_group_name,omitempty" en:"Desktop group name" zh:"桌面组名"`
	PreConnTime      string `json:"pre_conn_time,omitempty" en:"Pre-connection time" zh:"预连接时间"`
	StartTime        string `json:"start_time,omitempty" en:"Start time" zh:"开始时间"`
	EndTime          string `json:"end_time,omitempty" en:"End time" zh:"结束时间"`
	MachineSID       string `json:"machine_sid" en:"Application server SID" zh:"应用服务器sid"`
	MachineName      string `json:"machine_name" en:"Application server name" zh:"应用服务器名称"`
	FailedReason     string `json:"failed_reason" en:"Connection failure cause" zh:"连接失败原因"`
	FailedCode       string `json:"failed_code" en:"Connection failure status code" zh:"连接失败状态码"`
	ClientMAC        string `json:"client_mac" en:"Client MAC address" zh:"客户端Mac"`
	ClientName       string `json:"client_name" en:"Client name" zh:"客户端名称"`
	ClientIP         string `json:"client_ip" en:"Client IP address" zh:"客户端ip"`
	ClientVersion    string `json:"client_version" en:"Client version" zh:"客户端版本"`
	ClientType       string `json:"client_type" en:"Client OS type" zh:"客户端操作系统类型"`
	AgentVersion     string `json:"agent_version" en:"APS HDA version" zh:"aps hda版本"`
	VMIP             string `json:"vm_ip" en:"Application server IP address" zh:"应用服务器ip"`
	ConnectFlag      string `json:"connect_flag" en:"Connection flag" zh:"连接标志"`
	WIIP             string `json:"wi_ip" en:"Connection IP address" zh:"连接IP"`
	UpdateTime       string `json:"update_time,omitempty" en:"Update time" zh:"更新时间"`
	TenantID         string `json:"tenant_id" en:"Tenant ID" zh:"租户id"`
	VirtualIP        string `json:"virtual_ip" en:"Virtual IP address of a session" zh:"会话虚拟ip"`
	PublicIP         string `json:"public_ip,omitempty" en:"Egress IP address of the client" zh:"客户端出口ip"`

	// VisibleAt is when the record appears. Zero: at once.
	VisibleAt time.Time `json:"-"`
	// Raw, if not nil, is served in the record's place by the calls that answer
	// JSON: for records that the API should not send. The fields still say which
	// window it is in, and are what a file holds.
	Raw json.RawMessage `json:"-"`
}

var recordFields = fieldsOf(Record{})

// MarshalJSON writes the record, or what stands in its place.
func (r Record) MarshalJSON() ([]byte, error) {
	type plain Record
	return rawOr(r.Raw, plain(r))
}

func rawOr(raw json.RawMessage, record any) ([]byte, error) {
	if raw != nil {
		return raw, nil
	}
	return json.Marshal(record)
}

func (r Record) key() string          { return r.ID }
func (r Record) visibleAt() time.Time { return r.VisibleAt }

func (r Record) moments() moments {
	return moments{parseAny(r.PreConnTime), parseAny(r.StartTime), parseAny(r.EndTime), parseAny(r.UpdateTime)}
}

// page is the answer of a list.
type page[T any] struct {
	Count int `json:"count"`
	Items []T `json:"items"`
}

// ReadPage reads the records of an answer as the API writes it, to Put them.
func ReadPage(r io.Reader) ([]Record, error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	var p page[Record]
	if err := d.Decode(&p); err != nil {
		return nil, fmt.Errorf("reading a page of login records: %w", err)
	}
	return p.Items, nil
}
