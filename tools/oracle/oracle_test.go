package oracle

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdktime"
	workspaceapp "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/workspaceapp/v1"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/workspaceapp/v1/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/fetcher/workspace"
	"github.com/workspace-exporter/workspace_exporter/internal/record"
	"github.com/workspace-exporter/workspace_exporter/internal/simulator"
	"github.com/workspace-exporter/workspace_exporter/internal/source"
)

const (
	accessKey = "AK"
	secretKey = "SK"
	token     = "temporary+token/=="
)

// start serves a simulator whose clock stands still, and returns a window of an
// hour of its logins.
func start(t *testing.T, o simulator.Options) (s *simulator.Simulator, url string, from, to time.Time) {
	t.Helper()
	o.AccessKey, o.SecretKey = accessKey, secretKey
	o.Seed, o.LoginsPerHour, o.AllDay, o.History, o.TaskDuration = 3, 600, true, 2*time.Hour, -1
	now := time.Now().UTC().Truncate(time.Second) // the SDK's clock cannot be set
	o.Now = func() time.Time { return now }
	s = simulator.New(o)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	end := now.Truncate(time.Minute).Add(-30 * time.Minute) // desktop connections know whole minutes only
	return s, server.URL, end.Add(-time.Hour), end
}

// sdk is the vendor's client.
func sdk(t *testing.T, url string, secret, securityToken string) *workspaceapp.WorkspaceAppClient {
	t.Helper()
	credentials, err := basic.NewCredentialsBuilder().WithAk(accessKey).WithSk(secret).WithSecurityToken(securityToken).
		WithProjectId(simulator.DefaultProjectID).SafeBuild()
	require.NoError(t, err)
	builder := workspaceapp.WorkspaceAppClientBuilder().WithEndpoints([]string{url}).WithCredential(credentials)
	client, err := builder.SafeBuild()
	require.NoError(t, err)
	return workspaceapp.NewWorkspaceAppClient(client)
}

func listRequest(from, to time.Time, limit, offset int32) *model.ListUserConnectionRequest {
	start, end := sdktime.SdkTime(from), sdktime.SdkTime(to)
	return &model.ListUserConnectionRequest{
		Limit: &limit, Offset: &offset,
		Body: &model.ListUserConnectionReq{LoginStartTime: &start, LoginEndTime: &end},
	}
}

// listBySDK pages through a window.
func listBySDK(t *testing.T, client *workspaceapp.WorkspaceAppClient, from, to time.Time) []model.UserConnectionInfo {
	t.Helper()
	var all []model.UserConnectionInfo
	for {
		response, err := client.ListUserConnection(listRequest(from, to, 100, int32(len(all))))
		require.NoError(t, err)
		all = append(all, *response.Items...)
		if len(*response.Items) == 0 {
			require.Len(t, all, int(*response.Count))
			return all
		}
	}
}

// fields are those of a record that are not empty, by the API's names.
func fields(t *testing.T, v any) map[string]any {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	var m map[string]any
	require.NoError(t, json.Unmarshal(b, &m))
	for name, value := range m {
		if value == "" {
			delete(m, name)
		}
	}
	return m
}

func TestSDKGetsEveryRecord(t *testing.T) {
	for name, securityToken := range map[string]string{"permanent key": "", "temporary key": token} {
		t.Run(name, func(t *testing.T) {
			s, url, from, to := start(t, simulator.Options{SecurityToken: securityToken})
			got := listBySDK(t, sdk(t, url, secretKey, securityToken), from, to)
			want := s.Truth(simulator.DefaultProjectID, from, to)
			require.Greater(t, len(want), 400)
			require.Len(t, got, len(want))
			for i := range want {
				assert.Equal(t, fields(t, want[i]), fields(t, got[i]))
			}
			assert.Empty(t, s.Violations())
		})
	}
}

func TestSDKIsRefused(t *testing.T) {
	tests := map[string]struct {
		secret, token string
		limit         int32
		status        int
		code          string
	}{
		"wrong secret":      {"wrong", token, 10, 401, "APIGW.0301"},
		"no security token": {secretKey, "", 10, 401, "APIGW.0301"},
		"limit too large":   {secretKey, token, 101, 400, "WKS.0002"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, url, from, to := start(t, simulator.Options{SecurityToken: token})
			_, err := sdk(t, url, test.secret, test.token).ListUserConnection(listRequest(from, to, test.limit, 0))
			refused := refusal(t, err)
			assert.Equal(t, test.status, refused.StatusCode)
			assert.Equal(t, test.code, refused.ErrorCode)
			assert.NotEmpty(t, refused.RequestId)
		})
	}
}

// TestOurClientAgreesWithSDK gets the same records through both clients.
func TestOurClientAgreesWithSDK(t *testing.T) {
	for name, securityToken := range map[string]string{"permanent key": "", "temporary key": token} {
		t.Run(name, func(t *testing.T) {
			s, url, from, to := start(t, simulator.Options{SecurityToken: securityToken})
			got := listByOurs(t, url, securityToken, from, to)
			want := listBySDK(t, sdk(t, url, secretKey, securityToken), from, to)
			require.Len(t, got, len(want))
			for i := range want {
				var c record.UserConnection
				for name, value := range fields(t, want[i]) {
					c.Set(name, value.(string))
				}
				assert.Equal(t, c.Login(), got[i].Login())
			}
			assert.Empty(t, s.Violations())
		})
	}
}

// ours is the product's client.
func ours(t *testing.T, url, securityToken string) *workspace.Client {
	t.Helper()
	is := func(s string) func() (string, error) { return func() (string, error) { return s, nil } }
	credentials := workspace.AKSK(is(accessKey), is(secretKey), nil)
	if securityToken != "" {
		credentials = workspace.AKSK(is(accessKey), is(secretKey), is(securityToken))
	}
	client, err := workspace.New(workspace.Options{
		ProjectID:         simulator.DefaultProjectID,
		Endpoints:         workspace.Endpoints{AppStream: url},
		Credentials:       credentials,
		RequestsPerSecond: 1000,
	})
	require.NoError(t, err)
	return client
}

func listByOurs(t *testing.T, url, securityToken string, from, to time.Time) []record.UserConnection {
	t.Helper()
	client := ours(t, url, securityToken)
	list := workspace.List[record.UserConnection]{Operation: *source.Named("user_connections").List, Count: "count", Items: "items"}
	var all []record.UserConnection
	for {
		page, err := list.Page(t.Context(), client, workspace.PageQuery{From: from, To: to, Limit: 100, Offset: len(all)})
		require.NoError(t, err)
		all = append(all, page.Items...)
		if len(page.Items) == 0 {
			require.Len(t, all, page.Count)
			return all
		}
	}
}
