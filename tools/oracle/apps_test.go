package oracle

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdktime"
	desktopmodel "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/workspace/v2/model"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/workspaceapp/v1/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// appRequest is what the vendor's SDK asks for of the use of applications.
func appRequest(from, to time.Time) *model.ListAppConnectionReq {
	first, last := sdktime.SdkTime(from), sdktime.SdkTime(to)
	return &model.ListAppConnectionReq{BrokeringStartTime: &first, BrokeringEndTime: &last}
}

// useOf is the use of an application as it is compared: the SDK writes times without their
// fractions of a second.
func useOf(t *testing.T, record any) map[string]any {
	t.Helper()
	use := fields(t, record)
	for _, name := range []string{"brokering_time", "end_time"} {
		if text, ok := use[name].(string); ok {
			use[name] = inSeconds(t, text)
		}
	}
	return use
}

func inSeconds(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		at, err = time.Parse(time.DateTime, text)
	}
	require.NoError(t, err)
	return at.UTC().Truncate(time.Second)
}

// TestSDKListsApps pages through the use of applications, and makes an export task.
func TestSDKListsApps(t *testing.T) {
	s, url, from, to := start(t, simulator.Options{})
	app, limit := sdk(t, url, secretKey, ""), int32(100)
	got := pages(t, func(offset int32) (*int32, *[]model.AppConnectionInfo, error) {
		response, err := app.ListAppConnection(&model.ListAppConnectionRequest{Limit: &limit, Offset: &offset, Body: appRequest(from, to)})
		return response.Count, response.Items, err
	})
	want := s.TruthApps(projectID, from, to)
	require.Greater(t, len(want), 100)
	require.Len(t, got, len(want))
	for i := range want {
		assert.Equal(t, useOf(t, want[i]), useOf(t, got[i]))
	}

	export, err := app.ExportAppConnection(&model.ExportAppConnectionRequest{Body: appRequest(from, to)})
	require.NoError(t, err)
	tasks, err := desktopSDK(t, url).ListExportTasks(&desktopmodel.ListExportTasksRequest{TaskId: export.TaskId})
	require.NoError(t, err)
	require.Len(t, *tasks.ExportTasks, 1)
	assert.Empty(t, s.Violations())
}

// Every field that we read is one of the SDK's.
func TestAppFieldsAreTheSDKs(t *testing.T) {
	var known []string
	info := reflect.TypeFor[model.AppConnectionInfo]()
	for i := range info.NumField() {
		name, _, _ := strings.Cut(info.Field(i).Tag.Get("json"), ",")
		known = append(known, name)
	}
	assert.Subset(t, append(known, "connection_status"), record.AppConnectionFields, "a status is in files alone")
}
