package fetcher

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/collector"
	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/fetcher/pagingtest"
	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/cursor"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// tellingFiles are Files that remember what they tell.
type tellingFiles struct {
	Files
	log     strings.Builder
	skipped map[string]int
}

func newTold(columns export.Columns) *tellingFiles {
	t := &tellingFiles{skipped: map[string]int{}}
	t.Files = Files{Columns: columns, Logger: log.NewLogfmtLogger(&t.log), Skipped: func(reason string, rows int) { t.skipped[reason] += rows }}
	return t
}

func (t *tellingFiles) read(tb testing.TB, file string) (logins []record.Login, report FileReport, err error) {
	tb.Helper()
	report, err = FileOf(t.Files, (*record.UserConnection).Login)(tb.Context(), strings.NewReader(file), int64(len(file)), into(&logins))
	return logins, report, err
}

// What is no record is counted, and logged once a file.
func TestRowsThatAreNoRecordsAreTold(t *testing.T) {
	f := newTold(export.ColumnsOf(record.UserConnectionColumns))
	logins, report, err := f.read(t, "id,user_name,start_time,note\n1,u1,2024-01-05 08:03:07,\nTotal,1,,\n合计,1,,\n# by u9, with, many, commas, in, it\n,,,only here\n2,,,x\n,,2024-01-05 08:03:07,\n\x1a\n\x00\x00\n")
	require.NoError(t, err)
	require.Len(t, logins, 9)
	for i, l := range logins {
		assert.Equal(t, i != 0, l.Malformed, i)
		assert.NotEqual(t, record.Identity{}, l.ID)
	}
	assert.NotEqual(t, logins[1].ID, logins[2].ID)
	assert.Equal(t, 8, report.NoRecords)
	assert.Equal(t, map[string]int{"no_record": 8, "sheet": 0}, f.skipped)
	assert.Equal(t, 1, strings.Count(f.log.String(), "\n"))
	assert.Contains(t, f.log.String(), "no_records=8")
	assert.NotContains(t, f.log.String(), "u9")
	assert.Equal(t, "8 rows that are no records", report.NotUnderstood())

	f = newTold(export.ColumnsOf(record.UserConnectionColumns))
	_, report, err = f.read(t, "id,start_time\n1,2024-01-05 08:03:07\n")
	require.NoError(t, err)
	assert.Empty(t, f.log.String(), "nothing is logged of a file that was understood")
	assert.Equal(t, "nothing", report.NotUnderstood())
}

func TestUnreadFieldsAreTold(t *testing.T) {
	f := newTold(export.ColumnsOf(record.UserConnectionColumns))
	logins, report, err := f.read(t, "id,user_name,start_time,end_time\n1,u1,2024-01-05 08:03:07,\n2,u2,2024-01-05 08:03:08,\n1.23E+18,u3,5/6/2024 8:03,N/A\n")
	require.NoError(t, err)
	require.Len(t, logins, 3)
	assert.True(t, logins[2].Started)
	assert.Len(t, report.Unread, 2)
	assert.Equal(t, `values of id: 1, such as "9.99x+99"; values of start_time: 1, such as "9/9/9999 9:99"`, report.NotUnderstood())
	assert.Contains(t, f.log.String(), `start_time: 1, such as \"9/9/9999 9:99\"`)
}

// A file whose times are written in an unknown way is refused before anything is taken.
func TestFilesWhoseTimesCannotBeReadAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		err  string
	}{
		"all":        {"id,start_time\n1,1/5/2024 8:03\n2,1/6/2024 8:03\n", `of the column for start_time, 2 of 2 times cannot be read, such as "9/9/9999 9:99"`},
		"most":       {"id,start_time\n1,2024-01-05 08:03:07\n2,1/6/2024 8:03\n3,1/7/2024 8:03\n", "2 of 3 times"},
		"half":       {"id,start_time\n1,2024-01-05 08:03:07\n2,1/6/2024 8:03\n", ""},
		"of one end": {"id,start_time,end_time\n1,2024-01-05 08:03:07,\n2,2024-01-05 08:03:08,still there\n", "of the column for end_time, 1 of 1 times"},
		"none":       {"id,start_time,end_time\n1,2024-01-05 08:03:07,-\n2,2024-01-05 08:03:08,0001-01-01 00:00:00\n", ""},
	} {
		_, _, err := newTold(export.ColumnsOf(record.UserConnectionColumns)).read(t, c.file)
		if c.err == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, c.err, name)
			assert.Equal(t, Unreadable, reasonOf(err))
		}
	}
	inBoth(t, 300, func(t *testing.T, b *both) {
		whole := b.cloud.file
		b.cloud.file = func(w cursor.Window) string {
			return strings.ReplaceAll(whole(w), "2026-03-04T12:00:00Z", "3/4/2026 12:00 PM")
		}
		logins, err := b.read(t, 1000)
		require.NoError(t, err)
		pagingtest.RequireAll(t, b.list.Items, logins)
		assert.Contains(t, b.log.String(), "300 of 300 times cannot be read")
	})
}

// The guard counts records that differ: a spreadsheet makes one id of many.
func TestRoundedIDsAreAFailedExport(t *testing.T) {
	inBoth(t, 300, func(t *testing.T, b *both) {
		b.cloud.file = func(cursor.Window) string {
			return loginHeader + strings.Repeat("1.23456789012345E+17,jane,,,2026-03-04T12:00:00Z,,,\n", 300)
		}
		logins, err := b.read(t, 1000)
		require.NoError(t, err)
		pagingtest.RequireAll(t, b.list.Items, logins)
		assert.Contains(t, b.log.String(), "has 1 records of its window that differ, and there are 300 by the API's pages")
	})
}

// A record read by pages, and then from a file that has been through a spreadsheet, is one.
func TestRecordsOfPagesAndSpreadsheets(t *testing.T) {
	const id = "123456789012345678"
	now := time.Now().UTC().Truncate(time.Second)
	at := now.Add(-time.Minute).Format(time.RFC3339)
	for _, field := range []string{"id", "transaction_id"} {
		for _, cell := range []string{"1.23456789012346E+17", "1.23456789012345677E17", "1.2E+17", "'" + id, `="` + id + `"`, id + "\t", "123,456,789,012,345,678", "123456789012346000", "'1.2E+17"} {
			t.Run(field+" "+cell, func(t *testing.T) {
				kind, columns, fields := collector.Logins, export.ColumnsOf(record.UserConnectionColumns), []string{"user_name", "u", "start_time", at, "machine_name", "m"}
				if field == "transaction_id" {
					kind, columns, fields = collector.DesktopLogins, export.ColumnsOf(record.DesktopConnectionColumns), []string{"user_name", "u", "connection_start_time", at, "computer_name", "m"}
				}
				read := func(id string) (logins []record.Login) {
					header, row := field, `"`+strings.ReplaceAll(id, `"`, `""`)+`"`
					for i := 0; i < len(fields); i += 2 {
						header, row = header+","+fields[i], row+","+fields[i+1]
					}
					file := header + "\n" + row + "\n"
					f := newTold(columns)
					read := FileOf(f.Files, (*record.UserConnection).Login)
					if kind == collector.DesktopLogins {
						read = FileOf(f.Files, (*record.DesktopConnection).Login)
					}
					_, err := read(t.Context(), strings.NewReader(file), int64(len(file)), into(&logins))
					require.NoError(t, err)
					require.Len(t, logins, 1)
					return logins
				}
				accumulator := openAccumulator(t, newShelf(), kind, lookback)
				for i, logins := range [][]record.Login{read(id), read(cell)} {
					require.NoError(t, accumulator.Commit(&record.Batch{From: now.Add(-time.Hour), To: now.Add(time.Duration(i) * time.Second), Now: now, Logins: logins, UpToDate: true}))
				}
				sum := 0.0
				for key, n := range counted(t, accumulator) {
					if strings.HasPrefix(key, "workspace_login_attempts_total") {
						sum += n
					}
				}
				assert.Equal(t, 1.0, sum)
			})
		}
	}
}

// A time that tells no zone is in that of its source, by pages and files alike, unless the
// title of its column names another.
func TestTimeZone(t *testing.T) {
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	require.NoError(t, err)
	want := time.Date(2024, 1, 5, 0, 3, 7, 0, time.UTC)
	for title, cells := range map[string][]string{
		"start_time":             {"2024-01-05 08:03:07", "2024-01-05T00:03:07Z", "45296.33549768519", "1704412987"},
		"Start time (UTC)":       {"2024-01-05 00:03:07", "2024-01-05T08:03:07+08:00"},
		"开始时间（UTC-05:00）":        {"2024-01-04 19:03:07"},
		"Start time (GMT+09:00)": {"2024-01-05 09:03:07", "45296.37716435185"},
	} {
		for _, cell := range cells {
			f := newTold(export.ColumnsOf(record.UserConnectionColumns))
			f.Zone = shanghai
			logins, _, err := f.read(t, "id,"+title+"\n1,"+cell+"\n")
			require.NoError(t, err)
			assert.Equal(t, want, logins[0].Start, "%s: %s", title, cell)
		}
	}
	var raw record.UserConnection
	raw.Set("start_time", "2024-01-05 08:03:07")
	list := ListOf(func(context.Context, workspace.PageQuery) (*workspace.Page[record.UserConnection], error) {
		return &workspace.Page[record.UserConnection]{Items: []record.UserConnection{raw}}, nil
	}, 1, shanghai, (*record.UserConnection).Login)
	_, logins, err := list.Get(t.Context(), workspace.PageQuery{})
	require.NoError(t, err)
	assert.Equal(t, want, logins[0].Start)
}

func TestFilesOfTheOtherSources(t *testing.T) {
	var sessions []record.Session
	file := "id,login_user,session_state,start_time\n1.2E+18,u1,InitFail,2024-01-05 08:03:07\n1.2E+18,u2,InitFail,2024-01-05 08:03:07\nTotal,,2,\n"
	f := newTold(export.ColumnsOf(record.SessionInfoColumns))
	report, err := FileOf(f.Files, (*record.SessionInfo).Session)(t.Context(), strings.NewReader(file), int64(len(file)), into(&sessions))
	require.NoError(t, err)
	require.Len(t, sessions, 3)
	assert.NotEqual(t, sessions[0].ID, sessions[1].ID)
	assert.True(t, sessions[2].Malformed)
	assert.Equal(t, 1, report.NoRecords)

	for _, file := range []string{
		"username,access_failed_count,last_access_failed_time\nu1,\"1,234\",2024-01-05 08:03:07\nu2,12.0,2024-01-05 08:03:07\nAll,1246,\n",
		"username,access_failed_count\nu1,\"1,234\"\nu2,12.0\n合计,1246\nTotal:,1246\n",
	} {
		var accesses []record.Access
		_, err = FileOf(newTold(export.ColumnsOf(record.AppUserAccessColumns)).Files, (*record.AppUserAccess).Access)(t.Context(), strings.NewReader(file), int64(len(file)), into(&accesses))
		require.NoError(t, err)
		sum, records := 0, 0
		for _, a := range accesses {
			if !a.Malformed {
				sum, records = sum+a.Failures, records+1
			}
		}
		assert.Equal(t, []int{1246, 2}, []int{sum, records}, file)
	}
}
