package export

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/xml"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/orisano/gosax"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
)

// checkRows holds for the rows of any file.
func checkRows(t *testing.T, rows [][]Field, summary Summary) {
	assert.Equal(t, len(rows), summary.Rows)
	for _, fields := range rows {
		for _, f := range fields {
			assert.Contains(t, Logins.Fields(), f.Name)
			assert.LessOrEqual(t, len(f.Value), maxCellBytes)
			assert.True(t, utf8.ValidString(f.Value))
		}
	}
}

func FuzzText(f *testing.F) {
	for name, file := range flavours(f, sample) {
		if name[0] == 't' {
			f.Add(file)
		}
	}
	f.Add([]byte("id,start_time\n1,\"a\nb\"\n2,c\"d\n"))
	f.Add([]byte("id;start_time\r1;\"\r"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if bytes.HasPrefix(file, []byte("PK\x03\x04")) {
			return
		}
		rows, summary, _ := read(file)
		checkRows(t, rows, summary)
	})
}

func FuzzXLSX(f *testing.F) {
	f.Add(sheet(headRow+`<row r="3"><c r="B3" t="s"><v>1</v></c><c r="A3"><v>4.5E1</v></c></row>`), `<sst><si><t>a</t></si><si><r><t>b_x0041_</t></r></si></sst>`)
	f.Add(sheet(headRow+`<row/><row><c t="inlineStr"><is><t>a</t></is></c></row>`), `<sst/>`)
	f.Fuzz(func(t *testing.T, sheet, texts string) {
		setLimit(t, &maxRatio, 1e6)
		rows, summary, _ := read(workbook(t, zipped{sheet1: sheet, strings1: texts}))
		checkRows(t, rows, summary)
	})
}

// FuzzFile reads any file as each kind of table, archives byte for byte.
func FuzzFile(f *testing.F) {
	for _, file := range flavours(f, sample) {
		f.Add(file)
	}
	f.Add(workbook(f, zipped{sheet1: sheet(headRow), strings1: "<sst><si/></sst>"})[:60])
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1")) // a workbook of old
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, columns := range []Columns{Logins, Sessions, AccessStatistics, DesktopConnections} {
			rows := 0
			summary, err := ReadTable(bytes.NewReader(file), int64(len(file)), columns, func(row Row) error {
				fields := row.Fields
				rows++
				for _, field := range fields {
					require.Contains(t, columns.Fields(), field.Name)
					require.LessOrEqual(t, len(field.Value), maxCellBytes)
					require.True(t, utf8.ValidString(field.Value))
				}
				return nil
			})
			require.Equal(t, rows, summary.Rows)
			if err != nil {
				require.True(t, utf8.ValidString(err.Error()))
				require.Less(t, len(err.Error()), 4000)
			}
		}
	})
}

func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"id":"1"}` + "\n" + `{"id":"2","start_time":"2026-01-01T00:00:00Z"}`, `{"count":1,"items":[{"id":"1","start_time":"2026-01-01T00:00:00Z"},null,7]}`, `[{"id":1.5e18}]`, "{", `{"items":null}`, `{"data":{"records":[[{}]]}}`, `{"id":{"a":[1]},"Start time (UTC)":1}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !isJSON([]byte(text)) {
			return
		}
		rows, summary, err := read([]byte(text))
		checkRows(t, rows, summary)
		if err != nil {
			assert.Less(t, len(err.Error()), 1000)
		}
	})
}

// FuzzLegalXML reads XML that is legal as it is, and any other as some that is.
func FuzzLegalXML(f *testing.F) {
	for _, s := range []string{"<a>b</a>", "a&#11;b&#x41;&#65;&amp;&#xD800;&#;", "\x0b\xff\uFFFE", "&", "&#1", "\xFF\xFEa\x00"} {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, text string, size int) {
		if size < 1 || len(text) > 1<<16 {
			return
		}
		in := &legalXML{in: bufio.NewReaderSize(strings.NewReader(text), 16)}
		var out []byte
		buffer := make([]byte, min(size, 1<<12))
		for {
			n, err := in.Read(buffer)
			out = append(out, buffer[:n]...)
			if err != nil {
				require.Equal(t, io.EOF, err)
				break
			}
		}
		require.True(t, utf8.Valid(out))
		legal := utf8.ValidString(text) && !strings.Contains(text, "&#")
		for _, r := range string(out) {
			require.True(t, isLegal(r), "%q", r)
		}
		for _, r := range text {
			legal = legal && isLegal(r)
		}
		if legal && !strings.HasPrefix(text, "\xFF\xFE") {
			require.Equal(t, text, string(out))
		}
	})
}

// FuzzArchive reads the same workbook with the library that wrote it.
func FuzzArchive(f *testing.F) {
	f.Add("394", "a, b", "\"\n", true)
	f.Add("_x0041_", "1e3", "  ", false)
	f.Fuzz(func(t *testing.T, id, user, reason string, inline bool) {
		for _, s := range []string{id, user, reason} {
			if !utf8.ValidString(s) || len(s) > 1000 {
				return
			}
		}
		cells := []string{id, "2023-06-05 06:37:47", user, reason}
		file := xlsxFile(t, inline, [][]string{{"id", "start_time", "user_name", "failed_reason"}, cells})
		book, err := excelize.OpenReader(bytes.NewReader(file))
		require.NoError(t, err)
		defer book.Close()
		var want []string
		for i, name := range []string{"A2", "B2", "C2", "D2"} {
			cell, err := book.GetCellValue("Sheet1", name)
			require.NoError(t, err)
			if i == 1 {
				cell = cells[1]
			}
			want = append(want, cell)
		}
		rows, _, err := read(file)
		require.NoError(t, err)
		var got [4]string
		for _, fields := range rows {
			for _, field := range fields {
				for i, name := range []string{"id", "start_time", "user_name", "failed_reason"} {
					if field.Name == name {
						got[i] = field.Value
					}
				}
			}
		}
		for i := range want {
			if !blank(want[i : i+1]) {
				assert.Equal(t, want[i], got[i])
			}
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add("id", "Start time", "用户名")
	f.Add("2023-06-05", "", "\xFF")
	f.Add("Start time (GMT+08:00)", "start_time.1", "开始时间（北京时间）")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		cells := []string{a, b, c}
		h := Logins.header(cells)
		require.Len(t, h, len(cells))
		for _, column := range h {
			assert.True(t, column.zone == nil || column.field == "pre_conn_time" || slices.Contains(Logins.Times(), column.field), "only a time has a zone")
		}
		err := (&headerError{columns: Logins, rows: 1, found: cells}).Error()
		assert.True(t, utf8.ValidString(err))
		assert.Less(t, len(err), 4000)
	})
}

// tokensOf are the tokens of a part as a list of texts, adjacent texts as one.
func tokensOf(next func() (token string, isText bool, err error)) (tokens []string, err error) {
	var text strings.Builder
	for {
		token, isText, err := next()
		if isText {
			text.WriteString(token)
			continue
		}
		if text.Len() > 0 {
			tokens = append(tokens, "text "+text.String())
			text.Reset()
		}
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return tokens, err
		}
		if token != "" {
			tokens = append(tokens, token)
		}
	}
}

// FuzzXML reads XML as the standard library does, where that reads it.
func FuzzXML(f *testing.F) {
	for _, s := range []string{
		sheet(headRow), `<a b="1" c='2'/>&lt;&#65;<x:b x:c = "&amp;"> d </x:b >`, "<!--<a>--><?x <b> ?><![CDATA[<c>&amp;]]>", "<a b=\"1\r\n2\">\r\r\n</a>", "<a/><a b=''/><\u00e9/>", `<row r="1\x00c r="A19 t="s>`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 || strings.Contains(strings.NewReplacer("<!--", "", "<![CDATA[", "").Replace(text), "<!") {
			return // what a document type may hold is not what is compared
		}
		decoder := xml.NewDecoder(&legalXML{in: bufio.NewReader(strings.NewReader(text))})
		decoder.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
		want, wantErr := tokensOf(func() (string, bool, error) {
			token, err := decoder.RawToken()
			switch e := token.(type) {
			case xml.StartElement:
				s := "start " + e.Name.Local
				for _, a := range e.Attr {
					if a.Name.Space == "" {
						s += " " + a.Name.Local + "=" + a.Value
					}
				}
				return s, false, err
			case xml.EndElement:
				return "end " + e.Name.Local, false, err
			case xml.CharData:
				return string(e), true, err
			}
			return "", false, err
		})
		x := newXMLReader(io.NopCloser(strings.NewReader(text)))
		got, err := tokensOf(func() (string, bool, error) {
			token, err := x.token()
			if err != nil {
				return "", false, err
			}
			switch token.kind {
			case xmlStart:
				s := "start " + string(token.name)
				for rest := token.attributes; len(rest) > 0; {
					var attribute gosax.Attribute
					attribute, rest, _ = gosax.NextAttribute(rest)
					key := string(attribute.Key)
					if before, after, prefixed := strings.Cut(key, ":"); len(attribute.Value) > 1 && (!prefixed || before == "" || after == "") {
						value, _ := unescapeXML(attribute.Value[1 : len(attribute.Value)-1])
						s += " " + key + "=" + string(value)
					}
				}
				_ = token.attribute("none") // which finds what is broken
				return s, false, err
			case xmlEnd:
				return "end " + string(token.name), false, err
			case xmlText:
				unescaped, unescapeErr := unescapeXML(token.text)
				return string(unescaped), true, cmp.Or(err, unescapeErr)
			}
			return "", false, err
		})
		if wantErr != nil {
			return
		}
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}
