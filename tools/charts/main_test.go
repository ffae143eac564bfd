package charts

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// repository is where everything is, seen from here.
const repository = "../.."

// temporary is a folder for all tests; in it is program, the exporter, built once.
var temporary, program string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "deploy-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	temporary, program = dir, filepath.Join(dir, "workspace_exporter")
	build := exec.Command("go", "build", "-trimpath", "-o", program, ".")
	build.Dir = repository
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(string(out))
	}
	return m.Run()
}

// output runs a command, which must succeed, in the repository's root.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	var errors strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Dir = repository
	cmd.Stderr = &errors
	out, err := cmd.Output()
	require.NoError(t, err, "%s %s\n%s%s", name, strings.Join(args, " "), out, &errors)
	return string(out)
}

// tool is the path of a program of Prometheus or Alertmanager.
func tool(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(output(t, "scripts/tool", name))
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(repository, name))
	require.NoError(t, err)
	return string(content)
}

var secretFile = regexp.MustCompile(`_file: "?([^\s"},]+)`)

// checkConfig asks the exporter what it thinks of a configuration. The secrets that it
// names are there; those at absolute paths are beside it.
func checkConfig(t *testing.T, content string) {
	t.Helper()
	dir := t.TempDir()
	content = strings.ReplaceAll(content, "/run/credentials/", "run/credentials/")
	for _, found := range secretFile.FindAllStringSubmatch(content, -1) {
		secret := filepath.Join(dir, found[1])
		require.NoError(t, os.MkdirAll(filepath.Dir(secret), 0o700))
		value := "secret"
		if filepath.Base(secret) == "dsn" {
			value = "postgres://exporter:secret@db.example.com/workspace?sslmode=verify-full"
		}
		require.NoError(t, os.WriteFile(secret, []byte(value), 0o600))
	}
	file := filepath.Join(dir, "workspace_exporter.yml")
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	output(t, program, "check-config", "--config.file="+file)
}

func TestConfigurationsThatAreShipped(t *testing.T) {
	for _, name := range []string{"deploy/systemd/workspace_exporter.yml", "deploy/compose/exporter/workspace_exporter.yml"} {
		checkConfig(t, read(t, name))
	}
}
