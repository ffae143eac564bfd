package service

import (
	"errors"
	"fmt"

	"github.com/go-kit/log"

	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/internal/store"
)

var errNoDatabase = errors.New("storage.postgres is missing in the configuration")

// OpenDatabase opens the store in the database of a configuration. It does not connect yet.
func OpenDatabase(cfg *config.Config, readOnly bool, logger log.Logger) (*store.Postgres, error) {
	if cfg.Storage.Postgres == nil {
		return nil, errNoDatabase
	}
	key, err := cfg.Storage.PseudonymKey.Read()
	if err != nil {
		return nil, fmt.Errorf("storage.pseudonym_key: %w", err)
	}
	o := store.PostgresOptions{DSN: cfg.Storage.Postgres.DSN.Read, Schema: cfg.Storage.Postgres.Schema, ReadOnly: readOnly, Logger: logger}
	if key != "" {
		o.Key = []byte(key)
	}
	return store.OpenPostgres(o)
}

// FolderOptions are what a store in a folder is opened with.
func FolderOptions(cfg *config.Config, logger log.Logger) ([]store.Option, error) {
	key, err := cfg.Storage.PseudonymKey.Read()
	if err != nil {
		return nil, fmt.Errorf("storage.pseudonym_key: %w", err)
	}
	return storeOptions(key, logger), nil
}
