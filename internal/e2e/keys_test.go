package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// Keys as the editors and shells of the world save them.
func TestKeysInFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 20, time.Now().Add(-5*time.Minute), time.Second)...)
	e := install(t, setup{URL: w.url, Credentials: "aksk: {access_key_file: ak, secret_key_file: sk}"})
	e.write("sk", "\ufeff"+secretKey+"\r\n")
	utf16 := "\xff\xfe"
	for _, c := range accessKey + "\r\n" {
		utf16 += string(c) + "\x00"
	}
	for _, content := range []string{"\ufeff" + accessKey + "\r\n", " \u00a0" + accessKey + " \n\n", utf16} {
		e.write("ak", content)
		code, stdout, _ := command(t, e.dir, "check-config")
		assert.Zero(t, code, stdout)
		code, stdout, stderr := command(t, e.dir, "--once")
		require.Zero(t, code, stderr)
		assert.Empty(t, parse(t, stdout).records().diff(w.expect()))
	}
	for _, content := range []string{accessKey + "\u200b", `"` + accessKey + `"`, "\u2060" + accessKey, accessKey + "\n" + accessKey, "“" + accessKey + "”"} {
		e.write("ak", content)
		for want, args := range map[int][]string{1: {"check-config"}, 2: {"run", "--web.listen-address=127.0.0.1:0"}} {
			code, stdout, stderr := command(t, e.dir, args...)
			assert.Equal(t, want, code)
			assert.Contains(t, stdout+stderr, "secret file ak: has ")
			assert.NotContains(t, stdout+stderr, accessKey)
		}
	}
	e.write("ak", accessKey)
	e.start()
	e.polls(project, 1)
	e.write("ak", accessKey+"\u200b")
	e.pollsEnd(project, "user_connections", "error", 1)
	assert.Contains(t, e.get("/").body, "invisible character")
	assert.NotContains(t, e.logs.String(), accessKey)
}
