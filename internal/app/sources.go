package app

import (
	"context"
	"io"
	"time"

	"github.com/go-kit/log"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// Values of the labels source and service.
const (
	userConnections    = "user_connections"
	sessions           = "sessions"
	accessStatistics   = "access_statistics"
	desktopConnections = "desktop_connections"

	appStreaming = "app_streaming"
	desktop      = "desktop"
)

// opener makes the sources of one project. Each of its methods returns nil for a
// source that is off.
type opener struct {
	service *Service
	config  *config.Config
	project *config.Project
	store   *store.Store
	limits  *collector.Limits
	client  *workspace.Client
}

// book opens the book of a source; the rest of its options is the caller's.
func (o *opener) book(source, service string, kind collector.Kind, more collector.Options) (*collector.Book, error) {
	more.Project, more.Source, more.Service, more.Kind = o.project.Name, source, service, kind
	more.ConstantLabels = o.config.Metrics.ConstantLabels
	more.NewSeriesHold = time.Duration(o.config.Metrics.NewSeriesHold)
	more.UserWindows = userWindows(o.config.Metrics.UserWindows)
	more.Limits, more.Committed = o.limits, o.service.exporter.Committed
	return collector.OpenBook(o.store.Book(o.project.Name, source), more)
}

// options are those of a poller.
func (o *opener) options(source string, interval config.Source, w config.Window) fetcher.Options {
	return fetcher.Options{Project: o.project.Name, Source: source, Interval: time.Duration(interval.PollInterval),
		Lookback: time.Duration(w.Lookback), InitialLookback: time.Duration(w.InitialLookback),
		ServerTime: o.client.ServerTime, Logger: o.service.logger}
}

// export makes what reads one kind of export task.
func (o *opener) export(source string, c config.Source, book *collector.Book, metrics *collector.SourceMetrics,
	create func(context.Context, time.Time, time.Time) (string, error)) (fetcher.Export, error) {
	columns, err := columnsOf[source].With(c.Columns)
	return fetcher.Export{Kind: source, Memory: book, Columns: columns, Create: create, Tasks: &export.Tasks{
		API: o.client, Memory: book, Timeout: time.Duration(c.ExportTimeout), Observe: metrics.ExportTask,
		Logger: log.With(o.service.logger, "project", o.project.Name, "source", source),
	}}, err
}

var columnsOf = map[string]export.Columns{
	userConnections: export.Logins, sessions: export.Sessions,
	accessStatistics: export.AccessStatistics, desktopConnections: export.DesktopConnections,
}

func (o *opener) userConnections() (*source, error) {
	c := o.project.Sources.UserConnections
	if c == nil {
		return nil, nil
	}
	metrics := o.service.exporter.Source(o.project.Name, userConnections)
	book, err := o.book(userConnections, appStreaming, collector.Logins, collector.Options{
		Rules:    ledger.Rules{SuccessCodes: c.SuccessCodes, PendingTimeout: time.Duration(c.PendingTimeout)},
		Lookback: time.Duration(c.Lookback)})
	if err != nil {
		return nil, err
	}
	pages := &fetcher.UserConnections{API: o.client, Mismatch: metrics.Mismatch}
	tasks, err := o.export(userConnections, c.Source, book, metrics, o.client.ExportUserConnections)
	if err != nil {
		return nil, err
	}
	exports := &fetcher.UserConnectionExports{Export: tasks}
	var from fetcher.Source
	switch c.Mode {
	case config.ModeQuery:
		from = pages
	case config.ModeExport:
		from = exports
	default:
		from = &fetcher.Auto{Pages: pages, Export: exports, Threshold: c.ExportThreshold,
			Logger: log.With(o.service.logger, "project", o.project.Name, "source", userConnections)}
	}
	poller, err := fetcher.NewPoller(from, pages, book, metrics, o.options(userConnections, c.Source, c.Window))
	if err != nil {
		return nil, err
	}
	src := &source{poller: poller, book: book, metrics: metrics}
	if c.ReconcileInterval > 0 {
		compared := tasks
		compared.Tasks = &export.Tasks{API: o.client, Memory: export.NoMemory{}, Timeout: tasks.Tasks.Timeout, Observe: metrics.ExportTask, Logger: tasks.Tasks.Logger}
		src.reconciler = &fetcher.Reconciler{One: pages, Other: &fetcher.UserConnectionExports{Export: compared},
			Interval: time.Duration(c.ReconcileInterval), Lookback: time.Duration(c.Lookback), ServerTime: o.client.ServerTime,
			Show: metrics.Reconciled, Logger: log.With(o.service.logger, "project", o.project.Name, "source", userConnections)}
	}
	return src, nil
}

func (o *opener) desktopConnections() (*source, error) {
	c := o.project.Sources.DesktopConnections
	if c == nil {
		return nil, nil
	}
	metrics := o.service.exporter.Source(o.project.Name, desktopConnections)
	book, err := o.book(desktopConnections, desktop, collector.DesktopLogins, collector.Options{
		Rules:    ledger.Rules{SuccessCodes: []string{""}, PendingTimeout: time.Duration(c.PendingTimeout)},
		Lookback: time.Duration(c.Lookback)})
	if err != nil {
		return nil, err
	}
	create := func(ctx context.Context, from, to time.Time) (string, error) {
		return o.client.ExportDesktopConnections(ctx, from, to, c.Language)
	}
	tasks, err := o.export(desktopConnections, c.Source, book, metrics, create)
	if err != nil {
		return nil, err
	}
	pages := &fetcher.DesktopConnections{API: o.client, Mismatch: metrics.Mismatch}
	var from, again fetcher.Source = pages, pages
	switch c.Mode {
	case config.ModeExportV3:
		from = &fetcher.DesktopExports{Export: tasks}
	case config.ModeExportV2:
		from = &fetcher.DesktopFiles{Columns: tasks.Columns, Logger: tasks.Tasks.Logger, Download: func(ctx context.Context, from, to time.Time, w io.Writer) error {
			return o.client.ExportDesktopConnectionsV2(ctx, from, to, c.Language, w, export.MaxFileBytes)
		}}
		again = from
	}
	poller, err := fetcher.NewPoller(from, again, book, metrics, o.options(desktopConnections, c.Source, c.Window))
	return &source{poller: poller, book: book, metrics: metrics}, err
}

func (o *opener) sessions() (*source, error) {
	c := o.project.Sources.Sessions
	if c == nil {
		return nil, nil
	}
	metrics := o.service.exporter.Source(o.project.Name, sessions)
	book, err := o.book(sessions, appStreaming, collector.Sessions, collector.Options{})
	if err != nil {
		return nil, err
	}
	var from fetcher.WholeSource = &fetcher.Sessions{API: o.client, Mismatch: metrics.Mismatch}
	if c.Mode == config.ModeExport {
		tasks, err := o.export(sessions, c.Source, book, metrics, o.client.ExportSessions)
		if err != nil {
			return nil, err
		}
		from = &fetcher.SessionExports{Export: tasks}
	}
	poller, err := fetcher.NewSnapshotPoller(from, book, metrics, o.options(sessions, c.Source, config.Window{}))
	return &source{poller: poller, book: book, metrics: metrics}, err
}

func (o *opener) accessStatistics() (*source, error) {
	c := o.project.Sources.AccessStatistics
	if c == nil {
		return nil, nil
	}
	metrics := o.service.exporter.Source(o.project.Name, accessStatistics)
	book, err := o.book(accessStatistics, appStreaming, collector.AccessStatistics, collector.Options{})
	if err != nil {
		return nil, err
	}
	var from fetcher.WholeSource = &fetcher.AccessStatistics{API: o.client, Mismatch: metrics.Mismatch}
	if c.Mode == config.ModeExport {
		tasks, err := o.export(accessStatistics, c.Source, book, metrics, o.client.ExportAccessStatistics)
		if err != nil {
			return nil, err
		}
		from = &fetcher.AccessExports{Export: tasks}
	}
	poller, err := fetcher.NewStatisticsPoller(from, time.Duration(c.Settle), book, metrics, o.options(accessStatistics, c.Source, config.Window{}))
	return &source{poller: poller, book: book, metrics: metrics}, err
}
