package service

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/internal/lease"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// openedAtOnce is how many projects are loaded from a shared store at a time.
const openedAtOnce = 8

// reopenFor is for how long a project is opened again and again while the database cannot be
// used. Then it is left to others.
const reopenFor = 30 * time.Second

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
	database.OnLost(func(commits int64) { s.lostCommits.Add(commits) })
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
	return &store.Lease{Epoch: l.Epoch, Context: l.Context(), Lost: func(error) { s.keeper.Lose(l) }}
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
		case <-s.moves.changed:
		}
		s.mu.Lock()
		if ctx.Err() == nil {
			s.followOnce(ctx, keeper)
		} else {
			s.moves.signal() // to who follows another keeper
		}
		s.mu.Unlock()
	}
}

// followOnce never waits for a project: what stops or opens one reports its end to moves.
func (s *Service) followOnce(ctx context.Context, keeper *lease.Keeper) {
	use, giveBack := keeper.Held()
	s.stopProjects(use)
	for _, l := range giveBack {
		if p := s.polls[l.Project]; p == nil || p.lease != l {
			keeper.Stopped(l)
		}
	}
	s.startProjects(use)
	s.openProjects(ctx, use)
}

// moves are the projects that are being opened, and those that have been.
type moves struct {
	changed chan struct{} // has something in it when a project was opened, or has stopped
	slots   chan struct{} // each project that is being opened has one

	opening map[string]*lease.Lease // guarded by the service's mu
	mu      sync.Mutex
	opened  []*opened
}

// opened is a project that was opened.
type opened struct {
	lease   *lease.Lease
	state   *state // it was opened for
	sources []*Source
	err     error
}

func newMoves() *moves {
	return &moves{changed: make(chan struct{}, 1), slots: make(chan struct{}, openedAtOnce), opening: map[string]*lease.Lease{}}
}

func (m *moves) signal() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// put takes a project that was opened.
func (m *moves) put(o *opened) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opened = append(m.opened, o)
	m.signal()
}

// take returns those that were put, once.
func (m *moves) take() []*opened {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.opened
	m.opened = nil
	return all
}

// stopProjects has the projects whose leases are not held any more stop, and takes those that
// have stopped from what is shown.
func (s *Service) stopProjects(use map[string]*lease.Lease) {
	gone := map[string]bool{}
	for project, p := range s.polls {
		switch {
		case use[project] == p.lease:
		case p.stopped.Load():
			gone[project] = true
		case !p.stopping:
			p.stopping = true
			go func() {
				p.stop(0)
				p.stopped.Store(true)
				s.moves.signal()
			}()
		}
	}
	if len(gone) == 0 {
		return
	}
	current := *s.state.Load()
	var closed []*Source
	current.sources = slices.DeleteFunc(slices.Clone(current.sources), func(src *Source) bool {
		if gone[src.project] {
			closed = append(closed, src)
		}
		return gone[src.project]
	})
	s.publish(&current)
	closeAll(closed)
	for project := range gone {
		delete(s.polls, project)
	}
}

// openProjects opens the projects whose leases have been taken, a few at a time.
func (s *Service) openProjects(ctx context.Context, use map[string]*lease.Lease) {
	current := s.state.Load()
	for i, p := range current.config.Projects {
		l := use[p.Name]
		if l == nil || s.polls[p.Name] != nil || s.moves.opening[p.Name] == l {
			continue
		}
		s.moves.opening[p.Name] = l
		go func() {
			sources, err := s.openUnder(ctx, current, i, l)
			s.moves.put(&opened{l, current, sources, err})
		}()
	}
}

// openUnder opens the i-th project, once there is a slot. If it is the database that cannot be
// used, it tries again for a while: other replicas could do no better.
func (s *Service) openUnder(ctx context.Context, current *state, i int, l *lease.Lease) (sources []*Source, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.Context(), cancel)()
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval = time.Duration(current.config.Storage.Postgres.LeaseDuration) / 10
	for begun := time.Now(); ; {
		select {
		case s.moves.slots <- struct{}{}:
			sources, err = s.openProject(current, i, l)
			<-s.moves.slots
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		again := errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrLeaseLost) && time.Since(begun) < reopenFor
		if !again || s.state.Load().config != current.config {
			return sources, err
		}
		closeAll(sources)
		level.Warn(s.logger).Log("msg", "the project cannot be read yet, will retry", "project", l.Project, "err", err)
		select {
		case <-time.After(retry.NextBackOff()):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func closeAll(sources []*Source) {
	for _, src := range sources {
		src.close()
	}
}

// startProjects reads the projects that have been opened, if they still are to be read.
func (s *Service) startProjects(use map[string]*lease.Lease) {
	all := s.moves.take()
	if len(all) == 0 {
		return
	}
	current := *s.state.Load()
	var start []*opened
	for _, o := range all {
		project := o.lease.Project
		if s.moves.opening[project] == o.lease {
			delete(s.moves.opening, project)
		}
		held := use[project] == o.lease && s.polls[project] == nil && o.state.config == current.config
		if held && o.err == nil {
			current.sources = append(slices.Clip(current.sources), o.sources...)
			start = append(start, o)
			continue
		}
		closeAll(o.sources)
		if held {
			level.Error(s.logger).Log("msg", "the project cannot be read here; another replica may try, this one will retry", "project", project, "err", o.err)
			current.keeper.Fail(o.lease)
		}
	}
	if len(start) == 0 {
		return
	}
	s.inOrder(&current)
	s.publish(&current)
	for _, o := range start {
		s.polls[o.lease.Project] = startPolls(s.running, o.lease, o.sources)
	}
}

// inOrder puts the sources of a state in the order of the configuration.
func (s *Service) inOrder(current *state) {
	place := map[string]int{}
	for i, p := range current.config.Projects {
		place[p.Name] = i
	}
	slices.SortStableFunc(current.sources, func(a, b *Source) int { return place[a.project] - place[b.project] })
}

// close forgets a source that is not read here any more.
func (s *Source) close() {
	s.accumulator.Close()
	s.metrics.Forget()
}

// read are the projects that are read here, under leases that hold at this moment. A project
// that cannot be opened is not read by who has its lease.
func (s *state) read() map[string]bool {
	read := map[string]bool{}
	for _, src := range s.sources {
		read[src.project] = read[src.project] || src.lease.Valid()
	}
	return read
}

// leases are what /metrics shows of leases.
func (s *Service) leases() (l collector.Leases, ok bool) {
	current := s.state.Load()
	if current == nil || current.keeper == nil {
		return l, false
	}
	read := current.read()
	status := current.keeper.Status()
	l = collector.Leases{Held: map[string]bool{}, Taken: s.leasesTaken.Load(), Lost: s.leasesLost.Load(), LostCommits: s.lostCommits.Load(), Alike: status.Alike, Unlike: status.Unlike}
	for _, p := range current.config.Projects {
		l.Held[p.Name] = read[p.Name]
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
	read := current.read()
	r := &Replica{Status: current.keeper.Status(), Others: map[string]string{}}
	for _, p := range current.config.Projects {
		if read[p.Name] {
			r.Held = append(r.Held, p.Name)
		} else {
			r.Others[p.Name] = r.Holders[p.Name]
		}
	}
	return r
}
