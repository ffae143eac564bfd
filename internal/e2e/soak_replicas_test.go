package e2e

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/pgtest"
)

// TestSoakOfReplicas is TestSoak for replicas that share a database. They are killed, stopped,
// paused for longer than their leases, restarted one after the other and cut off from the
// database, which crashes, restarts and stands still. Each project is on one replica at a
// time, and all of them together show what the API holds.
func TestSoakOfReplicas(t *testing.T) {
	t.Parallel()
	s := newSoakOf(t, time.Minute, "north", "south", "west", "east")
	s.database = &soakDatabase{Server: pgtest.Start(t)}
	for i := range 3 {
		r := &soakReplica{name: fmt.Sprint("replica ", i), exporter: install(t, setup{URL: s.world.url}), line: newLine(t, s.database.Port)}
		r.storage = fmt.Sprintf("storage: {postgres: {dsn: %q, lease_duration: %s}}\n", s.database.DSNOn(r.line.port), soakLease)
		s.replicas = append(s.replicas, r)
	}
	s.configure()
	s.run()
}

const soakLease = 8 * time.Second // a busy machine must keep it

// soakReplica is an exporter of a run.
type soakReplica struct {
	*exporter
	name    string
	storage string // in its configuration
	line    *line  // to the database
	outage
}

// soakDatabase is what replicas share.
type soakDatabase struct {
	*pgtest.Server
	outage
}

// outage is what is wrong with something for a while. The zero value is none.
type outage struct {
	until time.Time
	end   func()
}

func (o *outage) begin(lasts time.Duration, end func()) { *o = outage{time.Now().Add(lasts), end} }

func (o *outage) endBy(now time.Time) {
	if o.end != nil && now.After(o.until) {
		o.end()
		*o = outage{}
	}
}

// running are the replicas that nothing is wrong with.
func (s *soak) running() []*soakReplica {
	return slices.DeleteFunc(slices.Clone(s.replicas), func(r *soakReplica) bool { return r.end != nil })
}

// endOutages ends those that are over.
func (s *soak) endOutages(now time.Time) {
	if s.database != nil {
		s.database.endBy(now)
	}
	for _, r := range s.replicas {
		r.endBy(now)
	}
}

// disturb does one thing that may happen to replicas and their database. Some of it takes
// longer than leases last.
func (s *soak) disturb() {
	lasts := time.Duration(s.Int64N(int64(3 * soakLease)))
	running := s.running()
	n := s.IntN(10)
	switch {
	case n < 2 && s.database.end == nil:
		s.disturbDatabase(lasts)
		return
	case len(running) == 0:
		return
	}
	r := pick(s.Rand, running...)
	switch {
	case n < 6:
		s.tell("SIGSTOP %s for %s", r.name, lasts)
		r.signal(syscall.SIGSTOP)
		r.begin(lasts, func() {
			s.tell("SIGCONT %s", r.name)
			r.signal(syscall.SIGCONT)
		})
	case n < 7:
		s.tell("kill -9 %s for %s", r.name, lasts)
		r.kill()
		r.begin(lasts, func() {
			s.tell("start %s", r.name)
			s.restart(r)
		})
	case n < 9:
		s.tell("%s is cut off from the database for %s", r.name, lasts)
		r.line.cut.Lock()
		r.begin(lasts, func() {
			s.tell("%s is connected", r.name)
			r.line.cut.Unlock()
		})
	default:
		s.tell("a rolling restart")
		for _, r := range running {
			s.terminate(r)
			s.restart(r)
		}
	}
}

func (s *soak) disturbDatabase(lasts time.Duration) {
	d := s.database
	switch s.IntN(4) {
	case 0:
		s.tell("the database crashes for %s", lasts)
		d.Kill()
		d.begin(lasts, func() { s.startDatabase() })
	case 1:
		s.tell("the database is stopped for %s", lasts)
		d.Stop()
		d.begin(lasts, func() { s.startDatabase() })
	case 2:
		s.tell("the database ends all connections")
		d.Exec(s.t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'workspace_exporter'`)
	case 3:
		table := pick(s.Rand, "replicas", "leases", "partitions", "rows")
		s.tell("the database lets no one write %s for %s", table, lasts)
		var locked sync.WaitGroup
		locked.Go(func() {
			d.Exec(s.t, fmt.Sprintf("BEGIN; LOCK TABLE workspace_exporter_%s IN EXCLUSIVE MODE; SELECT pg_sleep(%f); COMMIT", table, lasts.Seconds()))
		})
		d.begin(lasts, locked.Wait)
	}
}

func (s *soak) startDatabase() {
	s.database.Restart(s.t)
	s.tell("the database runs")
}

// metrics are those of all replicas. Double are the record metrics and the states of sources
// that two of them show.
func (s *soak) metrics() (all series, double []string) {
	all = series{}
	for _, r := range s.replicas {
		for key, value := range r.metrics() {
			name := nameOf(key)
			if _, there := all[key]; there && strings.HasPrefix(name, "workspace_") &&
				(!strings.HasPrefix(name, "workspace_exporter_") || strings.HasPrefix(name, "workspace_exporter_source_")) {
				double = append(double, key+" is on two replicas")
			}
			all[key] = value
		}
	}
	return all, double
}

// sum adds up a metric of all replicas.
func (s *soak) sum(name string) (total float64) {
	for _, r := range s.replicas {
		total += r.only(name).sum(name)
	}
	return total
}

// uneven lists the projects that are not on one replica, and replicas that have more than their
// share.
func (s *soak) uneven() (problems []string) {
	if s.database == nil {
		return nil
	}
	const held = "workspace_exporter_lease_held"
	holders, most, least := series{}, 0.0, float64(len(s.lives))
	for _, r := range s.replicas {
		m := r.only(held)
		most, least = max(most, m.sum(held)), min(least, m.sum(held))
		for key, value := range m {
			holders[key] += value
		}
	}
	for _, key := range slices.Sorted(maps.Keys(holders)) {
		if holders[key] != 1 {
			problems = append(problems, fmt.Sprintf("%s is on %v replicas", key, holders[key]))
		}
	}
	if len(holders) != len(s.lives) || most-least > 1 {
		problems = append(problems, fmt.Sprintf("%d of %d projects are known; a replica has %v of them, another %v", len(holders), len(s.lives), most, least))
	}
	return problems
}

// line is the way from a replica to the database. Nothing gets through while it is cut, and
// nothing is lost: it comes later.
type line struct {
	port int
	cut  sync.RWMutex
}

func newLine(t *testing.T, to int) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	l := &line{port: listener.Addr().(*net.TCPAddr).Port}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", to))
			if err != nil {
				_ = client.Close()
				continue
			}
			go l.pass(client, server)
			go l.pass(server, client)
		}
	}()
	return l
}

func (l *line) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		l.cut.RLock()
		_, writeErr := to.Write(b[:n])
		l.cut.RUnlock()
		if err != nil || writeErr != nil {
			return
		}
	}
}
