package service

import (
	"fmt"
	"time"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/loginlog"
	"github.com/workspace-exporter/workspace_exporter/internal/source"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
	"github.com/workspace-exporter/workspace_exporter/internal/tasknotes"
)

// Title names the source in plain words.
func (s *Source) Title() string { return source.Named(s.poller.Source).Title }

// opener opens the sources of one project.
type opener struct {
	service  *Service
	config   *config.Config
	project  *config.Project
	store    *store.Store
	failures *loginlog.Log // nil if it is off
	limits   *collector.Limits
	client   *workspace.Client
}

// open opens every source that is on.
func (o *opener) open() (opened []*Source, err error) {
	for _, s := range source.All {
		block := s.Block(&o.project.Sources)
		if block == nil {
			continue
		}
		src, err := o.source(s, block)
		if err != nil {
			return nil, fmt.Errorf("project %q: %w", o.project.Name, err)
		}
		opened = append(opened, src)
	}
	return opened, nil
}

func (o *opener) source(s *source.Source, block config.Block) (*Source, error) {
	partition := o.store.Partition(o.project.Name, s.Name)
	day := &collector.Day{}
	counting := o.counting(s, block)
	counting.Day = day
	accumulator, err := collector.Open(partition, counting)
	if err != nil {
		return nil, err
	}
	notes, err := tasknotes.Open(partition, o.project.ProjectID)
	if err != nil {
		return nil, err
	}
	opening := o.opening(s, block)
	opening.Tasks = notes
	poller, err := opening.Poller(accumulator)
	if err != nil {
		return nil, err
	}
	reconciler, err := opening.Reconciler()
	return &Source{poller: poller, accumulator: accumulator, day: day, metrics: opening.Metrics, reconciler: reconciler}, err
}

func (o *opener) opening(s *source.Source, block config.Block) *source.Opening {
	return &source.Opening{Source: s, Block: block, Project: o.project.Name, Client: o.client,
		Metrics: o.service.exporter.Source(o.project.Name, s.Name), Logger: o.service.logger}
}

// counting are the options of a source's accumulator.
func (o *opener) counting(s *source.Source, block config.Block) collector.Options {
	b := s.Counting(block)
	b.Project, b.ProjectID, b.Logger = o.project.Name, o.project.ProjectID, o.service.logger
	b.ConstantLabels = o.config.Metrics.ConstantLabels
	b.NewSeriesHold = time.Duration(o.config.Metrics.NewSeriesHold)
	b.UserWindows = UserWindows(o.config.Metrics.UserWindows)
	b.Limits, b.Committed = o.limits, o.service.exporter.Committed
	if o.failures != nil {
		from := loginlog.Origin{Project: b.Project, Source: b.Source, Product: b.Product, PersonalMachines: s.PersonalMachines}
		b.Failed = func(failures []ledger.Event) { o.failures.Write(from, failures) }
	}
	return b
}
