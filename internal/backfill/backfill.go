// Package backfill writes the history of the login records that the API still has, as
// OpenMetrics: by how much each counter would have increased, step by step. Records are read
// and counted as in a running exporter. What differs is here: a record counts at its own
// time, and the increase of each step is kept.
package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/logging"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/service"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// headTime is how old history must be for Prometheus to take it safely: it holds newer
// time in memory.
const headTime = 3 * time.Hour

// backfill is one run.
type backfill struct {
	Options
	sources []*service.HistorySource
	began   map[*service.HistorySource]time.Time // where counters of the store begin
	now     time.Time
	logger  log.Logger
	bar     *progress
}

// Run reads the history of all sources of login records, and writes it. The store is read,
// and not changed.
func Run(ctx context.Context, cfg *config.Config, o Options, logger *logging.Log) error {
	labels := map[string]string{}
	maps.Copy(labels, cfg.Metrics.ConstantLabels)
	maps.Copy(labels, o.Labels)
	cfg.Metrics.ConstantLabels = labels
	sources, err := service.HistorySources(cfg, logger)
	if err != nil {
		return err
	}
	b := &backfill{Options: o, sources: sources, now: time.Now(), logger: logger, bar: newProgress(os.Stderr, logger)}
	if oldest := b.now.Add(-cursor.Reach); o.Since.Before(oldest) {
		b.Since = oldest.Add(time.Minute).Truncate(time.Second) // leaves time for the first request
		level.Info(logger).Log("msg", "the API keeps 30 days; history begins there", "since", b.Since.UTC().Format(time.RFC3339))
	}
	if o.Until.IsZero() {
		if err := b.findBeginnings(cfg); err != nil {
			return err
		}
	}
	if err := tryFile(o.Output); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	histories, err := b.read(ctx)
	if err != nil {
		return err
	}
	return b.write(histories)
}

// write writes histories. Its size is known before: it is written twice, first to nowhere.
func (b *backfill) write(histories []*history) error {
	var size counter
	if err := write(&size, histories, b.Metrics); err != nil {
		return err
	}
	level.Info(b.logger).Log("msg", "writing", "output", b.Output, "size", megabytes(int64(size)))
	if err := toFile(b.Output, func(out io.Writer) error {
		if b.Output != "-" {
			out = b.bar.writing(out, int64(size))
		}
		return write(out, histories, b.Metrics)
	}); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	file := b.Output
	if file == "-" {
		file = "FILE"
	}
	level.Info(b.logger).Log("msg", "history written; next, make blocks of it, and move them into the data directory of Prometheus: docs/backfill.md has the steps",
		"command", "promtool tsdb create-blocks-from --max-block-duration=720h openmetrics "+file+" blocks")
	for _, name := range []string{"job", "instance"} {
		if b.Labels[name] == "" {
			level.Warn(b.logger).Log("msg", "the history has no label "+name+": it does not join the live series; give that of the live ones by --label, or to promtool", "label", name)
		}
	}
	return nil
}

// counter is a writer that counts bytes.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// findBeginnings reads from the store where its counters begin.
func (b *backfill) findBeginnings(cfg *config.Config) error {
	err := service.ReadStore(cfg, func(st store.Store) error {
		b.began = map[*service.HistorySource]time.Time{} // a copy before this one may have been torn
		for _, s := range b.sources {
			began, ok, err := collector.Began(st.Partition(s.Project, s.Source, nil))
			if err != nil {
				return err
			}
			if ok {
				b.began[s] = began.Truncate(time.Second)
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read where the counters of the store begin, which is where the history ends; give --until: %w", err)
	}
	return nil
}

// end is where the history of a source ends.
func (b *backfill) end(s *service.HistorySource) time.Time {
	if !b.Until.IsZero() {
		return b.Until
	}
	logger := log.With(b.logger, "project", s.Project, "source", s.Source)
	end, ok := b.began[s]
	if !ok {
		end = b.now.Add(-s.InitialLookback).Truncate(time.Second)
		level.Warn(logger).Log("msg", "the store has no counters of this source: the history ends where those of an exporter started now would begin; if one runs elsewhere, give --until",
			"until", end.UTC().Format(time.RFC3339))
		return end
	}
	level.Info(logger).Log("msg", "history ends where the counters of the store begin", "until", end.UTC().Format(time.RFC3339))
	if b.now.Sub(end) < headTime {
		level.Warn(logger).Log("msg", "the history ends less than three hours ago, where Prometheus cannot take blocks safely: run backfill again later", "until", end.UTC().Format(time.RFC3339))
	}
	return end
}

// read reads the histories of all sources, one after the other.
func (b *backfill) read(ctx context.Context) ([]*history, error) {
	var histories []*history
	for _, s := range b.sources {
		p := period{since: b.Since, until: b.end(s), step: b.Step, sparse: b.Sparse}
		if !p.since.Before(p.until) {
			level.Warn(b.logger).Log("msg", "skipped: the history would end before it begins", "project", s.Project, "source", s.Source,
				"since", p.since.UTC().Format(time.RFC3339), "until", p.until.UTC().Format(time.RFC3339))
			continue
		}
		h := newHistory(s.Counting, p)
		if err := b.readSource(ctx, s, h); err != nil {
			return nil, fmt.Errorf("project %q: %w", s.Project, err)
		}
		if h.misplaced > 0 {
			level.Warn(b.logger).Log("msg", "the API shows records outside the windows that it is asked for: those that may have been counted before, or by the exporter, are left out of the history",
				"project", s.Project, "source", s.Source, "records", h.misplaced)
		}
		histories = append(histories, h)
	}
	if len(histories) == 0 {
		return nil, errors.New("nothing to write: no source of login records has a history in that period; other sources have none at all")
	}
	return histories, nil
}

func (b *backfill) readSource(ctx context.Context, s *service.HistorySource, h *history) error {
	poller, err := s.NewPoller(watched{h, b.bar.of(s, h.period)}, h.period.since, h.period.until)
	if err != nil {
		return err
	}
	return poller.Finish(ctx)
}

// watched is a history that reports how far it has been read.
type watched struct {
	*history
	report func(to time.Time, records int)
}

// Commit implements fetcher.Accumulator.
func (w watched) Commit(b *record.Batch) error {
	if err := w.history.Commit(b); err != nil {
		return err
	}
	w.report(b.To, len(b.Logins))
	return nil
}

// toFile calls write with standard output, or with a file that only its owner may read and
// that appears when it is complete.
func toFile(name string, write func(io.Writer) error) error {
	if name == "-" {
		return write(os.Stdout)
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() { // a pipe, say
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	f, err := createPart(name)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := errors.Join(write(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// createPart creates the file that is renamed to name when it is complete.
func createPart(name string) (*os.File, error) {
	return os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.part")
}

// tryFile fails if toFile would: history may take an hour to read, and would be lost.
func tryFile(name string) error {
	if name == "-" {
		return nil
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		if info.IsDir() {
			return fmt.Errorf("%s is a folder: name a file in it", name)
		}
		return nil // to open a pipe would end what reads it
	}
	f, err := createPart(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
