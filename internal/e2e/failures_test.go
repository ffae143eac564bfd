package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// failedLogins are the lines of a log of failed logins. The last may just be being written.
func failedLogins(t *testing.T, file string) []map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var lines []map[string]string
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		var fields map[string]string
		require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
		lines = append(lines, fields)
	}
	return lines
}

// countedBy adds the lines up as the counters do.
func countedBy(lines []map[string]string, name string, labels ...string) series {
	counted := series{}
	for _, line := range lines {
		var pairs []string
		for _, label := range append(labels, "project", "product", "failed_code") {
			pairs = append(pairs, label, line[label])
		}
		counted[key(name, pairs...)]++
	}
	return counted
}

// failuresAre waits until there are n failures, and makes sure that there is a line for
// each, label set by label set.
func (e *exporter) failuresAre(n int, lines func() []map[string]string) {
	e.t.Helper()
	eventually(e.t, "each failure is a line", func() bool {
		want, got := e.metrics().records(), lines()
		if len(got) != n {
			return false
		}
		for name, labels := range map[string][]string{
			"workspace_login_failures_total":                {"desktop_group"},
			"workspace_server_login_failures_total":         {"desktop_group", "machine_name"},
			"workspace_client_login_failures_total":         {"client_type", "agent_version"},
			"workspace_client_version_login_failures_total": {"client_type", "client_version"},
		} {
			failures := series{}
			for key, value := range want {
				if nameOf(key) == name {
					failures[key] = value
				}
			}
			if len(failures) == 0 || len(countedBy(got, name, labels...).diff(failures)) > 0 {
				return false
			}
		}
		return true
	})
}

func TestEachFailedLoginIsALineOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	now := time.Now().Truncate(time.Second)
	w.put(spread(0, 200, now.Add(-20*time.Minute), time.Second)...)
	w.put(telling(5000, now.Add(-10*time.Minute)), started(5001, now.Add(-9*time.Minute)))
	e := install(t, setup{URL: w.url, More: "failed_logins_log: {path: failed.jsonl, pseudonym_key_file: key}"})
	e.write("key", "the first key of all\n")
	e.start("--log.level=debug")
	file := filepath.Join(e.dir, "failed.jsonl")
	lines := func() []map[string]string { return failedLogins(t, file) }
	e.failuresAre(61, lines)
	assert.Equal(t, map[string]string{"time": format(now.Add(-20 * time.Minute)), "msg": "login failed", "project": project, "source": "user_connections",
		"product": "app_streaming", "desktop_group": "group-0", "machine_name": "APS-0", "failed_code": "1001", "failed_reason": "The server is not reachable.",
		"client_type": "Windows 10", "client_version": "23.0.0", "agent_version": "23.0.0.0423", "disposition": "counted", "user": lines()[0]["user"]},
		lines()[slices.IndexFunc(lines(), func(l map[string]string) bool { return l["time"] == format(now.Add(-20*time.Minute)) })])
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	// A success that turns into a failure; a crash; and nothing again.
	w.put(failed(started(5001, now.Add(-9*time.Minute)), "1002", now.Add(-8*time.Minute)))
	e.failuresAre(62, lines)
	assert.Equal(t, 1, len(slices.DeleteFunc(lines(), func(l map[string]string) bool { return l["disposition"] != "reclassified" })))
	e.kill()
	e.start()
	e.polls(project, 2)
	e.failuresAre(62, lines)

	// A user has one name under one key, and another under the next, which holds at once.
	users := map[string]bool{}
	for _, l := range lines() {
		require.Regexp(t, "^[0-9a-f]{16}$", l["user"])
		users[l["user"]] = true
	}
	assert.Len(t, users, 37+1)
	pseudonym := func() string {
		c := exec.Command(binary, "pseudonym", "--config.file="+e.configFile())
		c.Stdin = strings.NewReader("user7@corp.example\n")
		out, err := c.Output()
		require.NoError(t, err)
		return strings.TrimSpace(string(out))
	}
	before := pseudonym()
	assert.True(t, users[before])
	e.write("key", "the second key of all\n")
	after := pseudonym()
	assert.NotEqual(t, before, after)
	w.put(failed(attempt(37*200+7, now.Add(-time.Minute)), "1001", now))
	e.failuresAre(63, lines)
	assert.Equal(t, after, lines()[len(lines())-1]["user"])

	// logrotate: the old file is moved, and the program signalled.
	require.NoError(t, os.Rename(file, file+".1"))
	e.signal(syscall.SIGHUP)
	eventually(t, "there is a new file", func() bool { _, err := os.Stat(file); return err == nil })
	w.put(failed(attempt(6000, now.Add(-time.Minute)), "1001", now))
	e.failuresAre(64, func() []map[string]string { return append(failedLogins(t, file+".1"), failedLogins(t, file)...) })
	assert.Len(t, lines(), 1)

	// It cannot be opened again: the old one stays.
	require.NoError(t, os.Remove(file))
	require.NoError(t, os.Mkdir(file, 0o700))
	e.signal(syscall.SIGHUP)
	eventually(t, "the reload is refused", func() bool { return strings.Contains(e.log.String(), "configuration not reloaded") })
	w.put(failed(attempt(6001, now.Add(-time.Minute)), "1001", now))
	eventually(t, "the failure is counted", func() bool { return e.metrics().sum("workspace_login_failures_total") == 65 })
	assert.Zero(t, e.metrics()["workspace_exporter_failed_logins_unlogged_total{}"])
	require.Equal(t, 0, e.stop())

	for _, text := range []string{e.logs.String(), stored(t, filepath.Join(e.dir, "data")), fmt.Sprint(failedLogins(t, file+".1"))} {
		for _, name := range append(names, "user7@corp", "key of all") {
			assert.NotContains(t, strings.ToLower(text), strings.ToLower(name))
		}
	}
	assert.Contains(t, fmt.Sprint(failedLogins(t, file+".1")), "Login of <user>")
}

func TestFailedLoginsOnStandardErrorWithoutUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 50, time.Now().Add(-20*time.Minute), time.Second)...)
	e := install(t, setup{URL: w.url, More: `failed_logins_log: {path: "-"}`})
	code, stdout, stderr := command(t, e.dir, "--once", "--log.level=error")
	require.Equal(t, 0, code, stderr)
	assert.Empty(t, parse(t, stdout).records().diff(w.expect()))
	require.NoError(t, os.WriteFile(filepath.Join(e.dir, "lines"), []byte(stderr), 0o600))
	lines := failedLogins(t, filepath.Join(e.dir, "lines"))
	assert.Len(t, lines, 15)
	for _, l := range lines {
		assert.NotContains(t, l, "user")
	}

	// Where it is off, which it is by default, there are none; and no pseudonyms either.
	e = install(t, setup{URL: w.url})
	_, _, stderr = command(t, e.dir, "--once", "--log.level=error")
	assert.Empty(t, stderr)
	code, _, stderr = command(t, e.dir, "pseudonym")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "failed_logins_log has no pseudonym_key_file")
}
