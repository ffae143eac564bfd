package workspace

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// directory is IAM as it treats whoever has a wrong password: it locks the account after
// five refusals in 15 minutes, and for longer with each attempt.
type directory struct {
	mu       sync.Mutex
	password string
	status   int             // of a refusal
	broken   bool            // it answers 503
	wrong    map[string]bool // projects that the user has nothing to do with
	refusals []time.Time
	attempts int
	locked   time.Time // until when
}

func (d *directory) RoundTrip(r *http.Request) (*http.Response, error) {
	return server(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Host != "iam.test" {
			ok(w)
			return
		}
		body, _ := io.ReadAll(r.Body) // it is in memory
		d.mu.Lock()
		defer d.mu.Unlock()
		d.attempts++
		project := ""
		for p := range d.wrong {
			if strings.Contains(string(body), `"`+p+`"`) {
				project = p
			}
		}
		switch {
		case d.broken:
			w.WriteHeader(503)
		case time.Now().Before(d.locked):
			d.locked = time.Now().Add(15 * time.Minute)
			w.WriteHeader(d.status)
		case !strings.Contains(string(body), `"`+d.password+`"`), project != "":
			d.refusals = append(d.refusals, time.Now())
			if n := len(d.refusals); n >= 5 && time.Since(d.refusals[n-5]) < 15*time.Minute {
				d.locked = time.Now().Add(15 * time.Minute)
			}
			w.WriteHeader(d.status)
			fmt.Fprintf(w, `{"error":{"code":%d,"message":"no such thing in %s","title":"Unauthorized"}}`, d.status, project)
		default:
			d.refusals = nil
			w.Header().Set("X-Subject-Token", "token")
			w.WriteHeader(201)
			fmt.Fprintf(w, `{"token":{"expires_at":%q}}`, time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339))
		}
	}).RoundTrip(r)
}

// house has clients of one user, for many projects.
type house struct {
	*directory
	t       *testing.T
	signIns SignIns
	file    string // the password, as the file has it
}

func newHouse(t *testing.T, status int) *house {
	return &house{t: t, file: "right", directory: &directory{password: "right", status: status, wrong: map[string]bool{}}}
}

func (h *house) client(project string) *Client {
	return newClient(h.t, h.directory, func(o *Options) {
		o.ProjectID, o.SignIns = project, &h.signIns
		o.Credentials = Password("acme", "jane", func() (string, error) { return h.file, nil })
	})
}

// poll has each project ask for several sources at once, as after a reload.
func (h *house) poll(projects ...string) (failed map[string]error) {
	failed = map[string]error{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, p := range projects {
		c := h.client(p)
		for range 4 {
			all.Go(func() {
				_, err := list(h.t.Context(), c)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed[p] = err
					assert.ErrorIs(h.t, err, ErrSignIn)
					assert.NotContains(h.t, err.Error(), "jane")
					for _, other := range projects {
						assert.True(h.t, other == p || !strings.Contains(err.Error(), other), "%s: %v", p, err)
					}
				}
			})
		}
	}
	all.Wait()
	return failed
}

var three = []string{"projectA", "projectB", "projectC"}

func TestOneAttemptForAWrongPassword(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newHouse(t, 401)
		h.file = "wrong"
		start := time.Now()
		var at []time.Duration
		for time.Since(start) < 4*time.Hour {
			before := h.attempts
			assert.Len(t, h.poll(three...), 3)
			for range h.attempts - before {
				at = append(at, time.Since(start).Round(time.Minute))
			}
			time.Sleep(time.Minute)
		}
		assert.Equal(t, []time.Duration{0, 15 * time.Minute, 75 * time.Minute, 135 * time.Minute, 195 * time.Minute}, at)
		h.file = "right"
		assert.Empty(t, h.poll(three...), "a password that has changed is tried at once")
		h.password = "new"
		time.Sleep(24 * time.Hour)
		before := h.attempts
		for range 10 {
			assert.Len(t, h.poll(three...), 3)
			time.Sleep(time.Minute)
		}
		assert.Equal(t, 1, h.attempts-before, "a rotation whose file follows late")
		h.file = "new"
		assert.Empty(t, h.poll(three...))
	})
}

// An account that is locked, a domain that does not exist.
func TestAnyRefusalOfIAMIsHeld(t *testing.T) {
	for _, status := range []int{400, 403, 404} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				h := newHouse(t, status)
				h.locked = time.Now().Add(14 * time.Minute)
				for range 14 {
					assert.Len(t, h.poll(append(three, "projectD", "projectE")...), 5)
					time.Sleep(time.Minute)
				}
				assert.Equal(t, 2, h.attempts, "one, and one that shows that it is not the project")
				time.Sleep(16 * time.Minute)
				assert.Empty(t, h.poll(append(three, "projectD", "projectE")...))
			})
		})
	}
}

func TestTroubleIsNoRefusal(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newHouse(t, 401)
		h.broken = true
		_, err := list(t.Context(), h.client("projectA"))
		require.NotErrorIs(t, err, ErrSignIn)
		assert.Equal(t, 503, asError(t, err).Status)
		assert.Equal(t, maxAttempts, h.attempts)
		h.broken = false
		assert.Empty(t, h.poll(three...))
	})
}

// A project that the user has nothing to do with keeps no other one from its token for
// longer than it takes to tell.
func TestAProjectThatIsNotTheUsers(t *testing.T) {
	for status, most := range map[int]time.Duration{401: 16 * time.Minute, 403: 0} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				h := newHouse(t, status)
				h.wrong["projectA"] = true
				_, err := list(t.Context(), h.client("projectA")) // before all others
				require.ErrorIs(t, err, ErrSignIn)
				start := time.Now()
				for len(h.poll(three...)) > 1 {
					time.Sleep(time.Minute)
				}
				assert.LessOrEqual(t, time.Since(start), most)
				before := h.attempts
				for time.Since(start) < 3*24*time.Hour { // tokens are renewed each day
					assert.Len(t, h.poll(three...), 1)
					time.Sleep(10 * time.Minute)
				}
				assert.Less(t, h.attempts-before, 3*24+2*4+3, "once an hour, and two tokens a day")
			})
		})
	}
}

// A file that holds another wrong password each time does not lock the account either.
func TestPasswordsThatChangeAllTheTime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newHouse(t, 401)
		start := time.Now()
		for i := range 300 {
			h.file = fmt.Sprint("wrong", i)
			h.poll("projectA")
			time.Sleep(10 * time.Second)
		}
		assert.LessOrEqual(t, h.attempts, maxRefusals*(1+int(time.Since(start)/firstHold)))
		assert.Zero(t, h.locked)
		for _, a := range h.signIns.accounts {
			assert.Less(t, len(a.passwords), 50)
		}
	})
}

func TestTokensOutliveTheirClients(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newHouse(t, 401)
		for range 10 { // each poll has clients of its own
			assert.Empty(t, h.poll(three...))
		}
		assert.Equal(t, 3, h.attempts, "a token for each project")
	})
}

// IAM does not answer one: the others do not wait for it for ever.
func TestNobodyWaitsForTheOthersForEver(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newHouse(t, 401)
		a := h.signIns.account("https://iam.test", "acme", "jane")
		a.turn <- struct{}{} // as an attempt does that hangs
		start := time.Now()
		_, err := list(t.Context(), h.client("projectA"))
		require.ErrorContains(t, err, "is under way")
		require.NotErrorIs(t, err, ErrSignIn)
		assert.Equal(t, maxWait, time.Since(start))
	})
}
