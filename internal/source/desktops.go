package source

import (
	"context"
	"net/http"
	"net/url"

	"github.com/go-kit/log"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// desktops are the numbers of cloud desktops, as they are now.
var desktops = &Source{
	Name:    config.NameOf[*config.Desktops](),
	Product: desktop,
	Title:   "Cloud desktops",
	Summary: "numbers of cloud desktops by pool and state",
	List:    showDesktopStatistics,
	Kind:    collector.DesktopNumbers,
	Demo:    "{poll_interval: 5s}",
	way: &current{
		operations: []*workspace.Operation{showDesktopStatistics},
		open: func(c *workspace.Client, mismatch func(), logger log.Logger) fetcher.CurrentSource {
			return &fetcher.ReadDesktopNumbers{Mismatch: mismatch, Logger: logger, Get: func(ctx context.Context, desktopType string) (record.DesktopStatistics, error) {
				show := *showDesktopStatistics
				if desktopType != "" {
					show = show.With("desktop_type", desktopType)
				}
				return workspace.Get[record.DesktopStatistics](ctx, c, &show)
			}}
		},
		size: func(b *record.Batch) (n int) {
			for _, d := range b.Desktops {
				if d.Total != nil {
					n += *d.Total
				}
			}
			return n
		},
	},
}

// showDesktopStatistics gets all numbers that there are. An array is a key that is repeated.
var showDesktopStatistics = &workspace.Operation{
	Name: "ListDesktopsStatistics", Permission: "workspace:statistics:listDesktopStatus",
	Endpoint: workspace.Workspace, Method: http.MethodGet, Path: "/v2/{project_id}/statistics",
	Query: url.Values{"statistics_type": {"attach-state", "login-state", "run-state"}},
}
