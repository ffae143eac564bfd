package fetcher

import (
	"context"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// LoginPages reads login records by pages.
type LoginPages struct {
	NoTasks
	List List[record.Login]
	// Mismatch is called for a window that holds still, and still holds another
	// number of records than the API says.
	Mismatch func()

	memory pagerMemory[record.Login, *record.Login]
}

// Read implements LoginReader. A page costs a request, however few records are wanted.
func (l *LoginPages) Read(ctx context.Context, from, to time.Time, most int, handle HandlePart) error {
	if most > 0 {
		most = max(most, l.List.Limit)
	}
	return l.readAtMost(ctx, cursor.Window{From: from, To: to}, most, handle)
}

func (l *LoginPages) readAtMost(ctx context.Context, w cursor.Window, most int, handle HandlePart) error {
	logins, err := l.pager().read(ctx, w, most)
	if err != nil {
		return err
	}
	return handle(w.To, logins)
}

func (l *LoginPages) pager() *pager[record.Login, *record.Login] {
	return &pager[record.Login, *record.Login]{limit: l.List.Limit, mismatch: l.Mismatch, memory: &l.memory, list: l.List.page}
}

// IgnoresWindow implements LoginSource.
func (l *LoginPages) IgnoresWindow(ctx context.Context, w cursor.Window) (bool, error) {
	return l.pager().ignoresWindow(ctx, w, loginTimes)
}
