package source

import (
	"context"
	"net/http"

	"github.com/go-kit/log"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// servers are the application servers and their groups, as they are now.
var servers = &Source{
	Name:    config.NameOf[*config.Servers](),
	Product: appStreaming,
	Title:   "Application servers",
	Summary: "application servers, their groups and capacity",
	List:    &listServers.Operation,
	Kind:    collector.Servers,
	Demo:    "{poll_interval: 5s}",
	way: &current{
		operations: []*workspace.Operation{&listServers.Operation, &listServerGroups.Operation, showServerGroup, showTenantLimits, showLatestAgent},
		open: func(c *workspace.Client, mismatch func(), logger log.Logger) fetcher.CurrentSource {
			return fetcher.NewReadFleet(fleetOf(c), mismatch, logger)
		},
		size: func(b *record.Batch) int { return len(b.Fleet.Servers) },
	},
}

// listServers lists agents: each server with its status, sessions and version.
var listServers = &workspace.List[record.ServerHDADetails]{
	Operation: workspace.Operation{
		Name: "ListServerHdaDetails", Permission: "workspace:server:listAccessAgentDetails",
		Endpoint: workspace.AppStream, Method: http.MethodGet, Path: "/v1/{project_id}/app-servers/access-agent/list",
	},
	Count: "count", Items: "items", Limit: 100,
}

// listServerGroups lists groups, without their maximum.
var listServerGroups = &workspace.List[record.ServerGroupDetails]{
	Operation: workspace.Operation{
		Name: "ListServerGroups", Permission: "workspace:serverGroup:list",
		Endpoint: workspace.AppStream, Method: http.MethodGet, Path: "/v1/{project_id}/app-server-groups",
	},
	Count: "count", Items: "items", Limit: 100,
}

var (
	showServerGroup = &workspace.Operation{
		Name: "ShowServerGroup", Permission: "workspace:serverGroup:get",
		Endpoint: workspace.AppStream, Method: http.MethodGet, Path: "/v1/{project_id}/app-server-groups/{server_group_id}",
	}
	showTenantLimits = &workspace.Operation{
		Name: "ShowServerGroupRestrict", Permission: "workspace:serverGroup:getRestrict",
		Endpoint: workspace.AppStream, Method: http.MethodGet, Path: "/v1/{project_id}/app-server-groups/resources/restrict",
	}
	showLatestAgent = &workspace.Operation{
		Name: "ShowAccessAgentLatestVersion", Permission: "workspace:accessAgent:listLatestVersion",
		Endpoint: workspace.AppStream, Method: http.MethodGet, Path: "/v1/{project_id}/app-servers/access-agent/latest-version",
	}
)

func fleetOf(c *workspace.Client) fetcher.FleetAPI {
	return fetcher.FleetAPI{
		Servers: listNow(c, listServers, (*record.ServerHDADetails).Server),
		Groups:  listNow(c, listServerGroups, (*record.ServerGroupDetails).Group),
		Group: func(ctx context.Context, id string) (record.ServerGroup, error) {
			show, ok := showServerGroup.At("server_group_id", id)
			if !ok {
				return record.ServerGroup{}, fetcher.ErrNoGroup
			}
			details, err := workspace.Get[record.ServerGroupDetails](ctx, c, &show)
			if workspace.IsNotFound(err) {
				err = fetcher.ErrNoGroup
			}
			return details.Group(), err
		},
		LatestAgent: func(ctx context.Context) (string, error) {
			latest, err := workspace.Get[record.LatestAgent](ctx, c, showLatestAgent)
			return latest.Version(), err
		},
		MaxSessions: func(ctx context.Context) (int, error) {
			limits, err := workspace.Get[record.TenantLimits](ctx, c, showTenantLimits)
			return limits.MaxSessions(), err
		},
	}
}
