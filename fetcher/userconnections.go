package fetcher

import (
	"context"
	"time"

	"github.com/workspace-exporter/workspace_exporter/fetcher/paging"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// LoginPages reads login records by pages.
type LoginPages struct {
	NoTasks
	pages *paging.Reader[record.Login]
}

// NewLoginPages reads a list. Mismatch is called for a window that holds still, and still
// holds another number of records than the API says.
func NewLoginPages(list paging.List[record.Login], mismatch func()) *LoginPages {
	return &LoginPages{pages: &paging.Reader[record.Login]{List: list, Key: (*record.Login).Key, Mismatch: mismatch}}
}

// Read implements LoginReader. A page costs a request, however few records are wanted.
func (l *LoginPages) Read(ctx context.Context, from, to time.Time, most int, handle HandlePart) error {
	if most > 0 {
		most = max(most, l.pages.Limit)
	}
	return l.readAtMost(ctx, cursor.Window{From: from, To: to}, most, handle)
}

func (l *LoginPages) readAtMost(ctx context.Context, w cursor.Window, most int, handle HandlePart) error {
	logins, err := l.pages.Read(ctx, w, most)
	if err != nil {
		return err
	}
	return handle(w.To, logins)
}

// IgnoresWindow implements LoginSource.
func (l *LoginPages) IgnoresWindow(ctx context.Context, w cursor.Window) (bool, error) {
	return l.pages.IgnoresWindow(ctx, w, func(l *record.Login) []time.Time {
		return []time.Time{l.PreConnect, l.Start, l.End, l.Updated}
	})
}
