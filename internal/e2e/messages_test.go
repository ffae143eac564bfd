package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

func TestOncePrintsEachErrorOnceAndWhereItsStoreIs(t *testing.T) {
	t.Parallel()
	e := install(t, setup{URL: "http://127.0.0.1:1", RequestTimeout: "1s"})
	code, _, stderr := command(t, e.dir, "--once")
	assert.Equal(t, 1, code)
	assert.Equal(t, 1, strings.Count(stderr, "connection refused"), stderr)
	assert.Contains(t, stderr, "connection refused; check the endpoint, the firewall")
	assert.Contains(t, stderr, "1 of 1 sources failed")
	assert.NotContains(t, stderr, "retry")
	dir, err := filepath.EvalSymlinks(e.dir)
	require.NoError(t, err)
	assert.Contains(t, stderr, "path="+filepath.Join(dir, "data"))
}

func TestAPortThatIsTakenIsExplained(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	e := install(t, setup{URL: "http://127.0.0.1:1"})
	for _, args := range [][]string{
		{"demo", "--web.listen-address=" + taken.Addr().String()},
		{"run", "--web.listen-address=" + taken.Addr().String()},
		{"simulate", "--listen-address=" + taken.Addr().String()},
	} {
		code, _, stderr := command(t, e.dir, args...)
		assert.Equal(t, 1, code, args)
		assert.Contains(t, stderr, "another program listens there", args)
		assert.Contains(t, stderr, "listen-address=", args)
	}
}

func TestSimulateSaysWhatIsAllowed(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string]string{
		"--history=yesterday":   `--history "yesterday": must be a duration like 12h or 30d`,
		"--logins-per-hour=nan": "--logins-per-hour must be from 0 to 1000000",
		"--logins-per-hour=inf": "--logins-per-hour must be from 0 to 1000000",
		"--logins-per-hour=-1":  "--logins-per-hour must be from 0 to 1000000",
	} {
		code, _, stderr := command(t, t.TempDir(), "simulate", flag)
		assert.Equal(t, 2, code, flag)
		assert.Contains(t, stderr, want)
	}
}

func TestCheckConfigSaysWhatIsDoubtfulAndWhatTheModesNeed(t *testing.T) {
	t.Parallel()
	e := install(t, setup{})
	e.write("workspace_exporter.yml", `projects:
  - name: a
    project_id: my-project
    region: xx-new-7
    credentials: {token: {token: xxxx}}
    sources: {user_connections: {poll_interval: 1s, mode: query}, desktop_connections: {stages: {}}}
  - name: b
    project_id: my-project
    region: xx-new-7
    credentials: {token: {token: hunter2}}
`)
	code, stdout, stderr := command(t, e.dir, "check-config")
	require.Zero(t, code, stderr)
	for _, want := range []string{
		"yml:3: projects[0].project_id: looks like a placeholder", "yml:4: projects[0].region: no list", "yml:5: projects[0].credentials.token.token: looks like",
		"yml:6: projects[0].sources.user_connections.poll_interval: 1s is shorter", "yml:8: projects[1].project_id: \"b\" and \"a\" read the same project",
		"a/user_connections, mode query, needs the permissions workspace:session:listUserConnection\n",
		"a/desktop_connections, mode export_v2, needs the permissions workspace:connections:securityExport, workspace:statistics:getUserAccessStages\n",
		"b/user_connections, mode auto, needs the permissions workspace:session:listUserConnection, workspace:session:exportUserConnection, workspace:tenants:listExportTasks, workspace:tenants:exportData; to delete its finished tasks, also workspace:tenants:deleteExportTasks\n",
	} {
		assert.Contains(t, stdout, want)
	}
	assert.NotContains(t, stdout, "xxxx")
	code, _, _ = command(t, e.dir, "check-config", "--no-such-flag")
	assert.Equal(t, 2, code)
}

// Whatever the order of the list, and however many pages it has.
func TestDoctorShowsTheNewestRecord(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]simulator.Order{"ascending": simulator.Ascending, "descending": simulator.Descending} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, simulator.Options{Order: order}, nil)
			begun := time.Now().Add(-10 * time.Hour).Truncate(time.Second).UTC()
			for n := range 350 {
				r := started(n, begun.Add(time.Duration(n)*time.Minute))
				r.StartTime = r.PreConnTime
				w.put(r)
			}
			e := install(t, setup{URL: w.url})
			code, stdout, stderr := command(t, e.dir, "doctor")
			require.Zero(t, code, stderr)
			assert.Contains(t, stdout, begun.Add(349*time.Minute).Format(time.RFC3339))
			assert.Contains(t, stdout, "records in the last 1d: 350")
		})
	}
}

func TestDoctorNamesHostsAndTriesTheProxy(t *testing.T) {
	t.Parallel()
	e := install(t, setup{})
	e.write("workspace_exporter.yml", `global: {request_timeout: 1s}
projects:
  - name: a
    project_id: p1
    region: cn-north-4
    proxy_url: http://user:hunter2@127.0.0.1:1
    credentials: {password: {domain: account, user: exporter, password: hunter2}}
`)
	code, stdout, stderr := command(t, e.dir, "doctor")
	assert.Equal(t, 1, code)
	for _, want := range []string{
		"appstream: https://appstream.cn-north-4.myhuaweicloud.com, by the proxy 127.0.0.1:1", "workspace: https://workspace.cn-north-4.myhuaweicloud.com",
		"iam: https://iam.cn-north-4.myhuaweicloud.com", "WRONG: the proxy cannot be reached",
		"proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused; check proxy_url",
	} {
		assert.Contains(t, stdout, want)
	}
	assert.NotContains(t, stdout+stderr, "hunter2")
}

func TestARefusedReloadIsShownUntilOneSucceeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	s := setup{URL: w.url}
	e := runExporter(t, s)
	const refused = "The last reload was refused."
	assert.NotContains(t, e.get("/").body, refused)
	e.write("workspace_exporter.yml", s.text()+"no_such_key: 1\n")
	e.signal(syscall.SIGHUP)
	eventually(t, "the page shows the refusal", func() bool { return containsAll(e.get("/").body, refused, "no_such_key") })
	e.configure(s)
	e.signal(syscall.SIGHUP)
	eventually(t, "the page shows it no more", func() bool { return !strings.Contains(e.get("/").body, refused) })
}

func TestAnotherStoreOnReloadIsToldOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	e := runExporter(t, setup{URL: w.url})
	e.configure(setup{URL: w.url, Storage: "other"})
	e.signal(syscall.SIGHUP)
	eventually(t, "the log says so", func() bool { return strings.Contains(e.log.String(), "storage.path has changed") })
	assert.True(t, containsAll(e.log.String(), filepath.Join(e.dir, "data"), filepath.Join(e.dir, "other")))
	_, err := os.Stat(filepath.Join(e.dir, "other"))
	require.NoError(t, err)
}
