package collector

import (
	"github.com/workspace-exporter/workspace_exporter/internal/ledger"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

const (
	appGroup Label = "app_group"
	appName  Label = "app_name"
)

var (
	appLaunches = &Metric{Name: "workspace_app_launches_total", Type: Counter, Labels: []Label{appGroup, appName},
		Help: "Applications that users have opened, or tried to, each launch counted once."}
	appLaunchFailures = &Metric{Name: "workspace_app_launch_failures_total", Type: Counter, Labels: []Label{appGroup, appName, failedCode},
		Help: "Launches of applications that failed, by the vendor's failure code."}
	appOpen = &Metric{Name: "workspace_app_open", Type: Gauge, Labels: []Label{appGroup, appName},
		Help:     "Applications that are open as of the last poll: launches that succeeded and have not ended.",
		Headline: "Open applications"}
	appUseDuration = &Metric{Name: "workspace_app_use_duration_seconds", Type: Histogram, AtEnd: true, Labels: []Label{appGroup},
		Buckets: sessionDuration.Buckets,
		Help:    "Time from the launch of an application to its end, observed when it has ended, of launches that succeeded."}
	appUsers = &Metric{Name: "workspace_app_users", Type: Gauge, Labels: []Label{appGroup, appName, windowName},
		Help: "Distinct users who have launched an application, or tried to, within the window before the last poll."}
	appFailedUsers = &Metric{Name: "workspace_app_failed_users", Type: Gauge, Labels: []Label{appGroup, appName, windowName},
		Help: "Distinct users with a failed launch of an application within the window before the last poll."}
	appFailureCodeInfo = &Metric{Name: "workspace_app_launch_failure_code_info", Type: Gauge, Labels: failureCodeInfo.Labels,
		Help: "Always 1, one series a code of failed launches of applications: like workspace_login_failure_code_info."}
	appFailureCodeAdvice = &Metric{Name: "workspace_app_launch_failure_code_advice_info", Type: Gauge, Labels: failureCodeAdvice.Labels,
		Help: "Always 1, one series a code of failed launches of applications: like workspace_login_failure_code_advice_info."}
)

// apps counts launches of applications, and shows how many of each application of which a
// launch is known are open.
type apps struct {
	*breakdown
	*openGauge
	use *family
}

func newApps(f *families, _ Options) aggregator {
	open, use := f.of(appOpen), f.of(appUseDuration)
	b := newBreakdown(f, appLaunches, appLaunchFailures, byApp)
	return &apps{breakdown: b, use: use, openGauge: newOpenGauge(open, b, func(p ledger.Place) []pair { return []pair{appGroup.is(p.Group), appName.is(p.App)} })}
}

func byApp(labels []pair, l *record.Login) []pair {
	return append(labels, appGroup.is(l.Group), appName.is(l.App))
}

func (a *apps) observe(e *ledger.Event) {
	a.breakdown.observe(e)
	if e.SessionDuration != nil {
		a.use.observe(*e.SessionDuration, appGroup.is(e.Login.Group))
	}
}

func newAppUsers(f *families, o Options) aggregator {
	return newUserWindows(f, o, f.of(appLaunches), byApp, appUsers, appFailedUsers)
}

func newAppFailureCodes(f *families, _ Options) aggregator {
	return newFailureCodes(f, appFailureCodeInfo, appFailureCodeAdvice)
}
