package command

import (
	"fmt"
	"io"
	"strings"

	"github.com/workspace-exporter/workspace_exporter/internal/source"
)

// CheckConfig loads a configuration and reports what is wrong with it, or what it takes.
func CheckConfig(configFile string, out io.Writer) error {
	cfg, err := load(configFile)
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(out, "warning:", w)
	}
	fmt.Fprintf(out, "%s is valid: %d project(s)\n", configFile, len(cfg.Projects))
	for _, p := range cfg.Projects {
		for _, s := range source.All {
			if block := s.Block(&p.Sources); block != nil {
				mode := block.Common().Mode
				fmt.Fprintf(out, "%s/%s, mode %s, needs the permissions %s\n", p.Name, s.Name, mode, strings.Join(s.Permissions(mode), ", "))
			}
		}
	}
	return nil
}
