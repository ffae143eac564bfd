package source

import (
	"context"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
)

// Opening is what a source of a project is read with.
type Opening struct {
	*Source
	Block   config.Block
	Project string
	Client  *workspace.Client
	Tasks   fetcher.TaskMemory
	Metrics *collector.SourceMetrics
	Logger  log.Logger
}

// Poller returns a poller of the source.
func (o *Opening) Poller(a fetcher.Accumulator) (*fetcher.Poller, error) {
	strategy, err := o.way.strategy(o)
	if err != nil {
		return nil, err
	}
	return fetcher.NewPoller(strategy, a, o.Metrics, o.options())
}

// HistoryPoller returns a poller of the source's past; see HasHistory.
func (o *Opening) HistoryPoller(a fetcher.HistoryAccumulator, from, to time.Time) (*fetcher.Poller, error) {
	source, err := o.way.(withHistory).history(o)
	if err != nil {
		return nil, err
	}
	return fetcher.NewPoller(&fetcher.History{Source: source, From: from, To: to, Skip: a.Skip}, a, o.Metrics, o.options())
}

// Reconciler returns what compares two ways to the source's records; nil if it is off.
func (o *Opening) Reconciler() (*fetcher.Reconciler, error) {
	if w, ok := o.way.(*incremental); ok {
		return w.reconciler(o)
	}
	return nil, nil
}

func (o *Opening) options() fetcher.Options {
	host := o.Host(o.Client)
	return fetcher.Options{Project: o.Project, Source: o.Name, Interval: time.Duration(o.Block.Common().PollInterval),
		Host: host.Name, ServerTime: host.ServerTime, Logger: o.Logger}
}

func (o *Opening) logger() log.Logger {
	return log.With(o.Logger, "project", o.Project, "source", o.Name)
}

// doubt reports a window of which nothing was proved.
func (o *Opening) doubt(from, to time.Time) {
	o.Metrics.Doubt()
	level.Error(o.logger()).Log("msg", "records may be missing: pages of a window that cannot be cut change, are shuffled at each request, or are refused, and prove nothing; "+
		"what they, or its file, have shown is counted; report it to the vendor, and read this source by export until then",
		"from", from.Format(time.RFC3339), "to", to.Format(time.RFC3339))
}

func (o *Opening) files() (fetcher.Files, error) {
	files, err := o.Files(o.Block)
	files.Skipped, files.Logger = o.Metrics.RowsSkipped, o.logger()
	return files, err
}

// tasks makes what has an operation make export tasks, of which notes are kept in a memory.
func (o *Opening) tasks(operation *workspace.Operation, memory fetcher.TaskMemory) fetcher.Export {
	return fetcher.Export{Kind: o.Name, Memory: memory,
		Create: func(ctx context.Context, from, to time.Time) (string, error) {
			return o.Client.CreateExportTask(ctx, operation, from, to)
		},
		Tasks: &export.Tasks{API: o.Client, Memory: memory, Timeout: time.Duration(o.Block.Common().ExportTimeout),
			Observe: o.Metrics.ExportTask, Logger: o.logger()}}
}
