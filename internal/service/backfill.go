package service

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
	"github.com/prometheus/client_golang/prometheus"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/internal/logging"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// BackfillOptions say which history to write, and where.
type BackfillOptions struct {
	// Since is where the history begins. Until is where it ends; zero: where the
	// counters of the store begin, source by source, or else where those of an exporter
	// that is started now would begin.
	Since, Until time.Time
	Step         time.Duration
	Sparse       bool              // few samples where nothing happens
	Metrics      []string          // names of those to write
	Labels       map[string]string // added to every series
	Output       string            // a file, or - for standard output
}

// headTime is how old history must be for Prometheus to take it safely: it holds newer
// time in memory.
const headTime = 3 * time.Hour

// backfill reads histories.
type backfill struct {
	BackfillOptions
	config  *config.Config
	service *Service
	began   map[sourceName]time.Time // where counters of the store begin
	now     time.Time
	bar     *progress
}

// sourceName names a source of a project.
type sourceName struct{ project, source string }

// Backfill reads the history of all sources of login records, and writes it as
// OpenMetrics. The store is looked at, and not changed.
func Backfill(ctx context.Context, cfg *config.Config, o BackfillOptions, logger *logging.Log) error {
	cfg.Metrics.ConstantLabels = merged(cfg.Metrics.ConstantLabels, o.Labels)
	b := &backfill{BackfillOptions: o, config: cfg, now: time.Now(), bar: newProgress(os.Stderr, logger),
		service: &Service{logger: logger, exporter: collector.NewExporter(prometheus.NewRegistry())}}
	if oldest := b.now.Add(-fetcher.MaxAge); o.Since.Before(oldest) {
		b.Since = oldest.Add(time.Minute).Truncate(time.Second) // leaves time for the first request
		level.Info(logger).Log("msg", "the API keeps 30 days; history begins there", "since", b.Since.UTC().Format(time.RFC3339))
	}
	if o.Until.IsZero() {
		if err := b.findBeginnings(); err != nil {
			return err
		}
	}
	histories, err := b.read(ctx)
	if err != nil {
		return err
	}
	level.Info(logger).Log("msg", "writing", "output", o.Output)
	if err := toFile(o.Output, func(out io.Writer) error { return collector.WriteHistories(out, histories, o.Metrics) }); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	return nil
}

func merged(sets ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, set := range sets {
		maps.Copy(all, set)
	}
	return all
}

// findBeginnings looks into the store for where its counters begin.
func (b *backfill) findBeginnings() error {
	key, err := b.config.Storage.PseudonymKey.Read()
	if err != nil {
		return fmt.Errorf("storage.pseudonym_key: %w", err)
	}
	err = store.ReadCopy(b.config.Storage.Path, func(st *store.Store) error {
		b.began = map[sourceName]time.Time{} // a copy before this one may have been torn
		for _, p := range b.config.Projects {
			for _, source := range []string{UserConnections, DesktopConnections} {
				began, ok, err := collector.Began(st.Partition(p.Name, source))
				if err != nil {
					return err
				}
				if ok {
					b.began[sourceName{p.Name, source}] = began.Truncate(time.Second)
				}
			}
		}
		return nil
	}, storeOptions(key, log.NewNopLogger())...)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot see where the counters begin, and history ends; give --until: %w", err)
	}
	return nil
}

// end is where the history of a source ends.
func (b *backfill) end(name sourceName, initialLookback time.Duration) time.Time {
	if !b.Until.IsZero() {
		return b.Until
	}
	logger := log.With(b.service.logger, "project", name.project, "source", name.source)
	end, ok := b.began[name]
	if !ok {
		end = b.now.Add(-initialLookback).Truncate(time.Second)
		level.Warn(logger).Log("msg", "the store has no counters of this source: history ends where those of an exporter that is started now begin; if one runs elsewhere, give --until",
			"until", end.UTC().Format(time.RFC3339))
		return end
	}
	level.Info(logger).Log("msg", "history ends where the counters of the store begin", "until", end.UTC().Format(time.RFC3339))
	if b.now.Sub(end) < headTime {
		level.Warn(logger).Log("msg", "Prometheus does not take blocks of its last three hours safely: run this later", "until", end.UTC().Format(time.RFC3339))
	}
	return end
}

// read reads the histories of all sources, one after the other.
func (b *backfill) read(ctx context.Context) ([]*collector.History, error) {
	limits := collector.NewLimits(b.config.Metrics.MaxSeries, b.service.exporter.Limited())
	var histories []*collector.History
	for _, p := range b.config.Projects {
		client, err := b.service.factory.New(b.config, p, nil, b.service.logger)
		if err != nil {
			return nil, err
		}
		o := &opener{service: b.service, config: b.config, project: p, limits: limits, client: client}
		if c := p.Sources.UserConnections; c != nil {
			err = b.readSource(ctx, o, userConnectionsOptions(c), c.Source, c.Window, &histories,
				func(m *collector.SourceMetrics) (ways, error) {
					return o.waysToUserConnections(c, export.NoMemory{}, m)
				})
		}
		if c := p.Sources.DesktopConnections; c != nil && err == nil {
			err = b.readSource(ctx, o, desktopConnectionsOptions(c), c.Source, c.Window, &histories,
				func(m *collector.SourceMetrics) (ways, error) {
					return o.waysToDesktopConnections(c, export.NoMemory{}, m)
				})
		}
		if err != nil {
			return nil, fmt.Errorf("project %q: %w", p.Name, err)
		}
	}
	if len(histories) == 0 {
		return nil, errors.New("nothing to write: no source of login records has a history in that time; Sessions and access statistics have none")
	}
	return histories, nil
}

// readSource adds the history of one source.
func (b *backfill) readSource(ctx context.Context, o *opener, options collector.Options, c config.Source, w config.Window,
	histories *[]*collector.History, find func(*collector.SourceMetrics) (ways, error)) error {
	name := sourceName{o.project.Name, options.Source}
	period := collector.Period{Since: b.Since, Until: b.end(name, time.Duration(w.InitialLookback)), Step: b.Step, Sparse: b.Sparse}
	if !period.Since.Before(period.Until) {
		level.Warn(b.service.logger).Log("msg", "no history: it would end before it begins", "project", name.project, "source", name.source,
			"since", period.Since.UTC().Format(time.RFC3339), "until", period.Until.UTC().Format(time.RFC3339))
		return nil
	}
	metrics := b.service.exporter.Source(name.project, name.source)
	from, err := find(metrics)
	if err != nil {
		return err
	}
	h := collector.NewHistory(o.complete(options), period)
	poller, err := fetcher.NewHistory(from.from, watched{h, b.bar.of(name, period)}, metrics, period.Since, period.Until, o.options(options.Source, c, w))
	if err != nil {
		return err
	}
	if err := poller.Finish(ctx); err != nil {
		return err
	}
	*histories = append(*histories, h)
	return nil
}

// watched is a history that tells how far it has come.
type watched struct {
	*collector.History
	seen func(to time.Time, records int)
}

// Commit implements fetcher.Accumulator.
func (w watched) Commit(r *record.Batch) error {
	if err := w.History.Commit(r); err != nil {
		return err
	}
	w.seen(r.To, len(r.Logins))
	return nil
}

// toFile has write write to standard output, or a file of its owner alone, which is there
// when it is whole.
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
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.part")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := errors.Join(write(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
