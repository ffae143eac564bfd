package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// connected is connection number n to a desktop: it took n%20 s, and is open.
func connected(n int, at time.Time) simulator.Desktop {
	return simulator.Desktop{
		SID: fmt.Sprintf("S-1-5-21-99-%d", n%5), TransactionID: fmt.Sprintf("%032x", n), ComputerName: fmt.Sprintf("DT-%d", n%5),
		UserName: fmt.Sprintf("colleague%d", n%7), TerminalMAC: "c8-d9-d2-00-00-01", TerminalName: fmt.Sprintf("laptop-%d", n%7), TerminalIP: fmt.Sprintf("10.9.8.%d", n%7),
		ClientVersion: fmt.Sprintf("23.%d.0", n%2), TerminalType: []string{"Windows 10", "Linux"}[n%2], AgentVersion: "23.1.0", DesktopIP: "10.30.0.7",
		ConnectionStartTime: millis(at), ConnectionSetupTime: millis(at.Add(time.Duration(n%20) * time.Second)),
		NetworkRTT: 10, E2ERTT: 40, SourceIP: "203.0.113.77", PublicIP: "203.0.113.78", EnterpriseProjectID: "0",
	}
}

func millis(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// refused is a connection that failed.
func refused(n int, at time.Time, reason string) simulator.Desktop {
	d := connected(n, at)
	d.ConnectionSetupTime, d.NetworkRTT, d.E2ERTT, d.ConnectionFailureReason = "", 0, 0, reason
	return d
}

func disconnected(d simulator.Desktop, after time.Duration) simulator.Desktop {
	d.ConnectionEndTime = millis(moment(d.ConnectionStartTime).Add(after))
	return d
}

func desktopKey(name string, labels ...string) string {
	return key(name, append(labels, "project", project, "product", "desktop")...)
}

// desktopModes are the ways to the same records.
var desktopModes = map[string]struct {
	mode string
	file simulator.FileFormat
}{
	"file, English":               {"mode: export_v2, language: en_US", simulator.FileFormat{}},
	"file, Chinese":               {"mode: export_v2, language: zh_CN", simulator.FileFormat{Kind: simulator.CSV, Charset: simulator.GB18030}},
	"file, Chinese, without ids":  {"mode: export_v2, language: zh_CN", simulator.FileFormat{Omit: []string{"transaction_id"}, Shuffled: true}},
	"pages":                       {"mode: query", simulator.FileFormat{}},
	"task, English":               {"mode: export_v3, language: en_US", simulator.FileFormat{Kind: simulator.CSV, Separator: ';', Titles: []string{"Connections"}}},
	"task, Chinese":               {"mode: export_v3, language: zh_CN", simulator.FileFormat{Header: simulator.ChineseHeader}},
	"task, Chinese, without ids":  {"mode: export_v3, language: zh_CN", simulator.FileFormat{Omit: []string{"transaction_id"}}},
	"task, as the API names them": {"mode: export_v3", simulator.FileFormat{Header: simulator.FieldHeader}},
}

// tells is what a reason becomes, worked out by hand.
var tells = []struct{ reason, code, shown string }{
	{"The desktop is not reachable.", "the_desktop_is_not_reachable", "The desktop is not reachable."},
	{"Account colleague%d is locked.", "account_user_is_locked", "Account <user> is locked."},
	{"Connection from 10.9.8.%d was refused.", "connection_from_address_was_refused", "Connection from <address> was refused."},
	{"ERR_1003", "err_1003", "ERR_1003"},
	{"密码错误", "密码错误", "密码错误"},
}

func TestDesktopConnectionsInEveryMode(t *testing.T) {
	t.Parallel()
	at := time.Now().Add(-10 * time.Minute).Truncate(time.Second)
	for name, c := range desktopModes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := tapped(t, simulator.Options{TaskDuration: atOnce, File: c.file, Seed: 5})
			put := []simulator.Desktop{}
			var loginSum, sessionSum float64
			for n := range 40 {
				d := connected(n, at.Add(time.Duration(n)*time.Second))
				switch n % 4 {
				case 0, 1: // open
					loginSum += float64(n % 20)
				case 2:
					d = disconnected(d, 100*time.Second)
					loginSum += float64(n % 20)
					sessionSum += 100 // from its start, not from when it stood
				case 3:
					d.IsReconnect = true
				}
				put = append(put, d)
			}
			for i, c := range tells {
				reason := c.reason
				if strings.Contains(reason, "%d") {
					reason = fmt.Sprintf(reason, (100+i)%7)
				}
				put = append(put, refused(100+i, at.Add(time.Minute).Add(time.Duration(i)*time.Second), reason))
			}
			w.PutDesktops(project, put...)
			e := install(t, setup{URL: w.url, Sources: "{desktop_connections: {" + c.mode + "}}"})
			code, stdout, stderr := command(t, e.dir, "--once")
			require.Equal(t, 0, code, stderr)
			m := parse(t, stdout)

			assert.Equal(t, 45.0, m[desktopKey("workspace_login_attempts_total", "desktop_group", "")])
			assert.Zero(t, strings.Count(stdout, "\nworkspace_server_"), "desktops may be named after persons")
			assert.Equal(t, 30.0, m[desktopKey("workspace_login_duration_seconds_count", "desktop_group", "")], "without reconnects")
			assert.Equal(t, loginSum, m[desktopKey("workspace_login_duration_seconds_sum", "desktop_group", "")])
			assert.Equal(t, 10.0, m[desktopKey("workspace_session_duration_seconds_count", "desktop_group", "")])
			assert.Equal(t, sessionSum, m[desktopKey("workspace_session_duration_seconds_sum", "desktop_group", "")])
			for kind, rtt := range map[string]float64{"network": .010, "end_to_end": .040} {
				assert.Equal(t, 40.0, m.sum("workspace_desktop_"+kind+"_round_trip_seconds_count", `product="desktop"`))
				assert.InDelta(t, 40*rtt, m.sum("workspace_desktop_"+kind+"_round_trip_seconds_sum", `product="desktop"`), 1e-9)
			}
			assert.Equal(t, 5.0, m.sum("workspace_login_failures_total"))
			for _, c := range tells {
				assert.Equal(t, 1.0, m[desktopKey("workspace_login_failures_total", "desktop_group", "", "failed_code", c.code)], c.code)
				assert.Equal(t, 1.0, m[desktopKey("workspace_login_failure_code_info", "failed_code", c.code, "reason", c.shown, "class", "", "explanation", "")], c.code)
			}
			assert.Zero(t, m.sum("workspace_exporter_invalid_fields_total"), stdout)
			for _, private := range []string{"colleague", "10.9.8.", "203.0.113", "laptop", "c8-d9", "S-1-5", "DT-"} {
				assert.NotContains(t, stdout+stderr, private)
			}
			for other, o := range desktopModes { // the same store, read another way
				if other == name || o.file.Kind != c.file.Kind || len(o.file.Omit)+len(c.file.Omit) > 0 {
					continue
				}
				e.configure(setup{URL: w.url, Sources: "{desktop_connections: {" + o.mode + "}}"})
				code, stdout, stderr := command(t, e.dir, "--once")
				require.Equal(t, 0, code, stderr)
				assert.Empty(t, parse(t, stdout).records().diff(m.records()), "%s after %s", other, name)
				break
			}
		})
	}
}

// The window of a poll no longer shows a connection that began before the lookback.
func TestADesktopConnectionEndsBehindTheLookback(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"export_v2", "query", "export_v3"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w, _ := tapped(t, simulator.Options{TaskDuration: atOnce, File: small})
			at := time.Now().Add(-45 * time.Minute).Truncate(time.Second)
			long := connected(1, at)
			w.PutDesktops(project, long, disconnected(connected(2, at), time.Minute))
			e := runExporter(t, setup{URL: w.url, Sources: "{desktop_connections: {mode: " + mode + ", desktop_names: true, poll_interval: 300ms}}"})
			e.pollsEnd(project, "desktop_connections", "success", 1)
			open := func() float64 { return e.metrics().sum("workspace_server_open_connections") }
			assert.Equal(t, 1.0, open())
			w.PutDesktops(project, disconnected(long, 40*time.Minute))
			eventually(t, "the connection has ended", func() bool { return open() == 0 })
			m := e.metrics()
			assert.Equal(t, 2.0, m.sum("workspace_session_duration_seconds_count"))
			assert.Equal(t, 2.0, m.sum("workspace_login_attempts_total"))
		})
	}
}

// A reconnect goes on with the transaction of the connection that broke.
func TestAReconnectOfTheSameTransactionIsAnAttemptOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"export_v2", "query"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			at := time.Now().Add(-10 * time.Minute).Truncate(time.Second)
			w, _ := tapped(t, simulator.Options{File: simulator.FileFormat{}})
			first := disconnected(connected(1, at), time.Minute)
			again := connected(1, at.Add(2*time.Minute))
			again.IsReconnect = true
			w.PutDesktops(project, first)
			e := install(t, setup{URL: w.url, Sources: "{desktop_connections: {mode: " + mode + "}}"})
			code, _, stderr := command(t, e.dir, "--once")
			require.Equal(t, 0, code, stderr)
			w.PutDesktops(project, again)
			code, stdout, _ := command(t, e.dir, "--once")
			require.Equal(t, 0, code)
			m := parse(t, stdout)
			assert.Equal(t, 2.0, m.sum("workspace_login_attempts_total"))
			assert.Equal(t, 1.0, m.sum("workspace_login_duration_seconds_count"))
			assert.Equal(t, 1.0, m.sum("workspace_session_duration_seconds_count"))
		})
	}
}
