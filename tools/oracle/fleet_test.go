package oracle

import (
	"testing"

	desktopmodel "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/workspace/v2/model"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/workspaceapp/v1/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
)

// TestSDKListsServers reads servers, their groups and what holds for the tenant.
func TestSDKListsServers(t *testing.T) {
	s, url, _, _ := start(t, simulator.Options{})
	app := sdk(t, url, secretKey, "")
	limit := int32(100)
	servers := pages(t, func(offset int32) (*int32, *[]model.ServerHdaDetails, error) {
		response, err := app.ListServerHdaDetails(&model.ListServerHdaDetailsRequest{Limit: &limit, Offset: &offset})
		return response.Count, response.Items, err
	})
	assertSame(t, s.TruthServers(projectID), servers)

	groups := pages(t, func(offset int32) (*int32, *[]model.ServerGroup, error) {
		response, err := app.ListServerGroups(&model.ListServerGroupsRequest{Limit: &limit, Offset: &offset})
		return response.Count, response.Items, err
	})
	truth := s.TruthServerGroups(projectID)
	require.Len(t, groups, len(truth))
	policies := 0
	for i, want := range truth {
		shown, err := app.ShowServerGroup(&model.ShowServerGroupRequest{ServerGroupId: want.ID})
		require.NoError(t, err)
		assert.Equal(t, fields(t, want), fields(t, shown))
		if want.RoutePolicy != nil {
			policies++
		}
		want.RoutePolicy = nil
		assert.Equal(t, fields(t, want), fields(t, groups[i]))
	}
	assert.NotZero(t, policies)
	assert.Less(t, policies, len(groups))

	restrict, err := app.ShowServerGroupRestrict(&model.ShowServerGroupRestrictRequest{})
	require.NoError(t, err)
	assert.Positive(t, *restrict.MaxSession)
	latest, err := app.ShowAccessAgentLatestVersion(&model.ShowAccessAgentLatestVersionRequest{})
	require.NoError(t, err)
	assert.NotEmpty(t, *latest.LatestVersion)
	assert.Empty(t, s.Violations())
}

// TestSDKCountsDesktops asks for the numbers of desktops, with arrays as the SDK sends them.
func TestSDKCountsDesktops(t *testing.T) {
	s, url, _, _ := start(t, simulator.Options{})
	types := desktopmodel.GetListDesktopsStatisticsRequestStatisticsTypeEnum()
	every := []desktopmodel.ListDesktopsStatisticsRequestStatisticsType{types.ATTACH_STATE, types.LOGIN_STATE, types.RUN_STATE}
	pooled := []string{"POOLED"}
	dedicated, pools := s.TruthDesktopStatistics(projectID)
	require.Greater(t, len(pools), 1)

	all, err := desktopSDK(t, url).ListDesktopsStatistics(&desktopmodel.ListDesktopsStatisticsRequest{StatisticsType: &every})
	require.NoError(t, err)
	byPool, err := desktopSDK(t, url).ListDesktopsStatistics(&desktopmodel.ListDesktopsStatisticsRequest{DesktopType: &pooled, StatisticsType: &every})
	require.NoError(t, err)
	require.Len(t, *byPool.DesktopPoolStatistics, len(pools))
	total := dedicated.TotalNum
	for i, want := range pools {
		assert.Equal(t, fields(t, want), fields(t, (*byPool.DesktopPoolStatistics)[i]))
		total += want.TotalNum
	}
	assert.EqualValues(t, total, *all.TotalNum)
	assert.NotNil(t, all.LoginStateStatistics)
	assert.Empty(t, s.Violations())
}
