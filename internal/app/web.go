package app

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	slgk "github.com/tjhop/slog-gokit"

	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
)

// WebOptions say how the service is seen from outside.
type WebOptions struct {
	Flags         *web.FlagConfig
	TelemetryPath string
	// EnableLifecycle allows POST /-/reload.
	EnableLifecycle bool
}

// maxScrapes is how many scrapes are answered at once; further ones get a 503.
const maxScrapes = 40

// newServer limits what a slow or greedy client can take.
func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

// handler serves everything that the exporter shows. Load is what reads the
// configuration again for a reload.
func (s *Service) handler(o WebOptions, load func() (*config.Config, error)) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+o.TelemetryPath, promhttp.HandlerFor(s.exposition, promhttp.HandlerOpts{
		ErrorLog:                            promhttpLog{s.logger},
		ErrorHandling:                       promhttp.ContinueOnError,
		MaxRequestsInFlight:                 maxScrapes,
		EnableOpenMetrics:                   true,
		EnableOpenMetricsTextCreatedSamples: true,
	}))
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
	mux.HandleFunc("POST /-/reload", reload)
	mux.HandleFunc("PUT /-/reload", reload)
	mux.HandleFunc("GET /config", func(w http.ResponseWriter, _ *http.Request) {
		masked, err := s.Config().MaskedYAML()
		if err != nil {
			text(w, http.StatusInternalServerError, "the configuration cannot be shown: "+err.Error())
			return
		}
		text(w, http.StatusOK, string(masked))
	})
	return mux
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	fmt.Fprintln(w, body)
}

//go:embed landing.html
var landingHTML string

var landingPage = template.Must(template.New("landing").Funcs(template.FuncMap{
	"ago": func(t time.Time) string {
		if t.IsZero() {
			return "never"
		}
		return time.Since(t).Round(time.Second).String() + " ago"
	},
	"utc": func(t time.Time) string {
		if t.IsZero() {
			return "none yet"
		}
		return t.UTC().Format("2006-01-02 15:04:05 UTC")
	},
}).Parse(landingHTML))

// landing shows the state of every source.
func (s *Service) landing(telemetryPath string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		var page bytes.Buffer
		err := landingPage.Execute(&page, struct {
			Version, Telemetry string
			Sources            []fetcher.Status
		}{version.Info(), telemetryPath, s.Status()})
		if err != nil {
			text(w, http.StatusInternalServerError, "the page cannot be shown: "+err.Error())
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		_, _ = page.WriteTo(w)
	}
}

// promhttpLog brings what goes wrong in a scrape to our log.
type promhttpLog struct{ logger log.Logger }

func (l promhttpLog) Println(v ...any) {
	level.Warn(l.logger).Log("msg", "scrape", "err", fmt.Sprint(v...))
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
