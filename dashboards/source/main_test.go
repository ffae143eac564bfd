package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFilesAreGenerated compares the files beside the source with what it makes.
func TestFilesAreGenerated(t *testing.T) {
	files, err := generate()
	require.NoError(t, err)
	var there, want []string
	for _, language := range languages {
		found, err := filepath.Glob("../" + language + "/*")
		require.NoError(t, err)
		there = append(there, found...)
	}
	for name, content := range files {
		want = append(want, filepath.Join("..", name))
		committed, err := os.ReadFile(filepath.Join("..", name))
		require.NoError(t, err)
		assert.True(t, string(content) == string(committed), "%s differs from its source: make dashboards", name)
	}
	slices.Sort(want)
	assert.ElementsMatch(t, want, there, "files that no source makes")
}
