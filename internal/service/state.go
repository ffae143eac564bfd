package service

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/go-kit/log"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/lease"
	"github.com/workspace-exporter/workspace_exporter/internal/loginlog"
	"github.com/workspace-exporter/workspace_exporter/internal/source"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// state is what a configuration is turned into. It does not change once it is in force.
type state struct {
	config   *config.Config
	failures *loginlog.Log // nil if it is off
	store    store.Store
	storeKey string              // the store was opened with it; empty if it has its own
	keeper   *lease.Keeper       // nil if the store is not shared
	clients  []*workspace.Client // one for each project
	limits   *collector.Limits
	sources  []*Source // of the projects that are read here
}

// prepare opens what a configuration needs beside its sources: the log of failed logins,
// the store and clients. A store that is open already is shared with the state before.
// What it returns is to be closed, also if there is an error.
func (s *Service) prepare(cfg *config.Config, before *state) (next *state, err error) {
	next = &state{config: cfg}
	if next.failures, err = s.openFailures(cfg); err != nil {
		return next, err
	}
	next.limits = collector.NewLimits(cfg.Metrics.MaxSeries, s.exporter.Limited())
	if before != nil && sameStore(before.config, cfg) {
		next.store, next.storeKey, next.keeper = before.store, before.storeKey, before.keeper
	} else if err = s.openStore(next); err != nil {
		return next, err
	}
	next.clients, err = s.clients.New(cfg, s.exporter.Request, s.logger)
	return next, err
}

// sameStore reports whether two configurations have the same store.
func sameStore(a, b *config.Config) bool {
	return a.Storage.Path == b.Storage.Path && reflect.DeepEqual(a.Storage.Postgres, b.Storage.Postgres)
}

// openSources opens the sources of a state that is prepared: if the store is shared, those of
// the projects whose leases are held.
func (s *Service) openSources(next *state) error {
	var held map[string]*lease.Lease
	if next.keeper != nil {
		held, _ = next.keeper.Held()
	}
	for i, p := range next.config.Projects {
		l := held[p.Name]
		if next.keeper != nil && l == nil {
			continue
		}
		sources, err := s.openProject(next, i, l)
		if err != nil {
			return err
		}
		next.sources = append(next.sources, sources...)
	}
	return nil
}

// openProject opens the sources of the i-th project.
func (s *Service) openProject(current *state, i int, l *lease.Lease) (sources []*Source, err error) {
	project := &project{current.config.Projects[i], current.config, current.clients[i], &s.clients, s.exporter, current.limits, s.logger, s.exposition.Held}
	err = project.on(func(described *source.Source, block config.Block) error {
		opened, err := project.open(described, block, current, l)
		if err == nil {
			sources = append(sources, opened)
		}
		return err
	})
	return sources, err
}

// close closes what a state does not share with another one, which may be nil.
func (s *state) close(other *state) error {
	for _, c := range s.clients {
		c.Close()
	}
	if s.store == nil || other != nil && s.store == other.store {
		return s.failures.Close()
	}
	return errors.Join(s.store.Close(), s.failures.Close())
}

// openStore opens the store of a state's configuration.
func (s *Service) openStore(next *state) (err error) {
	storage := &next.config.Storage
	if next.storeKey, err = storage.PseudonymKey.Read(); err != nil {
		return fmt.Errorf("storage.pseudonym_key: %w", err)
	}
	if storage.Postgres != nil {
		return s.openShared(next)
	}
	embedded, err := store.Open(storage.Path, storeOptions(next.storeKey, s.logger)...)
	if err != nil {
		return err
	}
	next.store = embedded
	return nil
}

func storeOptions(key string, logger log.Logger) []store.Option {
	options := []store.Option{store.Converting(collector.FromFormat1), store.LogTo(logger)}
	if key != "" {
		options = append(options, store.SealedBy([]byte(key)))
	}
	return options
}

// openFailures opens the log of failed logins: nil if it is off.
func (s *Service) openFailures(cfg *config.Config) (*loginlog.Log, error) {
	c := cfg.FailedLoginsLog
	if c == nil {
		return nil, nil
	}
	o := loginlog.Options{Path: c.Path, Stderr: s.stderr, Explanations: cfg.Explanations(), Lost: s.exporter.Unlogged, Logger: s.logger}
	if c.PseudonymKey.String() != "" {
		o.Key = c.PseudonymKey.Read
	}
	return loginlog.Open(o)
}
