// Command source writes what in deploy/ follows from other files: the chart's copies of
// the dashboards and rules, since Helm reads no file outside a chart, and the plain
// manifests, which are the chart rendered. `make charts` runs it.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "charts:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: %s REPOSITORY", os.Args[0])
	}
	repository := os.Args[1]
	files, err := derive(repository)
	if err != nil {
		return err
	}
	there, err := derived(repository)
	if err != nil {
		return err
	}
	for _, name := range there {
		if err := os.Remove(filepath.Join(repository, name)); err != nil {
			return err
		}
	}
	for name, content := range files {
		path := filepath.Join(repository, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
