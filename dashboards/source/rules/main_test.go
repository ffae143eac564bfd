package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const repository = "../../.."

func TestFilesAreGenerated(t *testing.T) {
	files, err := generate(repository)
	require.NoError(t, err)
	assert.Len(t, files, 4)
	for name, content := range files {
		text, err := os.ReadFile(filepath.Join(repository, name))
		require.NoError(t, err)
		assert.Equal(t, string(content), string(text), "%s: run `make rules`", name)
	}
}

var (
	inChinese = strings.NewReplacer("/docs/", "/docs/zh-CN/")
	board     = regexp.MustCompile(`(/d/[\w-]+)(\?)`)
)

// TestLanguagesDifferInTextsAlone: what fires must not depend on who reads it. The Chinese
// texts lead to Chinese pages.
func TestLanguagesDifferInTextsAlone(t *testing.T) {
	english, chinese := loadRules(t, filepath.Join(repository, rulesFile)), loadRules(t, filepath.Join(repository, chineseFile))
	require.Len(t, chinese, len(english))
	for i, r := range english {
		z := chinese[i]
		assert.Equal(t, slices.Sorted(maps.Keys(r.Annotations)), slices.Sorted(maps.Keys(z.Annotations)), r.Alert)
		for _, text := range []string{"summary", "description"} {
			if r.Alert != "" {
				assert.NotEqual(t, r.Annotations[text], z.Annotations[text], r.Alert)
				assert.Regexp(t, `\p{Han}`, z.Annotations[text], r.Alert)
				assert.NotRegexp(t, `\p{Han}`, r.Annotations[text], r.Alert)
				assert.NotRegexp(t, `\p{Han}[,:;()?]|[,:;()?]\p{Han}`, z.Annotations[text], "%s: the punctuation is not Chinese", r.Alert)
			}
		}
		assert.Equal(t, inChinese.Replace(r.Annotations["runbook_url"]), z.Annotations["runbook_url"], r.Alert)
		assert.Equal(t, board.ReplaceAllString(r.Annotations["dashboard_url"], "$1-zh$2"), z.Annotations["dashboard_url"], r.Alert)
		r.Annotations, z.Annotations = nil, nil
		assert.Equal(t, r, z)
	}
}

// TestValuesReachTheRules changes one value of each kind.
func TestValuesReachTheRules(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, valuesFile))
	require.NoError(t, err)
	var values map[string]any
	require.NoError(t, yaml.Unmarshal(text, &values))
	maps.Copy(values, map[string]any{
		"grafana": "", "leaveOutGroups": []any{"Test.*", "Lab"}, "outageRatio": 0.77, "capacityCodes": []any{"CAP.*"}, "userErrorCodes": []any{"AUTH.1"},
		"severities": map[string]any{"WorkspaceLoginVolumeDrop/critical": "info"}, "outageFor": "17m",
	})
	rules, err := render(rulesTemplate, values, "en")
	require.NoError(t, err)
	for _, part := range []string{`desktop_group!~"Test.*|Lab"`, "> 0.77", `failed_code=~"CAP.*"`, `failed_code!~"AUTH.1"`, "for: 17m"} {
		assert.Contains(t, string(rules), part)
	}
	assert.NotContains(t, string(rules), "dashboard_url")
	file := filepath.Join(t.TempDir(), "rules.yml")
	require.NoError(t, os.WriteFile(file, rules, 0o600))
	for _, r := range loadRules(t, file) {
		if r.Alert == "WorkspaceLoginVolumeDrop" {
			assert.NotEqual(t, "critical", r.Labels["severity"])
		}
	}
}
