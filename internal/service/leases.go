package service

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-kit/log/level"
	"golang.org/x/sync/errgroup"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/internal/lease"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// openedAtOnce is how many projects are loaded from a shared store at a time.
const openedAtOnce = 8

// keeping is what keeps leases while it runs.
type keeping struct {
	keeper *lease.Keeper
	stop   func()
}

// openShared opens a store that several replicas share. It does not connect yet.
func (s *Service) openShared(next *state) error {
	database, err := OpenDatabase(next.config, false, s.logger)
	if err != nil {
		return err
	}
	next.store = database
	next.keeper = lease.NewKeeper(database.Leases(), lease.Options{Duration: time.Duration(next.config.Storage.Postgres.LeaseDuration), Logger: s.logger,
		Taken: func(n int) { s.leasesTaken.Add(int64(n)) }, Lost: func(n int) { s.leasesLost.Add(int64(n)) }})
	return nil
}

// storeLease is a lease as the store needs it.
func (s *state) storeLease(l *lease.Lease) *store.Lease {
	if l == nil {
		return nil
	}
	return &store.Lease{Epoch: l.Epoch, Lost: func(error) { s.keeper.Lose(l) }}
}

// keepLeases takes the leases that are due to this replica, and reads their projects. If it
// does already, the configuration may have changed.
func (s *Service) keepLeases() {
	current := s.state.Load()
	if current.keeper == nil {
		return
	}
	names, ids := make([]string, len(current.config.Projects)), make([]string, len(current.config.Projects))
	for i, p := range current.config.Projects {
		names[i], ids[i] = p.Name, p.Name+" "+p.ProjectID
	}
	slices.Sort(ids) // the order in the configuration does not matter
	current.keeper.Know(names, strings.Join(ids, " "))
	if s.keeping != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.running)
	var running sync.WaitGroup
	running.Go(func() { current.keeper.Run(ctx) })
	go s.followLeases(ctx, current.keeper) // not waited for: it may wait for s.mu
	s.keeping = &keeping{current.keeper, func() {
		cancel()
		running.Wait()
	}}
}

// leaveLeases gives all leases back, at once. The polls have been stopped.
func (s *Service) leaveLeases() {
	if s.keeping != nil {
		s.keeping.stop()
		s.keeping.keeper.Leave()
		s.keeping = nil
	}
}

// followLeases reads the projects whose leases are held, and no others, until ctx ends.
func (s *Service) followLeases(ctx context.Context, keeper *lease.Keeper) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-keeper.Changed():
		}
		s.mu.Lock()
		if ctx.Err() == nil {
			s.followOnce(ctx, keeper)
		}
		s.mu.Unlock()
	}
}

func (s *Service) followOnce(ctx context.Context, keeper *lease.Keeper) {
	use, giveBack := keeper.Held()
	s.stopProjects(use)
	for _, l := range giveBack {
		keeper.Stopped(l)
	}
	s.startProjects(ctx, use)
}

// stopProjects stops to read the projects whose leases are not held any more, and takes them
// from what is shown.
func (s *Service) stopProjects(use map[string]*lease.Lease) {
	gone := map[string]bool{}
	var all sync.WaitGroup
	for project, p := range s.polls {
		if use[project] != p.lease {
			gone[project] = true
			all.Go(func() { p.stop(0) })
		}
	}
	if len(gone) == 0 {
		return
	}
	all.Wait()
	current := *s.state.Load()
	var closed []*Source
	current.sources = slices.DeleteFunc(slices.Clone(current.sources), func(src *Source) bool {
		if gone[src.project] {
			closed = append(closed, src)
		}
		return gone[src.project]
	})
	s.publish(&current)
	for _, src := range closed {
		src.close()
	}
	for project := range gone {
		delete(s.polls, project)
	}
}

// startProjects reads the projects whose leases have been taken.
func (s *Service) startProjects(ctx context.Context, use map[string]*lease.Lease) {
	current := *s.state.Load()
	opened := make([][]*Source, len(current.config.Projects))
	var opening errgroup.Group
	opening.SetLimit(openedAtOnce)
	for i, p := range current.config.Projects {
		l := use[p.Name]
		if l == nil || s.polls[p.Name] != nil {
			continue
		}
		opening.Go(func() error {
			if ctx.Err() != nil || !l.Valid() {
				return nil
			}
			sources, err := s.openProject(&current, i, l)
			if err != nil {
				level.Error(s.logger).Log("msg", "the project cannot be read here; another replica may try, this one will retry", "project", p.Name, "err", err)
				for _, src := range sources {
					src.close()
				}
				current.keeper.Fail(l)
				return nil
			}
			opened[i] = sources
			return nil
		})
	}
	_ = opening.Wait() // none has failed: see above
	current.sources = s.inOrder(&current, opened)
	s.publish(&current)
	for i, p := range current.config.Projects {
		if len(opened[i]) > 0 {
			s.polls[p.Name] = startPolls(s.running, use[p.Name], opened[i])
		}
	}
}

// inOrder are the sources of a state and those opened, in the order of the configuration.
func (s *Service) inOrder(current *state, opened [][]*Source) []*Source {
	place := map[string]int{}
	for i, p := range current.config.Projects {
		place[p.Name] = i
	}
	all := slices.Concat(current.sources, slices.Concat(opened...))
	slices.SortStableFunc(all, func(a, b *Source) int { return place[a.project] - place[b.project] })
	return all
}

// close forgets a source that is not read here any more.
func (s *Source) close() {
	s.accumulator.Close()
	s.metrics.Forget()
}

// leases are what /metrics shows of leases.
func (s *Service) leases() (l collector.Leases, ok bool) {
	current := s.state.Load()
	if current == nil || current.keeper == nil {
		return l, false
	}
	use, _ := current.keeper.Held()
	status := current.keeper.Status()
	l = collector.Leases{Held: map[string]bool{}, Taken: s.leasesTaken.Load(), Lost: s.leasesLost.Load(), Alike: status.Alike, Unlike: status.Unlike}
	for _, p := range current.config.Projects {
		l.Held[p.Name] = use[p.Name] != nil
	}
	return l, true
}

// Replica is what is known of the replicas that share the store.
type Replica struct {
	lease.Status
	// Held are the projects that are read here, and Others those that are not, with the replica
	// that reads them: empty if none does.
	Held   []string
	Others map[string]string
}

// Replica reports how projects are divided; nil if the store is not shared.
func (s *Service) Replica() *Replica {
	current := s.state.Load()
	if current.keeper == nil {
		return nil
	}
	use, _ := current.keeper.Held()
	r := &Replica{Status: current.keeper.Status(), Others: map[string]string{}}
	for _, p := range current.config.Projects {
		if use[p.Name] != nil {
			r.Held = append(r.Held, p.Name)
		} else {
			r.Others[p.Name] = r.Holders[p.Name]
		}
	}
	return r
}
