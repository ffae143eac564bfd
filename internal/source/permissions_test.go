package source

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-kit/log"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// Each source can be read in each of its modes by a user who has the permissions that are
// said, and no others.
func TestPermissionsSuffice(t *testing.T) {
	all := withTasks(workspace.PermissionDeleteExportTasks)
	for _, s := range All {
		all = append(all, s.List.Permission)
		for _, mode := range s.Defaults().Modes() {
			all = append(all, s.Permissions(mode)...)
		}
	}
	for _, s := range All {
		for _, mode := range s.Defaults().Modes() {
			t.Run(s.Name+"/"+mode, func(t *testing.T) {
				denied := slices.DeleteFunc(slices.Clone(all), func(p string) bool { return slices.Contains(s.Permissions(mode), p) })
				synctest.Test(t, func(t *testing.T) { require.NoError(t, pollOnce(t, s, mode, denied)) })
			})
		}
	}
}

// Without a permission that is said, a poll fails and names it. The export of desktop
// connections by task is left out: the vendor's pages want no permission for it, which
// nobody has tried.
func TestPermissionsAreNeeded(t *testing.T) {
	for _, s := range All {
		for _, mode := range s.Defaults().Modes() {
			for _, p := range s.Permissions(mode) {
				if mode != config.ModeQuery && p == s.List.Permission || mode == config.ModeAuto || mode == config.ModeExportV3 && p == s.Export.Permission {
					continue // for what is unfinished, or for many records
				}
				t.Run(s.Name+"/"+mode+"/"+p, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { require.ErrorContains(t, pollOnce(t, s, mode, []string{p}), p) })
				})
			}
		}
	}
}

// pollOnce polls a source of a simulator.
func pollOnce(t *testing.T, s *Source, mode string, denied []string) error {
	t.Helper()
	api := simulator.New(simulator.Options{Denied: denied, History: time.Hour})
	api.PutServerGroups(simulator.DefaultProjectID, simulator.ServerGroup{ID: "g"}) // without a maximum
	is := func(s string) func() (string, error) { return func() (string, error) { return s, nil } }
	client, err := workspace.New(workspace.Options{
		ProjectID: simulator.DefaultProjectID, Endpoints: workspace.Endpoints{AppStream: "https://api.test"},
		Credentials: workspace.AKSK(is(simulator.DefaultAccessKey), is(simulator.DefaultSecretKey), nil),
		Transport:   server(api.ServeHTTP),
	})
	require.NoError(t, err)
	block := s.Defaults()
	block.Common().Mode = mode
	counting := s.Counting(block)
	counting.Limits = collector.NewLimits(1000, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "limited"}, []string{"family"}))
	accumulator, err := collector.Open(store.Discard{}, counting)
	require.NoError(t, err)
	opening := &Opening{Source: s, Block: block, Client: client, Tasks: export.NoMemory{},
		Metrics: collector.NewExporter(prometheus.NewRegistry()).Source("p", s.Name), Logger: log.NewNopLogger()}
	poller, err := opening.Poller(accumulator)
	require.NoError(t, err)
	return poller.Poll(t.Context())
}
