// Package web serves the exporter over HTTP: scrapes, the landing page, the configuration
// and reloads. Limits keep clients from taking more than their share.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/exporter-toolkit/web"
	slgk "github.com/tjhop/slog-gokit"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/internal/shard"
)

// Exporter is what a server serves.
type Exporter interface {
	// Answer answers a scrape.
	Answer(context.Context, collector.Scrape) (*collector.Answer, error)
	// Config is the configuration in force.
	Config() *config.Config
	// Sources are the sources of the configuration, in its order.
	Sources() []Source
	// Replica is this replica among those that share the store; nil if the store is not shared.
	Replica() *Replica
	// Refused is why the last reload failed, and when; nil if it did not.
	Refused() (at time.Time, err error)
	// Reload reads the configuration again. If it fails, the old one stays.
	Reload() error
}

// Replica is one of several exporters that share a store, and divide the projects.
type Replica struct {
	// Owner is its name among the others, and Count how many there are.
	Owner string
	Count int
	// Unlike is how many of them have another configuration of projects.
	Unlike int
	// Held are the projects that are read here, Others those that other replicas read, and Free
	// those that none reads.
	Held, Free []string
	Others     []Others
	// Joined is false until the database has answered once. Err is why it does not now.
	Joined bool
	Err    error
}

// Others are the projects of another replica.
type Others struct {
	Owner    string
	Projects []string
}

// Source is the state of one source.
type Source struct {
	fetcher.Status
	Title string
	Day   []collector.Quarter // the last day, as far as it was read
	Codes []collector.FailureCode
	Now   []collector.Headline
}

// Options say what is served, and where.
type Options struct {
	Flags         *web.FlagConfig
	TelemetryPath string
	// EnableLifecycle allows POST /-/reload.
	EnableLifecycle bool
	// EnablePprof shows the profiles of the process under /debug/pprof/.
	EnablePprof bool
	// OpenMetricsCreatedSamples adds the creation times of counters to OpenMetrics, as
	// lines which Prometheus stores as series of their own. The Exporter applies it.
	OpenMetricsCreatedSamples bool
	// Demo says on the page that its data is simulated.
	Demo bool
	// Listening is called with the URL of each address that is served. May be nil.
	Listening func(url string)
}

// Validate checks what the command line cannot.
//
// What YAML's errors quote may be a password in the wrong place.
func (o *Options) Validate() error {
	for _, address := range *o.Flags.WebListenAddresses {
		if _, _, err := net.SplitHostPort(address); err != nil && !strings.Contains(address, "://") {
			return fmt.Errorf("--web.listen-address %q: must be host:port, like :9914", address)
		}
	}
	if err := web.Validate(*o.Flags.WebConfigFile); err != nil {
		return fmt.Errorf("--web.config.file: %s", quotedValue.ReplaceAllString(err.Error(), "a text (not shown, as it may be a secret)"))
	}
	if p := o.TelemetryPath; p != path.Clean(p) || !strings.HasPrefix(p, "/") || p == "/" || p == "/config" || strings.HasPrefix(p, "/-/") || strings.HasPrefix(p, "/debug/") || strings.ContainsAny(p, " {}?#") {
		return fmt.Errorf("--web.telemetry-path %q: must begin with / and be none of /, /config and what begins with /-/ or /debug/", p)
	}
	return nil
}

// shutdownTimeout is how long answers under way may take after Shutdown.
const shutdownTimeout = 5 * time.Second

// Server serves an exporter.
type Server struct {
	server *http.Server
	flags  *web.FlagConfig
	logger log.Logger
}

// NewServer returns a server of an exporter, which does not listen yet.
func NewServer(e Exporter, o *Options, logger log.Logger) *Server {
	s := &Server{server: newServer(handler(e, o)), flags: o.Flags, logger: logger}
	s.server.BaseContext = func(l net.Listener) context.Context {
		if o.Listening != nil {
			o.Listening(urlOf(l.Addr(), s.server))
		}
		return context.Background()
	}
	return s
}

// ListenAndServe serves until Shutdown, or until it fails.
func (s *Server) ListenAndServe() error {
	if err := web.ListenAndServe(s.server, s.flags, slogLogger(s.logger)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve HTTP: %w", ExplainListen("--web.listen-address", err))
	}
	return nil
}

// urlOf is where a browser on this machine finds a server that listens on an address.
func urlOf(address net.Addr, server *http.Server) string {
	scheme := "http"
	if server.TLSConfig != nil && server.TLSConfig.GetConfigForClient != nil { // as --web.config.file sets it
		scheme = "https"
	}
	host := address.String()
	if tcp, ok := address.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		host = net.JoinHostPort("localhost", strconv.Itoa(tcp.Port))
	}
	return scheme + "://" + host + "/"
}

// ExplainListen adds to an error what to do if an address, which a flag gives, cannot be
// listened on.
func ExplainListen(flag string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; another program listens there: end it, or give another port by %s, such as %[2]s=127.0.0.1:19914", err, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w; this machine has no such address: give another by %s", err, flag)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w; the system does not allow this port: give one above 1023 by %s", err, flag)
	}
	return err
}

// Shutdown lets answers under way finish, for a short time.
func (s *Server) Shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		_ = s.server.Close()
	}
}

// quotedValue is a value of a YAML file in an error about it.
var quotedValue = regexp.MustCompile("`[^`]*`|'.*' referenced")

// newServer limits what a slow or greedy client can take.
func newServer(h http.Handler) *http.Server {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	limitConnections(server, maxConnections, grace)
	return server
}

// securityHeaders are part of every answer. They allow a page its own style and icon, and
// nothing else.
var securityHeaders = map[string]string{
	"Content-Security-Policy": "default-src 'none'; style-src " + styleHash + "; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"X-Content-Type-Options":  "nosniff",
	"X-Frame-Options":         "DENY",
	"Referrer-Policy":         "no-referrer",
	"Cache-Control":           "no-store",
}

// secure adds the headers that let browsers do no more with a page than show it; headers
// from --web.config.file win. It refuses what pages of other sites make a browser send.
func secure(h http.Handler) http.Handler {
	protected := http.NewCrossOriginProtection().Handler(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range securityHeaders {
			if w.Header().Get(name) == "" {
				w.Header().Set(name, value)
			}
		}
		protected.ServeHTTP(w, r)
	})
}

// handler serves everything that the exporter shows.
func handler(e Exporter, o *Options) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+o.TelemetryPath, newScrapes(e, func(name string) error { return findProject(e.Config(), name) }, maxHeldBytes))
	if o.EnablePprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	mux.HandleFunc("GET /{$}", landing(e, o))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "healthy") })
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if r := e.Replica(); r != nil && !r.Joined {
			text(w, http.StatusServiceUnavailable, "not ready: the database has not answered yet")
			return
		}
		if slices.ContainsFunc(e.Sources(), func(s Source) bool { return !s.Polled }) {
			text(w, http.StatusServiceUnavailable, "not ready: a source has not polled yet")
			return
		}
		text(w, http.StatusOK, "ready")
	})
	reload := func(w http.ResponseWriter, _ *http.Request) {
		if err := e.Reload(); err != nil {
			text(w, http.StatusInternalServerError, "not reloaded, the old configuration stays:\n"+err.Error())
			return
		}
		text(w, http.StatusOK, "reloaded")
	}
	if !o.EnableLifecycle {
		reload = func(w http.ResponseWriter, _ *http.Request) {
			text(w, http.StatusForbidden, "reloading over HTTP is off; start with --web.enable-lifecycle, or send SIGHUP")
		}
	}
	mux.HandleFunc("POST /-/reload", notByScripts(reload))
	mux.HandleFunc("PUT /-/reload", notByScripts(reload))
	mux.HandleFunc("GET /config", notByScripts(func(w http.ResponseWriter, _ *http.Request) {
		masked, err := e.Config().MaskedYAML()
		if err != nil {
			text(w, http.StatusInternalServerError, "cannot show the configuration: "+err.Error())
			return
		}
		if s := e.Config().Shard; s.Divides() {
			masked = fmt.Appendf(nil, "# The projects of %s.\n%s", s, masked)
		}
		text(w, http.StatusOK, string(masked))
	}))
	return secure(mux)
}

// findProject says why a project has no metrics here; nil if it has.
func findProject(c *config.Config, name string) error {
	switch {
	case slices.ContainsFunc(c.Projects, func(p *config.Project) bool { return p.Name == name }):
		return nil
	case slices.Contains(c.Elsewhere, name):
		return fmt.Errorf("the project %q belongs to shard %d, and this is %s", name, shard.Of(name, c.Shard.Total), c.Shard)
	}
	return fmt.Errorf("the configuration has no project %q", name)
}

// notByScripts refuses requests of scripts in a browser: with DNS rebinding, a page of
// another site looks like one of ours. Browsers send Sec-Fetch-Mode over HTTPS and to
// localhost, and Origin with every request that may change something.
func notByScripts(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		mode := r.Header.Get("Sec-Fetch-Mode")
		if mode != "" && mode != "navigate" || r.Method != http.MethodGet && r.Method != http.MethodHead && r.Header.Get("Origin") != "" {
			text(w, http.StatusForbidden, "not for scripts in a browser")
			return
		}
		h(w, r)
	}
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, body)
}

// slogLogger is the logger for libraries that want log/slog.
func slogLogger(logger log.Logger) *slog.Logger {
	return slog.New(untimed{slgk.NewGoKitHandler(logger, slog.LevelDebug)})
}

// untimed drops the time: our logger adds it to each line.
type untimed struct{ slog.Handler }

func (h untimed) Handle(ctx context.Context, r slog.Record) error {
	r.Time = time.Time{}
	return h.Handler.Handle(ctx, r)
}
