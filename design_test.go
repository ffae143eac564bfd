package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What docs/design.md names as package.Name, package.Type.Method or package.Type.Field is
// there; also methods of interfaces.
func TestDesignNamesWhatExists(t *testing.T) {
	text, err := os.ReadFile("docs/design.md")
	require.NoError(t, err)
	named := regexp.MustCompile("`([a-z]\\w*)\\.(\\w+(?:\\.\\w+)?)`").FindAllStringSubmatch(string(text), -1)
	require.Greater(t, len(named), 50)
	known := map[string]map[string]bool{}
	for _, name := range named {
		pkg := name[1]
		if known[pkg] == nil {
			known[pkg] = declaredIn(t, pkg)
		}
		assert.True(t, known[pkg][name[2]], "%s.%s", pkg, name[2])
	}
}

// declaredIn are the names that a package of ours declares, tests included.
func declaredIn(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, pattern := range []string{"*.go", "*/*.go"} {
		for _, root := range []string{".", "fetcher", "internal"} {
			files, err := filepath.Glob(filepath.Join(root, pattern))
			require.NoError(t, err)
			for _, file := range files {
				if filepath.Base(filepath.Dir(file)) == pkg {
					declare(t, file, names)
				}
			}
		}
	}
	require.NotEmpty(t, names, "there is no package %s", pkg)
	return names
}

func declare(t *testing.T, path string, names map[string]bool) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names[receiver(d)+d.Name.Name] = true
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					for _, id := range spec.Names {
						names[id.Name] = true
					}
				case *ast.TypeSpec:
					names[spec.Name.Name] = true
					for _, f := range members(spec.Type) {
						for _, id := range f.Names {
							names[spec.Name.Name+"."+id.Name] = true
						}
					}
				}
			}
		}
	}
}

// members are the fields of a struct or the methods of an interface.
func members(of ast.Expr) []*ast.Field {
	switch of := of.(type) {
	case *ast.StructType:
		return of.Fields.List
	case *ast.InterfaceType:
		return of.Methods.List
	}
	return nil
}

// receiver is the name of a method's type and a dot, or empty.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	switch generic := of.(type) {
	case *ast.IndexExpr:
		of = generic.X
	case *ast.IndexListExpr:
		of = generic.X
	}
	return of.(*ast.Ident).Name + "."
}
