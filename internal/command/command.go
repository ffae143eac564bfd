// Package command is what each command of the program does.
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

// Name is the program's.
const Name = "workspace_exporter"

// ErrConfig wraps every refusal of a configuration.
var ErrConfig = errors.New("bad configuration")

func load(path string) (*config.Config, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, fmt.Errorf("%w\n%w", ErrConfig, err)
	}
	return cfg, nil
}

// loadAndWarn loads a configuration, and logs what is doubtful about it.
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

// untilSignal is a context that ends with the signal to end. A log, or an output, whose
// reader has gone away is an error of whoever writes to it, and ends nothing else.
func untilSignal() (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE)
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
}
