package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
	values, err := withChanges(t, map[string]any{
		"grafana": "", "leaveOutGroups": []any{"Test.*", "Lab"}, "outageRatio": 0.77, "capacityCodes": []any{"CAP.*"}, "userErrorCodes": []any{`AUTH\.1`},
		"severities": map[string]any{"WorkspaceLoginVolumeDrop/critical": "info"}, "outageFor": "17m",
	})
	require.NoError(t, err)
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

// TestChangedSeveritiesKeepAlertsApart gives all alerts one severity: two rules whose alerts have
// the same labels would resolve each other.
func TestChangedSeveritiesKeepAlertsApart(t *testing.T) {
	all := map[string]any{}
	for _, m := range regexp.MustCompile(`index \$\.severities "([^"]+)"`).FindAllStringSubmatch(rulesTemplate, -1) {
		all[m[1]] = "info"
	}
	require.NotEmpty(t, all)
	values, err := withChanges(t, map[string]any{"severities": all})
	require.NoError(t, err)
	rules, err := render(rulesTemplate, values, "en")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "rules.yml")
	require.NoError(t, os.WriteFile(file, rules, 0o600))
	seen := map[string]bool{}
	for _, r := range loadRules(t, file) {
		if key := fmt.Sprint(r.Alert, r.Labels); r.Alert != "" {
			assert.Equal(t, "info", r.Labels["severity"], r.Alert)
			assert.False(t, seen[key], "two alerts are %s", key)
			seen[key] = true
		}
	}
	selectors := regexp.MustCompile(`ALERTS\{[^}]*[^_]severity=[^}]*\}`).FindAllString(string(rules), -1)
	assert.NotEmpty(t, selectors)
	for _, selector := range selectors {
		assert.Contains(t, selector, `,severity="info",own_severity="critical"`, "it would find a sibling, too")
	}
}

// TestEachValueReachesWhatItIsFor changes one value after the other, and looks for the new one
// in rules and runbooks. Regular expressions may have anything in them.
func TestEachValueReachesWhatItIsFor(t *testing.T) {
	values, err := withChanges(t, nil)
	require.NoError(t, err)
	odd := []any{`a\.b`, `c"d`, `组`}
	const oddQuoted = `"a\\.b|c\"d|组"`
	changes := map[string]struct {
		to              any
		rules, runbooks string // what is to be found in them
	}{
		"language":                   {"zh", "用户无法登录", ""},
		"grafana":                    {"https://grafana.example.com", "https://grafana.example.com/d/", ""},
		"leaveOutGroups":             {odd, `desktop_group!~` + oddQuoted, "`c\"d`"},
		"outageRatio":                {0.77, "0.77", "77 %"},
		"outageUsers":                {77, "77", "77"},
		"widespreadRatio":            {0.33, "0.33", "33 %"},
		"widespreadUsers":            {77, "77", "77"},
		"widespreadShare":            {0.33, "0.33", "33 %"},
		"triesOfOutage":              {1.7, "1.7", ""},
		"triesOfSpray":               {1.07, "1.07", "1.07"},
		"sprayUsers":                 {77, "77", "77"},
		"partRatio":                  {0.33, "0.33", "33 %"},
		"dropRatio":                  {0.77, "0.77", "77 %"},
		"newCodeFailures":            {76.5, "76.5", "77"},
		"newCodeFailuresPerThousand": {77, "77", "77"},
		"capacityCodes":              {odd, `failed_code=~` + oddQuoted, "`c\"d`"},
		"userErrorCodes":             {odd, `failed_code!~` + oddQuoted, "`c\"d`"},
		"slowSeconds":                {77, "77", "77"},
		"guesses":                    {77, "77", "77"},
		"guessesPerAddress":          {77, "77", "77"},
		"objective":                  {map[string]any{"allowedRatio": 0.033}, "{{ 0.033 | humanizePercentage", "3.3 %"},
		"outageFor":                  {"17m", "for: 17m", "17 "},
		"groupFor":                   {"17m", "for: 17m", ""},
		"keepFiringFor":              {"17m", "keep_firing_for: 17m", "17 "},
		"severities":                 {map[string]any{"WorkspaceLoginVolumeDrop/critical": "info"}, "severity: info", "`WorkspaceLoginVolumeDrop/critical`"},
	}
	require.ElementsMatch(t, slices.Sorted(maps.Keys(values)), append(slices.Sorted(maps.Keys(changes)), "holidays"))
	schema, err := os.ReadFile(filepath.Join(repository, "deploy/helm/workspace-exporter/values.schema.json"))
	require.NoError(t, err)
	for name := range values {
		assert.Contains(t, string(schema), strconv.Quote(name)+": {", "Helm takes the same values")
	}
	for name, change := range changes {
		changed, err := withChanges(t, map[string]any{name: change.to})
		require.NoError(t, err, name)
		rules, err := render(rulesTemplate, changed, changed["language"].(string))
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

// TestOneIsNoPlural: a runbook may name a limit of one.
func TestOneIsNoPlural(t *testing.T) {
	changes := map[string]any{}
	for _, name := range []string{"outageUsers", "widespreadUsers", "sprayUsers", "guesses", "guessesPerAddress"} {
		changes[name] = 1
	}
	values, err := withChanges(t, changes)
	require.NoError(t, err)
	runbooks, err := render(runbooksTemplate, values, "en")
	require.NoError(t, err)
	assert.NotRegexp(t, `\b1\s+(people|times|failures)\b`, string(runbooks))
	assert.Contains(t, string(runbooks), "at least 1 person")
}

// TestTextsAskOfTheirOwnLogins: two sites may call a project alike, each read by a job of its
// own; and groups that are left out have no part in numbers of a project.
func TestTextsAskOfTheirOwnLogins(t *testing.T) {
	values, err := withChanges(t, map[string]any{"leaveOutGroups": []any{`Test\.1`, `50%`}})
	require.NoError(t, err)
	text, err := render(rulesTemplate, values, "en")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "rules.yml")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	ofProject := map[string]bool{}
	for _, r := range loadRules(t, file) {
		for _, text := range r.Annotations {
			assert.Equal(t, strings.Count(text, "project=%q"), strings.Count(text, "job=%q,project=%q"), "%s asks all jobs: %s", r.Alert, text)
			if strings.Contains(text, `"job=%q,project=%q,product=%q%s" $labels.job $labels.project $labels.product ",desktop_group!~\"Test\\\\.1|50%\"" `) {
				ofProject[r.Alert] = true
			}
		}
	}
	assert.Equal(t, []string{"WorkspaceLoginBudgetBurn", "WorkspaceLoginFailureSurge", "WorkspaceLoginNewFailureCode", "WorkspaceLoginOutage", "WorkspaceLoginPasswordSpray", "WorkspaceLoginVolumeDrop"},
		slices.Sorted(maps.Keys(ofProject)))
}

// withChanges are the values of the repository, but for some of them.
func withChanges(t *testing.T, changes map[string]any) (map[string]any, error) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, valuesFile))
	require.NoError(t, err)
	var values map[string]any
	require.NoError(t, yaml.Unmarshal(text, &values))
	maps.Copy(values, changes)
	text, err = yaml.Marshal(values)
	require.NoError(t, err)
	return parseValues("values.yaml", text)
}

// TestBadValuesAreRefused tries what the chart must refuse, too, by the same list.
func TestBadValuesAreRefused(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "dashboards/rules/tests/bad_values.yml"))
	require.NoError(t, err)
	var bad []map[string]any
	require.NoError(t, yaml.Unmarshal(text, &bad))
	tried := map[string]bool{}
	for _, change := range bad {
		_, err := withChanges(t, change)
		for name := range change {
			tried[name] = true
			assert.ErrorContains(t, err, name, "%v", change)
			assert.Regexp(t, `^values.yaml:\d+: .+(must be|there are) `, err, "%v", change)
		}
	}
	for name := range limits {
		assert.Contains(t, tried, name, "a bad value of each is tried")
	}
	for change, want := range map[string]string{
		"outageRatio: -0.4":      "values.yaml:1: outageRatio is -0.4; it must be a number above 0 and below 1",
		"outageRatio:":           "values.yaml:1: outageRatio is empty; it must be",
		"language: en":           "values.yaml: outageRatio is missing; it must be",
		"a: 1\na: 2":             `"a" already defined`,
		"- a":                    "cannot unmarshal",
		"holidays: [1/1] # ours": "values.yaml:1: holidays is [1/1]; it must be",
	} {
		_, err := parseValues("values.yaml", []byte(change))
		assert.ErrorContains(t, err, want)
	}
}

// TestNumbersAndDaysAreReadAsPeopleWriteThem: YAML knows several ways.
func TestNumbersAndDaysAreReadAsPeopleWriteThem(t *testing.T) {
	values, err := withChanges(t, map[string]any{"newCodeFailures": 2, "newCodeFailuresPerThousand": 0, "grafana": "https://g.example.com/", "outageFor": 0})
	require.NoError(t, err)
	rules, err := render(rulesTemplate, values, "en")
	require.NoError(t, err)
	assert.Contains(t, string(rules), "(2 + 0.001 * 0 *")
	assert.Contains(t, string(rules), "https://g.example.com/d/")
	file := filepath.Join(t.TempDir(), "rules.yml")
	require.NoError(t, os.WriteFile(file, rules, 0o600))
	loadRules(t, file)
	_, err = render(runbooksTemplate, values, "en")
	require.NoError(t, err)

	text, err := os.ReadFile(filepath.Join(repository, valuesFile))
	require.NoError(t, err)
	ours := regexp.MustCompile(`(?m)^holidays: .*`)
	require.Regexp(t, ours, string(text))
	values, err = parseValues("values.yaml", ours.ReplaceAll(text, []byte(`holidays: [2027-10-01, "2028-02-03"]`)))
	require.NoError(t, err)
	assert.Equal(t, `    time_intervals:
      - {years: ['2027'], months: ['10'], days_of_month: ['01']}
      - {years: ['2028'], months: ['02'], days_of_month: ['03']}
`, string(holidays(values["holidays"].([]string))))
	assert.Equal(t, "    time_intervals: []\n", string(holidays(nil)))
}
