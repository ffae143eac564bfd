package command

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/workspace-exporter/workspace_exporter/config"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/shard"
	"github.com/workspace-exporter/workspace_exporter/internal/source"
)

// CheckConfig loads a configuration and reports what is wrong with it, or what it takes.
func CheckConfig(file ConfigFile, out io.Writer) error {
	cfg, err := load(file.Path)
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(out, "warning:", w)
	}
	fmt.Fprintf(out, "%s is valid: %d project(s)\n", file.Path, len(cfg.Projects))
	if file.Shard.Divides() {
		writeShards(out, cfg, file.Shard)
	}
	for _, p := range cfg.Projects {
		for _, s := range source.All {
			if block := s.Block(&p.Sources); block != nil {
				mode := block.Common().Mode
				permissions := s.Permissions(mode)
				if config.StagesOf(block) != nil {
					permissions = append(slices.Clone(permissions), s.Stages.Permission)
				}
				needs := strings.Join(permissions, ", ")
				if slices.Contains(permissions, workspace.PermissionListExportTasks) {
					needs += "; to delete its finished tasks, also " + workspace.PermissionDeleteExportTasks
				}
				fmt.Fprintf(out, "%s/%s, mode %s, needs the permissions %s\n", p.Name, s.Name, mode, needs)
			}
		}
	}
	return nil
}

// writeShards writes which projects belong to which shard.
func writeShards(out io.Writer, cfg *config.Config, this shard.Shard) {
	for number := range this.Total {
		s := shard.Shard{Number: number, Total: this.Total}
		var names []string
		for _, p := range cfg.Projects {
			if s.Has(p.Name) {
				names = append(names, p.Name)
			}
		}
		which := s.String()
		if s == this {
			which += ", this one"
		}
		fmt.Fprintf(out, "%s: %d project(s): %s\n", which, len(names), cmp.Or(strings.Join(names, ", "), "none"))
	}
}
