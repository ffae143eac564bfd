package fetcher

import (
	"context"
	"time"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// PageLister gets one page of login records; workspace.Client is one.
type PageLister interface {
	ListUserConnections(context.Context, workspace.UserConnectionQuery) (*workspace.UserConnectionPage, error)
}

// UserConnections reads login records by pages (system S1).
type UserConnections struct {
	NoTasks
	API PageLister
	// Mismatch is called for a window that holds still, and still holds another
	// number of records than the API says.
	Mismatch func()
	Zone     *time.Location // of times that tell none; nil is UTC

	memory pagerMemory[record.Login, *record.Login]
}

// Read implements LoginReader. A page costs a request, however few records are wanted.
func (u *UserConnections) Read(ctx context.Context, from, to time.Time, most int, handle HandlePart) error {
	if most > 0 {
		most = max(most, pageLimit)
	}
	return u.readAtMost(ctx, cursor.Window{From: from, To: to}, most, handle)
}

func (u *UserConnections) readAtMost(ctx context.Context, w cursor.Window, most int, handle HandlePart) error {
	logins, err := u.pager().read(ctx, w, most)
	if err != nil {
		return err
	}
	return handle(w.To, logins)
}

func (u *UserConnections) pager() *pager[record.Login, *record.Login] {
	return &pager[record.Login, *record.Login]{limit: pageLimit, mismatch: u.Mismatch, memory: &u.memory,
		list: listOf(u.API.ListUserConnections, inZone(u.Zone, (*record.UserConnection).Login))}
}

// IgnoresWindow implements LoginSource.
func (u *UserConnections) IgnoresWindow(ctx context.Context, w cursor.Window) (bool, error) {
	return u.pager().ignoresWindow(ctx, w, loginTimes)
}
