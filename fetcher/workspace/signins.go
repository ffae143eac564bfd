package workspace

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// ErrSignIn is when IAM refuses a user or a password, or is not asked again so soon.
var ErrSignIn = errors.New("IAM refuses the user or the password")

const (
	// A password that was refused is not tried again for so long, the first time and
	// later. IAM locks an account after five refusals, and each attempt makes that last.
	firstHold = 15 * time.Minute
	laterHold = time.Hour
	// maxRefusals is how many refusals an account may have within firstHold, with
	// whatever passwords.
	maxRefusals = 3
	// yieldTime is how long a project that was refused lets others try first.
	yieldTime = 5 * time.Minute
)

// SignIns is what is known of IAM users: the tokens that they got, and the passwords that
// were refused. All clients of a process share one, so that a user of many projects is
// not refused once for each, and a reload neither asks again nor forgets.
type SignIns struct {
	mu       sync.Mutex
	accounts map[[3]string]*account // by IAM's URL, domain and user
	leases   map[[4]string]*lease   // and by project
}

func (s *SignIns) account(iam, domain, user string) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [3]string{iam, domain, user}
	if s.accounts[key] == nil {
		if s.accounts == nil {
			s.accounts = map[[3]string]*account{}
		}
		s.accounts[key] = &account{turn: make(chan struct{}, 1), passwords: map[[sha256.Size]byte]*tried{}}
	}
	return s.accounts[key]
}

func (s *SignIns) lease(iam, domain, user, project string) *lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [4]string{iam, domain, user, project}
	if s.leases[key] == nil {
		if s.leases == nil {
			s.leases = map[[4]string]*lease{}
		}
		s.leases[key] = &lease{}
	}
	return s.leases[key]
}

// account is an IAM user. One password is tried at a time.
type account struct {
	turn      chan struct{} // whoever has put something in has the turn
	passwords map[[sha256.Size]byte]*tried
	refusals  []time.Time // the newest ones
}

// tried is what came of one password.
type tried struct {
	good    map[string]bool  // projects that it got a token for
	held    map[string]*hold // projects that it is refused for, while it is, or may be, good for others
	all     hold             // it is refused for all
	refused string           // the project by which it was
	others  bool             // other projects wait for the end of all
	status  int              // of the last refusal
}

// hold is how long nothing is tried.
type hold struct {
	until time.Time
	times int
}

func (h *hold) extend(now time.Time) {
	wait := firstHold
	if h.times++; h.times > 1 {
		wait = laterHold
	}
	h.until = now.Add(wait)
}

// try sends a password, unless it was refused not long ago.
func (a *account) try(ctx context.Context, project, password string, send func() error) error {
	late := time.NewTimer(maxWait)
	defer late.Stop()
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		return errors.New("another request for a token of this user is under way")
	}
	now := time.Now()
	t := a.password(password, now)
	if left := t.heldUntil(project, now); left > 0 {
		return fmt.Errorf("%w: it answered %d %s; this password is not sent again before %s, since IAM locks accounts", ErrSignIn,
			t.status, http.StatusText(t.status), now.Add(left).UTC().Format(time.RFC3339))
	}
	if left := a.fullUntil(now); left > 0 {
		return fmt.Errorf("%w: after %d refusals no password is sent before %s, since IAM locks accounts", ErrSignIn, maxRefusals, now.Add(left).UTC().Format(time.RFC3339))
	}
	err := send()
	switch now = time.Now(); {
	case err == nil:
		*t = tried{good: t.good, held: t.held}
		t.good[project] = true
		delete(t.held, project)
	case isRefusal(err):
		a.refusals = append(a.refusals, now)
		t.status = statusOf(err)
		t.refuse(project, now)
	}
	return err
}

// password is what is known of one.
func (a *account) password(password string, now time.Time) *tried {
	key := sha256.Sum256([]byte(password))
	if t := a.passwords[key]; t != nil {
		return t
	}
	for other, t := range a.passwords { // files change, and nobody wants to keep all they ever held
		if now.After(t.all.until.Add(laterHold)) && len(t.held) == 0 {
			delete(a.passwords, other)
		}
	}
	t := &tried{good: map[string]bool{}, held: map[string]*hold{}}
	a.passwords[key] = t
	return t
}

// fullUntil is for how long no password at all may be tried.
func (a *account) fullUntil(now time.Time) time.Duration {
	for len(a.refusals) > 0 && now.Sub(a.refusals[0]) >= firstHold {
		a.refusals = a.refusals[1:]
	}
	if len(a.refusals) < maxRefusals {
		return 0
	}
	return a.refusals[0].Add(firstHold).Sub(now)
}

// heldUntil is for how long a project may not try this password.
func (t *tried) heldUntil(project string, now time.Time) time.Duration {
	left := t.all.until.Sub(now)
	if t.refused != project {
		t.others = t.others || left > 0
	} else if t.others && left > -yieldTime { // perhaps only this project is not the user's
		left = max(left, time.Second)
	}
	if h := t.held[project]; h != nil {
		left = max(left, h.until.Sub(now))
	}
	return left
}

// refuse takes note of a refusal. A password that is good for other projects is so on: it
// is this project that is refused. An answer other than 401 may also mean the project, so
// that one other may try. All else is held for all.
func (t *tried) refuse(project string, now time.Time) {
	mine := t.held[project]
	goodForOthers := len(t.good) > 0 && !t.good[project]
	first := len(t.held) == 0 || len(t.held) == 1 && mine != nil
	if goodForOthers || first && t.status != http.StatusUnauthorized {
		if mine == nil {
			mine = &hold{}
			t.held[project] = mine
		}
		mine.extend(now)
		return
	}
	clear(t.good)
	t.all.extend(now)
	t.refused, t.others = project, false
}

// isRefusal reports whether IAM has refused who asks, and would refuse it again. Trouble
// of its own, or of the network, is none.
func isRefusal(err error) bool {
	var answer *Error
	return errors.As(err, &answer) && answer.Status/100 == 4 && !answer.Throttled() && answer.Status != http.StatusRequestTimeout
}

// statusOf is the status of the answer that an error is about; 0 if there was none.
func statusOf(err error) int {
	var answer *Error
	if errors.As(err, &answer) {
		return answer.Status
	}
	return 0
}
