package config

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/common/model"

	"github.com/workspace-exporter/workspace_exporter/internal/keytext"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

const (
	day = 24 * time.Hour
	// history is how far back the API lets anybody look.
	history = 30 * day
	// shortest is the shortest interval between two polls.
	shortest = 100 * time.Millisecond
	// unbounded is for a duration that may be as long as one likes.
	unbounded = time.Duration(math.MaxInt64)
)

// appStreamRegions are the regions in which application streaming has a host of
// its own, as the vendor's SDK lists them.
var appStreamRegions = []string{"cn-north-4", "cn-north-9", "cn-east-3", "cn-south-1", "cn-southwest-2"}

// regionDomains are the domains of regions that are not the vendor's usual one, as its SDK
// lists them: those of a cloud that is run by itself, where other keys would be sent to a
// stranger.
var regionDomains = map[string]string{"eu-west-101": "myhuaweicloud.eu"}

// ownLabels are the labels of our metrics. A constant label of the same name
// would make a metric invalid.
var ownLabels = []string{
	"project", "product", "source", "desktop_group", "failed_code", "reason", "class", "explanation", "client_type", "client_version", "agent_version",
	"machine_name", "server_group", "session_state", "desktop_pool", "state", "window", "error_code", "operation", "code", "disposition",
	"app_group", "app_name", "connect_type", "longer_than", "config",
	"explanation_zh", "action", "action_zh", "url", "shard",
	"field", "family", "result", "status", "stage", "le", "quantile",
	"version", "revision", "branch", "goversion", "goos", "goarch", "tags",
}

var (
	regionPattern    = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	projectIDPattern = regexp.MustCompile(`^[0-9A-Za-z_-]+$`)
)

// IsOwnLabel reports whether the exporter uses a label itself.
func IsOwnLabel(name string) bool { return slices.Contains(ownLabels, name) }

// inherit fills in the defaults that depend on another part of the file.
func (r *reader) inherit(c *Config) {
	for i, p := range c.Projects {
		at := fmt.Sprintf("projects[%d].sources", i)
		if !r.given(at) {
			p.Sources = defaultSources()
		}
		for name, block := range p.Sources.On() {
			if r.given("global.poll_interval") && !r.given(join(at, name)+".poll_interval") {
				block.Polls().PollInterval = c.Global.PollInterval
			}
		}
	}
}

// validate checks what each value means, fills the endpoints, and makes every
// path relative to the file's folder.
func (r *reader) validate(c *Config) {
	r.between("global.poll_interval", c.Global.PollInterval, shortest, history)
	r.positive("global.request_timeout", c.Global.RequestTimeout, unbounded)
	r.storage(&c.Storage)
	if len(c.Projects) == 0 {
		r.refuse("projects", "at least one project is needed")
	}
	names := map[string]string{}
	for i, p := range c.Projects {
		at := fmt.Sprintf("projects[%d]", i)
		r.project(at, p)
		if first, taken := names[p.Name]; taken && p.Name != "" {
			r.refuse(at+".name", "%q is the name of %s, too; names must be unique", p.Name, first)
			continue
		}
		names[p.Name] = at
	}
	r.projectsTwice(c.Projects)
	r.metrics(&c.Metrics)
	r.failureCodes(c.FailureCodes)
	if c.FailedLoginsLog != nil {
		r.failedLoginsLog("failed_logins_log", c.FailedLoginsLog)
	}
}

// projectsTwice warns of projects that read the same records, and so count them twice, or
// of an id that cannot be right.
func (r *reader) projectsTwice(projects []*Project) {
	for i, p := range projects {
		sameID := func(other *Project) bool { return p.ProjectID != "" && other.ProjectID == p.ProjectID }
		same := func(other *Project) bool { return sameID(other) && other.Endpoints == p.Endpoints }
		at, before := fmt.Sprintf("projects[%d].project_id", i), projects[:i]
		if j := slices.IndexFunc(before, same); j >= 0 {
			r.warn(at, "%q and %q read the same project: each of its records is counted under both names", p.Name, before[j].Name)
		} else if j := slices.IndexFunc(before, sameID); j >= 0 {
			r.warn(at, "%q has the project_id of %q, and other endpoints: a project belongs to one region, so one of the ids is probably wrong", p.Name, before[j].Name)
		}
	}
}

// shortestKey is how many bytes it takes that nobody finds a key by trying.
const shortestKey = 16

func (r *reader) failedLoginsLog(at string, l *FailedLoginsLog) {
	if l.Path == "" {
		r.refuse(at+".path", "missing; it is a file, or - for standard error")
	}
	if l.Path != "-" {
		r.resolve(&l.Path)
		r.private(at+".path", l.Path)
	}
	r.pseudonymKey(at+".pseudonym_key", &l.PseudonymKey, &l.PseudonymKeyFile)
}

func (r *reader) pseudonymKey(at string, key *Secret, file *string) {
	value, ok := r.secret(at, key, file)
	if ok && (value != "" || r.given(at)) && len(value) < shortestKey {
		r.refuse(givenBy(at, *file), "must be at least %d bytes, such as `openssl rand -hex 32` makes (the value is not shown)", shortestKey)
	}
}

func (r *reader) project(at string, p *Project) {
	switch {
	case p.Name == "":
		r.refuse(at+".name", "missing; every project needs a name of its own")
	case record.Label(p.Name) != p.Name:
		r.refuse(at+".name", "%q is not fit to be a label: at most %d bytes, no control characters, no blanks around it",
			p.Name, record.MaxLabelBytes)
	}
	switch {
	case p.ProjectID == "":
		r.refuse(at+".project_id", "missing; the console shows it under My Credentials")
	case !projectIDPattern.MatchString(p.ProjectID):
		r.refuse(at+".project_id", "%q is not a project id (variables are not expanded); allowed are letters, digits, _ and -", p.ProjectID)
	default:
		r.doubtPlaceholder(at+".project_id", p.ProjectID)
	}
	r.sources(at+".sources", &p.Sources)
	r.credentials(at+".credentials", &p.Credentials)
	r.endpoints(at, p)
	for name, block := range p.Sources.On() {
		r.doubtIntervals(join(at+".sources", name), block, p.Endpoints)
	}
	r.tls(at+".tls_config", &p.TLSConfig)
	r.proxy(at, &p.Proxy)
	if rps := p.RateLimit.RequestsPerSecond; !(rps > 0) || math.IsInf(rps, 0) { // also NaN
		r.refuse(at+".rate_limit.requests_per_second", "must be more than 0, not %v", rps)
	}
	r.atLeast(at+".rate_limit.burst", p.RateLimit.Burst, 1)
	if p.Concurrency < 1 || p.Concurrency > 100 {
		r.refuse(at+".concurrency", "must be 1 to 100, not %d", p.Concurrency)
	}
}

func (r *reader) sources(at string, s *Sources) {
	on, stages := 0, 0
	for name, block := range s.On() {
		on++
		r.source(join(at, name), block)
		if asked := StagesOf(block); asked != nil {
			if stages += asked.MaxPerMinute; asked.MaxPerMinute <= stagesQuota && stages > stagesQuota {
				r.warn(join(at, name)+".stages.max_per_minute", "with the other source of the project that is %d requests in a minute, and the vendor's page says that the API answers %d", stages, stagesQuota)
			}
		}
	}
	if on == 0 {
		r.refuse(at, "no source is on; name one, or leave the key `sources` out for %s", NameOf[*UserConnections]())
	}
}

func (r *reader) source(at string, block Block) {
	s, t := block.Common(), block.traits()
	r.between(at+".poll_interval", s.PollInterval, shortest, history)
	r.positive(at+".export_timeout", s.ExportTimeout, day)
	r.oneOf(at+".mode", s.Mode, block.Modes()...)
	if _, err := s.Location(); err != nil {
		r.refuse(at+".time_zone", "%v", err)
	}
	for _, header := range slices.Sorted(maps.Keys(s.Columns)) {
		at, field := join(at+".columns", header), s.Columns[header]
		switch {
		case strings.TrimSpace(header) == "":
			r.refuse(at, "the header must not be empty")
		case field == "": // the column is dropped
		case !slices.Contains(t.fields, field):
			r.refuse(at, "unknown field %q; allowed are %s", field, strings.Join(t.fields, ", "))
		}
	}
	block.check(r, at)
}

func (r *reader) credentials(at string, c *Credentials) {
	var kinds []string
	if k := c.AKSK; k != nil {
		kinds = append(kinds, "aksk")
		r.credential(at+".aksk.access_key", &k.AccessKey, &k.AccessKeyFile, keytext.Key, true)
		r.credential(at+".aksk.secret_key", &k.SecretKey, &k.SecretKeyFile, keytext.Key, true)
		r.credential(at+".aksk.security_token", &k.SecurityToken, &k.SecurityTokenFile, keytext.Key, false)
	}
	if p := c.Password; p != nil {
		kinds = append(kinds, "password")
		if p.Domain == "" {
			r.refuse(at+".password.domain", "missing; it is the name of the account")
		}
		if p.User == "" {
			r.refuse(at+".password.user", "missing; it is the name of the IAM user")
		}
		r.doubtPlaceholder(at+".password.domain", p.Domain)
		r.doubtPlaceholder(at+".password.user", p.User)
		r.credential(at+".password.password", &p.Password, &p.PasswordFile, keytext.Password, true)
	}
	if t := c.Token; t != nil {
		kinds = append(kinds, "token")
		r.credential(at+".token.token", &t.Token, &t.TokenFile, keytext.Key, true)
	}
	if c.DefaultChain != nil {
		kinds = append(kinds, "default_chain")
	}
	if len(kinds) > 1 || len(kinds) == 0 && !r.reported(at) { // an unknown key stands for one of them
		r.refuse(at, "exactly one of aksk, password, token and default_chain is needed, not %s",
			cmp.Or(strings.Join(kinds, " and "), "none"))
	}
}

// credential checks a key, token or password: what people paste, and their editors save,
// often has more in it than can be seen.
func (r *reader) credential(at string, s *Secret, file *string, kind keytext.Kind, required bool) {
	s.kind = kind
	value, ok := r.secret(at, s, file)
	problem, unfilled := kind.Check(keytext.Trim(value)), placeholderProblem(value)
	switch {
	case !ok || r.places[at+"_file"].broken:
	case value == "" && required:
		r.refuse(at, "missing; give %s or %s_file", lastKey(at), lastKey(at))
	case problem != nil && unfilled != "":
		r.refuse(givenBy(at, *file), "%s", unfilled)
	case problem != nil:
		r.refuse(at, "%v (the value is not shown)", problem)
	case unfilled != "":
		r.warn(givenBy(at, *file), "%s", unfilled)
	case *file != "" && keytext.Quoted(value):
		r.warn(at+"_file", "%s begins and ends with a quote; take them off if they are not part of the password", *file)
	}
}

// secret joins a secret with its file, and reads it once to see that it can be
// read. It is not ok if that is reported already.
func (r *reader) secret(at string, s *Secret, file *string) (value string, ok bool) {
	fileAt, given := at+"_file", *file
	if *file != "" {
		if !s.IsZero() {
			r.refuse(fileAt, "given together with %s; give one of the two", lastKey(at))
			return "", false
		}
		r.resolve(file)
		s.file = *file
		r.private(fileAt, *file)
	}
	value, err := s.Read()
	switch {
	case err != nil && s.file != "" && looksSecret(given, s.file):
		r.refuse(fileAt, "there is no such file (its name is not shown, as it may be the secret itself: give that as %s)", lastKey(at))
	case err != nil:
		r.refuse(fileAt, "%v", err)
	}
	return value, err == nil
}

// looksSecret reports whether a file that is not there has a name like a key or a token.
// A name with a folder that is there is a path.
func looksSecret(given, file string) bool {
	if _, err := os.Stat(file); err == nil || len(given) < shortestKey {
		return false
	}
	if folder, err := os.Stat(filepath.Dir(file)); err == nil && folder.IsDir() && filepath.Dir(given) != "." {
		return false
	}
	const longestName, longestExtension = 255, 6
	extension := filepath.Ext(given)
	return len(given) > longestName || (extension == "" || len(extension) > longestExtension) &&
		strings.ContainsAny(given, "0123456789") && strings.ContainsFunc(given, unicode.IsUpper)
}

// givenBy is the path at which the value itself or its file is given.
func givenBy(at, file string) string {
	if file != "" {
		return at + "_file"
	}
	return at
}

func lastKey(path string) string { return path[strings.LastIndex(path, ".")+1:] }

// What everybody on this machine may do to a file.
const (
	mayRead  = 0o004
	mayWrite = 0o002
	mayEnter = 0o001 // a folder
)

// others is what everybody may do to a file or folder; nothing if there is none.
func others(file string) fs.FileMode {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() && !info.IsDir() {
		return 0
	}
	return info.Mode().Perm()
}

// store warns of a store that everybody can read, as after it was copied back, or write to.
func (r *reader) store(folder string) {
	mode := others(folder)
	if mode&mayWrite != 0 {
		r.warn("storage.path", "all users of this machine can write to %s, and replace the counters in it; chmod o-w is safer", folder)
	}
	if mode&mayEnter == 0 {
		return
	}
	files, _ := os.ReadDir(folder) // what cannot be read is reported when it is opened
	for _, file := range files {
		r.private("storage.path", filepath.Join(folder, file.Name()))
	}
}

// private warns of a file that everybody can read or write.
func (r *reader) private(at, file string) {
	switch mode := others(file) & (mayRead | mayWrite); mode {
	case mayRead:
		r.warn(at, "all users of this machine can read %s; chmod o-r is safer", file)
	case mayWrite:
		r.warn(at, "all users of this machine can write to %s; chmod o-w is safer", file)
	case mayRead | mayWrite:
		r.warn(at, "all users of this machine can read and write to %s; chmod o-rw is safer", file)
	}
}

// endpoints fills and checks the base URLs that the project's sources and
// credentials need.
func (r *reader) endpoints(at string, p *Project) {
	e := &p.Endpoints
	r.endpoint(at+".endpoints.appstream", &e.AppStream)
	r.endpoint(at+".endpoints.workspace", &e.Workspace)
	r.endpoint(at+".endpoints.iam", &e.IAM)
	if p.Region != "" {
		if !regionPattern.MatchString(p.Region) {
			r.refuse(at+".region", "%q is not a region; it is written like cn-north-4", p.Region)
		} else if len(p.missingEndpoints()) > 0 {
			r.doubtRegion(at+".region", p.Region)
		}
		e.fill(p.Region)
		return
	}
	if missing := p.missingEndpoints(); len(missing) > 0 {
		r.refuse(at+".region", "missing; give it, or endpoints for %s", strings.Join(missing, " and "))
	}
	for name, block := range p.Sources.On() {
		if s := block.Common(); s.Mode == ModeAuto && e.Workspace == "" {
			r.warn(join(at+".sources", name)+".mode", "auto means query here: export tasks need endpoints.workspace or region")
			s.Mode = ModeQuery
		}
	}
}

// missingEndpoints names the endpoints that sources or credentials cannot do
// without and that are not given.
func (p *Project) missingEndpoints() (missing []string) {
	e := &p.Endpoints
	if e.AppStream == "" && p.needs(endpointAppStream) {
		missing = append(missing, endpointAppStream)
	}
	if e.Workspace == "" && p.needs(endpointWorkspace) {
		missing = append(missing, endpointWorkspace)
	}
	if e.IAM == "" && p.Credentials.Password != nil {
		missing = append(missing, "iam")
	}
	return missing
}

// NamedEndpoint is an endpoint with its key in the configuration.
type NamedEndpoint struct{ Name, URL string }

// NeededEndpoints are those that the project's sources and credentials use.
func (p *Project) NeededEndpoints() []NamedEndpoint {
	var list []NamedEndpoint
	for _, e := range []struct {
		NamedEndpoint
		needed bool
	}{
		{NamedEndpoint{endpointAppStream, p.Endpoints.AppStream}, p.needs(endpointAppStream)},
		{NamedEndpoint{endpointWorkspace, p.Endpoints.Workspace}, p.needs(endpointWorkspace) || p.Sources.auto()},
		{NamedEndpoint{"iam", p.Endpoints.IAM}, p.Credentials.Password != nil},
	} {
		if e.needed {
			list = append(list, e.NamedEndpoint)
		}
	}
	return list
}

// auto reports whether a source may make export tasks.
func (s *Sources) auto() bool {
	for _, block := range s.On() {
		if block.Common().Mode == ModeAuto {
			return true
		}
	}
	return false
}

// needs reports whether a source that is on cannot do without an endpoint.
func (p *Project) needs(endpoint string) bool {
	for _, block := range p.Sources.On() {
		if block.traits().endpoint == endpoint || endpoint == endpointWorkspace && (block.Common().Mode == ModeExport || StagesOf(block) != nil) {
			return true
		}
	}
	return false
}

// fill derives the endpoints that are not given.
func (e *Endpoints) fill(region string) {
	domain := cmp.Or(regionDomains[region], "myhuaweicloud.com")
	host := func(service string) string { return "https://" + service + "." + region + "." + domain }
	application := "workspace"
	if slices.Contains(appStreamRegions, region) {
		application = "appstream"
	}
	e.AppStream = cmp.Or(e.AppStream, host(application))
	e.Workspace = cmp.Or(e.Workspace, host("workspace"))
	e.IAM = cmp.Or(e.IAM, host("iam"))
}

// endpoint checks one base URL and takes the slash off its end.
func (r *reader) endpoint(at string, endpoint *string) {
	if *endpoint == "" {
		return
	}
	shown := fmt.Sprintf("%q", *endpoint)
	if strings.ContainsAny(*endpoint, "@?#") {
		shown = "what stands here (not shown, as it may hold a password)"
	}
	u, err := url.Parse(*endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.ContainsAny(*endpoint, "@?#") {
		r.refuse(at, "must be an http or https URL without user, query and fragment, not %s", shown)
		return
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		r.warn(at, "%s is not encrypted: whoever sits in between can read the token; use https", shown)
	}
	*endpoint = strings.TrimRight(*endpoint, "/")
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

func (r *reader) tls(at string, t *TLSConfig) {
	r.notBoth(at, "ca_file", "ca", t.CA != "" && t.CAFile != "")
	r.notBoth(at, "cert_file", "cert", t.Cert != "" && t.CertFile != "")
	r.resolve(&t.CAFile)
	r.resolve(&t.CertFile)
	key, ok := r.secret(at+".key", &t.Key, &t.KeyFile)
	switch {
	case !ok:
	case t.hasCertificate() != (key != ""):
		r.refuse(at, "a client certificate needs both cert or cert_file, and key or key_file")
	case t.hasCertificate():
		if _, err := t.certificate(); err != nil {
			r.refuse(givenBy(at+".cert", t.CertFile), "%v", err)
		}
	}
	if _, err := t.roots(); err != nil {
		r.refuse(givenBy(at+".ca", t.CAFile), "%v", err)
	}
	r.oneOf(at+".min_version", cmp.Or(t.MinVersion, "TLS12"), "TLS12", "TLS13")
	r.oneOf(at+".max_version", cmp.Or(t.MaxVersion, "TLS13"), "TLS12", "TLS13")
	if t.MinVersion == "TLS13" && t.MaxVersion == "TLS12" {
		r.refuse(at+".max_version", "TLS12 is below min_version, TLS13")
	}
	if t.InsecureSkipVerify {
		r.warn(at+".insecure_skip_verify", "the certificate of the server is not verified; give ca_file instead")
	}
}

func (r *reader) proxy(at string, p *Proxy) {
	u := p.ProxyURL.url
	if u != nil && (!slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) || u.Hostname() == "") {
		r.refuse(at+".proxy_url", "must be an http, https or socks5 URL with a host (not shown, as it may hold a password)")
	}
	if p.ProxyFromEnvironment {
		r.notBoth(at, "proxy_from_environment", "proxy_url", u != nil)
		r.notBoth(at, "proxy_from_environment", "no_proxy", p.NoProxy != "")
		return
	}
	if u == nil && p.NoProxy != "" {
		r.refuse(at+".no_proxy", "means nothing without proxy_url")
	}
	if u == nil && len(p.ProxyConnectHeader) > 0 {
		r.refuse(at+".proxy_connect_header", "means nothing without proxy_url or proxy_from_environment")
	}
}

func (r *reader) metrics(m *Metrics) {
	r.atLeast("metrics.max_series", m.MaxSeries, 1)
	if len(m.UserWindows) == 0 {
		r.refuse("metrics.user_windows", "must not be empty; the default is [15m, 1h]")
	}
	seen := map[time.Duration]string{}
	for i, w := range m.UserWindows {
		at := fmt.Sprintf("metrics.user_windows[%d]", i)
		r.positive(at, model.Duration(w.Duration), history)
		if first, twice := seen[w.Duration]; twice {
			r.refuse(at, "%s is the same as %s; windows must be unique", w.Label, first)
		}
		seen[w.Duration] = w.Label
	}
	for _, name := range slices.Sorted(maps.Keys(m.ConstantLabels)) {
		at := join("metrics.constant_labels", name)
		switch {
		case !model.LegacyValidation.IsValidLabelName(name) || strings.HasPrefix(name, "__"):
			r.refuse(at, "not a label name; allowed are letters, digits and _, no digit first, no __ first")
		case IsOwnLabel(name):
			r.refuse(at, "the exporter uses this label itself; taken are %s", strings.Join(ownLabels, ", "))
		}
	}
}

// between refuses a duration outside of least to most.
func (r *reader) between(at string, d model.Duration, least, most time.Duration) {
	if v := time.Duration(d); v < least || v > most {
		r.refuse(at, "must be %v to %v, not %v", model.Duration(least), model.Duration(most), d)
	}
}

// positive refuses a duration of nothing, or of more than most.
func (r *reader) positive(at string, d model.Duration, most time.Duration) {
	switch v := time.Duration(d); {
	case v <= 0:
		r.refuse(at, "must be more than 0s, not %v", d)
	case v > most:
		r.refuse(at, "must be at most %v, not %v", model.Duration(most), d)
	}
}

func (r *reader) atLeast(at string, n, least int) {
	if n < least {
		r.refuse(at, "must be %d or more, not %d", least, n)
	}
}

func (r *reader) oneOf(at, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		r.refuse(at, "must be one of %s, not %q", strings.Join(allowed, ", "), value)
	}
}

func (r *reader) notBoth(at, one, other string, both bool) {
	if both {
		r.refuse(join(at, other), "given together with %s; give one of the two", one)
	}
}

// resolve makes a path relative to the file's folder.
func (r *reader) resolve(path *string) {
	if *path != "" && !filepath.IsAbs(*path) {
		*path = filepath.Join(r.dir, *path)
	}
}
