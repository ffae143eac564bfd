package simulator

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	v1 = "/v1/" + DefaultProjectID
	v2 = "/v2/" + DefaultProjectID
	v3 = "/v3/" + DefaultProjectID

	sessionsPath = v1 + "/session/list-sessions"
	appsPath     = v1 + "/session/app-connection"
	accessPath   = v2 + "/statistics/metrics/app-user-access"
	desktopsPath = v2 + "/connections/desktops"
	tasksPath    = v2 + "/export-tasks"
	serversPath  = v1 + "/app-servers/access-agent"
	groupsPath   = v1 + "/app-server-groups"
	numbersPath  = v2 + "/statistics"
	stagesPath   = v2 + "/statistics/metrics/access-stages"
	desktopTasks = v3 + "/desktops/connections/export"

	sessionHour = "?query_begin_time=2026-03-11T11:00:00.000Z&query_end_time=2026-03-11T12:00:00.000Z"
	accessHour  = "?start_time=2026-03-11T11:00:00Z&end_time=2026-03-11T12:00:00Z"
	desktopHour = "?start_time=2026-03-11T11:00Z&end_time=2026-03-11T12:00Z"

	sessionBody = `{"query_begin_time":"2026-03-11T11:00:00.000Z","query_end_time":"2026-03-11T12:00:00.000Z"}`
	appBody     = `{"brokering_start_time":"2026-03-11T11:00:00Z","brokering_end_time":"2026-03-11T12:00:00Z"}`
	accessBody  = `{"start_time":"2026-03-11T11:00:00Z","end_time":"2026-03-11T12:00:00Z"}`
)

func newRequest(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Auth-Token", "static")
	return r
}

func get(target string) *http.Request        { return newRequest(http.MethodGet, target, "") }
func post(target, body string) *http.Request { return newRequest(http.MethodPost, target, body) }

// ask wants an answer and reads its JSON.
func ask[T any](t *testing.T, s *Simulator, r *http.Request) (v T) {
	t.Helper()
	w := serve(s, r)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v))
	return v
}

// goodCalls are a right request for each call, by its route's path, that want an
// answer of 200 from a simulator without tasks.
func goodCalls() map[string]func() *http.Request {
	return map[string]func() *http.Request{
		"/v3/auth/tokens":                                     func() *http.Request { return tokenCall("password", DefaultProjectID) },
		"/v1/{project_id}/session/user-connection":            func() *http.Request { return newCall("", `{}`) },
		"/v1/{project_id}/session/user-connection/export":     func() *http.Request { return post(listPath+"/export", `{}`) },
		"/v1/{project_id}/session/list-sessions":              func() *http.Request { return get(sessionsPath + sessionHour) },
		"/v1/{project_id}/session/list-sessions/export":       func() *http.Request { return post(sessionsPath+"/export", sessionBody) },
		"/v1/{project_id}/session/app-connection":             func() *http.Request { return post(appsPath, `{}`) },
		"/v1/{project_id}/session/app-connection/export":      func() *http.Request { return post(appsPath+"/export", appBody) },
		"/v2/{project_id}/statistics/metrics/app-user-access": func() *http.Request { return get(accessPath + accessHour) },
		"/v2/{project_id}/statistics/metrics/app-user-access/export": func() *http.Request {
			return post(accessPath+"/export", accessBody)
		},
		"/v2/{project_id}/connections/desktops":                    func() *http.Request { return get(desktopsPath + desktopHour) },
		"/v2/{project_id}/connections/desktops/export":             func() *http.Request { return get(desktopsPath + "/export" + desktopHour) },
		"/v3/{project_id}/desktops/connections/export":             func() *http.Request { return get(desktopTasks + accessHour) },
		"/v1/{project_id}/app-servers/access-agent/list":           func() *http.Request { return get(serversPath + "/list") },
		"/v1/{project_id}/app-servers/access-agent/latest-version": func() *http.Request { return get(serversPath + "/latest-version") },
		"/v1/{project_id}/app-server-groups":                       func() *http.Request { return get(groupsPath) },
		"/v1/{project_id}/app-server-groups/{server_group_id}": func() *http.Request {
			return get(groupsPath + "/g")
		},
		"/v1/{project_id}/app-server-groups/resources/restrict": func() *http.Request { return get(groupsPath + "/resources/restrict") },
		"/v2/{project_id}/statistics":                           func() *http.Request { return get(numbersPath) },
		"/v2/{project_id}/statistics/metrics/access-stages":     func() *http.Request { return get(stagesPath + "?transaction_id=t") },
		"/v2/{project_id}/export-tasks":                         func() *http.Request { return get(tasksPath) },
		"/v2/{project_id}/export-tasks/batch-delete":            func() *http.Request { return post(tasksPath+"/batch-delete", `{"task_ids":["a"]}`) },
	}
}

// TestEveryRouteIsGuarded sends each call right, and then corrupted in each way that
// no call may accept.
func TestEveryRouteIsGuarded(t *testing.T) {
	const download = "/v2/{project_id}/export-tasks/{task_id}/download"
	calls := goodCalls()
	for _, route := range routes {
		if route.path == download {
			continue // it needs a task: see TestTaskLife
		}
		t.Run(strings.TrimPrefix(route.path, "/"), func(t *testing.T) {
			require.Contains(t, calls, route.path)
			status := func(o Options, corrupt func(*http.Request)) int {
				r := calls[route.path]()
				corrupt(r)
				s := New(o)
				s.PutServerGroups(DefaultProjectID, ServerGroup{ID: "g"})
				s.PutStages(DefaultProjectID, "t", AccessStages{})
				return serve(s, r).Code
			}
			o := everything(&clock{noon})
			o.Users, o.Servers = 1, 1
			want := http.StatusOK
			if route.public {
				want = http.StatusCreated
			}
			assert.Equal(t, want, status(o, func(*http.Request) {}))
			assert.Equal(t, 405, status(o, func(r *http.Request) { r.Method = http.MethodPut }))
			assert.Equal(t, 415, status(o, func(r *http.Request) { r.Header.Del("Content-Type") }))
			assert.Equal(t, 400, status(o, func(r *http.Request) { r.URL.RawQuery += "&surprise=1" }))
			assert.Equal(t, 400, status(o, func(r *http.Request) { r.URL.RawQuery = "a=%zz" }))
			other := `{"no":"body"}`
			if route.body {
				other = " "
			}
			assert.Equal(t, 400, status(o, func(r *http.Request) { r.Body = newCall("", other).Body }))
			if route.public {
				return
			}
			assert.Equal(t, 401, status(o, func(r *http.Request) { r.Header.Del("X-Auth-Token") }))
			assert.Equal(t, 404, status(o, func(r *http.Request) {
				r.URL.Path = strings.Replace(r.URL.Path, DefaultProjectID, "another", 1)
			}))
			if route.permission != "" {
				o.Denied = []string{route.permission}
				assert.Equal(t, 403, status(o, func(*http.Request) {}))
			}
		})
	}
	assert.Len(t, routes, len(calls)+1)
}

func TestStrictParameters(t *testing.T) {
	body := func(path, body string) *http.Request { return post(path+"/export", body) }
	tests := map[string]struct {
		request *http.Request
		message string // of the refusal; empty: it is accepted
	}{
		"export of logins, window":        {body(listPath, window(noon.Add(-time.Hour), noon)), ""},
		"export of logins, start alone":   {body(listPath, `{"login_start_time":"2026-03-11T11:00:00Z"}`), "together"},
		"export of logins, 31 days ago":   {body(listPath, window(noon.AddDate(0, 0, -31), noon.AddDate(0, 0, -30))), "last 30 days"},
		"export of logins, unknown field": {body(listPath, `{"query_begin_time":"x"}`), "query_begin_time"},
		"export of logins, limit":         {post(listPath+"/export?limit=10", `{}`), "limit"},
		"export of logins, body an array": {body(listPath, `[]`), "object"},
		"export of logins, two bodies":    {body(listPath, `{}{}`), "one JSON object"},

		"export of sessions, no window":     {body(sessionsPath, `{}`), ""},
		"export of sessions, SDK's form":    {body(sessionsPath, `{"query_begin_time":"2026-03-11T11:00:00Z","query_end_time":"2026-03-11T12:00:00Z"}`), ""},
		"export of sessions, filters":       {body(sessionsPath, `{"session_state":"Active,Disconnected","is_success":"true","vm_ip":"1.2.3.4"}`), ""},
		"export of sessions, begin alone":   {body(sessionsPath, `{"query_begin_time":"2026-03-11T11:00:00.000Z"}`), "together"},
		"export of sessions, blank in time": {body(sessionsPath, strings.ReplaceAll(sessionBody, "T", " ")), "must look like 2022-10-31T08:07:39.182Z or 2022-10-31T08:07:39Z"},
		"export of sessions, end first":     {body(sessionsPath, `{"query_begin_time":"2026-03-11T11:00:00.001Z","query_end_time":"2026-03-11T11:00:00.000Z"}`), "after"},
		"export of sessions, too long ago":  {body(sessionsPath, `{"query_begin_time":"2026-02-09T11:59:59.999Z","query_end_time":"2026-03-01T11:00:00.000Z"}`), "last 30 days"},
		"export of sessions, state":         {body(sessionsPath, `{"session_state":"Active, Disconnected"}`), "session_state"},
		"export of sessions, is_success":    {body(sessionsPath, `{"is_success":"yes"}`), "is_success"},
		"export of sessions, boolean":       {body(sessionsPath, `{"is_success":true}`), "strings"},
		"export of sessions, login fields":  {body(sessionsPath, `{"login_start_time":"x"}`), "login_start_time"},

		"sessions":             {get(sessionsPath + sessionHour + "&limit=100&offset=7&session_state=InitFail"), ""},
		"sessions, no window":  {get(sessionsPath), "mandatory"},
		"sessions, no end":     {get(sessionsPath + "?query_begin_time=2026-03-11T11:00:00.000Z"), "mandatory"},
		"sessions, limit 0":    {get(sessionsPath + sessionHour + "&limit=0"), "limit"},
		"sessions, limit 101":  {get(sessionsPath + sessionHour + "&limit=101"), "limit"},
		"sessions, is_success": {get(sessionsPath + sessionHour + "&is_success=1"), "is_success"},

		"applications":                       {post(appsPath+"?limit=100&offset=7", appBody), ""},
		"applications, blank in time":        {post(appsPath, strings.ReplaceAll(strings.ReplaceAll(appBody, "Z", ""), "11T", "11 ")), ""},
		"applications, filters":              {post(appsPath, `{"client_type":"Mac","user_name":"u","app_name":"n","failed_code":"1","sid":"s","app_group_id":"1","public_ip":"p"}`), ""},
		"applications, limit 101":            {post(appsPath+"?limit=101", appBody), "limit"},
		"applications, limit 0":              {post(appsPath+"?limit=0", appBody), "limit"},
		"applications, milliseconds":         {post(appsPath, strings.ReplaceAll(appBody, "00Z", "00.000Z")), "must look like"},
		"applications, end alone":            {post(appsPath, `{"brokering_end_time":"2026-03-11T11:00:00Z"}`), "together"},
		"applications, long ago":             {post(appsPath, `{"brokering_start_time":"2026-02-01T11:00:00Z","brokering_end_time":"2026-02-01T12:00:00Z"}`), "last 30 days"},
		"applications, login fields":         {post(appsPath, window(noon.Add(-time.Hour), noon)), "login_"},
		"applications, answer fields":        {post(appsPath, `{"brokering_time":"2026-03-11T11:00:00Z"}`), "brokering_time"},
		"applications, client type":          {post(appsPath, `{"client_type":"Windows 10"}`), "client_type"},
		"applications, long version":         {post(appsPath, `{"agent_version":"`+strings.Repeat("1", 51)+`"}`), "agent_version"},
		"applications, number":               {post(appsPath, `{"app_group_id":1}`), "strings"},
		"export of applications":             {body(appsPath, `{}`), ""},
		"export of applications, limit":      {post(appsPath+"/export?limit=10", `{}`), "limit"},
		"export of applications, with blank": {body(appsPath, `{"brokering_start_time":" ","brokering_end_time":" "}`), "must look like"},

		"export of statistics, sorted":          {body(accessPath, `{"start_time":"2026-03-11T11:00:00Z","end_time":"2026-03-11T12:00:00Z","sort_field":"access_failed_count","sort_type":"DESC","username":"u"}`), ""},
		"export of statistics, no window":       {body(accessPath, `{}`), "mandatory"},
		"export of statistics, no end":          {body(accessPath, `{"start_time":"2026-03-11T11:00:00Z"}`), "mandatory"},
		"export of statistics, milliseconds":    {body(accessPath, `{"start_time":"2026-03-11T11:00:00.000Z","end_time":"2026-03-11T12:00:00Z"}`), "start_time must look like"},
		"export of statistics, 31 days":         {body(accessPath, `{"start_time":"2026-02-01T11:00:00Z","end_time":"2026-03-11T12:00:00Z"}`), "30 days"},
		"export of statistics, sort_type alone": {body(accessPath, `{"start_time":"2026-03-11T11:00:00Z","end_time":"2026-03-11T12:00:00Z","sort_type":"DESC"}`), "together with sort_field"},
		"export of statistics, sort_type":       {body(accessPath, `{"start_time":"2026-03-11T11:00:00Z","end_time":"2026-03-11T12:00:00Z","sort_field":"access_failed_count","sort_type":"desc"}`), "sort_type"},
		"export of statistics, sort_field":      {body(accessPath, `{"start_time":"2026-03-11T11:00:00Z","end_time":"2026-03-11T12:00:00Z","sort_field":"username"}`), "sort_field"},

		"access":            {get(accessPath + accessHour + "&limit=100&sort_field=last_access_failed_time&sort_type=ASC"), ""},
		"access, no window": {get(accessPath), "mandatory"},
		"access, limit 101": {get(accessPath + accessHour + "&limit=101"), "limit"},
		"access, sort_type": {get(accessPath + accessHour + "&sort_type=ASC"), "sort_field"},

		"file of desktops, no window":   {get(desktopsPath + "/export"), ""},
		"file of desktops, filters":     {get(desktopsPath + "/export" + desktopHour + "&user_name=u&computer_name=c&terminal_type=Mac&language=zh_CN"), ""},
		"file of desktops, long ago":    {get(desktopsPath + "/export?start_time=2020-04-13T01:59Z&end_time=2020-04-30T02:20Z"), ""},
		"file of desktops, start alone": {get(desktopsPath + "/export?start_time=2026-03-11T11:00Z"), "together"},
		"file of desktops, seconds":     {get(desktopsPath + "/export" + accessHour), "must look like 2022-10-31T08:07Z"},
		"file of desktops, language":    {get(desktopsPath + "/export?language=de_DE"), "language"},
		"file of desktops, end first":   {get(desktopsPath + "/export?start_time=2026-03-11T11:01Z&end_time=2026-03-11T11:00Z"), "after"},
		"file of desktops, limit":       {get(desktopsPath + "/export?limit=10"), "limit"},
		"file of desktops, RTT":         {get(desktopsPath + "/export?min_e2e_rtt=1"), "min_e2e_rtt"},

		"desktops":            {get(desktopsPath + desktopHour + "&limit=1000&offset=3&min_network_rtt=1&max_network_rtt=50&public_ip=p"), ""},
		"desktops, limit 0":   {get(desktopsPath + desktopHour + "&limit=0"), ""},
		"desktops, no window": {get(desktopsPath), ""},
		"desktops, end alone": {get(desktopsPath + "?end_time=2026-03-11T11:00Z"), "together"},
		"desktops, limit":     {get(desktopsPath + "?limit=1001"), "limit"},
		"desktops, RTT":       {get(desktopsPath + "?min_network_rtt=fast"), "min_network_rtt"},
		"desktops, language":  {get(desktopsPath + "?language=zh_CN"), "language"},

		"v3 no window":   {get(desktopTasks), ""},
		"v3 start alone": {get(desktopTasks + "?start_time=2026-03-11T11:00:00Z"), ""},
		"v3 end alone":   {get(desktopTasks + "?end_time=2026-03-11T11:00:00Z&max_e2e_rtt=100&domain=corp.example"), ""},
		"v3 minutes":     {get(desktopTasks + desktopHour), "must look like 2022-10-31T08:07:39Z"},
		"v3 long ago":    {get(desktopTasks + "?start_time=2026-02-01T11:00:00Z"), "30 days"},
		"v3 language":    {get(desktopTasks + "?language=en"), "language"},

		"servers":                {get(serversPath + "/list?limit=100&offset=3&server_name=A"), ""},
		"servers, limit 0":       {get(serversPath + "/list?limit=0"), "limit"},
		"servers, limit 101":     {get(serversPath + "/list?limit=101"), "limit"},
		"servers, window":        {get(serversPath + "/list" + accessHour), "unknown parameter"},
		"latest version, limit":  {get(serversPath + "/latest-version?limit=1"), "limit"},
		"groups":                 {get(groupsPath + "?limit=100&offset=0&app_type=COMMON_APP&is_secondary_server_group=false"), ""},
		"groups, limit 101":      {get(groupsPath + "?limit=101"), "limit"},
		"groups, app_type":       {get(groupsPath + "?app_type=APP"), "app_type"},
		"groups, secondary":      {get(groupsPath + "?is_secondary_server_group=1"), "is_secondary"},
		"restrict, limit":        {get(groupsPath + "/resources/restrict?limit=1"), "limit"},
		"numbers":                {get(numbersPath + "?desktop_type=DEDICATED&desktop_type=POOLED&statistics_type=attach-state&statistics_type=run-state&desktop_pool_ids=a"), ""},
		"numbers, commas":        {get(numbersPath + "?statistics_type=attach-state,run-state"), "statistics_type"},
		"numbers, in upper case": {get(numbersPath + "?statistics_type=LOGIN-STATE"), "statistics_type"},
		"numbers, the page's":    {get(numbersPath + "?desktop_type=POOL"), "desktop_type"},
		"numbers, empty":         {get(numbersPath + "?desktop_type="), "desktop_type"},
		"numbers, limit":         {get(numbersPath + "?limit=100"), "limit"},

		"tasks":              {get(tasksPath + "?limit=100&offset=1&status=SUCCESS&task_id=t&file_name=f&is_download=false&sort_field=create_time&sort_type=DESC"), ""},
		"tasks, limit 0":     {get(tasksPath + "?limit=0"), "limit"},
		"tasks, limit 101":   {get(tasksPath + "?limit=101"), "limit"},
		"tasks, status":      {get(tasksPath + "?status=FAILED"), "status"},
		"tasks, is_download": {get(tasksPath + "?is_download=no"), "is_download"},
		"tasks, sort_type":   {get(tasksPath + "?sort_type=ASC"), "sort_field"},
		"tasks, sort_field":  {get(tasksPath + "?sort_field=end_time"), "sort_field"},
		"tasks, twice":       {get(tasksPath + "?task_id=a&task_id=b"), "once"},
		"tasks, empty id":    {get(tasksPath + "?task_id="), "task_id"},

		"delete 200":       {post(tasksPath+"/batch-delete", `{"task_ids":["a"`+strings.Repeat(`,"a"`, 199)+`]}`), ""},
		"delete 201":       {post(tasksPath+"/batch-delete", `{"task_ids":["a"`+strings.Repeat(`,"a"`, 200)+`]}`), "1 to 200"},
		"delete none":      {post(tasksPath+"/batch-delete", `{"task_ids":[]}`), "1 to 200"},
		"delete nothing":   {post(tasksPath+"/batch-delete", `{}`), "1 to 200"},
		"delete empty id":  {post(tasksPath+"/batch-delete", `{"task_ids":[""]}`), "1 to 200"},
		"delete numbers":   {post(tasksPath+"/batch-delete", `{"task_ids":[1]}`), "strings"},
		"delete otherwise": {post(tasksPath+"/batch-delete", `{"ids":["a"]}`), "task_ids"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := everything(&clock{noon})
			o.Users, o.Servers = 1, 1
			s := New(o)
			w := serve(s, test.request)
			if test.message == "" {
				assert.Equal(t, http.StatusOK, w.Code, w.Body)
				assert.Empty(t, s.Violations())
				return
			}
			assert.Equal(t, http.StatusBadRequest, w.Code, w.Body)
			var e serviceError
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e))
			assert.Equal(t, codeParameter, e.Code)
			assert.Contains(t, e.Message, test.message)
			assert.Len(t, s.Violations(), 1)
		})
	}
}

func FuzzWindow(f *testing.F) {
	for _, form := range []string{formSeconds, formBlank, formMillis, formMinutes, "", "2026-03-11T11:00:00.1Z"} {
		f.Add(noon.Add(-time.Hour).Format(form), noon.Format(form), uint8(1))
	}
	f.Fuzz(func(t *testing.T, from, to string, rule uint8) {
		w := windowRule{from: "from", to: "to", forms: []string{formSeconds, formMillis, formMinutes}, mandatory: rule&1 > 0, alone: rule&2 > 0}
		values := map[string]string{}
		for name, value := range map[string]string{"from": from, "to": to} {
			if value != "" {
				values[name] = value
			}
		}
		first, last, err := w.read(values, noon)
		if err == nil && (last.Before(first) || last.Sub(first) > maxWindow || first.Before(noon.Add(-maxWindow))) {
			t.Fatalf("accepted %q to %q", from, to)
		}
		if err == nil && w.mandatory && (from == "" || to == "") {
			t.Fatal("accepted half a window")
		}
	})
}
