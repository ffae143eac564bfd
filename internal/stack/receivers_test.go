package stack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	routesExample = "../../dashboards/rules/alertmanager.example.yml"
	chinaExample  = "../../deploy/alertmanager/china.example.yml"
)

// inChina is the example with the receivers for China in place of its own.
func inChina(t *testing.T) string {
	t.Helper()
	example, err := os.ReadFile(routesExample)
	require.NoError(t, err)
	routes, rest, found := strings.Cut(string(example), "\nreceivers:\n")
	require.True(t, found)
	_, inhibitions, found := strings.Cut(rest, "\ninhibit_rules:\n")
	require.True(t, found)
	china, err := os.ReadFile(chinaExample)
	require.NoError(t, err)
	return routes + "\n" + string(china) + "\ninhibit_rules:\n" + inhibitions
}

// TestReceiversAreAccepted lets amtool read the receivers for Chinese chats, where they belong.
func TestReceiversAreAccepted(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs amtool")
	}
	run(t, tool(t, "amtool"), "check-config", writeFile(t, t.TempDir(), "alertmanager.yml", inChina(t)))
}

// chats stand in for WeCom's API and for the adapters of DingTalk and Feishu.
type chats struct {
	mu       sync.Mutex
	messages map[string]map[string]any // by path and query
}

func (c *chats) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/gettoken") {
		fmt.Fprint(w, `{"errcode": 0, "errmsg": "ok", "access_token": "T", "expires_in": 7200}`)
		return
	}
	body, _ := io.ReadAll(r.Body) // what is cut short is no JSON
	var message map[string]any
	if json.Unmarshal(body, &message) != nil {
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages[r.URL.RequestURI()] = message
	fmt.Fprint(w, `{"errcode": 0, "errmsg": "ok"}`)
}

// TestReceiversInRealServers sends one alert through a real Alertmanager with the example
// for Chinese chats.
func TestReceiversInRealServers(t *testing.T) {
	if !*servers {
		t.Skip("it needs Alertmanager: make test-stack")
	}
	t.Parallel()
	got := &chats{messages: map[string]map[string]any{}}
	server := httptest.NewServer(got)
	defer server.Close()
	config := strings.NewReplacer("http://dingtalk-adapter:8060", server.URL, "http://feishu-adapter:8080", server.URL, "group_wait: 30s", "group_wait: 1s").
		Replace(inChina(t)) + "\nglobal: {wechat_api_url: \"" + server.URL + "/cgi-bin/\"}\n"
	dir := t.TempDir()
	file := filepath.Join(dir, "alertmanager.yml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	alertmanager := start(t, "Alertmanager", tool(t, "prometheus-alertmanager"), "--config.file="+file, "--storage.path="+dir, "--cluster.listen-address=")

	alert := `[{"labels": {"alertname": "WorkspaceLoginFailureRatioHigh", "severity": "critical", "project": "p"},
		"annotations": {"summary": "很多人无法登录", "description": "57 % 失败", "dashboard_url": "http://d", "runbook_url": "http://r"}}]`
	response, err := http.Post(alertmanager.url+"/api/v2/alerts", "application/json", bytes.NewBufferString(alert))
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	alertmanager.wait(t, "has sent to all three", 30*time.Second, func() bool {
		got.mu.Lock()
		defer got.mu.Unlock()
		return len(got.messages) == 3
	})

	wecom := got.messages["/cgi-bin/message/send?access_token=T"]
	assert.Equal(t, "text", wecom["msgtype"])
	assert.Equal(t, "1", wecom["toparty"])
	content := wecom["text"].(map[string]any)["content"].(string)
	for _, part := range []string{"【告警】很多人无法登录", "57 % 失败", "仪表盘：http://d", "运维手册：http://r"} {
		assert.Contains(t, content, part)
	}
	for _, path := range []string{
		"/dingtalk/workspace/send",
		"/prometheusalert?type=fs&tpl=prometheus-fs&fsurl=https://open.feishu.cn/open-apis/bot/v2/hook/TOKEN",
	} {
		require.Contains(t, got.messages, path)
		assert.Equal(t, "很多人无法登录", got.messages[path]["commonAnnotations"].(map[string]any)["summary"])
	}
}
