package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// opened is the use number n of an application, which is open. The API has several ways to
// say that there is no end yet, and no failure.
func opened(n int, at time.Time) simulator.AppConnection {
	none := [][2]string{{"", ""}, {"WKS.00000000", "success"}, {"0", "OK"}, {"成功", "成功"}}[n%4]
	group := fmt.Sprintf("group-%d", n%2)
	return simulator.AppConnection{
		ID: fmt.Sprintf("%032x", n), SID: fmt.Sprintf("S-1-5-21-77-%d", n%5), AppName: []string{"Calc", group + "-SAP GUI", "记事本"}[n%3],
		MachineName: fmt.Sprintf("APS-%d", n%5), UserName: fmt.Sprintf("colleague%d@corp.example", n%37), AppGroupName: group, AppGroupID: "573743978327834675",
		BrokeringTime: millis(at), EndTime: []string{"", "0001-01-01 00:00:00", "0001-01-01T00:00:00Z"}[n%3],
		FailedCode: none[0], ConnectionFailureReason: none[1], ClientMAC: fmt.Sprintf("c8-d9-d2-00-00-%02x", n%29), ClientName: fmt.Sprintf("laptop-%d", n%29),
		ClientIP: fmt.Sprintf("10.20.30.%d", n%29), ClientVersion: "23.1", ClientType: "Windows 10", AgentVersion: "23.5", VMIP: "10.30.0.7",
		WIIP: "192.0.2.10", TenantID: "tenant-0001", TransactionID: fmt.Sprintf("tx-%d", n), ApsInstanceName: "APS-WSKIXL",
	}
}

// closed ends the use of an application.
func closed(a simulator.AppConnection, after time.Duration) simulator.AppConnection {
	a.EndTime = millis(moment(a.BrokeringTime).Add(after))
	return a
}

// crashed has a launch fail. Its code is "unknown" if there is none.
func crashed(a simulator.AppConnection, code string) simulator.AppConnection {
	a.FailedCode, a.ConnectionFailureReason = code, "No session for "+a.UserName+" on "+a.MachineName+"."
	return a
}

// anyUse is use number n of an application with any of the outcomes, known at once.
func anyUse(n int, at time.Time) simulator.AppConnection {
	a := opened(n, at)
	switch n % 5 {
	case 0:
		return crashed(a, "WKS.00160001")
	case 1:
		return crashed(a, "")
	case 2:
		return closed(a, time.Duration(n)*time.Second)
	}
	return a
}

// apps are uses of applications that the API shows, each in its newest version, and what
// was counted of those that changed.
type apps struct {
	w      *world
	newest map[string]simulator.AppConnection
	order  []string
}

func (a *apps) put(uses ...simulator.AppConnection) {
	for _, use := range uses {
		if _, known := a.newest[use.ID]; !known {
			a.order = append(a.order, use.ID)
		}
		a.newest[use.ID] = use
	}
	a.w.PutApps(project, uses...)
}

// expect is what the metrics of applications must show when all have been read.
func (a *apps) expect() series {
	want := series{}
	for _, use := range a.newest {
		want[key("workspace_app_open", "project", project, "product", "app_streaming", "app_group", use.AppGroupName, "app_name", use.AppName)] += 0
		want.launch(project, &use)
	}
	return want
}

// check compares the metrics that applications have, but for the buckets and users.
func (a *apps) check(m series) []string {
	got := series{}
	for name, value := range m {
		switch nameOf(name) {
		case "workspace_app_launches_total", "workspace_app_launch_failures_total", "workspace_app_open",
			"workspace_app_use_duration_seconds_count", "workspace_app_use_duration_seconds_sum":
			if value != 0 || nameOf(name) == "workspace_app_open" {
				got[name] = value
			}
		}
	}
	return got.diff(a.expect())
}

var appModes = map[string]string{"query": "mode: query", "export": "mode: export", "auto, pages": "mode: auto", "auto, files": "mode: auto, export_threshold: 5"}

// The same uses are counted alike by pages and from files of every flavour, by one process
// after the other, while they end and fail.
func TestUsesOfAppsInEveryMode(t *testing.T) {
	t.Parallel()
	for name, file := range flavours {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, tap := tapped(t, simulator.Options{File: file, TaskDuration: atOnce, Seed: 3})
			a := &apps{w: w, newest: map[string]simulator.AppConnection{}}
			at := time.Now().Add(-10 * time.Minute).Truncate(time.Second)
			for n := range 60 {
				a.put(anyUse(n, at.Add(time.Duration(n)*time.Second)))
			}
			// Two applications in one second, by one user.
			twin := opened(100, at)
			twin.AppName = "Calc"
			other := opened(101, at)
			other.AppName, other.UserName, other.ClientName, other.ClientMAC, other.ClientIP, other.AppGroupName, other.MachineName = "SAP", twin.UserName, twin.ClientName, twin.ClientMAC, twin.ClientIP, twin.AppGroupName, twin.MachineName
			a.put(twin, other)
			e := install(t, setup{})
			once := func(mode string) {
				t.Helper()
				e.configure(setup{URL: w.url, Sources: "{app_connections: {" + mode + "}}"})
				code, stdout, stderr := command(t, e.dir, "--once")
				require.Equal(t, 0, code, stderr)
				m := parse(t, stdout)
				assert.Empty(t, a.check(m), mode)
				assert.Zero(t, m.sum("workspace_exporter_invalid_fields_total"), mode)
				assert.Zero(t, strings.Count(stdout, "\nworkspace_login_"), "a launch is no login")
				for _, private := range []string{"colleague", "10.20.30", "laptop", "c8-d9", "S-1-5", "tx-"} {
					assert.NotContains(t, stdout+stderr, private)
				}
			}
			once(appModes["export"])
			a.put(closed(a.newest[a.order[3]], time.Minute), crashed(a.newest[a.order[8]], "7"), anyUse(200, at.Add(time.Minute)))
			once(appModes["query"])
			once(appModes["auto, files"])
			a.put(closed(a.newest[a.order[4]], 2*time.Minute), crashed(a.newest[a.order[9]], "8"), anyUse(203, at.Add(2*time.Minute)))
			once(appModes["auto, pages"])
			once(appModes["export"])
			once(appModes["query"])
			assert.NotEmpty(t, tap.requests("/app-connection/export"))
			assert.Empty(t, w.Tasks(project), "a task is deleted after use")
			assert.Empty(t, w.Violations())
		})
	}
}

// The window of a poll no longer shows what was opened before the lookback, and nothing
// tells of its end but the record itself.
func TestAnEndThatComesLate(t *testing.T) {
	t.Parallel()
	for name, mode := range appModes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := tapped(t, simulator.Options{TaskDuration: atOnce, File: small})
			a := &apps{w: w, newest: map[string]simulator.AppConnection{}}
			at := time.Now().Add(-45 * time.Minute).Truncate(time.Second)
			long, broken, before := opened(1, at), opened(2, at.Add(time.Minute)), opened(3, at.Add(2*time.Minute))
			a.put(long, broken, before, closed(opened(4, at), time.Minute))
			e := runExporter(t, setup{URL: w.url, Sources: "{app_connections: {" + mode + ", poll_interval: 200ms}}"})
			e.pollsEnd(project, "app_connections", "success", 1)
			require.Empty(t, a.check(e.metrics()))
			a.put(closed(long, 40*time.Minute))
			eventually(t, "a late end is counted", func() bool { return len(a.check(e.metrics())) == 0 })
			require.Equal(t, 0, e.stop())
			e.kill()
			a.put(closed(before, 44*time.Minute), crashed(broken, "7")) // while nobody looks
			e.start()
			eventually(t, "what came in between is counted", func() bool { return len(a.check(e.metrics())) == 0 })
			e.pollsEnd(project, "app_connections", "success", 3)
			assert.Empty(t, a.check(e.metrics()))
		})
	}
}

// The program is killed at any moment, while uses of applications come, end and fail, and
// answers of the API break.
func TestCrashesLoseNoUseOfAnApp(t *testing.T) {
	t.Parallel()
	for name, mode := range appModes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := tapped(t, simulator.Options{TaskDuration: atOnce, File: small})
			for _, kind := range []simulator.FaultKind{simulator.FaultError, simulator.FaultDropBody, simulator.FaultTruncate} {
				w.AddFault(simulator.Fault{Kind: kind, Probability: 0.01})
			}
			a := &apps{w: w, newest: map[string]simulator.AppConnection{}}
			e := runExporter(t, setup{URL: w.url, Hold: "100ms", Sources: "{app_connections: {" + mode + ", poll_interval: 100ms}}"})
			highest := 0.0
			for n := 0; n < 200; n += 4 {
				at := time.Now().Add(-time.Minute).Truncate(time.Second)
				a.put(anyUse(n, at), anyUse(n+1, at), anyUse(n+2, at.Add(-5*time.Minute)), anyUse(n+3, at))
				if use := a.newest[a.order[rand.N(len(a.order))]]; isOpen(&use) {
					if n%3 == 0 {
						a.put(crashed(use, "9"))
					} else {
						a.put(closed(use, 30*time.Second))
					}
				}
				if n%40 == 20 {
					e.kill()
					e.start()
				}
				now := e.metrics().sum("workspace_app_launches_total")
				require.GreaterOrEqual(t, now, highest)
				highest = now
				<-time.After(rand.N(60 * time.Millisecond)) // any moment will do
			}
			for _, f := range w.Faults() {
				w.RemoveFault(f.ID)
			}
			eventually(t, "all is counted, once", func() bool { return len(a.check(e.metrics())) == 0 })
			e.pollsEnd(project, "app_connections", "success", 2)
			assert.Empty(t, a.check(e.metrics()))
			assert.Empty(t, w.Violations())
		})
	}
}

// A file of the use of applications is recognised, and a history has its launches.
func TestAppsAreReplayedAndBackfilled(t *testing.T) {
	t.Parallel()
	w, _ := tapped(t, simulator.Options{TaskDuration: atOnce})
	a := &apps{w: w, newest: map[string]simulator.AppConnection{}}
	at := time.Now().Add(-3 * time.Hour).Truncate(time.Second)
	var rows strings.Builder
	rows.WriteString("登录用户,应用组名称,应用名称,登录应用时间,登录应用结束时间,连接失败状态码,连接失败原因\n")
	for n := range 20 {
		use := anyUse(n, at.Add(time.Duration(n)*time.Minute))
		a.put(use)
		fmt.Fprintf(&rows, "%s,%s,%s,%s,%s,%s,%s\n", use.UserName, use.AppGroupName, use.AppName, use.BrokeringTime, use.EndTime, use.FailedCode, use.ConnectionFailureReason)
	}
	e := install(t, setup{URL: w.url, Sources: "{app_connections: {}}"})
	require.NoError(t, os.WriteFile(filepath.Join(e.dir, "apps.csv"), []byte(rows.String()), 0o600))
	code, stdout, stderr := command(t, e.dir, "replay", "apps.csv", "--project", project)
	require.Equal(t, 0, code, stderr)
	assert.Empty(t, a.check(parse(t, stdout)))
	assert.Contains(t, stderr, "20 launches, 8 of them failures")
	assert.NotContains(t, stdout+stderr, "colleague")

	code, stdout, stderr = command(t, e.dir, "backfill", "--since=4h", "--until="+format(time.Now().Add(-time.Hour)), "--output=-")
	require.Equal(t, 0, code, stderr)
	total := 0.0
	for name, samples := range readOpenMetrics(t, stdout) {
		if strings.HasPrefix(name, "workspace_app_launches_total{") {
			total += samples[len(samples)-2].value // before it ends in 0
		}
	}
	assert.Equal(t, 20.0, total)
}

// Failed launches are in the log of failed logins, by a message of their own.
func TestFailedLaunchesAreLogged(t *testing.T) {
	t.Parallel()
	w, _ := tapped(t, simulator.Options{})
	w.PutApps(project, crashed(opened(1, time.Now().Add(-time.Minute)), "7"))
	e := install(t, setup{URL: w.url, Sources: "{app_connections: {}}", More: "failed_logins_log: {path: failed.jsonl}"})
	code, _, stderr := command(t, e.dir, "--once")
	require.Equal(t, 0, code, stderr)
	lines, err := os.ReadFile(filepath.Join(e.dir, "failed.jsonl"))
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(string(lines), "\n"))
	assert.True(t, containsAll(string(lines), `"msg":"application launch failed"`, `"app_group":"group-1"`, `"app_name":"group-1-SAP GUI"`, "No session for <user> on <server>."), string(lines))
	assert.NotContains(t, string(lines), "colleague")
}
