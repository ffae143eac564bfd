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
}

// A number is read where dropping it would change what is counted.
var userConnections = newKind(UserConnectionFields, map[int]string{connID: numbers, connFailedCode: numbers})

// Set fills the field of the API's name and reports whether there is one.
func (c *UserConnection) Set(name, value string) bool { return c.set(userConnections, name, value) }

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
	l := Login{
		Group: r.label(connGroupName), Machine: r.label(connMachineName),
		ClientType: r.label(connClientType), ClientVersion: r.label(connClientVersion), AgentVersion: r.label(connAgentVersion),
		FailedCode: r.label(connFailedCode), FailedReason: r.reason(connFailedReason, c.private),
		User: r.person(connUserName), ClientIP: r.person(connClientIP),
		PreConnect: r.time(connPreConnTime), Start: r.time(connStartTime), End: r.time(connEndTime), Updated: r.time(connUpdateTime),
	}
	l.Invalid = r.invalidNames()
	var id Identity
	if text := r.trimmed(connID); text != "" {
		id = identify("id", text)
	}
	l.identifyBy("", id, l.Machine, r.trimmed(connUserName), r.trimmed(connClientName), r.trimmed(connClientMAC), r.trimmed(connClientIP))
	return l
}

// private lists the personal text of the record.
func (c *UserConnection) private() []private {
	return slices.Concat(userForms(c.text[connUserName]),
		addressForms(c.text[connClientMAC], c.text[connClientIP], c.text[connPublicIP], c.text[connVMIP], c.text[connVirtualIP], c.text[connWIIP]),
		[]private{
			{c.text[connClientName], "<client>"}, {c.text[connMachineName], "<server>"},
			{c.text[connMachineSID], "<id>"}, {c.text[connTenantID], "<id>"}, {c.text[connID], "<id>"},
		})
}
