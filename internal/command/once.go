package command

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/workspace-exporter/workspace_exporter/internal/logging"
	"github.com/workspace-exporter/workspace_exporter/internal/service"
)

// Once polls every source once and writes the metrics to out. It fails if a source
// failed; the metrics are written all the same.
func Once(file ConfigFile, out io.Writer, logger *logging.Log) error {
	ctx, stop := untilSignal()
	defer stop()
	cfg, err := file.loadAndWarn(logger)
	if err != nil {
		return err
	}
	if cfg.Storage.Postgres != nil {
		return fmt.Errorf("%w\n%s: --once needs storage.path: replicas share the projects of storage.postgres, and go on", ErrConfig, file.Path)
	}
	level.Info(logger).Log("msg", "counting in the store, where the next run goes on", "path", absolute(cfg.Storage.Path))
	cfg.Metrics.NewSeriesHold = 0 // there is no later scrape to show the value
	s, err := service.New(cfg, logger)
	if err != nil {
		return err
	}
	polled := s.PollOnce(ctx)
	return errors.Join(polled, writeText(out, s.Exposition()), s.Close())
}

// absolute is the whole path of a file, wherever the command was started.
func absolute(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
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
