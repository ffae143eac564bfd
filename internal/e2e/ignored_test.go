package e2e

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// A list that shows all it has for any window is read once, each record is counted once,
// and one line of the log says so.
func TestAListThatIgnoresItsWindowEnds(t *testing.T) {
	t.Parallel()
	const n = 20_000
	records, end := make([]simulator.Record, n), time.Now().Add(-time.Hour)
	for i := range records {
		records[i] = mixed(i, end.Add(-time.Duration(i)*time.Minute))
	}
	var requests atomic.Int64
	w := newWorld(t, simulator.Options{}, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
			limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
			items := records[min(offset, n):min(offset+limit, n)]
			_ = json.NewEncoder(w).Encode(map[string]any{"count": n, "items": items}) // the client went away
		})
	})
	e := install(t, setup{URL: w.url, Sources: "{user_connections: {mode: query}}"})
	for range 2 {
		requests.Store(0)
		code, stdout, stderr := command(t, e.dir, "--once")
		require.Equal(t, 0, code, stderr)
		assert.Equal(t, float64(n), parse(t, stdout).sum("workspace_login_attempts_total"))
		assert.Contains(t, stderr, "the list ignores the window it is asked for")
		assert.Less(t, requests.Load(), int64(3*n/100))
	}
}
