package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

func TestTheReaderOfTheLogGoesAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 20, time.Now().Add(-5*time.Minute), time.Second)...)
	e := runExporter(t, setup{URL: w.url, More: "failed_logins_log: {path: '-'}"}, "--log.level=debug")
	e.shows(w)
	e.log.goAway()
	eventually(t, "lines are lost", func() bool {
		e.signal(syscall.SIGHUP) // each reload writes lines; the first may still go into the pipe
		return e.only("workspace_exporter_log_lines_lost_total").sum("workspace_exporter_log_lines_lost_total") >= 3
	})
	w.put(spread(100, 30, time.Now().Add(-5*time.Minute), time.Second)...)
	e.shows(w)
	assert.NotZero(t, e.metrics().sum("workspace_exporter_failed_logins_unlogged_total"))
	assert.Equal(t, 0, e.stop())
}

// A log on a full disk, and an output that nobody reads.
func TestWhatCannotBeWritten(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 20, time.Now().Add(-5*time.Minute), time.Second)...)
	e := install(t, setup{URL: w.url})
	run := func(stdout, stderr *os.File, args ...string) error {
		p := exec.Command(binary, args...)
		p.Dir, p.Stdout, p.Stderr = e.dir, stdout, stderr
		return p.Run()
	}
	out, err := os.Create(e.dir + "/out")
	require.NoError(t, err)
	defer out.Close()
	require.NoError(t, run(out, full, "--once"))
	text, err := os.ReadFile(out.Name())
	require.NoError(t, err)
	assert.Empty(t, parse(t, string(text)).records().diff(w.expect()))

	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	defer writer.Close()
	e.write("records.jsonl", strings.Repeat(`{"id":"1","start_time":"2026-01-01T00:00:00Z"}`+"\n", 1000))
	for _, args := range [][]string{{"--once"}, {"replay", "records.jsonl"}, {"check-config"}, {"doctor"}} {
		assert.Error(t, run(writer, nil, args...), args)
	}
	assert.Error(t, run(nil, writer, "replay", "records.jsonl"))
}

func TestEveryLineOfTheLogIsJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 20, time.Now().Add(-5*time.Minute), time.Second)...)
	e := install(t, setup{URL: w.url, More: "failed_logins_log: {path: '-'}"})
	e.certificate()
	e.write("web.yml", "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n")
	e.start("--log.format=json", "--log.level=debug", "--web.config.file="+e.dir+"/web.yml")
	_, err := http.Get("http://" + e.hostPort) // plain HTTP to a server with TLS
	require.NoError(t, err)
	e.dial("\x16\x03\x01garbage").Close()
	eventually(t, "the server has logged its errors", func() bool { return strings.Count(e.log.String(), "TLS handshake error") >= 2 })
	e.signal(syscall.SIGHUP)
	eventually(t, "the exporter has reloaded", func() bool { return strings.Contains(e.log.String(), "configuration reloaded") })
	assert.Equal(t, 0, e.stop())
	all := e.log.String()

	e.write("bad.yml", "projects: 1\nno_such_key: 1\n")
	e.write("records.jsonl", `{"id":"1","start_time":"2026-01-01T00:00:00Z"}`+"\n{")
	e.write("unusable.yml", setup{URL: w.url, Storage: "bad.yml"}.text())
	for code, runs := range map[int][][]string{
		0: {{"backfill", "--since=1h", "--until=30m", "--output=/dev/null"}},
		1: {{"replay", "records.jsonl"}, {"doctor", "--config.file=none.yml"}, {"check-config", "--config.file=bad.yml"},
			{"--config.file=unusable.yml"}, {"--web.listen-address=" + strings.TrimPrefix(w.url, "http://")}},
		2: {{"--no-such-flag"}, {"no-such-command"}, {"replay"}, {"--web.listen-address=x"}, {"--config.file=bad.yml"}, {"backfill", "--since=x"}},
	} {
		for _, args := range runs {
			for _, format := range [][]string{{"--log.format=json"}, {"--log.format", "json"}} {
				got, _, stderr := command(t, e.dir, append(format, args...)...)
				if args[0] != "doctor" {
					assert.Equal(t, code, got, "%v: %s", args, stderr)
				}
				assert.NotEmpty(t, stderr, args)
				all += stderr
			}
		}
	}
	for line := range strings.Lines(all) {
		assert.True(t, json.Valid([]byte(line)), line)
	}
}
