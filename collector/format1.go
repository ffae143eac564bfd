package collector

import (
	"fmt"
	"slices"

	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// Format 1 is that of the stores before release 0.1. It had no head: what a row of a
// series meant was in the program alone, which is written down here and does not change
// any more. Pseudonyms were in the clear, and stood where the fields of a row stood.

// format1Labels are the labels of the metrics that were stored, in the order of their
// values.
var format1Labels = map[string][]Label{
	"workspace_login_attempts_total":                  {desktopGroup},
	"workspace_login_failures_total":                  {desktopGroup, failedCode},
	"workspace_client_login_attempts_total":           {clientType, agentVersion},
	"workspace_client_login_failures_total":           {clientType, agentVersion, failedCode},
	"workspace_client_version_login_attempts_total":   {clientType, clientVersion},
	"workspace_client_version_login_failures_total":   {clientType, clientVersion, failedCode},
	"workspace_server_login_attempts_total":           {desktopGroup, machineName},
	"workspace_server_login_failures_total":           {desktopGroup, machineName, failedCode},
	"workspace_login_duration_seconds":                {desktopGroup},
	"workspace_session_duration_seconds":              {desktopGroup},
	"workspace_desktop_network_round_trip_seconds":    {},
	"workspace_desktop_end_to_end_round_trip_seconds": {},
	"workspace_session_failures_total":                {serverGroup, failedCode},
	"workspace_access_failures_total":                 {errorCode},
	"workspace_exporter_records_total":                {disposition},
	"workspace_exporter_invalid_fields_total":         {fieldName},
	"workspace_exporter_record_delay_seconds":         {},
}

// format1RoundTrip was one metric with the label kind, network or end_to_end, where there
// are two now.
const format1RoundTrip = "workspace_desktop_round_trip_seconds"

// format1Buckets are the buckets of the histograms among them.
var format1Buckets = map[string][]float64{
	"workspace_login_duration_seconds":                {1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300},
	"workspace_session_duration_seconds":              {60, 300, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400},
	"workspace_desktop_network_round_trip_seconds":    {.005, .01, .02, .03, .05, .075, .1, .15, .2, .3, .5, 1},
	"workspace_desktop_end_to_end_round_trip_seconds": {.005, .01, .02, .03, .05, .075, .1, .15, .2, .3, .5, 1},
	"workspace_exporter_record_delay_seconds":         {1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 86400},
}

// format1Schemas is what the head of an accumulator of format 1 would have said.
func format1Schemas() map[string]schema {
	schemas := map[string]schema{}
	for name, labels := range format1Labels {
		m := &Metric{Name: name, Type: Counter, Labels: labels, Buckets: format1Buckets[name]}
		if m.Buckets != nil {
			m.Type = Histogram
		}
		schemas[name] = schemaOf(m)
	}
	return schemas
}

// FromFormat1 returns a row of a store of format 1 as format 2 has it: see store.Converting.
func FromFormat1(table string, key, value []byte) (k, v []byte, err error) {
	switch table {
	case seriesTable:
		k, err = seriesKeyOfFormat1(key)
		return k, value, err
	case ledger.Table:
		return ledger.FromFormat1(key, value)
	case userWindowsTable:
		v, err = sampleOfFormat1(value)
		return key, v, err
	case failedUsersTable:
		if len(key) != 8 {
			return nil, nil, errKey
		}
		return append(slices.Clone(key), make([]byte, 8)...), noBlocks(value), nil
	case failedSessionsTable:
		return key, noBlocks(value), nil
	}
	return key, value, nil
}

func seriesKeyOfFormat1(key []byte) ([]byte, error) {
	r := store.ReadRow(key)
	name := r.String()
	if name == format1RoundTrip {
		name = "workspace_desktop_" + r.String() + "_round_trip_seconds"
	}
	names, known := format1Labels[name]
	if !known {
		return nil, fmt.Errorf("a metric %q, which format 1 did not have", name)
	}
	labels := make([]pair, len(names))
	for i, label := range names {
		labels[i] = label.is(r.String())
	}
	return seriesKey(name, labels), r.Err()
}

// noBlocks is a row that has nothing to hide but its key.
func noBlocks(value []byte) []byte { return append([]byte{0}, value...) }

func sampleOfFormat1(value []byte) ([]byte, error) {
	r := store.ReadRow(value)
	group, user, client, failed := r.String(), record.Person(r.Uint()), record.Person(r.Uint()), r.Bool()
	return appendSample(nil, user, client, group, failed), r.Err()
}
