package config

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReferenceShowsTheExample lets docs/configuration.md show the file that TestLoadGood
// loads.
func TestReferenceShowsTheExample(t *testing.T) {
	reference, err := os.ReadFile("../docs/configuration.md")
	require.NoError(t, err)
	example, err := os.ReadFile("testdata/good/example.yml")
	require.NoError(t, err)
	assert.Contains(t, string(reference), "```yaml\n"+string(example)+"```\n")
}
