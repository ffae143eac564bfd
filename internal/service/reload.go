package service

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/config"
)

// pollTimeout is how long a reload waits for the polls under way. So polls succeed however
// often a reload comes.
const pollTimeout = 10 * time.Second

var errShutDown = errors.New("the exporter is shutting down")

// reloads lets all requests for a reload that come while one is under way share the next.
type reloads struct {
	mu   sync.Mutex
	next *reload // requested, and not begun
}

// reload is one reload, and how it ended.
type reload struct {
	done chan struct{}
	err  error
}

// join returns the next reload, and whether the caller has to do it.
func (r *reloads) join() (next *reload, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next != nil {
		return r.next, false
	}
	r.next = &reload{done: make(chan struct{})}
	return r.next, true
}

// begin is called when the next reload begins: requests from now on get another.
func (r *reloads) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = nil
}

// Refusal is a reload that failed.
type Refusal struct {
	Err error
	At  time.Time
}

// Reload changes to another configuration. If any part of that fails, the old
// configuration stays in force.
func (s *Service) Reload(load func() (*config.Config, error)) error {
	next, first := s.reloads.join()
	if !first {
		<-next.done
		return next.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reloads.begin()
	next.err = s.reload(load)
	close(next.done)
	return next.err
}

func (s *Service) reload(load func() (*config.Config, error)) error {
	if s.running.Err() != nil {
		return errShutDown
	}
	err := s.change(load)
	s.exporter.Reloaded(err == nil, time.Now())
	if err != nil {
		s.refused.Store(&Refusal{err, time.Now()})
		level.Error(s.logger).Log("msg", "configuration not reloaded, the old one stays", "err", strings.ReplaceAll(err.Error(), "\n", "; "))
		return err
	}
	s.refused.Store(nil)
	level.Info(s.logger).Log("msg", "configuration reloaded")
	return nil
}

func (s *Service) change(load func() (*config.Config, error)) error {
	cfg, err := load()
	if err != nil {
		return err
	}
	if err := s.checkKey(cfg); err != nil {
		return err
	}
	if same(cfg, s.state.Load().config) {
		return s.reopen(cfg)
	}
	return s.replace(cfg)
}

// checkKey refuses a new key for the store that is open: its content can be read with the
// key of the start alone.
func (s *Service) checkKey(cfg *config.Config) error {
	if !sameStore(cfg, s.state.Load().config) {
		return nil
	}
	key, err := cfg.Storage.PseudonymKey.Read()
	if err != nil {
		return fmt.Errorf("storage.pseudonym_key: %w", err)
	}
	if key != s.state.Load().storeKey {
		return errors.New("storage.pseudonym_key or its file has changed: a key can be given to a store that has none, by a restart of the exporter, and not be changed or taken away")
	}
	return nil
}

// same reports whether two configurations are equal. The files that they name may differ.
func same(a, b *config.Config) bool {
	one, other := *a, *b
	one.Warnings, other.Warnings = nil, nil
	return reflect.DeepEqual(one, other)
}

// reopen reopens what is read only once: certificates, the headers for a proxy, the log of
// failed logins. Polls go on meanwhile.
func (s *Service) reopen(cfg *config.Config) error {
	transports, err := transports(cfg)
	if err != nil {
		return err
	}
	if err := s.state.Load().failures.Reopen(); err != nil {
		return err
	}
	for i, client := range s.state.Load().clients {
		client.SetTransport(transports[i])
	}
	return nil
}

// replace stops the polls and starts again with another configuration.
func (s *Service) replace(cfg *config.Config) error {
	old := s.state.Load()
	next, err := s.prepare(cfg, old)
	if err != nil {
		return errors.Join(err, next.close(old))
	}
	s.stopPolls(pollTimeout)
	defer s.start() // the new state, or again the old one
	if err := s.openSources(next); err != nil {
		return errors.Join(err, next.close(old))
	}
	for _, src := range next.sources {
		if i := slices.IndexFunc(old.sources, src.is); i >= 0 {
			src.poller.Inherit(old.sources[i].poller)
		}
	}
	s.publish(next)
	if s.keeping != nil && s.keeping.keeper != next.keeper {
		s.leaveLeases()
	}
	if !sameStore(old.config, cfg) {
		level.Warn(s.logger).Log("msg", storageKey(old.config, cfg)+" has changed: counters go on as the new store has them, and without one they begin anew; "+
			"to keep those of the old one, move its content while the exporter is stopped", "old", old.config.Storage.Place(), "new", cfg.Storage.Place())
	}
	for _, gone := range old.sources {
		if !slices.ContainsFunc(next.sources, func(src *Source) bool { return src.is(gone) }) {
			gone.metrics.Forget()
		}
	}
	return old.close(next)
}

// storageKey is the key of the configuration that has changed.
func storageKey(a, b *config.Config) string {
	if a.Storage.Postgres == nil && b.Storage.Postgres == nil {
		return "storage.path"
	}
	return "storage"
}
