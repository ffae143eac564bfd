package workspace

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

func decodeText(s string) (int, []record.UserConnection, error) {
	return decodePage[record.UserConnection](strings.NewReader(s), "count", "items")
}

func TestDecodePage(t *testing.T) {
	for body, want := range map[string]struct{ count, items int }{
		onePage:                                               {1, 1},
		`{"count":0,"items":[]}`:                              {0, 0},
		`{"count":0,"items":null}`:                            {0, 0},
		`{"count":null,"items":null}`:                         {-1, 0},
		`{"count":7}`:                                         {7, 0},
		`{"items":[{}]}`:                                      {-1, 1},
		`{"count":"12","items":[{}]}`:                         {12, 1},
		`{"count":" 12 ","items":[]}`:                         {12, 0},
		`{"count":"","items":[]}`:                             {-1, 0},
		`{"count":-1,"items":[{}]}`:                           {-1, 1},
		`{"count":1.5,"items":[{}]}`:                          {-1, 1},
		`{"count":2.0,"items":[{}]}`:                          {2, 1},
		`{"count":2147483648,"items":[{}]}`:                   {1<<31 - 1, 1},
		`{"count":1e999,"items":[{}]}`:                        {1<<31 - 1, 1},
		`{"items":[null,1,"x",[],{}]}`:                        {-1, 5},
		`{"x":{"items":[1]},"count":1}  ` + "\n":              {1, 0},
		`{"count":1,"count":2,"items":[{"id":"1","id":"2"}]}`: {2, 1},
		"{\"count\":1,\"items\":[{\"user_name\":\"\xff\"}]}":  {1, 1},
	} {
		count, items, err := decodeText(body)
		require.NoError(t, err, body)
		assert.Equal(t, want.count, count, body)
		assert.Len(t, items, want.items, body)
	}
	_, items, err := decodeText(`{"items":[null,1,"x",[],{}]}`)
	require.NoError(t, err)
	for i, item := range items {
		assert.Equal(t, i < 4, item.Login().Malformed, i)
	}
	for _, body := range []string{`{"count":true}`, `{"count":{}}`, `{"count":"many"}`, `{"count":"NaN"}`, `{"items":0}`, `{"items":"x"}`, `{"items":[{}`} {
		_, _, err := decodeText(body)
		assert.Error(t, err, body)
	}
	_, _, err = decodeText(`{"items":[` + strings.Repeat("0,", maxItems) + `0]}`)
	assert.ErrorContains(t, err, "more than")
}

func FuzzDecodePage(f *testing.F) {
	for _, s := range []string{onePage, `{"count":"3","items":[null,{},[1]]}`, `{"items":`, "", "[", "{\"\xff\":1}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		count, items, err := decodeText(s)
		if err != nil {
			return
		}
		if count < -1 {
			t.Fatal(count)
		}
		for _, item := range items {
			_ = item.Login()
		}
		if s = strings.TrimSpace(s); s[0] != '{' || s[len(s)-1] != '}' {
			t.Fatalf("read as a page: %q", s)
		}
	})
}

func FuzzErrorBody(f *testing.F) {
	for _, s := range []string{
		`{"error_code":"A","error_msg":"SECRETKEY"}`, `{"error":{"code":1,"message":"x","title":"y"}}`, "<html>SECRETKEY", `{"a":"SECRETKEY`,
		`["SECRETKEY":`, "{SECRETKEY}", "xSECRETKEYSECRET", `{"a":"b\`, "\xff\x00",
	} {
		f.Add(s)
	}
	var r redactor
	r.add(secretText, "SECRETKEY")
	f.Fuzz(func(t *testing.T, s string) {
		b := parseErrorBody([]byte(s))
		for _, shown := range []string{r.clean(b.code), r.clean(b.message), r.shape(s)} {
			if len(shown) > maxCleanBytes || !utf8.ValidString(shown) || strings.ContainsFunc(shown, unicode.IsControl) {
				t.Fatalf("not clean: %q", shown)
			}
			if strings.Contains(shown, "SECRETKEY") {
				t.Fatalf("tells a secret: %q", shown)
			}
		}
	})
}

// No value of a record shows, wherever the page is cut.
func TestShapeOfAnyPrefix(t *testing.T) {
	page := `{"count": 1, "items": [{"user_name": "jane\"roe", "client_mac":"c8-d9-d2-11-3a-57","n":null , "client_name":"kdjhf","wi_ip":"x\\"}]}`
	var r redactor
	for i := range len(page) {
		for _, s := range []string{page[:i], "oops " + page[:i], page[i:]} {
			shape := r.shape(s)
			if strings.HasPrefix(page, s) || strings.HasPrefix(s, "oops") {
				for _, private := range []string{"jane", "roe", "c8-", "3a", "kdj"} {
					assert.NotContains(t, shape, private)
				}
			}
		}
	}
	assert.Equal(t, `{"count": 1, "items": [{"user_name": "…", "client_mac":"…","n":null , "client_name":"…","wi_ip":"…"}]}`, r.shape(page))
}

func BenchmarkDecodePage(b *testing.B) {
	page := benchmarkPage(100)
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		_, items, err := decodePage[record.UserConnection](bytes.NewReader(page), "count", "items")
		if err != nil || len(items) != 100 {
			b.Fatal(err)
		}
		for i := range items {
			if login := items[i].Login(); login.Malformed {
				b.Fatal("malformed")
			}
		}
	}
}

func benchmarkPage(n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"count":%d,"items":[`, n)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		code, reason := "", ""
		if i%10 == 0 {
			code, reason = "ERR_1003", fmt.Sprintf("user%03d could not reach 10.0.0.%d", i, i)
		}
		fmt.Fprintf(&b, `{"id":"%d","connect_type":"2","user_name":"user%03d@corp.example.com","desktop_group_name":"Office group %d",`+
			`"pre_conn_time":"2023-06-05T03:34:43Z","start_time":"2023-06-05T06:37:47Z","end_time":"2023-06-05T07:37:47Z",`+
			`"machine_sid":"S-1-5-21-1213649063-4191095369-2401105760-%d","machine_name":"APS-XS1QJ3TA%d","failed_reason":%q,"failed_code":%q,`+
			`"client_mac":"c8-d9-d2-11-3a-57","client_name":"Y002516E2p%d","client_ip":"10.173.108.%d","client_version":"23.2.2.0","client_type":"Windows 10",`+
			`"agent_version":"23.2.2.0423","vm_ip":"10.1.248.%d","connect_flag":"0","wi_ip":"192.168.10.100","update_time":"2023-06-05T07:37:47Z",`+
			`"tenant_id":"a4da8115c9d8464ead3a38309130523f","virtual_ip":"","public_ip":"203.0.113.%d"}`,
			i, i, i%7, i, i%20, reason, code, i, i, i%20, i)
	}
	b.WriteString("]}")
	return b.Bytes()
}

func TestSignaturesAreNotShown(t *testing.T) {
	var r redactor
	assert.Equal(t, "Access=AK, SignedHeaders=host;x-sdk-date, Signature=<secret>", r.clean("Access=AK, SignedHeaders=host;x-sdk-date, Signature=0a1b2c3d"))
}

func TestDecodeObject(t *testing.T) {
	latest, err := decodeObject[record.LatestAgent](strings.NewReader(` {"latest_version":"1","latest_version":"2","x":[1]} `))
	require.NoError(t, err)
	assert.Equal(t, "2", latest.Version())
	for body, want := range map[string]string{
		``: "empty", `[]`: "not a JSON object", `null`: "not a JSON object", `"x"`: "not a JSON object", `<html>`: "invalid character", `{"latest_version":"1"`: "EOF", `{}{}`: "follows",
	} {
		_, err := decodeObject[record.LatestAgent](strings.NewReader(body))
		assert.ErrorContains(t, err, want, body)
	}
}

func TestOperationAt(t *testing.T) {
	show := Operation{Path: "/v1/{project_id}/app-server-groups/{server_group_id}"}
	at, ok := show.At("server_group_id", "573743978327834675")
	assert.True(t, ok)
	assert.Equal(t, "/v1/{project_id}/app-server-groups/573743978327834675", at.Path)
	for _, id := range []string{"", "../x", "a/b", "a?b", "{project_id}", "."} {
		_, ok := show.At("server_group_id", id)
		assert.False(t, ok, id)
	}
}
