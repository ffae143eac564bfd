package command

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/internal/logging"
	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
	"github.com/workspace-exporter/workspace_exporter/internal/web"
)

// SimulateOptions say what to simulate, and where.
type SimulateOptions struct {
	ListenAddress string
	simulator.Options
}

// Simulate serves the simulator, and nothing else, until a signal ends it.
func Simulate(o SimulateOptions, logger *logging.Log) error {
	ctx, stop := untilSignal()
	defer stop()
	listener, err := net.Listen("tcp", o.ListenAddress)
	if err != nil {
		return web.ExplainListen("--listen-address", err)
	}
	o.RequestsPerSecond = 100
	level.Info(logger).Log("msg", "simulating the Workspace API", "url", "http://"+listener.Addr().String(),
		"project_id", simulator.DefaultProjectID, "access_key", simulator.DefaultAccessKey, "secret_key", simulator.DefaultSecretKey)
	return serveSimulator(ctx, listener, o.Options)
}

// serveSimulator serves a simulator until ctx ends.
func serveSimulator(ctx context.Context, listener net.Listener, o simulator.Options) error {
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: simulator.New(o)}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}
