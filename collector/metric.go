package collector

// Type is the type of a metric.
type Type string

// The types of metrics that an accumulator holds.
const (
	Counter   Type = "counter"
	Gauge     Type = "gauge"
	Histogram Type = "histogram"
)

// Label is the name of a label.
type Label string

// The labels of record metrics, beside project, product and source.
const (
	desktopGroup  Label = "desktop_group"
	failedCode    Label = "failed_code"
	clientType    Label = "client_type"
	agentVersion  Label = "agent_version"
	clientVersion Label = "client_version"
	machineName   Label = "machine_name"
	serverGroup   Label = "server_group"
	sessionState  Label = "session_state"
	errorCode     Label = "error_code"
	windowName    Label = "window"
	reasonText    Label = "reason"
	class         Label = "class"
	explanation   Label = "explanation"
	disposition   Label = "disposition"
	fieldName     Label = "field"
)

// pair is a label with its value. Code names the label of each value, so that it cannot
// mistake their order.
type pair struct {
	label Label
	value string
}

func (l Label) is(value string) pair { return pair{l, value} }

// Metric describes a metric family as data.
type Metric struct {
	Name, Help string
	Type       Type
	// Labels are the variable labels, beside those of the scope.
	Labels []Label
	// Formerly are names that earlier releases gave it: their series go on.
	Formerly []string
	// Buckets are the upper bounds of a histogram's classic buckets.
	Buckets []float64
	// AboutSource puts `source` where record metrics have `product`.
	AboutSource bool
	// AtEnd is of a metric that counts a connection when it ends, and not when it begins.
	AtEnd bool
}

var roundTripBuckets = []float64{.005, .01, .02, .03, .05, .075, .1, .15, .2, .3, .5, 1}

var (
	loginAttempts = &Metric{Name: "workspace_login_attempts_total", Type: Counter, Labels: []Label{desktopGroup},
		Help: "Login attempts, each counted once when its outcome is known."}
	loginFailures = &Metric{Name: "workspace_login_failures_total", Type: Counter, Labels: []Label{desktopGroup, failedCode},
		Help: "Login attempts that failed, by the vendor's failure code."}
	clientAttempts = &Metric{Name: "workspace_client_login_attempts_total", Type: Counter, Labels: []Label{clientType, agentVersion},
		Help: "Login attempts by the client's operating system and the server's agent version."}
	clientFailures = &Metric{Name: "workspace_client_login_failures_total", Type: Counter, Labels: []Label{clientType, agentVersion, failedCode},
		Help: "Failed login attempts by the client's operating system, the server's agent version and the failure code."}
	versionAttempts = &Metric{Name: "workspace_client_version_login_attempts_total", Type: Counter, Labels: []Label{clientType, clientVersion},
		Help: "Login attempts by the client's operating system and version."}
	versionFailures = &Metric{Name: "workspace_client_version_login_failures_total", Type: Counter, Labels: []Label{clientType, clientVersion, failedCode},
		Help: "Failed login attempts by the client's operating system, its version and the failure code."}
	serverAttempts = &Metric{Name: "workspace_server_login_attempts_total", Type: Counter, Labels: []Label{desktopGroup, machineName},
		Help: "Login attempts by server."}
	serverFailures = &Metric{Name: "workspace_server_login_failures_total", Type: Counter, Labels: []Label{desktopGroup, machineName, failedCode},
		Help: "Failed login attempts by server and failure code."}

	openConnections = &Metric{Name: "workspace_server_open_connections", Type: Gauge, Labels: []Label{desktopGroup, machineName},
		Help: "Connections that started and have not ended, by server, as of the last poll."}

	loginDuration = &Metric{Name: "workspace_login_duration_seconds", Type: Histogram, Labels: []Label{desktopGroup},
		Buckets: []float64{1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300},
		Help:    "Time from the request for a connection to its start, of successful logins. It includes the time in which a user types credentials."}
	sessionDuration = &Metric{Name: "workspace_session_duration_seconds", Type: Histogram, AtEnd: true, Labels: []Label{desktopGroup},
		Buckets: []float64{60, 300, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400},
		Help:    "Time from the start of a connection to its end, observed when it has ended."}

	networkRoundTrip = &Metric{Name: "workspace_desktop_network_round_trip_seconds", Type: Histogram, Labels: []Label{clientType},
		Buckets: roundTripBuckets,
		Help:    "Round-trip time between client and desktop on the network, once per connection."}
	endToEndRoundTrip = &Metric{Name: "workspace_desktop_end_to_end_round_trip_seconds", Type: Histogram, Labels: []Label{clientType},
		Buckets: roundTripBuckets,
		Help:    "Round-trip time between client and desktop with the work at both ends, once per connection."}
	serverSessions = &Metric{Name: "workspace_server_sessions", Type: Gauge, Labels: []Label{machineName, serverGroup, sessionState},
		Help: "Sessions on each server by state, as of the newest complete snapshot."}
	sessionFailures = &Metric{Name: "workspace_session_failures_total", Type: Counter, Labels: []Label{serverGroup, failedCode},
		Help: "Sessions that could not be initialised, each counted once."}
	accessFailures = &Metric{Name: "workspace_access_failures_total", Type: Counter, Labels: []Label{errorCode},
		Help: "Failed accesses as the vendor's statistics count them. The vendor merges failures of a user within minutes: this is not the number of failed logins."}
	accessFailedUsers = &Metric{Name: "workspace_access_failed_users", Type: Gauge, Labels: []Label{windowName},
		Help: "Distinct users with a failed access within the window at the end of the vendor's statistics."}

	loginUsers = &Metric{Name: "workspace_login_users", Type: Gauge, Labels: []Label{windowName},
		Help: "Distinct users with a login attempt within the window before the last poll."}
	loginFailedUsers = &Metric{Name: "workspace_login_failed_users", Type: Gauge, Labels: []Label{windowName},
		Help: "Distinct users with a failed login attempt within the window before the last poll."}
	groupUsers = &Metric{Name: "workspace_group_login_users", Type: Gauge, Labels: []Label{desktopGroup, windowName},
		Help: "Distinct users of a desktop group with a login attempt within the window before the last poll."}
	groupFailedUsers = &Metric{Name: "workspace_group_login_failed_users", Type: Gauge, Labels: []Label{desktopGroup, windowName},
		Help: "Distinct users of a desktop group with a failed login attempt within the window before the last poll."}
	maxFailuresPerUser = &Metric{Name: "workspace_login_max_failures_per_user", Type: Gauge, Labels: []Label{windowName},
		Help: "Failed login attempts of the single user who has most of them within the window before the last poll."}
	maxFailuresPerClientIP = &Metric{Name: "workspace_login_max_failures_per_client_ip", Type: Gauge, Labels: []Label{windowName},
		Help: "Failed login attempts from the single client address that has most of them within the window before the last poll."}

	failureCodeInfo = &Metric{Name: "workspace_login_failure_code_info", Type: Gauge, Labels: []Label{failedCode, reasonText, class, explanation},
		Help: "Always 1, one series a code: a reason text that came with a failure code, without personal data, its class and its explanation. The text stays until most failures of an hour have another one."}

	recordsTotal = &Metric{Name: "workspace_exporter_records_total", Type: Counter, Labels: []Label{disposition}, AboutSource: true,
		Help: "Readings of records, by what became of them: counted, pending (new, without an outcome yet), expired (none within pending_timeout: counted as a failure), reclassified (a counted success that became a failure), updated (known, and changed), duplicate (known, and unchanged), invalid (not an object), given_up (too many are unfinished: no end is looked for). A record is read in every poll while it is within the lookback."}
	invalidFields = &Metric{Name: "workspace_exporter_invalid_fields_total", Type: Counter, Labels: []Label{fieldName}, AboutSource: true,
		Help: "Fields that could not be read and were treated as missing, once per record. login_duration and session_duration stand for times in the wrong order."}
	recordDelay = &Metric{Name: "workspace_exporter_record_delay_seconds", Type: Histogram, AboutSource: true,
		Buckets: []float64{1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 86400},
		Help:    "Time from a record's own time to its being counted."}
)

// Metrics lists every metric that comes from records.
var Metrics = []*Metric{
	loginAttempts, loginFailures, clientAttempts, clientFailures, versionAttempts, versionFailures, serverAttempts, serverFailures,
	openConnections, loginDuration, sessionDuration,
	loginUsers, loginFailedUsers, groupUsers, groupFailedUsers, maxFailuresPerUser, maxFailuresPerClientIP,
	failureCodeInfo, networkRoundTrip, endToEndRoundTrip, serverSessions, sessionFailures, accessFailures, accessFailedUsers,
	recordsTotal, invalidFields, recordDelay,
}
