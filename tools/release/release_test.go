package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
)

const repository = "../.."

// copyRepository copies what git knows of to another folder, with other times and modes.
func copyRepository(t *testing.T, dir string, mode fs.FileMode) {
	t.Helper()
	out, err := exec.Command("git", "-C", repository, "ls-files").Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		name := strings.TrimSpace(line)
		content, err := os.ReadFile(filepath.Join(repository, name))
		if os.IsNotExist(err) {
			continue // removed, and not yet committed
		}
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, mode))
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}} {
		require.NoError(t, exec.Command("git", append([]string{"-C", dir}, args...)...).Run())
	}
}

// TestReproducible makes a release twice, in two places, and compares all bytes. That the
// compiler does its part too, only two builds without a cache show: the workflow of
// releases makes them.
func TestReproducible(t *testing.T) {
	host := runtime.GOOS + "/" + runtime.GOARCH
	if runtime.GOOS == "windows" {
		host = "linux/amd64"
	}
	make := func(mode fs.FileMode) map[string]string {
		dir := t.TempDir()
		copyRepository(t, dir, mode)
		r := release{repository: dir, output: filepath.Join(dir, "dist"), platforms: []string{host},
			version: "1.2.3", revision: "abcdef", time: time.Unix(1700000000, 0).UTC()}
		require.NoError(t, r.make())
		check(t, r)
		files := map[string]string{}
		entries, err := os.ReadDir(r.output)
		require.NoError(t, err)
		for _, e := range entries {
			data, err := os.ReadFile(filepath.Join(r.output, e.Name()))
			require.NoError(t, err)
			files[e.Name()] = fmt.Sprintf("%x", sha256.Sum256(data))
		}
		return files
	}
	first := make(0o644)
	assert.Len(t, first, 6, "program, its parts, dashboards, chart, manifests, checksums")
	assert.Equal(t, first, make(0o600))
}

// check looks at one release as who downloads it does.
func check(t *testing.T, r release) {
	t.Helper()
	run := func(name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.Dir = r.output
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	sums, err := os.ReadFile(filepath.Join(r.output, "SHA256SUMS"))
	require.NoError(t, err)
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		data, err := os.ReadFile(filepath.Join(r.output, name))
		require.NoError(t, err)
		assert.Equal(t, sum, fmt.Sprintf("%x", sha256.Sum256(data)), name)
	}
	name := program + "_1.2.3_" + strings.ReplaceAll(r.platforms[0], "/", "_")
	unpacked := t.TempDir()
	run("tar", "-xzf", name+".tar.gz", "-C", unpacked)
	binary := filepath.Join(unpacked, name, program)
	assert.Contains(t, run(binary, "--version"), "version 1.2.3 (branch: HEAD, revision: abcdef)")
	for _, file := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		assert.FileExists(t, filepath.Join(unpacked, name, file))
	}
	chart := run("tar", "-tzf", "workspace-exporter-1.2.3.tgz")
	for _, file := range []string{"Chart.yaml", "files/rules/values.yaml", "files/dashboards/en/workspace-overview.json"} {
		assert.Contains(t, chart, "workspace-exporter/"+file+"\n")
	}
	manifests := run("tar", "-tzf", program+"_1.2.3_kubernetes.tar.gz")
	for _, file := range []string{"statefulset.yaml", "dashboards.yaml", "operator/prometheusrule.yaml"} {
		assert.Contains(t, manifests, "kubernetes/"+file+"\n")
	}
	assert.Contains(t, run("tar", "-tzf", program+"_1.2.3_dashboards.tar.gz"), "dashboards/rules/workspace.rules.yml\n")

	file, err := os.Open(filepath.Join(r.output, name+".cdx.json"))
	require.NoError(t, err)
	defer file.Close()
	var bom cyclonedx.BOM
	require.NoError(t, cyclonedx.NewBOMDecoder(file, cyclonedx.BOMFileFormatJSON).Decode(&bom))
	listed := map[string]string{}
	for _, c := range *bom.Components {
		listed[c.Name] = c.Version
	}
	info, err := buildinfo.ReadFile(binary)
	require.NoError(t, err)
	assert.Greater(t, len(info.Deps), 20)
	assert.Len(t, listed, len(info.Deps)+1)
	assert.Equal(t, strings.TrimPrefix(info.GoVersion, "go"), listed["std"])
	for _, m := range info.Deps {
		assert.Equal(t, m.Version, listed[m.Path], m.Path)
	}
}

// TestOtherPlatforms checks the types of the whole program as other systems see it. To
// build it for all of them takes minutes, and is for a release.
func TestOtherPlatforms(t *testing.T) {
	for _, goos := range []string{"windows", "darwin", "linux"} {
		if goos == runtime.GOOS {
			continue
		}
		found, err := packages.Load(&packages.Config{
			Mode: packages.LoadAllSyntax, Dir: repository, Env: append(os.Environ(), "GOOS="+goos, "GOARCH=arm64", "CGO_ENABLED=0"),
		}, ".")
		require.NoError(t, err)
		require.Len(t, found, 1)
		assert.NotEmpty(t, found[0].Syntax)
		packages.Visit(found, nil, func(p *packages.Package) {
			for _, problem := range p.Errors {
				t.Errorf("%s: %s", goos, problem)
			}
		})
	}
}

func TestTagIsWhatTheFilesSay(t *testing.T) {
	r := release{repository: repository, version: "99.0.0"}
	assert.ErrorContains(t, r.checkVersion(), "the tag says 99.0.0")
}
