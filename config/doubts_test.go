package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// doubted parses a project of the fields, and returns its warnings.
func doubted(t *testing.T, fields string) string {
	t.Helper()
	c, err := parse("c.yml", []byte("projects:\n  - {name: a, "+fields+"}\n"))
	require.NoError(t, err)
	return strings.Join(c.Warnings, "\n")
}

func TestRegionsThatNoListKnowsAreWarnedOf(t *testing.T) {
	for region, want := range map[string]string{
		"cn-north-4": "", "eu-west-101": "", "af-north-1": "",
		"cn-noth-4": "did you mean cn-north-4? ", "xx-new-7": "no list of the vendor's has Workspace in \"xx-new-7\": If",
	} {
		said := doubted(t, "project_id: p1, credentials: {default_chain: {}}, region: "+region)
		assert.Contains(t, said, want)
		assert.Equal(t, want == "", said == "", said)
		given := doubted(t, "project_id: p1, credentials: {default_chain: {}}, endpoints: {appstream: https://a.example, workspace: https://b.example}, region: "+region)
		assert.Empty(t, given, "no host is guessed")
	}
	for _, region := range append(appStreamRegions, "eu-west-101") {
		assert.Contains(t, regions, region)
	}
}

func TestPlaceholdersAreWarnedOf(t *testing.T) {
	const variable, toFill = "variables are not expanded", "looks like a placeholder (not shown)"
	for value, want := range map[string]string{
		"my-project": toFill, "your_project_id": toFill, "<project id>": toFill, "xxxx": toFill, "CHANGE_ME": toFill, "project-id": toFill, "example": toFill, "AK": toFill, "...": toFill,
		"${HW_AK}": variable, "key-${AK}": variable, "{{ .Values.key }}": variable, "%HW_AK%": variable,
		"a4da8115c9d8464ead3a38309130523f": "", "p1": "", "AKIAIOSFODNN7EXAMPLE0": "", "mytenant": "", "hunter2": "", "$ecret{1}": "", "exampled": "",
	} {
		assert.Equal(t, want != "", placeholderProblem(value) != "", value)
		said := doubted(t, fmt.Sprintf("project_id: p1, region: cn-north-4, credentials: {password: {domain: %q, user: %[1]q, password: %[1]q}}", value))
		for _, key := range []string{"domain", "user", "password"} {
			assert.Equal(t, want != "", strings.Contains(said, "credentials.password."+key+": "), "%s: %s", key, said)
		}
		assert.Contains(t, said, want)
		if want != "" {
			assert.NotContains(t, said, value)
		}
	}
	assert.Contains(t, doubted(t, "project_id: my-project, region: cn-north-4, credentials: {default_chain: {}}"), "c.yml:2: projects[0].project_id: "+toFill)
	for value, want := range map[string]string{"${HW_AK}": variable, "<your AK>": toFill, "A;B": "punctuation"} {
		_, err := parse("c.yml", fmt.Appendf(nil, "projects:\n  - {name: a, project_id: p1, region: cn-north-4, credentials: {aksk: {access_key: %q, secret_key: s}}}", value))
		assert.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), value)
	}
	_, err := parse("c.yml", []byte("projects:\n  - {name: a, project_id: '${ID}', region: cn-north-4, credentials: {default_chain: {}}}"))
	assert.ErrorContains(t, err, variable)
}

func TestBudgetsBeyondTheQuotaAreWarnedOf(t *testing.T) {
	for perMinute, want := range map[int]string{100: "", 101: "201 requests in a minute, and the vendor's page says that the API answers 200"} {
		said := doubted(t, fmt.Sprintf("project_id: p1, credentials: {default_chain: {}}, region: cn-north-4, sources: {desktop_connections: {stages: {max_per_minute: 100}}, app_connections: {stages: {max_per_minute: %d}}}", perMinute))
		assert.Contains(t, said, want)
		assert.Equal(t, want == "", said == "", said)
	}
}

func TestIntervalsThatTheAPICannotMeetAreWarnedOf(t *testing.T) {
	for sources, want := range map[string]string{
		"user_connections: {}": "", "user_connections: {poll_interval: 10s}": "",
		"user_connections: {poll_interval: 5s}":                     "user_connections.poll_interval: 5s is shorter than 10s",
		"user_connections: {poll_interval: 30s, mode: export}":      "poll_interval: 30s is shorter than an export task takes",
		"sessions: {poll_interval: 30s, mode: query}":               "",
		"sessions: {poll_interval: 30s}":                            "sessions.poll_interval: 30s is shorter than an export task",
		"desktop_connections: {mode: export_v3, poll_interval: 1s}": "desktop_connections.poll_interval: 1s is shorter than an export task",
		"user_connections: {lookback: 0s}":                          "user_connections.lookback: 0s is short",
		"desktop_connections: {lookback: 4m}":                       "desktop_connections.lookback: 4m is short",
		"access_statistics: {settle: 1m}":                           "access_statistics.settle: 1m is short",
	} {
		said := doubted(t, "project_id: p1, credentials: {default_chain: {}}, region: cn-north-4, sources: {"+sources+"}")
		assert.Contains(t, said, want)
		assert.Equal(t, want == "", said == "", said)
		said = doubted(t, `project_id: p1, credentials: {default_chain: {}}, endpoints: {appstream: "http://127.0.0.1:1", workspace: "http://127.0.0.1:1"}, sources: {`+sources+"}")
		assert.Empty(t, said, "a simulator is as fast as one likes")
	}
}
