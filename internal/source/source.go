// Package source describes each source in a file of its own: what it is called, by which
// calls of the API and in which way it is read, and what its records are counted as.
// Whatever is done for every source ranges over All.
package source

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// All are the sources, in the order in which they are shown.
var All = []*Source{userConnections, sessions, accessStatistics, desktopConnections, servers, desktops, appConnections}

// Values of the label product.
const (
	appStreaming = "app_streaming"
	desktop      = "desktop"
)

// Source describes a source.
type Source struct {
	Name    string // its key in the configuration, and the value of the label source
	Product string // the value of the label product
	Title   string // on the landing page
	Summary string // what its records are

	// List lists its records.
	List *workspace.Operation
	// Export makes an export task for them; nil if there is no such call.
	Export *workspace.Operation
	// Download answers with a file of them, without a task; nil if there is no such call.
	Download *workspace.Operation
	Columns  export.Columns // of the files

	// Stages shows at which stage an access failed; nil if there is no such call, or if
	// records have nothing to ask by.
	Stages *workspace.Operation

	// Kind says what its records are counted as.
	Kind collector.Kind
	// CodesFromReasons is true of records that have no failure code: it is made of the reason.
	CodesFromReasons bool
	// PersonalMachines is true of machines that are often named after their persons.
	PersonalMachines bool
	// Demo are its settings in the demo.
	Demo string

	way way
}

// way is how a source is read: incremental, snapshot, disjoint or current.
type way interface {
	// permissions are what it takes in a mode.
	permissions(s *Source, mode string) []string
	// count sets the options that follow from the settings.
	count(*collector.Options, config.Block)
	// strategy is what a poller reads by.
	strategy(*Opening) (fetcher.Strategy, error)
	probe(context.Context, *workspace.Client, workspace.PageQuery) (count int, times []time.Time, err error)
}

// withFiles is a way by which records can be read from a file, too.
type withFiles interface {
	readFile(context.Context, fetcher.Files, io.ReaderAt, int64, Handlers) (fetcher.FileReport, error)
}

// withHistory is a way by which the past can be read, too.
type withHistory interface {
	history(o *Opening) (fetcher.LoginSource, error)
	// initialLookback is how far back the first poll reads.
	initialLookback(config.Block) time.Duration
}

// Named is the source with a name; nil if there is none.
func Named(name string) *Source {
	i := slices.IndexFunc(All, func(s *Source) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return All[i]
}

// WithFiles are the sources whose records may come from a file.
func WithFiles() []*Source {
	return slices.DeleteFunc(slices.Clone(All), func(s *Source) bool { return !s.HasFiles() })
}

// NamesWithFiles are their names.
func NamesWithFiles() []string { return namesOf(WithFiles()) }

func namesOf(sources []*Source) []string {
	names := make([]string, len(sources))
	for i, s := range sources {
		names[i] = s.Name
	}
	return names
}

// Block is the source's block in a configuration; nil if the source is off.
func (s *Source) Block(sources *config.Sources) config.Block {
	for name, block := range sources.On() {
		if name == s.Name {
			return block
		}
	}
	return nil
}

// Defaults are the source's settings if a configuration does not have any.
func (s *Source) Defaults() config.Block { return s.Block(config.AllOn()) }

// Host is the host that has the records, and whose clock counts.
func (s *Source) Host(c *workspace.Client) workspace.Host { return c.Host(s.List.Endpoint) }

// Permissions are what it takes to read the source in a mode.
func (s *Source) Permissions(mode string) []string { return s.way.permissions(s, mode) }

// withTasks adds the permissions that every mode with export tasks needs.
func withTasks(permissions ...string) []string {
	return append(permissions, workspace.PermissionListExportTasks, workspace.PermissionDownloadExport)
}

// Counting are the options of an accumulator that follow from the source and its settings.
func (s *Source) Counting(block config.Block) collector.Options {
	o := collector.Options{Source: s.Name, Product: s.Product, Kind: s.Kind}
	s.way.count(&o, block)
	if s.CodesFromReasons {
		o.Rules.SuccessCodes = []string{""}
	}
	return o
}

// HasHistory reports whether the past of the source can be read.
func (s *Source) HasHistory() bool {
	_, ok := s.way.(withHistory)
	return ok
}

// HasFiles reports whether its records may come from a file.
func (s *Source) HasFiles() bool {
	_, ok := s.way.(withFiles)
	return ok
}

// IsCurrent reports whether the source is a list of what is there now, without times.
func (s *Source) IsCurrent() bool {
	_, ok := s.way.(*current)
	return ok
}

// InitialLookback is how far back the first poll reads a source that has a history.
func (s *Source) InitialLookback(block config.Block) time.Duration {
	return s.way.(withHistory).initialLookback(block)
}

// Probe lists records of a window, and returns their number, as the API says, and the
// times of those on the first page and the last: a list may have either order. It changes
// nothing, whatever the mode of the source. A list of what is there now is read whole, by
// every call that it takes.
func (s *Source) Probe(ctx context.Context, c *workspace.Client, from, to time.Time) (count int, times []time.Time, err error) {
	return s.way.probe(ctx, c, workspace.PageQuery{From: from, To: to, Limit: 100})
}

// Files says how files of the source are read, by its settings.
func (s *Source) Files(block config.Block) (fetcher.Files, error) {
	columns, err := s.Columns.With(block.Common().Columns)
	return fetcher.Files{Columns: columns, Zone: zoneOf(block)}, err
}

// zoneOf is the zone of times that tell none. The configuration was validated.
func zoneOf(block config.Block) *time.Location {
	zone, err := block.Common().Location()
	if err != nil {
		return time.UTC
	}
	return zone
}

// Handlers take the records of a file, one by one: only that of the source's records is
// called.
type Handlers struct {
	Login   func(*record.Login) error
	Session func(*record.Session) error
	Access  func(*record.Access) error
}

// ReadFile reads a file of the source; see HasFiles.
func (s *Source) ReadFile(ctx context.Context, files fetcher.Files, file io.ReaderAt, size int64, h Handlers) (fetcher.FileReport, error) {
	return s.way.(withFiles).readFile(ctx, files, file, size, h)
}
