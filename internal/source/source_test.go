package source

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
)

// A source is complete, or a reader would look for what is missing elsewhere.
func TestSourcesAreComplete(t *testing.T) {
	for _, s := range All {
		t.Run(s.Name, func(t *testing.T) {
			assert.NotEmpty(t, s.Product)
			assert.NotEmpty(t, s.Title)
			assert.NotEmpty(t, s.Summary)
			assert.Equal(t, s.HasFiles(), len(s.Columns.Fields()) > 0)
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
	assert.ElementsMatch(t, names, namesOf(All))
}

// TestPermissionsAreListed compares docs/permissions.md with what is described: names,
// modes and permissions.
func TestPermissionsAreListed(t *testing.T) {
	for file, heading := range map[string]string{
		"../../docs/permissions.md":       "| source | what | mode | permissions to grant |\n|---|---|---|---|\n",
		"../../docs/zh-CN/permissions.md": "| 采集源 | 内容 | 模式 | 需要的权限 |\n|---|---|---|---|\n",
	} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		head, rest, found := strings.Cut(string(text), heading)
		require.True(t, found, file)
		table, tail, _ := strings.Cut(rest, "\n\n")
		want := strings.Join(documentedRows(), "\n")
		if strings.Contains(file, "zh-CN") {
			want = inChinese(want, table)
		}
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(head+heading+want+"\n\n"+tail), 0o644))
			continue
		}
		assert.Equal(t, want, table, "%s: go test ./internal/source -update writes it", file)
	}
}

// inChinese is a table with what the Chinese one says of each source; of a new one it is
// the English text, until somebody has translated it.
func inChinese(rows, known string) string {
	first := regexp.MustCompile("(?m)^(\\| `\\w+` \\| )(.+?)( \\| .*)$")
	texts := map[string]string{}
	for _, m := range first.FindAllStringSubmatch(known, -1) {
		texts[m[1]] = m[2]
	}
	rows = first.ReplaceAllStringFunc(rows, func(row string) string {
		m := first.FindStringSubmatch(row)
		return m[1] + cmp.Or(texts[m[1]], m[2]) + m[3]
	})
	return strings.NewReplacer("(default)", "（默认）", "with `stages`, in addition", "开启 `stages` 时另需", "`, tasks", "`、任务权限", "`, `", "`、`").Replace(rows)
}

var update = flag.Bool("update", false, "write the table of docs/permissions.md")

func documentedRows() (rows []string) {
	for _, s := range All {
		name, what := "`"+s.Name+"`", s.Summary
		for i, mode := range s.Defaults().Modes() {
			permissions := s.Permissions(mode)
			switch {
			case s.IsCurrent():
				mode = "" // there is nothing to choose
			case i == 0:
				mode = "`" + mode + "` (default)"
			default:
				mode = "`" + mode + "`"
			}
			rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s |", name, what, mode, documented(permissions)))
			name, what = "", ""
		}
		if s.Stages != nil {
			rows = append(rows, fmt.Sprintf("|  |  | with `stages`, in addition | `%s` |", s.Stages.Permission))
		}
	}
	return rows
}

// documented are permissions as the table lists them: those of export tasks are explained
// once, below the table.
func documented(permissions []string) string {
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

// TestPoliciesGrantWhatIsNeeded compares the IAM policies in documents with the permissions
// of the sources that the comment before each names.
func TestPoliciesGrantWhatIsNeeded(t *testing.T) {
	policy := regexp.MustCompile("(?s)<!-- policy: ([^>]+) -->\n```json\n(.*?)```")
	found := 0
	for _, file := range []string{"README.md", "README.zh-CN.md", "docs/permissions.md", "docs/zh-CN/permissions.md"} {
		file = filepath.Join("../..", file)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		written := policy.ReplaceAllStringFunc(string(text), func(block string) string {
			m := policy.FindStringSubmatch(block)
			want := policyOf(t, m[1])
			if !*update {
				assert.Equal(t, want, m[2], "%s, %s: go test ./internal/source -update writes it", file, m[1])
			}
			found++
			return fmt.Sprintf("<!-- policy: %s -->\n```json\n%s```", m[1], want)
		})
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(written), 0o644))
		}
	}
	assert.Equal(t, 8, found)
}

// policyOf is the policy for sources in their default modes, or as source=mode.
func policyOf(t *testing.T, sources string) string {
	t.Helper()
	actions := []string{workspace.PermissionDeleteExportTasks}
	if sources == "all" {
		sources = strings.Join(namesOf(All), " ")
		actions = append(actions, showAccessStages.Permission)
	}
	for name := range strings.FieldsSeq(sources) {
		name, mode, _ := strings.Cut(name, "=")
		s := Named(name)
		require.NotNil(t, s, name)
		actions = append(actions, s.Permissions(cmp.Or(mode, s.Defaults().Modes()[0]))...)
	}
	slices.Sort(actions)
	actions = slices.Compact(actions)
	if !slices.Contains(actions, workspace.PermissionListExportTasks) {
		actions = slices.DeleteFunc(actions, func(a string) bool { return a == workspace.PermissionDeleteExportTasks })
	}
	return "{\n  \"Version\": \"5.0\",\n  \"Statement\": [\n    {\n      \"Effect\": \"Allow\",\n      \"Action\": [\n        \"" +
		strings.Join(actions, "\",\n        \"") + "\"\n      ]\n    }\n  ]\n}\n"
}
