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

// roundTrips observes how far clients are from their desktops.
type roundTrips struct{ family *family }

func newRoundTrips(t *tables) *roundTrips { return &roundTrips{t.family(roundTrip)} }

func (r *roundTrips) observe(e *ledger.Event) {
	if e.NetworkRTT != nil {
		r.family.observe(*e.NetworkRTT, "network")
	}
	if e.EndToEndRTT != nil {
		r.family.observe(*e.EndToEndRTT, "end_to_end")
	}
}
