package simulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// AccessStages are the stages of an access as the API writes them (ShowUserAccessStages).
type AccessStages struct {
	Username string        `json:"username"`
	BizType  string        `json:"biz_type"` // APP, SHARE_APP, DESKTOP, VDI
	Stages   []AccessStage `json:"stages"`

	// Raw is as in Record.
	Raw json.RawMessage `json:"-"`
}

// AccessStage is one of them. Times are in milliseconds, since 1970 or of its length.
type AccessStage struct {
	Stage     string `json:"stage"`
	Duration  int64  `json:"duration"`
	IsSuccess bool   `json:"is_success"`
	StartTime int64  `json:"start_time"`
	EndTime   int64  `json:"end_time"`
	ErrorCode string `json:"error_code"`
	ErrorMsg  string `json:"error_msg"`
}

// MarshalJSON writes the stages, or what stands in their place.
func (a AccessStages) MarshalJSON() ([]byte, error) {
	type plain AccessStages
	return rawOr(a.Raw, plain(a))
}

// Stages.
const (
	stageLogin      = "LOGIN"
	stageMainAuth   = "MAIN_AUTH"
	stageMFAAuth    = "MFA_AUTH"
	stageClickIcon  = "CLICK_ICON" // of the application or desktop
	stagePreconnect = "PRECONNECT"
	stageConnect    = "CONNECT"
)

// stageOrder is that in which an access passes them. The vendor's pages name none.
var stageOrder = []string{stageLogin, stageMainAuth, stageMFAAuth, stageClickIcon, stagePreconnect, stageConnect}

// How the API says that a stage succeeded.
const (
	stageSuccess     = "WKS.00000000"
	stageSuccessText = "OK"
)

// PutStages sets the stages of an access of a project.
func (s *Simulator) PutStages(projectID, transactionID string, stages AccessStages) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stages[projectID] == nil {
		s.stages[projectID] = map[string]AccessStages{}
	}
	s.stages[projectID][transactionID] = stages
}

// transactionOf is what the API calls the access of a login.
func transactionOf(l *login) string { return fmt.Sprintf("%016x%016x", l.mix(), l.id) }

// loginOf finds the login that a transaction_id is of, as far as the API knows it by now. The
// caller holds s.mu.
func (s *Simulator) loginOf(project, transactionID string, now time.Time) *login {
	if len(transactionID) != 32 {
		return nil
	}
	id, err := strconv.ParseInt(transactionID[16:], 16, 64)
	if err != nil {
		return nil
	}
	at := time.Unix(id/1_000_000*60, 0)
	for l := range s.attempts(project, at, at) {
		if transactionOf(l) == transactionID && !l.appears.After(now) {
			return l
		}
	}
	return nil
}

// showStages writes the stages of a login as the API shows them at now: those that it has
// passed, and the one at which it failed.
func (w *world) showStages(l *login, now time.Time) AccessStages {
	a, passed := AccessStages{Username: w.users[l.user].name, BizType: "DESKTOP"}, stageOrder
	if _, known := w.launch(l, now); known {
		a.BizType = "APP"
	}
	if now.Before(l.settled) {
		passed = passed[:1]
	}
	each := l.settled.Sub(l.pre).Milliseconds() / int64(len(passed))
	for i, name := range passed {
		begun := l.pre.UnixMilli() + int64(i)*each
		stage := AccessStage{name, each, true, begun, begun + each, stageSuccess, stageSuccessText}
		failed := l.failed(now) && l.failure.stage == name
		if failed {
			stage.IsSuccess, stage.ErrorCode, stage.ErrorMsg = false, l.failure.code, "login failed."
		}
		if a.Stages = append(a.Stages, stage); failed {
			break
		}
	}
	return a
}

// maxTransactionID is the longest transaction_id that is taken for one.
const maxTransactionID = 128

// showAccessStages is GET /v2/{project_id}/statistics/metrics/access-stages.
func (s *Simulator) showAccessStages(r *request) answer {
	id := r.parameters["transaction_id"]
	if id == "" || len(id) > maxTransactionID {
		return invalid(r, fmt.Errorf("transaction_id must be given, with at most %d characters", maxTransactionID))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if put, ok := s.stages[r.project][id]; ok {
		return jsonAnswer(http.StatusOK, put)
	}
	if l := s.loginOf(r.project, id, r.now); l != nil {
		return jsonAnswer(http.StatusOK, s.world.showStages(l, r.now))
	}
	return refuse(r, http.StatusNotFound, codeNotFound, "No resources found: the access does not exist.")
}

// TruthStages are the stages that the API would show at this moment of an access; ok is
// false if it knows none.
func (s *Simulator) TruthStages(projectID, transactionID string) (stages AccessStages, ok bool) {
	now := s.options.Now().UTC()
	s.mu.Lock()
	defer s.mu.Unlock()
	if put, ok := s.stages[projectID][transactionID]; ok {
		return put, true
	}
	l := s.loginOf(projectID, transactionID, now)
	if l == nil {
		return AccessStages{}, false
	}
	return s.world.showStages(l, now), true
}
