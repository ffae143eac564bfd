package export

import (
	"bufio"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestJSON(t *testing.T) {
	one, two := `{"id":"1","start_time":"2024-01-05T08:03:07Z"}`, `{"id":2,"start_time":null,"Login user":"ann","x":{"id":"9"},"start_time":1704441787}`
	first, second := []Field{{"id", "1"}, {"start_time", "2024-01-05T08:03:07Z"}}, []Field{{"id", "2"}, {"user_name", "ann"}, {"start_time", "1704441787"}}
	for name, c := range map[string]struct {
		file string
		want [][]Field
		err  string
	}{
		"lines":              {one + "\n\n" + two + "\r\n", [][]Field{first, second}, ""},
		"array":              {" [" + one + "," + two + "] ", [][]Field{first, second}, ""},
		"answer":             {`{"count":2,"items":[` + one + "," + two + `]}`, [][]Field{first, second}, ""},
		"answer of desktops": {`{"records":[` + one + "," + two + `],"total_count":2}`, [][]Field{first, second}, ""},
		"answers":            {`{"items":[` + one + `]}{"items":[` + two + `]}`, [][]Field{first, second}, ""},
		"in envelopes":       {`{"code":0,"data":{"list":[` + one + "," + two + `]}}`, [][]Field{first, second}, ""},
		"a mark":             {"\uFEFF" + one, [][]Field{first}, ""},
		"NaN":                {`{"id":"1","start_time":"2024-01-05T08:03:07Z","end_time":NaN,"failed_code":-Infinity,"user_name":Infinity}`, [][]Field{first}, ""},
		"NaN in a text":      {`{"id":"NaN \"NaN","start_time":1704441787}`, [][]Field{{{"id", `NaN "NaN`}, {"start_time", "1704441787"}}}, ""},
		"odd values":         {`{"id":[1],"start_time":{"a":1},"user_name":true}` + "\n" + one, [][]Field{{{"id", Unreadable}, {"start_time", Unreadable}, {"user_name", "true"}}, first}, ""},
		"no objects":         {one + ` 7 "x" null []`, [][]Field{first, {{"id", Unreadable}}, {{"id", Unreadable}}, {{"id", Unreadable}}}, ""},
		"an empty answer":    {`{"count":0,"items":[]}`, [][]Field{}, ""},
		"cut":                {one + "\n" + two[:20], nil, "record 2 is not JSON"},
		"cut in an array":    {"[" + one + ",", nil, "record 2 is not JSON"},
		"no JSON":            {one + "\nann", nil, "record 2 is not JSON"},
		"an error":           {`{"error_code":"WKS.1","error_msg":"ann"}`, nil, "JSON without a record: an object needs a column for id or user_name"},
		"by columns":         {`{"id":{"0":"1","1":"2"},"start_time":{"0":"x"}}`, [][]Field{{{"id", Unreadable}, {"start_time", Unreadable}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			rows, _, err := read([]byte(c.file))
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				assert.NotContains(t, err.Error(), "ann")
				return
			}
			require.NoError(t, err)
			if len(c.want) == 0 {
				assert.Empty(t, rows)
				return
			}
			assert.Equal(t, c.want, rows)
		})
	}
}

func TestWithoutNaN(t *testing.T) {
	const text = `{"a":NaN,"b":"NaN","c":[-Infinity,Infinity,-1,"\"NaN"]}`
	rows, _, err := read([]byte(`{"id":"NaN","start_time":"2024-01-05 08:03:07","user_name":"u","end_time":NaN}`))
	require.NoError(t, err)
	assert.Equal(t, [][]Field{{{"id", "NaN"}, {"start_time", "2024-01-05 08:03:07"}, {"user_name", "u"}}}, rows)
	assert.NoError(t, iotest.TestReader(&withoutNaN{in: bufio.NewReader(strings.NewReader(text))}, []byte(`{"a":null,"b":"NaN","c":[null,null,-1,"\"NaN"]}`)))
	assert.NoError(t, iotest.TestReader(&withoutNaN{in: bufio.NewReader(strings.NewReader(strings.Repeat("N", 100)))}, []byte(strings.Repeat("N", 100))))
}

// What is recognised of each kind, and what is none.
func TestRecognise(t *testing.T) {
	kinds := []Columns{Logins, Sessions, AccessStatistics, DesktopConnections}
	for file, want := range map[string]int{
		"id,user_name,start_time\n":                                                  0,
		"id,login_user,machine_name,session_state,start_time,failed_code\n":          1,
		"title\n\nusername;access_failed_count;last_access_failed_time;error_code\n": 2,
		"连接用户,桌面名称,开始连接时间,建立连接时间\n":                                                  3,
		"computer_name,user_name,connection_start_time,connection_setup_time\n":      3,
		"a,b,c\n": -1,
		`{"count":1,"items":[{"id":"1","session_state":"Active","login_user":"u","start_time":"2024-01-05T08:03:07Z"}]}`: 1,
		`{"records":[{"computer_name":"d","user_name":"u","connection_start_time":"2024-01-05T08:03:07Z"}]}`:             3,
		`{"items":[{"id":"1","start_time":"2024-01-05T08:03:07Z","failed_code":"0"}]}`:                                   0,
		`{"x":1}`: -1,
	} {
		kind, ok := Recognise(strings.NewReader(file), int64(len(file)), kinds...)
		assert.Equal(t, want >= 0, ok, file)
		if ok {
			assert.Equal(t, want, kind, file)
		}
	}
	book := workbook(t, zipped{sheet1: sheet(headRow)})
	kind, ok := Recognise(strings.NewReader(string(book)), int64(len(book)), kinds...)
	assert.True(t, ok)
	assert.Zero(t, kind)
}
