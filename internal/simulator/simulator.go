// Package simulator is the vendor's API itself, as far as it is known: what
// answers in the demo, in `simulate` and in tests. It is never kinder than the
// real one: it checks signatures, tokens, permissions, limits, formats, windows,
// methods and content types, and refuses in the real one's words. Simulator serves
// every host of the API: application streaming, workspace and IAM.
//
//	login records              POST /v1/{project_id}/session/user-connection
//	  by export task           POST /v1/{project_id}/session/user-connection/export
//	sessions                   GET  /v1/{project_id}/session/list-sessions
//	  by export task           POST /v1/{project_id}/session/list-sessions/export
//	use of applications        POST /v1/{project_id}/session/app-connection
//	  by export task           POST /v1/{project_id}/session/app-connection/export
//	access statistics          GET  /v2/{project_id}/statistics/metrics/app-user-access
//	  by export task           POST /v2/{project_id}/statistics/metrics/app-user-access/export
//	desktop connections        GET  /v2/{project_id}/connections/desktops
//	  as a file                GET  /v2/{project_id}/connections/desktops/export
//	  by export task           GET  /v3/{project_id}/desktops/connections/export
//	application servers        GET  /v1/{project_id}/app-servers/access-agent/list
//	  latest agent version     GET  /v1/{project_id}/app-servers/access-agent/latest-version
//	  groups                   GET  /v1/{project_id}/app-server-groups
//	  one of them              GET  /v1/{project_id}/app-server-groups/{server_group_id}
//	  limits of the tenant     GET  /v1/{project_id}/app-server-groups/resources/restrict
//	numbers of desktops        GET  /v2/{project_id}/statistics
//	stages of an access        GET  /v2/{project_id}/statistics/metrics/access-stages
//	export tasks               GET  /v2/{project_id}/export-tasks
//	  their files              GET  /v2/{project_id}/export-tasks/{task_id}/download
//	  their end                POST /v2/{project_id}/export-tasks/batch-delete
//	tokens                     POST /v3/auth/tokens
//
// What it tells is either generated (a function of the seed and of time: any
// window looks the same whoever asks, in whatever order) or put in by a test. All
// that is generated comes of the same logins: each is a login record, a desktop
// connection, a session if it got as far as a server, the use of an application if it is
// of a group of those, and a part of the access statistics if it failed. What is put in is of its own kind only.
//
// An export task holds what was there when it was made. Its file looks as
// Options.File says, and comes from the API itself or, after RedirectDownloads,
// from Storage, which stands for the object storage of the cloud.
//
// Faults are injected with AddFault, or over HTTP, without credentials:
//
//	POST   /-/faults         {"kind": "error", "status": 503, "times": 2}   adds one, answers it with its id
//	GET    /-/faults         lists them
//	DELETE /-/faults?id=1    removes one; without id, all
//
// See Fault for the fields and FaultKind for the kinds.
//
// The account locking of the real gateway (five wrong signatures in a row close
// a key for five minutes) is not simulated.
package simulator

import (
	"bytes"
	"cmp"
	crypto "crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// What a simulator without Options accepts: see Options.
const (
	DefaultProjectID = "a4da8115c9d8464ead3a38309130523f"
	DefaultAccessKey = "SIMULATEDACCESSKEY00"
	DefaultSecretKey = "simulated-secret-key-of-no-account"
)

// maxBody is the largest request body that is read.
const maxBody = 1 << 20

// Options say what the simulator accepts and what it tells. With no credential at
// all, the default key pair is the only one; without ProjectIDs, the default
// project is.
type Options struct {
	ProjectIDs []string

	// A key pair; temporary if SecurityToken is set.
	AccessKey, SecretKey, SecurityToken string
	// An IAM user, who can get tokens.
	Domain, User, Password string
	// TokenLife is how long an issued token is good for. Default 24 h.
	TokenLife time.Duration
	// StaticToken is accepted for ever, for every project.
	StaticToken string
	// Denied are the permissions that the caller lacks, such as
	// "workspace:session:listUserConnection".
	Denied []string

	// Seed decides all that is generated, together with the time.
	Seed uint64
	// LoginsPerHour is the mean of a working day. 0 generates nothing.
	LoginsPerHour float64
	// AllDay spreads the logins evenly, day and night, instead of over office hours.
	AllDay bool
	// History is how far the generated logins reach back from the start.
	History time.Duration
	// PastLoginsPerHour is the mean of a working day, over office hours, until an hour before
	// the start. 0: it is as after that.
	PastLoginsPerHour float64
	// Users and Servers are how many take part. Default 500 and 20.
	Users, Servers int
	// ConnectedFor is the median of how long people stay connected. Default 90 min.
	ConnectedFor time.Duration
	// LateBy is how late, at most, one generated record in fifty appears. Default
	// 4 min; negative: none is late.
	LateBy time.Duration
	// Reclassified is the share of generated successes that turn into failures a
	// while after the start. Default 0.002; negative: none.
	Reclassified float64
	// Script is the length of a cycle of incidents: an outage of a server, a bad
	// roll-out of the agent, a password spray. 0: none happen.
	Script time.Duration

	// Order is how a list is sorted, FilterOn which time of a login record a window
	// is about, and EndExcluded whether a record right at a window's end is in.
	// The API's pages say nothing about these.
	Order       Order
	FilterOn    FilterTime
	EndExcluded bool

	// PoolType is the desktop_type that gives the numbers of each pool. Default POOLED, as the
	// vendor's enumeration has it; its page says TypePool.
	PoolType string

	// RequestsPerSecond and project; over it the answer is 429. 0: no limit.
	RequestsPerSecond float64
	// RetryAfter, in seconds, goes with each 429. 0: no such header.
	RetryAfter int

	// TaskDuration is how long an export task is CREATING. Default 1 s; negative: it
	// is done at once. For tasks that fail, expire or never end see FaultTaskFail,
	// FaultTaskExpire and FaultTaskHang.
	TaskDuration time.Duration
	// MaxTasks is how many export tasks a project may have: who does not delete his
	// own is refused, and it is a violation. Default 100.
	MaxTasks int
	// File is what exported files look like.
	File FileFormat

	// Now is the server's clock. Default time.Now.
	Now func() time.Time
}

// Simulator answers like the API. Make one with New. It is safe for concurrent use.
type Simulator struct {
	options Options
	started time.Time
	world   *world

	mu         sync.Mutex
	requests   uint64
	logins     catalog[Record]
	sessions   catalog[Session]
	desktops   catalog[Desktop]
	apps       catalog[AppConnection]
	access     map[string]map[string]Access // those put in, by project and key
	fleets     map[string]*fleet            // by project
	parks      map[string]desktopPark       // by project
	tasks      map[string][]*task           // by project, in the order of their making
	storageURL string
	storageKey string
	generated  map[bucketKey][]login
	tokens     map[string]token
	limiters   map[string]*rate.Limiter
	minutes    map[string][]time.Time             // when calls that have a quota were answered
	stages     map[string]map[string]AccessStages // those put in, by project and transaction_id
	calls      map[Call]int
	violations []string
	beforePage func(project string, offset int)

	faults faults
}

// Call is a kind of request that was answered.
type Call struct {
	Project string // empty where the path has none
	Path    string // as in the API's pages: /v1/{project_id}/session/user-connection; empty: no such path
	Status  int    // 0 if no answer was sent at all
}

// New makes a simulator. Its time starts now, by Options.Now. It panics on a
// FileFormat that makes no sense.
func New(o Options) *Simulator {
	if len(o.ProjectIDs) == 0 {
		o.ProjectIDs = []string{DefaultProjectID}
	}
	if o.AccessKey == "" && o.User == "" && o.StaticToken == "" {
		o.AccessKey, o.SecretKey = DefaultAccessKey, DefaultSecretKey
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.TokenLife = cmp.Or(o.TokenLife, 24*time.Hour)
	o.Users, o.Servers = cmp.Or(o.Users, 500), cmp.Or(o.Servers, 20)
	o.ConnectedFor = cmp.Or(o.ConnectedFor, 90*time.Minute)
	o.LateBy = cmp.Or(o.LateBy, 4*time.Minute)
	o.Reclassified = cmp.Or(o.Reclassified, 0.002)
	o.TaskDuration, o.MaxTasks = cmp.Or(o.TaskDuration, time.Second), cmp.Or(o.MaxTasks, 100)
	if err := o.File.validate(); err != nil {
		panic("simulator: " + err.Error())
	}
	started := o.Now()
	world := newWorld(o, started)
	return &Simulator{
		options:    o,
		started:    started,
		world:      world,
		logins:     newLoginCatalog(o.FilterOn),
		sessions:   newSessionCatalog(),
		desktops:   newDesktopCatalog(),
		apps:       newAppCatalog(world),
		access:     map[string]map[string]Access{},
		fleets:     map[string]*fleet{},
		parks:      map[string]desktopPark{},
		tasks:      map[string][]*task{},
		storageKey: crypto.Text(),
		generated:  map[bucketKey][]login{},
		tokens:     map[string]token{},
		limiters:   map[string]*rate.Limiter{},
		minutes:    map[string][]time.Time{},
		stages:     map[string]map[string]AccessStages{},
		calls:      map[Call]int{},
		faults:     faults{random: rand.New(rand.NewPCG(o.Seed, 0))},
	}
}

// BeforePage sets f to be called before each page of a list is made, with the
// page's offset: to move the list under the reader. f may call the simulator.
func (s *Simulator) BeforePage(f func(project string, offset int)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beforePage = f
}

// Calls counts the requests answered so far.
func (s *Simulator) Calls() map[Call]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

// Violations are the requests that no correct client sends, the first thousand:
// those refused for their path, method, content type, parameters or body.
func (s *Simulator) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.violations...)
}

// route is one call of the API.
type route struct {
	method, path string
	public       bool   // no credentials are wanted
	permission   string // what the caller needs; empty: nothing but credentials
	parameters   []string
	arrays       []string // parameters that may be given several times
	body         bool     // a JSON body is wanted; without, none is accepted
	task         bool     // it makes an export task
	perMinute    int      // how many requests of a project are answered in a minute; 0: no limit
	storage      bool     // it is not the API's but the object storage's: see Storage
	answer       func(*Simulator, *request) answer
	refuse       func(r *request, status int, code, message string) answer
}

// routes are the API's. The permissions are those of the vendor's pages, which
// want none for the export of desktop connections by task.
var routes = []route{
	{method: http.MethodPost, path: "/v3/auth/tokens", public: true, parameters: []string{"nocatalog"}, body: true,
		answer: (*Simulator).issueToken, refuse: refuseIAM},

	{method: http.MethodPost, path: "/v1/{project_id}/session/user-connection", permission: "workspace:session:listUserConnection",
		parameters: []string{"limit", "offset"}, body: true, answer: (*Simulator).listUserConnections, refuse: refuse},
	{method: http.MethodPost, path: "/v1/{project_id}/session/user-connection/export", permission: "workspace:session:exportUserConnection",
		body: true, task: true, answer: (*Simulator).exportUserConnections, refuse: refuse},

	{method: http.MethodGet, path: "/v1/{project_id}/session/list-sessions", permission: "workspace:session:listSessions",
		parameters: append([]string{"limit", "offset"}, sessionFilters...), answer: (*Simulator).listSessions, refuse: refuse},
	{method: http.MethodPost, path: "/v1/{project_id}/session/list-sessions/export", permission: "workspace:session:exportSessions",
		body: true, task: true, answer: (*Simulator).exportSessions, refuse: refuse},

	{method: http.MethodPost, path: "/v1/{project_id}/session/app-connection", permission: "workspace:session:listAppConnection",
		parameters: []string{"limit", "offset"}, body: true, answer: (*Simulator).listAppConnections, refuse: refuse},
	{method: http.MethodPost, path: "/v1/{project_id}/session/app-connection/export", permission: "workspace:session:exportAppConnection",
		body: true, task: true, answer: (*Simulator).exportAppConnections, refuse: refuse},

	{method: http.MethodGet, path: "/v2/{project_id}/statistics/metrics/app-user-access", permission: "workspace:statistics:listAppUserAccessData",
		parameters: append([]string{"limit", "offset"}, accessFilters...), answer: (*Simulator).listAccess, refuse: refuse},
	{method: http.MethodPost, path: "/v2/{project_id}/statistics/metrics/app-user-access/export", permission: "workspace:statistics:exportAppUserAccessData",
		body: true, task: true, answer: (*Simulator).exportAccess, refuse: refuse},

	{method: http.MethodGet, path: "/v2/{project_id}/connections/desktops", permission: "workspace:connections:securityList",
		parameters: append([]string{"limit", "offset", "enterprise_project_id", "public_ip", "min_network_rtt", "max_network_rtt"}, desktopFilters...),
		answer:     (*Simulator).listDesktops, refuse: refuse},
	{method: http.MethodGet, path: "/v2/{project_id}/connections/desktops/export", permission: "workspace:connections:securityExport",
		parameters: append([]string{"language"}, desktopFilters...), answer: (*Simulator).exportDesktops, refuse: refuse},
	{method: http.MethodGet, path: "/v3/{project_id}/desktops/connections/export",
		parameters: append([]string{"language", "enterprise_project_id", "public_ip", "domain", "min_e2e_rtt", "max_e2e_rtt"}, desktopFilters...),
		task:       true, answer: (*Simulator).exportDesktopsByTask, refuse: refuse},

	{method: http.MethodGet, path: "/v1/{project_id}/app-servers/access-agent/list", permission: "workspace:server:listAccessAgentDetails",
		parameters: []string{"limit", "offset", "server_group_id", "server_name"}, answer: (*Simulator).listServers, refuse: refuse},
	{method: http.MethodGet, path: "/v1/{project_id}/app-servers/access-agent/latest-version", permission: "workspace:accessAgent:listLatestVersion",
		answer: (*Simulator).showLatestVersion, refuse: refuse},
	{method: http.MethodGet, path: "/v1/{project_id}/app-server-groups", permission: "workspace:serverGroup:list",
		parameters: append([]string{"limit", "offset"}, serverGroupFilters...), answer: (*Simulator).listServerGroups, refuse: refuse},
	{method: http.MethodGet, path: "/v1/{project_id}/app-server-groups/{server_group_id}", permission: "workspace:serverGroup:get",
		answer: (*Simulator).showServerGroup, refuse: refuse},
	{method: http.MethodGet, path: "/v1/{project_id}/app-server-groups/resources/restrict", permission: "workspace:serverGroup:getRestrict",
		answer: (*Simulator).showRestrict, refuse: refuse},

	{method: http.MethodGet, path: "/v2/{project_id}/statistics", permission: "workspace:statistics:listDesktopStatus",
		arrays: []string{"desktop_type", "statistics_type", "desktop_pool_ids"}, answer: (*Simulator).showDesktopStatistics, refuse: refuse},

	{method: http.MethodGet, path: "/v2/{project_id}/statistics/metrics/access-stages", permission: "workspace:statistics:getUserAccessStages",
		parameters: []string{"transaction_id"}, perMinute: 200, answer: (*Simulator).showAccessStages, refuse: refuse},

	{method: http.MethodGet, path: "/v2/{project_id}/export-tasks", permission: "workspace:tenants:listExportTasks",
		parameters: []string{"limit", "offset", "task_id", "file_name", "status", "is_download", "sort_field", "sort_type"},
		answer:     (*Simulator).listTasks, refuse: refuse},
	{method: http.MethodGet, path: "/v2/{project_id}/export-tasks/{task_id}/download", permission: "workspace:tenants:exportData",
		answer: (*Simulator).download, refuse: refuse},
	{method: http.MethodPost, path: "/v2/{project_id}/export-tasks/batch-delete", permission: "workspace:tenants:deleteExportTasks",
		body: true, answer: (*Simulator).deleteTasks, refuse: refuse},
}

// request is an API request, read.
type request struct {
	*http.Request
	body       []byte
	unread     bool   // the body is not whole
	id         string // X-Request-Id
	now        time.Time
	route      *route
	project    string
	task       string              // of the path
	group      string              // of the path
	parameters map[string]string   // of the query
	arrays     map[string][]string // of the query
	fate       Fault               // of the export task that the request makes; of no kind: none
}

// ServeHTTP implements http.Handler.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/-/") {
		s.faults.serve(w, r)
		return
	}
	s.serve(w, s.newRequest(w, r, routes))
}

func (s *Simulator) serve(w http.ResponseWriter, r *request) {
	fault, hit := s.faults.take(r)
	if !hit {
		s.send(w, r, s.ask(r))
		return
	}
	s.serveFault(w, r, fault)
}

func (s *Simulator) newRequest(w http.ResponseWriter, r *http.Request, routes []route) *request {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	s.mu.Lock()
	s.requests++
	id := fmt.Sprintf("%016x%016x", s.options.Seed, s.requests)
	s.mu.Unlock()
	q := &request{Request: r, body: body, unread: err != nil, id: id, now: s.options.Now().UTC()}
	for i := range routes {
		if variables, ok := matchPath(routes[i].path, r.URL.Path); ok {
			q.route, q.project = &routes[i], variables["{project_id}"]
			q.task, q.group = variables["{task_id}"], variables["{server_group_id}"]
			break
		}
	}
	return q
}

// matchPath compares a path with a route's, and finds the variables in it.
func matchPath(pattern, path string) (variables map[string]string, ok bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	variables = map[string]string{}
	for i := range want {
		if strings.HasPrefix(want[i], "{") && got[i] != "" {
			variables[want[i]] = got[i]
		} else if want[i] != got[i] {
			return nil, false
		}
	}
	return variables, true
}

// ask has the API answer, and notes what no correct client asks.
func (s *Simulator) ask(r *request) answer {
	a := s.answer(r)
	switch a.status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType:
	case http.StatusForbidden:
		if r.route == nil || !r.route.storage { // a permission may be missing; a link must be right
			return a
		}
	default:
		return a
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.violations) < 1000 {
		s.violations = append(s.violations, fmt.Sprintf("%s %s: %d %s", r.Method, r.URL.RequestURI(), a.status, a.body))
	}
	return a
}

// answer is the API's: the gateway first, then the call itself.
func (s *Simulator) answer(r *request) answer {
	if r.route == nil {
		return refuse(r, http.StatusNotFound, "APIGW.0101", "The API does not exist or has not been published in the environment")
	}
	if r.Method != r.route.method {
		return r.route.refuse(r, http.StatusMethodNotAllowed, codeMethod, "The request method is not allowed.")
	}
	if !r.route.public {
		if a, ok := s.admit(r); !ok {
			return a
		}
	}
	if r.route.storage {
		return r.route.answer(s, r)
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		return r.route.refuse(r, http.StatusUnsupportedMediaType, codeMediaType, "The requested resource format is not supported.")
	}
	if r.unread {
		return r.route.refuse(r, http.StatusBadRequest, codeParameter, "The request body could not be read.")
	}
	empty := len(bytes.TrimSpace(r.body)) == 0
	if r.route.body && empty {
		return r.route.refuse(r, http.StatusBadRequest, codeEmpty, "The request message input by the interface is empty.")
	}
	if !r.route.body && !empty {
		return r.route.refuse(r, http.StatusBadRequest, codeParameter, "The request must have no body.")
	}
	if err := r.readParameters(); err != nil {
		return r.route.refuse(r, http.StatusBadRequest, codeParameter, "Invalid parameter: "+err.Error())
	}
	return r.route.answer(s, r)
}

// readParameters reads the query, which may hold the route's parameters, each once. Those that
// are arrays are repeated.
func (r *request) readParameters() error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errors.New("the query string is malformed")
	}
	r.parameters, r.arrays = map[string]string{}, map[string][]string{}
	for name, values := range query {
		if contains(r.route.arrays, name) && !contains(values, "") {
			r.arrays[name] = values
			continue
		}
		if !contains(r.route.parameters, name) {
			return fmt.Errorf("unknown parameter %q", name)
		}
		if len(values) > 1 || values[0] == "" {
			return fmt.Errorf("%s must be given once and not be empty", name)
		}
		r.parameters[name] = values[0]
	}
	return nil
}

// admit is the gateway's part: who calls, for which project, how often, and may he.
func (s *Simulator) admit(r *request) (answer, bool) {
	if problem := s.authenticate(r); problem != "" {
		return refuse(r, http.StatusUnauthorized, "APIGW.0301", "Incorrect IAM authentication information: "+problem), false
	}
	if !contains(s.options.ProjectIDs, r.project) {
		return refuse(r, http.StatusNotFound, codeNotFound, "No resources found: the project does not exist."), false
	}
	if !s.allowRate(r) {
		return s.throttled(r), false
	}
	if most := r.route.perMinute; most > 0 && !s.allowMinute(r) {
		return refuse(r, http.StatusTooManyRequests, "APIGW.0308", fmt.Sprintf(
			"The throttling threshold has been reached: policy user over ratelimit,limit:%d,time:1 minute", most)), false
	}
	if r.route.permission != "" && contains(s.options.Denied, r.route.permission) {
		return denied(r), false
	}
	return answer{}, true
}

func (s *Simulator) allowRate(r *request) bool {
	perSecond := s.options.RequestsPerSecond
	if perSecond <= 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.limiters[r.project]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))
		s.limiters[r.project] = l
	}
	return l.AllowN(r.now, 1)
}

// allowMinute reports whether a call has not been used up for this minute.
func (s *Simulator) allowMinute(r *request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := r.project + r.route.path
	recent := slices.DeleteFunc(s.minutes[key], func(t time.Time) bool { return r.now.Sub(t) >= time.Minute })
	if s.minutes[key] = recent; len(recent) >= r.route.perMinute {
		return false
	}
	s.minutes[key] = append(recent, r.now)
	return true
}

// count keeps the tally of answers.
func (s *Simulator) count(r *request, status int) {
	call := Call{Project: r.project, Status: status}
	if r.route != nil {
		call.Path = r.route.path
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[call]++
}
