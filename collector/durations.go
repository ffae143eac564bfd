package collector

import "github.com/workspace-exporter/workspace_exporter/internal/ledger"

// durations observes how long logins take and how long sessions last.
type durations struct{ login, session *family }

func newDurations(t *families) *durations {
	return &durations{login: t.family(loginDuration), session: t.family(sessionDuration)}
}

func (d *durations) observe(e *ledger.Event) {
	if e.LoginDuration != nil {
		d.login.observe(*e.LoginDuration, desktopGroup.is(e.Login.Group))
	}
	if e.SessionDuration != nil {
		d.session.observe(*e.SessionDuration, desktopGroup.is(e.Login.Group))
	}
}

// roundTrips observes how far clients are from their desktops.
type roundTrips struct{ network, endToEnd *family }

func newRoundTrips(t *families) *roundTrips {
	return &roundTrips{network: t.family(networkRoundTrip), endToEnd: t.family(endToEndRoundTrip)}
}

func (r *roundTrips) observe(e *ledger.Event) {
	if e.NetworkRTT != nil {
		r.network.observe(*e.NetworkRTT, clientType.is(e.Login.ClientType))
	}
	if e.EndToEndRTT != nil {
		r.endToEnd.observe(*e.EndToEndRTT, clientType.is(e.Login.ClientType))
	}
}
