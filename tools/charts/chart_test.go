package charts

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	disruption "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

func TestDerivedFilesAreUpToDate(t *testing.T) {
	want, err := derive(repository)
	require.NoError(t, err)
	tracked := strings.Fields(output(t, "git", "ls-files", copiesFolder, manifestsFolder))
	for _, name := range tracked {
		if name == valuesFile {
			continue
		}
		require.False(t, isCopy(name), "%s is a copy: it is not kept", name)
		if assert.Contains(t, want, name, "`make charts` does not make it") {
			assert.True(t, string(want[name]) == read(t, name), "%s is out of date: run `make charts`", name)
		}
	}
	for name := range want {
		assert.True(t, isCopy(name) || slices.Contains(tracked, name), "%s is not there: run `make charts`", name)
	}
}

// made is a folder with the chart and the manifests as a release has them: whole.
var made = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp(temporary, "made-")
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(filepath.Join(dir, chartFolder), os.DirFS(filepath.Join(repository, chartFolder))); err != nil {
		return "", err
	}
	return dir, Write(repository, dir)
})

func madeChart(t *testing.T) string {
	t.Helper()
	dir, err := made()
	require.NoError(t, err)
	return filepath.Join(dir, chartFolder)
}

func theChart(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.LoadDir(madeChart(t))
	require.NoError(t, err)
	return c
}

// TestChartOfACheckout has no copies: it says how to make them, instead of leaving
// dashboards and rules out.
func TestChartOfACheckout(t *testing.T) {
	for _, values := range []string{"grafana: {}", "grafana: {dashboards: {enabled: false}}\nprometheusRule: {enabled: true}"} {
		c := theChart(t)
		c.Files = nil
		v, err := chartutil.ReadValues([]byte("image: {repository: r}\ndemo: true\n" + values))
		require.NoError(t, err)
		_, err = render(c, v)
		assert.ErrorContains(t, err, "make charts")
	}
}

// examples are values to try: testdata/*.yaml, and those of the plain manifests.
func examples(t *testing.T) map[string]map[string]any {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 8)
	found := map[string]map[string]any{}
	for _, file := range append(files, filepath.Join(repository, valuesFile)) {
		values, err := chartutil.ReadValuesFile(file)
		require.NoError(t, err)
		found[filepath.Base(file)] = values
	}
	return found
}

func TestLint(t *testing.T) {
	for name, values := range examples(t) {
		for _, m := range lint.All(madeChart(t), values, "monitoring", true).Messages {
			if m.Severity > support.InfoSev {
				t.Errorf("%s: %s", name, m)
			}
		}
	}
}

// objects are all that a chart renders, decoded: a field that Kubernetes does not know,
// or one that is there twice, fails.
type objects struct {
	all       []runtime.Object
	set       *apps.StatefulSet
	replicas  *apps.Deployment // its pods are those of set, too
	budget    *disruption.PodDisruptionBudget
	service   *core.Service
	policy    *networking.NetworkPolicy
	monitor   *monitoring.ServiceMonitor
	rule      *monitoring.PrometheusRule
	secret    *core.Secret
	config    *core.Secret
	boards    map[string]string
	account   *core.ServiceAccount
	boardMaps int
}

var decoder = func() func(*testing.T, string) runtime.Object {
	all := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, monitoring.AddToScheme} {
		if err := add(all); err != nil {
			panic(err)
		}
	}
	return func(t *testing.T, document string) runtime.Object {
		t.Helper()
		var kind runtime.TypeMeta
		require.NoError(t, yaml.Unmarshal([]byte(document), &kind))
		o, err := all.New(kind.GroupVersionKind())
		require.NoError(t, err)
		require.NoError(t, yaml.UnmarshalStrict([]byte(document), o, yaml.DisallowUnknownFields), "%s:\n%s", kind.Kind, document)
		return o
	}
}()

func decode(t *testing.T, rendered map[string]string) objects {
	t.Helper()
	found := objects{boards: map[string]string{}}
	names := map[string]bool{}
	for _, file := range slices.Sorted(maps.Keys(rendered)) {
		for document := range strings.SplitSeq("\n"+rendered[file], "\n---\n") {
			if !strings.HasSuffix(file, ".yaml") || strings.TrimSpace(document) == "" {
				continue
			}
			o := decoder(t, document)
			found.add(t, o)
			about := o.(meta.Object)
			name := fmt.Sprintf("%T %s", o, about.GetName())
			require.False(t, names[name], "%s is there twice", name)
			names[name] = true
			require.NotEmpty(t, about.GetNamespace(), name)
			require.LessOrEqual(t, len(about.GetName()), 63, name)
		}
	}
	return found
}

func (found *objects) add(t *testing.T, o runtime.Object) {
	found.all = append(found.all, o)
	switch o := o.(type) {
	case *apps.StatefulSet:
		found.set = o
	case *apps.Deployment:
		found.replicas = o
		found.set = &apps.StatefulSet{ObjectMeta: o.ObjectMeta, Spec: apps.StatefulSetSpec{Replicas: o.Spec.Replicas, Selector: o.Spec.Selector, Template: o.Spec.Template}}
	case *disruption.PodDisruptionBudget:
		found.budget = o
	case *core.Service:
		found.service = o
	case *networking.NetworkPolicy:
		found.policy = o
	case *monitoring.ServiceMonitor:
		found.monitor = o
	case *monitoring.PrometheusRule:
		found.rule = o
	case *core.Secret:
		if o.StringData["workspace_exporter.yml"] != "" {
			found.config = o
			return
		}
		found.secret = o
	case *core.ServiceAccount:
		found.account = o
	case *core.ConfigMap:
		found.boardMaps++
		maps.Copy(found.boards, o.Data)
	default:
		t.Errorf("what is a %T doing here?", o)
	}
}

func rendered(t *testing.T, values map[string]any) objects {
	t.Helper()
	files, err := render(theChart(t), values)
	require.NoError(t, err)
	return decode(t, files)
}

func TestWhatIsRendered(t *testing.T) {
	for name, values := range examples(t) {
		t.Run(name, func(t *testing.T) {
			found := rendered(t, values)
			checkPod(t, found)
			checkMonitoring(t, found)
			if found.config != nil {
				checkConfig(t, found.config.StringData["workspace_exporter.yml"])
			}
		})
	}
}

// checkPod checks what has to hold whatever the values are.
func checkPod(t *testing.T, found objects) {
	t.Helper()
	set, pod := found.set, found.set.Spec.Template
	if found.replicas == nil {
		checkShards(t, set)
		assert.Equal(t, found.service.Name, set.Spec.ServiceName)
	}
	for what, selector := range map[string]*meta.LabelSelector{
		"stateful set": set.Spec.Selector, "network policy": &found.policy.Spec.PodSelector,
		"service": {MatchLabels: found.service.Spec.Selector},
	} {
		s, err := meta.LabelSelectorAsSelector(selector)
		require.NoError(t, err)
		assert.False(t, s.Empty(), what)
		assert.True(t, s.Matches(labels.Set(pod.Labels)), what)
	}
	restricted, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	for _, r := range restricted.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec) {
		assert.True(t, r.Allowed, "%s: %s", r.ForbiddenReason, r.ForbiddenDetail)
	}
	volumes := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		volumes[v.Name] = true
	}
	for _, v := range set.Spec.VolumeClaimTemplates {
		volumes[v.Name] = true
	}
	container := pod.Spec.Containers[0]
	assert.True(t, *container.SecurityContext.ReadOnlyRootFilesystem)
	for _, m := range container.VolumeMounts {
		assert.True(t, volumes[m.Name], "%s is mounted, and not there", m.Name)
		delete(volumes, m.Name)
	}
	assert.Empty(t, volumes, "not mounted")
	output(t, program, append(argsOf(container, 0), "--help")...) // knows all its flags
	for _, p := range []*core.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
		require.NotNil(t, p)
		assert.NotEqual(t, p.HTTPGet == nil, p.TCPSocket == nil)
	}
	assert.Contains(t, found.policy.Spec.PolicyTypes, networking.PolicyTypeEgress)
	assert.False(t, *pod.Spec.AutomountServiceAccountToken)
}

// argsOf are the arguments that a container gets in the pod of an ordinal.
func argsOf(c core.Container, ordinal int) []string {
	var args []string
	for _, arg := range c.Args {
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil && e.ValueFrom.FieldRef.FieldPath == "metadata.labels['apps.kubernetes.io/pod-index']" {
				arg = strings.ReplaceAll(arg, "$("+e.Name+")", strconv.Itoa(ordinal))
			}
		}
		args = append(args, arg)
	}
	return args
}

// checkShards checks that each project is read by one pod: two exporters count everything
// twice.
func checkShards(t *testing.T, set *apps.StatefulSet) {
	t.Helper()
	pods := int(*set.Spec.Replicas)
	for ordinal := range pods {
		args := strings.Join(argsOf(set.Spec.Template.Spec.Containers[0], ordinal), " ") + " "
		if pods == 1 {
			assert.NotContains(t, args, "shard")
			continue
		}
		assert.Contains(t, args, fmt.Sprintf("--shard=%d --total-shards=%d ", ordinal, pods))
	}
	assert.Equal(t, apps.ParallelPodManagement, set.Spec.PodManagementPolicy, "one pod that is not ready holds up no other")
}

// checkMonitoring compares what Prometheus and Grafana read with dashboards/.
func checkMonitoring(t *testing.T, found objects) {
	t.Helper()
	if found.monitor != nil {
		s, err := meta.LabelSelectorAsSelector(&found.monitor.Spec.Selector)
		require.NoError(t, err)
		assert.True(t, s.Matches(labels.Set(found.service.Labels)))
		assert.Equal(t, found.service.Spec.Ports[0].Name, found.monitor.Spec.Endpoints[0].Port)
		assert.Equal(t, "workspace-exporter", found.service.Labels[found.monitor.Spec.JobLabel], "the rules know the job by this")
		checkIdentity(t, found.monitor)
	}
	if found.rule != nil {
		checkRules(t, found.rule)
	}
	files, err := fs.Glob(os.DirFS(repository), "dashboards/[ez][nh]/*.json")
	require.NoError(t, err)
	for _, file := range files {
		if board, there := found.boards[filepath.Base(file)]; there {
			assert.JSONEq(t, read(t, file), board)
			assert.Less(t, len(board), 1<<20, "a ConfigMap holds 1 MiB")
		}
	}
	assert.Len(t, found.boards, found.boardMaps)
	assert.Contains(t, found.boards, "workspace-overview.json")
}

// checkRules compares the rules with the file that they come from. Without an address
// of a Grafana no alert has a link to one.
func checkRules(t *testing.T, rule *monitoring.PrometheusRule) {
	t.Helper()
	var want monitoring.PrometheusRuleSpec
	require.NoError(t, yaml.UnmarshalStrict([]byte(read(t, "dashboards/rules/workspace.rules.yml")), &want))
	assert.Greater(t, len(want.Groups), 1)
	spec, err := yaml.Marshal(rule.Spec)
	require.NoError(t, err)
	assert.NotContains(t, string(spec), "localhost")
	if !strings.Contains(string(spec), "dashboard_url") {
		for _, g := range want.Groups {
			for _, r := range g.Rules {
				delete(r.Annotations, "dashboard_url")
			}
		}
	}
	wanted, err := yaml.Marshal(want)
	require.NoError(t, err)
	local := strings.NewReplacer("https://grafana.example.com", "http://localhost:3000")
	assert.YAMLEq(t, string(wanted), local.Replace(string(spec)))
}

// checkIdentity relabels as Prometheus does: what is counted of records must be the
// same series whichever pod shows it.
func checkIdentity(t *testing.T, monitor *monitoring.ServiceMonitor) {
	t.Helper()
	series := func(name, pod string) string {
		all := map[string]string{"__name__": name, "project": "p", "namespace": "monitoring", "service": "workspace-exporter", "endpoint": "http",
			"instance": pod + ":9914", "pod": pod, "container": "exporter", "node": "node of " + pod}
		for _, r := range monitor.Spec.Endpoints[0].MetricRelabelConfigs {
			relabel(t, all, r)
		}
		return fmt.Sprint(all)
	}
	for _, name := range []string{"workspace_login_attempts_total", "workspace_server_sessions", "workspace_exporters_total"} {
		assert.Equal(t, series(name, "a"), series(name, "b"), name)
		assert.Contains(t, series(name, "a"), "instance:"+monitor.Name)
		assert.NotContains(t, series(name, "a"), "__tmp")
	}
	for _, name := range []string{"workspace_exporter_polls_total", "go_goroutines", "up"} {
		assert.NotEqual(t, series(name, "a"), series(name, "b"), name)
		assert.NotContains(t, series(name, "a"), "__tmp")
	}
}

// relabel knows as much of relabeling as the chart needs.
func relabel(t *testing.T, labels map[string]string, r monitoring.RelabelConfig) {
	t.Helper()
	pattern := regexp.MustCompile("^(?:" + r.Regex + ")$")
	var source []string
	for _, name := range r.SourceLabels {
		source = append(source, labels[string(name)])
	}
	matches := pattern.MatchString(strings.Join(source, ";"))
	switch action := strings.ToLower(r.Action); {
	case action == "labeldrop":
		maps.DeleteFunc(labels, func(name, _ string) bool { return pattern.MatchString(name) })
	case action == "drop": // of another metric
		require.False(t, matches && strings.HasPrefix(labels["__name__"], "workspace_"))
	case action != "":
		t.Errorf("unknown action %s", action)
	case matches:
		if labels[r.TargetLabel] = *r.Replacement; *r.Replacement == "" {
			delete(labels, r.TargetLabel)
		}
	}
}

// TestRelabelingsAreTheSameEverywhere: the scrape jobs of docs/installation.md and of the compose
// stack do what the chart's ServiceMonitor does.
func TestRelabelingsAreTheSameEverywhere(t *testing.T) {
	type relabeling struct {
		Sources     []string `json:"source_labels"`
		Regex       string   `json:"regex"`
		Target      string   `json:"target_label"`
		Replacement *string  `json:"replacement"`
		Action      string   `json:"action"`
	}
	var want []relabeling
	for _, r := range rendered(t, examples(t)["readme.yaml"]).monitor.Spec.Endpoints[0].MetricRelabelConfigs {
		w := relabeling{Regex: r.Regex, Target: r.TargetLabel, Replacement: r.Replacement, Action: r.Action}
		for _, s := range r.SourceLabels {
			w.Sources = append(w.Sources, string(s))
		}
		want = append(want, w)
	}
	require.NotEmpty(t, want)
	job := regexp.MustCompile("(?s)```yaml\n(scrape_configs:.+?)```").FindStringSubmatch(read(t, "docs/installation.md"))
	require.NotNil(t, job)
	for what, text := range map[string]string{
		"docs/installation.md": job[1], "compose": read(t, "deploy/compose/prometheus.yml"), "production": read(t, "deploy/compose/prometheus.production.yml"),
	} {
		var config struct {
			Jobs []struct {
				Relabelings []relabeling `json:"metric_relabel_configs"`
			} `json:"scrape_configs"`
		}
		require.NoError(t, yaml.Unmarshal([]byte(text), &config), what)
		assert.Equal(t, want, config.Jobs[0].Relabelings, what)
	}
}

func TestWhatUsersAddIsAdded(t *testing.T) {
	found := rendered(t, examples(t)["everything.yaml"])
	endpoint := found.monitor.Spec.Endpoints[0]
	assert.EqualValues(t, "15s", endpoint.Interval)
	assert.Len(t, endpoint.RelabelConfigs, 1)
	var regexes []string
	for _, r := range endpoint.MetricRelabelConfigs {
		regexes = append(regexes, r.Regex)
	}
	assert.Equal(t, []string{"__tmp_record", "go_.*", "process_.*"}, regexes[len(regexes)-3:])
	assert.Equal(t, "x", found.monitor.Labels["app.kubernetes.io/instance"])
	pod := found.set.Spec.Template
	assert.Equal(t, "exporter", pod.Labels["app.kubernetes.io/component"])
	assert.Equal(t, "here", pod.Annotations["note"])
	assert.NotEqual(t, "mine", pod.Annotations["checksum/config"])
}

// TestAnyValues renders what people write, with everything that is rendered decoded
// strictly: no key is there twice, no name is too long.
func TestAnyValues(t *testing.T) {
	base := "image: {repository: r}\nconfig: {projects: [{name: p, project_id: a4da8115c9d8464ead3a38309130523f, region: cn-north-4, credentials: {default_chain: {}}}]}\n"
	on := "serviceMonitor: {enabled: true, "
	for _, values := range []string{
		on + "endpoint: {metricRelabelings: [{sourceLabels: [__name__], regex: go_.*, action: drop}]}}",
		on + "endpoint: {interval: 15s, scrapeTimeout: 5s, port: http, path: /metrics, honorLabels: true, relabelings: []}}",
		"web: {existingSecret: s, tls: true}\n" + on + "endpoint: {scheme: https, tlsConfig: {insecureSkipVerify: true}}}",
		on + "scrapeClassicHistograms: false, labels: {app.kubernetes.io/name: x, helm.sh/chart: z}}",
		"prometheusRule: {enabled: true, labels: {app.kubernetes.io/version: x}}",
		"podLabels: {app.kubernetes.io/component: x, app.kubernetes.io/name: other, app.kubernetes.io/version: v}",
		"podAnnotations: {checksum/config: x, checksum/credentials: z}",
		"grafana: {dashboards: {labels: {app.kubernetes.io/instance: x, grafana_dashboard: '2'}}}",
		"priorityClassName: high\nresources: {limits: {cpu: 1, memory: 1Gi}}",
		"extraEnv: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}, {name: https_proxy, valueFrom: {secretKeyRef: {name: s, key: k}}}]",
		"persistence: {size: 1.5Gi}\nservice: {annotations: {a: b}}\nserviceAccount: {annotations: {a: b}}",
		"podLabels: null\npodAnnotations: null\nextraEnv: null\n" + on + "endpoint: null, labels: null, relabelings: null, metricRelabelings: null}\ngrafana: {dashboards: {labels: null}}",
		"networkPolicy: {ingressFrom: [{podSelector: {}}], egressPorts: [443, 443, 3128], dnsPorts: [53], dnsTo: [{podSelector: {}}]}",
	} {
		for _, name := range []string{"r", "workspace-exporter", strings.Repeat("a", 53)} {
			t.Run(values, func(t *testing.T) {
				v, err := chartutil.ReadValues([]byte(base + values))
				require.NoError(t, err)
				files, err := renderAs(theChart(t), name, v)
				require.NoError(t, err)
				found := decode(t, files)
				checkPod(t, found)
				checkMonitoring(t, found)
				assert.LessOrEqual(t, len(found.set.Name), 52, "or the hash of a revision makes a label too long")
			})
		}
	}
}

func TestNamesAreAskedForWhereverTheyAreAnswered(t *testing.T) {
	dns := rendered(t, examples(t)["readme.yaml"]).policy.Spec.Egress[0]
	assert.Empty(t, dns.To, "a cache on the node, or a server of the cloud, is no pod")
	var ports []string
	for _, p := range dns.Ports {
		ports = append(ports, fmt.Sprint(*p.Protocol, p.Port))
	}
	assert.Equal(t, []string{"UDP53", "TCP53", "UDP5353", "TCP5353"}, ports)
	assert.NotEmpty(t, rendered(t, examples(t)["everything.yaml"]).policy.Spec.Egress[0].To)
}

// TestProxyOfTheEnvironment: to name a proxy must be enough for it to be used.
func TestProxyOfTheEnvironment(t *testing.T) {
	projects := `
config:
  projects:
    - {name: a, project_id: a4da8115c9d8464ead3a38309130523f, region: cn-north-4, credentials: {default_chain: {}}}
    - {name: b, project_id: b4da8115c9d8464ead3a38309130523f, region: cn-north-4, credentials: {default_chain: {}}, proxy_url: "http://own:1"}
    - {name: c, project_id: c4da8115c9d8464ead3a38309130523f, region: cn-north-4, credentials: {default_chain: {}}, proxy_from_environment: false}
image: {repository: r}
`
	for env, want := range map[string][]bool{
		"": {false, false, false},
		"extraEnv: [{name: HTTPS_PROXY, value: 'http://u@proxy:3128/'}]":                                     {true, false, false},
		"extraEnv: [{name: https_proxy, valueFrom: {secretKeyRef: {name: s, key: k}}}, {name: A, value: b}]": {true, false, false},
		"extraEnv: [{name: NO_PROXY, value: x}]":                                                             {false, false, false},
	} {
		v, err := chartutil.ReadValues([]byte(projects + env))
		require.NoError(t, err)
		found := rendered(t, v)
		text := found.config.StringData["workspace_exporter.yml"]
		checkConfig(t, text)
		var config struct {
			Projects []struct {
				FromEnvironment bool `json:"proxy_from_environment"`
			}
		}
		require.NoError(t, yaml.Unmarshal([]byte(text), &config))
		for i, p := range config.Projects {
			assert.Equal(t, want[i], p.FromEnvironment, "%s: project %d", env, i)
		}
		var ports []int32
		for _, p := range found.policy.Spec.Egress[1].Ports {
			ports = append(ports, p.Port.IntVal)
		}
		if strings.Contains(env, "3128") {
			assert.Equal(t, []int32{443, 3128}, ports)
		} else {
			assert.Equal(t, []int32{443}, ports)
		}
	}
}

// TestNothingIsThereByDefaultThatIsNotThere: no image has been released, and not every
// cluster has the types of the Prometheus Operator.
func TestNothingIsThereByDefaultThatIsNotThere(t *testing.T) {
	_, err := render(theChart(t), map[string]any{"demo": true})
	assert.ErrorContains(t, err, "no image has been released yet. Build and push your own")
	found := rendered(t, map[string]any{"demo": true, "image": map[string]any{"repository": "r"}})
	assert.Nil(t, found.monitor)
	assert.Nil(t, found.rule)
	for _, file := range []string{"docs/installation.md", "deploy/README.md", "deploy/helm/workspace-exporter/values.yaml"} {
		assert.Contains(t, read(t, file), "docker buildx build -f deploy/Dockerfile -t ", file)
	}
}

// TestReplicasShareADatabase, and have no volume.
func TestReplicasShareADatabase(t *testing.T) {
	found := rendered(t, examples(t)["replicas.yaml"])
	require.NotNil(t, found.replicas)
	assert.EqualValues(t, 3, *found.replicas.Spec.Replicas)
	assert.EqualValues(t, 1, found.budget.Spec.MaxUnavailable.IntVal)
	s, err := meta.LabelSelectorAsSelector(found.budget.Spec.Selector)
	require.NoError(t, err)
	pod := found.replicas.Spec.Template
	assert.True(t, s.Matches(labels.Set(pod.Labels)))
	require.Len(t, pod.Spec.TopologySpreadConstraints, 2)
	for _, c := range pod.Spec.TopologySpreadConstraints {
		s, err := meta.LabelSelectorAsSelector(c.LabelSelector)
		require.NoError(t, err)
		assert.True(t, s.Matches(labels.Set(pod.Labels)))
	}
	for _, v := range pod.Spec.Volumes {
		assert.NotEqual(t, "data", v.Name)
	}
	text := found.config.StringData["workspace_exporter.yml"]
	assert.Contains(t, text, "dsn_file: postgres/dsn")
	assert.NotContains(t, text, "path:")
	assert.EqualValues(t, 5432, found.policy.Spec.Egress[2].Ports[0].Port.IntVal)
	single := examples(t)["replicas.yaml"]
	single["replicas"] = 1
	assert.Nil(t, rendered(t, single).budget, "it would keep a node from being drained")
}

func TestShardsNeedTheOrdinalOfAPod(t *testing.T) {
	found := rendered(t, examples(t)["shards.yaml"])
	assert.EqualValues(t, 3, *found.set.Spec.Replicas)
	assert.NotEmpty(t, found.set.Spec.VolumeClaimTemplates, "each has a store of its own")
	old := *chartutil.DefaultCapabilities
	old.KubeVersion = chartutil.KubeVersion{Version: "v1.27.9-gke.1", Major: "1", Minor: "27"}
	all, err := chartutil.ToRenderValues(theChart(t), examples(t)["shards.yaml"], chartutil.ReleaseOptions{Name: "r", Namespace: "n"}, &old)
	require.NoError(t, err)
	_, err = engine.Render(theChart(t), all)
	assert.ErrorContains(t, err, "shards need Kubernetes 1.28")
}

func TestDemo(t *testing.T) {
	found := rendered(t, examples(t)["demo.yaml"])
	assert.Equal(t, "demo", found.set.Spec.Template.Spec.Containers[0].Args[0])
	assert.Nil(t, found.config)
	assert.Empty(t, found.policy.Spec.Egress, "the demo asks nobody")
}

func TestRealConfiguration(t *testing.T) {
	found := rendered(t, examples(t)["values.yaml"])
	assert.Nil(t, found.secret)
	assert.Contains(t, fmt.Sprint(found.set.Spec.Template.Spec.Volumes), "workspace-exporter-credentials")
	require.Len(t, found.policy.Spec.Egress, 2, "names and the API")
	assert.EqualValues(t, 53, found.policy.Spec.Egress[0].Ports[0].Port.IntVal)
	assert.EqualValues(t, 443, found.policy.Spec.Egress[1].Ports[0].Port.IntVal)
	claim := found.set.Spec.VolumeClaimTemplates[0]
	mount := slices.IndexFunc(found.set.Spec.Template.Spec.Containers[0].VolumeMounts, func(m core.VolumeMount) bool { return m.Name == claim.Name })
	var config struct{ Storage struct{ Path string } }
	require.NoError(t, yaml.Unmarshal([]byte(found.config.StringData["workspace_exporter.yml"]), &config))
	assert.Equal(t, config.Storage.Path, found.set.Spec.Template.Spec.Containers[0].VolumeMounts[mount].MountPath, "the store is on the volume")
}

func TestCreatedSecret(t *testing.T) {
	found := rendered(t, examples(t)["created_secret.yaml"])
	assert.Equal(t, map[string][]byte{"access_key": []byte("AK"), "secret_key": []byte("planted")}, found.secret.Data)
	assert.Contains(t, fmt.Sprint(found.set.Spec.Template.Spec.Volumes), found.secret.Name)
	for _, o := range found.all {
		if o != found.secret {
			text, err := json.Marshal(o)
			require.NoError(t, err)
			assert.NotContains(t, string(text), "planted")
		}
	}
}

func TestChangesStartThePodAnew(t *testing.T) {
	first := rendered(t, examples(t)["created_secret.yaml"]).set.Spec.Template.Annotations
	values := examples(t)["created_secret.yaml"]
	values["credentials"].(map[string]any)["create"].(map[string]any)["secret_key"] = "another"
	values["config"].(map[string]any)["global"] = map[string]any{"poll_interval": "5m"}
	second := rendered(t, values).set.Spec.Template.Annotations
	for _, a := range []string{"checksum/config", "checksum/credentials"} {
		assert.NotEmpty(t, first[a])
		assert.NotEqual(t, first[a], second[a], a)
		assert.Len(t, first[a], 20, "%s is no plain hash, which would give a short secret away", a)
	}
}

func TestTLSAndAuthentication(t *testing.T) {
	found := rendered(t, examples(t)["web.yaml"])
	container := found.set.Spec.Template.Spec.Containers[0]
	assert.Nil(t, container.ReadinessProbe.HTTPGet, "it would be refused")
	assert.Equal(t, "https", strings.ToLower(string(*found.monitor.Spec.Endpoints[0].Scheme)))
	assert.NotNil(t, found.monitor.Spec.Endpoints[0].BasicAuth)
}

func TestBothLanguagesAndTheLinks(t *testing.T) {
	found := rendered(t, examples(t)["everything.yaml"])
	assert.Contains(t, found.boards, "workspace-overview-zh.json")
	text, err := json.Marshal(found.rule)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "localhost")
	assert.Contains(t, string(text), "https://grafana.example.com/d/")
}

func TestReadmeShowsTheExample(t *testing.T) {
	assert.Contains(t, read(t, "deploy/README.md"), "```yaml\n"+read(t, "tools/charts/testdata/readme.yaml")+"```\n")
}

func TestNotes(t *testing.T) {
	for values, want := range map[string]string{"demo.yaml": "simulated records", "values.yaml": "doctor", "shards.yaml": "check-config --total-shards=3", "ephemeral.yaml": "WARNING"} {
		files, err := render(theChart(t), examples(t)[values])
		require.NoError(t, err)
		assert.Contains(t, files["workspace-exporter/templates/NOTES.txt"], want)
	}
}

func TestRefusedValues(t *testing.T) {
	for values, want := range map[string]string{
		"{}": "config.projects is empty",
		"{demo: true, image: {repository: r}, replicas: 2}":                                            "replicas need postgres",
		"{demo: true, image: {repository: r}, postgres: {existingSecret: s}}":                          "postgres excludes demo",
		"{demo: true, postgres: {dsn: 'postgres://planted'}}":                                          "dsn",
		"{demo: true, postgres: {schema: 'A b'}}":                                                      "schema",
		"{demo: true, replicaCount: 2}":                                                                "replicaCount",
		"{demo: true, image: {repository: r}, shards: 2}":                                              "shards divide projects",
		"{demo: true, shards: 0}":                                                                      "shards",
		"{demo: true, shards: 1.5}":                                                                    "shards",
		"{demo: 'yes'}":                                                                                "demo",
		"{demo: true, log: {level: loud}}":                                                             "level",
		"{demo: true, image: {digest: md5:0}}":                                                         "digest",
		"{demo: true, image: {repository: ''}}":                                                        "image.repository is empty",
		"{demo: true, persistence: {accessModes: [ReadWriteMany]}}":                                    "accessModes",
		"{demo: true, persistence: {size: big}}":                                                       "size",
		"{demo: true, serviceMonitor: {interval: often}}":                                              "interval",
		"{demo: true, grafana: {url: grafana}}":                                                        "url",
		"{demo: true, grafana: {dashboards: {languages: [de]}}}":                                       "languages",
		"{demo: true, networkPolicy: {egressPorts: [0]}}":                                              "egressPorts",
		"{config: {projects: [{name: a, project_id: b}], storage: {}}}":                                "storage",
		"{config: {projects: [{name: a, project_id: b, credentials: {aksk: {secret_key: planted}}}]}}": "secret_key",
		"{config: {projects: [{name: a, project_id: b, credentials: {token: {token: planted}}}]}}":     "token",
		"{config: {projects: [{name: a}]}}":                                                            "project_id",
		"{demo: true, credentials: {existingSecret: a, create: {b: c}}}":                               "exclude each other",
		"{demo: true, credentials: {create: {../b: c}}}":                                               "../b",
		"{demo: true, podLabels: {team: 'not a label'}}":                                               "podLabels",
		"{demo: true, extraArgs: [demo]}":                                                              "extraArgs",
		"{demo: true, networkPolicy: {egress: []}}":                                                    "egress",
		"{demo: true, resources: {request: {}}}":                                                       "request",
		"{demo: true, service: {port: 70000}}":                                                         "port",
		"{demo: true, image: {pullPolicy: Sometimes}}":                                                 "pullPolicy",
		"{demo: true, serviceAccount: {name: Not_A_Name}}":                                             "name",
		"{demo: true, extraVolumes: [{emptyDir: {}}]}":                                                 "extraVolumes",
		"{demo: true, extraVolumes: [{name: data, emptyDir: {}}]}":                                     "extraVolumes",
		"{demo: true, extraVolumeMounts: [{name: a, mountPath: /tmp}]}":                                "extraVolumeMounts",
		"{demo: true, serviceMonitor: {metricRelabelings: {}}}":                                        "metricRelabelings",
		"{demo: true, serviceMonitor: {endpoint: {relabelings: 1}}}":                                   "relabelings",
		"{demo: true, config: null, web: {tls: 1}}":                                                    "tls",
		"{demo: true, image: {repository: r}, prometheusRule: {enabled: true, values: {severities: {WorkspaceLoginVolumDrop/critical: info}}}}": "no alert is",
	} {
		var v map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(values), &v))
		_, err := render(theChart(t), v)
		if assert.ErrorContains(t, err, want, values) {
			assert.NotContains(t, err.Error(), "planted")
		}
	}
}

// TestValuesOfRulesAreRefused tries what `make rules` refuses, by the same list.
func TestValuesOfRulesAreRefused(t *testing.T) {
	var bad []map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "dashboards/rules/tests/bad_values.yml")), &bad))
	require.NotEmpty(t, bad)
	c := theChart(t)
	all := examples(t)["everything.yaml"]
	for _, values := range bad {
		all["prometheusRule"].(map[string]any)["values"] = values
		_, err := render(c, all)
		assert.Error(t, err, "%v", values)
	}
}

// TestRulesOfTheChart has promtool read them, those of regular expressions with backslashes and
// quotes, too.
func TestRulesOfTheChart(t *testing.T) {
	odd := []any{`A\.1`, `"b"`}
	for _, values := range []map[string]any{{}, {"leaveOutGroups": odd, "capacityCodes": odd, "userErrorCodes": odd, "severities": map[string]any{"WorkspaceLoginVolumeDrop/critical": "info"},
		"grafana": "https://g.example.com/", "outageFor": "1d", "newCodeFailures": 2, "newCodeFailuresPerThousand": 0}} {
		all := examples(t)["everything.yaml"]
		all["prometheusRule"].(map[string]any)["values"] = values
		found := rendered(t, all)
		spec, err := yaml.Marshal(found.rule.Spec)
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), "rules.yml")
		require.NoError(t, os.WriteFile(file, spec, 0o600))
		output(t, tool(t, "promtool"), "check", "rules", file)
		assert.NotContains(t, string(spec), "com//d/")
	}
}

func TestVersions(t *testing.T) {
	c := theChart(t)
	assert.True(t, chartutil.IsCompatibleRange(c.Metadata.KubeVersion, "v1.25.0"))
	assert.True(t, chartutil.IsCompatibleRange(c.Metadata.KubeVersion, "v1.35.0-gke.1"))
	assert.False(t, chartutil.IsCompatibleRange(c.Metadata.KubeVersion, "v1.24.9"))
	assert.Contains(t, read(t, "CHANGELOG.md"), "## ")
}
