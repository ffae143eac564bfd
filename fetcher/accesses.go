package fetcher

import (
	"context"
	"io"
	"time"

	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// AccessPages reads access statistics by pages.
type AccessPages struct {
	NoTasks
	pages *paging.Reader[record.Access]
}

// NewAccessPages reads a list. Mismatch is as with NewLoginPages.
func NewAccessPages(list paging.List[record.Access], mismatch func()) *AccessPages {
	return &AccessPages{pages: &paging.Reader[record.Access]{List: list, Key: (*record.Access).Key, Mismatch: mismatch, Additive: true}}
}

// ReadAll implements WindowSource.
func (a *AccessPages) ReadAll(ctx context.Context, from, to time.Time) (*record.Batch, error) {
	// The API's windows include their ends, and ours must not overlap.
	accesses, err := a.pages.Read(ctx, cursor.Window{From: from, To: to.Add(-time.Second)}, maxWhole)
	return &record.Batch{Accesses: accesses}, err
}

// AccessExports reads access statistics by export task.
type AccessExports struct {
	Export
	File File[record.Access]
}

// ReadAll implements WindowSource: of the task that was under way for a window with the
// same beginning, if there is one. The reading says which window it is.
func (a *AccessExports) ReadAll(ctx context.Context, from, to time.Time) (*record.Batch, error) {
	// The API's windows include their ends.
	w, err := a.reuseTask(cursor.Window{From: from, To: to.Add(-time.Second)}, func(begun cursor.Window) bool { return begun.From.Equal(from) })
	if err != nil {
		return nil, err
	}
	r := &record.Batch{To: w.To.Add(time.Second)}
	err = a.fetch(ctx, w, func(f io.ReaderAt, size int64) error {
		_, err := a.File(ctx, f, size, into(&r.Accesses))
		return err
	})
	return r, err
}

// into collects records.
func into[T any](records *[]T) func(*T) error {
	return func(r *T) error {
		*records = append(*records, *r)
		return nil
	}
}
