package export

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/simplifiedchinese"
)

func TestQuotes(t *testing.T) {
	const head = "id,start_time,failed_reason\n"
	for name, tc := range map[string]struct {
		body string
		want []string // the reasons of the rows
		err  string
	}{
		"bare":                    {"1,,5\" screen\n2,,b\n", []string{`5" screen`, "b"}, ""},
		"bare, blank lines":       {"\n\r\n1,,5\" screen\r\n\r\n2,,b\r\n", []string{`5" screen`, "b"}, ""},
		"inside quotes":           {"1,,\"a \"b\" c\"\n2,,b\n", []string{`a "b" c`, "b"}, ""},
		"many rows":               {strings.Repeat("1,,5\"\n", 5000), nil, ""},
		"escaped lines":           {"1,,\"a\n2,,\"\"b\"\"\"\n", []string{"a\n2,,\"b\""}, ""},
		"never closed":            {"1,,a\n2,,\"b\n3,,c\n", []string{"a"}, "row 3: broken quoting"},
		"never closed, last":      {"1,,a\n2,,\"b", []string{"a"}, "row 3: broken quoting"},
		"closed by the next row":  {"1,,\"a\n2,,\"b\"\n", nil, "row 2: broken quoting"},
		"bare, then never closed": {"1,5\",\"a\n2,,b\n", nil, "row 2: broken quoting"},
		"separator not quoted":    {"1,,a,b\n", nil, "row 2 has 4 cells, more than the header row with its 3"},
		"blank cells too many":    {"1,,a,, \n", []string{"a"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			rows, _, err := read([]byte(head + tc.body))
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
			} else {
				require.NoError(t, err)
			}
			if name == "many rows" {
				assert.Len(t, rows, 5000)
				return
			}
			var got []string
			for _, fields := range rows {
				got = append(got, fields[len(fields)-1].Value)
			}
			assert.Equal(t, tc.want, got)
		})
	}
}

func TestRowNumbersAreLines(t *testing.T) {
	text := "title\n\nid,start_time\n1,\"2023-06-05\n03:34:43\"\n\n2,\n"
	var numbers []int
	_, err := ReadTable(strings.NewReader(text), int64(len(text)), Logins, func(row Row) error {
		n := row.Number
		numbers = append(numbers, n)
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, []int{4, 7}, numbers)
}

func TestLinesOfOldMacs(t *testing.T) {
	rows, _, err := read([]byte("id,start_time\r1,2023-06-05 03:34:43\r2,\r"))
	require.NoError(t, err)
	assert.Len(t, rows, 2)
}

func TestTitleMadeOfNamesAndValues(t *testing.T) {
	rows, _, err := read([]byte("Login user,ann,Start time,2023-06-05 03:34:43\nid,start_time\n1,\n"))
	require.NoError(t, err)
	assert.Equal(t, [][]Field{{{"id", "1"}}}, rows)
}

func TestSeparatorInTitleDoesNotCount(t *testing.T) {
	rows, summary, err := read([]byte("a, b, c, d, e, f\nsep=;\nid;start_time\n1;2023-06-05 03:34:43\n"))
	require.NoError(t, err)
	assert.Len(t, rows, 1)
	assert.Contains(t, summary.Format, "semicolons")
}

func TestUndecodableTextIsCounted(t *testing.T) {
	const head = "id,user_name,start_time,桌面组名\n"
	gb := string(encoded(t, simplifiedchinese.GB18030, head))
	for name, file := range map[string]string{
		"UTF-8":   head + "1,a\xFF\xFEb,,\xE8\xB4\n2,b,,财务部\n",
		"GB18030": gb + "1,a\xFF\xFFb,,\xFF\n2,b,,c\n",
	} {
		t.Run(name, func(t *testing.T) {
			rows, summary, err := read([]byte(file))
			require.NoError(t, err)
			require.Len(t, rows, 2)
			assert.Equal(t, "text in "+name+", separated by commas", summary.Format)
			assert.Equal(t, "a\uFFFD\uFFFDb", rows[0][1].Value)
			assert.Equal(t, 3, summary.Replaced)
		})
	}
}

func TestCharsetShowsLate(t *testing.T) {
	var file strings.Builder
	file.WriteString("id,start_time,user_name\n")
	for range 20_000 {
		file.WriteString("1,2023-06-05 03:34:43,ann\n")
	}
	file.Write(encoded(t, simplifiedchinese.GB18030, "2,,财务部\n"))
	rows, _, err := read([]byte(file.String()))
	require.NoError(t, err)
	assert.Equal(t, "财务部", rows[20_000][1].Value)
}

func TestRowWithoutEnd(t *testing.T) {
	setLimit(t, &maxRowBytes, 1<<20)
	text := "id,start_time\n1,\"" + strings.Repeat("a line\n", 1<<18)
	_, _, err := read([]byte(text))
	assert.ErrorContains(t, err, "a row is larger than 1048576 bytes")
}

func TestFailingFile(t *testing.T) {
	failure := fmt.Errorf("connection lost: %w", io.EOF) // no end of the file
	file := "id,start_time\n" + strings.Repeat("1,2023-06-05 03:34:43\n", 30_000)
	for _, good := range []int{0, 3, 1000, 300_000} {
		f := failingFile{strings.NewReader(file), int64(good), failure}
		_, err := ReadTable(f, int64(len(file)), Logins, func(Row) error { return nil })
		assert.ErrorIs(t, err, failure, good)
	}
}

// failingFile fails beyond its first bytes.
type failingFile struct {
	in   io.ReaderAt
	good int64
	err  error
}

func (f failingFile) ReadAt(p []byte, offset int64) (int, error) {
	if offset+int64(len(p)) > f.good {
		return 0, f.err
	}
	return f.in.ReadAt(p, offset)
}

func TestTextReadInSmallPieces(t *testing.T) {
	rows := newTextRows(iotest.OneByteReader(strings.NewReader("a,5\" b\n\"c\nd\",e\n")), ',')
	cells, _, err := rows.next()
	require.NoError(t, err)
	assert.Equal(t, []string{"a", `5" b`}, cells)
	cells, number, err := rows.next()
	require.NoError(t, err)
	assert.Equal(t, []string{"c\nd", "e"}, cells)
	assert.Equal(t, 2, number)
	_, _, err = rows.next()
	assert.Equal(t, io.EOF, err)
}
