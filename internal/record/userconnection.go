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
	l := Login{
		Group: r.label(connGroupName), Machine: r.label(connMachineName),
		ClientType: r.label(connClientType), ClientVersion: r.label(connClientVersion), AgentVersion: r.label(connAgentVersion),
		FailedCode: r.code(connFailedCode),
		User:       r.person(connUserName), ClientIP: r.person(connClientIP),
		PreConnect: r.time(connPreConnTime), Start: r.time(connStartTime), End: r.time(connEndTime), Updated: r.time(connUpdateTime),
	}
	l.FailedReason = r.reason(connFailedReason, l.FailedCode, connPrivate)
	l.Started = r.unread(connStartTime) != ""
	var id Identity
	if text := r.id(connID); text != "" {
		id = identify("id", text)
	}
	l.identifyBy("", id, l.Machine, r.name(connUserName), r.client(&l, connStartTime, connClientName, connClientMAC, connClientIP)...)
	l.Invalid = r.invalidNames()
	return l
}

// connPrivate lists the personal text of the record.
func connPrivate(r *reading) []private {
	return slices.Concat(userForms(r.plain(connUserName)),
		addressForms(r.plain(connClientMAC), r.plain(connClientIP), r.plain(connPublicIP), r.plain(connVMIP), r.plain(connVirtualIP), r.plain(connWIIP)),
		[]private{
			{r.plain(connClientName), "<client>"}, {r.plain(connMachineName), "<server>"},
			{r.plain(connMachineSID), "<id>"}, {r.plain(connTenantID), "<id>"}, {r.plain(connID), "<id>"},
		})
}
