package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"

	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/internal/logging"
)

// shutdownTime is how long scrapes under way may take after the signal to end.
const shutdownTime = 5 * time.Second

// ErrConfig wraps every refusal of a configuration.
var ErrConfig = errors.New("bad configuration")

func load(path string) (*config.Config, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, fmt.Errorf("%w\n%w", ErrConfig, err)
	}
	return cfg, nil
}

// Run fetches and serves until it is told to end.
func Run(configFile string, o WebOptions, l *logging.Log) error {
	return run(func() (*config.Config, error) { return load(configFile) }, o, l)
}

// untilSignal is a context that ends with the signal to end. A log, or an output, whose
// reader has gone away is an error of whoever writes to it, and ends nothing else.
func untilSignal() (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE)
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
}

// endTime is how long the program may take to end. What is not done by then is abandoned,
// as in a crash: what was not committed is counted after the next start.
const endTime = 9 * time.Second

func run(load func() (*config.Config, error), o WebOptions, logger *logging.Log) error {
	// Listen to signals first: one that comes while a large store is loaded must
	// not be lost.
	ctx, stop := untilSignal()
	defer stop()
	return abandon(ctx, logger, func() error { return serveUntilSignal(ctx, load, o, logger) })
}

// abandon calls f, and waits no longer than endTime for it once ctx has ended.
func abandon(ctx context.Context, logger log.Logger, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(endTime):
		level.Warn(logger).Log("msg", "ending without what takes too long; what is not committed yet is counted after the next start")
		return nil
	}
}

func serveUntilSignal(ctx context.Context, load func() (*config.Config, error), o WebOptions, logger *logging.Log) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	level.Info(logger).Log("msg", "starting "+Name, "version", version.Version, "revision", version.GetRevision())
	cfg, err := load()
	if err != nil {
		return err
	}
	logWarnings(logger, cfg)
	s, err := NewService(cfg, logger)
	if err != nil {
		return err
	}
	s.Start()
	return errors.Join(s.serve(ctx, hangups, o, load), s.Close())
}

// serve answers HTTP until ctx ends, and reloads on each hang-up.
func (s *Service) serve(ctx context.Context, hangups <-chan os.Signal, o WebOptions, load func() (*config.Config, error)) error {
	server := newServer(s.handler(o, load))
	failed := make(chan error, 1)
	go func() { failed <- web.ListenAndServe(server, o.Flags, slogLogger(s.logger)) }()
	go s.reloadOn(ctx, hangups, load)
	select {
	case err := <-failed:
		return fmt.Errorf("cannot serve HTTP: %w", err)
	case <-ctx.Done():
		level.Info(s.logger).Log("msg", "shutting down: cancelling polls, committing what is counted")
		s.Stop()
		ending, cancel := context.WithTimeout(context.Background(), shutdownTime)
		defer cancel()
		if err := server.Shutdown(ending); err != nil && !errors.Is(err, http.ErrServerClosed) {
			_ = server.Close()
		}
		return nil
	}
}

// reloadOn reloads on each hang-up, until ctx ends.
func (s *Service) reloadOn(ctx context.Context, hangups <-chan os.Signal, load func() (*config.Config, error)) {
	for {
		select {
		case <-hangups:
			_ = s.Reload(load) // it logs and counts its own failure
		case <-ctx.Done():
			return
		}
	}
}

// Once polls every source once and writes the metrics to out. It fails if a source
// failed; the metrics are written all the same.
func Once(configFile string, out io.Writer, logger *logging.Log) error {
	ctx, stop := untilSignal()
	defer stop()
	cfg, err := load(configFile)
	if err != nil {
		return err
	}
	logWarnings(logger, cfg)
	cfg.Metrics.NewSeriesHold = 0 // nobody will see the value later
	s, err := NewService(cfg, logger)
	if err != nil {
		return err
	}
	polled := s.PollOnce(ctx)
	return errors.Join(polled, writeText(out, s.exposition), s.Close())
}

// writeText writes metrics in the text format.
func writeText(out io.Writer, g prometheus.Gatherer) error {
	families, err := g.Gather()
	if err != nil {
		return err
	}
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(out, f); err != nil {
			return err
		}
	}
	return nil
}
