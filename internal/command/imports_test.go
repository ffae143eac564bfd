package command

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// No code of ours can start another program, go around the type system or, but for
// what the store must know of a failing disk, talk to the system by itself.
func TestNoShell(t *testing.T) {
	allowed := map[string]string{"syscall": "signals, and the errors of the store"}
	files := 0
	require.NoError(t, filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "dashboards" || d.Name() == "deploy" || d.Name() == "tools" || d.Name() == "oracle" || strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2):
			return fs.SkipDir // modules of their own, which are not in the program
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files++
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, i := range file.Imports {
			name := strings.Trim(i.Path.Value, `"`)
			for _, bad := range []string{"os/exec", "unsafe", "plugin", "C", "syscall", "text/template", "net/http/cgi"} {
				require.False(t, name == bad && allowed[name] == "", "%s imports %s", path, name)
			}
		}
		return nil
	}))
	require.Greater(t, files, 50)
}
