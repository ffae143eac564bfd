package record

import (
	"cmp"
	"slices"
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
		reason = withoutPersonal(reason, deskPrivate(r))
		l.FailedReason, l.FailedCode = intern(Label(reason)), intern(failureSlug(reason))
	}
	l.identifyDesktop(r)
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
		id = identify("transaction", text, cmp.Or(r.unread(deskStartTime), l.began().Format(time.RFC3339)))
	}
	l.identifyBy("desktop ", id, l.Machine, r.name(deskUserName), r.client(l, deskStartTime, deskTerminalName, deskTerminalMAC, deskTerminalIP)...)
}

// deskPrivate lists the personal text of the record.
func deskPrivate(r *reading) []private {
	return slices.Concat(userForms(r.plain(deskUserName)),
		addressForms(r.plain(deskTerminalMAC), r.plain(deskTerminalIP), r.plain(deskDesktopIP), r.plain(deskSourceIP), r.plain(deskPublicIP)),
		[]private{
			{r.plain(deskTerminalName), "<client>"}, {r.plain(deskComputerName), "<server>"},
			{r.plain(deskTransactionID), "<id>"}, {r.plain(deskSID), "<id>"},
		})
}
