package simulator

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// create makes an export task and returns its id.
func create(t *testing.T, s *Simulator, r *http.Request) string {
	t.Helper()
	id := ask[map[string]string](t, s, r)["task_id"]
	require.Regexp(t, "^[0-9a-f]{32}$", id)
	return id
}

// taskList is the API's list of tasks.
func taskList(t *testing.T, s *Simulator, parameters string) (count int, tasks []Task) {
	t.Helper()
	v := ask[struct {
		Count int    `json:"count"`
		Tasks []Task `json:"export_tasks"`
	}](t, s, get(tasksPath+parameters))
	return v.Count, v.Tasks
}

func downloadPath(id string) string { return tasksPath + "/" + id + "/download" }

func TestTaskLife(t *testing.T) {
	c := &clock{noon}
	o := everything(c)
	o.TaskDuration = 2 * time.Second
	s := New(o)
	s.Put(DefaultProjectID, Record{ID: "1", PreConnTime: format(noon)})
	id := create(t, s, post(listPath+"/export", `{}`))
	s.Put(DefaultProjectID, Record{ID: "2", PreConnTime: format(noon)})

	c.now = noon.Add(1999 * time.Millisecond)
	_, tasks := taskList(t, s, "?task_id="+id)
	assert.Equal(t, []Task{{TaskID: id, FileName: "UserLoginRecords_20260311120000.xlsx", Status: "CREATING", CreateTime: "2026-03-11T12:00:00.000Z"}}, tasks)
	w := serve(s, get(downloadPath(id)))
	assert.Equal(t, 400, w.Code)
	assert.Contains(t, w.Body.String(), "CREATING")

	c.now = noon.Add(2 * time.Second)
	_, tasks = taskList(t, s, "?status=SUCCESS")
	require.Len(t, tasks, 1)
	assert.Equal(t, "2026-03-11T12:00:02.000Z", tasks[0].EndTime)
	assert.False(t, tasks[0].IsDownloaded)
	w = serve(s, get(downloadPath(id)))
	assert.Equal(t, 200, w.Code)
	assert.Equal(t, "application/octet-stream", w.Header().Get("Content-Type"))
	assert.Equal(t, `attachment; filename="UserLoginRecords_20260311120000.xlsx"`, w.Header().Get("Content-Disposition"))
	assert.Len(t, readXLSX(t, w.Body.Bytes()), 2, "what there was when the task was made, under its header")
	assert.True(t, s.Tasks(DefaultProjectID)[0].IsDownloaded)
	_, tasks = taskList(t, s, "")
	assert.Empty(t, tasks, "a list is of those not downloaded, unless it is asked for the others")
	_, tasks = taskList(t, s, "?is_download=true")
	assert.Len(t, tasks, 1)
	again := serve(s, get(downloadPath(id)))
	assert.True(t, bytes.Equal(w.Body.Bytes(), again.Body.Bytes()))

	r := get(downloadPath(id))
	r.Header.Del("X-Auth-Token")
	assert.Equal(t, 401, serve(s, r).Code)
	assert.Equal(t, 415, serve(s, func() *http.Request { r := get(downloadPath(id)); r.Header.Del("Content-Type"); return r }()).Code)
	assert.Equal(t, 405, serve(s, post(downloadPath(id), "")).Code)
	assert.Equal(t, 400, serve(s, get(downloadPath(id)+"?a=b")).Code)

	c.now = c.now.Add(taskLife)
	assert.Equal(t, "EXPIRED", s.Tasks(DefaultProjectID)[0].Status)
	assert.Equal(t, 400, serve(s, get(downloadPath(id))).Code)

	assert.Equal(t, 200, serve(s, post(tasksPath+"/batch-delete", fmt.Sprintf(`{"task_ids":[%q,"unknown"]}`, id))).Code)
	assert.Empty(t, s.Tasks(DefaultProjectID))
	assert.Equal(t, 404, serve(s, get(downloadPath(id))).Code)
}

func TestTaskOfAnotherProject(t *testing.T) {
	o := everything(&clock{noon})
	o.ProjectIDs, o.TaskDuration = []string{DefaultProjectID, "second"}, -1
	s := New(o)
	id := create(t, s, post(listPath+"/export", `{}`))
	assert.Equal(t, 404, serve(s, get("/v2/second/export-tasks/"+id+"/download")).Code)
	assert.Equal(t, 200, serve(s, post("/v2/second/export-tasks/batch-delete", fmt.Sprintf(`{"task_ids":[%q]}`, id))).Code)
	assert.Equal(t, 200, serve(s, get(downloadPath(id))).Code, "still there")
	assert.Empty(t, s.Tasks("second"))
	o.Denied = []string{"workspace:tenants:exportData"}
	assert.Equal(t, 403, serve(New(o), get(downloadPath(id))).Code)
}

// TestFateOfTasks has tasks fail, expire and never end.
func TestFateOfTasks(t *testing.T) {
	c := &clock{noon}
	s := New(everything(c))
	s.AddFault(Fault{Kind: FaultTaskFail, Times: 1, Code: "WKS.00130001", Message: "disk full"})
	s.AddFault(Fault{Kind: FaultTaskExpire, Times: 1, Path: sessionsPath})
	s.AddFault(Fault{Kind: FaultTaskHang, Times: 1})
	taskList(t, s, "") // no task is made: no fault is used up
	for _, r := range []*http.Request{
		post(listPath+"/export", `{}`), post(accessPath+"/export", accessBody), get(desktopTasks), post(sessionsPath+"/export", `{}`),
	} {
		create(t, s, r)
	}
	assert.Empty(t, s.Faults())
	c.now = noon.Add(time.Hour)
	tasks := s.Tasks(DefaultProjectID)
	require.Len(t, tasks, 4)
	assert.Equal(t, []string{"FAIL", "CREATING", "SUCCESS", "EXPIRED"},
		[]string{tasks[0].Status, tasks[1].Status, tasks[2].Status, tasks[3].Status})
	assert.Equal(t, []string{"disk full", "WKS.00130001"}, []string{tasks[0].FailReason, tasks[0].ErrorCode})
	for i, task := range tasks {
		assert.Equal(t, i == 2, serve(s, get(downloadPath(task.TaskID))).Code == 200)
		assert.Equal(t, i != 1, task.EndTime != "")
	}
}

func TestTaskPages(t *testing.T) {
	c := &clock{noon}
	o := everything(c)
	o.MaxTasks = 25
	s := New(o)
	for range 25 {
		create(t, s, post(listPath+"/export", `{}`))
		c.now = c.now.Add(time.Second)
	}
	count, tasks := taskList(t, s, "")
	assert.Equal(t, 25, count)
	assert.Len(t, tasks, 20)
	_, tasks = taskList(t, s, "?offset=20&limit=100")
	assert.Len(t, tasks, 5)
	_, tasks = taskList(t, s, "?limit=1&sort_field=create_time&sort_type=DESC")
	assert.Equal(t, "2026-03-11T12:00:24.000Z", tasks[0].CreateTime)
	count, tasks = taskList(t, s, "?file_name=nothing")
	assert.Zero(t, count)
	assert.NotNil(t, tasks)

	assert.Empty(t, s.Violations())
	w := serve(s, post(listPath+"/export", `{}`))
	assert.Equal(t, 400, w.Code)
	assert.Contains(t, w.Body.String(), "limit")
	assert.Len(t, s.Violations(), 1, "a client cleans up behind itself")
}

// withStorage serves a simulator with one task that is done, and its storage.
func withStorage(t *testing.T, c *clock) (s *Simulator, location, id string) {
	t.Helper()
	o := everything(c)
	o.TaskDuration = -1
	s = New(o)
	storage := httptest.NewServer(s.Storage())
	t.Cleanup(storage.Close)
	s.RedirectDownloads(storage.URL)
	id = create(t, s, post(listPath+"/export", `{}`))
	w := serve(s, get(downloadPath(id)))
	require.Equal(t, http.StatusFound, w.Code)
	require.True(t, strings.HasPrefix(w.Header().Get("Location"), storage.URL+"/exports/"))
	return s, w.Header().Get("Location"), id
}

// fetch gets a link.
func fetch(ctx context.Context, t *testing.T, method, link string, header http.Header) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, link, http.NoBody)
	require.NoError(t, err)
	for name, values := range header {
		r.Header[name] = values
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, body
}

func TestStorage(t *testing.T) {
	c := &clock{noon}
	s, link, id := withStorage(t, c)
	status, body := fetch(t.Context(), t, http.MethodGet, link, nil)
	assert.Equal(t, 200, status)
	assert.Len(t, readXLSX(t, body), 1)
	assert.True(t, s.Tasks(DefaultProjectID)[0].IsDownloaded)
	assert.Empty(t, s.Violations())

	violations := 0
	refused := func(want int, method, link string, header http.Header) {
		t.Helper()
		status, body := fetch(t.Context(), t, method, link, header)
		assert.Equal(t, want, status, "%s", body)
		assert.Contains(t, string(body), "<Error><Code>")
		violations++
		assert.Len(t, s.Violations(), violations)
	}
	for _, name := range credentialHeaders {
		refused(400, http.MethodGet, link, http.Header{name: {"x"}})
	}
	refused(403, http.MethodGet, link+"0", nil)
	refused(403, http.MethodGet, strings.Replace(link, id, strings.Repeat("0", 32), 1), nil)
	refused(403, http.MethodGet, strings.Replace(link, "Expires=1", "Expires=2", 1), nil)
	refused(403, http.MethodGet, strings.Split(link, "?")[0], nil)
	refused(405, http.MethodPost, link, nil)
	c.now = noon.Add(linkLife + time.Second)
	refused(403, http.MethodGet, link, nil)
	c.now = noon
	serve(s, post(tasksPath+"/batch-delete", fmt.Sprintf(`{"task_ids":[%q]}`, id)))
	refused(404, http.MethodGet, link, nil)

	s.RedirectDownloads("")
	id = create(t, s, post(listPath+"/export", `{}`))
	assert.Equal(t, 200, serve(s, get(downloadPath(id))).Code, "no redirect any more")
}

func TestFaultsOfStorage(t *testing.T) {
	s, link, _ := withStorage(t, &clock{noon})
	_, whole := fetch(t.Context(), t, http.MethodGet, link, nil)
	s.AddFault(Fault{Kind: FaultTruncate, Path: "/exports/", Times: 1})
	_, half := fetch(t.Context(), t, http.MethodGet, link, nil)
	assert.Len(t, half, len(whole)/2)
	s.AddFault(Fault{Kind: FaultError, Path: "/exports/", Times: 1})
	status, _ := fetch(t.Context(), t, http.MethodGet, link, nil)
	assert.Equal(t, 503, status)
	assert.Equal(t, 1, s.Calls()[Call{DefaultProjectID, "/exports/{project_id}/{task_id}", 503}])
}

func readXLSX(t *testing.T, file []byte) [][]string {
	t.Helper()
	book, err := excelize.OpenReader(bytes.NewReader(file))
	require.NoError(t, err)
	defer book.Close()
	rows, err := book.GetRows("Sheet1")
	require.NoError(t, err)
	return rows
}

func TestColumnNames(t *testing.T) {
	for i := range 1000 {
		want, err := excelize.ColumnNumberToName(i + 1)
		require.NoError(t, err)
		require.Equal(t, want, columnName(i))
	}
}

// What XML cannot hold, or has a meaning of its own, is read again as it was, or replaced.
func TestTextsOfWorkbooks(t *testing.T) {
	var file bytes.Buffer
	lines := [][]string{{"<a> & \"b\"", " blanks ", "", "line\nfeed", "张三 🙂"}, {"\x01", "\xff"}}
	require.NoError(t, writeXLSX(&file, slices.Values(lines)))
	rows := readXLSX(t, file.Bytes())
	assert.Equal(t, lines[0], rows[0])
	assert.Equal(t, []string{"\ufffd", "\ufffd"}, rows[1])
}

func readCSV(t *testing.T, file []byte, comma rune) [][]string {
	t.Helper()
	r := csv.NewReader(bytes.NewReader(file))
	r.Comma, r.FieldsPerRecord = comma, -1
	rows, err := r.ReadAll()
	require.NoError(t, err)
	return rows
}

// exported gets the file of an export of logins with one awkward record in it.
func exported(t *testing.T, format FileFormat) []byte {
	t.Helper()
	o := everything(&clock{noon})
	o.File, o.TaskDuration = format, -1
	s := New(o)
	s.Put(DefaultProjectID, Record{ID: "1", UserName: "张三", PreConnTime: "2026-03-11T11:00:00Z", FailedReason: "a,b;c\td \"e\"\nf"})
	return serve(s, get(downloadPath(create(t, s, post(listPath+"/export", `{}`))))).Body.Bytes()
}

// byColumn is a row by its header.
func byColumn(rows [][]string, header, row int) map[string]string {
	values := map[string]string{}
	for i, name := range rows[header] {
		values[name] = ""
		if i < len(rows[row]) {
			values[name] = rows[row][i]
		}
	}
	return values
}

func TestFileFormats(t *testing.T) {
	const reason = "a,b;c\td \"e\"\nf"
	check := func(t *testing.T, rows [][]string, user, pre, cause string) map[string]string {
		t.Helper()
		row := byColumn(rows, len(rows)-2, len(rows)-1)
		assert.Equal(t, []string{"张三", "2026-03-11T11:00:00Z", reason}, []string{row[user], row[pre], row[cause]})
		return row
	}
	t.Run("xlsx", func(t *testing.T) {
		row := check(t, readXLSX(t, exported(t, FileFormat{})), "Login user", "Pre-connection time", "Connection failure cause")
		assert.Equal(t, "1", row["Primary key"])
		assert.Len(t, row, 24)
	})
	t.Run("xlsx, titles", func(t *testing.T) {
		rows := readXLSX(t, exported(t, FileFormat{Titles: []string{"Login records", ""}, Header: ChineseHeader, Omit: []string{"id"}}))
		assert.Len(t, rows, 4)
		assert.Equal(t, []string{"Login records"}, rows[0])
		assert.NotContains(t, check(t, rows, "登录用户", "预连接时间", "连接失败原因"), "主键")
	})
	t.Run("csv", func(t *testing.T) {
		for _, separator := range []rune{',', ';', '\t'} {
			file := exported(t, FileFormat{Kind: CSV, Separator: separator, Header: FieldHeader})
			check(t, readCSV(t, file, separator), "user_name", "pre_conn_time", "failed_reason")
		}
	})
	t.Run("byte order mark", func(t *testing.T) {
		file, ok := bytes.CutPrefix(exported(t, FileFormat{Kind: CSV, Charset: UTF8BOM}), []byte("\xef\xbb\xbf"))
		assert.True(t, ok)
		check(t, readCSV(t, file, ','), "Login user", "Pre-connection time", "Connection failure cause")
	})
	t.Run("GB18030", func(t *testing.T) {
		file := exported(t, FileFormat{Kind: CSV, Charset: GB18030, Header: ChineseHeader})
		assert.NotContains(t, string(file), "张三")
		file, err := simplifiedchinese.GB18030.NewDecoder().Bytes(file)
		require.NoError(t, err)
		check(t, readCSV(t, file, ','), "登录用户", "预连接时间", "连接失败原因")
	})
	t.Run("shuffled", func(t *testing.T) {
		shuffled := readCSV(t, exported(t, FileFormat{Kind: CSV, Shuffled: true, Header: FieldHeader}), ',')
		check(t, shuffled, "user_name", "pre_conn_time", "failed_reason")
		plain := readCSV(t, exported(t, FileFormat{Kind: CSV, Header: FieldHeader}), ',')
		assert.ElementsMatch(t, plain[0], shuffled[0])
		assert.NotEqual(t, plain[0], shuffled[0])
		assert.Equal(t, "id", plain[0][0])
	})
	t.Run("time layout", func(t *testing.T) {
		rows := readCSV(t, exported(t, FileFormat{Kind: CSV, TimeLayout: "2006/01/02 15:04:05"}), ',')
		assert.Equal(t, "2026/03/11 11:00:00", byColumn(rows, 0, 1)["Pre-connection time"])
		assert.Empty(t, byColumn(rows, 0, 1)["Start time"])
	})
	t.Run("senseless", func(t *testing.T) {
		for _, format := range []FileFormat{{Kind: 2}, {Charset: 3}, {Header: -1}, {Separator: '|'}} {
			assert.Panics(t, func() { New(Options{File: format}) })
		}
	})
}

// TestExportsHoldTheTruth compares the file of each kind with what the lists show.
func TestExportsHoldTheTruth(t *testing.T) {
	c := &clock{noon}
	o := busy(c)
	o.File, o.TaskDuration = FileFormat{Kind: CSV, Header: FieldHeader}, -1
	s := New(o)
	from := noon.Add(-time.Hour)
	byTask := func(r *http.Request) [][]string {
		return readCSV(t, serve(s, get(downloadPath(create(t, s, r)))).Body.Bytes(), ',')
	}
	assertRows(t, recordFields, s.Truth(DefaultProjectID, from, noon), byTask(post(listPath+"/export", window(from, noon))))
	assertRows(t, sessionFields, s.TruthSessions(DefaultProjectID, from, noon), byTask(post(sessionsPath+"/export", sessionBody)))
	assertRows(t, accessFields, s.TruthAccess(DefaultProjectID, from, noon), byTask(post(accessPath+"/export", accessBody)))
	desktops := s.TruthDesktops(DefaultProjectID, from, noon)
	assertRows(t, desktopFields, desktops, byTask(get(desktopTasks+accessHour)))
	assertRows(t, desktopFields, desktops, readCSV(t, serve(s, get(desktopsPath+"/export"+desktopHour)).Body.Bytes(), ','))
	assertRows(t, desktopFields, slices.DeleteFunc(desktops, func(d Desktop) bool { return d.TerminalType != "Windows 10" }),
		byTask(get(desktopTasks+accessHour+"&terminal_type=Windows")))
}

func assertRows[T any](t *testing.T, fields fields, want []T, rows [][]string) {
	t.Helper()
	require.Greater(t, len(want), 20)
	require.Len(t, rows, 1+len(want))
	for i, record := range want {
		texts := map[string]string{}
		for _, f := range fields {
			texts[f.name] = fields.text(&record, f.name)
		}
		require.Equal(t, texts, byColumn(rows, 0, i+1))
	}
}

// TestNamesOfFields looks for fields that have no English or Chinese name, or share it.
func TestNamesOfFields(t *testing.T) {
	for _, kind := range []any{Record{}, Session{}, Desktop{}, Access{}} {
		seen := map[string]bool{}
		for _, f := range fieldsOf(kind) {
			for _, name := range []string{f.name, f.english, f.chinese} {
				assert.NotEmpty(t, name, f.name)
				assert.False(t, seen[name], "%T: %s", kind, name)
				seen[name] = true
			}
		}
		assert.Len(t, fieldsOf(kind), reflect.TypeOf(kind).NumField()-2)
	}
}

func TestLanguage(t *testing.T) {
	for header, want := range map[Header][3]string{ // no language, en_US, zh_CN
		EnglishHeader: {"Username", "Username", "用户名"},
		ChineseHeader: {"用户名", "Username", "用户名"},
		FieldHeader:   {"user_name", "user_name", "user_name"},
	} {
		o := everything(&clock{noon})
		o.File = FileFormat{Kind: CSV, Header: header}
		for i, parameter := range []string{"", "?language=en_US", "?language=zh_CN"} {
			rows := readCSV(t, serve(New(o), get(desktopsPath+"/export"+parameter)).Body.Bytes(), ',')
			assert.Contains(t, rows[0], want[i])
		}
	}
}

// BenchmarkExport writes the file of 30 days of 500 logins an hour, all day.
func BenchmarkExport(b *testing.B) {
	for name, format := range map[string]FileFormat{"xlsx": {}, "csv": {Kind: CSV}} {
		o := generating(&clock{noon})
		o.LoginsPerHour, o.History = 500, 30*24*time.Hour
		s := New(o)
		records := s.Truth(DefaultProjectID, noon.Add(-30*24*time.Hour), noon)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				format.encode(tableOf("x", recordFields, records), 1)
			}
			b.ReportMetric(float64(len(records)), "rows")
		})
	}
}
