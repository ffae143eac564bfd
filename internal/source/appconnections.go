package source

import (
	"net/http"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// appConnections are the uses of applications: a launch is an attempt. They appear late,
// and change until the application is closed, without a time of the change: an end that
// comes behind the lookback is found as that of any connection that is open.
var appConnections = &Source{
	Name:    config.NameOf[*config.AppConnections](),
	Product: appStreaming,
	Title:   "Launches of applications",
	Summary: "applications that users open",
	List:    &listAppConnections.Operation,
	Export: &workspace.Operation{
		Name: "ExportAppConnection", Permission: "workspace:session:exportAppConnection",
		Endpoint: workspace.AppStream, Method: http.MethodPost, Path: "/v1/{project_id}/session/app-connection/export",
		Window: appConnectionWindow,
	},
	Columns: export.ColumnsOf(record.AppConnectionColumns),
	Stages:  showAccessStages,
	Kind:    collector.AppLaunches,
	Demo:    "{lookback: 2m, initial_lookback: 1d, pending_timeout: 10m, stages: {max_per_minute: 100}}",
	way: &incremental{
		records:  recordsOf(listAppConnections, (*record.AppConnection).Login),
		settings: loginSettingsOf(func(c *config.AppConnections) loginSettings { return userConnectionSettings(&c.UserConnections) }),
	},
}

var listAppConnections = &workspace.List[record.AppConnection]{
	Operation: workspace.Operation{
		Name: "ListAppConnection", Permission: "workspace:session:listAppConnection",
		Endpoint: workspace.AppStream, Method: http.MethodPost, Path: "/v1/{project_id}/session/app-connection",
		Window: appConnectionWindow,
	},
	Count: "count", Items: "items", Limit: 100,
}

var appConnectionWindow = workspace.WindowParams{From: "brokering_start_time", To: "brokering_end_time", Layout: workspace.Seconds}
