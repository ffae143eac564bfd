package e2e

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// atOnce are tasks that are done as soon as they are made.
const atOnce = -time.Second

// by is a configuration of the login records' source.
func by(mode string, more ...string) string {
	return "{user_connections: {" + strings.Join(append([]string{"mode: " + mode}, more...), ", ") + "}}"
}

var small = simulator.FileFormat{Kind: simulator.CSV}

// flavours are looks of a file. No page of the API says what it looks like.
var flavours = map[string]simulator.FileFormat{
	"workbook":                            {},
	"workbook, Chinese, titles, shuffled": {Header: simulator.ChineseHeader, Titles: []string{"登录记录", "", "2026"}, Shuffled: true},
	"workbook, fields, no ids":            {Header: simulator.FieldHeader, Omit: []string{"id"}},
	"commas":                              {Kind: simulator.CSV},
	"commas, blank in times, shuffled":    {Kind: simulator.CSV, Shuffled: true, TimeLayout: "2006-01-02 15:04:05"},
	"semicolons, BOM, Chinese, titles":    {Kind: simulator.CSV, Separator: ';', Charset: simulator.UTF8BOM, Header: simulator.ChineseHeader, Titles: []string{"登录记录"}},
	"tabs, GB18030, Chinese, no ids":      {Kind: simulator.CSV, Separator: '\t', Charset: simulator.GB18030, Header: simulator.ChineseHeader, Omit: []string{"id"}},
	"commas, GB18030, fields, shuffled":   {Kind: simulator.CSV, Charset: simulator.GB18030, Header: simulator.FieldHeader, Shuffled: true},
}

// awkward are records whose texts could be taken for a file's own signs.
func awkward(n int, at time.Time) []simulator.Record {
	a, b := failed(attempt(n, at), "7;7", at), started(n+1, at.Add(time.Second))
	a.DesktopGroupName, a.FailedReason = `财务, "west"; east`, `密码错误, "again"; try later`
	b.DesktopGroupName, b.AgentVersion = "设计\t组", "=1+1"
	return []simulator.Record{a, b}
}

// Each run is a process of its own with the other mode, on the same store. In between
// records end, settle and turn out to be failures.
func TestPagesAndFilesOfEveryFlavourCountAlike(t *testing.T) {
	t.Parallel()
	for name, file := range flavours {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, tap := tapped(t, simulator.Options{File: file, TaskDuration: atOnce, Seed: 3})
			now := time.Now().Add(-10 * time.Minute)
			w.put(spread(0, 60, now, time.Second)...)
			w.put(awkward(500, now)...)
			open, pending, success := started(600, now), attempt(601, now), end(started(602, now), time.Minute)
			w.put(open, pending, success)
			e := install(t, setup{})
			once := func(mode string) {
				t.Helper()
				e.configure(setup{URL: w.url, Sources: by(mode)})
				before := len(tap.requests("/user-connection/export"))
				code, stdout, stderr := command(t, e.dir, "--once")
				require.Equal(t, 0, code, stderr)
				// More than one, if the first answer was too slow to set the clock by.
				assert.Equal(t, mode == "export", len(tap.requests("/user-connection/export")) > before, mode)
				assert.Empty(t, tabless(parse(t, stdout).records()).diff(tabless(w.expect())), mode)
				assert.Zero(t, parse(t, stdout).sum("workspace_exporter_invalid_fields_total"))
			}
			once("export")
			w.put(end(open, time.Minute), failed(pending, "1001", time.Now()), failed(success, "1002", time.Now()))
			w.put(spread(700, 20, now.Add(time.Minute), time.Second)...)
			once("query")
			once("export")
			w.put(started(800, now.Add(2*time.Minute)))
			once("export")
			once("query")
			assert.Empty(t, w.Tasks(project), "a task is deleted after use")
		})
	}
}

// tabless replaces tabs, which are no part of a label.
func tabless(s series) series {
	out := series{}
	for key, value := range s {
		out[strings.ReplaceAll(key, `\t`, " ")] += value
	}
	return out
}

func TestAutoPagesSmallWindowsAndExportsLargeOnes(t *testing.T) {
	t.Parallel()
	w, tap := tapped(t, simulator.Options{TaskDuration: atOnce})
	old := time.Now().Add(-50 * time.Minute)
	w.put(spread(0, 300, old, time.Second)...)
	e := runExporter(t, setup{URL: w.url, Sources: by("auto", "export_threshold: 200", "lookback: 15m")})
	e.shows(w)
	assert.Len(t, tap.requests("/user-connection/export"), 1, "only the first window is large")
	w.put(mixed(900, time.Now().Add(-time.Minute)))
	e.shows(w)
	assert.Len(t, tap.requests("/user-connection/export"), 1)
	m := e.only("workspace_exporter_export_tasks_total")
	for _, status := range []string{"created", "success", "deleted"} {
		assert.Equal(t, 1.0, m[key("workspace_exporter_export_tasks_total", "project", project, "source", "user_connections", "status", status)], status)
	}
}

// bomb is a workbook whose sheet unpacks to very much. It is made once.
func bomb(file []byte) []byte {
	bombOnce.Do(func() { bombFile = inflated(file) })
	return bombFile
}

var (
	bombOnce sync.Once
	bombFile []byte
)

func inflated(file []byte) []byte {
	in, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return file
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range in.File {
		part, errCreate := w.Create(f.Name)
		r, errOpen := f.Open()
		if errCreate != nil || errOpen != nil {
			panic("a workbook of ours cannot be copied")
		}
		_, _ = io.Copy(part, r) // in memory
		if strings.HasPrefix(f.Name, "xl/worksheets/") {
			blanks := bytes.Repeat([]byte(" "), 1<<20)
			for range 4 {
				_, _ = part.Write(blanks)
			}
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// strange is a file whose columns mean nothing.
func strange([]byte) []byte {
	return []byte("colour,taste,price of it\nred,sweet,1\ngreen,sour,2\n")
}

func half(file []byte) []byte { return file[:len(file)/2] }

func TestAFailedExportIsTold(t *testing.T) {
	t.Parallel()
	const reason, code = "The disk of the export service is full.", "WKS.00990042"
	for name, c := range map[string]struct {
		fault   simulator.Fault
		corrupt func([]byte) []byte
		status  string // in export_tasks_total
		says    []string
	}{
		"fails":       {simulator.Fault{Kind: simulator.FaultTaskFail, Message: reason, Code: code}, nil, "fail", []string{"FAIL", reason, code}},
		"expires":     {simulator.Fault{Kind: simulator.FaultTaskExpire}, nil, "expired", []string{"EXPIRED"}},
		"never ends":  {simulator.Fault{Kind: simulator.FaultTaskHang}, nil, "timeout", []string{"CREATING", "4s"}},
		"columns":     {simulator.Fault{}, strange, "success", []string{"colour", "taste", "price of it", "user_name"}},
		"bomb":        {simulator.Fault{}, bomb, "success", []string{"100"}},
		"truncated":   {simulator.Fault{}, half, "success", nil},
		"no workbook": {simulator.Fault{}, func([]byte) []byte { return nil }, "success", nil},
	} {
		for _, mode := range []string{"export", "auto"} {
			t.Run(name+", "+mode, func(t *testing.T) {
				t.Parallel()
				file, timeout := small, "30s"
				if name == "bomb" || name == "truncated" {
					file = simulator.FileFormat{}
				}
				if c.status == "timeout" {
					timeout = "4s"
				}
				w, tap := tapped(t, simulator.Options{TaskDuration: atOnce, File: file})
				w.put(spread(0, 70, time.Now().Add(-10*time.Minute), time.Second)...)
				if c.fault.Kind != "" {
					w.AddFault(c.fault)
				}
				tap.downloads(c.corrupt)
				e := runExporter(t, setup{URL: w.url, Sources: by(mode, "export_threshold: 50", "poll_interval: 1s", "export_timeout: "+timeout)})
				count := func() float64 {
					return e.only("workspace_exporter_export_tasks_total").sum("workspace_exporter_export_tasks_total", `status="`+c.status+`"`)
				}
				if mode == "auto" {
					e.shows(w)
					assert.Positive(t, count())
					eventually(t, "the log tells", func() bool { return containsAll(e.log.String(), append(c.says, "by pages", "task ")...) })
					return
				}
				var page string
				eventually(t, "the poll fails", func() bool { page = e.get("/").body; return strings.Contains(page, `class="trouble"`) })
				assert.True(t, containsAll(strings.ReplaceAll(page, "&#34;", `"`), append(c.says, "export task ")...), page)
				// What the program has written may still be on its way to us.
				eventually(t, "the log tells", func() bool { return containsAll(e.log.String(), append(c.says, "export task ")...) })
				assert.Positive(t, count())
				assert.Zero(t, e.metrics().sum("workspace_login_attempts_total"))
				for _, f := range w.Faults() {
					w.RemoveFault(f.ID)
				}
				tap.downloads(nil)
				e.shows(w)
			})
		}
	}
}

// made is what becomes visible of a source when its tasks are read.
type made struct {
	source, sources, create string
	put                     func(w *world, at time.Time)
	metric                  string
	total                   float64
}

var makers = []made{
	{"user_connections", "{user_connections: {mode: export, poll_interval: 1h}}", "/user-connection/export",
		func(w *world, at time.Time) { w.put(spread(0, 50, at, time.Second)...) }, "workspace_login_attempts_total", 50},
	{"sessions", "{sessions: {poll_interval: 1h}}", "/list-sessions/export",
		func(w *world, at time.Time) {
			w.PutSessions(project, session(1, "InitFail", at), session(2, "Active", at))
		}, "workspace_session_failures_total", 1},
	{"access_statistics", "{access_statistics: {poll_interval: 1h, settle: 1s}}", "/app-user-access/export",
		func(w *world, at time.Time) {
			w.PutAccess(project, access("user1", "7", 3, at), access("user2", "8", 4, at))
		}, "workspace_access_failures_total", 7},
	{"desktop_connections", "{desktop_connections: {mode: export_v3, poll_interval: 1h}}", "/desktops/connections/export",
		func(w *world, at time.Time) { w.PutDesktops(project, connected(1, at), connected(2, at)) }, "workspace_login_attempts_total", 2},
}

func TestACrashWhileATaskIsMadeMakesNoOther(t *testing.T) {
	t.Parallel()
	for _, c := range makers {
		t.Run(c.source, func(t *testing.T) {
			t.Parallel()
			w, tap := tapped(t, simulator.Options{TaskDuration: 4 * time.Second})
			c.put(w, time.Now().Add(-10*time.Minute))
			e := runExporter(t, setup{URL: w.url, Sources: c.sources})
			eventually(t, "it waits for a task", func() bool { return len(tap.requests("/export-tasks")) > 0 })
			first := w.Tasks(project)
			require.Len(t, first, 1)
			require.Equal(t, "CREATING", first[0].Status)
			e.kill()
			e.start()
			done := key("workspace_exporter_polls_total", "project", project, "source", c.source, "result", "success")
			eventually(t, "a poll succeeds, perhaps before it is asked for", func() bool { return e.only("workspace_exporter_polls_total")[done] >= 1 })
			assert.Equal(t, c.total, e.metrics().sum(c.metric))
			assert.Len(t, tap.requests(first[0].TaskID+"/download"), 1, "it is the task from before the crash that is read")
			windows := map[string]bool{}
			for _, a := range tap.requests(c.create) {
				begin := a.URL.Query().Get("start_time") + a.body
				assert.False(t, windows[begin], "asked for again: %s", begin)
				windows[begin] = true
			}
			assert.LessOrEqual(t, len(windows), 2, "the rest of the time since, at most")
			assert.Empty(t, w.Tasks(project))
		})
	}
}

func TestABacklogIsExportedAndACrashResumesIt(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"export", "auto"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			var behind atomic.Int64
			behind.Store(int64(72 * time.Hour))
			clock := func() time.Time { return time.Now().Add(-time.Duration(behind.Load())) }
			w, tap := tapped(t, simulator.Options{Now: clock, TaskDuration: 700 * time.Millisecond, File: small})
			w.put(spread(0, 40, clock().Add(-30*time.Minute), 30*time.Second)...)
			e := runExporter(t, setup{URL: w.url, Sources: by(mode, "export_threshold: 60")})
			e.shows(w)
			require.Equal(t, 0, e.stop())
			e.kill()

			w.put(spread(1000, 700, clock().Add(time.Minute), 6*time.Minute)...)
			behind.Store(0)
			e.start()
			before := len(tap.requests("/user-connection/export"))
			for crash := range 2 {
				eventually(t, "it goes on", func() bool { return len(tap.requests("/user-connection/export")) > before+2*crash+1 })
				e.kill()
				e.start()
			}
			e.shows(w)
			m := e.metrics()
			assert.Equal(t, 740.0, m.sum("workspace_login_attempts_total"))
			assert.Zero(t, m.sum("workspace_exporter_gap_seconds_total"))
			assert.Less(t, len(tap.requests("/user-connection/export"))-before, 100)
		})
	}
}

// storage is the object storage of the cloud, on a host of its own.
func (w *world) storage(t *testing.T) *tap {
	t.Helper()
	tap := &tap{}
	server := httptest.NewServer(tap.wrap(w.Storage()))
	t.Cleanup(server.Close)
	w.RedirectDownloads(strings.Replace(server.URL, "127.0.0.1", "localhost", 1))
	return tap
}

func TestADownloadIsRedirectedWithoutCredentials(t *testing.T) {
	t.Parallel()
	const password = "example-password-0001"
	for name, c := range map[string]struct {
		options     simulator.Options
		credentials string
	}{
		"key pair": {},
		"temporary key pair": {simulator.Options{SecurityToken: "example-security-token"},
			"aksk: {access_key: " + accessKey + ", secret_key: " + secretKey + ", security_token: example-security-token}"},
		"password": {simulator.Options{Domain: "d", User: "u", Password: password}, "password: {domain: d, user: u, password: " + password + "}"},
		"token":    {simulator.Options{StaticToken: "example-token"}, "token: {token: example-token}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.options.TaskDuration = atOnce
			w, _ := tapped(t, c.options)
			storage := w.storage(t)
			w.put(spread(0, 30, time.Now().Add(-10*time.Minute), time.Second)...)
			e := install(t, setup{URL: w.url, Credentials: c.credentials, Sources: by("export")})
			code, stdout, stderr := command(t, e.dir, "--once")
			require.Equal(t, 0, code, stderr)
			assert.Empty(t, parse(t, stdout).records().diff(w.expect()))
			fetched := storage.requests("")
			require.NotEmpty(t, fetched)
			for _, a := range fetched {
				for name, values := range a.Header {
					assert.NotContains(t, []string{"Authorization", "X-Auth-Token", "X-Security-Token", "X-Sdk-Date", "X-Project-Id", "Cookie", "Referer"}, name)
					for _, secret := range []string{accessKey, "example-token", "example-security-token"} {
						assert.NotContains(t, strings.Join(values, " "), secret)
					}
				}
			}
		})
	}
}

func TestADownloadIsNotRedirectedToPlainHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, simulator.Options{TaskDuration: atOnce}, func(api http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/download") {
				http.Redirect(w, r, "http://storage.example/file?Signature=hunter2", http.StatusFound)
				return
			}
			api.ServeHTTP(w, r)
		})
	})
	e := install(t, setup{URL: w.url, Sources: by("export")})
	code, _, stderr := command(t, e.dir, "--once")
	assert.Equal(t, 1, code)
	assert.Contains(t, strings.ToLower(stderr), "https")
	assert.NotContains(t, stderr, "hunter2")
}

// A file without a column for the window's time must not be mistaken for one without
// records, and columns that only the configuration knows are read.
func TestColumnsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	w, tap := tapped(t, simulator.Options{TaskDuration: atOnce, File: simulator.FileFormat{Kind: simulator.CSV, Header: simulator.FieldHeader}})
	w.put(spread(0, 30, time.Now().Add(-10*time.Minute), time.Second)...)
	tap.downloads(func(file []byte) []byte {
		rows, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
		if err != nil || len(rows) == 0 {
			return file
		}
		for i, name := range rows[0] {
			rows[0][i] = cmp.Or(map[string]string{"id": "Kennung", "user_name": "Wer", "start_time": "Beginn", "pre_conn_time": "Anfrage", "update_time": "Stand"}[name], name)
		}
		var out bytes.Buffer
		if err := csv.NewWriter(&out).WriteAll(rows); err != nil {
			panic(err)
		}
		return out.Bytes()
	})
	e := install(t, setup{URL: w.url, Sources: by("export")})
	code, _, stderr := command(t, e.dir, "--once")
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "Kennung")
	e.configure(setup{URL: w.url, Sources: by("export", fmt.Sprintf("columns: {%s}", "Kennung: id, Wer: user_name, Beginn: start_time, Anfrage: pre_conn_time, Stand: update_time"))})
	code, stdout, stderr := command(t, e.dir, "--once")
	require.Equal(t, 0, code, stderr)
	assert.Empty(t, parse(t, stdout).records().diff(w.expect()))
}
