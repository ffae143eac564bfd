package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// TestSoak lets the program live under everything that can go wrong, mixed from a seed:
// it is killed, ended and reloaded, with good and bad configurations, while the API
// throttles, fails, hangs, lies and moves its lists. Now and then, and in the end, every
// counter equals what the API holds, and no scrape in between has seen one fall or vanish.
//
// SOAK_DURATION is how long, SOAK_SEED from which seed: always the same one if it is not
// given. What a failed run leaves behind is kept.
func TestSoak(t *testing.T) {
	t.Parallel()
	newSoak(t, 45*time.Second, "north", "south", "west").run()
}

// soak is one run.
type soak struct {
	*rand.Rand // of the operator alone, so that his acts are the seed's
	t          *testing.T
	seed       uint64
	begun      time.Time
	length     time.Duration
	options    simulator.Options
	world      *world
	replicas   []*soakReplica // one, if it has a store of its own
	database   *soakDatabase  // nil: a store in a folder
	lives      []*life
	quiet      atomic.Bool // nothing happens in any life
	kills      int

	mu    sync.Mutex
	story strings.Builder
	seen  soakScrapes
}

// run lets everything happen, and compares.
func (s *soak) run() {
	s.t.Cleanup(s.keep)
	for _, r := range s.replicas {
		r.start()
	}
	var others sync.WaitGroup
	for _, l := range s.lives {
		others.Go(l.live)
	}
	scrapes := make(chan struct{})
	for _, r := range s.replicas {
		others.Go(func() { s.scrape(r, scrapes) })
	}
	endLives := sync.OnceFunc(func() {
		for _, l := range s.lives {
			l.end()
		}
	})
	defer others.Wait()
	defer close(scrapes)
	defer endLives() // also of a run that fails

	compared := s.begun
	for time.Since(s.begun) < s.length {
		s.pause(time.Duration(s.IntN(1500)) * time.Millisecond)
		s.endOutages(time.Now())
		s.act()
		if time.Since(compared) > s.length/2 {
			s.quiet.Store(true)
			s.settle()
			s.quiet.Store(false)
			compared = time.Now()
		}
	}
	endLives()
	s.drain()
}

const (
	soakLookback = 30 * time.Second
	soakLate     = 10 * time.Second // how late a record comes, at most
	soakSettle   = 5 * time.Second
	sources      = 7 // of each project

	soakPatience = 8 * time.Minute // of a machine that has much else to do
)

// newSoak makes a run of an exporter with a store of its own.
func newSoak(t *testing.T, length time.Duration, projects ...string) *soak {
	s := newSoakOf(t, length, projects...)
	s.replicas = []*soakReplica{{exporter: install(t, setup{URL: s.world.url})}}
	s.configure()
	return s
}

// newSoakOf makes a run without any exporter yet.
func newSoakOf(t *testing.T, length time.Duration, projects ...string) *soak {
	s := &soak{t: t, begun: time.Now(), length: length, seed: 1, seen: newSoakScrapes()}
	if text := os.Getenv("SOAK_DURATION"); text != "" {
		var err error
		s.length, err = time.ParseDuration(text)
		require.NoError(t, err, "SOAK_DURATION")
	}
	if text := os.Getenv("SOAK_SEED"); text != "" {
		var err error
		s.seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "SOAK_SEED")
	}
	t.Logf("make soak SOAK_DURATION=%s SOAK_SEED=%d; with STORE=postgres for replicas", s.length, s.seed)
	s.Rand = rand.New(rand.NewPCG(s.seed, 0))
	s.options = simulator.Options{
		ProjectIDs: projects, AccessKey: accessKey, SecretKey: secretKey,
		Domain: "example-domain", User: "example-user", Password: "example-password-0001", TokenLife: 20 * time.Second,
		Seed: s.seed, Order: simulator.Order(s.IntN(3)), FilterOn: simulator.FilterTime(s.IntN(4)), EndExcluded: s.IntN(2) == 0,
		RequestsPerSecond: 60, RetryAfter: s.IntN(2), TaskDuration: 300 * time.Millisecond, MaxTasks: 1_000_000,
		File: simulator.FileFormat{Kind: simulator.FileKind(s.IntN(2)), Header: simulator.Header(s.IntN(3)), Shuffled: s.IntN(2) == 0},
	}
	s.world = newWorld(t, s.options, nil)
	for i, project := range s.options.ProjectIDs {
		l := newLife(s, project, uint64(i+1))
		l.history(100)
		s.lives = append(s.lives, l)
	}
	s.world.BeforePage(func(project string, offset int) {
		if i := slices.Index(s.options.ProjectIDs, project); i >= 0 && offset > 0 {
			s.lives[i].move()
		}
	})
	return s
}

// tell adds to the story of the run.
func (s *soak) tell(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.story, "%s %s\n", time.Now().UTC().Format("15:04:05.000"), fmt.Sprintf(format, args...))
}

// keep leaves the traces of a failed run where they can be looked at.
func (s *soak) keep() {
	if !s.t.Failed() {
		return
	}
	dir, err := os.MkdirTemp("", "workspace_exporter-soak-")
	for i, r := range s.replicas {
		r.kill()
		to := filepath.Join(dir, fmt.Sprint(i))
		if err == nil {
			err = os.CopyFS(to, os.DirFS(r.dir))
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, "exporter.log"), []byte(r.logs.String()), 0o600)
		}
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "story.txt"), []byte(s.story.String()), 0o600)
	}
	story := s.story.String()
	s.t.Logf("seed %d; order %d, filter %d, ends excluded: %t, file %+v; logs, store and story are in %s (%v); the story's end:\n%s", s.seed,
		s.options.Order, s.options.FilterOn, s.options.EndExcluded, s.options.File, dir, err, story[max(0, len(story)-5000):])
}

func (s *soak) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.t.Context().Done():
	}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// configure writes a configuration of which everything that may change is drawn.
func (s *soak) configure() {
	text := s.draw()
	for _, r := range s.replicas {
		r.write("workspace_exporter.yml", r.storage+text)
	}
}

func (s *soak) draw() string {
	var b strings.Builder
	fmt.Fprintf(&b, "global: {poll_interval: 2s, request_timeout: 5s}\nprojects:\n")
	for i, project := range s.options.ProjectIDs {
		credentials := withPassword
		if i == 0 {
			credentials = "aksk: {access_key: " + accessKey + ", secret_key: " + secretKey + "}"
		}
		fmt.Fprintf(&b, "  - name: %s\n    project_id: %s\n    endpoints: {appstream: %q, workspace: %q, iam: %q}\n", project, project, s.world.url, s.world.url, s.world.url)
		fmt.Fprintf(&b, "    credentials:\n      %s\n    rate_limit: {requests_per_second: %d, burst: 10}\n    concurrency: %d\n    sources:\n", credentials, pick(s.Rand, 50, 100), 2+s.IntN(3))
		window := fmt.Sprintf("lookback: %s, initial_lookback: 1h, pending_timeout: 29d, export_timeout: 30s", pick(s.Rand, "30s", "45s"))
		fmt.Fprintf(&b, "      user_connections: {poll_interval: 1s, mode: %s, export_threshold: %d, %s}\n", pick(s.Rand, "query", "export", "auto"), pick(s.Rand, 40, 400), window)
		fmt.Fprintf(&b, "      sessions: {mode: %s, export_timeout: 30s}\n", pick(s.Rand, "query", "export"))
		fmt.Fprintf(&b, "      access_statistics: {mode: %s, settle: %s, export_timeout: 30s}\n", pick(s.Rand, "query", "export"), soakSettle)
		stages := pick(s.Rand, "", ", stages: {max_per_minute: 3}", ", stages: {max_per_minute: 100}")
		fmt.Fprintf(&b, "      desktop_connections: {mode: %s, %s%s}\n", pick(s.Rand, "query", "export_v2", "export_v3"), window, stages)
		fmt.Fprintf(&b, "      app_connections: {poll_interval: 1s, mode: %s, export_threshold: %d, %s%s}\n", pick(s.Rand, "query", "export", "auto"), pick(s.Rand, 40, 400), window, stages)
		fmt.Fprintf(&b, "      servers: {poll_interval: 1s}\n      desktops: {poll_interval: 1s}\n")
	}
	fmt.Fprintf(&b, "metrics: {new_series_hold: %s, user_windows: [%s]}\n", pick(s.Rand, "0s", "700ms", "3s"), pick(s.Rand, "15m, 1h", "5m"))
	return b.String()
}

// act does one thing that an operator, a machine or the API may do.
func (s *soak) act() {
	running := s.running()
	if s.database != nil && s.IntN(2) == 0 || len(running) == 0 {
		s.disturb()
		return
	}
	r := pick(s.Rand, running...)
	switch n := s.IntN(20); {
	case n < 2:
		s.tell("kill -9 %s", r.name)
		r.kill()
		s.restart(r)
	case n < 3:
		s.terminate(r)
		s.restart(r)
	case n < 6:
		s.tell("reload")
		s.configure()
		for _, r := range running {
			r.signal(syscall.SIGHUP)
		}
	case n < 7:
		s.badReload(r)
	case n < 8:
		s.tell("revoke all tokens")
		s.world.RevokeTokens()
	default:
		s.fault()
	}
}

// terminate ends the program as an administrator does.
func (s *soak) terminate(r *soakReplica) {
	s.tell("SIGTERM %s", r.name)
	require.Equal(s.t, 0, r.stop())
	r.kill()
}

// restart starts the program. What it learns first of the server's time it must
// believe: it has nothing to compare it with.
func (s *soak) restart(r *soakReplica) {
	s.kills++
	for _, f := range s.world.Faults() {
		if f.Kind == simulator.FaultSkew {
			s.world.RemoveFault(f.ID)
		}
	}
	r.start()
}

// badReload has a configuration refused whole, and puts the old one back.
func (s *soak) badReload(r *soakReplica) {
	s.tell("reload of a bad configuration %s", r.name)
	good, err := os.ReadFile(r.configFile())
	require.NoError(s.t, err)
	r.write("workspace_exporter.yml", pick(s.Rand, string(good)+"no_such_key: 1\n", strings.Replace(string(good), "lookback: ", "lookback: -", 1), "{", ""))
	r.signal(syscall.SIGHUP)
	const refused = "workspace_exporter_config_last_reload_successful"
	eventually(s.t, "the bad configuration is refused", func() bool { return r.only(refused).sum(refused) == 0 })
	r.write("workspace_exporter.yml", string(good))
	r.signal(syscall.SIGHUP)
	eventually(s.t, "the good configuration is taken", func() bool { return r.only(refused).sum(refused) == 1 })
}

// clockIsKnown reports whether every source has polled since the program started.
func (s *soak) clockIsKnown() bool {
	known := 0
	for key, polls := range s.replicas[0].only("workspace_exporter_polls_total") {
		if strings.Contains(key, `result="success"`) && polls > 0 {
			known++
		}
	}
	return known == sources*len(s.lives)
}

// fault has something of the API fail for a few requests.
func (s *soak) fault() {
	project := pick(s.Rand, s.options.ProjectIDs...)
	lists := "/v1/" + project + "/session/"
	f := simulator.Fault{Times: 1 + s.IntN(6), Project: pick(s.Rand, "", project),
		Path: pick(s.Rand, "", "", "/v1/", "/v2/", "/v3/auth", lists+"user-connection", lists+"list-sessions", lists+"app-connection", "/v1/"+project+"/app-server", "/v2/"+project+"/statistics", "/v2/"+project+"/export-tasks", "/v2/"+project+"/connections", "/v3/"+project)}
	f.Kind = pick(s.Rand, simulator.FaultError, simulator.FaultError, simulator.FaultError, simulator.FaultHang, simulator.FaultDrop,
		simulator.FaultDropBody, simulator.FaultTruncate, simulator.FaultOversize, simulator.FaultGarbage, simulator.FaultSlow, simulator.FaultEmpty,
		simulator.FaultSkew, simulator.FaultSkew, simulator.FaultCount, simulator.FaultTaskFail, simulator.FaultTaskExpire, simulator.FaultTaskHang)
	if f.Kind == simulator.FaultSkew && s.database != nil {
		return // a replica may take the project at any time: see restart
	}
	switch f.Kind {
	case simulator.FaultError:
		f.Status = pick(s.Rand, 400, 401, 403, 404, 429, 429, 429, 500, 502, 503, 504)
		if f.Status == 429 {
			f.Code, f.RetryAfter = pick(s.Rand, "APIGW.0308", "APIG.0308", ""), pick(s.Rand, "", "1", "3")
		}
	case simulator.FaultHang:
		f.Times, f.Seconds = min(f.Times, 3), pick(s.Rand, 0, 0.3, 8)
	case simulator.FaultTruncate:
		if s.options.File.Kind == simulator.CSV { // half of a text file may look whole
			f.Path = lists
		}
	case simulator.FaultOversize:
		f.Times, f.Path = 1, lists // a file may have 2 GiB
	case simulator.FaultSlow:
		f.Times, f.Seconds = min(f.Times, 3), pick(s.Rand, 0.2, 1, 8)
	case simulator.FaultSkew: // of all that a project is answered, or the right time would show at once
		f.Path, f.Project, f.Times = "", project, 5+s.IntN(30)
		if f.Seconds = pick(s.Rand, 2.0, -2, 120, -120, 3600, -3600, 1e6); !s.clockIsKnown() {
			return
		}
	case simulator.FaultCount:
		f.Count = pick(s.Rand, -50, -1, 1, 7, 1000)
	case simulator.FaultTaskHang:
		f.Times = 1
	}
	s.tell("fault %+v", f)
	s.world.AddFault(f)
}

// aCode is the label that failures have and attempts do not; it never stands last.
var aCode = regexp.MustCompile(`failed_code="(?:[^"\\]|\\.)*",`)

// fallen lists what of the highest values is lower now, or not there.
func (s series) fallen(highest series) (problems []string) {
	for key, before := range highest {
		if value, ok := s[key]; !ok || value < before {
			problems = append(problems, fmt.Sprintf("%s went from %v to %v (there: %t)", key, before, value, ok))
		}
	}
	return problems
}

// moreFailures lists the label sets that have more failures than attempts and than can
// be reclassified.
func (s series) moreFailures() (problems []string) {
	for failed, all := range map[string]string{
		"workspace_login_failures_total": "workspace_login_attempts_total", "workspace_client_login_failures_total": "workspace_client_login_attempts_total",
		"workspace_client_version_login_failures_total": "workspace_client_version_login_attempts_total",
		"workspace_server_login_failures_total":         "workspace_server_login_attempts_total",
		"workspace_app_launch_failures_total":           "workspace_app_launches_total",
	} {
		failures := series{}
		for key, n := range s.named(failed) {
			failures[aCode.ReplaceAllString(strings.Replace(key, failed, all, 1), "")] += n
		}
		for key, n := range failures {
			reclassified := s.sum("workspace_exporter_records_total", `"reclassified"`)
			if attempts, ok := s[key]; !ok || n > attempts+reclassified {
				problems = append(problems, fmt.Sprintf("%s is %v (there: %t), with %v failures and %v records reclassified", key, attempts, ok, n, reclassified))
			}
		}
	}
	return problems
}

// settle waits until all is well, and every counter equals what the API holds.
func (s *soak) settle() {
	s.endOutages(time.Now().Add(time.Hour))
	for _, f := range s.world.Faults() {
		s.world.RemoveFault(f.ID)
	}
	s.tell("no faults any more")
	begun := time.Now()
	s.isExact("the metrics are not what the API holds")
	s.tell("all is counted, after %s", time.Since(begun))
}

func (s *soak) isExact(what string) {
	var problems []string
	if !holdsWithin(soakPatience, func() bool {
		shown, double := s.metrics()
		problems = append(s.uneven(), append(double, s.counted(shown).diff(s.counted(s.truth()))...)...)
		return len(problems) == 0
	}) {
		require.Fail(s.t, what, "seed %d\n%s", s.seed, strings.Join(problems, "\n"))
	}
}

// drain waits until all is well, and compares: at once, and again when the last record
// is behind the lookback.
func (s *soak) drain() {
	ended := time.Now()
	s.settle()
	passed := holdsWithin(soakPatience, func() bool {
		last := float64(ended.Add(soakLookback + soakLate).Unix())
		m, _ := s.metrics()
		for _, cursor := range m.named("workspace_exporter_source_cursor_timestamp_seconds") {
			if cursor < last {
				return false
			}
		}
		return true
	})
	require.True(s.t, passed, "some source does not get on: seed %d", s.seed)
	s.isExact("the metrics were right, and are wrong later")
	assert.Empty(s.t, slices.DeleteFunc(s.world.Violations(), func(v string) bool {
		return strings.Contains(v, "must be within the last 30 days") || // by a clock that was shown an hour behind
			strings.Contains(v, "desktop_type must be one of DEDICATED, POOLED") // a fault refused that word: the other is tried
	}))
	eventually(s.t, "every source is up", func() bool {
		m, _ := s.metrics()
		return m.sum("workspace_exporter_source_up") == float64(sources*len(s.lives))
	})
	s.isExact("the metrics were right twice, and are wrong later")
	assert.Empty(s.t, s.seen.twice())
	m, _ := s.metrics()
	assert.Zero(s.t, m.sum("workspace_exporter_records_total", `"expired"`)+m.sum("workspace_exporter_records_total", `"invalid"`))
	stages := m.sum("workspace_access_stage_failures_total")
	assert.Equal(s.t, m.sum("workspace_exporter_stage_lookups_total", `"found"`), stages)
	s.t.Logf("%v stages counted", stages)
	s.t.Logf("%d restarts, %v logins counted, %v leases taken and %v lost by the last processes", s.kills, m.sum("workspace_login_attempts_total"),
		s.sum("workspace_exporter_leases_taken_total"), s.sum("workspace_exporter_leases_lost_total"))
	secrets := []string{secretKey, "example-password-0001", "corp.example", "colleague"}
	if s.database != nil {
		secrets = append(secrets, s.database.Password)
	}
	for _, r := range s.replicas {
		for _, secret := range secrets {
			assert.NotContains(s.t, r.logs.String(), secret)
		}
	}
}

// counted keeps what the truth must agree with.
func (s *soak) counted(m series) series {
	out := maps.Clone(m)
	maps.DeleteFunc(out, func(key string, value float64) bool {
		name := nameOf(key)
		switch {
		case value == 0, strings.HasSuffix(name, "_bucket"):
			return true
		case name == "workspace_exporter_records_total":
			return !strings.Contains(key, `"counted"`) || s.options.EndExcluded && strings.Contains(key, "access_statistics")
		case name == "workspace_access_stage_failures_total":
			return true // a sample: see drain
		case name == "workspace_access_failures_total":
			return s.options.EndExcluded // the windows of statistics rely on ends that are included
		case strings.Contains(name, "_duration_seconds"):
			// Whether a login that turns into a failure was timed depends on when one looked.
			return strings.HasPrefix(name, "workspace_exporter_") || strings.Contains(key, turncoats)
		case strings.HasPrefix(name, "workspace_desktop_") && strings.Contains(name, "_round_trip_"), name == "workspace_server_open_connections", name == "workspace_server_sessions",
			slices.Contains(listGauges, name):
			return false
		}
		return strings.HasPrefix(name, "workspace_exporter_") || !strings.HasPrefix(name, "workspace_") || !strings.HasSuffix(name, "_total")
	})
	return out
}

// life is what happens in one project.
type life struct {
	*rand.Rand
	s       *soak
	project string
	over    chan struct{}
	ended   chan struct{}

	mu       sync.Mutex
	n        int
	open     map[string]simulator.Record // may still change
	decoys   []string                    // may be deleted
	desktops map[string]simulator.Desktop
	sessions map[string]simulator.Session
	apps     map[string]simulator.AppConnection
}

func newLife(s *soak, project string, n uint64) *life {
	return &life{Rand: rand.New(rand.NewPCG(s.seed, n)), s: s, project: project, over: make(chan struct{}), ended: make(chan struct{}),
		open: map[string]simulator.Record{}, desktops: map[string]simulator.Desktop{}, sessions: map[string]simulator.Session{}, apps: map[string]simulator.AppConnection{}}
}

// live lets things happen until end.
func (l *life) live() {
	defer close(l.ended)
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-l.over:
			return
		case <-tick.C:
			if !l.s.quiet.Load() {
				l.happen()
			}
		}
	}
}

func (l *life) end() {
	close(l.over)
	<-l.ended
}

// history makes what was there before the program first ran.
func (l *life) history(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		l.login(time.Now().Add(-time.Duration(60+l.IntN(900))*time.Second), 0)
		l.launch(time.Now().Add(-time.Duration(60+l.IntN(900))*time.Second), 0)
		l.changeServer()
	}
	l.changeDesktops()
	l.s.world.SetTenant(l.project, soakAgent, 60)
}

func (l *life) happen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	late := func() time.Duration {
		return time.Duration(max(0, l.IntN(4)-2)) * time.Duration(l.Int64N(int64(soakLate)))
	}
	logins, at := l.IntN(3), time.Now()
	if l.IntN(60) == 0 {
		logins = 130 // more than a page, in one second
		if l.s.options.Order == simulator.ShuffledTies {
			logins = 60 // of more, shuffled for each page, a poll takes longer than this test
		}
	}
	for range logins {
		l.login(at, late())
	}
	for range l.IntN(3) {
		l.launch(at, late())
	}
	l.change()
	l.changeLists(at)
	l.n++
	l.s.world.PutAccess(l.project, access(fmt.Sprint("user", l.n), pick(l.Rand, "1", "2", ""), 1+l.IntN(3), at))
	if l.IntN(2) == 0 {
		d := connected(l.n, at)
		switch l.IntN(5) {
		case 0:
			d = refused(l.n, at, "ERR_1003")
			l.s.world.PutStages(l.project, d.TransactionID, failedStages(d.UserName, at, "CONNECT", "ERR_1003"))
		case 1:
			d.IsReconnect = true
			fallthrough
		default:
			l.desktops[d.TransactionID] = d
		}
		d.VisibleAt = at.Add(late())
		l.s.world.PutDesktops(l.project, d)
	}
	if len(l.sessions) < 200 {
		state := pick(l.Rand, "AppcInit", "Active", "InitFail")
		v := session(l.n, state, at)
		l.s.world.PutSessions(l.project, v)
		if state != "InitFail" {
			l.sessions[v.ID] = v
		}
	}
}

// turncoats is the desktop group of logins that succeed first and fail then.
const turncoats = "turncoats"

// login puts a login of some kind. The caller holds l.mu.
func (l *life) login(at time.Time, late time.Duration) {
	l.n++
	pending, success := attempt(l.n, at), started(l.n, at)
	success.StartTime, success.UpdateTime = format(at), format(at)
	pending.VisibleAt, success.VisibleAt = at.Add(late), at.Add(late)
	r := success
	switch l.IntN(8) {
	case 0: // it stays pending
		l.decoys = append(l.decoys, pending.ID)
		l.s.world.Put(l.project, pending)
		return
	case 1, 2:
		r = pending
	case 3:
		r = l.fail(pick(l.Rand, pending, success), at)
	case 4:
		r = end(success, 0)
	case 5:
		r.DesktopGroupName = turncoats
	}
	l.s.world.Put(l.project, r)
	if r.FailedCode == "" && r.FailedReason == "" && r.EndTime == "" {
		l.open[r.ID] = r
	}
}

// fail has a login fail. If windows are about the start time, it must have one.
func (l *life) fail(r simulator.Record, at time.Time) simulator.Record {
	if l.s.options.FilterOn == simulator.ByStart && r.StartTime == "" {
		r.StartTime = format(at)
	}
	return failed(r, pick(l.Rand, "1001", "1002", ""), at)
}

// change lets some of what is open go on. The caller holds l.mu.
func (l *life) change() {
	now := time.Now()
	for id, r := range sample(l.Rand, l.open, 2) {
		if r.VisibleAt.After(now) {
			continue
		}
		switch {
		case r.DesktopGroupName == turncoats:
			r = l.fail(r, now)
		case r.StartTime != "":
			r.EndTime, r.UpdateTime = format(now), format(now)
		case l.IntN(2) == 0:
			r = l.fail(r, now)
		default:
			r.StartTime, r.UpdateTime = format(now), format(now)
		}
		if r.FailedCode != "" || r.FailedReason != "" || r.EndTime != "" {
			delete(l.open, id)
		} else {
			l.open[id] = r
		}
		l.s.world.Put(l.project, r)
	}
	for id, d := range sample(l.Rand, l.desktops, 1) {
		if !d.VisibleAt.After(now) {
			d.ConnectionEndTime = millis(now)
			l.s.world.PutDesktops(l.project, d)
			delete(l.desktops, id)
		}
	}
	for id, v := range sample(l.Rand, l.sessions, 1) {
		state := "SignedOut"
		if v.SessionState == "AppcInit" {
			state = pick(l.Rand, "Active", "InitFail")
		} else if v.SessionState == "Active" {
			state = pick(l.Rand, "Disconnected", "SignedOut")
		}
		v = session(number(v.ID), state, moment(v.StartTime))
		l.s.world.PutSessions(l.project, v)
		l.sessions[id] = v
		if state == "SignedOut" || state == "InitFail" {
			delete(l.sessions, id)
		}
	}
}

// sample draws some of what is in a map, the same for the same seed.
func sample[T any](r *rand.Rand, from map[string]T, n int) map[string]T {
	out := map[string]T{}
	keys := slices.Sorted(maps.Keys(from))
	for range min(n, len(keys)) {
		k := keys[r.IntN(len(keys))]
		out[k] = from[k]
	}
	return out
}

func number(hex string) int {
	n, err := strconv.ParseInt(strings.TrimLeft(hex, "0"), 16, 64)
	if err != nil {
		panic(err)
	}
	return int(n)
}

// move moves the list while it is read: something comes in, or goes away.
func (l *life) move() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.over:
		return
	default:
	}
	if l.s.quiet.Load() {
		return
	}
	switch l.IntN(6) {
	case 0:
		l.login(time.Now(), 0)
	case 1:
		l.launch(time.Now(), 0)
	case 2:
		l.changeServer()
	case 3:
		if len(l.decoys) > 0 {
			l.s.world.Delete(l.project, l.decoys[0])
			l.decoys = l.decoys[1:]
		}
	}
}

// truth is what the API holds, in metrics.
func (s *soak) truth() series {
	m := series{}
	from, to := s.begun.Add(-time.Hour), time.Now().Add(time.Hour)
	for _, project := range s.options.ProjectIDs {
		for _, r := range s.world.Truth(project, from, to) {
			m.login(project, "app_streaming", "user_connections", loginOf(&r))
		}
		for _, d := range s.world.TruthDesktops(project, from, to) {
			m.login(project, "desktop", "desktop_connections", desktopOf(&d))
			if d.NetworkRTT > 0 {
				for kind, ms := range map[string]int{"network": d.NetworkRTT, "end_to_end": d.E2ERTT} {
					m.observe("workspace_desktop_"+kind+"_round_trip_seconds", time.Duration(ms)*time.Millisecond, "client_type", d.TerminalType, "project", project, "product", "desktop")
				}
			}
		}
		for _, v := range s.world.TruthSessions(project, from, to) {
			labels := []string{"project", project, "product", "app_streaming", "server_group", v.AppServerGroupName}
			switch v.SessionState {
			case "InitFail":
				m[key("workspace_session_failures_total", append(labels, "failed_code", v.FailedCode)...)]++
				m[key("workspace_exporter_records_total", "project", project, "source", "sessions", "disposition", "counted")]++
			case "Active", "Disconnected", "AppcInit":
				m[key("workspace_server_sessions", append(labels, "machine_name", v.MachineName, "session_state", v.SessionState)...)]++
			}
		}
		for _, a := range s.world.TruthAccess(project, from, to) {
			m[key("workspace_access_failures_total", "project", project, "product", "app_streaming", "error_code", cmp.Or(a.ErrorCode, "unknown"))] += float64(a.AccessFailedCount)
			m[key("workspace_exporter_records_total", "project", project, "source", "access_statistics", "disposition", "counted")]++
		}
		m.lists(s.world, project, from, to)
	}
	return m
}

// told is what a login adds to the metrics; a duration that is none is negative.
type told struct {
	settled, open            bool
	group, machine, code     string
	clientType, client, hda  string
	connectType              string // empty if it is of another kind
	reconnect                bool
	loginLasts, sessionLasts time.Duration
}

func between(from, to string) time.Duration {
	if from == "" || to == "" {
		return -1
	}
	return moment(to).Sub(moment(from))
}

func loginOf(r *simulator.Record) told {
	code, success := outcome(*r)
	v := told{settled: code != "" || success, open: success && r.EndTime == "", group: r.DesktopGroupName, machine: r.MachineName, code: code,
		clientType: r.ClientType, client: r.ClientVersion, hda: r.AgentVersion, connectType: connectType(*r), loginLasts: -1, sessionLasts: -1}
	if success {
		v.loginLasts, v.sessionLasts = between(r.PreConnTime, r.StartTime), between(r.StartTime, r.EndTime)
	}
	return v
}

func desktopOf(d *simulator.Desktop) told {
	v := told{settled: true, open: d.ConnectionFailureReason == "" && d.ConnectionEndTime == "", machine: d.ComputerName, code: strings.ToLower(d.ConnectionFailureReason),
		clientType: d.TerminalType, client: d.ClientVersion, hda: d.AgentVersion, loginLasts: -1, sessionLasts: -1}
	if v.code == "" {
		v.sessionLasts = between(d.ConnectionStartTime, d.ConnectionEndTime)
		if v.reconnect = d.IsReconnect; !v.reconnect {
			v.loginLasts = between(d.ConnectionStartTime, d.ConnectionSetupTime)
		}
	}
	return v
}

func (s series) login(project, product, source string, v told) {
	if !v.settled {
		return
	}
	scope := []string{"project", project, "product", product}
	for family, labels := range map[string][]string{
		"workspace_login":                {"desktop_group", v.group},
		"workspace_client_login":         {"client_type", v.clientType, "agent_version", v.hda},
		"workspace_client_version_login": {"client_type", v.clientType, "client_version", v.client},
		"workspace_server_login":         {"desktop_group", v.group, "machine_name", v.machine},
		"workspace_connect_type_login":   {"connect_type", v.connectType},
	} {
		if product == "desktop" && (family == "workspace_server_login" || family == "workspace_connect_type_login") {
			continue // desktops may be named after persons, and have no connect type
		}
		labels = append(labels, scope...)
		s[key(family+"_attempts_total", labels...)]++
		if v.code != "" {
			s[key(family+"_failures_total", append(labels, "failed_code", v.code)...)]++
		}
	}
	s[key("workspace_exporter_records_total", "project", project, "source", source, "disposition", "counted")]++
	if v.reconnect {
		s[key("workspace_desktop_reconnects_total", append(scope, "client_type", v.clientType)...)]++
	}
	if v.open && product != "desktop" {
		s[key("workspace_server_open_connections", append(scope, "desktop_group", v.group, "machine_name", v.machine)...)]++
	}
	s.observe("workspace_login_duration_seconds", v.loginLasts, append(scope, "desktop_group", v.group)...)
	s.observe("workspace_session_duration_seconds", v.sessionLasts, append(scope, "desktop_group", v.group)...)
}

// observe adds to a histogram, exactly to the millisecond.
func (s series) observe(name string, d time.Duration, labels ...string) {
	if d < 0 {
		return
	}
	sum := key(name+"_sum", labels...)
	s[key(name+"_count", labels...)]++
	s[sum] = float64(int64(s[sum]*1000+.5)+d.Milliseconds()) / 1000
}
