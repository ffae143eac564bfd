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

// userConnections are the login records of application streaming. They appear late, and
// change until a connection ends.
var userConnections = &Source{
	Name:    config.NameOf[*config.UserConnections](),
	Product: appStreaming,
	Title:   "Logins to application streaming",
	Summary: "logins to application streaming",
	List:    &listUserConnections.Operation,
	Export: &workspace.Operation{
		Name: "ExportUserConnection", Permission: "workspace:session:exportUserConnection",
		Endpoint: workspace.AppStream, Method: http.MethodPost, Path: "/v1/{project_id}/session/user-connection/export",
		Window: userConnectionWindow,
	},
	Columns: export.ColumnsOf(record.UserConnectionColumns),
	Kind:    collector.Logins,
	Demo:    "{lookback: 2m, initial_lookback: 1d, pending_timeout: 10m, reconcile_interval: 1m}",
	way: &incremental{
		records:  recordsOf(listUserConnections, (*record.UserConnection).Login),
		settings: loginSettingsOf(userConnectionSettings),
	},
}

func userConnectionSettings(c *config.UserConnections) loginSettings {
	return loginSettings{Window: c.Window, successCodes: c.SuccessCodes, exportThreshold: c.ExportThreshold,
		reconcileInterval: time.Duration(c.ReconcileInterval)}
}

var listUserConnections = &workspace.List[record.UserConnection]{
	Operation: workspace.Operation{
		Name: "ListUserConnection", Permission: "workspace:session:listUserConnection",
		Endpoint: workspace.AppStream, Method: http.MethodPost, Path: "/v1/{project_id}/session/user-connection",
		Window: userConnectionWindow,
	},
	Count: "count", Items: "items", Limit: 100,
}

var userConnectionWindow = workspace.WindowParams{From: "login_start_time", To: "login_end_time", Layout: workspace.Seconds}
