package e2e

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

func TestReload(t *testing.T) {
	t.Parallel()
	for name, reload := range map[string]func(e *exporter) (status int){
		"by SIGHUP": func(e *exporter) int {
			e.signal(syscall.SIGHUP)
			return 0
		},
		"over HTTP": func(e *exporter) int {
			r, err := e.request(http.MethodPost, "/-/reload", nil)
			require.NoError(e.t, err)
			return r.status
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := newWorld(t, simulator.Options{ProjectIDs: []string{"first", "second"}}, nil)
			second := first.another("second")
			from := time.Now().Add(-5 * time.Minute)
			first.put(spread(0, 60, from, time.Second)...)
			second.put(spread(500, 70, from, time.Second)...)
			one := setup{URL: first.url, Projects: []string{"first"}}
			e := runExporter(t, one, "--web.enable-lifecycle")
			e.shows(first)
			assert.Equal(t, 1.0, e.metrics().sum("workspace_exporter_config_last_reload_successful"))

			e.write("workspace_exporter.yml", one.text()+"no_such_key: 1\n")
			assert.Contains(t, []int{0, http.StatusInternalServerError}, reload(e))
			eventually(t, "the bad configuration is refused", func() bool {
				return e.only("workspace_exporter_config_last_reload_successful").sum("workspace_exporter_config_last_reload_successful") == 0
			})
			eventually(t, "the log says why", func() bool { return strings.Contains(e.logs.String(), "no_such_key") })
			assert.NotContains(t, e.get("/config").body, "no_such_key")
			first.put(spread(1000, 20, from, time.Second)...)
			e.shows(first)

			e.configure(setup{URL: first.url, Projects: []string{"first", "second"}})
			assert.Contains(t, []int{0, http.StatusOK}, reload(e))
			both := func() series {
				want := first.expect()
				for key, value := range second.expect() {
					want[key] = value
				}
				return want
			}
			eventually(t, "the new project appears", func() bool {
				m := e.metrics().records()
				assert.GreaterOrEqual(t, m.sum("workspace_login_attempts_total", `project="first"`), 80.0, "the counters of the first went down")
				return len(m.diff(both())) == 0
			})
			assert.Equal(t, 1.0, e.metrics().sum("workspace_exporter_config_last_reload_successful"))
			assert.Contains(t, e.get("/").body, "second")

			// What is not configured any more is not shown, but kept.
			e.configure(setup{URL: first.url, Projects: []string{"second"}})
			reload(e)
			eventually(t, "the first is gone", func() bool { return e.metrics().sum("workspace_login_attempts_total", `project="first"`) == 0 })
			assert.Zero(t, e.metrics().sum("workspace_exporter_source_up", `project="first"`))
			e.configure(setup{URL: first.url, Projects: []string{"first", "second"}})
			reload(e)
			eventually(t, "the first is back as it was", func() bool { return len(e.metrics().records().diff(both())) == 0 })
		})
	}
}

func TestTheConfigurationIsShownWithoutSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	e := runExporter(t, setup{URL: w.url})
	shown := e.get("/config").body
	assert.True(t, containsAll(shown, "lookback: 15m", "max_series: 20000", w.url), shown)
	assert.NotContains(t, shown, secretKey)
	assert.NotContains(t, shown, accessKey)
}

func TestTwoProcessesCannotShareAStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 10, time.Now().Add(-5*time.Minute), time.Second)...)
	e := runExporter(t, setup{URL: w.url})
	e.shows(w)
	code, _, stderr := command(t, e.dir, "--web.listen-address=127.0.0.1:0")
	assert.Equal(t, 1, code)
	assert.True(t, containsAll(stderr, "data", "another process"), stderr)
	e.shows(w)
}
