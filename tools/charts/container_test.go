package charts

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stages are those of the Dockerfile, as BuildKit reads it, with what its linter says.
func stages(t *testing.T) (build, image instructions.Stage) {
	t.Helper()
	parsed, err := parser.Parse(strings.NewReader(read(t, "deploy/Dockerfile")))
	require.NoError(t, err)
	require.Empty(t, parsed.Warnings)
	found, _, err := instructions.Parse(parsed.AST, linter.New(&linter.Config{
		Warn: func(rule, description, _, message string, _ []parser.Range) {
			t.Errorf("%s: %s: %s", rule, description, message)
		},
	}))
	require.NoError(t, err)
	require.Len(t, found, 2)
	return found[0], found[1]
}

// buildContext copies what the image is built from, as .dockerignore has it.
func buildContext(t *testing.T) string {
	t.Helper()
	patterns, err := ignorefile.ReadAll(strings.NewReader(read(t, "deploy/Dockerfile.dockerignore")))
	require.NoError(t, err)
	ignored, err := patternmatcher.New(patterns)
	require.NoError(t, err)
	dir := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimSpace(output(t, "git", "ls-files", "--cached", "--others", "--exclude-standard")), "\n") {
		skip, err := ignored.MatchesOrParentMatches(name)
		require.NoError(t, err)
		if skip {
			continue
		}
		content, err := os.ReadFile(filepath.Join(repository, name))
		if os.IsNotExist(err) {
			continue // removed, and not yet committed
		}
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o644))
	}
	return dir
}

// TestImageBuild runs the build stage's commands on what the image is built from: no
// engine is there to build the image itself.
func TestImageBuild(t *testing.T) {
	stage, _ := stages(t)
	dir := buildContext(t)
	for _, absent := range []string{".git", "README.md", "deploy", "main_test.go", "internal/e2e"} {
		assert.NoFileExists(t, filepath.Join(dir, absent))
		assert.NoDirExists(t, filepath.Join(dir, absent))
	}
	for _, c := range stage.Commands {
		run, is := c.(*instructions.RunCommand)
		if !is {
			continue
		}
		cmd := exec.Command("sh", "-c", strings.Join(run.CmdLine, "\n"))
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "TARGETOS=linux", "TARGETARCH="+runtime.GOARCH, "VERSION=1.2.3", "REVISION=abcdef", "BRANCH=main")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	built := filepath.Join(dir, "workspace_exporter")
	file, err := elf.Open(built)
	require.NoError(t, err)
	defer file.Close()
	assert.False(t, slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }), "it needs a loader, which the image has not")
	if runtime.GOOS == "linux" {
		assert.Contains(t, output(t, built, "--version"), "version 1.2.3 (branch: main, revision: abcdef)")
	}
	assert.DirExists(t, filepath.Join(dir, "root/var/lib/workspace_exporter"))
}

func TestImage(t *testing.T) {
	build, image := stages(t)
	assert.Equal(t, "$BUILDPLATFORM", build.Platform, "the compiler must not be emulated")
	assert.Equal(t, "gcr.io/distroless/static-debian12:nonroot", image.BaseName)
	goLine := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))
	assert.Contains(t, build.BaseName, "golang:"+goLine[1]+"-")
	found := map[string]string{}
	for _, c := range image.Commands {
		switch c := c.(type) {
		case *instructions.UserCommand:
			found["user"] = c.User
		case *instructions.VolumeCommand:
			found["volume"] = strings.Join(c.Volumes, " ")
		case *instructions.EntrypointCommand:
			assert.False(t, c.PrependShell, "there is no shell")
			found["entrypoint"] = strings.Join(c.CmdLine, " ")
		case *instructions.CmdCommand:
			assert.False(t, c.PrependShell, "there is no shell")
			output(t, program, append(slices.Clone(c.CmdLine), "--help")...)
		case *instructions.RunCommand:
			t.Error("there is nothing to run in that image")
		}
	}
	assert.Equal(t, map[string]string{
		"user": "65532:65532", "volume": "/var/lib/workspace_exporter", "entrypoint": "/usr/local/bin/workspace_exporter",
	}, found)
}
