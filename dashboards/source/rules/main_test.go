package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const repository = "../../.."

func TestFilesAreGenerated(t *testing.T) {
	files, err := generate(repository)
	require.NoError(t, err)
	assert.Len(t, files, 5)
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
		"grafana": "", "leaveOutGroups": []any{"Test.*", "Lab"}, "outageRatio": 0.77, "capacityCodes": []any{"CAP.*"}, "userErrorCodes": []any{`AUTH\.1`},
		"severities": map[string]any{"WorkspaceLoginVolumeDrop/critical": "info"}, "outageFor": "17m",
	})
	rules, err := render(rulesTemplate, values, "en")
	require.NoError(t, err)
	for _, part := range []string{`desktop_group!~"Test.*|Lab"`, "> 0.77", `failed_code=~"CAP.*"`, `failed_code!~"AUTH\\.1"`, "for: 17m"} {
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

// TestEachValueReachesWhatItIsFor changes one value after the other, and looks for the new one
// in rules and runbooks. Regular expressions may have anything in them.
func TestEachValueReachesWhatItIsFor(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, valuesFile))
	require.NoError(t, err)
	var values map[string]any
	require.NoError(t, yaml.Unmarshal(text, &values))
	odd := []any{`a\.b`, `c"d`, `组`}
	const oddQuoted = `"a\\.b|c\"d|组"`
	changes := map[string]struct {
		to              any
		rules, runbooks string // what is to be found in them
	}{
		"language":                   {"zh", "大量用户无法登录", ""},
		"grafana":                    {"https://grafana.example.com", "https://grafana.example.com/d/", ""},
		"leaveOutGroups":             {odd, `desktop_group!~` + oddQuoted, ""},
		"outageRatio":                {0.77, "0.77", "77 %"},
		"outageUsers":                {77, "77", "77"},
		"widespreadRatio":            {0.33, "0.33", "33 %"},
		"widespreadUsers":            {77, "77", "77"},
		"widespreadShare":            {0.33, "0.33", "33 %"},
		"triesOfOutage":              {1.7, "1.7", ""},
		"triesOfSpray":               {1.7, "1.7", "1.7"},
		"sprayUsers":                 {77, "77", "77"},
		"partRatio":                  {0.33, "0.33", "33 %"},
		"dropRatio":                  {0.77, "0.77", "77 %"},
		"newCodeFailures":            {76.5, "76.5", "77"},
		"newCodeFailuresPerThousand": {77, "77", "77"},
		"capacityCodes":              {odd, `failed_code=~` + oddQuoted, ""},
		"userErrorCodes":             {odd, `failed_code!~` + oddQuoted, ""},
		"slowSeconds":                {77, "77", "77"},
		"guesses":                    {77, "77", "77"},
		"guessesPerAddress":          {77, "77", "77"},
		"objective":                  {map[string]any{"allowedRatio": 0.033}, "{{ 0.033 | humanizePercentage", "3.3 %"},
		"outageFor":                  {"17m", "for: 17m", "17m"},
		"groupFor":                   {"17m", "for: 17m", ""},
		"keepFiringFor":              {"17m", "keep_firing_for: 17m", "17m"},
		"severities":                 {map[string]any{"WorkspaceLoginVolumeDrop/critical": "page"}, "severity: page", ""},
	}
	require.ElementsMatch(t, slices.Sorted(maps.Keys(values)), append(slices.Sorted(maps.Keys(changes)), "holidays"))
	schema, err := os.ReadFile(filepath.Join(repository, "deploy/helm/workspace-exporter/values.schema.json"))
	require.NoError(t, err)
	for name := range values {
		assert.Contains(t, string(schema), strconv.Quote(name)+": {", "Helm takes the same values")
	}
	for name, change := range changes {
		changed := maps.Clone(values)
		changed[name] = change.to
		language, _ := changed["language"].(string)
		rules, err := render(rulesTemplate, changed, language)
		require.NoError(t, err, name)
		before, err := render(rulesTemplate, values, "en")
		require.NoError(t, err)
		assert.Greater(t, strings.Count(string(rules), change.rules), strings.Count(string(before), change.rules), name)
		file := filepath.Join(t.TempDir(), "rules.yml")
		require.NoError(t, os.WriteFile(file, rules, 0o600))
		loadRules(t, file)
		for _, template := range []string{runbooksTemplate, chineseRunbooksTemplate} {
			runbooks, err := render(template, changed, "en")
			require.NoError(t, err, name)
			before, err := render(template, values, "en")
			require.NoError(t, err)
			assert.Equal(t, change.runbooks == "", string(runbooks) == string(before), name)
			assert.Contains(t, string(runbooks), change.runbooks, name)
		}
	}
}

func TestBadValuesAreRefused(t *testing.T) {
	require.NoError(t, check(map[string]any{"severities": map[string]any{"WorkspaceLoginVolumeDrop/critical": "warning"}}))
	require.ErrorContains(t, check(map[string]any{"severities": map[string]any{"WorkspaceLoginVolumDrop/critical": "warning"}}), `no alert is "WorkspaceLoginVolumDrop/critical"`)
	require.ErrorContains(t, check(map[string]any{"severities": map[string]any{"WorkspaceLoginVolumeDrop/info": "warning"}}), "its own severity")
	require.ErrorContains(t, check(map[string]any{"severities": map[string]any{"WorkspaceLoginVolumeDrop/critical": "page"}}), "page is none of critical")
	for _, day := range []string{"2027-1-1", "1/1", "2027-02-30", ""} {
		_, err := holidays([]any{day})
		require.ErrorContains(t, err, "holidays", day)
	}
	days, err := holidays([]any{"2027-10-01", time.Date(2028, 2, 3, 0, 0, 0, 0, time.UTC)})
	require.NoError(t, err)
	assert.Equal(t, `    time_intervals:
      - {years: ['2027'], months: ['10'], days_of_month: ['01']}
      - {years: ['2028'], months: ['02'], days_of_month: ['03']}
`, string(days))
	days, err = holidays(nil)
	require.NoError(t, err)
	assert.Equal(t, "    time_intervals: []\n", string(days))
}
