package command

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/go-kit/log"
	"github.com/go-kit/log/level"
	"github.com/prometheus/common/version"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/internal/logging"
	"github.com/workspace-exporter/workspace_exporter/internal/service"
	"github.com/workspace-exporter/workspace_exporter/internal/web"
)

// shutdownTimeout is how long shutting down may take. What is not done by then is
// abandoned, as in a crash: what was not committed is counted after the next start.
const shutdownTimeout = 9 * time.Second

// Run fetches and serves until a signal ends it.
func Run(file ConfigFile, o *web.Options, logger *logging.Log) error {
	// Listen to signals first: one that comes while a large store is loaded must
	// not be lost.
	ctx, stop := untilSignal()
	defer stop()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	return abandon(ctx, logger, func() error { return serveUntilSignal(ctx, hangups, file, o, logger) })
}

// abandon calls f, and waits no longer than shutdownTimeout for it once ctx has ended.
func abandon(ctx context.Context, logger log.Logger, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(shutdownTimeout):
		level.Warn(logger).Log("msg", "shutdown takes too long, exiting; what is not committed is counted after the next start")
		return nil
	}
}

func serveUntilSignal(ctx context.Context, hangups <-chan os.Signal, file ConfigFile, o *web.Options, logger *logging.Log) error {
	level.Info(logger).Log("msg", "starting "+Name, "version", version.Version, "revision", version.GetRevision())
	cfg, err := file.loadAndWarn(logger)
	if err != nil {
		return err
	}
	s, err := service.New(cfg, logger)
	if err != nil {
		return err
	}
	s.Exposition().CreatedSamples = o.OpenMetricsCreatedSamples
	s.Start()
	e := &exporter{s, func() (*config.Config, error) { return file.loadAndWarn(logger) }}
	return errors.Join(e.serve(ctx, hangups, o, logger), s.Close())
}

// exporter is the service as the web sees it.
type exporter struct {
	*service.Service
	load func() (*config.Config, error)
}

// Answer implements web.Exporter.
func (e *exporter) Answer(ctx context.Context, s collector.Scrape) (*collector.Answer, error) {
	return e.Exposition().Answer(ctx, s)
}

// Sources implements web.Exporter.
func (e *exporter) Sources() []web.Source {
	var sources []web.Source
	for _, s := range e.Service.Sources() {
		sources = append(sources, web.Source{Status: s.Status(), Title: s.Title(), Day: s.Day(), Codes: s.Codes(), Now: s.Headlines()})
	}
	return sources
}

// Replica implements web.Exporter.
func (e *exporter) Replica() *web.Replica {
	own := e.Service.Replica()
	if own == nil {
		return nil
	}
	r := &web.Replica{Owner: own.Owner, Count: own.Alike + own.Unlike, Unlike: own.Unlike, Held: own.Held, Joined: own.Joined, Err: own.Err}
	byOwner := map[string][]string{}
	for project, owner := range own.Others {
		if owner == "" || owner == own.Owner {
			r.Free = append(r.Free, project)
		} else {
			byOwner[owner] = append(byOwner[owner], project)
		}
	}
	slices.Sort(r.Free)
	for _, owner := range slices.Sorted(maps.Keys(byOwner)) {
		slices.Sort(byOwner[owner])
		r.Others = append(r.Others, web.Others{Owner: owner, Projects: byOwner[owner]})
	}
	return r
}

// Refused implements web.Exporter.
func (e *exporter) Refused() (at time.Time, err error) {
	if refused := e.Service.Refused(); refused != nil {
		return refused.At, refused.Err
	}
	return time.Time{}, nil
}

// Reload implements web.Exporter.
func (e *exporter) Reload() error { return e.Service.Reload(e.load) }

// serve answers HTTP until ctx ends, and reloads on each hang-up.
func (e *exporter) serve(ctx context.Context, hangups <-chan os.Signal, o *web.Options, logger log.Logger) error {
	server := web.NewServer(e, o, logger)
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	go e.reloadOn(ctx, hangups)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		level.Info(logger).Log("msg", "shutting down: cancelling polls, committing what is counted")
		e.Stop()
		server.Shutdown()
		return nil
	}
}

// reloadOn reloads on each hang-up, until ctx ends.
func (e *exporter) reloadOn(ctx context.Context, hangups <-chan os.Signal) {
	for {
		select {
		case <-hangups:
			_ = e.Reload() // it logs and counts its own failure
		case <-ctx.Done():
			return
		}
	}
}
