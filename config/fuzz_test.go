package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever the file, it is read or refused in sentences; what is read can be
// printed and read again.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.yml")
	require.NoError(f, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(content)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		c, err := parse(filepath.Join(dir, "c.yml"), content)
		if err != nil {
			problems, ok := err.(Problems)
			require.True(t, ok)
			require.NotEmpty(t, problems)
			for _, p := range problems {
				require.NotEmpty(t, p.Message)
				require.NotContains(t, p.Message, "reflect")
				require.NotContains(t, p.Message, "config.")
			}
			return
		}
		masked, err := c.MaskedYAML()
		require.NoError(t, err)
		if strings.Contains(string(masked), "key: "+mask) {
			return // a masked TLS key is no key
		}
		_, err = parse(filepath.Join(dir, "c.yml"), masked)
		require.NoError(t, err, "%s", masked)
	})
}

// Whatever stands below credentials, no message quotes it.
func FuzzSecretsStaySecret(f *testing.F) {
	for _, seed := range []string{
		"token: {token: hunter2}", "token: hunter2", "token: *hunter2", "token: &hunter2", "token: !hunter2 x",
		"token: \"hunter2", "hunter2", "hunter2: {}", "aksk: {access_key: [hunter2], secret_key:hunter2}",
		"aksk: {access_key: hunter2, access_key_file: x}", "? [hunter2]\n: x", "<<: hunter2", "- hunter2", "token: |\n hunter2\n hunter2",
		"aksk: {hunter2: x, hunter2: y}", "token: {token: hunter2, token: hunter2}", "default_chain: {hunter2: }",
		"token: \"hunter2\\xzz\"", "token: 'hunter2' hunter2", "token: @hunter2", "token: %hunter2", "token: `hunter2",
		"password: {domain: [hunter2], user: {hunter2: x}, password: !!binary hunter2}",
	} {
		f.Add(seed)
	}
	lineBreaks := strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, below string) {
		if strings.Contains(below, "_file") {
			return // a file's name is no secret, and is shown
		}
		indented := strings.ReplaceAll(lineBreaks.Replace(below), "\n", "\n      ")
		_, err := parse(filepath.Join(dir, "c.yml"), []byte(
			"projects:\n  - name: a\n    project_id: p\n    region: r\n    credentials:\n      "+indented+"\n    concurrency: 0\n"))
		require.Error(t, err)
		require.NotContains(t, err.Error(), planted)
	})
}
