package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// TestShardsReadEachProjectOnce: exporters with one configuration and a store each show what
// a single one shows, each project by one of them.
func TestShardsReadEachProjectOnce(t *testing.T) {
	t.Parallel()
	names := []string{"beijing", "guangzhou", "hongkong", "p1", "p2", "p3", "shanghai"}
	first := newWorld(t, simulator.Options{ProjectIDs: names}, nil)
	worlds := map[string]*world{}
	for i, name := range names {
		w := first.another(name)
		w.put(spread(1000*i, 20+i, time.Now().Add(-20*time.Minute), time.Second)...)
		w.put(failed(attempt(1000*i+900, time.Now().Add(-time.Minute)), "2001", time.Now()))
		worlds[name] = w
	}
	code, stdout, stderr := command(t, install(t, setup{URL: first.url, Projects: names}).dir, "check-config", "--total-shards=3")
	require.Equal(t, 0, code, stderr)
	readers := map[string]int{}
	for shard := range 3 {
		e := runExporter(t, setup{URL: first.url, Projects: names}, fmt.Sprint("--shard=", shard), "--total-shards=3")
		want := series{}
		var own []string
		for _, line := range strings.Split(stdout, "\n") {
			if heading, projects, _ := strings.Cut(line, "project(s): "); strings.HasPrefix(heading, fmt.Sprintf("shard %d of 3", shard)) {
				own = strings.Split(projects, ", ")
			}
		}
		require.NotEmpty(t, own, stdout)
		for _, name := range own {
			readers[name]++
			for key, value := range worlds[name].expect() {
				want[key] = value
			}
		}
		var diff []string
		if !holdsWithin(patience, func() bool {
			diff = e.metrics().records().diff(want)
			return len(diff) == 0
		}) {
			require.Fail(t, "a shard shows other than its projects", strings.Join(diff, "\n"))
		}
		assert.Equal(t, 3.0, e.metrics()[key("workspace_exporter_total_shards", "shard", fmt.Sprint(shard))])
		assert.Contains(t, e.get("/").body, fmt.Sprintf("shard %d of 3, this one", shard))
		if shard == 0 { // a reload keeps to the shard
			e.configure(setup{URL: first.url, Projects: names, Interval: "400ms"})
			e.signal(syscall.SIGHUP)
			eventually(t, "the configuration is reloaded", func() bool { return strings.Contains(e.log.String(), "configuration reloaded") })
			code, stdout, stderr := command(t, e.dir, "doctor", "--total-shards=3")
			require.Equal(t, 0, code, stderr)
			assert.Contains(t, stdout, fmt.Sprintf("shard 0 of 3: %d of 7 projects", len(own)))
			assert.Equal(t, len(own), strings.Count(stdout, "/user_connections"))
		}
		for _, name := range names {
			status := e.get("/metrics?project=" + name).status
			if e.metrics().sum("workspace_exporter_polls_total", `"`+name+`"`) > 0 {
				assert.Equal(t, http.StatusOK, status, name)
			} else {
				assert.Equal(t, http.StatusNotFound, status, name)
			}
		}
	}
	for _, name := range names {
		assert.Equal(t, 1, readers[name], name)
	}
}

func TestBadShards(t *testing.T) {
	t.Parallel()
	e := install(t, setup{URL: "http://127.0.0.1:1"})
	for _, name := range []string{"run", "run --once", "check-config", "doctor", "backfill"} {
		for flags, want := range map[string]string{
			"--shard=1":                     "--total-shards",
			"--shard=3 --total-shards=3":    "0 to 2",
			"--shard=-1 --total-shards=3":   "0 to 2",
			"--total-shards=0":              "1 to 1000",
			"--total-shards=1001":           "1 to 1000",
			"--shard=one --total-shards=3":  "one",
			"--shard= --total-shards=3":     "",
			"--shard=0 --total-shards=many": "many",
		} {
			code, _, stderr := command(t, e.dir, strings.Fields(name+" "+flags)...)
			assert.Equal(t, 2, code, name+flags)
			assert.Contains(t, stderr, want, name+flags)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
		}
	}
	assert.NoDirExists(t, e.dir+"/data")
}
