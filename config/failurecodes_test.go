package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is allowed and probably not meant is said, with its line.
func TestFailureCodesThatAreNotShownAsTheyAre(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yml")
	long := strings.Repeat("长", 43)
	text := "projects: [{name: p, project_id: p, region: cn-north-4, credentials: {token: {token: x}}}]\n" +
		"failure_codes:\n" +
		"- {code: 1, class: x}\n" +
		"- {code: 2, class: x, text: " + long + "}\n" +
		"- {code: 3, class: x, url: https://wiki.example.com/" + long + "}\n" +
		"- {code: 1, class: y}\n"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	cfg, err := Load(file)
	require.NoError(t, err)
	require.Len(t, cfg.Warnings, 3)
	for i, want := range []string{"4: failure_codes[1].text: is shown as", "5: failure_codes[2].url: is left out of metrics", "6: failure_codes[3]: never used: failure_codes[0] has the same"} {
		assert.Contains(t, cfg.Warnings[i], fmt.Sprintf("%s:%s", file, want))
	}
	assert.Equal(t, "x", cfg.Explanations().Explain("1", "").Class)
	assert.Equal(t, long, cfg.Explanations().Explain("2", "").Text)
}

// A regular expression is bounded, and its length is all that is said of a long one.
func TestALongPatternIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yml")
	for length, allowed := range map[int]bool{longestPattern: true, longestPattern + 1: false} {
		text := "projects: [{name: p, project_id: p, region: cn-north-4, credentials: {token: {token: x}}}]\n" +
			"failure_codes: [{class: x, reason: " + strings.Repeat("a", length) + "}]\n"
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := Load(file)
		if allowed {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, file+":2: failure_codes[0].reason: must have at most 1000 bytes, not 1001")
	}
}

func TestTooManyPatternsAreRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yml")
	for n, allowed := range map[int]bool{100: true, 102: false} {
		text := "projects: [{name: p, project_id: p, region: cn-north-4, credentials: {token: {token: x}}}]\nfailure_codes:\n"
		for i := range n {
			text += fmt.Sprintf("- {class: x, code: c%d, reason: %s}\n", i, strings.Repeat("a", longestPattern))
		}
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := Load(file)
		if allowed {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, file+":103: failure_codes[100].reason: the regular expressions up to here must have at most 100000 bytes together, not 101000: each is tried on the reason of each code")
	}
}
