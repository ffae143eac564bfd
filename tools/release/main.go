// Command release builds what is released: the program for every platform in an archive
// with a list of what is in it, the dashboards with the rules, the chart, the plain
// manifests, and the checksums of them all. The same commit gives the same bytes, wherever it is built.
package main

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/workspace-exporter/workspace_exporter/tools/charts"
)

// platforms are what a release is for.
var platforms = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"}

const program = "workspace_exporter"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run() error {
	var r release
	targets := flag.String("platforms", strings.Join(platforms, ","), "what to build for, as os/arch, separated by commas")
	flag.StringVar(&r.repository, "repository", ".", "root of the repository")
	flag.StringVar(&r.output, "output", "dist", "folder for the files; what is in it is removed")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("what is %q for?", flag.Arg(0))
	}
	r.platforms = strings.Split(*targets, ",")
	if err := r.ask(); err != nil {
		return err
	}
	return r.make()
}

// release is what is released, and from where.
type release struct {
	repository, output string
	platforms          []string
	version            string // without the v
	revision           string
	time               time.Time // of the commit: that of every file
}

// ask asks git which commit this is. A tag must be what chart and changelog say.
func (r *release) ask() error {
	answers := make([]string, 3)
	for i, question := range [][]string{
		{"describe", "--tags", "--always", "--dirty"}, {"rev-parse", "HEAD"}, {"log", "-1", "--format=%ct"},
	} {
		out, err := exec.Command("git", append([]string{"-C", r.repository}, question...)...).Output()
		if err != nil {
			return fmt.Errorf("git %s: %w", strings.Join(question, " "), err)
		}
		answers[i] = strings.TrimSpace(string(out))
	}
	seconds, err := strconv.ParseInt(answers[2], 10, 64)
	if err != nil {
		return fmt.Errorf("time of the commit: %w", err)
	}
	r.version, r.revision, r.time = strings.TrimPrefix(answers[0], "v"), answers[1], time.Unix(seconds, 0).UTC()
	if tagged := exec.Command("git", "-C", r.repository, "describe", "--tags", "--exact-match").Run() == nil; !tagged {
		return nil
	}
	return r.checkVersion()
}

// checkVersion compares the tag with what else has the version.
func (r *release) checkVersion() error {
	for file, line := range map[string]string{
		"deploy/helm/workspace-exporter/Chart.yaml": "\nversion: " + r.version + "\n",
		"CHANGELOG.md": "\n## " + r.version,
	} {
		content, err := os.ReadFile(filepath.Join(r.repository, file))
		if err != nil {
			return err
		}
		if !strings.Contains(string(content), line) {
			return fmt.Errorf("%s has no line %q: the tag says %s", file, strings.TrimSpace(line), r.version)
		}
	}
	return nil
}

func (r *release) make() error {
	if err := os.RemoveAll(r.output); err != nil {
		return err
	}
	if err := os.MkdirAll(r.output, 0o755); err != nil {
		return err
	}
	for _, p := range r.platforms {
		if err := r.platform(p); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	derived, err := os.MkdirTemp("", "release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(derived)
	if err := charts.Write(r.repository, derived); err != nil {
		return err
	}
	for name, folder := range map[string]string{
		program + "_" + r.version + "_dashboards.tar.gz": "dashboards",
		program + "_" + r.version + "_kubernetes.tar.gz": "deploy/kubernetes",
		"workspace-exporter-" + r.version + ".tgz":       "deploy/helm/workspace-exporter",
	} {
		if err := r.folder(name, folder, derived); err != nil {
			return fmt.Errorf("%s: %w", folder, err)
		}
	}
	return r.checksums()
}

// platform builds the program for one, and writes its archive and list of parts.
func (r *release) platform(platform string) error {
	goos, goarch, found := strings.Cut(platform, "/")
	if !found {
		return fmt.Errorf("is not os/arch")
	}
	name := strings.Join([]string{program, r.version, goos, goarch}, "_")
	dir, err := os.MkdirTemp("", "release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file, archive := program, name+".tar.gz"
	if goos == "windows" {
		file, archive = program+".exe", name+".zip"
	}
	built := filepath.Join(dir, file)
	if err := r.build(goos, goarch, built); err != nil {
		return err
	}
	if err := r.parts(built, filepath.Join(r.output, name+".cdx.json")); err != nil {
		return err
	}
	files := []content{{name: file, path: built, executable: true}}
	for _, other := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		files = append(files, content{name: other, path: filepath.Join(r.repository, other)})
	}
	if goos == "linux" {
		for _, other := range []string{"workspace_exporter.service", "workspace_exporter.yml"} {
			files = append(files, content{name: "systemd/" + other, path: filepath.Join(r.repository, "deploy/systemd", other)})
		}
	}
	return r.archive(archive, name, files)
}

// build runs `make build`. What git knows is passed on: that the folder is a clone, and
// of which branch, would else be in the program.
func (r *release) build(goos, goarch, output string) error {
	cmd := exec.Command("make", "-s", "build", "VERSION="+r.version, "REVISION="+r.revision, "BRANCH=HEAD", "OUTPUT="+output)
	cmd.Dir = r.repository
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "GOFLAGS=-buildvcs=false", "GOAMD64=v1", "GOARM64=v8.0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// folder archives what git knows of a folder, and what is derived for it: copies of
// dashboards and rules are not in the repository.
func (r *release) folder(name, folder, derived string) error {
	root := filepath.Join(r.repository, folder)
	out, err := exec.Command("git", "-C", root, "ls-files").Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	paths := map[string]string{}
	for path := range strings.Lines(string(out)) {
		path = strings.TrimSpace(path)
		paths[path] = filepath.Join(root, path)
	}
	root = filepath.Join(derived, folder)
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path == root:
			return nil
		case err != nil || entry.IsDir():
			return err
		}
		relative, err := filepath.Rel(root, path)
		paths[filepath.ToSlash(relative)] = path
		return err
	})
	if err != nil {
		return err
	}
	var files []content
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		files = append(files, content{name: path, path: paths[path]})
	}
	return r.archive(name, filepath.Base(folder), files)
}

// checksums writes what `sha256sum --check` reads.
func (r *release) checksums() error {
	entries, err := os.ReadDir(r.output)
	if err != nil {
		return err
	}
	var lines []string
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(r.output, e.Name()))
		if err != nil {
			return err
		}
		lines = append(lines, fmt.Sprintf("%x  %s\n", sha256.Sum256(content), e.Name()))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[66:], b[66:]) })
	return os.WriteFile(filepath.Join(r.output, "SHA256SUMS"), []byte(strings.Join(lines, "")), 0o644)
}
