package charts

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const unit = "deploy/systemd/workspace_exporter.service"

// exposed is how open systemd may think the service is, of 100: what is left is that it
// uses the network, any address, and /proc.
const exposed = "15"

func TestUnit(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("systemd, which alone can judge the unit, exists for Linux only")
	}
	// systemd wants to see the program where the unit has it.
	file := filepath.Join(t.TempDir(), filepath.Base(unit))
	content := strings.ReplaceAll(read(t, unit), "ExecStart=/usr/local/bin/workspace_exporter", "ExecStart="+program)
	require.Contains(t, content, program)
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	// It only warns of keys that it does not know.
	out, err := exec.Command(repository+"/scripts/systemd-analyze", "verify", "--man=no", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NotContains(t, string(out), filepath.Base(unit))
	output(t, "scripts/systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold="+exposed, file)
}

// TestUnitAndItsConfiguration: what one names, the other must have.
func TestUnitAndItsConfiguration(t *testing.T) {
	u, config := read(t, unit), read(t, "deploy/systemd/workspace_exporter.yml")
	for _, key := range []string{"access_key", "secret_key"} {
		assert.Contains(t, u, "\nLoadCredential="+key+":/etc/workspace_exporter/"+key+"\n")
		assert.Contains(t, config, key+"_file: /run/credentials/workspace_exporter.service/"+key+"\n")
	}
	assert.Contains(t, u, "\nStateDirectory=workspace_exporter\n")
	assert.Contains(t, config, "path: /var/lib/workspace_exporter\n")
	// A crash must not keep the service down: Go exits with 2, as a bad configuration does.
	assert.Contains(t, u, "\nRestart=on-failure\n")
	assert.Contains(t, u, "\nStartLimitIntervalSec=0\n")
	assert.NotContains(t, u, "RestartPreventExitStatus")
}

// TestInstallByHand runs the lines of the unit's head in a clone and in a release, with a
// folder in the place of the system's.
func TestInstallByHand(t *testing.T) {
	head, _, _ := strings.Cut(read(t, unit), "\n# Check a configuration")
	var lines []string
	for _, m := range regexp.MustCompile(`(?m)^#   (.+)$`).FindAllStringSubmatch(head, -1) {
		lines = append(lines, m[1])
	}
	for name, folder := range map[string]string{"clone": "deploy/systemd", "release": "systemd"} {
		t.Run(name, func(t *testing.T) {
			here, system := t.TempDir(), t.TempDir()
			for _, file := range []string{"workspace_exporter", "secrets/access_key", "secrets/secret_key", folder + "/workspace_exporter.yml", folder + "/workspace_exporter.service"} {
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(here, file)), 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(here, file), []byte(file), 0o600))
			}
			for _, dir := range []string{"usr/local/bin", "etc/systemd/system"} {
				require.NoError(t, os.MkdirAll(filepath.Join(system, dir), 0o755))
			}
			script := strings.NewReplacer(" /etc/", " "+system+"/etc/", " /usr/", " "+system+"/usr/").Replace(strings.Join(lines, "\n"))
			cmd := exec.Command("sh", "-e", "-c", "systemctl() { :; }\n"+script)
			cmd.Dir = here
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
			for file, mode := range map[string]os.FileMode{
				"usr/local/bin/workspace_exporter": 0o755, "etc/systemd/system/workspace_exporter.service": 0o644,
				"etc/workspace_exporter/workspace_exporter.yml": 0o644, "etc/workspace_exporter/access_key": 0o600, "etc/workspace_exporter/secret_key": 0o600,
			} {
				info, err := os.Stat(filepath.Join(system, file))
				if assert.NoError(t, err) {
					assert.Equal(t, mode, info.Mode().Perm(), file)
				}
			}
		})
	}
}

// TestCheckConfigByHand runs the lines of the unit's head, with a folder in the place of
// /etc, while no service runs.
func TestCheckConfigByHand(t *testing.T) {
	lines := regexp.MustCompile(`(?m)^#   (sed .+\|)\n#     (workspace_exporter .+)$`).FindStringSubmatch(read(t, unit))
	require.NotNil(t, lines)
	etc := t.TempDir()
	for name, content := range map[string]string{"workspace_exporter.yml": read(t, "deploy/systemd/workspace_exporter.yml"), "access_key": "AK", "secret_key": "SK"} {
		require.NoError(t, os.WriteFile(filepath.Join(etc, name), []byte(content), 0o600))
	}
	script := strings.ReplaceAll(lines[1], "/etc/workspace_exporter", etc) + " " + strings.Replace(lines[2], "workspace_exporter", program, 1)
	output(t, "sh", "-c", script)
	require.NoError(t, os.Remove(filepath.Join(etc, "secret_key")))
	out, err := exec.Command("sh", "-c", script).CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), filepath.Join(etc, "secret_key"))
}
