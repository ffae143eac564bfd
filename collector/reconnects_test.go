package collector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// A reconnect counts once, as soon as it is known to be one and a success, whatever else
// becomes of it, before and after a restart.
func TestReconnectsCountOnce(t *testing.T) {
	b := newBench(t, ofKind(DesktopLogins))
	again := func(l *record.Login) { l.Reconnect = true }
	pending := func(l *record.Login) { l.Reconnect, l.Start = true, time.Time{} }
	later := func(l *record.Login) { l.Updated = l.Updated.Add(time.Minute) }
	mac := func(l *record.Login) { l.ClientType = "Mac" }
	counts := func() map[string]float64 { return b.values(desktopReconnects, "client_type") }

	require.NoError(t, b.read(t0, login(1, t0), login(2, t0, again, mac), login(3, t0, failing("7"), again), login(4, t0, pending)))
	assert.Equal(t, map[string]float64{"Mac": 1}, counts())
	for range 2 {
		require.NoError(t, b.read(t0.Add(time.Minute),
			login(1, t0, again, later), // it is known only now
			login(2, t0, again, mac, later, func(l *record.Login) { l.End = t0.Add(time.Second) }),
			login(3, t0, again, later), // it was counted as a failure
			login(4, t0, again, later), login(4, t0, later)))
		assert.Equal(t, map[string]float64{"Mac": 1, "Windows 10": 2}, counts())
		b.restart()
	}
	require.NoError(t, b.read(t0.Add(2*time.Minute), login(2, t0, mac, func(l *record.Login) {
		l.FailedCode, l.Reconnect, l.Updated = "7", true, t0.Add(2*time.Minute)
	})))
	assert.Equal(t, map[string]float64{"Mac": 1, "Windows 10": 2}, counts(), "a counter does not fall")
}

// Where nothing was measured, the API may write 0.
func TestZeroIsARoundTripOnlyInTheEnd(t *testing.T) {
	b := newBench(t, ofKind(DesktopLogins))
	rtt := func(ms int) func(*record.Login) {
		return func(l *record.Login) { d := time.Duration(ms) * time.Millisecond; l.NetworkRTT, l.EndToEndRTT = &d, &d }
	}
	ended := func(l *record.Login) { l.End, l.Updated = t0.Add(time.Minute), t0.Add(time.Minute) }
	mac := func(l *record.Login) { l.ClientType = "Mac" }
	require.NoError(t, b.read(t0, login(1, t0, rtt(0)), login(2, t0, rtt(0), failing("7")), login(3, t0, rtt(0)), login(4, t0, rtt(20), mac)))
	assert.Equal(t, map[string]float64{"Mac": 1}, b.values(networkRoundTrip, "client_type"))
	require.NoError(t, b.read(t0.Add(2*time.Minute), login(1, t0, rtt(30), ended), login(2, t0, rtt(0), failing("7"), ended), login(3, t0, rtt(0), ended), login(4, t0, rtt(40), mac, ended)))
	for _, m := range []*Metric{networkRoundTrip, endToEndRoundTrip} {
		assert.Equal(t, map[string]float64{"Mac": 1, "Windows 10": 2}, b.values(m, "client_type"))
	}
	sum := 0.0
	for _, m := range b.families()[networkRoundTrip.Name].Metric {
		sum += m.GetHistogram().GetSampleSum()
	}
	assert.InDelta(t, 0.05, sum, 1e-9)
}
