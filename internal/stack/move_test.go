package stack

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// moveConfig scrapes the same exporter twice: as docs/installation.md has it, and without its
// relabelings.
const moveConfig = `
global: {scrape_interval: 250ms, scrape_timeout: 250ms}
scrape_configs:
  - job_name: workspace
    file_sd_configs: [{files: [%[1]q], refresh_interval: 1s}]
    metric_relabel_configs: %[2]s
  - job_name: plain
    file_sd_configs: [{files: [%[1]q], refresh_interval: 1s}]
`

// relabelings are the metric_relabel_configs of the scrape job in docs/installation.md.
func relabelings(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/installation.md")
	require.NoError(t, err)
	job := regexp.MustCompile("(?s)```yaml\n(scrape_configs:.+?)```").FindSubmatch(text)
	require.NotNil(t, job)
	var config struct {
		Jobs []struct {
			Relabelings []map[string]any `yaml:"metric_relabel_configs"`
		} `yaml:"scrape_configs"`
	}
	require.NoError(t, yaml.Unmarshal(job[1], &config))
	relabelings, err := json.Marshal(config.Jobs[0].Relabelings)
	require.NoError(t, err)
	return string(relabelings)
}

// TestMoveInRealServers moves an exporter with its store to another address, node and
// pod, as Kubernetes does, while logins go on. What a real Prometheus adds up must be
// what happened. It keeps native histograms alone, which must be enough.
func TestMoveInRealServers(t *testing.T) {
	if !*servers {
		t.Skip("it takes half a minute: make test-stack")
	}
	t.Parallel()
	api := simulator.New(simulator.Options{ProjectIDs: []string{"p"}, AccessKey: "EXAMPLEACCESSKEY0001", SecretKey: "example-secret-key-0001"})
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	program, targets := filepath.Join(dir, "workspace_exporter"), filepath.Join(dir, "targets.json")
	run(t, "go", "build", "-o", program, "../..")
	config := writeFile(t, dir, "workspace_exporter.yml", fmt.Sprintf(`
global: {poll_interval: 500ms}
projects:
  - name: p
    project_id: p
    endpoints: {appstream: %[1]q, workspace: %[1]q, iam: %[1]q}
    credentials: {aksk: {access_key: EXAMPLEACCESSKEY0001, secret_key: example-secret-key-0001}}
    rate_limit: {requests_per_second: 1000, burst: 1000}
`, server.URL))
	runAt := func(pod string) *process {
		e := start(t, "the exporter in "+pod, program, "--config.file="+config)
		writeFile(t, dir, "targets.json", fmt.Sprintf(`[{"targets": [%q], "labels": {"pod": %q, "node": "of %s", "container": "exporter"}}]`, strings.TrimPrefix(e.url, "http://"), pod, pod))
		return e
	}
	happened := 0
	logins := func(n int) {
		for range n {
			happened++
			at := time.Now().UTC()
			api.Put("p", simulator.Record{ID: fmt.Sprint(happened), UserName: fmt.Sprint("user", happened), DesktopGroupName: "g", MachineName: "m",
				PreConnTime: at.Add(-20 * time.Second).Format(time.RFC3339), StartTime: at.Format(time.RFC3339), UpdateTime: at.Format(time.RFC3339)})
			<-time.After(100 * time.Millisecond) // as logins come, and scrapes see them
		}
	}
	const attempts = `workspace_login_attempts_total{job=%q}`
	s := &stack{}
	logins(5)
	old := runAt("a")
	s.prometheus = startPrometheus(t, filepath.Join(dir, "data"), writeFile(t, dir, "prometheus.yml", fmt.Sprintf(moveConfig, targets, relabelings(t))),
		"--enable-feature=native-histograms")
	sees := func() {
		s.prometheus.wait(t, "sees all logins", time.Minute, func() bool {
			for _, job := range []string{"workspace", "plain"} {
				found := s.query(t, fmt.Sprintf("max("+attempts+")", job), 0, 0)
				if len(found) == 0 || fmt.Sprint(found[0].Value[1]) != fmt.Sprint(happened) {
					return false
				}
			}
			return true
		})
	}
	sees()
	first := happened
	logins(40)
	sees()
	require.NoError(t, old.command.Process.Signal(syscall.SIGTERM))
	<-old.ended
	logins(20)
	runAt("b")
	sees()
	logins(40)
	sees()

	increase := func(job string) float64 {
		return s.number(t, fmt.Sprintf("sum(increase("+attempts+"[10m]))", job))
	}
	truth := float64(happened - first)
	t.Logf("%v logins, of which increase() sees %.1f; without the relabelings %.1f", truth, increase("workspace"), increase("plain"))
	assert.InEpsilon(t, truth, increase("workspace"), 0.04) // increase() adds half an interval at each end
	assert.Less(t, increase("plain"), 0.9*truth, "without the relabelings the move costs what came meanwhile: is this test still needed?")
	assert.Len(t, s.query(t, fmt.Sprintf("count by (instance, pod, node, container) (count_over_time("+attempts+"[10m]))", "workspace"), 0, 0), 1)
	assert.Len(t, s.query(t, `count by (instance, pod) (count_over_time(workspace_exporter_build_info{job="workspace"}[10m]))`, 0, 0), 2, "what is said of an exporter stays its own")

	assert.Empty(t, s.query(t, "{__name__=~\"workspace_.+_bucket\"}", 0, 0), "it keeps native histograms alone")
	asked := 0
	for _, r := range rules(t) {
		for _, quantile := range regexp.MustCompile(`histogram_(?:quantile|count)\(.*\)`).FindAllString(r.Expr, -1) {
			if strings.Contains(quantile, "_bucket") {
				continue
			}
			asked++
			assert.NotEmpty(t, s.query(t, quantile, 0, 0), quantile)
		}
	}
	assert.Equal(t, 6, asked)
}
