package service

import (
	"fmt"
	"time"

	"github.com/go-kit/log"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/lease"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/loginlog"
	"github.com/workspace-exporter/workspace_exporter/internal/source"
	"github.com/workspace-exporter/workspace_exporter/internal/tasknotes"
)

// Source is one source of one project, with all that belongs to it.
type Source struct {
	project     string
	lease       *lease.Lease // nil if the store is not shared
	title       string
	poller      *fetcher.Poller
	accumulator *collector.Accumulator
	day         *collector.Day
	metrics     *collector.SourceMetrics
	reconciler  *fetcher.Reconciler // nil if it is off
	stages      *fetcher.Stages     // likewise
}

// Title names the source in plain words.
func (s *Source) Title() string { return s.title }

// Status is the state of the source.
func (s *Source) Status() fetcher.Status { return s.poller.Status() }

// Day is what was counted in the last day.
func (s *Source) Day() []collector.Quarter { return s.day.Quarters() }

// Codes are the codes of all failures that are counted.
func (s *Source) Codes() []collector.FailureCode { return s.accumulator.FailureCodes() }

// Headlines are what was there as of the last poll.
func (s *Source) Headlines() []collector.Headline { return s.accumulator.Headlines() }

// is reports whether two sources are the same one of the same project.
func (s *Source) is(other *Source) bool {
	a, b := s.poller.Status(), other.poller.Status()
	return a.Project == b.Project && a.Source == b.Source
}

// project is what the sources of a project are opened with.
type project struct {
	*config.Project
	config   *config.Config
	client   *workspace.Client
	clients  *Clients
	exporter *collector.Exporter
	limits   *collector.Limits
	logger   log.Logger
	held     func() // see collector.Options
}

// on calls open for each source that is on.
func (p *project) on(open func(*source.Source, config.Block) error) error {
	for _, s := range source.All {
		if block := s.Block(&p.Sources); block != nil {
			if err := open(s, block); err != nil {
				return fmt.Errorf("project %q: %w", p.Name, err)
			}
		}
	}
	return nil
}

// open opens a source, under the lease of its project: nil if the store is not shared.
func (p *project) open(s *source.Source, block config.Block, current *state, l *lease.Lease) (_ *Source, err error) {
	partition := current.store.Partition(p.Name, s.Name, current.storeLease(l))
	day := &collector.Day{}
	counting := p.counting(s, block)
	counting.Day, counting.StageRoom = day, s.StageRoom(block)
	if l != nil {
		counting.Shown = l.Valid
	}
	if failures := current.failures; failures != nil {
		from := loginlog.Origin{Project: p.Name, Source: s.Name, Product: s.Product, PersonalMachines: s.PersonalMachines,
			Launches: s.Kind == collector.AppLaunches}
		counting.Failed = func(events []ledger.Event) { failures.Write(from, events) }
	}
	accumulator, err := collector.Open(partition, counting)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			accumulator.Close()
		}
	}()
	notes, err := tasknotes.Open(partition, p.ProjectID)
	if err != nil {
		return nil, err
	}
	opening := p.opening(s, block, notes)
	poller, err := opening.Poller(accumulator)
	if err != nil {
		return nil, err
	}
	reconciler, err := opening.Reconciler()
	if err != nil {
		return nil, err
	}
	opened := &Source{project: p.Name, lease: l, title: s.Title, poller: poller, accumulator: accumulator, day: day, metrics: opening.Metrics, reconciler: reconciler}
	if stages := config.StagesOf(block); stages != nil {
		opened.stages = opening.NewStages(p.clients.forStages(p.client, p.Project, s.Name, stages.MaxPerMinute), accumulator)
	}
	return opened, nil
}

// opening is what a source is read with.
func (p *project) opening(s *source.Source, block config.Block, tasks fetcher.TaskMemory) *source.Opening {
	return &source.Opening{Source: s, Block: block, Project: p.Name, Client: p.client,
		Tasks: tasks, Metrics: p.exporter.Source(p.Name, s.Name), Logger: p.logger}
}

// counting are the options of a source's accumulator.
func (p *project) counting(s *source.Source, block config.Block) collector.Options {
	o := s.Counting(block)
	o.Project, o.ProjectID, o.Logger = p.Name, p.ProjectID, p.logger
	o.ConstantLabels = p.config.Metrics.ConstantLabels
	o.NewSeriesHold = time.Duration(p.config.Metrics.NewSeriesHold)
	o.UserWindows = UserWindows(p.config.Metrics.UserWindows)
	o.Explanations = p.config.Explanations()
	o.Limits, o.Committed, o.Held = p.limits, p.exporter.Committed, p.held
	return o
}

// UserWindows are the windows of a configuration.
func UserWindows(configured []config.UserWindow) []collector.Window {
	windows := make([]collector.Window, len(configured))
	for i, w := range configured {
		windows[i] = collector.Window{Name: w.Label, Length: w.Duration}
	}
	return windows
}
