package main

import (
	"os"
	"os/exec"
	"path/filepath"
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
	assert.Contains(t, u, "\nRestartPreventExitStatus=2\n")
}
