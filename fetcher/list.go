package fetcher

import (
	"context"
	"time"

	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
)

// ListOf makes a list of records from the call that gets its pages, and what reads an
// item. Zone is that of times that tell none; nil is UTC.
func ListOf[R, T any, P interface {
	*R
	SetZone(*time.Location)
}](get func(context.Context, workspace.PageQuery) (*workspace.Page[R], error), limit int, zone *time.Location, read func(P) T) paging.List[T] {
	return paging.List[T]{Limit: limit, Get: func(ctx context.Context, q workspace.PageQuery) (int, []T, error) {
		page, err := get(ctx, q)
		if err != nil {
			return 0, nil, err
		}
		records := make([]T, len(page.Items))
		for i := range page.Items {
			if err := ctx.Err(); err != nil {
				return 0, nil, err // a hostile page may take long
			}
			item := P(&page.Items[i])
			item.SetZone(zone)
			records[i] = read(item)
		}
		return page.Count, records, nil
	}}
}
