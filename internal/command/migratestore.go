package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-kit/log"

	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/internal/service"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

// database stands for storage.postgres among folders.
const database = "postgres"

// MigrateStore copies a store from a folder to the database of the configuration, or back, and
// compares the two. What it is copied from stays.
func MigrateStore(configFile, from, to string, out io.Writer, logger log.Logger) error {
	if (from == database) == (to == database) {
		return fmt.Errorf("%w: one of --from and --to must be %s, which is storage.postgres of the configuration, and the other a folder", ErrConfig, database)
	}
	cfg, err := load(configFile)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	if cfg.Storage.Postgres == nil {
		return fmt.Errorf("%w: %s has no storage.postgres, which is what postgres stands for", ErrConfig, configFile)
	}
	db, err := service.OpenDatabase(cfg, from == database, logger)
	if err != nil {
		return err
	}
	moved, err := move(ctx, cfg, db, from, to, logger)
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	what := "moved"
	if moved.Already {
		what = "nothing to do: the database has all of it already:"
	}
	_, err = fmt.Fprintf(out, "%s %d source(s), %d rows; digest %016x in both stores\n", what, moved.Partitions, moved.Rows, moved.Digest)
	if err == nil && to == database {
		_, err = fmt.Fprintf(out, "%s is left as it is: start no exporter with it again\n", from)
	}
	return err
}

func move(ctx context.Context, cfg *config.Config, db *store.Postgres, from, to string, logger log.Logger) (store.Moved, error) {
	options, err := service.FolderOptions(cfg, logger)
	if err != nil {
		return store.Moved{}, err
	}
	if from == database {
		return store.MoveToFolder(ctx, db, to, options...)
	}
	folder, err := store.OpenExisting(from, options...)
	if err != nil {
		return store.Moved{}, err
	}
	moved, err := store.MoveToDatabase(ctx, folder, db)
	return moved, errors.Join(err, folder.Close())
}
