package service

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/config"
)

func TestProjectsShareConnections(t *testing.T) {
	project := func(change func(*config.Project)) *config.Project {
		p := &config.Project{Concurrency: 4, Endpoints: config.Endpoints{AppStream: "https://appstream.test", Workspace: "https://workspace.test"}}
		if change != nil {
			change(p)
		}
		return p
	}
	projects := []*config.Project{project(nil), project(func(p *config.Project) { p.ProjectID, p.Concurrency = "other", 8 }), project(nil),
		project(func(p *config.Project) { p.Endpoints.Workspace = "https://elsewhere.test" }),
		project(func(p *config.Project) { p.TLSConfig.ServerName = "other.test" }),
		project(func(p *config.Project) { p.TLSConfig.InsecureSkipVerify = true }),
		project(func(p *config.Project) { p.NoProxy = "appstream.test" }),
		project(func(p *config.Project) {
			p.ProxyConnectHeader = map[string][]config.Secret{"X-Tenant": {config.NewSecret("one")}}
		}),
		project(func(p *config.Project) {
			p.ProxyConnectHeader = map[string][]config.Secret{"X-Tenant": {config.NewSecret("two")}}
		}),
	}
	all, err := transports(&config.Config{Projects: projects})
	require.NoError(t, err)
	assert.Same(t, all[0], all[1])
	assert.Same(t, all[0], all[2])
	assert.Equal(t, 16, all[0].MaxIdleConnsPerHost)
	for i := 3; i < len(all); i++ {
		assert.Equal(t, 4, all[i].MaxIdleConnsPerHost)
		for j := range i {
			assert.NotSame(t, all[j], all[i], "%d and %d", j, i)
		}
	}
}
