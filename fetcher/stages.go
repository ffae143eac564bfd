package fetcher

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// StageQueue has the failed accesses whose stages are to be asked for, and counts what
// becomes of them.
type StageQueue interface {
	// StagesWait has something in it when there may be a new NextStage.
	StagesWait() <-chan struct{}
	// NextStage is an access that waits, until FinishStage. It is not ok if none does.
	NextStage() (next record.StageLookup, ok bool, err error)
	FinishStage(id record.Identity, o record.StageOutcome) error
}

// Stages asks at which stage failed accesses failed, one after the other, beside the polls
// and with nothing in common with them. Each access is asked for once: again only if the
// API was too busy to answer, or the process ended before the answer was stored.
type Stages struct {
	Queue StageQueue
	// Ask gets the stages of an access. It waits for the budget, and sends one request.
	Ask func(ctx context.Context, transactionID string) (record.AccessStages, error)
	// Permission is what it takes.
	Permission string
	Logger     log.Logger

	retry *backoff.ExponentialBackOff
	told  map[string]time.Time // when a message was last logged
}

const (
	// firstStageHold is how long nothing is asked for after the API refused to answer, the
	// first time, and longestStageHold after many times. Retry-After may make it longer.
	firstStageHold   = 5 * time.Second
	longestStageHold = 5 * time.Minute
	// deniedStageHold is how long nothing is asked for without the permission.
	deniedStageHold = 15 * time.Minute
	// commitStageHold is how long to wait for a store that cannot be written.
	commitStageHold = 10 * time.Second
	// tellStagesEvery is how often a message is logged at most.
	tellStagesEvery = time.Hour
)

// Run asks until ctx ends.
func (s *Stages) Run(ctx context.Context) {
	for ctx.Err() == nil {
		hold, waits := s.next(ctx)
		switch {
		case hold > 0:
			sleep(ctx, hold)
		case !waits:
			select {
			case <-ctx.Done():
			case <-s.Queue.StagesWait():
			}
		}
	}
}

// RunOnce asks until none waits, the API refuses to answer, or ctx ends.
func (s *Stages) RunOnce(ctx context.Context) {
	for ctx.Err() == nil {
		if hold, waits := s.next(ctx); hold > 0 || !waits {
			return
		}
	}
}

// next asks for one access. It returns how long to ask for none, and whether there was one.
func (s *Stages) next(ctx context.Context) (hold time.Duration, waits bool) {
	access, ok, err := s.Queue.NextStage()
	if err != nil {
		s.tell("stages of failed accesses are not asked for, since the store cannot be read; will retry", err)
		return commitStageHold, true
	}
	if !ok {
		return 0, false
	}
	answer, err := s.Ask(ctx, access.TransactionID)
	if err != nil && ctx.Err() != nil {
		return 0, true
	}
	outcome := answer.Outcome()
	if err != nil {
		outcome, hold = s.judge(err, access.TransactionID)
	} else {
		s.answered()
	}
	if outcome.Result != "" {
		s.finish(ctx, access.ID, outcome)
	}
	return hold, true
}

// finish stores an outcome. While that is not possible, nothing more is asked for.
func (s *Stages) finish(ctx context.Context, id record.Identity, outcome record.StageOutcome) {
	for {
		err := s.Queue.FinishStage(id, outcome)
		if err == nil {
			return
		}
		s.tell("the stage of a failed access cannot be stored, will retry: see the messages about polls", err)
		if !sleep(ctx, commitStageHold) {
			return
		}
	}
}

// judge says what an error means for the access, and how long to ask for none. Without a
// result the access is asked for again.
func (s *Stages) judge(err error, transactionID string) (outcome record.StageOutcome, hold time.Duration) {
	err = withoutID{err, transactionID}
	var api *workspace.Error
	if !errors.As(err, &api) {
		api = &workspace.Error{}
	}
	switch {
	case errors.Is(err, workspace.ErrSignIn), errors.Is(err, workspace.ErrCredentials):
		s.tell("stages of failed accesses are not asked for while the credentials are no good, will retry", err)
		return outcome, s.backOff(api)
	case api.Throttled():
		s.tell("the API throttles questions for the stages of failed accesses, will retry: lower stages.max_per_minute if this happens often; polls go on", err)
		return outcome, s.backOff(api)
	case api.Status == http.StatusForbidden:
		s.tell("stages of failed accesses are not asked for: grant "+s.Permission+" to the owner of the credentials, or take `stages` out of the configuration; polls go on", err)
		outcome.Result = record.StageDenied
		return outcome, max(deniedStageHold, api.RetryAfter)
	case api.Status == http.StatusNotFound, api.Status == http.StatusBadRequest:
		s.tell("the API does not know the stages of a failed access: if that is so of all, this region may not have the call, so take `stages` out of the configuration", err)
		outcome.Result = record.StageNotFound
		return outcome, 0
	case api.Status/100 == 2 && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, workspace.ErrCut):
		s.tell("what the API answers about the stages of a failed access cannot be read: please report it", err)
		outcome.Result = record.StageFailed
		return outcome, 0
	}
	s.tell("the stages of a failed access could not be asked for; polls go on", err)
	outcome.Result = record.StageFailed
	return outcome, s.backOff(api)
}

// backOff is how long to ask for none: the longer, the more often in a row.
func (s *Stages) backOff(e *workspace.Error) time.Duration {
	if s.retry == nil {
		s.retry = backoff.NewExponentialBackOff()
		s.retry.InitialInterval, s.retry.MaxInterval, s.retry.Multiplier = firstStageHold, longestStageHold, 2
	}
	return max(s.retry.NextBackOff(), e.RetryAfter)
}

// answered notes that the API has answered: what goes wrong from now on is new.
func (s *Stages) answered() {
	s.retry = nil
	maps.DeleteFunc(s.told, func(_ string, at time.Time) bool { return time.Since(at) >= tellStagesEvery })
}

// tell logs a message, once until the API has answered, and not often even so.
func (s *Stages) tell(msg string, err error) {
	if _, told := s.told[msg]; told {
		return
	}
	if s.told == nil {
		s.told = map[string]time.Time{}
	}
	s.told[msg] = time.Now()
	level.Warn(s.Logger).Log("msg", msg, "err", err)
}

// withoutID is an error that does not show the id of an access, which a server may repeat.
type withoutID struct {
	error
	id string
}

func (e withoutID) Error() string { return strings.ReplaceAll(e.error.Error(), e.id, "<id>") }
func (e withoutID) Unwrap() error { return e.error }

// sleep waits, and reports whether ctx has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
