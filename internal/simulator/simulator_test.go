package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// noon is a working day's, and the server's clock in most tests.
var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

const listPath = "/v1/" + DefaultProjectID + "/session/user-connection"

// clock is a server's clock that a test sets.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// everything are options that accept every kind of credential.
func everything(c *clock) Options {
	return Options{
		AccessKey: "AK", SecretKey: "SK", Domain: "domain", User: "user", Password: "password",
		StaticToken: "static", Now: c.Now,
	}
}

func generating(c *clock) Options {
	o := everything(c)
	o.Seed, o.LoginsPerHour, o.AllDay, o.History = 7, 300, true, 24*time.Hour
	return o
}

// newCall is a list request with the static token.
func newCall(query, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, listPath+query, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Auth-Token", "static")
	return r
}

func window(from, to time.Time) string {
	return fmt.Sprintf(`{"login_start_time": %q, "login_end_time": %q}`, format(from), format(to))
}

func serve(s *Simulator, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func listPage(t *testing.T, s *Simulator, query, body string) page[Record] {
	t.Helper()
	w := serve(s, newCall(query, body))
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	var p page[Record]
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
	return p
}

// listAll pages through a window.
func listAll(t *testing.T, s *Simulator, limit int, body string) []Record {
	t.Helper()
	var all []Record
	for {
		p := listPage(t, s, fmt.Sprintf("?limit=%d&offset=%d", limit, len(all)), body)
		all = append(all, p.Items...)
		if len(p.Items) == 0 {
			require.Len(t, all, p.Count)
			return all
		}
	}
}

// signRequest signs a request as a client would.
func signRequest(r *http.Request, access, secret string, at time.Time, headers ...string) *http.Request {
	r.Header.Del("X-Auth-Token")
	r.Header.Set("X-Sdk-Date", at.Format(dateFormat))
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	signed := append([]string{"host", "x-sdk-date"}, headers...)
	signature := sign(secret, r.Header.Get("X-Sdk-Date"), canonicalRequest(&request{Request: r, body: body}, signed))
	r.Header.Set("Authorization", fmt.Sprintf("%s Access=%s, SignedHeaders=%s, Signature=%s",
		algorithm, access, strings.Join(signed, ";"), signature))
	return r
}

func TestStrictness(t *testing.T) {
	good := window(noon.Add(-time.Hour), noon)
	signed := func(edit func(*http.Request)) *http.Request {
		r := signRequest(newCall("?limit=5", good), "AK", "SK", noon)
		edit(r)
		return r
	}
	with := func(edit func(*http.Request)) *http.Request {
		r := newCall("", good)
		edit(r)
		return r
	}
	tests := map[string]struct {
		request *http.Request
		status  int
		code    string
		message string
	}{
		"good":                 {newCall("?limit=100&offset=0", good), 200, "", ""},
		"both forms of time":   {newCall("", `{"login_start_time":"2026-03-11 11:00:00","login_end_time":"2026-03-11T12:00:00Z"}`), 200, "", ""},
		"no window":            {newCall("", `{}`), 200, "", ""},
		"30 days":              {newCall("", window(noon.AddDate(0, 0, -30), noon)), 200, "", ""},
		"charset":              {with(func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=UTF-8") }), 200, "", ""},
		"limit 0":              {newCall("?limit=0", good), 400, codeParameter, "limit"},
		"limit 101":            {newCall("?limit=101", good), 400, codeParameter, "limit"},
		"limit no number":      {newCall("?limit=ten", good), 400, codeParameter, "limit"},
		"limit twice":          {newCall("?limit=1&limit=2", good), 400, codeParameter, "limit"},
		"limit empty":          {newCall("?limit=", good), 400, codeParameter, "limit"},
		"offset negative":      {newCall("?offset=-1", good), 400, codeParameter, "offset"},
		"no body":              {newCall("", ""), 400, codeEmpty, "empty"},
		"body no JSON":         {newCall("", `{"id"`), 400, codeParameter, "object"},
		"body null":            {newCall("", `null`), 400, codeParameter, "object"},
		"body an array":        {newCall("", `[]`), 400, codeParameter, "object"},
		"two bodies":           {newCall("", good+good), 400, codeParameter, "one JSON object"},
		"unknown field":        {newCall("", `{"login_begin_time":"x"}`), 400, codeParameter, "login_begin_time"},
		"field no string":      {newCall("", `{"connect_type":2}`), 400, codeParameter, "strings"},
		"field null":           {newCall("", `{"id":null}`), 400, codeParameter, "id"},
		"start alone":          {newCall("", `{"login_start_time":"2026-03-11T11:00:00Z"}`), 400, codeParameter, "together"},
		"fraction of a second": {newCall("", `{"login_start_time":"2026-03-11T11:00:00.5Z","login_end_time":"2026-03-11T12:00:00Z"}`), 400, codeParameter, "login_start_time"},
		"zone":                 {newCall("", `{"login_start_time":"2026-03-11T11:00:00+08:00","login_end_time":"2026-03-11T12:00:00Z"}`), 400, codeParameter, "login_start_time"},
		"end before start":     {newCall("", window(noon, noon.Add(-time.Second))), 400, codeParameter, "after"},
		"31 days":              {newCall("", window(noon.AddDate(0, 0, -30), noon.AddDate(0, 0, 1))), 400, codeParameter, "exceed 30 days"},
		"31 days ago":          {newCall("", window(noon.AddDate(0, 0, -31), noon.AddDate(0, 0, -30))), 400, codeParameter, "last 30 days"},
		"GET":                  {with(func(r *http.Request) { r.Method = "GET" }), 405, codeMethod, "method"},
		"no content type":      {with(func(r *http.Request) { r.Header.Del("Content-Type") }), 415, codeMediaType, "format"},
		"text":                 {with(func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }), 415, codeMediaType, "format"},
		"unknown path":         {with(func(r *http.Request) { r.URL.Path += "s" }), 404, "APIGW.0101", "does not exist"},
		"trailing slash":       {with(func(r *http.Request) { r.URL.Path += "/" }), 404, "APIGW.0101", "does not exist"},
		"unknown project":      {with(func(r *http.Request) { r.URL.Path = "/v1/other/session/user-connection" }), 404, codeNotFound, "project"},

		"no credentials":     {with(func(r *http.Request) { r.Header.Del("X-Auth-Token") }), 401, "APIGW.0301", "x-auth-token not found"},
		"wrong token":        {with(func(r *http.Request) { r.Header.Set("X-Auth-Token", "stolen") }), 401, "APIGW.0301", "decrypt token fail"},
		"signed":             {signed(func(*http.Request) {}), 200, "", ""},
		"signed, 15 min off": {signRequest(newCall("", good), "AK", "SK", noon.Add(-15*time.Minute)), 200, "", ""},
		"signature too old":  {signRequest(newCall("", good), "AK", "SK", noon.Add(-15*time.Minute-time.Second)), 401, "APIGW.0301", "signature expired, signature time:20260311T114459Z,server time:20260311T120000Z"},
		"signature too new":  {signRequest(newCall("", good), "AK", "SK", noon.Add(16*time.Minute)), 401, "APIGW.0301", "signature expired"},
		"wrong secret":       {signRequest(newCall("", good), "AK", "sk", noon), 401, "APIGW.0301", "verify aksk signature fail"},
		"wrong key":          {signRequest(newCall("", good), "unknown", "SK", noon), 401, "APIGW.0301", "ak unknown not exist"},
		"body changed":       {signed(func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{}`)) }), 401, "APIGW.0301", "verify"},
		"query changed":      {signed(func(r *http.Request) { r.URL.RawQuery = "limit=6" }), 401, "APIGW.0301", "verify"},
		"date changed":       {signed(func(r *http.Request) { r.Header.Set("X-Sdk-Date", "20260311T120001Z") }), 401, "APIGW.0301", "verify"},
		"host changed":       {signed(func(r *http.Request) { r.Host = "elsewhere" }), 401, "APIGW.0301", "verify"},
		"no date":            {signed(func(r *http.Request) { r.Header.Del("X-Sdk-Date") }), 401, "APIGW.0301", "x-sdk-date"},
		"date not signed":    {signed(replaceAuthorization("host;x-sdk-date", "host")), 401, "APIGW.0301", "SignedHeaders"},
		"headers not sorted": {signed(replaceAuthorization("host;x-sdk-date", "x-sdk-date;host")), 401, "APIGW.0301", "SignedHeaders"},
		"other algorithm":    {signed(replaceAuthorization(algorithm, "AWS4-HMAC-SHA256")), 401, "APIGW.0301", "format"},
		"a security token":   {signed(func(r *http.Request) { r.Header.Set("X-Security-Token", "t") }), 401, "APIGW.0301", "security token"},
		"GET without credentials is refused for its method": {with(func(r *http.Request) { r.Method = "GET"; r.Header.Del("X-Auth-Token") }), 405, codeMethod, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := serve(New(everything(&clock{noon})), test.request)
			assert.Equal(t, test.status, w.Code, w.Body)
			assert.Equal(t, noon.Format(http.TimeFormat), w.Header().Get("Date"))
			assert.NotEmpty(t, w.Header().Get("X-Request-Id"))
			var e serviceError
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e))
			assert.Equal(t, test.code, e.Code)
			assert.Contains(t, e.Message, test.message)
			if strings.HasPrefix(test.code, "APIGW") {
				assert.Equal(t, w.Header().Get("X-Request-Id"), e.RequestID)
			}
		})
	}
}

func replaceAuthorization(old, replacement string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, replacement, 1))
	}
}

// TestSignatureOfVendor checks a signature that the vendor's SDK made.
func TestSignatureOfVendor(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:9915"+listPath+"?limit=10&offset=0", http.NoBody)
	r.Header.Set("X-Sdk-Date", "20260311T120000Z")
	q := &request{Request: r, body: []byte(`{"user_name":"a b/ü~*+@x"}` + "\n")}
	assert.Equal(t, "821e93379d55ebcfe8bd832fc0842eef6edb19d072e808ee16a0448d896378a1",
		sign("SK", "20260311T120000Z", canonicalRequest(q, []string{"host", "x-sdk-date"})))
}

func TestTemporaryKey(t *testing.T) {
	o := everything(&clock{noon})
	o.SecurityToken = "temporary"
	s := New(o)
	call := func(token string, headers ...string) int {
		r := newCall("", `{}`)
		if token != "" {
			r.Header.Set("X-Security-Token", token)
		}
		return serve(s, signRequest(r, "AK", "SK", noon, headers...)).Code
	}
	assert.Equal(t, 200, call("temporary", "x-security-token"))
	assert.Equal(t, 401, call("temporary"), "not signed")
	assert.Equal(t, 401, call("another", "x-security-token"))
	assert.Equal(t, 401, call(""))
}

func TestDefaultCredentials(t *testing.T) {
	s := New(Options{Now: (&clock{noon}).Now})
	assert.Equal(t, 200, serve(s, signRequest(newCall("", `{}`), DefaultAccessKey, DefaultSecretKey, noon)).Code)
	assert.Equal(t, 401, serve(s, newCall("", `{}`)).Code)
	r := newCall("", `{}`)
	r.Header.Set("X-Auth-Token", "")
	assert.Equal(t, 401, serve(s, r).Code)
}

func tokenCall(password, project string) *http.Request {
	body := fmt.Sprintf(`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"user","password":%q,
		"domain":{"name":"domain"}}}},"scope":{"project":{"id":%q}}}}`, password, project)
	r := httptest.NewRequest(http.MethodPost, "/v3/auth/tokens?nocatalog=true", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

func TestTokens(t *testing.T) {
	c := &clock{noon}
	o := everything(c)
	o.ProjectIDs = []string{DefaultProjectID, "second"}
	o.TokenLife = time.Hour
	s := New(o)
	get := func() string {
		w := serve(s, tokenCall("password", DefaultProjectID))
		require.Equal(t, http.StatusCreated, w.Code, w.Body)
		var body struct {
			Token struct {
				Expires string `json:"expires_at"`
			} `json:"token"`
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
		assert.Equal(t, c.now.Add(time.Hour).Format("2006-01-02T15:04:05.000000Z"), body.Token.Expires)
		return w.Header().Get("X-Subject-Token")
	}
	use := func(token, path string) int {
		r := newCall("", `{}`)
		r.URL.Path = path
		r.Header.Set("X-Auth-Token", token)
		return serve(s, r).Code
	}
	token := get()
	assert.NotEqual(t, token, get())
	assert.Equal(t, 200, use(token, listPath))
	assert.Equal(t, 401, use(token, "/v1/second/session/user-connection"), "of another project")
	c.now = noon.Add(time.Hour)
	assert.Equal(t, 401, use(token, listPath), "expired")
	token = get()
	s.RevokeTokens()
	assert.Equal(t, 401, use(token, listPath), "revoked")
}

func TestTokensAreRefused(t *testing.T) {
	s := New(everything(&clock{noon}))
	malformed := tokenCall("password", DefaultProjectID)
	malformed.Body = io.NopCloser(strings.NewReader(`{"auth":{}}`))
	get := tokenCall("password", DefaultProjectID)
	get.Method = http.MethodGet
	for status, r := range map[int]*http.Request{
		400: malformed, 401: tokenCall("wrong", DefaultProjectID), 405: get,
	} {
		w := serve(s, r)
		assert.Equal(t, status, w.Code)
		assert.JSONEq(t, fmt.Sprintf(`{"error":{"code":%d,"message":%q,"title":%q}}`, status,
			iamMessage(t, w.Body.Bytes()), http.StatusText(status)), w.Body.String())
		assert.Empty(t, w.Header().Get("X-Subject-Token"))
	}
	assert.Equal(t, 401, serve(s, tokenCall("password", "another")).Code)
	assert.Equal(t, 401, serve(New(Options{}), tokenCall("", DefaultProjectID)).Code, "no user is configured")
}

func iamMessage(t *testing.T, body []byte) string {
	t.Helper()
	var e struct{ Error struct{ Message string } }
	require.NoError(t, json.Unmarshal(body, &e))
	assert.NotEmpty(t, e.Error.Message)
	return e.Error.Message
}

func TestDenied(t *testing.T) {
	o := everything(&clock{noon})
	o.Denied = []string{"workspace:session:listUserConnection"}
	w := serve(New(o), newCall("", `{}`))
	assert.Equal(t, http.StatusForbidden, w.Code)
	assert.Contains(t, w.Body.String(), "workspace:session:listUserConnection")
	assert.Contains(t, w.Body.String(), "encoded_authorization_message")
}

func TestRateLimit(t *testing.T) {
	c := &clock{noon}
	o := everything(c)
	o.ProjectIDs = []string{DefaultProjectID, "second"}
	o.RequestsPerSecond, o.RetryAfter = 2, 3
	s := New(o)
	for range 2 {
		assert.Equal(t, 200, serve(s, newCall("", `{}`)).Code)
	}
	w := serve(s, newCall("", `{}`))
	assert.Equal(t, 429, w.Code)
	assert.Contains(t, w.Body.String(), `"error_code":"APIGW.0308"`)
	assert.Contains(t, w.Body.String(), "policy user over ratelimit,limit:2,time:1 second")
	assert.Equal(t, "3", w.Header().Get("Retry-After"))
	other := newCall("", `{}`)
	other.URL.Path = "/v1/second/session/user-connection"
	assert.Equal(t, 200, serve(s, other).Code, "each project has its own")
	c.now = c.now.Add(500 * time.Millisecond)
	assert.Equal(t, 200, serve(s, newCall("", `{}`)).Code)
	assert.Empty(t, s.Violations())
}

func TestVendorExample(t *testing.T) {
	file, err := os.ReadFile("testdata/vendor_example.json")
	require.NoError(t, err)
	records, err := ReadPage(bytes.NewReader(file))
	require.NoError(t, err)
	o := everything(&clock{time.Date(2023, 6, 6, 0, 0, 0, 0, time.UTC)})
	o.Order = Descending
	s := New(o)
	s.Put(DefaultProjectID, records...)
	assert.JSONEq(t, string(file), serve(s, newCall("?limit=10&offset=0", `{}`)).Body.String())
	assert.JSONEq(t, string(file), serve(s, newCall("",
		`{"login_start_time":"2023-05-23T09:10:04Z","login_end_time":"2023-06-05T06:37:47Z"}`)).Body.String())
}

func TestReadPageRefuses(t *testing.T) {
	_, err := ReadPage(strings.NewReader(`{"count":1,"items":[{"idd":"1"}]}`))
	assert.ErrorContains(t, err, "login records")
}

func TestPutAndDelete(t *testing.T) {
	c := &clock{noon}
	s := New(everything(c))
	pre := format(noon.Add(-time.Minute))
	ids := func() (ids []string) {
		for _, r := range listPage(t, s, "?limit=100", `{}`).Items {
			ids = append(ids, r.ID+r.FailedCode)
		}
		return ids
	}
	s.Put(DefaultProjectID, Record{ID: "a", PreConnTime: pre}, Record{ID: "b", PreConnTime: pre},
		Record{ID: "late", PreConnTime: pre, VisibleAt: noon.Add(time.Second)})
	s.Put("another", Record{ID: "c", PreConnTime: pre})
	assert.Equal(t, []string{"a", "b"}, ids())
	s.Put(DefaultProjectID, Record{ID: "a", PreConnTime: pre, FailedCode: "7"})
	assert.Equal(t, []string{"a7", "b"}, ids())
	s.Delete(DefaultProjectID, "a")
	c.now = noon.Add(time.Second)
	assert.Equal(t, []string{"b", "late"}, ids())
}

func TestRawRecord(t *testing.T) {
	s := New(everything(&clock{noon}))
	s.Put(DefaultProjectID, Record{ID: "1", PreConnTime: format(noon), Raw: json.RawMessage(`{"id":7,"start_time":null}`)})
	assert.JSONEq(t, `{"count":1,"items":[{"id":7,"start_time":null}]}`, serve(s, newCall("", `{}`)).Body.String())
}

func TestFilters(t *testing.T) {
	c := &clock{noon}
	s := New(generating(c))
	one := s.Truth(DefaultProjectID, noon.Add(-2*time.Hour), noon.Add(-time.Hour))[0]
	body, err := json.Marshal(one)
	require.NoError(t, err)
	var fields map[string]string
	require.NoError(t, json.Unmarshal(body, &fields))
	for _, name := range connectionFilters {
		if fields[name] == "" {
			continue
		}
		filter, _ := json.Marshal(map[string]string{
			name: fields[name], "login_start_time": format(noon.Add(-2 * time.Hour)), "login_end_time": format(noon.Add(-time.Hour)),
		})
		p := listPage(t, s, "?limit=100", string(filter))
		assert.NotZero(t, p.Count, name)
		for _, r := range p.Items {
			assert.Equal(t, fields[name], recordFields.text(&r, name), name)
		}
	}
	assert.Zero(t, listPage(t, s, "", `{"user_name":"nobody"}`).Count)
}

func TestEndsOfWindow(t *testing.T) {
	for _, excluded := range []bool{false, true} {
		o := everything(&clock{noon})
		o.EndExcluded = excluded
		s := New(o)
		for i := range 4 {
			s.Put(DefaultProjectID, Record{ID: strconv.Itoa(i), StartTime: format(noon.Add(time.Duration(i-10) * time.Second))})
		}
		p := listPage(t, s, "", window(noon.Add(-9*time.Second), noon.Add(-8*time.Second)))
		assert.Equal(t, map[bool]int{false: 2, true: 1}[excluded], p.Count)
		assert.Equal(t, "1", p.Items[0].ID)
	}
}

func TestFilterOn(t *testing.T) {
	at := func(minutes int) string { return format(noon.Add(time.Duration(minutes-60) * time.Minute)) }
	records := []Record{
		{ID: "pending", PreConnTime: at(1), UpdateTime: at(1)},
		{ID: "started", PreConnTime: at(1), StartTime: at(2), UpdateTime: at(3)},
	}
	for filter, want := range map[FilterTime][3]string{
		ByStartOrPreConnect: {"pending", "started", ""},
		ByPreConnect:        {"pendingstarted", "", ""},
		ByStart:             {"", "started", ""},
		ByUpdate:            {"pending", "", "started"},
	} {
		o := everything(&clock{noon})
		o.FilterOn = filter
		s := New(o)
		s.Put(DefaultProjectID, records...)
		for i, ids := range want {
			from := noon.Add(time.Duration(i+1-60) * time.Minute)
			var got []string
			for _, r := range s.Truth(DefaultProjectID, from, from) {
				got = append(got, r.ID)
			}
			assert.Equal(t, ids, strings.Join(got, ""), "filter %d, minute %d", filter, i+1)
		}
	}
}

func TestOrders(t *testing.T) {
	for _, order := range []Order{Ascending, Descending, ShuffledTies} {
		o := generating(&clock{noon})
		o.Order = order
		s := New(o)
		for i := range 20 { // within one second
			s.Put(DefaultProjectID, Record{ID: strconv.Itoa(i), PreConnTime: format(noon.Add(-30 * time.Minute))})
		}
		list := func() (ids, times []string) {
			for _, r := range s.Truth(DefaultProjectID, noon.Add(-time.Hour), noon) {
				ids, times = append(ids, r.ID), append(times, r.PreConnTime)
			}
			return ids, times
		}
		ids, times := list()
		again, _ := list()
		assert.Greater(t, len(ids), 100)
		assert.ElementsMatch(t, ids, again)
		assert.Equal(t, order != ShuffledTies, assert.ObjectsAreEqual(ids, again))
		for i := 1; i < len(times); i++ {
			if order == Descending {
				assert.GreaterOrEqual(t, times[i-1], times[i])
			} else {
				assert.LessOrEqual(t, times[i-1], times[i])
			}
		}
	}
}

func TestBeforePageMovesTheList(t *testing.T) {
	s := New(everything(&clock{noon}))
	for i := range 3 {
		s.Put(DefaultProjectID, Record{ID: strconv.Itoa(i), PreConnTime: format(noon)})
	}
	s.BeforePage(func(project string, offset int) {
		if offset == 1 {
			s.Delete(project, "0")
		}
	})
	assert.Equal(t, "0", listPage(t, s, "?limit=1&offset=0", `{}`).Items[0].ID)
	p := listPage(t, s, "?limit=1&offset=1", `{}`)
	assert.Equal(t, "2", p.Items[0].ID)
	assert.Equal(t, 2, p.Count)
}

func TestCallsAndViolations(t *testing.T) {
	s := New(everything(&clock{noon}))
	serve(s, newCall("", `{}`))
	serve(s, newCall("", `{}`))
	serve(s, newCall("?limit=0", `{}`))
	serve(s, httptest.NewRequest(http.MethodGet, "/favicon.ico", http.NoBody))
	const path = "/v1/{project_id}/session/user-connection"
	assert.Equal(t, map[Call]int{
		{DefaultProjectID, path, 200}: 2, {DefaultProjectID, path, 400}: 1, {"", "", 404}: 1,
	}, s.Calls())
	require.Len(t, s.Violations(), 2)
	assert.Contains(t, s.Violations()[0], "?limit=0: 400")
}

func TestOversizeRequest(t *testing.T) {
	w := serve(New(everything(&clock{noon})), newCall("", `{"id":"`+strings.Repeat("1", maxBody)+`"}`))
	assert.Equal(t, http.StatusBadRequest, w.Code)
}

func TestConcurrentUse(t *testing.T) {
	s := New(generating(&clock{noon}))
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for n := range 10 {
				s.Put(DefaultProjectID, Record{ID: fmt.Sprint("put", i, n), PreConnTime: format(noon)})
				id := s.AddFault(Fault{Kind: FaultError, Times: 1, Path: "/nowhere"})
				assert.Equal(t, 200, serve(s, newCall("?limit=1", window(noon.Add(-time.Minute), noon))).Code)
				s.RemoveFault(id)
				s.BeforePage(func(string, int) { s.Truth(DefaultProjectID, noon, noon) })
				s.Calls()
			}
		})
	}
	group.Wait()
	assert.Len(t, s.Truth(DefaultProjectID, noon, noon), 80)
}

func FuzzReadConnectionQuery(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(window(noon.Add(-time.Hour), noon)))
	f.Add([]byte(`{"login_start_time":"2026-03-11 11:00:00","id":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		q, _, err := readConnectionQuery(&request{body: body, now: noon})
		if err == nil && (q.to.Before(q.from) || q.to.Sub(q.from) > maxWindow || q.from.Before(noon.Add(-maxWindow))) {
			t.Fatalf("accepted %s", body)
		}
	})
}

func FuzzAuthorization(f *testing.F) {
	f.Add("SDK-HMAC-SHA256 Access=a, SignedHeaders=host;x-sdk-date, Signature=00", "a=b&a=%zz", "/v1/%2f/ü")
	s := New(everything(&clock{noon}))
	f.Fuzz(func(t *testing.T, header, query, path string) {
		r := newCall("", `{}`)
		r.Header.Set("Authorization", header)
		r.URL.RawQuery, r.URL.Path = query, path
		assert.NotEqual(t, 200, serve(s, r).Code, "nobody guesses a signature")
	})
}
