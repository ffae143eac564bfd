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

// disjoint is the way to read statistics, whose rows have no identity: windows follow each
// other without gap or overlap, so that nothing in them is counted twice.
type disjoint struct {
	records[record.Access]
	// settle is how old a window must be before it is read.
	settle func(config.Block) time.Duration
}

func (w *disjoint) permissions(s *Source, mode string) []string { return listOrExport(s, mode) }

func (w *disjoint) count(*collector.Options, config.Block) {}

func (w *disjoint) strategy(o *Opening) (fetcher.Strategy, error) {
	settle := w.settle(o.Block)
	if o.Block.Common().Mode == config.ModeExport {
		files, err := o.files()
		return &fetcher.Disjoint{Source: &fetcher.AccessExports{Export: o.tasks(o.Export, o.Tasks), File: w.file(files)}, Settle: settle}, err
	}
	return &fetcher.Disjoint{Source: fetcher.NewAccessPages(w.list(o), o.Metrics.Mismatch), Settle: settle}, nil
}

func (w *disjoint) probe(ctx context.Context, c *workspace.Client, q workspace.PageQuery) (int, []time.Time, error) {
	return w.times(ctx, c, q, func(a *record.Access) time.Time { return a.Last })
}

func (w *disjoint) readFile(ctx context.Context, files fetcher.Files, file io.ReaderAt, size int64, h Handlers) (fetcher.FileReport, error) {
	return w.file(files)(ctx, file, size, h.Access)
}
