package collector

import "github.com/workspace-exporter/workspace_exporter/internal/ledger"

var (
	loginDuration = &Metric{Name: "workspace_login_duration_seconds", Type: Histogram, Labels: []Label{desktopGroup},
		Buckets: []float64{1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300},
		Help:    "Time from the request for a connection to its start, of successful logins. It includes the time in which a user types credentials."}
	sessionDuration = &Metric{Name: "workspace_session_duration_seconds", Type: Histogram, AtEnd: true, Labels: []Label{desktopGroup},
		Buckets: []float64{60, 300, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400},
		Help:    "Time from the start of a connection to its end, observed when it has ended."}
)

// durations observes how long logins take and how long sessions last.
type durations struct{ login, session *family }

func newDurations(f *families, _ Options) aggregator {
	return &durations{login: f.of(loginDuration), session: f.of(sessionDuration)}
}

func (d *durations) observe(e *ledger.Event) {
	if e.LoginDuration != nil {
		d.login.observe(*e.LoginDuration, desktopGroup.is(e.Login.Group))
	}
	if e.SessionDuration != nil {
		d.session.observe(*e.SessionDuration, desktopGroup.is(e.Login.Group))
	}
}
