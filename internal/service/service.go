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
	"github.com/workspace-exporter/workspace_exporter/internal/logging"
)

// Service fetches from every source of a configuration, and shows what it counted.
type Service struct {
	logger     log.Logger
	stderr     io.Writer
	clients    Clients
	exporter   *collector.Exporter
	exposition *collector.Exposition

	// state is changed with mu held, which may take long. Reading it never waits.
	state atomic.Pointer[state]
	mu    sync.Mutex
	// polls are those of the projects that are polled. Guarded by mu, as what follows.
	polls     map[string]*polls
	stopHolds func()
	keeping   *keeping // of the leases; nil if the store is not shared
	moves     *moves
	reloads   reloads
	// refused is the last reload, if it failed; nil if it succeeded.
	refused atomic.Pointer[Refusal]

	leasesTaken, leasesLost, lostCommits atomic.Int64

	// running is done when the service shuts down: then nothing that takes long goes on.
	running  context.Context
	shutDown context.CancelFunc
}

// New opens the store of cfg and loads what was counted before. It does not fetch yet.
func New(cfg *config.Config, l *logging.Log) (*Service, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(versioncollector.NewCollector("workspace_exporter"), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s := &Service{logger: l, stderr: l.Output, exporter: collector.NewExporter(registry, fetcher.Reasons...),
		exposition: collector.NewExposition(registry), polls: map[string]*polls{}, stopHolds: func() {}, moves: newMoves()}
	s.running, s.shutDown = context.WithCancel(context.Background())
	s.exposition.Failed = func(err error) { level.Warn(l).Log("msg", "some metrics are missing from a scrape", "err", err) }
	s.exporter.LogLost(l.Lost)
	s.exporter.ShowLeases(s.leases)
	first, err := s.prepare(cfg, nil)
	if err == nil {
		err = s.openSources(first)
	}
	if err != nil {
		return nil, errors.Join(err, first.close(nil))
	}
	s.publish(first)
	if cfg.Shard.Divides() {
		s.exporter.Sharded(cfg.Shard.Number, cfg.Shard.Total)
	}
	s.exporter.Reloaded(true, time.Now())
	return s, nil
}

// publish puts a state in force.
func (s *Service) publish(current *state) {
	accumulators := make([]*collector.Accumulator, len(current.sources))
	for i, src := range current.sources {
		accumulators[i] = src.accumulator
	}
	s.exposition.Publish(accumulators, current.config.Metrics.ConstantLabels)
	s.state.Store(current)
}

// Start begins to poll.
func (s *Service) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start()
}

func (s *Service) start() {
	if s.running.Err() != nil {
		return
	}
	current := s.state.Load()
	byProject := map[string][]*Source{}
	for _, src := range current.sources {
		byProject[src.project] = append(byProject[src.project], src)
	}
	for project, sources := range byProject {
		s.polls[project] = startPolls(s.running, sources[0].lease, sources)
	}
	ctx, cancel := context.WithCancel(s.running)
	var holds sync.WaitGroup
	holds.Go(func() { s.exposition.EndHolds(ctx, s.logger) })
	s.stopHolds = func() {
		cancel()
		holds.Wait()
	}
	s.keepLeases()
}

// stopPolls stops all polls: see polls.stop.
func (s *Service) stopPolls(timeout time.Duration) {
	var all sync.WaitGroup
	for _, p := range s.polls {
		all.Go(func() { p.stop(timeout) })
	}
	all.Wait()
	clear(s.polls)
	s.stopHolds()
}

// Stop cancels the polls under way and lets commits finish. Nothing is started after it.
func (s *Service) Stop() {
	s.shutDown()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopPolls(0)
	s.leaveLeases()
}

// Close cancels the polls under way, lets commits finish, and closes the store.
func (s *Service) Close() error {
	s.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Load().close(nil)
}

// PollOnce polls every source once. Each error is logged; the one returned is how many
// sources failed.
func (s *Service) PollOnce(ctx context.Context) error {
	var failed atomic.Int64
	var polls sync.WaitGroup
	for _, src := range s.Sources() {
		polls.Go(func() {
			if src.poller.Poll(ctx) != nil {
				failed.Add(1)
			}
		})
	}
	polls.Wait()
	s.askStagesOnce(ctx)
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted: not every source was polled to its end")
	case failed.Load() > 0:
		return fmt.Errorf("%d of %d sources failed, for the reasons logged above", failed.Load(), len(s.Sources()))
	}
	return nil
}

// stagesTimeout is how long PollOnce may ask for stages.
const stagesTimeout = 30 * time.Second

// askStagesOnce asks for stages as far as their budgets go, and as long as it takes little
// time. What is not asked for waits in the store.
func (s *Service) askStagesOnce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stagesTimeout)
	defer cancel()
	var asking sync.WaitGroup
	for _, src := range s.Sources() {
		if src.stages != nil {
			asking.Go(func() { src.stages.RunOnce(ctx) })
		}
	}
	asking.Wait()
}

// Config is the configuration in force.
func (s *Service) Config() *config.Config { return s.state.Load().config }

// Sources are the sources of the configuration in force.
func (s *Service) Sources() []*Source { return s.state.Load().sources }

// Refused is why the last reload failed; nil if it succeeded, or if there was none.
func (s *Service) Refused() *Refusal { return s.refused.Load() }

// Exposition answers scrapes.
func (s *Service) Exposition() *collector.Exposition { return s.exposition }
