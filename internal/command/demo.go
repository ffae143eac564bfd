package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/internal/logging"
	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
	"github.com/workspace-exporter/workspace_exporter/internal/source"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
	"github.com/workspace-exporter/workspace_exporter/internal/web"
)

// DemoOptions say what the demo shows.
type DemoOptions struct {
	Seed uint64
	// Cycle is the time after which the script of incidents repeats.
	Cycle time.Duration
}

// demoFolder is how the names of the demo's folders begin.
const demoFolder = Name + "-demo-"

// demoConfig is the demo's whole configuration. It polls more often than a user's would.
const demoConfig = `
global:
  poll_interval: 2s
storage:
  path: data
projects:
  - name: demo
    project_id: %s
    endpoints:
      appstream: %s
      workspace: %[2]s
      iam: %[2]s
    credentials:
      aksk: {access_key: %s, secret_key: %s}
    rate_limit: {requests_per_second: 100, burst: 100}
    sources:
%[5]smetrics:
  new_series_hold: 5s
failure_codes: # by the reason, since connections to desktops have no codes
- {reason: '(?i)username or password is incorrect', class: credentials, text: Wrong user name or password, text_zh: 用户名或密码错误, action: "One user: a saved password. Many: a password spray",
  action_zh: 单个用户：检查保存的旧密码；多个用户：可能是密码喷洒}
- {reason: '(?i)account .*is locked', class: account, text: The account is locked, text_zh: 帐户已锁定, action: Find out what tried wrong passwords before you unlock it,
  action_zh: 先查明错误密码的来源，再解锁帐户}
- {reason: '(?i)server .*is unreachable', class: server, text: A server has lost its connection, text_zh: 服务器失去连接, action: Put the server into maintenance and restart its agent,
  action_zh: 将该服务器设为维护状态，并重启其 Agent}
- {reason: '(?i)agent .*could not start', class: agent, text: The agent cannot start sessions, text_zh: Agent 无法启动会话, action: Roll the agent back to the version before,
  action_zh: 将 Agent 回退到上一版本}
- {reason: '(?i)\bsessions?\b.* limit', class: capacity, text: The server is full, text_zh: 服务器会话数已满, action: Add servers or end idle sessions,
  action_zh: 增加服务器，或结束空闲会话}
`

// demoSources are the sources of the demo's configuration: all.
func demoSources() string {
	var sources strings.Builder
	for _, s := range source.All {
		fmt.Fprintf(&sources, "      %s: %s\n", s.Name, s.Demo)
	}
	return sources.String()
}

// Demo runs the exporter against a simulator in the same process. Its store is removed at
// the end.
func Demo(o DemoOptions, w *web.Options, logger *logging.Log) (err error) {
	go removeStale()
	dir, err := os.MkdirTemp("", demoFolder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	simulated := simulator.Options{Seed: o.Seed, History: 25 * time.Hour, PastLoginsPerHour: 100, LoginsPerHour: 1200, AllDay: true,
		ConnectedFor: 15 * time.Minute, LateBy: time.Minute, Script: o.Cycle}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serveSimulator(ctx, listener, simulated) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	file := filepath.Join(dir, Name+".yml")
	text := fmt.Sprintf(demoConfig, simulator.DefaultProjectID, "http://"+listener.Addr().String(), simulator.DefaultAccessKey, simulator.DefaultSecretKey, demoSources())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	level.Info(logger).Log("msg", "demo: all records are simulated; incidents follow a script", "cycle", o.Cycle)
	w.Demo = true
	w.Listening = func(url string) { level.Info(logger).Log("msg", "demo: open this address in a browser", "url", url) }
	return runDemo(file, w, logger)
}

// runDemo is Run, and ends when its terminal is closed, too: nobody reloads a demo.
func runDemo(file string, w *web.Options, logger *logging.Log) error {
	ctx, stop := untilSignal()
	defer stop()
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
		defer stop()
	}
	return abandon(ctx, logger, func() error { return serveUntilSignal(ctx, nil, ConfigFile{Path: file}, w, logger) })
}

// staleAfter is when a folder of a demo that does not run is left over.
const staleAfter = time.Minute

// removeStale removes the folders of demos that were killed. The store of one that runs
// cannot be opened.
func removeStale() {
	stale, _ := filepath.Glob(filepath.Join(os.TempDir(), demoFolder+"*")) // fails for no such pattern
	for _, dir := range stale {
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < staleAfter {
			continue
		}
		st, err := store.Open(filepath.Join(dir, "data"))
		if err != nil {
			continue
		}
		_ = st.Close()
		_ = os.RemoveAll(dir) // the system removes it some day, too
	}
}
