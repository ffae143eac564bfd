package e2e

import (
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/pgtest"
	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// replicas are exporters with one configuration and one database.
type replicas struct {
	t      *testing.T
	setup  setup
	worlds map[string]*world
	all    []*exporter
	next   int // id of a record
}

func (r *replicas) start() *exporter {
	e := runExporter(r.t, r.setup)
	r.all = append(r.all, e)
	return e
}

func (r *replicas) without(e *exporter) {
	r.all = slices.DeleteFunc(r.all, func(o *exporter) bool { return o == e })
}

// put shows new records of every project.
func (r *replicas) put() {
	for _, w := range r.worlds {
		r.next += 100
		w.put(spread(r.next, 25, time.Now().Add(-5*time.Minute), time.Second)...)
		w.put(failed(attempt(r.next+50, time.Now().Add(-time.Minute)), "2001", time.Now()))
	}
}

// held is how many projects each replica says it holds.
func (r *replicas) held() (counts []int) {
	for _, e := range r.all {
		counts = append(counts, int(e.only("workspace_exporter_lease_held").sum("workspace_exporter_lease_held")))
	}
	slices.Sort(counts)
	return counts
}

// areExact waits until all replicas together show what the records make, with each project
// on as many replicas as it should be: one.
func (r *replicas) areExact(what string, held ...int) {
	r.t.Helper()
	var lines []string
	if !holdsWithin(2*patience, func() bool {
		got, want, twice := series{}, series{}, 0
		for _, e := range r.all {
			for key, value := range e.metrics().records() {
				if _, there := got[key]; there {
					twice++
				}
				got[key] = value
			}
		}
		for _, w := range r.worlds {
			maps.Copy(want, w.expect())
		}
		lines = got.diff(want)
		counts := r.held()
		return len(lines) == 0 && twice == 0 && slices.Equal(counts, held)
	}) {
		require.Fail(r.t, "not exact: "+what, "%v\n%s", r.held(), strings.Join(lines, "\n"))
	}
}

// wake ends a pause that has outlasted the leases, and asserts that the replica shows nothing
// from before the last put, not even in the first answers, which were asked for in the pause.
// It may be so fast that it has taken leases again: then it shows what is true.
func (r *replicas) wake(e *exporter) {
	r.t.Helper()
	want := series{}
	for _, w := range r.worlds {
		maps.Copy(want, w.expect())
	}
	answers := make([]response, 8)
	var asked, answered sync.WaitGroup
	for i := range answers {
		asked.Add(1)
		answered.Go(func() {
			asked.Done()
			answers[i], _ = e.request(http.MethodGet, "/metrics", nil) // an error shows nothing, either
		})
	}
	asked.Wait()
	e.signal(syscall.SIGCONT)
	answered.Wait()
	for _, answer := range answers {
		for key, value := range parse(r.t, answer.body).records() {
			assert.Equal(r.t, want[key], value, "it has slept past its leases, and shows %s", key)
		}
	}
}

// TestReplicasCountExactly: whatever happens to replicas and to the database, each project is
// on one of them, and all together show the truth.
func TestReplicasCountExactly(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	names := []string{"a", "b", "c", "d", "e", "f"}
	first := newWorld(t, simulator.Options{ProjectIDs: names}, nil)
	r := &replicas{t: t, worlds: map[string]*world{}, setup: setup{URL: first.url, Projects: names, Postgres: server.DSN()}}
	for _, name := range names {
		r.worlds[name] = first.another(name)
	}
	r.put()
	one, two, three := r.start(), r.start(), r.start()
	r.areExact("at the start", 2, 2, 2)

	one.signal(syscall.SIGSTOP)
	r.without(one)
	r.put()
	r.areExact("one is paused", 3, 3)
	r.wake(one)
	r.all = append(r.all, one)
	r.areExact("it goes on", 2, 2, 2)

	two.kill()
	r.without(two)
	r.put()
	r.areExact("one was killed", 3, 3)

	require.Equal(t, 0, three.stop())
	r.without(three)
	r.put()
	r.areExact("one has stopped", 6)
	four := r.start()
	r.areExact("another has come", 3, 3)

	server.Kill()
	r.put()
	eventually(t, "nothing is shown under leases that have run out", func() bool { return len(one.metrics().records())+len(four.metrics().records()) == 0 })
	assert.Equal(t, http.StatusOK, one.get("/-/healthy").status)
	assert.Contains(t, one.get("/").body, "The database cannot be used")
	server.Restart(t)
	r.areExact("the database is back", 3, 3)

	r.setup.Projects = append(names, "g")
	r.worlds["g"] = first.another("g")
	require.NoError(t, os.WriteFile(one.configFile(), []byte(r.setup.text()), 0o600))
	require.NoError(t, os.WriteFile(four.configFile(), []byte(r.setup.text()), 0o600))
	one.signal(syscall.SIGHUP)
	four.signal(syscall.SIGHUP)
	delete(r.worlds, "g") // which the API does not know: it fails, and delays no other
	r.put()
	r.areExact("a project has come", 3, 4)
	for _, e := range []*exporter{one, four} {
		for _, path := range []string{"/", "/config", "/metrics"} {
			assert.NotContains(t, e.get(path).body, server.Password, path)
		}
		assert.NotContains(t, e.logs.String(), server.Password)
	}
}

func TestOnceNeedsAStoreOfItsOwn(t *testing.T) {
	t.Parallel()
	e := install(t, setup{URL: "http://127.0.0.1:1", Postgres: "postgres://u:hunter2@127.0.0.1:1/d?sslmode=disable"})
	code, _, stderr := command(t, e.dir, "--once")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, "--once needs storage.path")
	assert.NotContains(t, stderr, "hunter2")
}
