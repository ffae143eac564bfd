package command

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/version"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/internal/logging"
	"github.com/workspace-exporter/workspace_exporter/internal/service"
	"github.com/workspace-exporter/workspace_exporter/internal/web"
)

// WebOptions say how the exporter is seen from outside.
type WebOptions struct {
	web.Options
	// OpenMetricsCreatedSamples adds the creation times of counters to OpenMetrics, as
	// lines which Prometheus stores as series of their own.
	OpenMetricsCreatedSamples bool
}

// Run fetches and serves until it is told to end.
func Run(configFile string, o WebOptions, l *logging.Log) error { return serve(configFile, o, l) }

// endTime is how long the program may take to end. What is not done by then is abandoned,
// as in a crash: what was not committed is counted after the next start.
const endTime = 9 * time.Second

func serve(configFile string, o WebOptions, logger *logging.Log) error {
	// Listen to signals first: one that comes while a large store is loaded must
	// not be lost.
	ctx, stop := untilSignal()
	defer stop()
	return abandon(ctx, logger, func() error { return serveUntilSignal(ctx, configFile, o, logger) })
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

func serveUntilSignal(ctx context.Context, configFile string, o WebOptions, logger *logging.Log) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	level.Info(logger).Log("msg", "starting "+Name, "version", version.Version, "revision", version.GetRevision())
	cfg, err := loadAndWarn(configFile, logger)
	if err != nil {
		return err
	}
	s, err := service.New(cfg, logger)
	if err != nil {
		return err
	}
	s.Exposition().CreatedSamples = o.OpenMetricsCreatedSamples
	s.Start()
	e := &exporter{s, func() (*config.Config, error) { return loadAndWarn(configFile, logger) }}
	return errors.Join(e.serve(ctx, hangups, &o.Options, logger), s.Close())
}

// exporter is the service as the web sees it.
type exporter struct {
	*service.Service
	load func() (*config.Config, error)
}

// Answer implements web.Exporter.
func (e *exporter) Answer(ctx context.Context, s collector.Scrape) (*collector.Answer, error) {
	return e.Exposition().Answer(ctx, s)
}

// Sources implements web.Exporter.
func (e *exporter) Sources() []web.Source {
	var sources []web.Source
	for _, s := range e.Service.Sources() {
		sources = append(sources, web.Source{Status: s.Status(), Title: s.Title(), Day: s.Day()})
	}
	return sources
}

// Reload implements web.Exporter.
func (e *exporter) Reload() error { return e.Service.Reload(e.load) }

// serve answers HTTP until ctx ends, and reloads on each hang-up.
func (e *exporter) serve(ctx context.Context, hangups <-chan os.Signal, o *web.Options, logger log.Logger) error {
	server := web.NewServer(e, o, logger)
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	go e.reloadOn(ctx, hangups)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		level.Info(logger).Log("msg", "shutting down: cancelling polls, committing what is counted")
		e.Stop()
		server.Shutdown()
		return nil
	}
}

// reloadOn reloads on each hang-up, until ctx ends.
func (e *exporter) reloadOn(ctx context.Context, hangups <-chan os.Signal) {
	for {
		select {
		case <-hangups:
			_ = e.Reload() // it logs and counts its own failure
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
	cfg, err := loadAndWarn(configFile, logger)
	if err != nil {
		return err
	}
	cfg.Metrics.NewSeriesHold = 0 // nobody will see the value later
	s, err := service.New(cfg, logger)
	if err != nil {
		return err
	}
	polled := s.PollOnce(ctx)
	return errors.Join(polled, writeText(out, s.Exposition()), s.Close())
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
