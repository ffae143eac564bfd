// Command write writes what in deploy/ follows from other files: the chart's copies of the
// dashboards and rules, since Helm reads no file outside a chart, and the plain manifests,
// which are the chart rendered. `make charts` runs it.
package main

import (
	"fmt"
	"os"

	"github.com/workspace-exporter/workspace_exporter/tools/charts"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintf(os.Stderr, "usage: %s REPOSITORY\n", os.Args[0])
		os.Exit(2)
	}
	if err := charts.Write(os.Args[1], os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "charts:", err)
		os.Exit(1)
	}
}
