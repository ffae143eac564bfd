package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policies "k8s.io/api/policy/v1"
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
	there, err := derived(repository)
	require.NoError(t, err)
	for _, name := range there {
		assert.Contains(t, want, name, "`make charts` does not make it")
	}
	for name, content := range want {
		got, err := os.ReadFile(filepath.Join(repository, name))
		if assert.NoError(t, err, "run `make charts`") {
			assert.True(t, string(content) == string(got), "%s is out of date: run `make charts`", name)
		}
	}
}

func theChart(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.LoadDir(filepath.Join(repository, chartFolder))
	require.NoError(t, err)
	return c
}

// examples are values to try: testdata/*.yaml, and those of the plain manifests.
func examples(t *testing.T) map[string]map[string]any {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 6)
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
		for _, m := range lint.All(filepath.Join(repository, chartFolder), values, "monitoring", true).Messages {
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
	service   *core.Service
	policy    *networking.NetworkPolicy
	budget    *policies.PodDisruptionBudget
	monitor   *monitoring.ServiceMonitor
	rule      *monitoring.PrometheusRule
	secret    *core.Secret
	config    *core.ConfigMap
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
	case *core.Service:
		found.service = o
	case *networking.NetworkPolicy:
		found.policy = o
	case *policies.PodDisruptionBudget:
		found.budget = o
	case *monitoring.ServiceMonitor:
		found.monitor = o
	case *monitoring.PrometheusRule:
		found.rule = o
	case *core.Secret:
		found.secret = o
	case *core.ServiceAccount:
		found.account = o
	case *core.ConfigMap:
		if o.Data["workspace_exporter.yml"] != "" {
			found.config = o
			return
		}
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
				checkConfig(t, found.config.Data["workspace_exporter.yml"])
			}
		})
	}
}

// checkPod checks what has to hold whatever the values are.
func checkPod(t *testing.T, found objects) {
	t.Helper()
	set, pod := found.set, found.set.Spec.Template
	assert.EqualValues(t, 1, *set.Spec.Replicas, "two exporters count everything twice")
	assert.Equal(t, found.service.Name, set.Spec.ServiceName)
	for what, selector := range map[string]*meta.LabelSelector{
		"stateful set": set.Spec.Selector, "network policy": &found.policy.Spec.PodSelector, "budget": found.budget.Spec.Selector,
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
	output(t, program, append(slices.Clone(container.Args), "--help")...) // knows all its flags
	for _, p := range []*core.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
		require.NotNil(t, p)
		assert.NotEqual(t, p.HTTPGet == nil, p.TCPSocket == nil)
	}
	assert.Contains(t, found.policy.Spec.PolicyTypes, networking.PolicyTypeEgress)
	assert.False(t, *pod.Spec.AutomountServiceAccountToken)
}

// checkMonitoring compares what Prometheus and Grafana are told with dashboards/.
func checkMonitoring(t *testing.T, found objects) {
	t.Helper()
	s, err := meta.LabelSelectorAsSelector(&found.monitor.Spec.Selector)
	require.NoError(t, err)
	assert.True(t, s.Matches(labels.Set(found.service.Labels)))
	assert.Equal(t, found.service.Spec.Ports[0].Name, found.monitor.Spec.Endpoints[0].Port)
	assert.Equal(t, "workspace-exporter", found.service.Labels[found.monitor.Spec.JobLabel], "the rules know the job by this")

	spec, err := yaml.Marshal(found.rule.Spec)
	require.NoError(t, err)
	var want monitoring.PrometheusRuleSpec
	require.NoError(t, yaml.UnmarshalStrict([]byte(read(t, "dashboards/rules/workspace.rules.yml")), &want))
	wanted, err := yaml.Marshal(want)
	require.NoError(t, err)
	assert.Greater(t, len(want.Groups), 1)
	local := strings.NewReplacer("https://grafana.example.com", "http://localhost:3000")
	assert.YAMLEq(t, string(wanted), local.Replace(string(spec)))

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

func TestDemo(t *testing.T) {
	found := rendered(t, map[string]any{"demo": true})
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
	require.NoError(t, yaml.Unmarshal([]byte(found.config.Data["workspace_exporter.yml"]), &config))
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
	assert.Contains(t, read(t, "deploy/README.md"), "```yaml\n"+read(t, "deploy/source/testdata/readme.yaml")+"```\n")
}

func TestNotes(t *testing.T) {
	for values, want := range map[string]string{"demo.yaml": "made-up records", "values.yaml": "doctor", "ephemeral.yaml": "WARNING"} {
		files, err := render(theChart(t), examples(t)[values])
		require.NoError(t, err)
		assert.Contains(t, files["workspace-exporter/templates/NOTES.txt"], want)
	}
}

func TestRefusedValues(t *testing.T) {
	for values, want := range map[string]string{
		"{}":                                    "config.projects is empty",
		"{demo: true, replicas: 2}":             "replicas",
		"{demo: true, replicaCount: 2}":         "replicaCount",
		"{demo: 'yes'}":                         "demo",
		"{demo: true, log: {level: loud}}":      "level",
		"{demo: true, image: {digest: md5:0}}":  "digest",
		"{demo: true, image: {repository: ''}}": "repository",
		"{demo: true, persistence: {accessModes: [ReadWriteMany]}}":                                    "accessModes",
		"{demo: true, persistence: {size: big}}":                                                       "size",
		"{demo: true, podDisruptionBudget: {maxUnavailable: 2}}":                                       "maxUnavailable",
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
		"{demo: true, config: null, web: {tls: 1}}":                                                    "tls",
	} {
		var v map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(values), &v))
		_, err := render(theChart(t), v)
		if assert.ErrorContains(t, err, want, values) {
			assert.NotContains(t, err.Error(), "planted")
		}
	}
}

func TestRulesOfTheChart(t *testing.T) {
	found := rendered(t, examples(t)["everything.yaml"])
	spec, err := yaml.Marshal(found.rule.Spec)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "rules.yml")
	require.NoError(t, os.WriteFile(file, spec, 0o600))
	output(t, tool(t, "promtool"), "check", "rules", file)
}

func TestVersions(t *testing.T) {
	c := theChart(t)
	assert.True(t, chartutil.IsCompatibleRange(c.Metadata.KubeVersion, "v1.25.0"))
	assert.True(t, chartutil.IsCompatibleRange(c.Metadata.KubeVersion, "v1.35.0-gke.1"))
	assert.False(t, chartutil.IsCompatibleRange(c.Metadata.KubeVersion, "v1.24.9"))
	assert.Contains(t, read(t, "CHANGELOG.md"), "## ")
}
