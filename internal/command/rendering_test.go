package command

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// plainColumns and plainLogins are the same logins that every rendition has. All their
// times are whole minutes, so that every form of a time can hold them.
var (
	plainColumns = []string{"id", "user_name", "desktop_group_name", "pre_conn_time", "start_time", "end_time", "machine_name", "failed_code", "failed_reason",
		"client_ip", "client_type", "client_version", "agent_version"}
	plainLogins = [][]string{
		{"1394", "u1", "G1", "2024-01-05 08:02:00", "2024-01-05 08:03:00", "2024-01-05 09:00:00", "APS-1", "0", "", "10.0.0.1", "Windows 10", "23.5", "24.1"},
		{"1395", "u2", "G1", "2024-01-05 08:03:00", "2024-01-05 08:05:00", "", "APS-1", "", "", "10.0.0.2", "Mac", "23.5", "24.1"},
		{"1396", "u3", "财务部", "2024-01-05 08:04:00", "2024-01-05 08:05:00", "2024-01-05 08:45:00", "APS-2", "WKS.00000000", "success", "10.0.0.3", "Windows 10", "23.6", "24.1"},
		{"1397", "u1", "G1", "2024-01-05 16:09:00", "2024-01-05 16:10:00", "", "APS-2", "0", "success", "10.0.0.1", "Windows 10", "23.5", "24.2"},
		{"1398", "u4", "财务部", "2024-01-05 16:10:00", "", "", "APS-2", "40", "bad password", "10.0.0.4", "Windows 11", "23.6", "24.2"},
		{"1399", "u4", "财务部", "2024-01-05 16:11:00", "", "", "APS-3", "0045", "no server", "10.0.0.4", "Windows 11", "23.6", "24.2"},
		{"1400", "u5", "G1", "2024-01-05 16:12:00", "2024-01-05 16:13:00", "2024-01-06 00:10:00", "APS-3", "", "kicked out", "10.0.0.5", "Mac", "23.5", "24.1"},
		{"1401", "u6", "G2", "2024-01-05 23:59:00", "2024-01-06 00:00:00", "2024-01-06 12:30:00", "APS-3", "0", "", "10.0.0.6", "Mac", "23.5", "24.1"},
	}
)

// rendering says how the logins are written. Each of its parts changes them in one way.
type rendering struct {
	cell      []func(column, text string) string
	rows      []func(rows [][]string) [][]string // header included
	container func(t testing.TB, r *rendering, rows [][]string) []byte
	ext       string
	encode    func(t testing.TB, text string) []byte
	lines     func(text string) string
	numeric   map[string]bool // columns whose cells are numbers in a workbook or in JSON
	nulls     string          // what JSON has where there is nothing; "" for an empty text
	dates     int             // 0: as text; 1900 or 1904: as cells of a workbook
}

// deviation is one way to write things otherwise.
type deviation struct {
	name, group string
	apply       func(r *rendering)
}

func isTimeColumn(c string) bool { return strings.HasSuffix(c, "_time") }

func quoteCSV(comma rune, always bool) func(testing.TB, *rendering, [][]string) []byte {
	return func(t testing.TB, r *rendering, rows [][]string) []byte {
		var out strings.Builder
		if always {
			for _, row := range rows {
				for i, cell := range row {
					if i > 0 {
						out.WriteRune(comma)
					}
					out.WriteString(`"` + strings.ReplaceAll(cell, `"`, `""`) + `"`)
				}
				out.WriteString("\n")
			}
		} else {
			w := csv.NewWriter(&out)
			w.Comma = comma
			require.NoError(t, w.WriteAll(rows))
		}
		return r.text(t, out.String())
	}
}

// joined writes cells as they are, between two separators.
func joined(comma string, quote func(string) string) func(testing.TB, *rendering, [][]string) []byte {
	return func(t testing.TB, r *rendering, rows [][]string) []byte {
		var out strings.Builder
		for _, row := range rows {
			cells := make([]string, len(row))
			for i, cell := range row {
				cells[i] = quote(cell)
			}
			out.WriteString(strings.Join(cells, comma) + "\n")
		}
		return r.text(t, out.String())
	}
}

func (r *rendering) text(t testing.TB, text string) []byte {
	if r.lines != nil {
		text = r.lines(text)
	}
	if r.encode != nil {
		return r.encode(t, text)
	}
	return []byte(text)
}

func encodeAs(e encoding.Encoding, before string) func(testing.TB, string) []byte {
	return func(t testing.TB, text string) []byte {
		// What the character set has not is nothing that the logins need: dashes, blanks.
		out, err := encoding.ReplaceUnsupported(e.NewEncoder()).Bytes([]byte(strings.ReplaceAll(text, "\u00a0", " ")))
		require.NoError(t, err)
		return append([]byte(before), out...)
	}
}

// excel writes a workbook by a library, with shared texts.
func excel(t testing.TB, r *rendering, rows [][]string) []byte {
	f := excelize.NewFile()
	defer f.Close()
	if r.dates == 1904 {
		mac := true
		require.NoError(t, f.SetWorkbookProps(&excelize.WorkbookPropsOptions{Date1904: &mac}))
	}
	for i, row := range rows {
		values := make([]any, len(row))
		for j, cell := range row {
			values[j] = cell
			if n, err := strconv.ParseFloat(cell, 64); err == nil && r.isNumeric(rows[0], j) {
				values[j] = n
			} else if at, err := time.Parse(time.DateTime, cell); err == nil && r.dates != 0 {
				values[j] = at
			}
		}
		require.NoError(t, f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &values))
	}
	var out bytes.Buffer
	require.NoError(t, f.Write(&out))
	return out.Bytes()
}

func (r *rendering) isNumeric(header []string, column int) bool {
	return column < len(plainColumns) && r.numeric[plainColumns[column]] && len(header) == len(plainColumns)
}

// workbookXML writes workbooks as streaming programs do: texts inline, one sheet for each list.
func workbookXML(t testing.TB, r *rendering, sheets ...[][]string) []byte {
	parts := map[string]string{}
	zero := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	if r.dates == 1904 {
		zero = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
		parts["xl/workbook.xml"] = `<workbook><workbookPr date1904="1"/></workbook>`
	}
	for i, rows := range sheets {
		var out strings.Builder
		out.WriteString(`<?xml version="1.0" encoding="UTF-8"?><worksheet><sheetData>`)
		for _, row := range rows {
			out.WriteString("<row>")
			for j, cell := range row {
				at, err := time.Parse(time.DateTime, cell)
				switch {
				case r.dates != 0 && err == nil:
					fmt.Fprintf(&out, `<c s="1"><v>%s</v></c>`, strconv.FormatFloat(at.Sub(zero).Hours()/24, 'f', -1, 64))
				case cell != "" && r.isNumeric(rows[0], j) && strings.Trim(cell, "0123456789.") == "":
					fmt.Fprintf(&out, `<c><v>%s</v></c>`, cell)
				default:
					out.WriteString(`<c t="inlineStr"><is><t xml:space="preserve">`)
					require.NoError(t, xml.EscapeText(&out, []byte(cell)))
					out.WriteString(`</t></is></c>`)
				}
			}
			out.WriteString("</row>")
		}
		out.WriteString("</sheetData></worksheet>")
		parts[fmt.Sprintf("xl/worksheets/sheet%d.xml", i+1)] = out.String()
	}
	return zipOf(t, parts)
}

func zipOf(t testing.TB, parts map[string]string) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	names := []string{}
	for name := range parts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f, err := w.Create(name)
		require.NoError(t, err)
		_, err = f.Write([]byte(parts[name]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

// objects are the records as JSON.
func objects(t testing.TB, r *rendering, rows [][]string) (list []string) {
	for _, row := range rows[1:] {
		if len(row) < len(rows[0]) {
			continue
		}
		var out bytes.Buffer
		e := jsontext.NewEncoder(&out, jsontext.AllowDuplicateNames(true))
		require.NoError(t, e.WriteToken(jsontext.BeginObject))
		for j, cell := range row {
			require.NoError(t, e.WriteToken(jsontext.String(rows[0][j])))
			if cell != "" && r.isNumeric(rows[0], j) && jsontext.Value(cell).IsValid() {
				require.NoError(t, e.WriteValue(jsontext.Value(cell)))
			} else if cell == "" && r.nulls != "" {
				require.NoError(t, e.WriteToken(jsontext.Null))
			} else {
				require.NoError(t, e.WriteToken(jsontext.String(cell)))
			}
		}
		require.NoError(t, e.WriteToken(jsontext.EndObject))
		list = append(list, strings.TrimSpace(out.String()))
	}
	return list
}

func asJSON(form func([]string) string) func(testing.TB, *rendering, [][]string) []byte {
	return func(t testing.TB, r *rendering, rows [][]string) []byte { return r.text(t, form(objects(t, r, rows))) }
}

// containers are the kinds of files. The first is the plain one.
var containers = []deviation{
	container("csv", ".csv", quoteCSV(',', false)),
	container("semicolons", ".csv", quoteCSV(';', false)),
	container("tabs", ".tsv", quoteCSV('\t', false)),
	container("bars", ".txt", quoteCSV('|', false)),
	container("all quoted", ".csv", quoteCSV(',', true)),
	container("all quoted, semicolons", ".csv", quoteCSV(';', true)),
	container("not quoted", ".csv", joined(";", func(s string) string { return s })),
	container("blanks behind commas", ".csv", joined(", ", func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` })),
	container("blanks around", ".csv", joined(" ; ", func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` })),
	container("backslashes", ".csv", joined(",", func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` })),
	container("single quotes", ".csv", joined(";", func(s string) string { return "'" + s + "'" })),
	container("sep=;", ".csv", func(t testing.TB, r *rendering, rows [][]string) []byte {
		return quoteCSV(';', false)(t, r, append([][]string{{"sep="}}, rows...))
	}),
	container("table of a database", ".txt", func(t testing.TB, r *rendering, rows [][]string) []byte {
		line := []string{strings.Repeat("-", 5)}
		rows = append(slices.Insert(slices.Clone(rows), 1, line), []string{"(8 rows)"})
		return joined(" | ", func(s string) string { return s })(t, r, rows)
	}),
	container("xlsx", ".xlsx", excel),
	container("xlsx, inline", ".xlsx", func(t testing.TB, r *rendering, rows [][]string) []byte { return workbookXML(t, r, rows) }),
	container("xlsx, sheets that go on", ".xlsx", func(t testing.TB, r *rendering, rows [][]string) []byte {
		return workbookXML(t, r, rows[:len(rows)-4], rows[len(rows)-4:len(rows)-2], rows[len(rows)-2:])
	}),
	container("xlsx, sheets with headers", ".xlsx", func(t testing.TB, r *rendering, rows [][]string) []byte {
		return workbookXML(t, r, rows[:len(rows)-4], nil, append([][]string{rows[0]}, rows[len(rows)-4:]...))
	}),
	container("zip of csv", ".zip", func(t testing.TB, r *rendering, rows [][]string) []byte {
		return zipOf(t, map[string]string{"export/logins.csv": string(quoteCSV(',', false)(t, r, rows)), "__MACOSX/._logins.csv": "x"})
	}),
	container("zip of two", ".zip", func(t testing.TB, r *rendering, rows [][]string) []byte {
		return zipOf(t, map[string]string{"1.csv": string(quoteCSV(',', false)(t, r, rows[:5])), "2.csv": string(quoteCSV(';', false)(t, r, append([][]string{rows[0]}, rows[5:]...)))})
	}),
	container("zip of xlsx", ".zip", func(t testing.TB, r *rendering, rows [][]string) []byte {
		return zipOf(t, map[string]string{"logins.xlsx": string(excel(t, r, rows))})
	}),
	container("jsonl", ".jsonl", asJSON(func(list []string) string { return strings.Join(list, "\n") + "\n" })),
	container("json array", ".json", asJSON(func(list []string) string { return "[" + strings.Join(list, ",\n") + "]" })),
	container("json answer", ".json", asJSON(func(list []string) string { return `{"count":8,"items":[` + strings.Join(list, ",") + `]}` })),
	container("json answer, records", ".json", asJSON(func(list []string) string {
		return `{"total_count":"8", "records" : [ ` + strings.Join(list, " , ") + ` ] }`
	})),
	container("json answers", ".json", asJSON(func(list []string) string {
		return `{"count":8,"items":[` + strings.Join(list[:3], ",") + `]}` + "\n" + `{"items":[` + strings.Join(list[3:], ",") + `],"count":8}`
	})),
	container("json, indented", ".json", asJSON(func(list []string) string {
		v := jsontext.Value("[" + strings.Join(list, ",") + "]")
		_ = v.Indent()
		return string(v)
	})),
}

func container(name, ext string, write func(testing.TB, *rendering, [][]string) []byte) deviation {
	return deviation{name, "container", func(r *rendering) { r.container, r.ext = write, ext }}
}

func (d deviation) isText() bool  { return !d.isXLSX() && !strings.HasPrefix(d.name, "json") }
func (d deviation) isXLSX() bool  { return strings.Contains(d.name, "xlsx") }
func (d deviation) isJSON() bool  { return strings.HasPrefix(d.name, "json") }
func (d deviation) isPlain() bool { return d.name == "csv" }

// deviations are all others, of which one of a group can be taken at a time.
func deviations() (list []deviation) {
	add := func(group, name string, apply func(r *rendering)) { list = append(list, deviation{name, group, apply}) }

	// Titles.
	english := []string{"Primary key", "Login user", "Desktop group name", "Pre-connection time", "Start time", "End time", "Application server name", "Connection failure status code", "Connection failure cause",
		"Client IP address", "Client OS type", "Client version", "APS HDA version"}
	chinese := []string{"主键", "登录用户", "桌面组名", "预连接时间", "开始时间", "结束时间", "应用服务器名称", "连接失败状态码", "连接失败原因", "客户端ip", "客户端操作系统类型", "客户端版本", "aps hda版本"}
	console := []string{"Record ID", "Connected User", "Application group", "Pre-connect time", "Login time", "Logout time", "APS name", "Error code", "Failure cause", "Client IP", "Client OS", "Client version", "HDA version"}
	for name, titles := range map[string][]string{"English": english, "Chinese": chinese, "console": console} {
		add("titles", name, func(r *rendering) { r.title(func(i int, _ string) string { return titles[i] }) })
	}
	add("titles", "upper case", func(r *rendering) { r.title(func(_ int, s string) string { return strings.ToUpper(s) }) })
	add("titles", "blanks", func(r *rendering) {
		r.title(func(_ int, s string) string { return " " + strings.ReplaceAll(s, "_", " ") + " " })
	})
	add("titles", "camel case", func(r *rendering) {
		r.title(func(_ int, s string) string { return strings.ReplaceAll(strings.ToUpper(s[:1])+s[1:], "_", "") })
	})
	add("titles", "colons", func(r *rendering) { r.title(func(i int, _ string) string { return chinese[i] + "：" }) })

	// Forms of a time. The zone of all is UTC.
	shanghai := time.FixedZone("", 8*3600)
	form := func(name string, f func(at time.Time) string) {
		add("times", name, func(r *rendering) { r.times(f) })
	}
	for _, layout := range []string{
		"2006-01-02T15:04:05Z", "2006-01-02T15:04:05.000Z", "2006-01-02T15:04:05", "2006-01-02 15:04:05.000", "2006-01-02 15:04:05,000", "2006-01-02 15:04", "2006-1-2 15:04", "2006/01/02 15:04:05", "2006/1/2 15:04", "2006/1/2 15:04:05",
		"2006.01.02 15:04:05", "2006.1.2 15:04", "2006年01月02日 15:04:05", "2006年1月2日 15:04", "2006年1月2日15时04分05秒", "20060102150405", "20060102T150405Z", "20060102 150405", "2006-01-02 3:04:05 PM", "2006/1/2 3:04 PM", "2006-01-02 03:04:05 pm",
		"Jan 02, 2006 15:04:05", "Jan 2, 2006 3:04:05 PM", "January 2, 2006 3:04 PM", "02 Jan 2006 15:04:05", "02-Jan-2006 15:04:05", "Mon, 02 Jan 2006 15:04:05 GMT", "Mon Jan _2 15:04:05 2006", "Mon Jan _2 15:04:05 UTC 2006", "2006-01-02 15:04:05 UTC",
		"2006-01-02 15:04:05 +0000 UTC", "2006-01-02 15:04:05 (UTC)", "2006-01-02 15:04:05.000000",
	} {
		form(layout, func(at time.Time) string { return at.Format(layout) })
	}
	for _, layout := range []string{"2006-01-02T15:04:05-07:00", "2006-01-02 15:04:05-07:00", "2006-01-02 15:04:05 -07:00", "2006-01-02T15:04:05-0700", "2006-01-02 15:04:05-07", "2006-01-02 15:04:05 -07", "2006/01/02 15:04:05 GMT-07:00",
		"2006-01-02 15:04:05 UTC-07:00", "Jan 02, 2006 15:04:05 GMT-07:00", "Mon Jan 02 2006 15:04:05 GMT-0700 (China Standard Time)", "2006-01-02T15:04:05-07:00[Asia/Shanghai]", "2006-01-02 3:04:05 PM -07:00", "20060102T150405-0700", "2006年1月2日 15:04 (GMT-07:00)"} {
		form("Shanghai "+layout, func(at time.Time) string { return at.In(shanghai).Format(layout) })
	}
	halves := strings.NewReplacer("AM", "上午", "PM", "下午")
	form("上午/下午 before", func(at time.Time) string { return halves.Replace(at.Format("2006/1/2 PM 3:04:05")) })
	form("上午/下午 behind", func(at time.Time) string { return halves.Replace(at.Format("2006/1/2 3:04:05 PM")) })
	form("年月日 上午/下午", func(at time.Time) string { return halves.Replace(at.Format("2006年1月2日 PM3:04")) })
	form("epoch", func(at time.Time) string { return fmt.Sprint(at.Unix()) })
	form("epoch.0", func(at time.Time) string { return fmt.Sprintf("%d.0", at.Unix()) })
	form("epoch ms", func(at time.Time) string { return fmt.Sprint(at.UnixMilli()) })
	form("epoch E", func(at time.Time) string { return strconv.FormatFloat(float64(at.Unix()), 'E', 9, 64) })
	form("epoch ms E", func(at time.Time) string {
		return strings.Replace(strconv.FormatFloat(float64(at.UnixMilli()), 'E', 9, 64), "E+", "E", 1)
	})
	serial := func(at time.Time) float64 { return at.Sub(time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)).Hours() / 24 }
	form("serial", func(at time.Time) string { return strconv.FormatFloat(serial(at), 'f', -1, 64) })
	form("serial, 5 digits", func(at time.Time) string { return strconv.FormatFloat(serial(at), 'f', 5, 64) })
	form("serial, comma", func(at time.Time) string {
		return strings.Replace(strconv.FormatFloat(serial(at), 'f', 10, 64), ".", ",", 1)
	})
	form("full width", func(at time.Time) string {
		return strings.Map(func(c rune) rune {
			if c >= '0' && c <= ':' {
				return c - '0' + '０'
			}
			return c
		}, at.Format("2006-01-02 15:04:05"))
	})
	for _, title := range []string{" (GMT+08:00)", "(UTC+8)", "（北京时间）", " [+08:00]", "_UTC+08:00"} {
		add("times", "title"+title, func(r *rendering) {
			r.title(func(i int, s string) string {
				if isTimeColumn(plainColumns[i]) {
					return s + title
				}
				return s
			})
			r.times(func(at time.Time) string { return at.In(shanghai).Format(time.DateTime) })
		})
	}

	// Ways to say that there is nothing.
	for _, nothing := range []string{"-", "--", "—", "N/A", "n/a", "NA", "null", "NULL", "(null)", "nil", "None", "none", "NaN", "undefined", `\N`, "/", "无", "空", " ", "\u3000", "#N/A", "<NA>"} {
		add("nothing", fmt.Sprintf("%+q", nothing), func(r *rendering) {
			r.change(func(column, text string) string {
				if text == "" && (isTimeColumn(column) || strings.HasPrefix(column, "failed_") || column == "id") {
					return nothing
				}
				return text
			})
		})
	}
	for _, never := range []string{"0001-01-01 00:00:00", "0001-01-01T00:00:00Z", "0000-00-00 00:00:00", "1970-01-01 00:00:00", "0", "1900-01-00 00:00:00", "0001-01-01 00:00:00 +0000 UTC"} {
		add("nothing", "time "+never, func(r *rendering) {
			r.change(func(column, text string) string {
				if text == "" && isTimeColumn(column) {
					return never
				}
				return text
			})
		})
	}
	for _, word := range []string{"success", "Success", "SUCCESS", "ok", "OK", "成功", "正常", "Success."} {
		add("success", word, func(r *rendering) {
			r.change(func(column, text string) string {
				if column == "failed_reason" && (text == "" || text == "success") {
					return word
				}
				return text
			})
		})
	}

	// Forms of ids and codes.
	forms := func(name string, f func(string) string, columns ...string) {
		add("numbers", name, func(r *rendering) {
			r.change(func(column, text string) string {
				if text == "" || !slices.Contains(columns, column) || strings.HasPrefix(text, "0") && len(text) > 1 && strings.Contains(f(text), ".") {
					return text
				}
				if strings.Trim(text, "0123456789") != "" && !strings.ContainsAny(f("x"), `'"`) {
					return text
				}
				return f(text)
			})
		})
	}
	fullWidth := func(s string) string {
		return strings.Map(func(c rune) rune { return c - '0' + '０' }, s)
	}
	forms("394.0", func(s string) string { return s + ".0" }, "id", "failed_code")
	forms("394.00", func(s string) string { return s + ".00" }, "id")
	forms("1,394", func(s string) string { return s[:len(s)-min(3, len(s))] + "," + s[len(s)-min(3, len(s)):] }, "id")
	forms("full width", fullWidth, "id", "failed_code")
	forms("apostrophe", func(s string) string { return "'" + s }, "id", "failed_code")
	forms("apostrophes", func(s string) string { return "'" + s }, plainColumns...)
	forms("formula", func(s string) string { return `="` + s + `"` }, "id", "failed_code", "client_version")
	forms("formulas", func(s string) string { return `="` + s + `"` }, plainColumns...)
	forms("quoted twice", func(s string) string { return `"` + s + `"` }, plainColumns...)
	forms("tab", func(s string) string { return s + "\t" }, "id", "failed_code")
	forms("blanks", func(s string) string { return " " + s + "\u00a0" }, "id", "failed_code")
	forms("exponents", func(s string) string { return "1.2345678901234568E+18" }, "id")
	forms("exponents of Java", func(s string) string { return "1.2345678901234568E18" }, "id")
	add("numbers", "no ids", func(r *rendering) {
		r.change(func(column, text string) string {
			if column == "id" {
				return ""
			}
			return text
		})
	})
	add("numbers", "as numbers", func(r *rendering) { r.numeric = map[string]bool{"id": true, "client_version": true} })

	// Rows that are no records, and more columns.
	footer := func(name string, footers ...[]string) {
		add("footer", name, func(r *rendering) {
			r.rows = append(r.rows, func(rows [][]string) [][]string { return append(rows, footers...) })
		})
	}
	footer("total", []string{"Total", "8"})
	footer("合计", []string{"合计", "8", "", "", ""})
	footer("comment", []string{"# exported by u9 at 2024-01-06 10:00:00"})
	footer("comment with commas", []string{"# by", "u9", "on", "request", "of", "u8"})
	footer("rows", []string{"8 rows exported"})
	footer("all", []string{""}, []string{"Total", "8"}, []string{""}, []string{"# exported by u9"})
	add("footer", "blank lines", func(r *rendering) {
		r.rows = append(r.rows, func(rows [][]string) [][]string {
			return slices.Insert(slices.Clone(rows), 4, []string{""}, make([]string, len(rows[0])))
		})
	})
	add("footer", "header again", func(r *rendering) {
		r.rows = append(r.rows, func(rows [][]string) [][]string { return slices.Insert(slices.Clone(rows), 5, rows[0]) })
	})
	add("before", "title", func(r *rendering) {
		r.rows = append(r.rows, func(rows [][]string) [][]string {
			return append([][]string{{"Login records"}, {"Exported at", "2024-01-07 10:00:00"}}, rows...)
		})
	})
	add("before", "comment", func(r *rendering) {
		r.rows = append(r.rows, func(rows [][]string) [][]string { return append([][]string{{"# Login records of January"}}, rows...) })
	})
	column := func(name, title string, first bool, value func(i int, row []string) string) {
		add("columns", name, func(r *rendering) {
			r.rows = append(r.rows, func(rows [][]string) [][]string {
				out := make([][]string, len(rows))
				for i, row := range rows {
					cell := title
					if i > 0 {
						cell = value(i, row)
					}
					if out[i] = slices.Clone(row); first {
						out[i] = append([]string{cell}, row...)
					} else {
						out[i] = append(out[i], cell)
					}
				}
				return out
			})
		})
	}
	add("columns", "the other way round", func(r *rendering) {
		r.rows = append(r.rows, func(rows [][]string) [][]string {
			out := make([][]string, len(rows))
			for i, row := range rows {
				if out[i] = slices.Clone(row); len(row) == len(rows[0]) {
					slices.Reverse(out[i])
				}
			}
			return out
		})
	})
	column("index", "", true, func(i int, _ []string) string { return strconv.Itoa(i - 1) })
	column("numbers", "No.", true, func(i int, _ []string) string { return strconv.Itoa(i) })
	column("unknown", "Colour", false, func(int, []string) string { return "red" })
	column("the same, empty, before", "start_time", true, func(int, []string) string { return "" })
	column("the same, dashes, before", "start_time", true, func(int, []string) string { return "-" })
	column("the same, empty, behind", "failed_code", false, func(int, []string) string { return "" })
	column("the same, again", "id.1", false, func(_ int, row []string) string { return row[0] })
	column("empty title", "", false, func(int, []string) string { return "" })

	// Encodings and lines.
	for name, encode := range map[string]func(testing.TB, string) []byte{
		"BOM": encodeAs(unicode.UTF8, "\xEF\xBB\xBF"), "GB18030": encodeAs(simplifiedchinese.GB18030, ""), "GBK": encodeAs(simplifiedchinese.GBK, ""),
		"UTF-16 LE": encodeAs(unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "\xFF\xFE"), "UTF-16 BE": encodeAs(unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), "\xFE\xFF"),
		"UTF-16 LE, no mark": encodeAs(unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), ""), "UTF-16 BE, no mark": encodeAs(unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), ""),
	} {
		add("encoding", name, func(r *rendering) { r.encode = encode })
	}
	for name, lines := range map[string]func(string) string{
		"CRLF": func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }, "CR": func(s string) string { return strings.ReplaceAll(s, "\n", "\r") },
		"CRCRLF": func(s string) string { return strings.ReplaceAll(s, "\n", "\r\r\n") }, "no last": func(s string) string { return strings.TrimSuffix(s, "\n") },
	} {
		add("lines", name, func(r *rendering) { r.lines = lines })
	}
	for name, end := range map[string]string{"Ctrl-Z": "\x1a", "NULs": "\x00\x00\x00\x00\x00\x00", "Ctrl-Z and a line": "\x1a\n", "blank lines": "\n\n \n"} {
		add("lines", name, func(r *rendering) { r.lines = func(s string) string { return s + end } })
	}

	add("nothing", "JSON null", func(r *rendering) { r.nulls = "null" })
	add("before", "sep and mark", func(r *rendering) { r.lines = func(s string) string { return "\uFEFFsep=,\r\n" + s } })
	add("times", "numbers", func(r *rendering) {
		r.numeric = map[string]bool{"pre_conn_time": true, "start_time": true, "end_time": true}
		r.times(func(at time.Time) string { return fmt.Sprint(at.UnixMilli()) })
	})

	// Only in workbooks.
	for _, system := range []int{1900, 1904} {
		add("times", fmt.Sprintf("cells of %d", system), func(r *rendering) { r.dates = system })
	}
	return list
}

// suits reports whether a deviation can be had in a container.
func (d deviation) suits(c deviation) bool {
	text := c.isText()
	switch {
	case strings.HasPrefix(d.name, "cells of"):
		return c.isXLSX()
	case d.name == "JSON null":
		return c.isJSON()
	case d.name == "sep and mark":
		return c.isPlain()
	case d.name == "as numbers" || d.name == "numbers" && d.group == "times":
		return c.isXLSX() || c.isJSON()
	case d.group == "encoding":
		return text && !c.isXLSX() || c.isJSON()
	case d.group == "lines":
		return text && c.name != "zip of two" && !(c.name == "single quotes" && d.name == "x")
	case d.group == "footer", d.group == "before":
		return !c.isJSON() && !strings.Contains(c.name, "sheets") && c.name != "zip of two"
	case d.group == "columns":
		return !c.isJSON() || d.name == "unknown"
	case d.group == "numbers" && (strings.Contains(d.name, "quoted") || d.name == "apostrophes"):
		return c.name != "single quotes" && c.name != "not quoted" && c.name != "table of a database"
	case d.group == "numbers" && (d.name == "formulas" || d.name == "formula"):
		return c.name != "not quoted" && c.name != "table of a database" && c.name != "single quotes"
	case d.group == "times" && strings.Contains(d.name, "comma"), d.group == "numbers" && d.name == "tab":
		return c.name != "tabs"
	}
	return true
}

func (r *rendering) title(f func(i int, title string) string) {
	r.rows = slices.Insert(r.rows, 0, func(rows [][]string) [][]string {
		header := make([]string, len(rows[0]))
		for i := range header {
			header[i] = f(i, rows[0][i])
		}
		return append([][]string{header}, rows[1:]...)
	})
}

func (r *rendering) change(f func(column, text string) string) { r.cell = append(r.cell, f) }

func (r *rendering) times(f func(time.Time) string) {
	r.change(func(column, text string) string {
		at, err := time.Parse(time.DateTime, text)
		if !isTimeColumn(column) || err != nil || at.Year() < 2000 {
			return text
		}
		return f(at)
	})
}

// render writes the logins with some deviations.
func render(t testing.TB, container deviation, others ...deviation) (name, ext string, file []byte) {
	r := &rendering{}
	container.apply(r)
	names := []string{container.name}
	for _, d := range others {
		d.apply(r)
		names = append(names, d.group+" "+d.name)
	}
	rows := [][]string{slices.Clone(plainColumns)}
	for _, login := range plainLogins {
		row := slices.Clone(login)
		for i := range row {
			for _, f := range r.cell {
				row[i] = f(plainColumns[i], row[i])
			}
		}
		rows = append(rows, row)
	}
	for _, f := range r.rows {
		rows = f(rows)
	}
	return strings.Join(names, ", "), r.ext, r.container(t, r, rows)
}

// mixture takes deviations of different groups at random.
func mixture(random *rand.Rand, all []deviation) (container deviation, others []deviation) {
	container = containers[random.IntN(len(containers))]
	groups := map[string]bool{}
	for range 2 + random.IntN(4) {
		d := all[random.IntN(len(all))]
		if !groups[d.group] && d.suits(container) {
			groups[d.group] = true
			others = append(others, d)
		}
	}
	return container, others
}
