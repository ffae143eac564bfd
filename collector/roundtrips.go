package collector

import "github.com/workspace-exporter/workspace_exporter/internal/ledger"

var roundTripBuckets = []float64{.005, .01, .02, .03, .05, .075, .1, .15, .2, .3, .5, 1}

var (
	networkRoundTrip = &Metric{Name: "workspace_desktop_network_round_trip_seconds", Type: Histogram, Labels: []Label{clientType},
		Buckets: roundTripBuckets,
		Help:    "Round-trip time between client and desktop on the network, once per connection."}
	endToEndRoundTrip = &Metric{Name: "workspace_desktop_end_to_end_round_trip_seconds", Type: Histogram, Labels: []Label{clientType},
		Buckets: roundTripBuckets,
		Help:    "Round-trip time between client and desktop with the work at both ends, once per connection."}
)

// roundTrips observes how far clients are from their desktops.
type roundTrips struct{ network, endToEnd *family }

func newRoundTrips(f *families, _ Options) aggregator {
	return &roundTrips{network: f.of(networkRoundTrip), endToEnd: f.of(endToEndRoundTrip)}
}

func (r *roundTrips) observe(e *ledger.Event) {
	if e.NetworkRTT != nil {
		r.network.observe(*e.NetworkRTT, clientType.is(e.Login.ClientType))
	}
	if e.EndToEndRTT != nil {
		r.endToEnd.observe(*e.EndToEndRTT, clientType.is(e.Login.ClientType))
	}
}
