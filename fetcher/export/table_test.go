package export

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// sample is a table as every flavour of file can hold it: all that is awkward is
// in its cells.
var sample = [][]string{
	{"id", "user_name", "desktop_group_name", "colour", "pre_conn_time", "start_time", "failed_code", "failed_reason"},
	{"394", "ann", "财务部", "red", "2023-06-05T03:34:43Z", "2023-06-05T03:34:47Z", "", ""},
	{"395", "bob", "R, D; \"lab\"", "", "2023-06-05 03:35:00", "", "1003", "two\nlines,\tand \"quotes\""},
	{"0a4da8115c9d8464ead3a38309130523", "carl", "", "blue", "2023-06-05T03:36:00.123Z", "", "", "没有可用的服务器"},
}

// sampleRows are the data rows of sample as ReadTable hands them out.
func sampleRows() [][]Field {
	var rows [][]Field
	for _, cells := range sample[1:] {
		var fields []Field
		for i, cell := range cells {
			if name := sample[0][i]; cell != "" && name != "colour" {
				fields = append(fields, Field{name, cell})
			}
		}
		rows = append(rows, fields)
	}
	return rows
}

// read reads a file and gives all of its rows.
func read(file []byte) ([][]Field, Summary, error) { return readWith(Logins, file) }

func readWith(columns Columns, file []byte) ([][]Field, Summary, error) {
	var rows [][]Field
	summary, err := ReadTable(bytes.NewReader(file), int64(len(file)), columns, func(row Row) error {
		fields := row.Fields
		rows = append(rows, append([]Field{}, fields...))
		return nil
	})
	return rows, summary, err
}

func csvFile(t testing.TB, separator rune, crlf bool, rows [][]string) string {
	var out strings.Builder
	w := csv.NewWriter(&out)
	w.Comma, w.UseCRLF = separator, crlf
	require.NoError(t, w.WriteAll(rows))
	return out.String()
}

func encoded(t testing.TB, e encoding.Encoding, text string) []byte {
	out, err := e.NewEncoder().Bytes([]byte(text))
	require.NoError(t, err)
	return out
}

// xlsxFile is a workbook with its texts shared, as Excel writes it, or inline, as
// programs do that stream.
func xlsxFile(t testing.TB, inline bool, rows [][]string) []byte {
	f := excelize.NewFile()
	defer f.Close()
	setRow, flush := func(at string, cells []any) error { return f.SetSheetRow("Sheet1", at, &cells) }, func() error { return nil }
	if inline {
		stream, err := f.NewStreamWriter("Sheet1")
		require.NoError(t, err)
		setRow, flush = func(at string, cells []any) error { return stream.SetRow(at, cells) }, stream.Flush
	}
	for i, cells := range rows {
		values := make([]any, len(cells))
		for j, cell := range cells {
			values[j] = cell
		}
		require.NoError(t, setRow(fmt.Sprintf("A%d", i+1), values))
	}
	require.NoError(t, flush())
	var out bytes.Buffer
	require.NoError(t, f.Write(&out))
	return out.Bytes()
}

// flavours are all kinds of file, with the same rows.
func flavours(t testing.TB, rows [][]string) map[string][]byte {
	unix := csvFile(t, ',', false, rows)
	return map[string][]byte{
		"text in UTF-8, separated by commas":           []byte(unix),
		"text in UTF-8, separated by commas, BOM":      []byte("\uFEFF" + unix),
		"text in UTF-8, separated by commas, CRLF":     []byte(csvFile(t, ',', true, rows)),
		"text in UTF-8, separated by semicolons":       []byte(csvFile(t, ';', true, rows)),
		"text in UTF-8, separated by tabs":             []byte(csvFile(t, '\t', false, rows)),
		"text in GB18030, separated by commas":         encoded(t, simplifiedchinese.GB18030, unix),
		"text in GB18030, separated by tabs":           encoded(t, simplifiedchinese.GB18030, csvFile(t, '\t', true, rows)),
		"text in UTF-16, separated by commas, little":  encoded(t, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), unix),
		"text in UTF-16, separated by semicolons, big": encoded(t, unicode.UTF16(unicode.BigEndian, unicode.UseBOM), csvFile(t, ';', true, rows)),
		"XLSX, shared": xlsxFile(t, false, rows),
		"XLSX, inline": xlsxFile(t, true, rows),
	}
}

func TestEveryFlavourGivesTheSameRows(t *testing.T) {
	for name, file := range flavours(t, sample) {
		t.Run(name, func(t *testing.T) {
			rows, summary, err := read(file)
			require.NoError(t, err)
			assert.Equal(t, sampleRows(), rows)
			assert.True(t, strings.HasPrefix(name, summary.Format), summary.Format)
			assert.Equal(t, Summary{Format: summary.Format, Rows: 3, Ignored: []string{"colour"}}, summary)
		})
	}
}

// Columns that mean nothing are listed once, without what is not for the eyes of others; those
// of an answer around its records, and those that are dropped on purpose, are not.
func TestIgnoredColumnsAreListed(t *testing.T) {
	row := `{"id":"1","start_time":"2024-01-05T08:03:07Z","Note":{"id":"2"},"Colour":3,"Dropped":1}`
	columns, err := Logins.With(map[string]string{"Dropped": ""})
	require.NoError(t, err)
	for name, file := range map[string]string{
		"text": "id,Note,start_time,Colour,Note,,Dropped\n1,x,2024-01-05 08:03:07,3,,,1\n",
		"JSON": `{"count":2,"items":[` + row + "," + row + `]}`,
	} {
		_, summary, err := readWith(columns, []byte(file))
		require.NoError(t, err, name)
		assert.Equal(t, []string{"Note", "Colour"}, summary.Ignored, name)
	}
	_, summary, err := readWith(columns, []byte("id,start_time,ann@example.com\n1,2024-01-05 08:03:07,x\n"))
	require.NoError(t, err)
	assert.NotContains(t, strings.Join(summary.Ignored, ""), "ann")
	wide := "id,start_time"
	for n := range 1000 {
		wide += ",c" + strings.Repeat("o", n)
	}
	_, summary, err = readWith(columns, []byte(wide+"\n1,2024-01-05 08:03:07\n"))
	require.NoError(t, err)
	assert.Len(t, summary.Ignored, maxColumnsTold)
}

func TestFieldsMakeLogin(t *testing.T) {
	rows, _, err := read([]byte(csvFile(t, ',', false, sample)))
	require.NoError(t, err)
	var c record.UserConnection
	for _, f := range rows[1] {
		assert.True(t, c.Set(f.Name, f.Value))
	}
	login := c.Login()
	assert.Empty(t, login.Invalid)
	assert.Equal(t, "1003", login.FailedCode)
	assert.Equal(t, `R, D; "lab"`, login.Group)
}

func TestHeaderRowIsFoundBelowTitles(t *testing.T) {
	for _, row := range []int{1, 2, 3, maxHeaderRows, maxHeaderRows + 1} {
		rows := [][]string{}
		for len(rows) < row-1 {
			rows = append(rows, []string{"Login records, \"all\"", "exported", "2023-06-05 12:00:00"})
		}
		rows = append(rows, sample...)
		for name, file := range flavours(t, rows) {
			got, _, err := read(file)
			if row > maxHeaderRows {
				assert.ErrorContains(t, err, "no header row in the first 20 rows", name)
				continue
			}
			require.NoError(t, err, "%s, header in row %d", name, row)
			assert.Equal(t, sampleRows(), got, "%s, header in row %d", name, row)
		}
	}
}

func TestUnusableTables(t *testing.T) {
	const needs = "a table needs a column for id or user_name, and one for start_time or pre_conn_time or update_time"
	many := "zone,Login user" + strings.Repeat(",colour", 50)
	for name, tc := range map[string]struct{ file, err string }{
		"empty":         {"", "the file is empty"},
		"old Excel":     {"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "save it as .xlsx or .csv"},
		"only a mark":   {"\uFEFF", "no rows: " + needs},
		"blank lines":   {"\n\r\n\n", "no rows: " + needs},
		"no time":       {"id,user_name,zone\n1,ann,2", `columns not recognised: ` + needs + `, and this one has 3: "id", "user_name", "zone"`},
		"no id":         {"Start time;End time\n", `this one has 2: "Start time", "End time"`},
		"other names":   {"Kennung,Benutzer,Beginn\n1,ann,2023-06-05 03:34:43\n", `this one has 3: "Kennung", "Benutzer", "Beginn"`},
		"odd names":     {"id,user_name,\"a\x07b\",mail@example.com,10.0.0.1\n", `this one has 5: "id", "user_name", "a b", "<user>", "<address>"`},
		"semicolons":    {"Kennung;Benutzer;Beginn\n1;ann, bob;2023-06-05 03:34:43\n", `this one has 3: "Kennung", "Benutzer", "Beginn"`},
		"no header":     {"1,ann,2023-06-05 03:34:43\n2,bob,2023-06-05 03:34:43\n", "no header row in the first 2 rows: " + needs},
		"not a table":   {`{"error_code": "WKS.1", "user": "ann"}`, "JSON without a record: an object needs a column for id or user_name"},
		"many columns":  {many, `"zone", "Login user", ` + strings.TrimSuffix(strings.Repeat(`"colour", `, 38), ", ")},
		"web page":      {"\uFEFF<!DOCTYPE html>\n<html><body>ann, log in</body></html>", "a web page or XML, which may tell an error, in place of a table with a column for id"},
		"storage error": {"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "a web page or XML"},
		"gzip":          {"\x1F\x8B\x08\x00", "packed (gzip)"},
		"broken header": {"\"id\",\"start_time\n1,2\n3,4", "row 1: broken quoting"},
	} {
		t.Run(name, func(t *testing.T) {
			rows, _, err := read([]byte(tc.file))
			require.ErrorContains(t, err, tc.err)
			for _, fields := range rows {
				assert.False(t, Logins.isRecord(fields, false))
			}
			assert.NotContains(t, err.Error(), "ann")
			assert.Less(t, len(err.Error()), 1000)
		})
	}
}

func TestRowsThatAreNoRecords(t *testing.T) {
	rows, summary, err := read([]byte("id,start_time,zone\n\n1,2023-06-05 03:34:43\n , ,\n,,only here\nid,Start time,\n2\n"))
	require.NoError(t, err)
	assert.Equal(t, [][]Field{{{"id", "1"}, {"start_time", "2023-06-05 03:34:43"}}, {}, {{"id", "2"}}}, rows, "what is only in an unknown column is a row, and none of a record")
	assert.Equal(t, 3, summary.Rows)
}

// A row without its end may be a record without its failure, or with half an id.
func TestFileCutWithinARow(t *testing.T) {
	const head, rows = "id,user_name,zone,start_time,failed_code", "\n1,ann,a,2023-06-05 03:34:43,\n2,bob,b,2023-06-05 03:34:43,1001"
	for name, tc := range map[string]struct {
		file string
		cut  bool
	}{
		"before the code":             {head + rows + "\n3,carl,c,2023-06-05 03:3", true},
		"in its only row":             {head + "\r\n3,carl,c", true},
		"as old Macs write":           {strings.ReplaceAll(head+rows+"\n3,carl,c", "\n", "\r"), true},
		"whole":                       {head + rows, false},
		"whole, with a line end":      {head + rows + "\n3,carl,c,2023-06-05 03:34:43\n", false},
		"blank cells left out":        {head + rows + "\n3,carl,c,2023-06-05 03:34:43\n4,dora,d,2023-06-05 03:34:43", false},
		"nothing in the last columns": {head + ",x,y" + rows, false},
		"a sum":                       {head + rows + "\nTotal,2", false},
		"a remark":                    {head + rows + "\n# 2 records,by ann", false},
		"a footer with a line end":    {head + rows + "\nExported by,ann\n", false},
		"a word":                      {head + rows + "\nend", false},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := read([]byte(tc.file))
			if !tc.cut {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "it was cut short")
			for _, fields := range got {
				assert.NotEqual(t, "3", fields[0].Value, "the half row is handed out")
			}
		})
	}
}

func TestErrorOfRowIsReturned(t *testing.T) {
	failure := errors.New("stop")
	for name, file := range flavours(t, sample) {
		calls := 0
		summary, err := ReadTable(bytes.NewReader(file), int64(len(file)), Logins, func(row Row) error {
			number := row.Number
			assert.Equal(t, 2, number, name)
			calls++
			return failure
		})
		require.ErrorIs(t, err, failure, name)
		assert.ErrorContains(t, err, "row 2: stop")
		assert.Equal(t, 1, calls)
		assert.Equal(t, 1, summary.Rows)
	}
}

func TestHugeCellsAreCut(t *testing.T) {
	huge := strings.Repeat("长", 1<<18) // 65,536 is inside a character
	for name, file := range map[string][]byte{
		"text": []byte("id,start_time,failed_reason\n1,2023-06-05 03:34:43," + huge + "\n2,,\n"),
		"XLSX": workbook(t, zipped{sheet1: sheet(`<row><c t="inlineStr"><is><t>id</t></is></c><c t="str"><v>start_time</v></c><c t="str"><v>failed_reason</v></c></row>` +
			`<row><c><v>1</v></c><c t="str"><v>2023-06-05 03:34:43</v></c><c t="str"><v>` + huge + `</v></c></row><row><c><v>2</v></c></row>`)}),
	} {
		t.Run(name, func(t *testing.T) {
			setLimit(t, &maxRatio, 1e6)
			rows, summary, err := read(file)
			require.NoError(t, err)
			require.Len(t, rows, 2)
			assert.Equal(t, huge[:maxCellBytes/3*3], rows[0][2].Value)
			assert.Equal(t, 1, summary.Cut)
		})
	}
}

func TestSinceMac(t *testing.T) {
	for cell, want := range map[string]string{
		"43620": "45082", "43620.27624": "45082.27624", " 43620.5 ": "45082.5", "33000": "33000", "20230605": "20230605", "1685947067000": "1685947067000", "NaN": "NaN", "2023-06-05T06:37:47Z": "2023-06-05T06:37:47Z",
	} {
		assert.Equal(t, want, sinceMac(cell))
	}
}

// setLimit sets a limit for one test.
func setLimit[T any](t *testing.T, limit *T, value T) {
	old := *limit
	*limit = value
	t.Cleanup(func() { *limit = old })
}
