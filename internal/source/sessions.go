package source

import (
	"net/http"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// sessions are those on application servers that began in the last 30 days.
var sessions = &Source{
	Name:    config.NameOf[*config.Sessions](),
	Product: appStreaming,
	Title:   "Sessions",
	Summary: "sessions on each server",
	List:    &listSessions.Operation,
	Export: &workspace.Operation{
		Name: "ExportSessions", Permission: "workspace:session:exportSessions",
		Endpoint: workspace.AppStream, Method: http.MethodPost, Path: "/v1/{project_id}/session/list-sessions/export",
		Window: sessionWindow,
	},
	Columns: export.ColumnsOf(record.SessionInfoColumns),
	Kind:    collector.Sessions,
	Demo:    "{poll_interval: 10s}",
	way:     &snapshot{recordsOf(listSessions, (*record.SessionInfo).Session)},
}

// listSessions selects by the time at which a session started.
var listSessions = &workspace.List[record.SessionInfo]{
	Operation: workspace.Operation{
		Name: "ListSessions", Permission: "workspace:session:listSessions",
		Endpoint: workspace.AppStream, Method: http.MethodGet, Path: "/v1/{project_id}/session/list-sessions",
		Window: sessionWindow,
	},
	Count: "count", Items: "items", Limit: 100,
}

var sessionWindow = workspace.WindowParams{From: "query_begin_time", To: "query_end_time", Layout: workspace.Milliseconds}
