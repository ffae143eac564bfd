package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"slices"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/exporter-toolkit/web"
	slgk "github.com/tjhop/slog-gokit"

	"github.com/workspace-exporter/workspace_exporter/config"
)

// WebOptions say how the service is seen from outside.
type WebOptions struct {
	Flags         *web.FlagConfig
	TelemetryPath string
	// EnableLifecycle allows POST /-/reload.
	EnableLifecycle bool
	// EnablePprof shows the profiles of the process under /debug/pprof/.
	EnablePprof bool
	// OpenMetricsCreatedSamples adds the creation times of counters to OpenMetrics, as
	// lines which Prometheus stores as series of their own.
	OpenMetricsCreatedSamples bool
}

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
	limit(server, maxConnections, grace)
	return server
}

// securityHeaders are those of every answer. A page may have its own style and icon,
// and nothing else.
var securityHeaders = map[string]string{
	"Content-Security-Policy": "default-src 'none'; style-src " + styleHash + "; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"X-Content-Type-Options":  "nosniff",
	"X-Frame-Options":         "DENY",
	"Referrer-Policy":         "no-referrer",
	"Cache-Control":           "no-store",
}

// secure sets the headers that keep browsers from doing more with a page than showing
// it, but for those that --web.config.file sets. It refuses what a page of another
// site makes a browser send.
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

// handler serves everything that the exporter shows. Load is what reads the
// configuration again for a reload.
func (s *Service) handler(o WebOptions, load func() (*config.Config, error)) http.Handler {
	mux := http.NewServeMux()
	s.exposition.CreatedSamples = o.OpenMetricsCreatedSamples
	s.exposition.Failed = func(err error) { level.Warn(s.logger).Log("msg", "some metrics are missing from a scrape", "err", err) }
	mux.Handle("GET "+o.TelemetryPath, newScrapes(s.exposition, s.hasProject, maxHeldBytes))
	if o.EnablePprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	mux.HandleFunc("GET /{$}", s.landing(o.TelemetryPath))
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "healthy") })
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if !s.Ready() {
			text(w, http.StatusServiceUnavailable, "not ready: a source has not polled yet")
			return
		}
		text(w, http.StatusOK, "ready")
	})
	reload := func(w http.ResponseWriter, _ *http.Request) {
		if err := s.Reload(load); err != nil {
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
		masked, err := s.Config().MaskedYAML()
		if err != nil {
			text(w, http.StatusInternalServerError, "the configuration cannot be shown: "+err.Error())
			return
		}
		text(w, http.StatusOK, string(masked))
	}))
	return secure(mux)
}

// notByScripts refuses what a script in a browser asks for: a page whose name was made to
// lead here (DNS rebinding) looks like one of ours. Browsers say so over HTTPS and to
// this machine, and always where something shall change.
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

// hasProject reports whether the configuration has a project of the name.
func (s *Service) hasProject(name string) bool {
	return slices.ContainsFunc(s.Config().Projects, func(p *config.Project) bool { return p.Name == name })
}

// slogLogger is the logger for libraries that want log/slog.
func slogLogger(logger log.Logger) *slog.Logger {
	return slog.New(untimed{slgk.NewGoKitHandler(logger, slog.LevelDebug)})
}

// untimed leaves the time to our logger, which has put it on each line already.
type untimed struct{ slog.Handler }

func (h untimed) Handle(ctx context.Context, r slog.Record) error {
	r.Time = time.Time{}
	return h.Handler.Handle(ctx, r)
}
