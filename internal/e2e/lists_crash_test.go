package e2e

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// crash tells when a number of requests has come. The last of them gets no answer.
type crash struct {
	mu   sync.Mutex
	left int
	now  chan struct{}
}

// after returns what is closed when n more requests have come.
func (c *crash) after(n int) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left, c.now = n, make(chan struct{})
	return c.now
}

func (c *crash) comes() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left == 0 {
		close(c.now)
	}
	return c.left == 0
}

func (c *crash) wrap(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.comes() {
			_, _ = io.Copy(io.Discard, r.Body) // or its end would not be noticed
			<-r.Context().Done()
			return
		}
		api.ServeHTTP(w, r)
	})
}

// The program is killed before the first answer, the second, and so on, while applications,
// servers and desktops change. What was known is shown at once, and in the end all that there is.
func TestCrashesBetweenAnyTwoRequests(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"query", "export"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			c := &crash{}
			w := newWorld(t, simulator.Options{TaskDuration: atOnce, File: small}, c.wrap)
			l := newLife(&soak{seed: 9, world: w, options: simulator.Options{ProjectIDs: []string{project}}}, project, 1)
			from := time.Now().Add(-2 * time.Hour)
			l.mu.Lock()
			for range 60 {
				l.launch(time.Now().Add(-time.Duration(60+l.IntN(900))*time.Second), 0)
				l.changeServer()
			}
			l.changeDesktops()
			w.SetTenant(project, soakAgent, 60)
			l.mu.Unlock()
			e := install(t, setup{URL: w.url, Hold: "0s", Interval: "100ms",
				Sources: fmt.Sprintf("{app_connections: {mode: %s, lookback: 1m}, servers: {}, desktops: {}}", mode)})
			diff := func() []string {
				want := series{}
				want.lists(w, project, from, time.Now().Add(time.Hour))
				return listsOf(e.metrics()).diff(listsOf(want))
			}
			e.start()
			eventually(t, "all is shown", func() bool { return len(diff()) == 0 })
			for n := range 24 {
				now := c.after(1 + n)
				eventually(t, "a request comes", func() bool { return isClosed(now) })
				e.kill()
				e.start()
				m := e.metrics()
				for _, name := range []string{"workspace_server_info", "workspace_desktops", "workspace_app_launches_total"} {
					require.NotEmpty(t, m.named(name), "known until there is an answer")
				}
				l.mu.Lock()
				for range rand.N(3) {
					l.launch(time.Now(), 0)
				}
				l.changeLists(time.Now())
				l.mu.Unlock()
			}
			c.after(0)
			eventually(t, "all is shown, once", func() bool { return len(diff()) == 0 })
			assert.Empty(t, w.Violations())
		})
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// listsOf are the metrics of applications, servers and desktops that are not 0, but for those
// of durations of what failed later.
func listsOf(m series) series {
	out := (&soak{}).counted(m)
	maps.DeleteFunc(out, func(key string, _ float64) bool {
		return !slices.Contains(listGauges, nameOf(key)) && !strings.HasPrefix(key, "workspace_app_")
	})
	return out
}
