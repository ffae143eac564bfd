package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMistypedPasswordsBlameNoVersion: a third of the logins with a version fail. If the code
// of most is a user's own mistake, the version is not to blame.
func TestMistypedPasswordsBlameNoVersion(t *testing.T) {
	values, err := withChanges(t, map[string]any{"userErrorCodes": []any{"AUTH\\..*"}})
	require.NoError(t, err)
	rendered, err := render(rulesTemplate, values, "en")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "rules.yml")
	require.NoError(t, os.WriteFile(file, rendered, 0o600))

	d := newDatabase()
	for project, code := range map[string]string{"clumsy": "AUTH.0001", "broken": "CLIENT.42"} {
		get := func(name string, more ...string) *series {
			all := append([]string{model.MetricNameLabel, name, "job", "workspace", "project", project, "product", "app_streaming"}, more...)
			return d.series(labels.FromStrings(all...))
		}
		windows, version := []string{"client_type", "windows"}, []string{"client_version", "23.3"}
		newer := append(windows, version...)
		counters := map[*series]float64{ // a minute
			get("workspace_login_attempts_total", "desktop_group", "Call Center"):                              2,
			get("workspace_login_failures_total", "desktop_group", "Call Center", "failed_code", code):         0.2,
			get("workspace_login_failures_total", "desktop_group", "Call Center", "failed_code", "AUTH.0005"):  0.05,
			get("workspace_client_version_login_attempts_total", newer...):                                     0.75,
			get("workspace_client_version_login_failures_total", append(newer, "failed_code", code)...):        0.2,
			get("workspace_client_version_login_failures_total", append(newer, "failed_code", "AUTH.0005")...): 0.05,
			get("workspace_client_version_login_attempts_total", append(windows, "client_version", "23.2")...): 1.25,
		}
		failed, most := get("workspace_login_failed_users", "window", "1h"), get("workspace_login_max_failures_per_user", "window", "1h")
		for m := range int32(180) {
			for s, rate := range counters {
				s.now += rate
				s.show(m, s.now)
			}
			failed.show(m, 6)
			most.show(m, 3)
		}
	}
	d.last = 179
	var blamed []string
	for _, a := range newEvaluator(t, d, loadRules(t, file)).run(60, 180) {
		if a.rule.Alert == "WorkspaceLoginFailuresOfVersion" {
			blamed = append(blamed, a.labels.Get("project")+" "+a.labels.Get("client_version"))
		}
	}
	assert.Equal(t, []string{"broken 23.3"}, blamed)
}
