package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/internal/logging"
	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// SimulateOptions say what the simulator tells.
type SimulateOptions struct {
	ListenAddress  string
	Seed           uint64
	History        time.Duration
	Users, Servers int
	LoginsPerHour  float64
}

// Simulate serves the simulator, and nothing else, until it is told to end.
func Simulate(o SimulateOptions, logger *logging.Log) error {
	ctx, stop := untilSignal()
	defer stop()
	listener, err := net.Listen("tcp", o.ListenAddress)
	if err != nil {
		return fmt.Errorf("--listen-address: %w", err)
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: simulator.New(simulator.Options{
		Seed: o.Seed, History: o.History, Users: o.Users, Servers: o.Servers, LoginsPerHour: o.LoginsPerHour,
		RequestsPerSecond: 100,
	})}
	level.Info(logger).Log("msg", "simulating the Workspace API", "url", "http://"+listener.Addr().String(),
		"project_id", simulator.DefaultProjectID, "access_key", simulator.DefaultAccessKey, "secret_key", simulator.DefaultSecretKey)
	return serveUntil(ctx, server, listener)
}

func serveUntil(ctx context.Context, server *http.Server, listener net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}

// DemoOptions say what the demo shows.
type DemoOptions struct {
	Seed uint64
	// Cycle is how long the script of incidents takes until it begins again.
	Cycle time.Duration
}

// demoConfig is the demo's whole configuration. It polls often, since nobody wants
// to wait, and is otherwise what a user would write.
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
      user_connections:
        lookback: 2m
        pending_timeout: 10m
        reconcile_interval: 1m
      sessions: {poll_interval: 10s}
      access_statistics: {poll_interval: 10s, settle: 5s}
      desktop_connections: {lookback: 2m, pending_timeout: 10m}
metrics:
  new_series_hold: 5s
`

// Demo runs the exporter against a simulator in the same process. What it counts is
// thrown away at the end.
func Demo(o DemoOptions, w WebOptions, logger *logging.Log) (err error) {
	dir, err := os.MkdirTemp("", Name+"-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: simulator.New(simulator.Options{
		Seed: o.Seed, History: 2 * time.Hour, LoginsPerHour: 1200, AllDay: true, LateBy: time.Minute, Script: o.Cycle,
	})}
	ctx, stop := context.WithCancel(context.Background())
	simulated := make(chan error, 1)
	go func() { simulated <- serveUntil(ctx, server, listener) }()
	defer func() {
		stop()
		err = errors.Join(err, <-simulated)
	}()
	file := filepath.Join(dir, Name+".yml")
	text := fmt.Sprintf(demoConfig, simulator.DefaultProjectID, "http://"+listener.Addr().String(), simulator.DefaultAccessKey, simulator.DefaultSecretKey)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	level.Info(logger).Log("msg", "demo: the records are made up; incidents come and go", "cycle", o.Cycle)
	return serve(file, w, logger)
}
