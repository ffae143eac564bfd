package command

import (
	"fmt"
	"io"
)

// CheckConfig loads a configuration and reports what is wrong with it.
func CheckConfig(configFile string, out io.Writer) error {
	cfg, err := load(configFile)
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(out, "warning:", w)
	}
	fmt.Fprintf(out, "%s is valid: %d project(s)\n", configFile, len(cfg.Projects))
	return nil
}
