package oracle

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdktime"
	desktop "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/workspace/v2"
	desktopmodel "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/workspace/v2/model"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/workspaceapp/v1/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/export"
	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
	"github.com/workspace-exporter/workspace_exporter/internal/source"
)

const projectID = simulator.DefaultProjectID

// desktopSDK is the vendor's client of the service "workspace".
func desktopSDK(t *testing.T, url string) *desktop.WorkspaceClient {
	t.Helper()
	credentials, err := basic.NewCredentialsBuilder().WithAk(accessKey).WithSk(secretKey).WithProjectId(projectID).SafeBuild()
	require.NoError(t, err)
	client, err := desktop.WorkspaceClientBuilder().WithEndpoints([]string{url}).WithCredential(credentials).SafeBuild()
	require.NoError(t, err)
	return desktop.NewWorkspaceClient(client)
}

// pages reads a list by pages of 100 until one is empty.
func pages[T any](t *testing.T, page func(offset int32) (count *int32, items *[]T, err error)) []T {
	t.Helper()
	var all []T
	for {
		count, items, err := page(int32(len(all)))
		require.NoError(t, err)
		all = append(all, *items...)
		if len(*items) == 0 {
			require.Len(t, all, int(*count))
			return all
		}
	}
}

func assertSame[A, B any](t *testing.T, want []A, got []B) {
	t.Helper()
	require.Greater(t, len(want), 10)
	require.Len(t, got, len(want))
	for i := range want {
		assert.Equal(t, fields(t, want[i]), fields(t, got[i]))
	}
}

func in(layout string, t time.Time) *string {
	text := t.Format(layout)
	return &text
}

const (
	seconds = "2006-01-02T15:04:05Z"
	millis  = "2006-01-02T15:04:05.000Z"
	minutes = "2006-01-02T15:04Z"
)

// TestSDKListsEveryKind pages through the lists beside that of login records.
func TestSDKListsEveryKind(t *testing.T) {
	s, url, from, to := start(t, simulator.Options{})
	app, client := sdk(t, url, secretKey, ""), desktopSDK(t, url)
	limit := int32(100)

	sessions := pages(t, func(offset int32) (*int32, *[]model.SessionInfo, error) {
		response, err := app.ListSessions(&model.ListSessionsRequest{
			Limit: &limit, Offset: &offset, QueryBeginTime: *in(millis, from), QueryEndTime: *in(millis, to),
		})
		return response.Count, response.Items, err
	})
	assertSame(t, s.TruthSessions(projectID, from, to), sessions)

	desktops := pages(t, func(offset int32) (*int32, *[]desktopmodel.Record, error) {
		response, err := client.ListLoginRecordsNew(&desktopmodel.ListLoginRecordsNewRequest{
			Limit: &limit, Offset: &offset, StartTime: in(minutes, from), EndTime: in(minutes, to),
		})
		return response.TotalCount, response.Records, err
	})
	assertSame(t, s.TruthDesktops(projectID, from, to), desktops)

	access := pages(t, func(offset int32) (*int32, *[]desktopmodel.AppUserAccessData, error) {
		response, err := client.ListAppUserAccessData(&desktopmodel.ListAppUserAccessDataRequest{
			Limit: &limit, Offset: &offset, StartTime: *in(seconds, from), EndTime: *in(seconds, to),
		})
		return response.Count, response.Items, err
	})
	assertSame(t, s.TruthAccess(projectID, from, to), access)
	assert.Empty(t, s.Violations())
}

// exportsBySDK makes an export task of each kind and returns their ids.
func exportsBySDK(t *testing.T, url string, from, to time.Time) (ids []string) {
	t.Helper()
	app, client := sdk(t, url, secretKey, ""), desktopSDK(t, url)
	first, last := sdktime.SdkTime(from), sdktime.SdkTime(to)
	logins, err := app.ExportUserConnection(&model.ExportUserConnectionRequest{
		Body: &model.ListUserConnectionReq{LoginStartTime: &first, LoginEndTime: &last},
	})
	require.NoError(t, err)
	sessions, err := app.ExportSessions(&model.ExportSessionsRequest{
		Body: &model.ExportSessionsReq{QueryBeginTime: &first, QueryEndTime: &last},
	})
	require.NoError(t, err)
	access, err := client.ExportAppUserAccessData(&desktopmodel.ExportAppUserAccessDataRequest{
		Body: &desktopmodel.ExportAppUserAccessDataRequestBody{StartTime: *in(seconds, from), EndTime: *in(seconds, to)},
	})
	require.NoError(t, err)
	desktops, err := client.ExportUserConnectionNew(&desktopmodel.ExportUserConnectionNewRequest{
		StartTime: in(seconds, from), EndTime: in(seconds, to),
	})
	require.NoError(t, err)
	return []string{*logins.TaskId, *sessions.TaskId, *access.TaskId, *desktops.TaskId}
}

// TestSDKExports follows a task of each kind through its life. The SDK takes every
// answer for JSON and fails on a file, so that only the file's status is seen.
func TestSDKExports(t *testing.T) {
	s, url, from, to := start(t, simulator.Options{File: simulator.FileFormat{Kind: simulator.CSV}})
	client := desktopSDK(t, url)
	ids := exportsBySDK(t, url, from, to)
	tasks := s.Tasks(projectID)
	listed, err := client.ListExportTasks(&desktopmodel.ListExportTasksRequest{})
	require.NoError(t, err)
	require.Len(t, *listed.ExportTasks, len(ids))
	assert.EqualValues(t, len(ids), *listed.Count)
	for i, id := range ids {
		assert.Equal(t, id, *(*listed.ExportTasks)[i].TaskId)
		assert.Equal(t, fields(t, tasks[i]), fields(t, (*listed.ExportTasks)[i]))
		_, err := client.DownloadExportFile(&desktopmodel.DownloadExportFileRequest{TaskId: id})
		assert.Equal(t, 200, refusal(t, err).StatusCode)
	}
	_, err = client.ExportUserLoginInfoNew(&desktopmodel.ExportUserLoginInfoNewRequest{StartTime: in(minutes, from), EndTime: in(minutes, to)})
	assert.Equal(t, 200, refusal(t, err).StatusCode)

	_, err = client.DeleteExportTasks(&desktopmodel.DeleteExportTasksRequest{Body: &desktopmodel.DeleteExportTaskRequestBody{TaskIds: &ids}})
	require.NoError(t, err)
	assert.Empty(t, s.Tasks(projectID))
	assert.Empty(t, s.Violations())
	_, err = client.DownloadExportFile(&desktopmodel.DownloadExportFileRequest{TaskId: ids[0]})
	assert.Equal(t, 404, refusal(t, err).StatusCode)
}

// refusal is the error of a call that was answered.
func refusal(t *testing.T, err error) *sdkerr.ServiceResponseError {
	t.Helper()
	var refused *sdkerr.ServiceResponseError
	require.ErrorAs(t, err, &refused)
	return refused
}

// TestSDKSeesFailure reads a failed task.
func TestSDKSeesFailure(t *testing.T) {
	s, url, from, to := start(t, simulator.Options{})
	s.AddFault(simulator.Fault{Kind: simulator.FaultTaskFail, Times: 1, Message: "no space", Code: "WKS.1"})
	ids := exportsBySDK(t, url, from, to)
	failed := desktopmodel.GetListExportTasksRequestStatusEnum().FAIL
	listed, err := desktopSDK(t, url).ListExportTasks(&desktopmodel.ListExportTasksRequest{Status: &failed})
	require.NoError(t, err)
	require.Len(t, *listed.ExportTasks, 1)
	task := (*listed.ExportTasks)[0]
	assert.Equal(t, []string{ids[0], "no space", "WKS.1"}, []string{*task.TaskId, *task.FailReason, *task.ErrorCode})
}

// TestOurFilesAgree downloads a file of each kind with the product's client, in each
// flavour, and reads it with the product's reader: it holds what the API lists.
func TestOurFilesAgree(t *testing.T) {
	for name, format := range map[string]simulator.FileFormat{
		"workbook":   {},
		"fields":     {Kind: simulator.CSV, Header: simulator.FieldHeader, Shuffled: true},
		"semicolons": {Kind: simulator.CSV, Separator: ';', Charset: simulator.UTF8BOM, Titles: []string{"Export", ""}},
		"Chinese":    {Kind: simulator.CSV, Separator: '\t', Charset: simulator.GB18030, Header: simulator.ChineseHeader},
	} {
		t.Run(name, func(t *testing.T) {
			s, url, _, to := start(t, simulator.Options{File: format})
			from := to.Add(-20 * time.Minute)
			client := ours(t, url, "")
			language := map[simulator.Header]string{simulator.ChineseHeader: "zh_CN"}[format.Header]
			if language == "" {
				language = "en_US"
			}
			download := func(id string, err error) []byte {
				t.Helper()
				require.NoError(t, err)
				var file bytes.Buffer
				require.NoError(t, client.DownloadExport(t.Context(), id, &file, 1<<24))
				require.NoError(t, client.DeleteExportTask(t.Context(), id))
				return file.Bytes()
			}
			create := func(name string) (string, error) {
				export := *source.Named(name).Export
				if name == "desktop_connections" {
					export = export.With("language", language)
				}
				return client.CreateExportTask(t.Context(), &export, from, to)
			}
			assertFile(t, s.Truth(projectID, from, to), download(create("user_connections")), source.Named("user_connections").Columns)
			assertFile(t, s.TruthSessions(projectID, from, to), download(create("sessions")), source.Named("sessions").Columns)
			assertFile(t, s.TruthAccess(projectID, from, to), download(create("access_statistics")), source.Named("access_statistics").Columns)
			desktops := s.TruthDesktops(projectID, from, to)
			assertFile(t, desktops, download(create("desktop_connections")), source.Named("desktop_connections").Columns)
			var file bytes.Buffer
			inFile := source.Named("desktop_connections").Download.With("language", language)
			require.NoError(t, client.DownloadFile(t.Context(), &inFile, from, to, &file, 1<<24))
			assertFile(t, desktops, file.Bytes(), source.Named("desktop_connections").Columns)
			assert.Empty(t, s.Tasks(projectID))
			assert.Empty(t, s.Violations())
		})
	}
}

// assertFile wants each row of a file to be the record of its place, as far as the
// reader knows its fields.
func assertFile[T any](t *testing.T, want []T, file []byte, columns export.Columns) {
	t.Helper()
	require.NotEmpty(t, want)
	i, known := 0, columns.Fields()
	_, err := export.ReadTable(bytes.NewReader(file), int64(len(file)), columns, func(r export.Row) error {
		row := r.Fields
		require.Less(t, i, len(want))
		record, got := fields(t, want[i]), map[string]any{}
		for _, f := range row {
			got[f.Name] = f.Value
		}
		for name, value := range record {
			if record[name] = asText(value); !slices.Contains(known, name) {
				delete(record, name)
			}
		}
		require.Equal(t, record, got)
		i++
		return nil
	})
	require.NoError(t, err)
	assert.Len(t, want, i)
}

// asText writes a JSON value as a file does.
func asText(v any) string {
	if number, ok := v.(float64); ok {
		return strconv.Itoa(int(number))
	}
	return fmt.Sprint(v)
}
