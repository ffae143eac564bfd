package record

import (
	"bytes"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// UserConnection is a login record as the API's UserConnectionInfo or a row of an
// export file writes it. Decode it from JSON, or fill it with Set; then call
// Login.
//
// Any field may be missing, null or of another type than the API's pages say:
// such a field is missing, and Login names it in Invalid.
type UserConnection struct {
	id, userName, groupName         field
	preConnTime, startTime, endTime field
	updateTime                      field
	machineSID, machineName         field
	failedReason, failedCode        field
	clientMAC, clientName, clientIP field
	clientVersion, clientType       field
	agentVersion                    field
	vmIP, wiIP, virtualIP, publicIP field
	tenantID                        field
	malformed                       bool
	malformedIdentity               Identity
}

type field struct {
	text    string
	invalid bool
}

// UserConnectionFields are the names of the fields that mean something to us, as
// the API writes them.
var UserConnectionFields = []string{
	"id", "user_name", "desktop_group_name", "pre_conn_time", "start_time", "end_time", "update_time",
	"machine_sid", "machine_name", "failed_reason", "failed_code", "client_mac", "client_name", "client_ip",
	"client_version", "client_type", "agent_version", "vm_ip", "wi_ip", "virtual_ip", "public_ip", "tenant_id",
}

// field finds a field by the API's name; nil if it means nothing to us.
func (c *UserConnection) field(name []byte) *field {
	switch string(name) {
	case "id":
		return &c.id
	case "user_name":
		return &c.userName
	case "desktop_group_name":
		return &c.groupName
	case "pre_conn_time":
		return &c.preConnTime
	case "start_time":
		return &c.startTime
	case "end_time":
		return &c.endTime
	case "update_time":
		return &c.updateTime
	case "machine_sid":
		return &c.machineSID
	case "machine_name":
		return &c.machineName
	case "failed_reason":
		return &c.failedReason
	case "failed_code":
		return &c.failedCode
	case "client_mac":
		return &c.clientMAC
	case "client_name":
		return &c.clientName
	case "client_ip":
		return &c.clientIP
	case "client_version":
		return &c.clientVersion
	case "client_type":
		return &c.clientType
	case "agent_version":
		return &c.agentVersion
	case "vm_ip":
		return &c.vmIP
	case "wi_ip":
		return &c.wiIP
	case "virtual_ip":
		return &c.virtualIP
	case "public_ip":
		return &c.publicIP
	case "tenant_id":
		return &c.tenantID
	}
	return nil
}

// Set fills the field of the API's name and reports whether there is one.
func (c *UserConnection) Set(name, value string) bool {
	f := c.field([]byte(name))
	if f == nil {
		return false
	}
	f.text = value
	return true
}

// UnmarshalJSONFrom reads one record. It fails only where the JSON itself does: a
// record that is not an object is Malformed, a field of a wrong type is invalid.
func (c *UserConnection) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*c = UserConnection{}
	if d.PeekKind() != '{' {
		raw, err := d.ReadValue()
		c.malformed, c.malformedIdentity = true, identify("malformed", string(raw))
		return err
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		raw, err := d.ReadValue()
		if err != nil {
			return err
		}
		name := bytes.Trim(raw, `"`)
		if bytes.IndexByte(name, '\\') >= 0 {
			name, _ = jsontext.AppendUnquote(nil, raw) // an error is that of broken UTF-8, which is no name of ours
		}
		f := c.field(name)
		if f == nil {
			err = d.SkipValue()
		} else {
			// A number is read where dropping it would change what is counted.
			err = f.decode(d, f == &c.id || f == &c.failedCode)
		}
		if err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}

func (f *field) decode(d *jsontext.Decoder, numbers bool) error {
	*f = field{}
	kind := d.PeekKind()
	if kind != '"' && kind != 'n' && !(numbers && kind == '0') {
		f.invalid = true
		return d.SkipValue()
	}
	token, err := d.ReadToken()
	if err == nil && kind != 'n' {
		f.text = token.String()
	}
	return err
}

// Login is what the record says, cleaned: see Login.
func (c *UserConnection) Login() Login {
	if c.malformed {
		return Login{ID: c.malformedIdentity, Invariant: c.malformedIdentity, Malformed: true}
	}
	var l Login
	l.Invalid = c.invalidFields()
	l.PreConnect = c.time(&l, "pre_conn_time", c.preConnTime)
	l.Start = c.time(&l, "start_time", c.startTime)
	l.End = c.time(&l, "end_time", c.endTime)
	l.Updated = c.time(&l, "update_time", c.updateTime)

	l.Group, l.Machine = Label(c.groupName.text), Label(c.machineName.text)
	l.ClientType, l.ClientVersion = Label(c.clientType.text), Label(c.clientVersion.text)
	l.AgentVersion, l.FailedCode = Label(c.agentVersion.text), Label(c.failedCode.text)
	l.FailedReason = scrub(c.failedReason.text, c.private())

	l.User = pseudonym(strings.TrimSpace(c.userName.text))
	l.ClientIP = pseudonym(strings.TrimSpace(c.clientIP.text))
	l.Invariant = c.invariant(&l)
	l.ID = l.Invariant
	if id := strings.TrimSpace(c.id.text); id != "" {
		l.ID = identify("id", id)
	}
	return l
}

// invariant hashes what never changes while a record lives. A record that is
// pending has no start time yet, so the start counts only without a pre-connect
// time.
func (c *UserConnection) invariant(l *Login) Identity {
	began := l.PreConnect
	if began.IsZero() {
		began = l.Start
	}
	return identify("invariant", strings.TrimSpace(c.userName.text), began.Format(time.RFC3339), l.Machine,
		strings.TrimSpace(c.clientName.text), strings.TrimSpace(c.clientMAC.text), strings.TrimSpace(c.clientIP.text))
}

func (c *UserConnection) time(l *Login, name string, f field) time.Time {
	t, err := ParseTime(f.text)
	if err != nil {
		l.Invalid = append(l.Invalid, name)
	}
	return t
}

func (c *UserConnection) invalidFields() []string {
	var names []string
	for _, name := range UserConnectionFields {
		if c.field([]byte(name)).invalid {
			names = append(names, name)
		}
	}
	return names
}

// private lists the personal text of the record, longer forms first.
func (c *UserConnection) private() []private {
	account, _, _ := strings.Cut(c.userName.text, "@")
	if i := strings.LastIndexByte(account, '\\'); i >= 0 {
		account = account[i+1:]
	}
	return []private{
		{c.userName.text, "<user>"}, {account, "<user>"}, {c.clientName.text, "<client>"},
		{c.clientMAC.text, "<address>"}, {c.clientIP.text, "<address>"}, {c.publicIP.text, "<address>"},
		{c.vmIP.text, "<address>"}, {c.virtualIP.text, "<address>"}, {c.wiIP.text, "<address>"},
		{c.machineSID.text, "<id>"}, {c.tenantID.text, "<id>"}, {c.id.text, "<id>"},
	}
}
