package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

const lockedOut = "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 775, v4563"

// TestFailureCodesAreExplained looks for explanations wherever a code is shown, before and
// after a reload with others.
func TestFailureCodesAreExplained(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	at := time.Now().Add(-5 * time.Minute)
	locked, other := failed(attempt(2, at), "2002", at), failed(attempt(3, at), "3003", at)
	locked.FailedReason, other.FailedReason = lockedOut, "Nobody knows."
	w.put(failed(attempt(1, at), "1003", at), locked, other, telling(4, at), telling(5, at))
	s := setup{URL: w.url, Hold: "0s", More: `
failed_logins_log: {path: failed.jsonl}
failure_codes:
- {code: 1003, class: capacity, text: No <server> is free, text_zh: 没有空闲的服务器, action: Add servers, action_zh: 增加服务器, url: https://wiki.example.com/1003}
`}
	e := runExporter(t, s, "--web.enable-lifecycle")
	explained := func(labels ...string) func() bool {
		return func() bool { return e.metrics().sum("workspace_login_failure_code_info", labels...) == 1 }
	}
	eventually(t, "own explanations are shown", explained(`failed_code="1003"`, `class="capacity"`, `explanation="No <server> is free"`))
	eventually(t, "and those that are built in", explained(`failed_code="2002"`, `class="account"`, `explanation="The account is locked"`))
	eventually(t, "and codes without one", explained(`failed_code="3003"`, `class=""`, `explanation=""`))
	assert.Equal(t, 1.0, e.metrics().sum("workspace_login_failure_code_advice_info",
		`failed_code="1003"`, `class="capacity"`, `explanation_zh="没有空闲的服务器"`, `action="Add servers"`, `action_zh="增加服务器"`, `url="https://wiki.example.com/1003"`))
	page := e.get("/").body
	assert.True(t, containsAll(page, "No &lt;server&gt; is free", "Add servers", `href="https://wiki.example.com/1003"`, "The account is locked", "No explanation yet"), page)
	lines, err := os.ReadFile(filepath.Join(e.dir, "failed.jsonl"))
	require.NoError(t, err)
	assert.True(t, containsAll(string(lines), `"class":"capacity","explanation":"No <server> is free","explanation_zh":"没有空闲的服务器","action":"Add servers","action_zh":"增加服务器"`, `"explanation":"The account is locked"`), string(lines))

	s.More = `failure_codes: [{reason: "(?i)acceptsecuritycontext", class: directory, text: Ask the directory's team}]`
	e.configure(s)
	r, err := e.request(http.MethodPost, "/-/reload", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, r.status)
	eventually(t, "the new explanation wins", explained(`failed_code="2002"`, `class="directory"`))
	eventually(t, "the old one is gone", explained(`failed_code="1003"`, `class=""`))
	assert.Equal(t, 1.0, e.metrics().sum("workspace_login_failure_code_info", `failed_code="2002"`))
}

// TestCodesPrintsWhatWasSeen while the exporter runs, and nothing of persons.
func TestCodesPrintsWhatWasSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	at := time.Now().Add(-5 * time.Minute)
	locked := failed(attempt(2, at), "2002", at)
	locked.FailedReason = lockedOut
	odd := failed(attempt(7, at), "gone for "+names[1]+" at "+names[2], at)
	w.put(failed(attempt(1, at), "1003", at), locked, telling(4, at), telling(5, at), odd)
	e := install(t, setup{URL: w.url, Hold: "0s"})
	code, stdout, stderr := command(t, e.dir, "codes")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "no store yet")
	assert.NoDirExists(t, filepath.Join(e.dir, "data"))
	assert.Empty(t, stdout)

	e.start()
	eventually(t, "all are counted", func() bool { return e.metrics().sum("workspace_login_failures_total") == 5 })
	before := filesIn(t, e.dir)
	code, stdout, stderr = command(t, e.dir, "codes")
	require.Equal(t, 0, code, stderr)
	assert.Equal(t, before, filesIn(t, e.dir), "nothing new is there")
	rows := strings.Split(stdout, "\n")
	assert.Regexp(t, `^PRODUCT +CODE +FAILURES +CLASS +REASON +EXPLANATION +SOURCE$`, rows[0])
	assert.Regexp(t, `^app_streaming +1001 +2 +- +Login of `, rows[1], "those with most come first")
	assert.Contains(t, stdout, "The account is locked")
	assert.Contains(t, stdout, "4 codes, 3 of them without an explanation")
	for _, private := range append([]string{"alice", attempt(1, at).DesktopGroupName, attempt(1, at).MachineName, attempt(1, at).UserName}, names...) {
		assert.NotContains(t, stdout+stderr, private)
	}
	assert.Equal(t, 0, e.stop())
	code, stopped, stderr := command(t, e.dir, "codes")
	require.Equal(t, 0, code, stderr)
	assert.Equal(t, stdout, stopped)
}

// filesIn lists all files in a folder.
func filesIn(t *testing.T, dir string) (files []string) {
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		files = append(files, path)
		return err
	}))
	return files
}
