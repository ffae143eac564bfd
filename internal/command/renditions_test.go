package command

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// replayed is what is counted of a file: the metrics that come from records.
func replayed(t testing.TB, file string) (metrics, summary string, err error) {
	var out, why strings.Builder
	err = Replay(t.Context(), file, ReplayOptions{Project: "p", Quiet: true}, &out, &why)
	var lines []string
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "workspace_exporter_") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, ""), why.String(), err
}

// TestRenditions writes the same logins in every way that is known, and in many mixtures of
// these: each counts as the plain one does. The environment variable RENDITIONS names a
// folder in which to leave the files.
func TestRenditions(t *testing.T) {
	if testing.Short() {
		t.Skip("too long for make quick")
	}
	folder := os.Getenv("RENDITIONS")
	if folder == "" {
		folder = t.TempDir()
	}
	number := 0
	check := func(want string, container deviation, others ...deviation) string {
		name, ext, file := render(t, container, others...)
		number++
		path := filepath.Join(folder, fmt.Sprintf("%04d%s", number, ext))
		require.NoError(t, os.WriteFile(path, file, 0o600))
		got, summary, err := replayed(t, path)
		if assert.NoError(t, err, "%d: %s", number, name) && want != "" {
			assert.Empty(t, difference(want, got), "%d: %s\n%s", number, name, summary)
		}
		return got
	}
	plain := check("", containers[0])
	require.Contains(t, plain, `workspace_login_attempts_total{desktop_group="财务部",product="app_streaming",project="p"} 3`)
	require.Contains(t, plain, `workspace_login_failures_total{desktop_group="财务部",failed_code="0045",product="app_streaming",project="p"} 1`)
	all := deviations()
	for _, c := range containers[1:] {
		check(plain, c)
	}
	for _, d := range all {
		for _, c := range containers {
			// Each by itself in a text, a workbook and JSON, if it can be had there.
			if d.suits(c) && (c.isPlain() || c.name == "xlsx, inline" || c.name == "jsonl") {
				check(plain, c, d)
			}
		}
	}
	random := rand.New(rand.NewPCG(7, 11))
	for range 150 {
		container, others := mixture(random, all)
		check(plain, container, others...)
	}
	t.Logf("%d renditions", number)
}

// difference lists the lines that only one of two has.
func difference(want, got string) string {
	var out strings.Builder
	for _, side := range []struct{ sign, lines, other string }{{"-", want, got}, {"+", got, want}} {
		for line := range strings.Lines(side.lines) {
			if !strings.Contains(side.other, line) && out.Len() < 2000 {
				out.WriteString(side.sign + line)
			}
		}
	}
	return out.String()
}
