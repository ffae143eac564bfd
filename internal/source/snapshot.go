package source

import (
	"context"
	"io"
	"time"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// snapshot is the way to read sessions: each poll reads all that the API keeps.
type snapshot struct{ records[record.Session] }

func (w *snapshot) permissions(s *Source, mode string) []string { return listOrExport(s, mode) }

// listOrExport are the permissions where a file stands for pages.
func listOrExport(s *Source, mode string) []string {
	if mode == config.ModeExport {
		return withTasks(s.Export.Permission)
	}
	return []string{s.List.Permission}
}

func (w *snapshot) count(*collector.Options, config.Block) {}

func (w *snapshot) strategy(o *Opening) (fetcher.Strategy, error) {
	if o.Block.Common().Mode == config.ModeExport {
		files, err := o.files()
		return &fetcher.Snapshot{Source: &fetcher.SessionExports{Export: o.tasks(o.Export, o.Tasks), File: w.file(files)}}, err
	}
	return &fetcher.Snapshot{Source: fetcher.NewSessionPages(w.list(o), o.Metrics.Mismatch)}, nil
}

func (w *snapshot) probe(ctx context.Context, c *workspace.Client, q workspace.PageQuery) (int, []time.Time, error) {
	return w.times(ctx, c, q, (*record.Session).Began)
}

func (w *snapshot) readFile(ctx context.Context, files fetcher.Files, file io.ReaderAt, size int64, h Handlers) (fetcher.FileReport, error) {
	return w.file(files)(ctx, file, size, h.Session)
}
