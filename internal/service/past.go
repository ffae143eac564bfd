package service

import (
	"fmt"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// Past is a source of login records, of which the API still has those of the last weeks.
type Past struct {
	Project, Source string
	// InitialLookback is how far back the first poll of an exporter begins.
	InitialLookback time.Duration
	// Counting are the options of what counts the records.
	Counting collector.Options

	from    fetcher.LoginSource
	metrics *collector.SourceMetrics
	options fetcher.Options
}

// NewPoller returns a poller of the records of a window.
func (p *Past) NewPoller(a fetcher.HistoryAccumulator, from, to time.Time) (*fetcher.Poller, error) {
	return fetcher.NewPoller(&fetcher.History{Source: p.from, From: from, To: to, Skip: a.Skip}, a, p.metrics, p.options)
}

// Pasts are the sources of login records that a configuration has.
func Pasts(cfg *config.Config, logger log.Logger) ([]*Past, error) {
	s := &Service{logger: logger, exporter: collector.NewExporter(prometheus.NewRegistry())}
	limits := collector.NewLimits(cfg.Metrics.MaxSeries, s.exporter.Limited())
	var pasts []*Past
	for _, p := range cfg.Projects {
		client, err := s.factory.New(cfg, p, nil, logger)
		if err != nil {
			return nil, err
		}
		o := &opener{service: s, config: cfg, project: p, limits: limits, client: client}
		if c := p.Sources.UserConnections; c != nil {
			past := o.past(userConnectionsOptions(c), c.Source, c.Window)
			w, err := o.waysToUserConnections(c, export.NoMemory{}, past.metrics)
			if err != nil {
				return nil, fmt.Errorf("project %q: %w", p.Name, err)
			}
			past.from = w.from
			pasts = append(pasts, past)
		}
		if c := p.Sources.DesktopConnections; c != nil {
			past := o.past(desktopConnectionsOptions(c), c.Source, c.Window)
			w, err := o.waysToDesktopConnections(c, export.NoMemory{}, past.metrics)
			if err != nil {
				return nil, fmt.Errorf("project %q: %w", p.Name, err)
			}
			past.from = w.from
			pasts = append(pasts, past)
		}
	}
	return pasts, nil
}

func (o *opener) past(counting collector.Options, c config.Source, w config.Window) *Past {
	return &Past{Project: o.project.Name, Source: counting.Source, InitialLookback: time.Duration(w.InitialLookback), Counting: o.complete(counting),
		metrics: o.service.exporter.Source(o.project.Name, counting.Source), options: o.options(counting.Source, c)}
}

// ReadStore calls read with a copy of the store of a configuration, which may be open
// elsewhere; again if that copy turns out to be torn.
func ReadStore(cfg *config.Config, read func(*store.Store) error) error {
	key, err := cfg.Storage.PseudonymKey.Read()
	if err != nil {
		return fmt.Errorf("storage.pseudonym_key: %w", err)
	}
	return store.ReadCopy(cfg.Storage.Path, read, storeOptions(key, log.NewNopLogger())...)
}
