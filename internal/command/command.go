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
	"github.com/workspace-exporter/workspace_exporter/internal/shard"
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

// ConfigFile is a configuration file, and the shard whose projects are read.
type ConfigFile struct {
	Path  string
	Shard shard.Shard
}

// load loads the configuration, with the projects of the shard.
func (f ConfigFile) load() (*config.Config, error) {
	cfg, err := load(f.Path)
	if err == nil {
		cfg.Take(f.Shard)
	}
	return cfg, err
}

// loadAndWarn loads the configuration and logs its warnings.
func (f ConfigFile) loadAndWarn(logger log.Logger) (*config.Config, error) {
	cfg, err := f.load()
	if err != nil {
		return nil, err
	}
	for _, w := range cfg.Warnings {
		level.Warn(logger).Log("msg", "configuration: "+w)
	}
	switch {
	case !f.Shard.Divides():
	case len(cfg.Projects) == 0:
		level.Warn(logger).Log("msg", "no project belongs to this shard: there is nothing to read", "shard", f.Shard, "elsewhere", len(cfg.Elsewhere))
	default:
		level.Info(logger).Log("msg", "reading the projects of this shard", "shard", f.Shard, "projects", len(cfg.Projects), "elsewhere", len(cfg.Elsewhere))
	}
	return cfg, nil
}

// untilSignal returns a context that is done after SIGINT or SIGTERM. SIGPIPE is ignored: if
// the reader of the log or of the output goes away, only writing to it fails.
func untilSignal() (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE)
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
}
