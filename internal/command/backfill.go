package command

import (
	"github.com/workspace-exporter/workspace_exporter/internal/backfill"
	"github.com/workspace-exporter/workspace_exporter/internal/logging"
)

// Backfill writes the history of all sources of login records.
func Backfill(file ConfigFile, o backfill.Options, logger *logging.Log) error {
	ctx, stop := untilSignal()
	defer stop()
	cfg, err := file.loadAndWarn(logger)
	if err != nil {
		return err
	}
	return backfill.Run(ctx, cfg, o, logger)
}
