package record

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// StageUnknown stands for the name of a stage, or the code of its error, where there is none.
const StageUnknown = "unknown"

// StageResult is what became of a failed access whose stages were to be asked for.
type StageResult string

// The results, as the label of workspace_exporter_stage_lookups_total shows them.
const (
	StageFound         StageResult = "found"             // the stage at which it failed is counted
	StageNone          StageResult = "no_failed_stage"   // the API says that none failed
	StageNotFound      StageResult = "not_found"         // the API does not know the access
	StageDenied        StageResult = "denied"            // the permission is missing
	StageFailed        StageResult = "failed"            // there was no answer that can be read
	StageLeftOut       StageResult = "left_out"          // it was not asked for: the budget is used up
	StageNoTransaction StageResult = "no_transaction_id" // there is nothing to ask by
)

// StageResults lists all of them.
var StageResults = []StageResult{StageFound, StageNone, StageNotFound, StageDenied, StageFailed, StageLeftOut, StageNoTransaction}

// StageLookup is a failed access that waits to have its stages asked for.
type StageLookup struct {
	ID            Identity
	TransactionID string
}

// StageOutcome is how that ended.
type StageOutcome struct {
	Result  StageResult
	Stage   FailedStage // if it was found
	Invalid []string    // fields that could not be read
}

// FailedStage is the first stage at which an access failed. Both texts are label values.
type FailedStage struct{ Stage, ErrorCode string }

// AccessStages is what the API says of the stages of an access (ShowUserAccessStages). It is
// tolerant like UserConnection, and keeps no more than the first stage that failed.
type AccessStages struct {
	failed  *FailedStage
	at      time.Time // when that stage began; zero if unknown
	invalid []string
}

// Outcome is what the answer says: the first stage that failed, or that none did.
func (a *AccessStages) Outcome() StageOutcome {
	if a.failed == nil {
		return StageOutcome{Result: StageNone, Invalid: a.invalid}
	}
	return StageOutcome{StageFound, *a.failed, a.invalid}
}

// stage is a stage as the API's UserAccessStage writes it.
type stage struct{ raw }

// The places of a stage's fields.
const (
	stageName = iota
	stageIsSuccess
	stageStartTime
	stageErrorCode
	stageErrorMessage
)

// AccessStageFields are the names of the fields that mean something to us, as the API
// writes them.
var AccessStageFields = []string{
	stageName: "stage", stageIsSuccess: "is_success", stageStartTime: "start_time", stageErrorCode: "error_code", stageErrorMessage: "error_msg",
}

var stages = newKind(AccessStageFields, stageIsSuccess)

var (
	errNoStages     = errors.New(`the answer has no "stages"`)
	errStagesNoList = errors.New(`"stages" is neither an array nor null`)
	errStagesMany   = fmt.Errorf("more than %d stages", maxStages)
)

// maxStages is far more than any access has.
const maxStages = 1000

// UnmarshalJSONFrom reads an answer, stage by stage. It fails where the JSON does, and where
// there is no list of stages.
func (a *AccessStages) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*a = AccessStages{}
	if _, err := d.ReadToken(); err != nil { // of an object
		return err
	}
	found := false
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		if name.String() != "stages" {
			err = d.SkipValue()
		} else {
			found, err = true, a.readStages(d)
		}
		if err != nil {
			return err
		}
	}
	if !found {
		return errNoStages
	}
	_, err := d.ReadToken()
	return err
}

func (a *AccessStages) readStages(d *jsontext.Decoder) error {
	list, err := d.ReadToken()
	switch {
	case err != nil:
		return err
	case list.Kind() == 'n':
		return nil
	case list.Kind() != '[':
		return errStagesNoList
	}
	for n := 0; d.PeekKind() != ']'; n++ {
		if n == maxStages {
			return errStagesMany
		}
		var s stage
		if err := s.decode(stages, d); err != nil {
			return err
		}
		a.take(&s)
	}
	_, err = d.ReadToken()
	return err
}

// take looks at a stage. Of two that failed, the one that began earlier is the first; where
// times do not tell, the one that stands earlier.
func (a *AccessStages) take(s *stage) {
	if s.malformed {
		a.note("stages")
		return
	}
	r := s.read(stages)
	failed, at := r.failedStage(), r.time(stageStartTime)
	if failed != nil && (a.failed == nil || !at.IsZero() && at.Before(a.at)) {
		a.failed, a.at = failed, at
	}
	a.note(r.invalidNames()...)
}

func (a *AccessStages) note(names ...string) {
	for _, name := range names {
		if !slices.Contains(a.invalid, name) {
			a.invalid = append(a.invalid, name)
		}
	}
}

// failedStage is the stage if it failed, else nil. A code of an error tells, whatever
// is_success says; where neither is there, the message does.
func (r *reading) failedStage() *FailedStage {
	success := r.truth(stageIsSuccess)
	known := r.value(stageIsSuccess) != "" && r.bad&(1<<stageIsSuccess) == 0
	code, message := r.code(stageErrorCode), r.value(stageErrorMessage)
	if isSuccessCode(code) {
		code = ""
	}
	saysFailure := message != "" && !saysSuccess(message)
	if code == "" && success || code == "" && !known && !saysFailure {
		return nil
	}
	return &FailedStage{Stage: orUnknown(r.label(stageName)), ErrorCode: orUnknown(code)}
}

func orUnknown(text string) string {
	if text == "" {
		return StageUnknown
	}
	return text
}

// isSuccessCode reports whether a code is one of those of the vendor's that mean success:
// WKS.00000000, or zeros alone.
func isSuccessCode(code string) bool {
	digits := strings.TrimPrefix(strings.ToUpper(code), "WKS.")
	return digits != "" && strings.Trim(digits, "0") == ""
}
