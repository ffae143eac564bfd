// Package charts makes what in deploy/ follows from other files: the chart's copies of the
// dashboards and rules, since Helm reads no file outside a chart, and the plain manifests,
// which are the chart rendered.
package charts

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

// Folders, from the repository's root.
const (
	chartFolder     = "deploy/helm/workspace-exporter"
	copiesFolder    = chartFolder + "/files"
	manifestsFolder = "deploy/kubernetes"
	operatorFolder  = manifestsFolder + "/operator" // what needs the Prometheus Operator
	valuesFile      = manifestsFolder + "/values.yaml"
)

// copied are the files that the chart shows to Kubernetes, and where it has them.
var copied = []struct{ from, to string }{
	{"dashboards/en/*.json", copiesFolder + "/dashboards/en"},
	{"dashboards/zh/*.json", copiesFolder + "/dashboards/zh"},
	{"dashboards/source/rules/*.rules.yml.tmpl", copiesFolder + "/rules"},
	{"dashboards/rules/values.yaml", copiesFolder + "/rules"},
}

// isCopy reports whether a derived file is a copy of dashboards or rules. Those are made
// when they are needed, and not kept in the repository.
func isCopy(name string) bool {
	return strings.HasPrefix(name, copiesFolder+"/") ||
		name == manifestsFolder+"/dashboards.yaml" || name == operatorFolder+"/prometheusrule.yaml"
}

// Write makes the derived files of a repository, and writes them below output by their
// paths from the repository's root. What is there of an earlier time goes.
func Write(repository, output string) error {
	files, err := derive(repository)
	if err != nil {
		return err
	}
	there, err := derived(output)
	if err != nil {
		return err
	}
	for _, name := range there {
		if err := os.Remove(filepath.Join(output, name)); err != nil {
			return err
		}
	}
	for name, content := range files {
		path := filepath.Join(output, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// derive makes every derived file, by its path from the repository's root.
func derive(repository string) (map[string][]byte, error) {
	files, err := copies(repository)
	if err != nil {
		return nil, err
	}
	c, err := loadChart(repository, files)
	if err != nil {
		return nil, err
	}
	values, err := chartutil.ReadValuesFile(filepath.Join(repository, valuesFile))
	if err != nil {
		return nil, err
	}
	rendered, err := render(c, values)
	if err != nil {
		return nil, err
	}
	maps.Copy(files, manifests(rendered))
	return files, nil
}

// derived lists the derived files that are there.
func derived(repository string) ([]string, error) {
	var names []string
	err := fs.WalkDir(os.DirFS(repository), copiesFolder, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, folder := range []string{manifestsFolder, operatorFolder} {
		there, err := fs.Glob(os.DirFS(repository), folder+"/*.yaml")
		if err != nil {
			return nil, err
		}
		names = append(names, slices.DeleteFunc(there, func(name string) bool { return name == valuesFile })...)
	}
	return names, nil
}

func copies(repository string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, c := range copied {
		names, err := fs.Glob(os.DirFS(repository), c.from)
		if err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("there is no %s", c.from)
		}
		for _, name := range names {
			content, err := os.ReadFile(filepath.Join(repository, name))
			if err != nil {
				return nil, err
			}
			files[path.Join(c.to, path.Base(name))] = content
		}
	}
	return files, nil
}

// loadChart reads the chart, with copies in the place of what it has of them.
func loadChart(repository string, copies map[string][]byte) (*chart.Chart, error) {
	c, err := loader.LoadDir(filepath.Join(repository, chartFolder))
	if err != nil {
		return nil, err
	}
	c.Files = slices.DeleteFunc(c.Files, func(f *chart.File) bool { return strings.HasPrefix(f.Name, "files/") })
	for name, content := range copies {
		c.Files = append(c.Files, &chart.File{Name: strings.TrimPrefix(name, chartFolder+"/"), Data: content})
	}
	return c, nil
}

// render does what `helm template workspace-exporter --namespace monitoring` does. It
// refuses values that are not as the schema has them.
func render(c *chart.Chart, values map[string]any) (map[string]string, error) {
	return renderAs(c, "workspace-exporter", values)
}

// renderAs is render, by another name of the release.
func renderAs(c *chart.Chart, name string, values map[string]any) (map[string]string, error) {
	release := chartutil.ReleaseOptions{Name: name, Namespace: "monitoring", Revision: 1, IsInstall: true}
	cluster := *chartutil.DefaultCapabilities
	cluster.KubeVersion = chartutil.KubeVersion{Version: "v1.35.0", Major: "1", Minor: "35"}
	all, err := chartutil.ToRenderValues(c, values, release, &cluster)
	if err != nil {
		return nil, err
	}
	return engine.Render(c, all)
}

// byHelm are labels that would be untrue of what was not installed by Helm.
var byHelm = regexp.MustCompile(`(?m)^ *(helm\.sh/chart|app\.kubernetes\.io/managed-by): .*\n`)

// manifests are the plain files for kubectl, and a list of those in each folder.
func manifests(rendered map[string]string) map[string][]byte {
	files := map[string][]byte{}
	lists := map[string]*bytes.Buffer{
		manifestsFolder: bytes.NewBufferString(generated + kustomization + images + "resources:\n"),
		operatorFolder:  bytes.NewBufferString(generated + kustomization + "resources:\n"),
	}
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		content := strings.TrimLeft(byHelm.ReplaceAllString(rendered[name], ""), "-\n")
		if path.Ext(name) != ".yaml" || strings.TrimSpace(content) == "" {
			continue
		}
		folder := manifestsFolder
		if strings.Contains(content, "apiVersion: monitoring.coreos.com/") {
			folder = operatorFolder
		}
		files[path.Join(folder, path.Base(name))] = []byte(generated + strings.TrimRight(content, "\n") + "\n")
		fmt.Fprintf(lists[folder], "  - %s\n", path.Base(name))
	}
	for folder, list := range lists {
		files[folder+"/kustomization.yaml"] = list.Bytes()
	}
	return files
}

const (
	generated     = "# Rendered from deploy/helm by `make charts`; change that, not this.\n"
	kustomization = "# In a checkout, run `make charts` first: the copies of dashboards and rules are not in git.\n" +
		"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
	images = `# No image has been released yet: deploy/README.md says how to build and push your own.
# Put its name here.
images:
  - {name: workspace_exporter, newName: registry.example.com/workspace_exporter, newTag: "0.1.0"}
`
)
