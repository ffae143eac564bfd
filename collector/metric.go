package collector

// Type is the type of a metric.
type Type string

// The types of metrics that a book holds.
const (
	Counter   Type = "counter"
	Gauge     Type = "gauge"
	Histogram Type = "histogram"
)

// Metric describes a metric family as data.
type Metric struct {
	Name, Help string
	Type       Type
	// Labels are the variable labels, beside those of the scope.
	Labels []string
	// Buckets are the upper bounds of a histogram's classic buckets.
	Buckets []float64
	// AboutSource puts `source` where record metrics have `product`.
	AboutSource bool
}

var roundTripBuckets = []float64{.005, .01, .02, .03, .05, .075, .1, .15, .2, .3, .5, 1}

var (
	loginAttempts = &Metric{Name: "workspace_login_attempts_total", Type: Counter, Labels: []string{"desktop_group"},
		Help: "Login attempts, each counted once when its outcome is known."}
	loginFailures = &Metric{Name: "workspace_login_failures_total", Type: Counter, Labels: []string{"desktop_group", "failed_code"},
		Help: "Login attempts that failed, by the vendor's failure code."}
	clientAttempts = &Metric{Name: "workspace_client_login_attempts_total", Type: Counter, Labels: []string{"client_type", "agent_version"},
		Help: "Login attempts by the client's operating system and the server's agent version."}
	clientFailures = &Metric{Name: "workspace_client_login_failures_total", Type: Counter, Labels: []string{"client_type", "agent_version", "failed_code"},
		Help: "Failed login attempts by the client's operating system, the server's agent version and the failure code."}
	versionAttempts = &Metric{Name: "workspace_client_version_login_attempts_total", Type: Counter, Labels: []string{"client_type", "client_version"},
		Help: "Login attempts by the client's operating system and version."}
	versionFailures = &Metric{Name: "workspace_client_version_login_failures_total", Type: Counter, Labels: []string{"client_type", "client_version", "failed_code"},
		Help: "Failed login attempts by the client's operating system, its version and the failure code."}
	serverAttempts = &Metric{Name: "workspace_server_login_attempts_total", Type: Counter, Labels: []string{"desktop_group", "machine_name"},
		Help: "Login attempts by server."}
	serverFailures = &Metric{Name: "workspace_server_login_failures_total", Type: Counter, Labels: []string{"desktop_group", "machine_name", "failed_code"},
		Help: "Failed login attempts by server and failure code."}

	openConnections = &Metric{Name: "workspace_server_open_connections", Type: Gauge, Labels: []string{"desktop_group", "machine_name"},
		Help: "Connections that started and have not ended, by server, as of the last poll."}

	loginDuration = &Metric{Name: "workspace_login_duration_seconds", Type: Histogram, Labels: []string{"desktop_group"},
		Buckets: []float64{1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300},
		Help:    "Time from the request for a connection to its start, of successful logins. It includes the time in which a user types credentials."}
	sessionDuration = &Metric{Name: "workspace_session_duration_seconds", Type: Histogram, Labels: []string{"desktop_group"},
		Buckets: []float64{60, 300, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400},
		Help:    "Time from the start of a connection to its end, observed when it has ended."}

	networkRoundTrip = &Metric{Name: "workspace_desktop_network_round_trip_seconds", Type: Histogram, Labels: []string{"client_type"},
		Buckets: roundTripBuckets,
		Help:    "Round-trip time between client and desktop on the network, once per connection."}
	endToEndRoundTrip = &Metric{Name: "workspace_desktop_end_to_end_round_trip_seconds", Type: Histogram, Labels: []string{"client_type"},
		Buckets: roundTripBuckets,
		Help:    "Round-trip time between client and desktop with the work at both ends, once per connection."}
	serverSessions = &Metric{Name: "workspace_server_sessions", Type: Gauge, Labels: []string{"machine_name", "server_group", "session_state"},
		Help: "Sessions on each server by state, as of the newest complete snapshot."}
	sessionFailures = &Metric{Name: "workspace_session_failures_total", Type: Counter, Labels: []string{"server_group", "failed_code"},
		Help: "Sessions that could not be initialised, each counted once."}
	accessFailures = &Metric{Name: "workspace_access_failures_total", Type: Counter, Labels: []string{"error_code"},
		Help: "Failed accesses as the vendor's statistics count them. The vendor merges failures of a user within minutes: this is not the number of failed logins."}
	accessFailedUsers = &Metric{Name: "workspace_access_failed_users", Type: Gauge, Labels: []string{"window"},
		Help: "Distinct users with a failed access within the window at the end of the vendor's statistics."}

	loginUsers = &Metric{Name: "workspace_login_users", Type: Gauge, Labels: []string{"window"},
		Help: "Distinct users with a login attempt within the window before the last poll."}
	loginFailedUsers = &Metric{Name: "workspace_login_failed_users", Type: Gauge, Labels: []string{"window"},
		Help: "Distinct users with a failed login attempt within the window before the last poll."}
	groupUsers = &Metric{Name: "workspace_group_login_users", Type: Gauge, Labels: []string{"desktop_group", "window"},
		Help: "Distinct users of a desktop group with a login attempt within the window before the last poll."}
	groupFailedUsers = &Metric{Name: "workspace_group_login_failed_users", Type: Gauge, Labels: []string{"desktop_group", "window"},
		Help: "Distinct users of a desktop group with a failed login attempt within the window before the last poll."}
	maxFailuresPerUser = &Metric{Name: "workspace_login_max_failures_per_user", Type: Gauge, Labels: []string{"window"},
		Help: "Failed login attempts of the single user who has most of them within the window before the last poll."}
	maxFailuresPerClientIP = &Metric{Name: "workspace_login_max_failures_per_client_ip", Type: Gauge, Labels: []string{"window"},
		Help: "Failed login attempts from the single client address that has most of them within the window before the last poll."}

	failureCodeInfo = &Metric{Name: "workspace_login_failure_code_info", Type: Gauge, Labels: []string{"failed_code", "reason", "class", "explanation"},
		Help: "Always 1, one series a code: the latest reason text that came with a failure code, without personal data, its class and its explanation."}

	recordsTotal = &Metric{Name: "workspace_exporter_records_total", Type: Counter, Labels: []string{"disposition"}, AboutSource: true,
		Help: "Readings of records, by what became of them. A record is read in every poll while it is within the lookback."}
	invalidFields = &Metric{Name: "workspace_exporter_invalid_fields_total", Type: Counter, Labels: []string{"field"}, AboutSource: true,
		Help: "Fields that could not be read and were treated as missing, once per record. login_duration and session_duration stand for times in the wrong order."}
	recordDelay = &Metric{Name: "workspace_exporter_record_delay_seconds", Type: Histogram, AboutSource: true,
		Buckets: []float64{1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 86400},
		Help:    "Time from a record's own time to its being counted."}
)

// BookMetrics lists every metric that comes from records.
var BookMetrics = []*Metric{
	loginAttempts, loginFailures, clientAttempts, clientFailures, versionAttempts, versionFailures, serverAttempts, serverFailures,
	openConnections, loginDuration, sessionDuration,
	loginUsers, loginFailedUsers, groupUsers, groupFailedUsers, maxFailuresPerUser, maxFailuresPerClientIP,
	failureCodeInfo, networkRoundTrip, endToEndRoundTrip, serverSessions, sessionFailures, accessFailures, accessFailedUsers,
	recordsTotal, invalidFields, recordDelay,
}
