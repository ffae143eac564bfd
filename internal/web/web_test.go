package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-kit/log"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/shard"
)

// fake is an exporter that shows what it is given.
type fake struct {
	sources []Source
	shard   shard.Shard
	replica *Replica
	failure error // of a reload
	reloads int
}

func (f *fake) Answer(context.Context, collector.Scrape) (*collector.Answer, error) {
	return &collector.Answer{Chunks: [][]byte{[]byte("metrics\n")}, Size: len("metrics\n"), Version: collector.NewVersion()}, nil
}

func (f *fake) Config() *config.Config {
	c := &config.Config{Projects: []*config.Project{{Name: "p", ProjectID: "an-id"}}}
	if f.shard.Divides() {
		c.Projects = append(c.Projects, &config.Project{Name: "q"}, &config.Project{Name: "r"})
		c.Take(f.shard)
	}
	return c
}

func (f *fake) Replica() *Replica { return f.replica }

func (f *fake) Sources() []Source { return f.sources }

func (f *fake) Reload() error {
	f.reloads++
	return f.failure
}

func (f *fake) Refused() (time.Time, error) { return time.Now(), f.failure }

// start serves an exporter, and returns what sends a request to it.
func start(t *testing.T, f *fake, o Options) func(method, path string, header http.Header) (status int, body string, _ http.Header) {
	t.Helper()
	o.TelemetryPath = "/metrics"
	server := httptest.NewServer(NewServer(f, &o, log.NewNopLogger()).server.Handler)
	t.Cleanup(server.Close)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	return func(method, path string, header http.Header) (int, string, http.Header) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		require.NoError(t, err)
		r.Header = header
		resp, err := client.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body), resp.Header
	}
}

// TestAShardNamesTheOthers: who asks the wrong one is told which one to ask.
func TestAShardNamesTheOthers(t *testing.T) {
	own := shard.Shard{Number: shard.Of("p", 3), Total: 3}
	elsewhere := "q"
	require.False(t, own.Has(elsewhere))
	request := start(t, &fake{shard: own}, Options{})
	_, page, _ := request(http.MethodGet, "/", nil)
	for number := range own.Total {
		assert.Contains(t, page, fmt.Sprintf("<dt>shard %d of 3", number))
	}
	assert.Equal(t, 1, strings.Count(page, ", this one"))
	assert.Contains(t, page, "No project belongs") // the fake has no sources
	status, _, _ := request(http.MethodGet, "/metrics?project=p", nil)
	assert.Equal(t, http.StatusOK, status)
	status, body, _ := request(http.MethodGet, "/metrics?project=p&project="+elsewhere, nil)
	assert.Equal(t, http.StatusNotFound, status)
	assert.Contains(t, body, fmt.Sprintf(`the project "q" belongs to shard %d, and this is %s`, shard.Of(elsewhere, 3), own))
	_, body, _ = request(http.MethodGet, "/config", nil)
	assert.Contains(t, body, "# The projects of "+own.String())
	assert.NotContains(t, body, "name: "+elsewhere)

	_, page, _ = start(t, &fake{}, Options{})(http.MethodGet, "/", nil)
	assert.NotContains(t, page, "shard")
}

// TestAReplicaShowsTheOthers, and what keeps it from the store.
func TestAReplicaShowsTheOthers(t *testing.T) {
	f := &fake{replica: &Replica{Owner: "own-1", Held: []string{"p"}, Err: errors.New("database <gone>")}}
	request := start(t, f, Options{})
	status, body, _ := request(http.MethodGet, "/-/ready", nil)
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Contains(t, body, "database")
	f.replica = &Replica{Owner: "own-1", Count: 2, Unlike: 1, Held: []string{"p"}, Free: []string{"r"}, Others: []Others{{"other-2", []string{"q"}}},
		Joined: true, Err: errors.New("database <gone>")}
	status, _, _ = request(http.MethodGet, "/-/ready", nil)
	assert.Equal(t, http.StatusOK, status)
	_, page, _ := request(http.MethodGet, "/", nil)
	for _, want := range []string{"2 replicas share the store", "<dt>own-1, this one</dt><dd>p</dd>", "<dt>other-2</dt><dd>q</dd>", "<dt>read by none</dt><dd>r</dd>",
		"database &lt;gone&gt;", "1 of 2 have another list", "No project is read here"} {
		assert.Contains(t, page, want)
	}
}

func TestEveryAnswerHasTheHeadersThatProtectBrowsers(t *testing.T) {
	request := start(t, &fake{}, Options{EnablePprof: true})
	for path, want := range map[string]int{
		"/": 200, "/metrics": 200, "/config": 200, "/-/healthy": 200, "/-/ready": 200, "/debug/pprof/": 200,
		"/-/reload": 405, "/no-such-page": 404, "//metrics": 200, "/metrics/": 404, "/-/": 404, "/debug/pprof/heap?debug=1": 200,
	} {
		status, _, header := request(http.MethodGet, path, nil)
		assert.Equal(t, want, status, path)
		assert.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), path)
		assert.Equal(t, "DENY", header.Get("X-Frame-Options"), path)
		assert.Equal(t, "no-referrer", header.Get("Referrer-Policy"), path)
		policy := header.Get("Content-Security-Policy")
		assert.Contains(t, policy, "default-src 'none'", path)
		assert.Contains(t, policy, "frame-ancestors 'none'", path)
		assert.NotContains(t, policy, "unsafe", path)
		assert.NotContains(t, policy, "script", path)
	}
}

func TestOtherMethodsAndPagesAreRefused(t *testing.T) {
	request := start(t, &fake{}, Options{})
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile", "/debug/pprof/cmdline", "/debug/vars"} {
		status, _, _ := request(http.MethodGet, path, nil)
		assert.Equal(t, http.StatusNotFound, status, path)
	}
	for _, path := range []string{"/", "/metrics", "/config", "/-/healthy", "/-/ready"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, http.MethodTrace, "PROPFIND"} {
			status, body, _ := request(method, path, http.Header{"X-Http-Method-Override": {"GET"}})
			assert.Equal(t, http.StatusMethodNotAllowed, status, "%s %s", method, path)
			assert.NotContains(t, body, "X-Http-Method", "%s %s sends nothing back", method, path)
		}
		status, body, _ := request(http.MethodHead, path, nil)
		assert.Equal(t, http.StatusOK, status)
		assert.Empty(t, body)
	}
}

// A page of another site can neither reload nor read the configuration, whatever name leads to it.
func TestScriptsInBrowsersAreRefused(t *testing.T) {
	f := &fake{}
	request := start(t, f, Options{EnableLifecycle: true})
	for name, header := range map[string]http.Header{
		"a page of another site":   {"Sec-Fetch-Site": {"cross-site"}},
		"an old browser":           {"Origin": {"https://elsewhere.example"}},
		"a page of a rebound name": {"Origin": {"http://rebound.example"}, "Sec-Fetch-Site": {"same-origin"}},
		"its script":               {"Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Mode": {"cors"}},
	} {
		for _, method := range []string{http.MethodPost, http.MethodPut} {
			status, _, _ := request(method, "/-/reload", header)
			assert.Equal(t, http.StatusForbidden, status, name)
		}
	}
	status, _, _ := request(http.MethodGet, "/-/reload", http.Header{"X-Http-Method-Override": {"POST"}})
	assert.Equal(t, http.StatusMethodNotAllowed, status)
	assert.Zero(t, f.reloads)
	for mode, want := range map[string]int{"cors": 403, "same-origin": 403, "no-cors": 403, "websocket": 403, "navigate": 200} {
		status, body, _ := request(http.MethodGet, "/config", http.Header{"Sec-Fetch-Mode": {mode}, "Sec-Fetch-Site": {"same-origin"}})
		assert.Equal(t, want, status, mode)
		assert.Equal(t, want == 200, strings.Contains(body, "project_id: an-id"), mode)
	}
}

func TestReloading(t *testing.T) {
	for _, c := range []struct {
		lifecycle bool
		failure   error
		status    int
		body      string
	}{
		{false, nil, http.StatusForbidden, "--web.enable-lifecycle"},
		{true, nil, http.StatusOK, "reloaded\n"},
		{true, errors.New("line 3: no"), http.StatusInternalServerError, "not reloaded, the old configuration stays:\nline 3: no\n"},
	} {
		f := &fake{failure: c.failure}
		request := start(t, f, Options{EnableLifecycle: c.lifecycle})
		for n, method := range []string{http.MethodPost, http.MethodPut} {
			status, body, _ := request(method, "/-/reload", nil)
			assert.Equal(t, c.status, status)
			assert.Contains(t, body, c.body)
			assert.Equal(t, c.lifecycle, f.reloads == n+1)
		}
	}
}

func TestReadyOnceEverySourceHasPolled(t *testing.T) {
	failed := Source{Status: fetcher.Status{Polled: true, LastError: errors.New("x")}}
	for want, sources := range map[int][]Source{200: {failed, failed}, 503: {failed, {}}} {
		request := start(t, &fake{sources: sources}, Options{})
		status, _, _ := request(http.MethodGet, "/-/ready", nil)
		assert.Equal(t, want, status)
		status, _, _ = request(http.MethodGet, "/-/healthy", nil)
		assert.Equal(t, http.StatusOK, status)
	}
}

func TestTheLandingPage(t *testing.T) {
	now := time.Now()
	good := Source{Title: "Sessions", Status: fetcher.Status{Project: "p", Source: "sessions", Polled: true, Interval: time.Minute, Position: cursor.Position{LastSuccess: now}}}
	bad := Source{Title: "Logins <b>", Status: fetcher.Status{Project: "p", Source: "user_connections", Polled: true, Interval: time.Minute,
		LastError: &workspace.Error{Host: "api.example", Status: 403}, Reason: fetcher.Permission, FailedAt: now},
		Day: []collector.Quarter{{Start: now.UTC().Truncate(collector.QuarterLength), Attempts: 12345, Failures: 7}}}
	starting := Source{Status: fetcher.Status{Project: "p", Source: "desktop_connections"}}
	for name, c := range map[string]struct {
		sources    []Source
		has, lacks []string
	}{
		"good":     {[]Source{good}, []string{"The source is up to date", "<h2 id=\"source-0-name\">Sessions</h2>", "p / sessions"}, []string{`class="trouble"`}},
		"starting": {[]Source{good, starting}, []string{"1 of 2 sources is not up to date yet", "none yet"}, []string{`class="trouble"`}},
		"failing": {[]Source{good, bad}, []string{"1 of 2 sources does not work", `<a href="#source-1">p&nbsp;/&nbsp;user_connections</a>`, `class="state failing"`,
			"A permission is missing.", ">permission</a>", "Logins &lt;b&gt;", "12\u202f345", "<td>7</td>"}, []string{"Logins <b>"}},
		"none": {nil, []string{"No source is configured."}, nil},
	} {
		request := start(t, &fake{sources: c.sources}, Options{})
		status, body, header := request(http.MethodGet, "/", nil)
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "text/html; charset=utf-8", header.Get("Content-Type"))
		for _, text := range c.has {
			assert.Contains(t, body, text, name)
		}
		for _, text := range c.lacks {
			assert.NotContains(t, body, text, name)
		}
		assert.Contains(t, body, `http-equiv="refresh"`)
		_, body, _ = request(http.MethodGet, "/?pause", nil)
		assert.NotContains(t, body, `http-equiv="refresh"`)
	}
}

// The page is also read behind a proxy that takes a prefix off.
func TestTheLinksOfTheLandingPageAreRelative(t *testing.T) {
	request := start(t, &fake{}, Options{})
	for _, path := range []string{"/", "/?pause"} {
		_, body, _ := request(http.MethodGet, path, nil)
		links := regexp.MustCompile(`(?:href|src|action)="([^"]*)"`).FindAllStringSubmatch(body, -1)
		require.Greater(t, len(links), 5)
		for _, link := range links {
			assert.False(t, strings.HasPrefix(link[1], "/"), link[1])
			to, err := (&url.URL{Path: "/prefix/"}).Parse(link[1])
			require.NoError(t, err)
			if to.Scheme != "" {
				continue
			}
			status, _, _ := request(http.MethodGet, "/"+strings.TrimPrefix(to.Path, "/prefix/"), nil)
			assert.Contains(t, []int{200, 503}, status, link[1])
		}
	}
}

func TestTheLandingPageSaysThatItIsADemo(t *testing.T) {
	for demo, times := range map[bool]int{true: 1, false: 0} {
		_, body, _ := start(t, &fake{}, Options{Demo: demo})(http.MethodGet, "/", nil)
		assert.Equal(t, times, strings.Count(body, "Demo data"))
	}
}

func TestTheLandingPageShowsWhatIsThereNow(t *testing.T) {
	sessions := Source{Status: fetcher.Status{Polled: true}, Now: []collector.Headline{{Title: "Sessions", Total: 1200,
		Parts: []collector.HeadlinePart{{Name: "ACTIVE", N: 1100}, {Name: "DISCONNECTED", N: 100}}}}}
	_, body, _ := start(t, &fake{sources: []Source{sessions}}, Options{})(http.MethodGet, "/", nil)
	assert.Contains(t, body, "<dt>Sessions now</dt><dd>1\u202f200 <span class=\"soft\">ACTIVE 1\u202f100</span> <span class=\"soft\">DISCONNECTED 100</span></dd>")
}

func TestTheLandingPageShowsARefusedReload(t *testing.T) {
	f := &fake{failure: errors.New("x.yml:3: unknown <key>")}
	request := start(t, f, Options{})
	_, body, _ := request(http.MethodGet, "/", nil)
	assert.Contains(t, body, "The last reload was refused.")
	assert.Contains(t, body, "x.yml:3: unknown &lt;key&gt;")
	f.failure = nil
	_, body, _ = request(http.MethodGet, "/", nil)
	assert.NotContains(t, body, "refused")
}

func TestWhereABrowserFindsTheServer(t *testing.T) {
	secured := &http.Server{TLSConfig: &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }}}
	for want, c := range map[string]struct {
		ip     net.IP
		server *http.Server
	}{
		"http://localhost:9914/":  {net.IPv6zero, &http.Server{TLSConfig: &tls.Config{}}},
		"http://127.0.0.1:9914/":  {net.IPv4(127, 0, 0, 1), &http.Server{}},
		"http://[::1]:9914/":      {net.IPv6loopback, &http.Server{}},
		"https://localhost:9914/": {net.IPv4zero, secured},
	} {
		assert.Equal(t, want, urlOf(&net.TCPAddr{IP: c.ip, Port: 9914}, c.server))
	}
}

func TestAnAddressThatCannotBeListenedOnIsExplained(t *testing.T) {
	for err, want := range map[error]string{syscall.EADDRINUSE: "another program", syscall.EADDRNOTAVAIL: "no such address", syscall.EACCES: "above 1023"} {
		explained := ExplainListen("--listen-address", fmt.Errorf("listen: %w", err))
		assert.ErrorIs(t, explained, err)
		assert.ErrorContains(t, explained, want)
		assert.ErrorContains(t, explained, "--listen-address")
	}
	assert.EqualError(t, ExplainListen("--x", errors.New("other")), "other")
}

func TestBadOptionsAreRefused(t *testing.T) {
	for _, c := range []struct{ address, path, want string }{
		{":9914", "/metrics", ""},
		{"vsock://:9914", "/a/b", ""},
		{"9914", "/metrics", `--web.listen-address "9914": must be host:port`},
		{":9914", "metrics", `--web.telemetry-path "metrics"`},
		{":9914", "/", `--web.telemetry-path "/"`},
		{":9914", "/config", `--web.telemetry-path "/config"`},
		{":9914", "/-/x", `--web.telemetry-path "/-/x"`},
		{":9914", "/debug/x", `--web.telemetry-path "/debug/x"`},
		{":9914", "/{x}", `--web.telemetry-path "/{x}"`},
		{":9914", "/a/../b", `--web.telemetry-path "/a/../b"`},
	} {
		noFile := ""
		o := Options{Flags: &toolkit.FlagConfig{WebListenAddresses: &[]string{c.address}, WebConfigFile: &noFile}, TelemetryPath: c.path}
		err := o.Validate()
		if c.want == "" {
			assert.NoError(t, err)
			continue
		}
		assert.ErrorContains(t, err, c.want)
	}
}

// A password that stands where it does not belong is not shown.
func TestErrorsOfTheWebConfigurationQuoteNothing(t *testing.T) {
	for _, text := range []string{"basic_auth_users: hunter2", "basic_auth_users: *hunter2", "rate_limit: hunter2"} {
		file := filepath.Join(t.TempDir(), "web.yml")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		o := Options{Flags: &toolkit.FlagConfig{WebListenAddresses: &[]string{":9914"}, WebConfigFile: &file}, TelemetryPath: "/metrics"}
		err := o.Validate()
		require.ErrorContains(t, err, "--web.config.file: ")
		assert.NotContains(t, err.Error(), "hunter2")
	}
}
