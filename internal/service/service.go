// Package service wires everything together: it makes a poller and an accumulator for each
// source of each project, runs them, and changes to another configuration on a reload.
package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/logging"
	"github.com/workspace-exporter/workspace_exporter/internal/loginlog"
	"github.com/workspace-exporter/workspace_exporter/internal/source"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// Service fetches from every source of a configuration, and shows what it counted.
type Service struct {
	logger     log.Logger
	stderr     io.Writer
	factory    Clients
	exporter   *collector.Exporter
	exposition *collector.Exposition

	mu    sync.Mutex // held while the state changes, which may take long
	state            // guarded by mu
	store *store.Store
	// storeKey is the key that the store was opened with; empty if it has its own.
	storeKey string
	// stopPolls lets the polls under way take up to timeout, cancels them then, and waits
	// until all have ended.
	stopPolls func(timeout time.Duration)
	reloads   reloads

	// running is done when the service shuts down: then nothing that takes long goes on.
	running  context.Context
	shutDown context.CancelFunc

	// published is the state as others see it. Reading it never waits for a change.
	published atomic.Pointer[state]
}

// state is what a configuration is turned into.
type state struct {
	config   *config.Config
	sources  []*Source
	clients  []*workspace.Client // one for each project
	failures *loginlog.Log       // nil if it is off
}

// Source is one source of one project, with all that belongs to it.
type Source struct {
	title       string
	poller      *fetcher.Poller
	accumulator *collector.Accumulator
	day         *collector.Day
	metrics     *collector.SourceMetrics
	reconciler  *fetcher.Reconciler // nil if it is off
}

// New opens the store of cfg and loads what was counted before. It does not
// fetch yet.
func New(cfg *config.Config, l *logging.Log) (*Service, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(versioncollector.NewCollector("workspace_exporter"), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s := &Service{logger: l, stderr: l.Output, state: state{config: cfg}, exporter: collector.NewExporter(registry, fetcher.Reasons...), stopPolls: func(time.Duration) {}}
	s.running, s.shutDown = context.WithCancel(context.Background())
	s.exposition = collector.NewExposition(registry)
	s.exposition.Failed = func(err error) { level.Warn(l).Log("msg", "some metrics are missing from a scrape", "err", err) }
	s.exporter.LogLost(l.Lost)
	var err error
	if s.failures, err = s.openFailures(cfg); err != nil {
		return nil, err
	}
	if s.store, s.storeKey, err = openStore(cfg, l); err != nil {
		return nil, errors.Join(err, s.failures.Close())
	}
	if s.sources, s.state.clients, err = s.open(cfg, s.store, s.failures); err != nil {
		return nil, errors.Join(err, s.store.Close(), s.failures.Close())
	}
	s.publish()
	s.exporter.Reloaded(true, time.Now())
	return s, nil
}

// openStore opens the store of a configuration, and returns its key.
func openStore(cfg *config.Config, logger log.Logger) (st *store.Store, key string, err error) {
	if key, err = cfg.Storage.PseudonymKey.Read(); err != nil {
		return nil, "", fmt.Errorf("storage.pseudonym_key: %w", err)
	}
	st, err = store.Open(cfg.Storage.Path, storeOptions(key, logger)...)
	return st, key, err
}

func storeOptions(key string, logger log.Logger) []store.Option {
	options := []store.Option{store.Converting(collector.FromFormat1), store.LogTo(logger)}
	if key != "" {
		options = append(options, store.SealedBy([]byte(key)))
	}
	return options
}

// publish shows the state to others.
func (s *Service) publish() {
	accumulators := make([]*collector.Accumulator, len(s.sources))
	for i := range s.sources {
		accumulators[i] = s.sources[i].accumulator
	}
	s.exposition.Publish(accumulators, s.config.Metrics.ConstantLabels)
	published := s.state
	s.published.Store(&published)
}

// open makes the sources of a configuration, and the clients that they use.
func (s *Service) open(cfg *config.Config, st *store.Store, failures *loginlog.Log) (sources []*Source, clients []*workspace.Client, err error) {
	defer func() {
		if err != nil {
			closeAll(clients)
		}
	}()
	limits := collector.NewLimits(cfg.Metrics.MaxSeries, s.exporter.Limited())
	for _, p := range cfg.Projects {
		client, err := s.factory.New(cfg, p, s.exporter.Request(p.Name), s.logger)
		if err != nil {
			return nil, clients, err
		}
		clients = append(clients, client)
		project := &project{p, cfg.Metrics, client, s.exporter, limits, s.logger}
		if err := project.on(func(described *source.Source, block config.Block) error {
			opened, err := project.open(described, block, st, failures)
			sources = append(sources, opened)
			return err
		}); err != nil {
			return nil, clients, err
		}
	}
	return sources, clients, nil
}

// closeAll closes the connections of clients that are not used any more.
func closeAll(clients []*workspace.Client) {
	for _, c := range clients {
		c.Close()
	}
}

// openFailures opens the log of failed logins: nil if it is off.
func (s *Service) openFailures(cfg *config.Config) (*loginlog.Log, error) {
	c := cfg.FailedLoginsLog
	if c == nil {
		return nil, nil
	}
	o := loginlog.Options{Path: c.Path, Stderr: s.stderr, Lost: s.exporter.Unlogged, Logger: s.logger}
	if c.PseudonymKey.String() != "" {
		o.Key = c.PseudonymKey.Read
	}
	return loginlog.Open(o)
}

// Start begins to poll.
func (s *Service) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start()
}

func (s *Service) start() {
	ctx, cancel := context.WithCancel(s.running)
	last := make(chan struct{})
	var polls, others sync.WaitGroup
	for _, src := range s.sources {
		polls.Go(func() { src.poller.Run(ctx, last) })
		if src.reconciler != nil {
			others.Go(func() { src.reconciler.Run(ctx) })
		}
	}
	others.Go(func() { s.exposition.EndHolds(ctx, s.logger) })
	s.stopPolls = func(timeout time.Duration) {
		close(last)
		waitFor(ctx, timeout, &polls)
		cancel()
		polls.Wait()
		others.Wait()
		s.stopPolls = func(time.Duration) {}
	}
}

// waitFor waits for a group, but no longer than timeout or until ctx is done.
func waitFor(ctx context.Context, timeout time.Duration, group *sync.WaitGroup) {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Stop cancels the polls under way and lets commits finish. Nothing is started after it.
func (s *Service) Stop() {
	s.shutDown()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopPolls(0)
}

// Close cancels the polls under way, lets commits finish, and closes the store.
func (s *Service) Close() error {
	s.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	closeAll(s.state.clients)
	return errors.Join(s.store.Close(), s.failures.Close())
}

// PollOnce polls every source once. It returns the errors of all that failed.
func (s *Service) PollOnce(ctx context.Context) error {
	errs := make([]error, len(s.sources))
	var polls sync.WaitGroup
	for i, src := range s.sources {
		polls.Go(func() { errs[i] = src.poller.Poll(ctx) })
	}
	polls.Wait()
	return errors.Join(errs...)
}

// is reports whether two sources are the same one of the same project.
func (s *Source) is(other *Source) bool {
	a, b := s.poller.Status(), other.poller.Status()
	return a.Project == b.Project && a.Source == b.Source
}

// Config is the configuration in force.
func (s *Service) Config() *config.Config { return s.published.Load().config }

// Sources are the sources of the configuration in force.
func (s *Service) Sources() []*Source { return s.published.Load().sources }

// Title names the source in plain words.
func (s *Source) Title() string { return s.title }

// Status is the state of the source.
func (s *Source) Status() fetcher.Status { return s.poller.Status() }

// Day is what was counted in the last day.
func (s *Source) Day() []collector.Quarter { return s.day.Quarters() }

// Exposition answers scrapes.
func (s *Service) Exposition() *collector.Exposition { return s.exposition }
