package collector

import "github.com/workspace-exporter/workspace_exporter/internal/ledger"

// durations observes how long logins take and how long sessions last.
type durations struct{ login, session *family }

func newDurations(t *tables) *durations {
	return &durations{login: t.family(loginDuration), session: t.family(sessionDuration)}
}

func (d *durations) observe(e *ledger.Event) {
	if e.LoginDuration != nil {
		d.login.observe(*e.LoginDuration, e.Login.Group)
	}
	if e.SessionDuration != nil {
		d.session.observe(*e.SessionDuration, e.Login.Group)
	}
}
