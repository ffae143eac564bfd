package config

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite the messages of testdata/bad; read the difference before you keep it")

// planted is in every secret of testdata, and nowhere else.
const planted = "hunter2"

// Every file in testdata/bad is refused with exactly the sentences of the text
// file beside it.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			config, err := Load(file)
			require.Error(t, err)
			assert.Nil(t, config)
			assert.IsType(t, Problems{}, err)

			expected := strings.TrimSuffix(file, ".yml") + ".txt"
			if *update {
				require.NoError(t, os.WriteFile(expected, []byte(err.Error()+"\n"), 0o600))
			}
			want, readErr := os.ReadFile(expected)
			require.NoError(t, readErr)
			assert.Equal(t, string(want), err.Error()+"\n")
			assert.NotContains(t, err.Error(), planted)
		})
	}
}

func TestMissingFile(t *testing.T) {
	_, err := Load("testdata/absent.yml")
	require.EqualError(t, err, "testdata/absent.yml: the configuration file cannot be read: no such file or directory; give its path by --config.file, or write one: docs/configuration.md")
}

// Every file in testdata/good loads, prints no secret under any verb, and what
// it prints as YAML is a configuration again.
func TestGoodFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.yml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, err := Load(file)
			require.NoError(t, err)

			for _, project := range c.Projects {
				assertMasked(t, project)
				assertMasked(t, *project)
				assertMasked(t, project.Credentials)
				for _, kind := range []any{project.Credentials.AKSK, project.Credentials.Password, project.Credentials.Token} {
					assertMasked(t, kind)
				}
			}
			assertMasked(t, c)

			masked, err := c.MaskedYAML()
			require.NoError(t, err)
			directory, err := os.Getwd() // paths are resolved already
			require.NoError(t, err)
			again, err := parse(filepath.Join(directory, "masked.yml"), absolute(masked, directory))
			require.NoError(t, err)
			twice, err := again.MaskedYAML()
			require.NoError(t, err)
			assert.Equal(t, string(absolute(masked, directory)), string(twice))
		})
	}
}

func absolute(masked []byte, directory string) []byte {
	return []byte(strings.ReplaceAll(string(masked), ": testdata/", ": "+directory+"/testdata/"))
}

func TestMinimal(t *testing.T) {
	c, err := Load("testdata/good/minimal.yml")
	require.NoError(t, err)
	require.Len(t, c.Warnings, 1, "everybody can read the file, which has a token")
	assert.Equal(t, Global{PollInterval: minutes(1), RequestTimeout: seconds(30)}, c.Global)
	assert.Equal(t, "testdata/good/data", c.Storage.Path)
	assert.Nil(t, c.FailedLoginsLog)
	assert.Equal(t, Metrics{
		NewSeriesHold: minutes(2),
		MaxSeries:     20000,
		UserWindows:   []UserWindow{{"15m", 15 * time.Minute}, {"1h", time.Hour}},
	}, c.Metrics)

	require.Len(t, c.Projects, 1)
	p := c.Projects[0]
	assert.Equal(t, RateLimit{RequestsPerSecond: 10, Burst: 10}, p.RateLimit)
	assert.Equal(t, 4, p.Concurrency)
	assert.Equal(t, Endpoints{
		AppStream: "https://appstream.cn-north-4.myhuaweicloud.com",
		Workspace: "https://workspace.cn-north-4.myhuaweicloud.com",
		IAM:       "https://iam.cn-north-4.myhuaweicloud.com",
	}, p.Endpoints)
	assert.Equal(t, Sources{UserConnections: &UserConnections{
		Source:          Source{Polling: Polling{minutes(1)}, Mode: ModeAuto, ExportTimeout: minutes(15)},
		Window:          Window{Lookback: minutes(15), InitialLookback: minutes(60), PendingTimeout: minutes(60)},
		ExportThreshold: 5000,
		SuccessCodes:    []string{"", "0", "WKS.00000000"},
	}}, p.Sources)
}

// The shipped example writes the defaults down.
func TestExampleShowsTheDefaults(t *testing.T) {
	example, err := Load("testdata/good/example.yml")
	require.NoError(t, err)
	minimal, err := Load("testdata/good/minimal.yml")
	require.NoError(t, err)

	example.Projects[0].Credentials = minimal.Projects[0].Credentials
	assert.Equal(t, minimal.String(), example.String())
}

func TestFull(t *testing.T) {
	c, err := Load("testdata/good/full.yml")
	require.NoError(t, err)
	assert.Equal(t, "/var/lib/workspace_exporter", c.Storage.Path)
	assert.Equal(t, map[string]string{"site": "north", "team": "desktop"}, c.Metrics.ConstantLabels)
	assert.Equal(t, []UserWindow{{"5m", 5 * time.Minute}, {"60m", time.Hour}, {"1d", day}}, c.Metrics.UserWindows,
		"labels are as written")

	p := c.Projects[0]
	assert.Equal(t, "https://appstream.example.com", p.Endpoints.AppStream, "no slash at the end")
	assert.Equal(t, "https://workspace.example.com/prefix", p.Endpoints.Workspace)
	assert.Equal(t, &UserConnections{
		Source: Source{
			Polling:       Polling{model.Duration(100 * time.Millisecond)},
			Mode:          ModeQuery,
			ExportTimeout: minutes(30),
			Columns:       map[string]string{"Account": "user_name", "桌面组": "desktop_group_name", "Error code": ""},
			TimeZone:      "Asia/Shanghai",
		},
		Window:          Window{InitialLookback: model.Duration(history), PendingTimeout: minutes(120)},
		ExportThreshold: 1,
		SuccessCodes:    []string{"", "0", "00"},
	}, p.Sources.UserConnections)
	assert.Equal(t, "zh_CN", p.Sources.DesktopConnections.Language)
	assert.Equal(t, minutes(5), p.Sources.AccessStatistics.Settle)
	assert.Equal(t, &AppConnections{UserConnections: UserConnections{
		Source: Source{Polling: Polling{minutes(2)}, Mode: ModeExport, ExportTimeout: minutes(15), Columns: map[string]string{"应用": "app_name"}},
		Window: Window{Lookback: minutes(20), InitialLookback: minutes(60), PendingTimeout: minutes(60)}, ExportThreshold: 7,
		SuccessCodes: []string{"ok"}, ReconcileInterval: minutes(60),
	}, Stages: &Stages{60}}, p.Sources.AppConnections)
	assert.Equal(t, &Stages{30}, p.Sources.DesktopConnections.Stages, "the key alone turns it on")

	assert.Equal(t, "/var/log/workspace_exporter/failed_logins.jsonl", c.FailedLoginsLog.Path)
	assertMasked(t, *c.FailedLoginsLog)
	key, err := c.FailedLoginsLog.PseudonymKey.Read()
	require.NoError(t, err)
	assert.Equal(t, "hunter2-pseudonyms-of-users", key)
}

func TestSources(t *testing.T) {
	c, err := Load("testdata/good/sources.yml")
	require.NoError(t, err)

	all := c.Projects[0].Sources
	assert.Equal(t, seconds(30), all.UserConnections.PollInterval, "the global interval, if there is one")
	assert.Equal(t, seconds(30), all.Sessions.PollInterval)
	assert.Equal(t, seconds(30), all.AccessStatistics.PollInterval)
	assert.Equal(t, seconds(7), all.DesktopConnections.PollInterval, "its own")
	assert.Equal(t, seconds(30), all.Servers.PollInterval)
	assert.Equal(t, seconds(9), all.Desktops.PollInterval)
	assert.Equal(t, ModeAuto, all.UserConnections.Mode)
	assert.Equal(t, ModeExport, all.Sessions.Mode)
	assert.Equal(t, ModeExport, all.AccessStatistics.Mode)
	assert.Equal(t, ModeExportV2, all.DesktopConnections.Mode)

	assert.Equal(t, ModeQuery, c.Projects[1].Sources.UserConnections.Mode, "no host for export tasks")
	require.Len(t, c.Warnings, 2)
	assert.Contains(t, c.Warnings[0], "sources.yml:19: projects[1].sources.user_connections.mode: auto means query here")
}

// Without a global interval, the sources that run export tasks poll less often.
func TestPollIntervals(t *testing.T) {
	c := mustParse(t, `
    sources: {user_connections: , sessions: , access_statistics: , desktop_connections: , servers: , desktops: }
`)
	s := c.Projects[0].Sources
	assert.Equal(t, minutes(1), s.UserConnections.PollInterval)
	assert.Equal(t, minutes(5), s.Sessions.PollInterval)
	assert.Equal(t, minutes(15), s.AccessStatistics.PollInterval)
	assert.Equal(t, minutes(1), s.DesktopConnections.PollInterval)
	assert.Equal(t, minutes(5), s.Servers.PollInterval)
	assert.Equal(t, minutes(5), s.Desktops.PollInterval)
}

func TestCredentials(t *testing.T) {
	c, err := Load("testdata/good/credentials.yml")
	require.NoError(t, err)
	require.Len(t, c.Projects, 4)

	read := func(s Secret) string {
		value, err := s.Read()
		require.NoError(t, err)
		return value
	}
	aksk := c.Projects[0].Credentials.AKSK
	assert.Equal(t, "hunter2-access", read(aksk.AccessKey))
	assert.Equal(t, "hunter2-secret", read(aksk.SecretKey))
	assert.Equal(t, "hunter2-token", read(aksk.SecurityToken))
	assert.Equal(t, "hunter2-secret", read(c.Projects[1].Credentials.Password.Password))
	assert.Equal(t, "example", c.Projects[1].Credentials.Password.Domain)
	assert.Equal(t, "hunter2-token", read(c.Projects[2].Credentials.Token.Token))
	assert.NotNil(t, c.Projects[3].Credentials.DefaultChain)

	assert.Equal(t, "https://workspace.eu-west-101.myhuaweicloud.eu", c.Projects[0].Endpoints.AppStream,
		"no host of its own in this region")

	minimal, err := Load("testdata/good/minimal.yml")
	require.NoError(t, err)
	assert.Equal(t, "hunter2-secret", read(minimal.Projects[0].Credentials.AKSK.SecretKey))
	assert.Empty(t, read(minimal.Projects[0].Credentials.AKSK.SecurityToken))
}

func TestWarnings(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, mode os.FileMode) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(planted+"\n"), 0o600))
		require.NoError(t, os.Chmod(filepath.Join(dir, name), mode))
	}
	write("open", 0o644)
	write("closed", 0o640)
	path := filepath.Join(dir, "c.yml")
	c, err := parse(path, []byte(`
projects:
  - name: a
    project_id: p1
    endpoints: {appstream: http://appstream.example.com, workspace: http://127.0.0.1}
    credentials: {aksk: {access_key_file: open, secret_key_file: closed}}
    tls_config: {insecure_skip_verify: true}
`))
	require.NoError(t, err)
	assert.Equal(t, []string{
		path + `:5: projects[0].endpoints.appstream: "http://appstream.example.com" is not encrypted: whoever sits in between can read the token; use https`,
		path + ":6: projects[0].credentials.aksk.access_key_file: all users of this machine can read " + dir + "/open; chmod o-r is safer",
		path + ":7: projects[0].tls_config.insecure_skip_verify: the certificate of the server is not verified; give ca_file instead",
	}, c.Warnings)
}

func TestOneProjectTwice(t *testing.T) {
	const same, elsewhere = `"a" read the same project`, `has the project_id of "a", and other endpoints`
	const project = "\n  - {name: %s, project_id: %s, region: %s, credentials: {default_chain: {}}}"
	of := func(fields ...any) string { return fmt.Sprintf(strings.Repeat(project, len(fields)/3), fields...) }
	for projects, warnings := range map[string][]string{
		of("a", "p1", "cn-north-4", "b", "p1", "cn-north-4"):                           {same},
		of("a", "p1", "cn-north-4", "b", "p1", "cn-north-4", "c", "p1", "cn-north-4"):  {same, same},
		of("a", "p1", "cn-north-4", "b", "p2", "cn-north-4", "c", "p1", "cn-north-11"): {elsewhere},
		of("a", "p1", "cn-north-4", "b", "p2", "cn-north-4"):                           nil,
	} {
		c, err := parse("c.yml", []byte("projects:"+projects))
		require.NoError(t, err)
		require.Len(t, c.Warnings, len(warnings), projects)
		for i, w := range c.Warnings {
			assert.Contains(t, w, warnings[i])
		}
	}
}

func TestEnvironmentIsNotExpanded(t *testing.T) {
	t.Setenv("SITE", "expanded")
	c := mustParse(t, "\nmetrics: {constant_labels: {site: '${SITE}'}}\n")
	assert.Equal(t, "${SITE}", c.Metrics.ConstantLabels["site"])
}

// mustParse reads a minimal project with more lines after it.
func mustParse(t *testing.T, more string) *Config {
	t.Helper()
	c, err := parse("c.yml", []byte(`
projects:
  - name: a
    project_id: p1
    region: cn-north-4
    credentials: {token: {token: hunter2}}`+more))
	require.NoError(t, err)
	return c
}

// assertMasked prints v in every way there is, and looks for a secret.
func assertMasked(t *testing.T, v any) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10.3s"} {
		out := fmt.Sprintf(verb, v)
		assert.NotContains(t, out, planted, verb)
		assert.NotContains(t, strings.ToLower(out), fmt.Sprintf("%x", planted), verb)
	}
	out, err := json.Marshal(v)
	require.NoError(t, err)
	assert.NotContains(t, string(out), planted)
	out, err = yaml.Marshal(v)
	require.NoError(t, err)
	assert.NotContains(t, string(out), planted)
}

func TestNamesOfDesktopsAreWarnedOf(t *testing.T) {
	for option, warnings := range map[string]int{"": 0, "desktop_names: false": 0, "desktop_names: true": 1} {
		c, err := parse("c.yml", []byte("projects:\n  - {name: a, project_id: p, region: cn-north-4, credentials: {default_chain: {}}, sources: {desktop_connections: {"+option+"}}}"))
		require.NoError(t, err)
		require.Len(t, c.Warnings, warnings)
		for _, w := range c.Warnings {
			assert.Contains(t, w, "desktop_connections.desktop_names: ")
		}
	}
}

func TestOpenFilesAreWarnedOf(t *testing.T) {
	dir := t.TempDir()
	file, data, failed := filepath.Join(dir, "c.yml"), filepath.Join(dir, "data"), filepath.Join(dir, "failed.jsonl")
	const text = "storage: {path: data}\nfailed_logins_log: {path: failed.jsonl}\nprojects:\n  - {name: a, project_id: p, region: cn-north-4, credentials: {%s}}\n"
	warnings := func(credentials string, mode os.FileMode) string {
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, text, credentials), 0o600))
		require.NoError(t, os.Chmod(file, mode))
		c, err := Load(file)
		require.NoError(t, err)
		return strings.Join(c.Warnings, "\n")
	}
	const inline = "token: {token: hunter2}"
	assert.Empty(t, warnings(inline, 0o640))
	assert.Empty(t, warnings("default_chain: {}", 0o644), "there is no secret in it")
	assert.Contains(t, warnings(inline, 0o644), file+": all users of this machine can read the configuration")
	require.NoError(t, os.Mkdir(data, 0o700))
	require.NoError(t, os.WriteFile(failed, nil, 0o600))
	assert.Empty(t, warnings(inline, 0o600))
	require.NoError(t, os.Chmod(data, 0o777))
	require.NoError(t, os.Chmod(failed, 0o644))
	assert.Contains(t, warnings(inline, 0o600), "storage.path: all users of this machine can write to "+data)
	assert.Contains(t, warnings(inline, 0o600), "failed_logins_log.path: all users of this machine can read "+failed)
	// A store that was copied back, and what everybody can change.
	copied := filepath.Join(data, "state.db")
	require.NoError(t, os.WriteFile(copied, nil, 0o600))
	require.NoError(t, os.Chmod(copied, 0o644))
	require.NoError(t, os.Chmod(data, 0o755))
	require.NoError(t, os.Chmod(failed, 0o622))
	assert.Contains(t, warnings(inline, 0o600), "storage.path: all users of this machine can read "+copied)
	assert.Contains(t, warnings(inline, 0o600), "failed_logins_log.path: all users of this machine can write to "+failed)
	assert.Contains(t, warnings("default_chain: {}", 0o602), "all users of this machine can write to the configuration")
	require.NoError(t, os.Chmod(data, 0o700))
	require.NoError(t, os.Chmod(failed, 0o600))
	assert.Empty(t, warnings(inline, 0o600), "the folder is closed to others")
}

// People paste secrets where names of files belong, and whole sections.
func TestSecretsInTheWrongPlaceAreNotShown(t *testing.T) {
	const head = "projects:\n  - name: a\n    project_id: p\n    region: cn-north-4\n    credentials: "
	for _, secret := range []string{"HPUAXXEXAMPLE0001234", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "eyJhbGciOi0.eyJzdWIiOiIxMjM0NTY3.SflKxwRJSMeKKF2QT4", "MII" + strings.Repeat("EkgYJKoZIhvc", 40)} {
		for _, text := range []string{
			head + "{token: {token_file: " + secret + "}}", head + "{aksk: {access_key_file: " + secret + ", secret_key_file: " + secret + "}}",
			head + "{default_chain: {}}\nstorage: " + secret, head + "{default_chain: {}}\nstorage: {pseudonym_key_file: " + secret + "}",
		} {
			_, err := parse("c.yml", []byte(text))
			require.Error(t, err)
			assert.NotContains(t, err.Error(), secret[3:12], text)
		}
	}
	for _, name := range []string{"secrets/token", "token", "secrets/project1/access_key", "Token-of-Project-1.txt",
		filepath.Join(t.TempDir(), "Token-of-Project-1-that-is-long")} {
		_, err := parse("c.yml", []byte(head+"{token: {token_file: "+name+"}}"))
		assert.ErrorContains(t, err, "secret file "+name+": cannot be read")
	}
}

func TestPostgres(t *testing.T) {
	c, err := Load("testdata/good/reference_postgres.yml")
	require.NoError(t, err)
	assert.Empty(t, c.Storage.Path)
	assert.Equal(t, "workspace_exporter", c.Storage.Postgres.Schema)
	assert.Equal(t, seconds(30), c.Storage.Postgres.LeaseDuration)
	dsn, err := c.Storage.Postgres.DSN.Read()
	require.NoError(t, err)
	assert.Contains(t, dsn, "hunter2-dsn")

	c, err = Load("testdata/good/postgres.yml")
	require.NoError(t, err)
	assert.Equal(t, "public", c.Storage.Postgres.Schema)
	assert.Equal(t, seconds(15), c.Storage.Postgres.LeaseDuration)
	assert.Len(t, c.Warnings, 1, "the file is open to all; the connection stays on this machine")
	assertMasked(t, *c.Storage.Postgres)
	assertMasked(t, c.Storage)
}

// A password may cross a network in the clear: that is allowed, and warned of.
func TestPostgresWithoutTLS(t *testing.T) {
	for dsn, safe := range map[string]bool{
		"postgres://u:p@db.example.com/d":                                      false,
		"postgres://u:p@db.example.com/d?sslmode=disable":                      false,
		"postgres://u:p@db.example.com/d?sslmode=allow":                        false,
		"postgres://u:p@db.example.com/d?sslmode=require":                      true,
		"postgres://u:p@127.0.0.1,db.example.com/d?sslmode=prefer":             false,
		"host=/run/postgresql dbname=d":                                        true,
		"postgres://u:p@localhost/d?sslmode=disable":                           true,
		"host=db.example.com user=u password=p dbname=d sslmode=verify-full":   true,
		"postgres://u:p@one.example.com,two.example.com/d?sslmode=verify-full": true,
	} {
		c, err := parse("c.yml", fmt.Appendf(nil, "storage: {postgres: {dsn: %q}}\nprojects:\n  - name: p\n    project_id: p1\n    region: cn-north-4\n    credentials: {token: {token: t}}\n", dsn))
		require.NoError(t, err, dsn)
		assert.Equal(t, safe, !strings.Contains(strings.Join(c.Warnings, "\n"), "without TLS"), "%s: %v", dsn, c.Warnings)
	}
}
