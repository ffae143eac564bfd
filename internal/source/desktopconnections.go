package source

import (
	"net/http"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// desktopConnections are the login records of cloud desktops. They appear late, and change
// until a connection ends.
var desktopConnections = &Source{
	Name:    config.NameOf[*config.DesktopConnections](),
	Product: desktop,
	Title:   "Logins to cloud desktops",
	Summary: "logins to cloud desktops",
	List:    &listDesktopConnections.Operation,
	Export: &workspace.Operation{
		Name: "ExportUserConnectionNew", Permission: permissionExportDesktopConnections,
		Endpoint: workspace.Workspace, Method: http.MethodGet, Path: "/v3/{project_id}/desktops/connections/export",
		Window: workspace.WindowParams{From: "start_time", To: "end_time", Layout: workspace.Seconds},
	},
	Download: &workspace.Operation{
		Name: "ExportUserLoginInfoNew", Permission: permissionExportDesktopConnections,
		Endpoint: workspace.Workspace, Method: http.MethodGet, Path: "/v2/{project_id}/connections/desktops/export",
		Window: desktopWindow,
	},
	Columns:          export.ColumnsOf(record.DesktopConnectionColumns),
	Stages:           showAccessStages,
	Kind:             collector.DesktopLogins,
	CodesFromReasons: true,
	PersonalMachines: true,
	Demo:             "{lookback: 2m, initial_lookback: 1d, pending_timeout: 10m}",
	way: &incremental{
		records: recordsOf(listDesktopConnections, (*record.DesktopConnection).Login),
		settings: loginSettingsOf(func(c *config.DesktopConnections) loginSettings {
			return loginSettings{Window: c.Window, language: c.Language, hideMachines: !c.DesktopNames}
		}),
	},
}

const permissionExportDesktopConnections = "workspace:connections:securityExport"

var listDesktopConnections = &workspace.List[record.DesktopConnection]{
	Operation: workspace.Operation{
		Name: "ListLoginRecordsNew", Permission: "workspace:connections:securityList",
		Endpoint: workspace.Workspace, Method: http.MethodGet, Path: "/v2/{project_id}/connections/desktops",
		Window: desktopWindow,
	},
	Count: "total_count", Items: "records", Limit: 1000,
}

var desktopWindow = workspace.WindowParams{From: "start_time", To: "end_time", Layout: workspace.Minutes}
