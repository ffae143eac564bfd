package e2e

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// measured is a line of OpenMetrics.
type measured struct {
	value float64
	at    int64
}

var sampleLine = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? (\S+) (\d+)$`)

// readOpenMetrics reads what backfill wrote, and makes sure that it is grouped by family,
// that each series stands together, and that its samples are in order.
func readOpenMetrics(t *testing.T, text string) map[string][]measured {
	t.Helper()
	require.True(t, strings.HasSuffix(text, "\n# EOF\n"), "it ends in # EOF")
	all, families := map[string][]measured{}, map[string]bool{}
	var family, before string
	lines := bufio.NewScanner(strings.NewReader(strings.TrimSuffix(text, "# EOF\n")))
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "# HELP "); ok {
			family, _, _ = strings.Cut(name, " ")
			require.False(t, families[family], "%s comes twice", family)
			require.NotRegexp(t, "_total$", family)
			families[family] = true
			continue
		}
		if strings.HasPrefix(lines.Text(), "# TYPE "+family+" ") {
			continue
		}
		m := sampleLine.FindStringSubmatch(lines.Text())
		require.NotNil(t, m, "not a sample: %s", lines.Text())
		require.Regexp(t, "^"+family+"_(total|bucket|count|sum)$", m[1])
		labels := strings.Split(m[2], ",")
		slices.Sort(labels)
		name := m[1] + "{" + strings.Join(labels, ",") + "}"
		value, err := strconv.ParseFloat(m[3], 64)
		require.NoError(t, err)
		at, err := strconv.ParseInt(m[4], 10, 64)
		require.NoError(t, err)
		if samples := all[name]; len(samples) > 0 {
			require.Equal(t, before, name, "a series stands together")
			require.Greater(t, at, samples[len(samples)-1].at, name)
		}
		before = name
		all[name] = append(all[name], measured{value, at})
	}
	require.NoError(t, lines.Err())
	return all
}

// within are the records of which a time lies in a stretch of time.
func within(records []simulator.Record, of func(simulator.Record) string, from, to time.Time) []simulator.Record {
	return slices.DeleteFunc(slices.Clone(records), func(r simulator.Record) bool {
		at := of(r)
		return at == "" || moment(at).Before(from) || !moment(at).Before(to)
	})
}

func ownTime(r simulator.Record) string { return cmp.Or(r.StartTime, r.PreConnTime, r.UpdateTime) }
func endTime(r simulator.Record) string { return r.EndTime }

// grown is by how much the counters must grow from one time to another: sessions
// count when they end, all else at the record's own time.
func grown(records []simulator.Record, from, to time.Time) series {
	out := series{}
	for name, of := range map[string]func(simulator.Record) string{"workspace_session_duration_seconds": endTime, "": ownTime} {
		o := newOracle(project, to, true)
		for _, r := range within(records, of, from, to) {
			o.count(history{r})
		}
		for key, value := range o.series.records() {
			isSession := strings.HasPrefix(key, "workspace_session_duration_seconds")
			if isSession == (name != "") && historic(key) {
				out[withoutEmpty(key)] = value
			}
		}
	}
	return out
}

// withoutEmpty leaves out labels without a value, as Prometheus does.
func withoutEmpty(key string) string {
	return strings.Replace(regexp.MustCompile(`(,?)[a-z_]+=""`).ReplaceAllString(key, ""), "{,", "{", 1)
}

// historic reports whether a series has a history.
func historic(key string) bool {
	return !strings.HasPrefix(key, "workspace_exporter_") && regexp.MustCompile(`_(total|count|sum)$`).MatchString(nameOf(key))
}

// The history ends where the counters of a store begin, and no record is in both or in
// neither, whatever time of a record the API's windows are about.
func TestBackfillAndTheStoreHaveEachRecordOnce(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]simulator.Options{
		"by start or pre-connect": {},
		"by pre-connect":          {FilterOn: simulator.ByPreConnect, Order: simulator.Descending},
		"by start, exclusive":     {FilterOn: simulator.ByStart, EndExcluded: true},
		"by update":               {FilterOn: simulator.ByUpdate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, o, nil)
			now := time.Now().Truncate(time.Second)
			for n := range 1500 { // each second has one
				r := started(n, now.Add(time.Duration(n-1800)*time.Second))
				if n%3 == 0 {
					r = end(r, 25*time.Second)
				}
				if n%7 == 0 {
					r.FailedCode, r.FailedReason = "1001", reasons["1001"]
				}
				w.put(r)
			}
			e := install(t, setup{URL: w.url, InitialLookback: "15m"})
			code, stdout, stderr := command(t, e.dir, "--once")
			require.Equal(t, 0, code, stderr)
			live := parse(t, stdout).records()
			before := stored(t, filepath.Join(e.dir, "data"))

			code, stdout, stderr = command(t, e.dir, "backfill", "--since=2h")
			require.Equal(t, 0, code, stderr)
			assert.Equal(t, before, stored(t, filepath.Join(e.dir, "data")), "the store is not changed")
			total, begin := series{}, int64(0)
			for name, samples := range readOpenMetrics(t, stdout) {
				require.Zero(t, samples[0].value, name)
				last := samples[len(samples)-1]
				require.Zero(t, last.value, name)
				begin = last.at - 1
				require.Equal(t, begin, samples[len(samples)-2].at, name)
				if value := samples[len(samples)-2].value; historic(name) && value != 0 {
					total[name] = value
				}
			}
			assert.InDelta(t, now.Add(-15*time.Minute).Unix(), begin, 30)
			require.NotEmpty(t, total)
			for key, value := range live {
				if historic(key) {
					require.NotZero(t, value)
					total[withoutEmpty(key)] += value
				}
			}
			want := grown(w.newest(), now.Add(-2*time.Hour), now)
			for _, all := range []series{total, want} { // that of a session which begins before and ends after is nobody's
				for key := range all {
					if strings.HasPrefix(key, "workspace_session_") {
						delete(all, key)
					}
				}
			}
			assert.Empty(t, total.diff(want))
			assert.Equal(t, 1500.0, total.sum("workspace_login_attempts_total"))
		})
	}
}

func TestBackfillRefusesAndFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	w.put(mixed(1, time.Now().Add(-3*time.Hour)))
	e := install(t, setup{URL: w.url, RequestTimeout: "1s"})
	for args, message := range map[string]string{
		"--since=yesterday":            `--since "yesterday": must be a time like`,
		"--since=2999-01-01T00:00:00Z": "--since 2999-01-01T00:00:00Z: is in the future",
		"--since=1d --until=2d":        "--since 1d: must be before --until 2d",
		"--step=100ms":                 `--step "100ms": must be`,
		"--metric=workspace_users":     "workspace_users",
		"--label=failed_code=1":        "--label failed_code: must be",
		"--config.file=absent.yml":     "absent.yml",
	} {
		code, stdout, stderr := command(t, e.dir, append([]string{"backfill"}, strings.Fields(args)...)...)
		assert.Equal(t, 2, code, args)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, message)
	}
	// Neither half a file nor, without a store, a new one.
	w.AddFault(simulator.Fault{Kind: simulator.FaultError, Status: 403})
	code, _, stderr := command(t, e.dir, "backfill", "--since=1d", "--output=history.om")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "403")
	// An output that cannot be made is refused before anything is read.
	for _, output := range []string{"absent/history.om", "."} {
		code, _, stderr = command(t, e.dir, "backfill", "--since=1d", "--output="+output)
		assert.Equal(t, 1, code)
		assert.Contains(t, stderr, "--output: ")
		assert.NotContains(t, stderr, "403")
	}
	left, err := filepath.Glob(filepath.Join(e.dir, "*"))
	require.NoError(t, err)
	assert.Equal(t, []string{e.configFile()}, left)
}

func TestBackfillOfChosenMetricsSparseAndLabelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	since := time.Now().Add(-26 * time.Hour).Truncate(time.Hour).UTC()
	w.put(failed(attempt(1, since.Add(90*time.Second)), "1001", since.Add(90*time.Second)))
	e := install(t, setup{URL: w.url})
	args := []string{"backfill", "--since=" + since.Format(time.RFC3339), "--until=" + since.Add(4*time.Hour).Format(time.RFC3339), "--step=2m",
		"--metric=workspace_login_attempts_total", "--label=job=workspace", "--label=instance=here:9914"}
	name := key("workspace_login_attempts_total", "desktop_group", "group-1", "instance", "here:9914", "job", "workspace", "project", project, "product", "app_streaming")
	code, stdout, stderr := command(t, e.dir, append(args, "--no-sparse")...)
	require.Equal(t, 0, code, stderr)
	samples := readOpenMetrics(t, stdout)
	require.Len(t, samples, 1)
	require.Len(t, samples[name], 122)
	for i, s := range samples[name][:121] {
		require.Equal(t, measured{float64(min(i, 1)), since.Unix() + int64(i)*120}, s)
	}
	assert.Equal(t, measured{0, since.Add(4*time.Hour).Unix() + 1}, samples[name][121])

	// By default, where nothing happens, a sample an hour (30 steps) will do.
	code, stdout, stderr = command(t, e.dir, args...)
	require.Equal(t, 0, code, stderr)
	assert.Contains(t, stderr, fmt.Sprintf(`msg=writing output=- size="%.1f MB"`, float64(len(stdout))/1e6), "its size is known before")
	assert.Contains(t, stderr, "promtool tsdb create-blocks-from")
	assert.NotContains(t, stderr, "does not join")
	var at []int64
	for _, s := range readOpenMetrics(t, stdout)[name] {
		at = append(at, s.at-since.Unix())
	}
	assert.Equal(t, []int64{31 * 120, 2 * 3600, 3 * 3600, 4 * 3600, 4*3600 + 1}, at[len(at)-5:])
	assert.Len(t, at, 36)
}

// tool is the path of a program of Prometheus.
func tool(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("../../scripts/tool", name).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// prometheus is a server over a folder of blocks, which scrapes one target.
type prometheus struct {
	t   *testing.T
	url string
}

func runPrometheus(t *testing.T, data, target string) *prometheus {
	t.Helper()
	file := filepath.Join(t.TempDir(), "prometheus.yml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `
scrape_configs:
  - job_name: workspace
    scrape_interval: 1s
    static_configs: [{targets: [%q]}]
`, target), 0o600))
	log := &buffer{}
	process := exec.Command(tool(t, "prometheus"), "--config.file="+file, "--storage.tsdb.path="+data, "--web.listen-address=127.0.0.1:0")
	process.Stdout, process.Stderr = log, log
	require.NoError(t, process.Start())
	t.Cleanup(func() {
		_ = process.Process.Kill() // it has nothing to keep
		_ = process.Wait()
	})
	p := &prometheus{t: t}
	eventually(t, "Prometheus is ready", func() bool {
		address := regexp.MustCompile(`msg="Listening on" .*address=(\S+)`).FindStringSubmatch(log.String())
		if address == nil {
			return false
		}
		p.url = "http://" + address[1]
		resp, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// query asks for an instant vector. The keys of what it returns are those of a name.
func (p *prometheus) query(name, expr string, at time.Time) series {
	p.t.Helper()
	resp, err := http.Get(p.url + "/api/v1/query?" + url.Values{"query": {expr}, "time": {fmt.Sprint(at.Unix())}}.Encode())
	require.NoError(p.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	var answer struct {
		Status string
		Data   struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	require.NoError(p.t, json.Unmarshal(body, &answer))
	require.Equal(p.t, "success", answer.Status, string(body))
	out := series{}
	for _, r := range answer.Data.Result {
		var labels []string
		for label, value := range r.Metric {
			if label != "__name__" && label != "job" && label != "instance" {
				labels = append(labels, label, value)
			}
		}
		out[key(name, labels...)], err = strconv.ParseFloat(r.Value[1].(string), 64)
		require.NoError(p.t, err)
	}
	return out
}

var historicMetrics = []string{
	"workspace_login_attempts_total", "workspace_login_failures_total",
	"workspace_client_login_attempts_total", "workspace_client_login_failures_total",
	"workspace_client_version_login_attempts_total", "workspace_client_version_login_failures_total",
	"workspace_server_login_attempts_total", "workspace_server_login_failures_total",
	"workspace_connect_type_login_attempts_total", "workspace_connect_type_login_failures_total",
	"workspace_login_duration_seconds_count", "workspace_login_duration_seconds_sum",
	"workspace_session_duration_seconds_count", "workspace_session_duration_seconds_sum",
}

// increases are those of all counters between two times. The range begins a second
// before the first of them, on which a sample lies: what Prometheus adds for that
// second is rounded away.
func (p *prometheus) increases(from, to time.Time) series {
	p.t.Helper()
	out := series{}
	for _, name := range historicMetrics {
		for key, value := range p.query(name, fmt.Sprintf("increase(%s[%ds])", name, int(to.Sub(from).Seconds())+1), to) {
			if value = math.Round(value); value != 0 {
				out[key] = value
			}
		}
	}
	return out
}

// What increase() says of the past is what happened, label set by label set, and so it
// is across the seam to the counters of an exporter that runs.
func TestBackfilledBlocksInPrometheus(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{}, nil)
	now := time.Now().Truncate(time.Second)
	hour := now.Add(-2 * time.Hour).Truncate(time.Hour)
	for n := range 1400 {
		w.put(mixed(n, now.Add(-time.Minute-time.Duration(1400-n)*151*time.Second)))
	}
	// Of these there is one in the history, and more in the exporter's first poll: its
	// counter is first seen above the history's.
	for i, ago := range []time.Duration{30 * time.Hour, 40 * time.Minute, 20 * time.Minute, 10 * time.Minute} {
		r := failed(attempt(5000+i, now.Add(-ago)), "4004", now.Add(-ago))
		r.DesktopGroupName, r.MachineName, r.ClientType, r.ClientVersion, r.AgentVersion = "seldom", "APS-seldom", "Linux", "1", "1"
		w.put(r)
	}
	w.put(attempt(6000, now.Add(-20*time.Hour))) // for which nobody waits any more

	e := runExporter(t, setup{URL: w.url, Interval: "500ms"})
	e.polls(project, 1)
	file, data := filepath.Join(e.dir, "history.om"), t.TempDir()
	code, _, stderr := command(t, e.dir, "backfill", "--since=62h", "--output="+file, "--label=job=workspace", "--label=instance="+e.hostPort)
	require.Equal(t, 0, code, stderr)
	assert.Contains(t, stderr, "history ends where the counters of the store begin")
	out, err := exec.Command(tool(t, "promtool"), "tsdb", "create-blocks-from", "--max-block-duration=720h", "openmetrics", file, data).CombinedOutput()
	require.NoError(t, err, string(out))
	p := runPrometheus(t, data, e.hostPort)

	all := w.newest()
	for _, length := range []time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour, 48 * time.Hour} {
		for to := hour; to.After(hour.Add(-10 * time.Hour)); to = to.Add(-3 * time.Hour) {
			want := grown(all, to.Add(-length), to)
			require.Greater(t, len(want), 50)
			assert.Empty(t, p.increases(to.Add(-length), to).diff(want), "%s up to %s", length, to)
		}
	}

	// The seam.
	sofar := func() bool {
		scraped := time.Now()
		return len(p.increases(hour.Add(-30*time.Hour), scraped).diff(grown(w.newest(), hour.Add(-30*time.Hour), scraped))) == 0
	}
	eventually(t, "the increase across the seam is what happened", sofar)
	seldom := `workspace_login_failures_total{desktop_group="seldom",failed_code="4004"}`
	assert.Equal(t, 3.0, p.query("n", "max("+seldom+")", time.Now()).sum("n"))
	for n := range 60 { // what comes later
		w.put(mixed(n+1100*60, time.Now().Add(-time.Minute)))
	}
	eventually(t, "and so it stays when more comes", sofar)
	assert.Positive(t, len(p.increases(hour.Add(-30*time.Hour), time.Now())))
}
