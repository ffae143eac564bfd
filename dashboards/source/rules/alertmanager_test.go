package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/marker"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOneIncidentIsOnePage has Alertmanager deliver the alarms of each tenant's week with
// the example's configuration. Internal/stack's tests run the program itself.
func TestOneIncidentIsOnePage(t *testing.T) {
	for _, s := range []size{small, medium, large} {
		t.Run(s.name, func(t *testing.T) {
			if s.name == large.name && !*withLarge {
				t.Skip("it takes two minutes: -large")
			}
			p := play(t, s)
			sent := deliver(t, p.alarms)
			for _, c := range p.cases {
				got := sent.of(c)
				pages, mails := got.count("pager"), got.count("mail")
				t.Logf("%s: %d pages, %d mails\n%s", &c.incident, pages, mails, got)
				if first(p.of(c), "critical") >= 0 {
					assert.Equal(t, 1, pages, "%s: pages", &c.incident)
				} else {
					assert.Zero(t, pages, "%s: pages", &c.incident)
					assert.Positive(t, mails, "%s: no mail", &c.incident)
				}
				assert.LessOrEqual(t, mails, 2, "%s: mails", &c.incident)
			}
		})
	}
}

// TestNoOneStartsApplicationsInAnOutage: what hits logins hits all that comes after them.
func TestNoOneStartsApplicationsInAnOutage(t *testing.T) {
	fires := func(alert, severity string, from int32, more ...string) *alarm {
		all := labels.FromStrings(append(more, "alertname", alert, "severity", severity, "job", "workspace", "project", "p", "product", "app_streaming")...)
		return &alarm{labels: all, rule: &rule{Alert: alert, Labels: map[string]string{"severity": severity}}, from: from, to: 60}
	}
	apps := []*alarm{
		fires("WorkspaceAppLaunchFailureRatioHigh", "critical", 12),
		fires("WorkspaceAppLaunchFailureRatioHigh", "warning", 11, "app_group", "Office", "app_name", "Calc"),
		fires("WorkspaceAppLaunchFailureRatioHigh", "warning", 30, "app_group", "Office", "app_name", "Writer"),
	}
	sent := deliver(t, apps)
	assert.Equal(t, 1, sent.count("pager"), sent)
	assert.Zero(t, sent.count("mail"), sent)

	sent = deliver(t, append(apps, fires("WorkspaceLoginOutage", "critical", 10), fires("WorkspaceServerGroupFull", "warning", 10, "server_group", "Office")))
	assert.Equal(t, 1, sent.count("pager"), sent)
	assert.Zero(t, sent.count("mail"), sent)
}

// notification is what a receiver is sent: a page, a mail.
type notification struct {
	minute   int32
	receiver string
	firing   []string
	resolved []string
}

type notifications []notification

// of are those about an incident.
func (all notifications) of(c *expected) (some notifications) {
	for _, n := range all {
		if n.minute >= int32(c.incident.from/minute) && n.minute <= int32(c.incident.to/minute)+90 {
			some = append(some, n)
		}
	}
	return some
}

// count is how often a receiver is interrupted. That all is over interrupts no one; that a
// part is over does.
func (all notifications) count(receiver string) (count int) {
	for _, n := range all {
		if n.receiver == receiver && len(n.firing) > 0 {
			count++
		}
	}
	return count
}

func (all notifications) String() string {
	var b strings.Builder
	for _, n := range all {
		if n.receiver != "none" {
			fmt.Fprintf(&b, "  day %d %02d:%02d %s: %s", n.minute/1440, n.minute%1440/60, n.minute%60, n.receiver, strings.Join(n.firing, ", "))
			if len(n.resolved) > 0 {
				fmt.Fprintf(&b, "; over: %s", strings.Join(n.resolved, ", "))
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// deliver sends alarms through Alertmanager's own parts, as Prometheus would, minute by
// minute, and returns what the receivers get. Time is synctest's, so that all waits are
// the configured ones, and the result is always the same.
func deliver(t *testing.T, alarms []*alarm) (sent notifications) {
	t.Helper()
	if len(alarms) == 0 {
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		from, to := alarms[0].from, alarms[0].from
		for _, a := range alarms {
			from, to = min(from, a.from), max(to, a.from, a.to)
		}
		time.Sleep(time.Until(instant(from)))
		var mu sync.Mutex
		alerts, stop := startAlertmanager(t, func(n notification) {
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, n)
		})
		defer stop()
		for m := from; m <= to+60; m++ {
			time.Sleep(time.Until(instant(m)))
			require.NoError(t, alerts.Put(t.Context(), asSent(alarms, m)...))
			synctest.Wait()
		}
	})
	slices.SortStableFunc(sent, func(a, b notification) int { return int(a.minute - b.minute) })
	return sent
}

// instant is when the rules are evaluated in a minute.
func instant(m int32) time.Time { return time.Unix(epoch+int64(m)*minute+30, 0) }

// asSent is what Prometheus sends in a minute: what fires, and for 15 minutes what is over,
// if the same does not fire again.
func asSent(alarms []*alarm, m int32) (all []*alert.Alert) {
	latest := map[string]*alarm{}
	for _, a := range alarms {
		if key := a.labels.String(); a.from <= m && (latest[key] == nil || latest[key].from < a.from) {
			latest[key] = a
		}
	}
	for _, a := range latest {
		if a.to == 0 || m <= a.to+15 {
			all = append(all, a.asSent(m))
		}
	}
	return all
}

func (a *alarm) asSent(m int32) *alert.Alert {
	one := &alert.Alert{UpdatedAt: instant(m), Timeout: true}
	one.StartsAt, one.EndsAt = instant(a.from), instant(m+4)
	if a.to > 0 && a.to <= m {
		one.EndsAt, one.Timeout = instant(a.to), false
	}
	one.Labels = model.LabelSet{}
	a.labels.Range(func(l labels.Label) { one.Labels[model.LabelName(l.Name)] = model.LabelValue(l.Value) })
	one.Annotations = model.LabelSet{"alarm": model.LabelValue(a.String())}
	return one
}

// startAlertmanager puts together what the program consists of, less the API, the cluster
// and the files.
func startAlertmanager(t *testing.T, send func(notification)) (alerts *mem.Alerts, stop func()) {
	t.Helper()
	text, err := os.ReadFile("../../rules/alertmanager.example.yml")
	require.NoError(t, err)
	conf, err := config.Load(string(text))
	require.NoError(t, err)
	logger, registry, recorder := promslog.NewNopLogger(), prometheus.NewRegistry(), eventrecorder.NopRecorder()
	silences, err := silence.New(silence.Options{Metrics: registry, Logger: logger, Retention: time.Hour})
	require.NoError(t, err)
	silencer := silence.NewSilencer(silences, logger, recorder)
	alerts, err = mem.NewAlerts(t.Context(), 30*time.Minute, 0, silencer, logger, recorder, registry, featurecontrol.NoopFlags{})
	require.NoError(t, err)
	log, err := nflog.New(nflog.Options{Retention: 120 * time.Hour, Logger: logger, Metrics: registry})
	require.NoError(t, err)

	receivers := map[string][]notify.Integration{}
	for _, r := range conf.Receivers {
		receivers[r.Name] = []notify.Integration{notify.NewIntegration(&receiver{r.Name, send}, &receiver{}, "test", 0, r.Name)}
	}
	intervals := map[string][]timeinterval.TimeInterval{}
	for _, i := range conf.TimeIntervals {
		intervals[i.Name] = i.TimeIntervals
	}
	groups := marker.NewGroupMarker()
	inhibitor := inhibit.NewInhibitor(alerts, conf.InhibitRules, logger, recorder)
	pipeline := notify.NewPipelineBuilder(registry, featurecontrol.NoopFlags{}, recorder).New(
		receivers, func() time.Duration { return 0 }, inhibitor, silencer, timeinterval.NewIntervener(intervals), groups, log, nil)
	dispatcher := dispatch.NewDispatcher(alerts, dispatch.NewRoute(conf.Route, nil), pipeline, groups,
		func(d time.Duration) time.Duration { return max(d, notify.MinTimeout) }, 30*time.Second, nil, logger, recorder, dispatch.NewDispatcherMetrics(false, registry, featurecontrol.NoopFlags{}), nil)
	go inhibitor.Run()
	inhibitor.WaitForLoading()
	go dispatcher.Run(time.Now())
	dispatcher.WaitForLoading()
	return alerts, func() {
		dispatcher.Stop()
		inhibitor.Stop()
		alerts.Close()
	}
}

// receiver passes on what it is sent.
type receiver struct {
	name string
	send func(notification)
}

func (r *receiver) Notify(_ context.Context, alerts ...*alert.Alert) (bool, error) {
	n := notification{minute: minuteOf(time.Now().UnixMilli()), receiver: r.name}
	for _, a := range alerts {
		if about := string(a.Annotations["alarm"]); a.Resolved() {
			n.resolved = append(n.resolved, about)
		} else {
			n.firing = append(n.firing, about)
		}
	}
	r.send(n)
	return false, nil
}

func (*receiver) SendResolved() bool { return true }

// TestReceiversOfTheExample takes the receivers of the example out of their comments, and has
// Alertmanager fill their texts in: of an incident that is partly over, and of one that is.
func TestReceiversOfTheExample(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, alertmanager))
	require.NoError(t, err)
	rules, receivers, found := strings.Cut(string(text), "\nreceivers:\n")
	require.True(t, found)
	c, err := config.Load(rules + "\nreceivers:\n" + regexp.MustCompile(`(?m)^    # ?( *)`).ReplaceAllString(receivers, "    $1"))
	require.NoError(t, err)
	of := map[string]config.Receiver{}
	for _, r := range c.Receivers {
		of[r.Name] = r
	}
	require.Len(t, of["pager"].PagerdutyConfigs, 1)
	require.Len(t, of["mail"].EmailConfigs, 1)
	pager, mail := of["pager"].PagerdutyConfigs[0], of["mail"].EmailConfigs[0]
	assert.Empty(t, mail.HTML)

	fill, err := template.New()
	require.NoError(t, err)
	one := func(status, summary string) template.Alert {
		return template.Alert{Status: status, Annotations: template.KV{"summary": summary, "description": "5 of 5.", "dashboard_url": "http://d", "runbook_url": "http://r"}}
	}
	filled := func(text string, alerts ...template.Alert) string {
		status := "resolved"
		for _, a := range alerts {
			if a.Status == "firing" {
				status = "firing"
			}
		}
		got, err := fill.ExecuteTextString(text, &template.Data{Status: status, Alerts: alerts})
		require.NoError(t, err)
		return got
	}
	over, fires := one("resolved", "A"), one("firing", "B")
	assert.Equal(t, "B (and 1 more)", filled(pager.Description, over, fires))
	assert.Equal(t, "Over: A", filled(pager.Description, over))
	details := fmt.Sprint(pager.Details["alerts"])
	assert.Equal(t, "Over: A\n5 of 5.\nDashboard: http://d\nRunbook: http://r\n\nB\n5 of 5.\nDashboard: http://d\nRunbook: http://r\n\n\n", filled(details, over, fires))
	assert.Equal(t, "B (and 1 more)", filled(mail.Headers["Subject"], fires, over))
	assert.Contains(t, filled(mail.Text, fires), "B\n5 of 5.\nDashboard: http://d\nRunbook: http://r\n")
	withoutGrafana := one("firing", "B")
	delete(withoutGrafana.Annotations, "dashboard_url")
	assert.Contains(t, filled(mail.Text, withoutGrafana), "B\n5 of 5.\nRunbook: http://r\n")
	assert.Contains(t, filled(fmt.Sprint(pager.Details["alerts"]), withoutGrafana), "B\n5 of 5.\nRunbook: http://r\n")

	text, err = os.ReadFile(filepath.Join(repository, "deploy/alertmanager/china.example.yml"))
	require.NoError(t, err)
	c, err = config.Load(rules + "\n" + string(text))
	require.NoError(t, err)
	chinese := c.Receivers[1].EmailConfigs[0]
	assert.Equal(t, "B（另有 1 条）", filled(chinese.Headers["Subject"], fires, over))
	assert.Equal(t, "B", filled(chinese.Headers["Subject"], fires))
	assert.Contains(t, filled(chinese.Text, fires), "B\n5 of 5.\n仪表盘：http://d\n运维手册：http://r\n")
	wecom := filled(c.Receivers[0].WechatConfigs[0].Message, over, withoutGrafana)
	assert.Contains(t, wecom, "【恢复】A\n5 of 5.\n仪表盘：http://d\n运维手册：http://r\n")
	assert.Contains(t, wecom, "【告警】B\n5 of 5.\n运维手册：http://r\n")
	for _, r := range c.Receivers {
		assert.Contains(t, of, r.Name, "the routes have its name")
	}
}

// TestRoutesOfSeverities asks which receiver each alert goes to, as rendered and as an administrator
// may have lowered or raised it.
func TestRoutesOfSeverities(t *testing.T) {
	c, err := config.LoadFile(filepath.Join(repository, alertmanager))
	require.NoError(t, err)
	root := dispatch.NewRoute(c.Route, nil)
	for _, r := range loadRules(t, filepath.Join(repository, rulesFile)) {
		if r.Alert == "" {
			continue
		}
		for severity, receiver := range map[string]string{"critical": "pager", "warning": "mail", "info": "none"} {
			for _, route := range root.Match(model.LabelSet{"alertname": model.LabelValue(r.Alert), "severity": model.LabelValue(severity)}) {
				assert.Equal(t, receiver, route.RouteOpts.Receiver, "%s, %s", r.Alert, severity)
			}
		}
	}
}
