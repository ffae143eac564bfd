package source

import (
	"context"
	"time"

	"github.com/go-kit/log"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// current is the way to read a list of what is there now: each poll reads all of it.
type current struct {
	// operations are the calls that it takes.
	operations []*workspace.Operation
	open       func(c *workspace.Client, mismatch func(), logger log.Logger) fetcher.CurrentSource
	// size is how much a batch has.
	size func(*record.Batch) int
}

func (w *current) permissions(*Source, string) []string {
	permissions := make([]string, len(w.operations))
	for i, o := range w.operations {
		permissions[i] = o.Permission
	}
	return permissions
}

func (w *current) count(*collector.Options, config.Block) {}

func (w *current) strategy(o *Opening) (fetcher.Strategy, error) {
	return &fetcher.Current{Source: w.open(o.Client, o.Metrics.Mismatch, o.logger()), Owner: o.Client.Owner(o.List.Endpoint)}, nil
}

func (w *current) probe(ctx context.Context, c *workspace.Client, _ workspace.PageQuery) (int, []time.Time, error) {
	b, err := w.open(c, func() {}, log.NewNopLogger()).ReadNow(ctx)
	if err != nil {
		return 0, nil, err
	}
	return w.size(b), nil, nil
}

// listNow is a list of records that has no windows.
func listNow[R, T any, P interface {
	*R
	SetZone(*time.Location)
}](c *workspace.Client, list *workspace.List[R], read func(P) T) paging.List[T] {
	page := func(ctx context.Context, q workspace.PageQuery) (*workspace.Page[R], error) {
		return list.Page(ctx, c, q)
	}
	return fetcher.ListOf(page, list.Limit, nil, read)
}
