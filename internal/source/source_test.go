package source

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
			block := s.Defaults()
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
	var names []string
	for name := range config.AllOn().On() {
		names = append(names, name)
	}
	assert.ElementsMatch(t, names, Names())
}

// TestReadmeListsTheSources compares the README's table with what is described: names,
// modes and permissions.
func TestReadmeListsTheSources(t *testing.T) {
	const file = "../../README.md"
	const heading = "| source | what | mode | permissions to grant |\n|---|---|---|---|\n"
	readme, err := os.ReadFile(file)
	require.NoError(t, err)
	head, rest, found := strings.Cut(string(readme), heading)
	require.True(t, found)
	table, tail, _ := strings.Cut(rest, "\n\n")
	want := strings.Join(readmeRows(), "\n")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(head+heading+want+"\n\n"+tail), 0o644))
		return
	}
	assert.Equal(t, want, table, "go test ./internal/source -update writes it")
}

var update = flag.Bool("update", false, "write the README's table of sources")

func readmeRows() (rows []string) {
	for _, s := range All {
		name, what := "`"+s.Name+"`", s.Summary
		for i, mode := range s.Defaults().Modes() {
			remark := ""
			if i == 0 {
				remark = " (default)"
			}
			rows = append(rows, fmt.Sprintf("| %s | %s | `%s`%s | %s |", name, what, mode, remark, inReadme(s.Permissions(mode))))
			name, what = "", ""
		}
	}
	return rows
}

// inReadme are permissions as the README lists them: those of export tasks are explained
// once, below the table.
func inReadme(permissions []string) string {
	var list []string
	for _, p := range permissions {
		if !slices.Contains(withTasks(), p) {
			list = append(list, "`"+p+"`")
		}
	}
	if len(list) < len(permissions) {
		list = append(list, "tasks")
	}
	return strings.Join(list, ", ")
}
