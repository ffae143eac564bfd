package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/workspace-exporter/workspace_exporter/"

// mayImport says which packages of ours each package may import; "/..." stands for those
// below. Imports run one way: main, command, then service and web, then source, then
// fetcher and collector, which never meet, then what these share.
var mayImport = map[string][]string{
	".": {"internal/command", "internal/backfill", "internal/logging", "internal/shard", "internal/web"},
	"internal/command": {"internal/service", "internal/web", "internal/backfill", "internal/source", "internal/simulator", "config", "collector", "fetcher/...",
		"internal/cursor", "internal/failurecode", "internal/ledger", "internal/logging", "internal/loginlog", "internal/record", "internal/shard", "internal/store"},
	"internal/backfill": {"internal/service", "internal/source", "config", "collector", "internal/cursor", "internal/ledger", "internal/logging", "internal/record", "internal/store"},
	// The service and the web do not know each other: a command brings them together.
	"internal/service": {"internal/source", "config", "collector", "fetcher/...", "internal/lease", "internal/ledger", "internal/logging", "internal/loginlog", "internal/store", "internal/tasknotes"},
	"internal/web":     {"config", "collector", "fetcher", "fetcher/workspace", "internal/failurecode", "internal/shard", "internal/store"},
	"internal/source":  {"config", "collector", "fetcher/...", "internal/ledger", "internal/record"},

	// What is fetched and what is counted meet in the descriptor of a source.
	"collector": {"internal/cursor", "internal/failurecode", "internal/ledger", "internal/record", "internal/store", "internal/tasknotes"},
	"fetcher":   {"fetcher/...", "internal/cursor", "internal/record"},

	"fetcher/paging":     {"fetcher/workspace", "internal/cursor", "internal/record"},
	"fetcher/pagingtest": {"fetcher/workspace", "internal/record"}, // for tests
	"fetcher/export":     {"fetcher/workspace", "internal/record"},
	"fetcher/workspace":  {"internal/keytext", "internal/record"},
	"config":             {"internal/failurecode", "internal/keytext", "internal/record", "internal/shard"},

	"internal/ledger":    {"internal/cursor", "internal/record", "internal/store"},
	"internal/loginlog":  {"internal/failurecode", "internal/ledger", "internal/record"},
	"internal/store":     {"internal/lease"},
	"internal/tasknotes": {"internal/store"},

	// These import nothing of ours. The simulator, too: what it shared with the exporter, both
	// would have wrong in the same way.
	"internal/cursor":      {},
	"internal/failurecode": {},
	"internal/keytext":     {},
	"internal/logging":     {},
	"internal/record":      {},
	"internal/simulator":   {},
	"internal/shard":       {},
	"internal/lease":       {},

	// Tests, without code of the program.
	"internal/e2e":    {},
	"internal/pgtest": {},
	"internal/stack":  {},
}

func TestImportsRunOneWay(t *testing.T) {
	for _, f := range parseProgram(t) {
		allowed, known := mayImport[f.room]
		if !assert.True(t, known, "%s is in a package without a rule: say in imports_test.go what %s may import", f.path, f.room) {
			continue
		}
		for _, imported := range f.imports {
			if room, ours := strings.CutPrefix(imported, module); ours {
				assert.True(t, matches(allowed, room), "%s imports %s; %s may import only %s", f.path, room, f.room, strings.Join(allowed, ", "))
			}
		}
	}
}

// A rule that lets two packages import each other is no rule.
func TestImportRulesHaveNoCircle(t *testing.T) {
	var follow func(path []string)
	follow = func(path []string) {
		from := path[len(path)-1]
		for _, to := range slices.Sorted(maps.Keys(mayImport)) {
			if to == from || !matches(mayImport[from], to) {
				continue
			}
			if slices.Contains(path, to) {
				t.Fatalf("the rules allow a circle: %s -> %s", strings.Join(path, " -> "), to)
			}
			follow(append(slices.Clip(path), to))
		}
	}
	for room := range mayImport {
		follow([]string{room})
	}
}

func matches(patterns []string, room string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		above, below := strings.CutSuffix(p, "/...")
		return p == room || below && (above == room || strings.HasPrefix(room, above+"/"))
	})
}

// No code of ours can start another program or go around the type system.
func TestNoShell(t *testing.T) {
	for _, f := range parseProgram(t) {
		if f.room == "internal/pgtest" {
			continue // the program does not import it
		}
		for _, bad := range []string{"os/exec", "unsafe", "plugin", "C", "text/template", "net/http/cgi"} {
			assert.NotContains(t, f.imports, bad, f.path)
		}
	}
}

// source is one file of the program.
type source struct {
	path, room string
	imports    []string
}

// parseProgram reads all files of the program, without tests and modules of their own.
func parseProgram(t *testing.T) (files []source) {
	require.NoError(t, filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			if path != "." && (err == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		require.NoError(t, err)
		f := source{path: path, room: filepath.ToSlash(filepath.Dir(path))}
		for _, i := range parsed.Imports {
			f.imports = append(f.imports, strings.Trim(i.Path.Value, `"`))
		}
		files = append(files, f)
		return nil
	}))
	require.Greater(t, len(files), 50)
	return files
}
