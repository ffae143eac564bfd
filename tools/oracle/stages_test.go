package oracle

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	desktopmodel "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/workspace/v2/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
	"github.com/workspace-exporter/workspace_exporter/internal/source"
)

// TestSDKShowsStages asks for the stages of failed accesses by the SDK, and by our client, which
// finds the same stage.
func TestSDKShowsStages(t *testing.T) {
	s, url, from, to := start(t, simulator.Options{})
	desktops, client := desktopSDK(t, url), ours(t, url, "")
	asked := 0
	for _, d := range s.TruthDesktops(projectID, from, to) {
		if d.ConnectionFailureReason == "" || asked == 20 {
			continue
		}
		asked++
		shown, err := desktops.ShowUserAccessStages(&desktopmodel.ShowUserAccessStagesRequest{TransactionId: d.TransactionID})
		require.NoError(t, err)
		truth, ok := s.TruthStages(projectID, d.TransactionID)
		require.True(t, ok)
		assert.Equal(t, fields(t, truth), fields(t, shown))

		show := source.Named("desktop_connections").Stages.With("transaction_id", d.TransactionID)
		answer, err := workspace.Get[record.AccessStages](t.Context(), client, &show)
		require.NoError(t, err)
		last := truth.Stages[len(truth.Stages)-1]
		assert.Equal(t, record.StageOutcome{Result: record.StageFound, Stage: record.FailedStage{Stage: last.Stage, ErrorCode: last.ErrorCode}}, answer.Outcome())
	}
	assert.Greater(t, asked, 5)
	assert.Empty(t, s.Violations())

	_, err := desktops.ShowUserAccessStages(&desktopmodel.ShowUserAccessStagesRequest{TransactionId: "unknown"})
	var refused *sdkerr.ServiceResponseError
	require.True(t, errors.As(err, &refused), "%v", err)
	assert.Equal(t, 404, refused.StatusCode)
}

// Every field that the simulator writes of a stage is one of the SDK's, and so is each that
// we read.
func TestStageFieldsAreTheSDKs(t *testing.T) {
	names := func(stage reflect.Type) (list []string) {
		for i := range stage.NumField() {
			name, _, _ := strings.Cut(stage.Field(i).Tag.Get("json"), ",")
			list = append(list, name)
		}
		return list
	}
	known := names(reflect.TypeFor[desktopmodel.UserAccessStage]())
	assert.ElementsMatch(t, known, names(reflect.TypeFor[simulator.AccessStage]()))
	assert.Subset(t, known, record.AccessStageFields)
}
