package ledger

import (
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Disposition is what became of one version of a record.
type Disposition string

// The dispositions, as the label of workspace_exporter_records_total shows them.
const (
	Counted      Disposition = "counted"      // settled, and added to the attempts
	Duplicate    Disposition = "duplicate"    // nothing new
	Updated      Disposition = "updated"      // something new, but no other outcome
	Pending      Disposition = "pending"      // seen for the first time, without an outcome
	Expired      Disposition = "expired"      // stayed without an outcome for too long: a failure
	Reclassified Disposition = "reclassified" // counted as a success before, a failure now
	Invalid      Disposition = "invalid"      // not a record at all
	GivenUp      Disposition = "given_up"     // not followed any more: too many are unfinished
	Forgotten    Disposition = "forgotten"    // unknown, and so old that it may have been counted and forgotten
)

// Dispositions lists all of them.
var Dispositions = []Disposition{Counted, Duplicate, Updated, Pending, Expired, Reclassified, Invalid, GivenUp, Forgotten}

// Event is what one version of a record changes, to be added to the metrics once.
type Event struct {
	Disposition Disposition
	// Login is the version of the record that was read. It is nil when a connection
	// is taken for closed because the record is not there any more.
	Login *record.Login
	// Now is the server's clock when the batch was read.
	Now time.Time

	// Attempt is true when the record settles.
	Attempt bool
	// FailedCode is the code to count a failure under; empty if this is none.
	FailedCode string
	// Durations and round-trip times are nil unless they are known now and were not
	// before.
	LoginDuration, SessionDuration *time.Duration
	NetworkRTT, EndToEndRTT        *time.Duration
	// OpenBefore is when the connection was open, as far as that was known before, and
	// OpenNow as far as it is known now. They differ if there is something new.
	OpenBefore, OpenNow Span
	// Reconnected is true when the record is first known to be a success that takes up an
	// earlier connection.
	Reconnected bool
	// InvalidFields are fields that could not be read, or contradict each other.
	InvalidFields []string
}

// Span is the time in which a connection was open: from its start on, and up to its end,
// in Unix milliseconds. The zero value is none.
type Span struct {
	Start, End int64
	Open       bool // there is no end yet
}

// Place is where a connection is, and to which application, if it is to one.
type Place struct{ Group, Machine, App string }
