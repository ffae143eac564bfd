package ledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Codes of failures that have none of their own.
const (
	CodeUnknown        = "unknown"
	CodePendingTimeout = "pending_timeout"
)

// Rules decide the outcome of a record.
type Rules struct {
	// SuccessCodes are the failed_code values that mean success.
	SuccessCodes []string
	// PendingTimeout is how long a record may stay without an outcome, from when it
	// was first seen.
	PendingTimeout time.Duration
	// HideMachines keeps names of machines out of what is kept and counted. They still
	// distinguish records.
	HideMachines bool
	// Unsaved is true if nothing is to be saved: what has changed is not noted, which would
	// take memory for each record that is read, and Save writes nothing.
	Unsaved bool
	// MaxUnfinished is how many records may be pending or open; 0 is MaxUnfinished.
	MaxUnfinished int
}

type outcome uint8

const (
	pending outcome = iota
	success
	failure
)

// outcome of one version of a record, and the code to count a failure under:
//
//	failed_code            failed_reason  start  outcome
//	not a success code     any            any    failure, under that code, or "unknown" if it is empty
//	empty                  given          any    failure, under "unknown"
//	a success code         any other      yes    success
//	a success code         any other      no     pending
func (r *Rules) outcome(l *record.Login) (outcome, string) {
	switch {
	case !slices.Contains(r.SuccessCodes, l.FailedCode):
		return failure, cmp.Or(l.FailedCode, CodeUnknown)
	case l.FailedCode == "" && l.FailedReason != "":
		return failure, CodeUnknown
	case l.HasStarted():
		return success, ""
	}
	return pending, ""
}

// settle applies the outcome of the version that was read to what was counted before:
//
//	counted as  pending  success  failure
//	nothing     -        counted  counted, with its failure
//	a success   -        -        reclassified: its failure is added
//	a failure   -        -        -
func (l *Ledger) settle(e *entry, login *record.Login, newest bool, ev *Event) {
	result, code := l.rules.outcome(login)
	// Without a time of the last change, a failure is the newer one: nothing takes it back.
	if newest && (e.updated != 0 || !e.has(failing)) {
		e.set(failing, result == failure)
	}
	if result == pending {
		return
	}
	if result == success {
		e.is |= succeeded
	}
	switch {
	case !e.has(settled):
		ev.Disposition, ev.Attempt = Counted, true
	case result == failure && !e.has(failed):
		ev.Disposition = Reclassified
	}
	if result == failure && !e.has(failed) {
		e.is |= failed
		ev.FailedCode = code
	}
	e.is |= settled
}
