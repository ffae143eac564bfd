package charts

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// compose loads files of the stack as `docker compose` does: checked against the schema,
// merged, with all paths made absolute.
func compose(t *testing.T, files ...string) *types.Project {
	t.Helper()
	for i := range files {
		files[i] = filepath.Join(repository, "deploy/compose", files[i])
	}
	options, err := cli.NewProjectOptions(files, cli.WithConsistency(true))
	require.NoError(t, err)
	project, err := options.LoadProject(context.Background())
	require.NoError(t, err)
	return project
}

func TestCompose(t *testing.T) {
	project := compose(t, "compose.yml")
	assert.ElementsMatch(t, []string{"exporter", "prometheus", "alertmanager", "grafana"}, project.ServiceNames())
	assert.Equal(t, "demo", project.Services["exporter"].Command[0])
	assert.FileExists(t, filepath.Join(project.Services["exporter"].Build.Context, project.Services["exporter"].Build.Dockerfile))
	for name, s := range project.Services {
		assert.True(t, s.ReadOnly, name)
		assert.Equal(t, []string{"ALL"}, s.CapDrop, name)
		for _, p := range s.Ports {
			assert.Equal(t, "127.0.0.1", p.HostIP, name)
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				assert.True(t, v.ReadOnly, v.Target)
				_, err := os.Stat(v.Source)
				assert.NoError(t, err, "%s mounts what is not there", name)
			}
		}
		_, tag, found := strings.Cut(s.Image, ":")
		assert.True(t, found && tag != "latest", s.Image)
	}
}

func TestComposeWithARealConfiguration(t *testing.T) {
	services := compose(t, "compose.yml", "production.yml").Services
	for _, v := range services["prometheus"].Volumes {
		if v.Target == "/etc/prometheus/prometheus.yml" {
			assert.Equal(t, "prometheus.production.yml", filepath.Base(v.Source))
		}
	}
	exporter := services["exporter"]
	require.Len(t, exporter.Command, 1, "the demo is gone")
	output(t, program, append(slices.Clone(exporter.Command), "--help")...)
	assert.True(t, exporter.ReadOnly)
	mounted := map[string]string{}
	for _, v := range exporter.Volumes {
		mounted[v.Target] = v.Source
	}
	assert.FileExists(t, filepath.Join(mounted["/etc/workspace_exporter"], filepath.Base(exporter.Command[0])))
	assert.Equal(t, "exporter", mounted["/var/lib/workspace_exporter"], "the store is on a volume")
	assert.Contains(t, read(t, "deploy/compose/exporter/workspace_exporter.yml"), "path: /var/lib/workspace_exporter ")
}

// inside lays out what a service has mounted, and returns the folder of it.
func inside(t *testing.T, s types.ServiceConfig) string {
	t.Helper()
	root := t.TempDir()
	for _, v := range s.Volumes {
		if v.Type != types.VolumeTypeBind {
			continue
		}
		target := filepath.Join(root, v.Target)
		require.NoError(t, os.MkdirAll(filepath.Dir(target), 0o755))
		require.NoError(t, os.Symlink(v.Source, target))
	}
	return root
}

// TestPrometheusAndAlertmanager asks their own tools what they think of their
// configurations, with everything where the containers have it.
func TestPrometheusAndAlertmanager(t *testing.T) {
	services := compose(t, "compose.yml").Services
	for _, s := range []types.ServiceConfig{services["prometheus"], compose(t, "compose.yml", "production.yml").Services["prometheus"]} {
		out := output(t, tool(t, "promtool"), "check", "config", inside(t, s)+"/etc/prometheus/prometheus.yml")
		assert.Regexp(t, `SUCCESS: \d+ rules found`, out)
		assert.NotContains(t, out, "SUCCESS: 0 rules")
	}
	demo, real := read(t, "deploy/compose/prometheus.yml"), read(t, "deploy/compose/prometheus.production.yml")
	withoutComments := func(s string) string { return regexp.MustCompile(`(?m)^ *#.*\n`).ReplaceAllString(s, "") }
	assert.NotContains(t, real, "interval: 2s")
	assert.Equal(t, strings.Replace(withoutComments(demo), "    scrape_interval: 2s\n", "", 1), withoutComments(real))
	output(t, tool(t, "amtool"), "check-config", inside(t, services["alertmanager"])+"/etc/alertmanager/alertmanager.yml")

	var config struct {
		ScrapeConfigs []struct {
			JobName       string                       `json:"job_name"`
			StaticConfigs []struct{ Targets []string } `json:"static_configs"`
		} `json:"scrape_configs"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "deploy/compose/prometheus.yml")), &config))
	assert.Equal(t, "workspace", config.ScrapeConfigs[0].JobName, "the rules know the job by this")
	for _, s := range config.ScrapeConfigs {
		host, _, _ := strings.Cut(s.StaticConfigs[0].Targets[0], ":")
		if host != "localhost" {
			assert.Contains(t, services, host)
		}
	}
}

func TestGrafanaIsProvisioned(t *testing.T) {
	services := compose(t, "compose.yml").Services
	grafana := inside(t, services["grafana"])
	parse := func(name string, into any) {
		content, err := os.ReadFile(filepath.Join(grafana, "etc/grafana/provisioning", name))
		require.NoError(t, err)
		require.NoError(t, yaml.UnmarshalStrict(content, into), name)
	}
	var sources struct {
		APIVersion  int `json:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			IsDefault                    bool           `json:"isDefault"`
			JSONData                     map[string]any `json:"jsonData"`
		}
	}
	parse("datasources/workspace.yml", &sources)
	assert.Equal(t, 1, sources.APIVersion)
	require.Len(t, sources.Datasources, 2)
	assert.Equal(t, "workspace-prometheus", sources.Datasources[0].UID)
	assert.True(t, sources.Datasources[0].IsDefault, "the dashboards' variable `datasource` begins with it")
	for _, s := range sources.Datasources {
		host, _, _ := strings.Cut(strings.TrimPrefix(s.URL, "http://"), ":")
		assert.Contains(t, services, host)
	}
	var boards struct {
		APIVersion int `json:"apiVersion"`
		Providers  []struct {
			Name, Type, Folder string
			FolderUID          string            `json:"folderUid"`
			AllowUIUpdates     bool              `json:"allowUiUpdates"`
			Options            map[string]string `json:"options"`
		}
	}
	parse("dashboards/workspace.yml", &boards)
	require.Len(t, boards.Providers, 2)
	uids := map[string]bool{}
	for _, p := range boards.Providers {
		files, err := filepath.Glob(grafana + p.Options["path"] + "/*.json")
		require.NoError(t, err)
		assert.Len(t, files, 9, p.Options["path"])
		for _, file := range files {
			var board struct{ UID string }
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, yaml.Unmarshal(content, &board))
			assert.NotEmpty(t, board.UID)
			assert.False(t, uids[board.UID], "two dashboards with the uid %s", board.UID)
			uids[board.UID] = true
		}
	}
	assert.FileExists(t, grafana+*services["grafana"].Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
}
