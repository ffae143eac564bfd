package service

import (
	"errors"
	"fmt"

	"github.com/go-kit/log"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
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
	clients  []*workspace.Client // one for each project
	sources  []*Source
}

// prepare opens what a configuration needs beside its sources: the log of failed logins,
// the store and clients. A store that is open already is shared with the state before.
// What it returns is to be closed, also if there is an error.
func (s *Service) prepare(cfg *config.Config, before *state) (next *state, err error) {
	next = &state{config: cfg}
	if next.failures, err = s.openFailures(cfg); err != nil {
		return next, err
	}
	if before != nil && before.config.Storage.Path == cfg.Storage.Path {
		next.store, next.storeKey = before.store, before.storeKey
	} else if next.store, next.storeKey, err = openStore(cfg, s.logger); err != nil {
		return next, err
	}
	for _, p := range cfg.Projects {
		client, err := s.clients.New(cfg, p, s.exporter.Request(p.Name), s.logger)
		if err != nil {
			return next, err
		}
		next.clients = append(next.clients, client)
	}
	return next, nil
}

// openSources opens the sources of a state that is prepared.
func (s *Service) openSources(next *state) error {
	limits := collector.NewLimits(next.config.Metrics.MaxSeries, s.exporter.Limited())
	for i, p := range next.config.Projects {
		project := &project{p, next.config, next.clients[i], &s.clients, s.exporter, limits, s.logger}
		if err := project.on(func(described *source.Source, block config.Block) error {
			opened, err := project.open(described, block, next.store, next.failures)
			next.sources = append(next.sources, opened)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
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

// openStore opens the store of a configuration, and returns its key.
func openStore(cfg *config.Config, logger log.Logger) (st store.Store, key string, err error) {
	if key, err = cfg.Storage.PseudonymKey.Read(); err != nil {
		return nil, "", fmt.Errorf("storage.pseudonym_key: %w", err)
	}
	embedded, err := store.Open(cfg.Storage.Path, storeOptions(key, logger)...)
	if err != nil {
		return nil, "", err
	}
	return embedded, key, nil
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
