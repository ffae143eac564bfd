// Package command has a file for each command of the program: what it does, once its flags
// are parsed.
package command

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"

	"github.com/workspace-exporter/workspace_exporter/config"
)

// Name is the name of the program.
const Name = "workspace_exporter"

// ErrConfig is part of every error that refuses a configuration.
var ErrConfig = errors.New("bad configuration")

func load(path string) (*config.Config, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, fmt.Errorf("%w\n%w", ErrConfig, err)
	}
	return cfg, nil
}

// loadAndWarn loads a configuration and logs its warnings.
func loadAndWarn(path string, logger log.Logger) (*config.Config, error) {
	cfg, err := load(path)
	if err != nil {
		return nil, err
	}
	for _, w := range cfg.Warnings {
		level.Warn(logger).Log("msg", "configuration: "+w)
	}
	return cfg, nil
}

// untilSignal returns a context that is done after SIGINT or SIGTERM. SIGPIPE is ignored: if
// the reader of the log or of the output goes away, only writing to it fails.
func untilSignal() (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE)
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
}
