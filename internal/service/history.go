package service

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/internal/source"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// HistorySource is a source whose past can be read: the API keeps its records for weeks.
type HistorySource struct {
	Project, Source string
	// InitialLookback is how far back the first poll of an exporter begins.
	InitialLookback time.Duration
	// Counting are the options of what counts the records.
	Counting collector.Options

	opening *source.Opening
}

// NewPoller returns a poller of the records of a window.
func (h *HistorySource) NewPoller(a fetcher.HistoryAccumulator, from, to time.Time) (*fetcher.Poller, error) {
	return h.opening.HistoryPoller(a, from, to)
}

// HistorySources are the sources of a configuration that have a history.
func HistorySources(cfg *config.Config, logger log.Logger) ([]*HistorySource, error) {
	exporter := collector.NewExporter(prometheus.NewRegistry())
	limits := collector.NewLimits(cfg.Metrics.MaxSeries, exporter.Limited())
	var clients Clients
	made, err := clients.New(cfg, nil, logger)
	if err != nil {
		return nil, err
	}
	var list []*HistorySource
	for i, p := range cfg.Projects {
		project := &project{p, cfg, made[i], &clients, exporter, limits, logger, nil}
		if err := project.on(func(s *source.Source, block config.Block) error {
			if s.HasHistory() {
				list = append(list, &HistorySource{Project: p.Name, Source: s.Name, InitialLookback: s.InitialLookback(block),
					Counting: project.counting(s, block), opening: project.opening(s, block, export.NoMemory{})})
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// StoredCodes are the failure codes of a source in a store.
type StoredCodes struct {
	Product string
	Codes   []collector.FailureCode
}

// ReadCodes reads the failure codes of each source that is on from the store of a
// configuration, which may be open elsewhere.
func ReadCodes(cfg *config.Config) (all []StoredCodes, err error) {
	exporter := collector.NewExporter(prometheus.NewRegistry())
	err = ReadStore(cfg, func(st store.Store) error {
		all = nil // of a copy that was torn
		for _, p := range cfg.Projects {
			project := &project{Project: p, config: cfg, exporter: exporter, limits: collector.NewLimits(cfg.Metrics.MaxSeries, exporter.Limited()), logger: log.NewNopLogger()}
			if err := project.on(func(s *source.Source, block config.Block) error {
				accumulator, err := collector.Open(st.Partition(p.Name, s.Name, nil), project.counting(s, block))
				if err == nil {
					all = append(all, StoredCodes{s.Product, accumulator.FailureCodes()})
				}
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// ReadStore calls read with the store of a configuration, which may be open elsewhere. Of a
// store in a folder that is a copy; again if that copy turns out to be torn.
func ReadStore(cfg *config.Config, read func(store.Store) error) error {
	if cfg.Storage.Postgres != nil {
		database, err := OpenDatabase(cfg, true, log.NewNopLogger())
		if err != nil {
			return err
		}
		return errors.Join(read(database), database.Close())
	}
	key, err := cfg.Storage.PseudonymKey.Read()
	if err != nil {
		return fmt.Errorf("storage.pseudonym_key: %w", err)
	}
	return store.ReadCopy(cfg.Storage.Path, read, storeOptions(key, log.NewNopLogger())...)
}
