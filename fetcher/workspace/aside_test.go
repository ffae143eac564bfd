package workspace

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

var showStages = &Operation{
	Name: "ShowUserAccessStages", Permission: "workspace:statistics:getUserAccessStages",
	Endpoint: Workspace, Method: http.MethodGet, Path: "/v2/{project_id}/statistics/metrics/access-stages",
}

func isStages(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/access-stages") }

func askStages(ctx context.Context, c *Client) error {
	_, err := Get[record.AccessStages](ctx, c, showStages)
	return err
}

func newAside(c *Client, perMinute int) *Client {
	return c.Aside(Aside{Budget: &Budget{}, PerMinute: perMinute, Pause: &Pause{}})
}

// Whatever is answered to a call aside, other calls are sent and answered at once, and
// nothing that they rely on has changed.
func TestAsideHoldsUpNobody(t *testing.T) {
	for name, answer := range map[string]server{
		"throttled":   func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "900"); w.WriteHeader(429) },
		"unavailable": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "60"); w.WriteHeader(503) },
		"refused":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) },
		"denied":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) },
		"redirected": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://elsewhere.test/")
			w.WriteHeader(302)
		},
		"silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"of another time": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
			fmt.Fprint(w, `{"stages":[]}`)
		},
		"unreadable": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `[]`) },
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"stages":"`, strings.Repeat("x", 4<<20), `"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				var mu sync.Mutex
				asked, signIns := 0, 0
				c := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
					mu.Lock()
					stages, signIn := isStages(r), strings.HasSuffix(r.URL.Path, "/auth/tokens")
					if stages {
						asked++
					}
					if signIn {
						signIns++
					}
					mu.Unlock()
					switch {
					case stages:
						answer(w, r)
					case signIn:
						w.Header().Set("X-Subject-Token", "a-token-of-this-project")
						fmt.Fprint(w, `{"token":{"expires_at":"2100-01-01T00:00:00Z"}}`)
					default:
						ok(w)
					}
				}), func(o *Options) {
					o.Credentials = Password("d", "u", text("p"))
					o.Concurrency, o.RequestsPerSecond, o.Burst = 1, 100, 100
				})
				aside := newAside(c, 30)
				_, err := list(t.Context(), c)
				require.NoError(t, err)
				ended := make(chan error, 1)
				go func() { ended <- askStages(t.Context(), aside) }()
				synctest.Wait()
				start := time.Now()
				for range 50 {
					_, err := list(t.Context(), c)
					require.NoError(t, err)
				}
				assert.Zero(t, time.Since(start))
				server, _ := c.Host(Workspace).ServerTime()
				assert.WithinDuration(t, time.Now(), server, time.Second)
				if err := <-ended; name != "of another time" {
					require.Error(t, err)
				}
				assert.Equal(t, 1, asked, "it is sent once")
				assert.Equal(t, 1, signIns, "the token of others is still good")
			})
		})
	}
}

// What holds up the project does not hold up calls aside.
func TestAsideIsNotHeldUp(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
			if isStages(r) {
				fmt.Fprint(w, `{"stages":null}`)
				return
			}
			w.Header().Set("Retry-After", "900")
			w.WriteHeader(429)
		}), nil)
		_, err := list(t.Context(), c)
		require.Error(t, err)
		start := time.Now()
		require.NoError(t, askStages(t.Context(), newAside(c, 30)))
		assert.Zero(t, time.Since(start))
	})
}

// A pause is known to the clients that come after a reload.
func TestAsidePauseOutlivesTheClient(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		asked := 0
		c := newClient(t, server(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.Header().Set("Retry-After", "300")
			w.WriteHeader(429)
		}), nil)
		o := Aside{Budget: &Budget{}, PerMinute: 30, Pause: &Pause{}}
		require.Error(t, askStages(t.Context(), c.Aside(o)))
		err := askStages(t.Context(), c.Aside(o))
		assert.True(t, IsThrottled(err))
		assert.Equal(t, 5*time.Minute, asError(t, err).RetryAfter)
		assert.Equal(t, 1, asked)
	})
}

// No minute has more requests than the budget, whoever shares it.
func TestBudget(t *testing.T) {
	for _, most := range []int{1, 3, 30} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				var sent []time.Time
				c := newClient(t, server(func(w http.ResponseWriter, _ *http.Request) {
					sent = append(sent, time.Now())
					fmt.Fprint(w, `{"stages":[]}`)
				}), nil)
				o := Aside{Budget: &Budget{}, PerMinute: most, Pause: &Pause{}}
				start := time.Now()
				for i := range 4 * most {
					if i == most/2 {
						time.Sleep(40 * time.Second)
					}
					require.NoError(t, askStages(t.Context(), c.Aside(o)))
				}
				for i := most; i < len(sent); i++ {
					assert.GreaterOrEqual(t, sent[i].Sub(sent[i-most]), time.Minute)
				}
				assert.LessOrEqual(t, time.Since(start), 5*budgetTime, "and it is used up")
			})
		})
	}
}

// With a wrong local clock, the first answer is enough to sign rightly.
func TestAsideLearnsTheClock(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		asked := 0
		c := newClient(t, server(func(w http.ResponseWriter, r *http.Request) {
			asked++
			signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Sdk-Date"))
			if err != nil || time.Since(signed).Abs() > time.Minute {
				w.WriteHeader(401)
				return
			}
			fmt.Fprint(w, `{"stages":[]}`)
		}), func(o *Options) { o.Now = func() time.Time { return time.Now().Add(5 * time.Minute) } })
		require.NoError(t, askStages(t.Context(), newAside(c, 30)))
		assert.Equal(t, 2, asked)
	})
}
