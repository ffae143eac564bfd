package source

import (
	"net/http"
	"time"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// accessStatistics are failed accesses by user and error code, as the vendor sums them up
// over a window.
var accessStatistics = &Source{
	Name:    config.NameOf[*config.AccessStatistics](),
	Product: appStreaming,
	Title:   "Access statistics",
	Summary: "failed accesses as the vendor sums them up",
	List:    &listAccessStatistics.Operation,
	Export: &workspace.Operation{
		Name: "ExportAppUserAccessData", Permission: "workspace:statistics:exportAppUserAccessData",
		Endpoint: workspace.Workspace, Method: http.MethodPost, Path: "/v2/{project_id}/statistics/metrics/app-user-access/export",
		Window: accessWindow,
	},
	Columns: export.ColumnsOf(record.AppUserAccessColumns),
	Kind:    collector.AccessStatistics,
	Demo:    "{poll_interval: 10s, settle: 5s}",
	way: &disjoint{
		records: recordsOf(listAccessStatistics, (*record.AppUserAccess).Access),
		settle:  func(b config.Block) time.Duration { return time.Duration(b.(*config.AccessStatistics).Settle) },
	},
}

var listAccessStatistics = &workspace.List[record.AppUserAccess]{
	Operation: workspace.Operation{
		Name: "ListAppUserAccessData", Permission: "workspace:statistics:listAppUserAccessData",
		Endpoint: workspace.Workspace, Method: http.MethodGet, Path: "/v2/{project_id}/statistics/metrics/app-user-access",
		Window: accessWindow,
	},
	Count: "count", Items: "items", Limit: 100,
}

var accessWindow = workspace.WindowParams{From: "start_time", To: "end_time", Layout: workspace.Seconds}
