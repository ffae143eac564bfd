package source

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.yaml.in/yaml/v3"

	"github.com/workspace-exporter/workspace_exporter/config"
)

// A source is complete, or a reader would look for what is missing elsewhere.
func TestSourcesAreComplete(t *testing.T) {
	for _, s := range All {
		t.Run(s.Name, func(t *testing.T) {
			assert.NotEmpty(t, s.Product)
			assert.NotEmpty(t, s.Title)
			assert.NotEmpty(t, s.Summary)
			assert.NotEmpty(t, s.Columns.Fields())
			block := config.DefaultBlock(s.Name)
			assert.NoError(t, yaml.Unmarshal([]byte(s.Demo), block))
			for _, mode := range block.Modes() {
				permissions := s.Permissions(mode)
				assert.NotEmpty(t, permissions)
				for _, p := range permissions {
					assert.True(t, strings.HasPrefix(p, "workspace:"), p)
				}
			}
			assert.Same(t, s, Named(s.Name))
		})
	}
}

// Every source that the configuration knows is described.
func TestEverySourceIsDescribed(t *testing.T) {
	assert.ElementsMatch(t, config.SourceNames(), Names())
}
