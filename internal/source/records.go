package source

import (
	"context"
	"time"

	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
)

// records are how the records of a source are read, from pages and from files.
type records[T any] struct {
	pages func(*workspace.Client, *time.Location) paging.List[T]
	file  func(fetcher.Files) fetcher.File[T]
}

// recordsOf are those that read makes of the items of a list, and of the rows of a file.
func recordsOf[R, T any, P fetcher.RawRecord[R], Q fetcher.InvalidRecord[T]](list *workspace.List[R], read func(P) T) records[T] {
	return records[T]{
		pages: func(c *workspace.Client, zone *time.Location) paging.List[T] {
			page := func(ctx context.Context, q workspace.PageQuery) (*workspace.Page[R], error) {
				return list.Page(ctx, c, q)
			}
			return fetcher.ListOf(page, list.Limit, zone, read)
		},
		file: func(f fetcher.Files) fetcher.File[T] { return fetcher.FileOf[R, T, P, Q](f, read) },
	}
}

func (r *records[T]) list(o *Opening) paging.List[T] { return r.pages(o.Client, zoneOf(o.Block)) }

func (r *records[T]) times(ctx context.Context, c *workspace.Client, q workspace.PageQuery, timeOf func(*T) time.Time) (count int, times []time.Time, err error) {
	list := r.pages(c, time.UTC)
	count, found, err := list.Get(ctx, q)
	if err != nil {
		return count, nil, err
	}
	if n := len(found); n > 0 && count > n { // the newest records may be on the last page
		q.Offset = count - n
		if _, last, err := list.Get(ctx, q); err == nil { // else the first page must do
			found = append(found, last...)
		}
	}
	for i := range found {
		times = append(times, timeOf(&found[i]))
	}
	return count, times, nil
}
