package source

import (
	"context"
	"net/http"
	"time"

	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// showAccessStages shows the stages of an access by its transaction_id.
var showAccessStages = &workspace.Operation{
	Name: "ShowUserAccessStages", Permission: "workspace:statistics:getUserAccessStages",
	Endpoint: workspace.Workspace, Method: http.MethodGet, Path: "/v2/{project_id}/statistics/metrics/access-stages",
}

// StageRoom is how many failed accesses may wait to have their stages asked for: as many as
// may be asked for from one poll to the next, or in a minute. It is 0 if that is off.
func (s *Source) StageRoom(block config.Block) int {
	stages := config.StagesOf(block)
	if stages == nil {
		return 0
	}
	return stages.MaxPerMinute * max(1, int(time.Duration(block.Polls().PollInterval).Minutes()))
}

// NewStages returns what asks for the stages of failed accesses, by a client that is aside.
func (o *Opening) NewStages(aside *workspace.Client, queue fetcher.StageQueue) *fetcher.Stages {
	return &fetcher.Stages{Queue: queue, Permission: o.Stages.Permission, Logger: o.logger(),
		Ask: func(ctx context.Context, transactionID string) (record.AccessStages, error) {
			return askStages(ctx, aside, o.Stages, transactionID)
		}}
}

func askStages(ctx context.Context, c *workspace.Client, show *workspace.Operation, transactionID string) (record.AccessStages, error) {
	of := show.With("transaction_id", transactionID)
	return workspace.Get[record.AccessStages](ctx, c, &of)
}

// ProbeStages asks for the stages of an access of a window that the list shows, if there is
// one: tried is false if there is none.
func (s *Source) ProbeStages(ctx context.Context, c *workspace.Client, from, to time.Time) (tried bool, err error) {
	id, err := s.way.(*incremental).transactionID(ctx, c, workspace.PageQuery{From: from, To: to, Limit: 100})
	if id == "" || err != nil {
		return false, err
	}
	_, err = askStages(ctx, c, s.Stages, id)
	if workspace.IsNotFound(err) || workspace.IsRefused(err) {
		err = nil // it may be asked, and has no answer
	}
	return true, err
}
