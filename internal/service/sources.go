package service

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
	"github.com/workspace-exporter/workspace_exporter/internal/loginlog"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
	"github.com/workspace-exporter/workspace_exporter/internal/tasknotes"
)

// Values of the labels source and product.
const (
	UserConnections    = "user_connections"
	Sessions           = "sessions"
	AccessStatistics   = "access_statistics"
	DesktopConnections = "desktop_connections"

	AppStreaming = "app_streaming"
	Desktop      = "desktop"
)

// titles name the sources in plain words.
var titles = map[string]string{
	UserConnections:    "Logins to application streaming",
	Sessions:           "Sessions",
	AccessStatistics:   "Access statistics",
	DesktopConnections: "Logins to cloud desktops",
}

// Title names the source in plain words.
func (s *Source) Title() string { return titles[s.poller.Source] }

// opener makes the sources of one project. Each of its methods returns nil for a
// source that is off.
type opener struct {
	service  *Service
	config   *config.Config
	project  *config.Project
	store    *store.Store
	failures *loginlog.Log // nil if it is off
	limits   *collector.Limits
	client   *workspace.Client
}

// complete fills in the options of a source's accumulator that all accumulators share.
func (o *opener) complete(b collector.Options) collector.Options {
	b.Project, b.ProjectID, b.Logger = o.project.Name, o.project.ProjectID, o.service.logger
	b.ConstantLabels = o.config.Metrics.ConstantLabels
	b.NewSeriesHold = time.Duration(o.config.Metrics.NewSeriesHold)
	b.UserWindows = UserWindows(o.config.Metrics.UserWindows)
	b.Limits, b.Committed = o.limits, o.service.exporter.Committed
	if o.failures != nil {
		b.Failed = func(failures []ledger.Event) { o.failures.Write(b.Project, b.Source, b.Product, failures) }
	}
	return b
}

// counted is an accumulator, and the day that it fills for the landing page.
type counted struct {
	*collector.Accumulator
	day *collector.Day
}

// accumulator opens the accumulator of a source.
func (o *opener) accumulator(b collector.Options) (c counted, err error) {
	c.day = &collector.Day{}
	b.Day = c.day
	c.Accumulator, err = collector.Open(o.store.Partition(o.project.Name, b.Source), o.complete(b))
	return c, err
}

// notes opens the notes of a source's export tasks.
func (o *opener) notes(source string) (*tasknotes.Notes, error) {
	return tasknotes.Open(o.store.Partition(o.project.Name, source), o.project.ProjectID)
}

// options are those of a poller.
func (o *opener) options(source string, interval config.Source) fetcher.Options {
	host := o.host(source)
	return fetcher.Options{Project: o.project.Name, Source: source, Interval: time.Duration(interval.PollInterval),
		Host: host.Name, ServerTime: host.ServerTime, Logger: o.service.logger}
}

// host is the one that has the records of a source, and whose clock counts for it.
func (o *opener) host(source string) workspace.Host { return HostOf(o.client, source) }

// HostOf is the host that has the records of a source.
func HostOf(client *workspace.Client, source string) workspace.Host {
	if source == UserConnections || source == Sessions {
		return client.AppStream()
	}
	return client.Workspace()
}

// export makes what reads one kind of export task.
func (o *opener) export(source string, c config.Source, memory fetcher.TaskMemory, metrics *collector.SourceMetrics,
	create func(context.Context, time.Time, time.Time) (string, error)) (fetcher.Export, error) {
	logger := log.With(o.service.logger, "project", o.project.Name, "source", source)
	columns, err := ColumnsOf[source].With(c.Columns)
	return fetcher.Export{Kind: source, Memory: memory, Create: create,
		Files: fetcher.Files{Columns: columns, Zone: ZoneOf(c), Skipped: metrics.RowsSkipped, Logger: logger},
		Tasks: &export.Tasks{API: o.client, Memory: memory, Timeout: time.Duration(c.ExportTimeout), Observe: metrics.ExportTask, Logger: logger}}, err
}

// ZoneOf is the zone of a source's times that tell none. The configuration was validated.
func ZoneOf(c config.Source) *time.Location {
	zone, err := c.Location()
	if err != nil {
		return time.UTC
	}
	return zone
}

// ColumnsOf are the columns of the files of each source.
var ColumnsOf = map[string]export.Columns{
	UserConnections: export.Logins, Sessions: export.Sessions,
	AccessStatistics: export.AccessStatistics, DesktopConnections: export.DesktopConnections,
}

// ways are the ways to login records: by which they are read at first, and again while
// they are unfinished.
type ways struct {
	from  fetcher.LoginSource // what is new
	again fetcher.LoginReader // what is unfinished
	tasks fetcher.Export
}

// incremental is how login records are read.
func incremental(w ways, c config.Window) *fetcher.Incremental {
	return &fetcher.Incremental{Source: w.from, Reread: w.again, Lookback: time.Duration(c.Lookback), InitialLookback: time.Duration(c.InitialLookback)}
}

func rulesOf(w config.Window, successCodes []string) ledger.Rules {
	return ledger.Rules{SuccessCodes: successCodes, PendingTimeout: time.Duration(w.PendingTimeout)}
}

// userConnectionsOptions are the options of their accumulator.
func userConnectionsOptions(c *config.UserConnections) collector.Options {
	return collector.Options{Source: UserConnections, Product: AppStreaming, Kind: collector.Logins,
		Rules: rulesOf(c.Window, c.SuccessCodes), Lookback: time.Duration(c.Lookback)}
}

func (o *opener) waysToUserConnections(c *config.UserConnections, memory fetcher.TaskMemory, metrics *collector.SourceMetrics) (ways, error) {
	pages := &fetcher.UserConnections{API: o.client, Mismatch: metrics.Mismatch, Zone: ZoneOf(c.Source)}
	tasks, err := o.export(UserConnections, c.Source, memory, metrics, o.client.ExportUserConnections)
	exports := &fetcher.UserConnectionExports{Export: tasks}
	w := ways{pages, pages, tasks}
	switch c.Mode {
	case config.ModeExport:
		w.from = exports
	case config.ModeAuto:
		w.from = &fetcher.Auto{Pages: pages, Export: exports, Threshold: c.ExportThreshold, Logger: tasks.Tasks.Logger}
	}
	return w, err
}

func (o *opener) userConnections() (*Source, error) {
	c := o.project.Sources.UserConnections
	if c == nil {
		return nil, nil
	}
	metrics := o.service.exporter.Source(o.project.Name, UserConnections)
	accumulator, err := o.accumulator(userConnectionsOptions(c))
	if err != nil {
		return nil, err
	}
	notes, err := o.notes(UserConnections)
	if err != nil {
		return nil, err
	}
	w, err := o.waysToUserConnections(c, notes, metrics)
	if err != nil {
		return nil, err
	}
	poller, err := fetcher.NewPoller(incremental(w, c.Window), accumulator, metrics, o.options(UserConnections, c.Source))
	if err != nil {
		return nil, err
	}
	src := &Source{poller: poller, accumulator: accumulator, metrics: metrics}
	if c.ReconcileInterval > 0 {
		tasks := w.tasks.Tasks
		compared := w.tasks
		compared.Tasks = &export.Tasks{API: o.client, Memory: export.NoMemory{}, Timeout: tasks.Timeout, Observe: metrics.ExportTask, Logger: tasks.Logger}
		src.reconciler = &fetcher.Reconciler{One: w.again, Other: &fetcher.UserConnectionExports{Export: compared},
			Interval: time.Duration(c.ReconcileInterval), Lookback: time.Duration(c.Lookback), ServerTime: o.host(UserConnections).ServerTime,
			Show: metrics.Reconciled, Logger: tasks.Logger}
	}
	return src, nil
}

// desktopConnectionsOptions are the options of their accumulator.
func desktopConnectionsOptions(c *config.DesktopConnections) collector.Options {
	rules := rulesOf(c.Window, []string{""})
	rules.HideMachines = !c.DesktopNames // desktops are often named after their persons
	return collector.Options{Source: DesktopConnections, Product: Desktop, Kind: collector.DesktopLogins,
		Rules: rules, Lookback: time.Duration(c.Lookback)}
}

func (o *opener) waysToDesktopConnections(c *config.DesktopConnections, memory fetcher.TaskMemory, metrics *collector.SourceMetrics) (ways, error) {
	create := func(ctx context.Context, from, to time.Time) (string, error) {
		return o.client.ExportDesktopConnections(ctx, from, to, c.Language)
	}
	tasks, err := o.export(DesktopConnections, c.Source, memory, metrics, create)
	pages := &fetcher.DesktopConnections{API: o.client, Mismatch: metrics.Mismatch, Zone: ZoneOf(c.Source)}
	w := ways{pages, pages, tasks}
	switch c.Mode {
	case config.ModeExportV3:
		w.from = &fetcher.DesktopExports{Export: tasks}
	case config.ModeExportV2:
		w.from = &fetcher.DesktopFiles{Files: tasks.Files, Download: func(ctx context.Context, from, to time.Time, out io.Writer) error {
			return o.client.ExportDesktopConnectionsV2(ctx, from, to, c.Language, out, export.MaxFileBytes)
		}}
		w.again = w.from
	}
	return w, err
}

func (o *opener) desktopConnections() (*Source, error) {
	c := o.project.Sources.DesktopConnections
	if c == nil {
		return nil, nil
	}
	metrics := o.service.exporter.Source(o.project.Name, DesktopConnections)
	accumulator, err := o.accumulator(desktopConnectionsOptions(c))
	if err != nil {
		return nil, err
	}
	notes, err := o.notes(DesktopConnections)
	if err != nil {
		return nil, err
	}
	w, err := o.waysToDesktopConnections(c, notes, metrics)
	if err != nil {
		return nil, err
	}
	poller, err := fetcher.NewPoller(incremental(w, c.Window), accumulator, metrics, o.options(DesktopConnections, c.Source))
	return &Source{poller: poller, accumulator: accumulator, metrics: metrics}, err
}

func (o *opener) sessions() (*Source, error) {
	c := o.project.Sources.Sessions
	if c == nil {
		return nil, nil
	}
	metrics := o.service.exporter.Source(o.project.Name, Sessions)
	accumulator, err := o.accumulator(collector.Options{Source: Sessions, Product: AppStreaming, Kind: collector.Sessions})
	if err != nil {
		return nil, err
	}
	var from fetcher.WindowSource = &fetcher.Sessions{API: o.client, Mismatch: metrics.Mismatch, Zone: ZoneOf(c.Source)}
	if c.Mode == config.ModeExport {
		notes, err := o.notes(Sessions)
		if err != nil {
			return nil, err
		}
		tasks, err := o.export(Sessions, c.Source, notes, metrics, o.client.ExportSessions)
		if err != nil {
			return nil, err
		}
		from = &fetcher.SessionExports{Export: tasks}
	}
	poller, err := fetcher.NewPoller(&fetcher.Snapshot{Source: from}, accumulator, metrics, o.options(Sessions, c.Source))
	return &Source{poller: poller, accumulator: accumulator, metrics: metrics}, err
}

func (o *opener) accessStatistics() (*Source, error) {
	c := o.project.Sources.AccessStatistics
	if c == nil {
		return nil, nil
	}
	metrics := o.service.exporter.Source(o.project.Name, AccessStatistics)
	accumulator, err := o.accumulator(collector.Options{Source: AccessStatistics, Product: AppStreaming, Kind: collector.AccessStatistics})
	if err != nil {
		return nil, err
	}
	var from fetcher.DisjointSource = &fetcher.AccessStatistics{API: o.client, Mismatch: metrics.Mismatch, Zone: ZoneOf(c.Source)}
	if c.Mode == config.ModeExport {
		notes, err := o.notes(AccessStatistics)
		if err != nil {
			return nil, err
		}
		tasks, err := o.export(AccessStatistics, c.Source, notes, metrics, o.client.ExportAccessStatistics)
		if err != nil {
			return nil, err
		}
		from = &fetcher.AccessExports{Export: tasks}
	}
	poller, err := fetcher.NewPoller(&fetcher.Disjoint{Source: from, Settle: time.Duration(c.Settle)}, accumulator, metrics, o.options(AccessStatistics, c.Source))
	return &Source{poller: poller, accumulator: accumulator, metrics: metrics}, err
}
