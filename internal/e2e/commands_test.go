package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

func TestABadConfigurationIsRefusedWithFileLineAndKey(t *testing.T) {
	t.Parallel()
	good := setup{URL: "http://127.0.0.1:1"}.text()
	for name, c := range map[string]struct {
		from, to string // what is replaced in a good configuration
		want     []string
	}{
		"unknown key":            {"lookback: 15m", "lookbak: 15m", []string{"lookbak"}},
		"not a duration":         {"poll_interval: 300ms", "poll_interval: often", []string{"poll_interval", "often"}},
		"too short an interval":  {"poll_interval: 300ms", "poll_interval: 1ms", []string{"poll_interval", "1ms", "100ms"}},
		"no project id":          {"project_id: p", `project_id: ""`, []string{"project_id"}},
		"a secret that is a map": {"secret_key: " + secretKey, "secret_key: {x: hunter2}", []string{"secret_key"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := install(t, setup{})
			text := strings.Replace(good, c.from, c.to, 1)
			require.NotEqual(t, good, text)
			e.write("workspace_exporter.yml", text)
			line := 1 + strings.Count(good[:strings.Index(good, c.from)], "\n")
			for args, want := range map[string]int{"run": 2, "check-config": 1, "doctor": 2, "": 2} {
				code, _, stderr := command(t, e.dir, strings.Fields(args)...)
				assert.Equal(t, want, code, args)
				assert.True(t, containsAll(stderr, append(c.want, fmt.Sprintf("workspace_exporter.yml:%d:", line))...), stderr)
				assert.NotContains(t, stderr, "hunter2")
				assert.NotContains(t, stderr, secretKey)
			}
			assert.NoDirExists(t, filepath.Join(e.dir, "data"), "a refused configuration has no effect")
		})
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	e := install(t, setup{URL: "http://127.0.0.1:1"})
	for args, want := range map[string]int{
		"--version": 0, "--help": 0, "run --help": 0, "check-config": 0,
		"--no-such-flag":                          2,
		"no-such-command":                         2,
		"--log.level=loud":                        2,
		"--web.telemetry-path=metrics":            2,
		"--config.file=missing.yml":               2,
		"check-config --config.file=missing.yml":  1,
		"replay missing.jsonl":                    1,
		"--web.listen-address=127.0.0.1:99999999": 1,
		"doctor": 1,
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := command(t, e.dir, strings.Fields(args)...)
			assert.Equal(t, want, code, "%s%s", stdout, stderr)
			if want == 0 {
				assert.NotEmpty(t, stdout)
				assert.Empty(t, stderr)
			} else {
				assert.NotEmpty(t, stderr)
				assert.NotContains(t, stderr, "goroutine")
			}
		})
	}
}

func TestOncePrintsTheMetricsAndSaysWhetherItWorked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(spread(0, 150, time.Now().Add(-10*time.Minute), time.Second)...)
	e := install(t, setup{URL: w.url, Hold: "1h", RequestTimeout: "1s"})

	code, stdout, stderr := command(t, e.dir, "--once")
	require.Equal(t, 0, code, stderr)
	assert.Empty(t, parse(t, stdout).records().diff(w.expect()))

	// What was counted stays; new series are not held back, since nobody sees them later.
	w.put(failed(attempt(500, time.Now().Add(-time.Minute)), "2001", time.Now()))
	code, stdout, _ = command(t, e.dir, "--once")
	require.Equal(t, 0, code)
	assert.Empty(t, parse(t, stdout).records().diff(w.expect()))

	w.AddFault(simulator.Fault{Kind: simulator.FaultError, Status: 403})
	code, stdout, stderr = command(t, e.dir, "--once")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "403")
	assert.Empty(t, parse(t, stdout).records().diff(w.expect()), "the metrics are printed all the same")
}

func TestDoctorSaysWhatWorksAndWhatDoesNot(t *testing.T) {
	t.Parallel()
	const permission = "workspace:session:listUserConnection"
	fast := func() time.Time { return time.Now().Add(5*time.Minute + 30*time.Second) }
	for name, c := range map[string]struct {
		options simulator.Options
		code    int
		says    []string
	}{
		"all is well":          {simulator.Options{}, 0, []string{"ok", permission, "3"}},
		"permission missing":   {simulator.Options{Denied: []string{permission}}, 1, []string{"WRONG", permission, "403"}},
		"the clock is skewed":  {simulator.Options{Now: fast}, 0, []string{"ok", "clock", "5m"}},
		"another project's id": {simulator.Options{ProjectIDs: []string{"other"}}, 1, []string{"WRONG", "404", "project"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.options, nil)
			w.put(spread(0, 3, time.Now().Add(-10*time.Minute), time.Second)...)
			e := install(t, setup{URL: w.url})
			code, stdout, stderr := command(t, e.dir, "doctor")
			assert.Equal(t, c.code, code, stderr)
			assert.True(t, containsAll(stdout, c.says...), stdout)
			assert.NotContains(t, stdout+stderr, secretKey)
			assert.NoDirExists(t, filepath.Join(e.dir, "data"), "it changes nothing")
		})
	}
}

const vendorExample = "../simulator/testdata/vendor_example.json"

// The golden file is what replay printed, read through against the vendor's example by
// hand: two successes on two servers, of which one began 3 h 3 min 4 s after it was
// asked for and is open, and the other began after 1 s and lasted 6 min 11 s.
func TestReplayOfTheVendorsExample(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, "", "replay", vendorExample, "--project", project)
	require.Equal(t, 0, code, stderr)
	golden, err := os.ReadFile("testdata/replay_vendor_example.prom")
	require.NoError(t, err)
	assert.Equal(t, string(golden), stdout)
	assert.Equal(t, 2, strings.Count(stderr, "counted:"), stderr)
	assert.Contains(t, stderr, "Not understood: nothing; ignored columns: connect_flag\n")
	for _, name := range []string{"user001", "nas01", "Y002516E2p1", "kdjhfkjhdghschd"} {
		assert.NotContains(t, stdout+stderr, name)
	}
}

// The vendor's example is years old: its records are moved to the present.
func TestReplayAndRunCountAlike(t *testing.T) {
	t.Parallel()
	f, err := os.Open(vendorExample)
	require.NoError(t, err)
	defer f.Close()
	records, err := simulator.ReadPage(f)
	require.NoError(t, err)
	shift := time.Since(moment("2023-06-05T06:37:47Z")).Truncate(time.Second) - 5*time.Second
	var lines []byte
	for i := range records {
		r := &records[i]
		for _, at := range []*string{&r.PreConnTime, &r.StartTime, &r.EndTime, &r.UpdateTime} {
			if *at != "" {
				*at = format(moment(*at).Add(shift))
			}
		}
		line, err := json.Marshal(r)
		require.NoError(t, err)
		lines = append(append(lines, line...), '\n')
	}
	w := newWorld(t, simulator.Options{}, nil)
	w.put(records...)
	e := install(t, setup{URL: w.url, InitialLookback: "20d"})
	e.write("records.jsonl", string(lines))

	code, fetched, stderr := command(t, e.dir, "--once")
	require.Equal(t, 0, code, stderr)
	code, replayed, stderr := command(t, e.dir, "replay", "records.jsonl", "--project", project)
	require.Equal(t, 0, code, stderr)
	assert.NotEmpty(t, parse(t, fetched).records())
	assert.Empty(t, parse(t, fetched).records().diff(parse(t, replayed).records()))
	assert.Empty(t, parse(t, fetched).records().diff(w.expect()))
}
