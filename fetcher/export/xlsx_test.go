package export

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

const (
	sheet1   = "xl/worksheets/sheet1.xml"
	sheet2   = "xl/worksheets/sheet2.xml"
	strings1 = "xl/sharedStrings.xml"
	headRow  = `<row r="1"><c r="A1" t="str"><v>id</v></c><c r="B1" t="str"><v>start_time</v></c><c r="C1" t="str"><v>user_name</v></c></row>`
)

// zipped are the parts of a workbook by name.
type zipped map[string]string

func workbook(t testing.TB, parts zipped) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	names := []string{}
	for name := range parts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		part, err := w.Create(name)
		require.NoError(t, err)
		_, err = part.Write([]byte(parts[name]))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func sheet(rows string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>` +
		rows + `</sheetData></worksheet>`
}

func TestKindsOfCells(t *testing.T) {
	shared := `<sst><si><t xml:space="preserve"> a &amp; b </t></si><si><r><t>ri</t></r><r><rPr><b/></rPr><t>ch</t></r><rPh sb="0" eb="1"><t>no</t></rPh></si><si/><si><t>l1_x000D_
l2</t></si></sst>`
	for name, tc := range map[string]struct{ cell, want string }{
		"shared":        {`<c t="s"><v>0</v></c>`, " a & b "},
		"shared, rich":  {`<c t="s"><v>1</v></c>`, "rich"},
		"shared, empty": {`<c t="s"><v>2</v></c>`, ""},
		"escaped":       {`<c t="s"><v>3</v></c>`, "l1\r\nl2"},
		"inline":        {`<c t="inlineStr"><is><r><t>in</t></r><r><t>line</t></r></is></c>`, "inline"},
		"formula":       {`<c t="str"><f>A1&amp;"x"</f><v>394x</v></c>`, "394x"},
		"error":         {`<c t="e"><v>#N/A</v></c>`, ""},
		"CDATA":         {`<c t="str"><v><![CDATA[a<b]]></v></c>`, "a<b"},
		"number":        {`<c><v>394</v></c>`, "394"},
		"long number":   {`<c t="n"><v>12345678901234567890</v></c>`, "1.2345678901234567E+19"},
		"double":        {`<c><v>394.0</v></c>`, "394"},
		"large double":  {`<c><v>1.2345678E7</v></c>`, "12345678"},
		"fraction":      {`<c><v>1.5</v></c>`, "1.5"},
		"text number":   {`<c t="str"><v>394.0</v></c>`, "394.0"},
		"blank":         {`<c s="1"/>`, ""},
		"prefix":        {`<x:c t="inlineStr"><x:is><x:t>pre</x:t></x:is></x:c>`, "pre"},
	} {
		t.Run(name, func(t *testing.T) {
			// The row's own references are left out: cells stand in order.
			rows, _, err := read(workbook(t, zipped{strings1: shared, sheet1: sheet(headRow + `<row>` + `<c><v>1</v></c><c/>` + tc.cell + `</row>`)}))
			require.NoError(t, err)
			want := []Field{{"id", "1"}}
			if tc.want != "" {
				want = append(want, Field{"user_name", tc.want})
			}
			assert.Equal(t, [][]Field{want}, rows)
		})
	}
}

func TestDateCells(t *testing.T) {
	at := time.Date(2023, 6, 5, 6, 37, 47, 0, time.UTC)
	for _, mac := range []bool{false, true} {
		f := excelize.NewFile()
		require.NoError(t, f.SetWorkbookProps(&excelize.WorkbookPropsOptions{Date1904: &mac}))
		require.NoError(t, f.SetSheetRow("Sheet1", "A1", &[]any{"id", "start_time"}))
		require.NoError(t, f.SetSheetRow("Sheet1", "A3", &[]any{45082.25, at}))
		var out bytes.Buffer
		require.NoError(t, f.Write(&out))
		rows, _, err := read(out.Bytes())
		require.NoError(t, err)
		assert.Equal(t, [][]Field{{{"id", "45082.25"}, rows[0][1]}}, rows, "1904: %v", mac)
		got, err := record.ParseTime(rows[0][1].Value)
		require.NoError(t, err)
		assert.Equal(t, at, got, "1904: %v", mac)
	}
}

func TestSheets(t *testing.T) {
	row := func(id int) string { return fmt.Sprintf(`<row><c><v>%d</v></c></row>`, id) }
	whole := func(id int) string {
		return fmt.Sprintf(`<row><c><v>%d</v></c><c t="str"><v>2023-06-05 06:37:47</v></c><c t="str"><v>ann</v></c></row>`, id)
	}
	for name, tc := range map[string]struct {
		parts   zipped
		ids     string
		skipped int
		err     string
	}{
		"a second goes on":        {zipped{sheet1: sheet(headRow + row(1)), sheet2: sheet(headRow + row(2))}, "12", 0, ""},
		"an empty one":            {zipped{sheet1: sheet(""), sheet2: sheet(headRow + row(2))}, "2", 0, ""},
		"one of something else":   {zipped{sheet1: sheet(headRow + row(1)), sheet2: sheet(row(2))}, "1", 0, "it has neither a header row nor the 3 columns of the sheet before it"},
		"one that goes on":        {zipped{sheet1: sheet(headRow + row(1)), sheet2: sheet(whole(2) + row(3))}, "123", 0, ""},
		"one that goes on, dated": {zipped{sheet1: sheet(headRow + row(1)), sheet2: sheet(`<row><c><v>2</v></c><c t="str"><v>2023-06-05 06:37:47</v></c></row>`)}, "12", 0, ""},
		"many that go on":         {zipped{sheet1: sheet(headRow + row(1)), sheet2: sheet(whole(2)), "xl/worksheets/sheet10.xml": sheet(whole(4)), "xl/worksheets/sheet3.xml": sheet(whole(3))}, "1234", 0, ""},
		"a cover":                 {zipped{sheet1: sheet(`<row><c t="str"><v>Logins of May</v></c></row>`), sheet2: sheet(headRow + row(1))}, "1", 1, ""},
		"rows before their head":  {zipped{sheet1: sheet(whole(2)), sheet2: sheet(headRow + row(1))}, "1", 1, "its rows stand before the sheet with the header row"},
		"an order of its own": {zipped{sheet1: sheet(whole(2)), sheet2: sheet(headRow + row(1)), "xl/workbook.xml": `<workbook><sheets><sheet name="a" r:id="x2"/><sheet name="b" r:id="x1"/></sheets></workbook>`,
			"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="x1" Target="worksheets/sheet1.xml"/><Relationship Id="x2" Target="/xl/worksheets/sheet2.xml"/></Relationships>`}, "12", 0, ""},
		"other names":             {zipped{"xl/worksheets/Sheet1.xml": sheet(strings.Replace(headRow, "id", "Primary key", 1) + row(1)), sheet2: sheet(headRow + row(2))}, "12", 0, ""},
		"only something else":     {zipped{sheet1: sheet(row(1)), sheet2: sheet("")}, "", 0, "one row that is no header row"},
		"no rows":                 {zipped{sheet1: `<worksheet><sheetData/></worksheet>`}, "", 0, "no rows: a table needs"},
		"no sheet":                {zipped{"a.png": "id,start_time"}, "", 0, "ZIP archive without a worksheet"},
		"names of another system": {zipped{`xl\worksheets\Sheet1.xml`: sheet(headRow + row(1))}, "1", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			rows, summary, err := read(workbook(t, tc.parts))
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
			} else {
				require.NoError(t, err)
			}
			ids := ""
			for _, fields := range rows {
				ids += fields[0].Value
			}
			assert.Equal(t, tc.ids, ids)
			assert.Equal(t, tc.skipped, summary.SkippedSheets)
		})
	}
}

func TestArchiveBombs(t *testing.T) {
	good := workbook(t, zipped{sheet1: sheet(headRow)})
	t.Run("ratio", func(t *testing.T) {
		bomb := workbook(t, zipped{sheet1: sheet(headRow), "xl/media/image1.png": strings.Repeat("\x00", 1<<20)})
		_, _, err := read(bomb)
		assert.ErrorContains(t, err, "refused as an archive bomb")
		assert.ErrorContains(t, err, "100 times the file")
	})
	t.Run("size", func(t *testing.T) {
		setLimit(t, &maxUnpacked, 100)
		_, _, err := read(good)
		assert.ErrorContains(t, err, "larger than 100 bytes")
	})
	t.Run("size stated wrong", func(t *testing.T) {
		bomb := workbook(t, zipped{sheet1: sheet(headRow + strings.Repeat(`<row><c><v>1</v></c></row>`, 10_000))})
		directory := bytes.LastIndex(bomb, []byte("PK\x01\x02"))
		copy(bomb[directory+24:], "\x80\x04\x00\x00") // the unpacked size
		_, _, err := read(bomb)
		require.ErrorContains(t, err, "damaged")
		assert.NotContains(t, err.Error(), "bomb")
	})
	t.Run("text", func(t *testing.T) {
		setLimit(t, &maxXMLToken, 200_000)
		setLimit(t, &maxRatio, 1e6)
		bomb := workbook(t, zipped{sheet1: sheet(headRow + `<row><c t="str"><v>` + strings.Repeat("a", 400_000) + `</v></c></row>`)})
		_, _, err := read(bomb)
		assert.ErrorContains(t, err, "a text or tag larger than 200000 bytes")

		many := workbook(t, zipped{sheet1: sheet(headRow + strings.Repeat(`<row><c><v>1</v></c></row>`, 15_000))})
		_, _, err = read(many)
		assert.NoError(t, err, "the limit is for one text")
	})
}

func TestBrokenWorkbooks(t *testing.T) {
	secret := `<row><c t="str"><v>ann</v></c></row>`
	for name, tc := range map[string]struct {
		parts zipped
		err   string
	}{
		"cut between rows":    {zipped{sheet1: `<worksheet><sheetData>` + headRow + secret}, "it ends after row 2, before its end mark"},
		"cut inside a cell":   {zipped{sheet1: `<worksheet><sheetData>` + headRow + `<row><c t="str"><v>ann`}, "row 2"},
		"not XML":             {zipped{sheet1: sheet(headRow + `<row><c t="str"><v>&ann;</v></c></row>`)}, "row 2: broken XML behind byte 275"},
		"tag without an end":  {zipped{sheet1: sheet(headRow + `<row><c t="str"><v>ann</v</c></row>`)}, "row 2: broken XML behind byte"},
		"tag without a name":  {zipped{sheet1: sheet(headRow + `< row><c t="str"><v>ann</v></c></row>`)}, "broken XML behind byte"},
		"bare attribute":      {zipped{sheet1: sheet(headRow + `<row><c r=A2 t="str"><v>ann</v></c></row>`)}, "row 2: broken XML behind byte"},
		"open attribute":      {zipped{sheet1: sheet(headRow + `<row><c r="A2 t="str"><v>ann</v></c></row>`)}, "row 2: broken XML behind byte"},
		"attribute reference": {zipped{sheet1: sheet(headRow + `<row><c r="&ann;"><v>ann</v></c></row>`)}, "row 2: broken XML behind byte"},
		"section":             {zipped{sheet1: sheet(headRow + `<row><c t="str"><v><![DATA[ann]]></v></c></row>`)}, "row 2: broken XML behind byte"},
		"declaration":         {zipped{sheet1: sheet(headRow + `<row><!x></row>`)}, "after row 2: broken XML behind byte"},
		"no such text":        {zipped{sheet1: sheet(headRow + `<row><c t="s"><v>5</v></c></row>`), strings1: `<sst><si><t>ann</t></si></sst>`}, "names a text that is not among the workbook's 1"},
		"text without number": {zipped{sheet1: sheet(headRow + `<row><c t="s"><v>ann</v></c></row>`)}, "names a text that is not among the workbook's 0"},
		"texts cut":           {zipped{sheet1: sheet(headRow), strings1: `<sst><si><t>ann</t></si>`}, "reading the workbook's texts: damaged"},
		"texts not XML":       {zipped{sheet1: sheet(headRow), strings1: `<sst><si><t>ann<</t></si>`}, "reading the workbook's texts: broken XML"},
		"column out of range": {zipped{sheet1: sheet(headRow + `<row><c r="ZZZZZZZZZZZZZZZZZ2"><v>1</v></c></row>`)}, "a cell whose reference names no column"},
		"column without name": {zipped{sheet1: sheet(headRow + `<row><c r="12"><v>1</v></c></row>`)}, "a cell whose reference names no column"},
		"too many columns":    {zipped{sheet1: sheet(headRow + `<row><c r="XFD2"/><c><v>1</v></c></row>`)}, "more columns than a worksheet can have"},
		"properties not XML":  {zipped{sheet1: sheet(headRow), "xl/workbook.xml": "<workbook><"}, "reading the workbook's properties"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := read(workbook(t, tc.parts))
			require.ErrorContains(t, err, tc.err)
			assert.NotContains(t, err.Error(), "ann")
		})
	}
}

func TestDamagedArchives(t *testing.T) {
	good := xlsxFile(t, false, sample)
	_, _, err := read(good[:len(good)/2])
	assert.ErrorContains(t, err, "reading the file as a workbook (XLSX)")

	// Whatever byte is wrong, the rows are right or there is an error.
	for i := 4; i < len(good); i += 31 {
		damaged := slices.Clone(good)
		damaged[i] ^= 0x20
		if rows, _, err := read(damaged); err == nil {
			assert.Equal(t, sampleRows(), rows, "byte %d", i)
		}
	}
}

func TestWrongChecksum(t *testing.T) {
	for _, name := range []string{sheet1, strings1} {
		parts := zipped{sheet1: sheet(headRow + `<row><c><v>394</v></c></row>`), strings1: `<sst><si><t>394</t></si></sst>`}
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		for _, n := range []string{sheet1, strings1} {
			part, err := w.CreateHeader(&zip.FileHeader{Name: n, Method: zip.Store})
			require.NoError(t, err)
			_, err = part.Write([]byte(parts[n]))
			require.NoError(t, err)
		}
		require.NoError(t, w.Close())
		file := out.Bytes()
		at := bytes.Index(file, []byte(">394<"))
		if name == strings1 {
			at = bytes.LastIndex(file, []byte(">394<"))
		}
		file[at+1] = '7'
		_, _, err := read(file)
		assert.ErrorIs(t, err, zip.ErrChecksum, name)
	}
}

func TestSharedStringsBeyondTheRecentBlocks(t *testing.T) {
	var s sharedStrings
	text := func(i int) string { return fmt.Sprint(i) + strings.Repeat("x", blockBytes) }
	count := 2*len(s.recent) + 1
	for i := range count {
		require.NoError(t, s.add(text(i)))
	}
	for i := range 2 * count {
		i = i * 509 % count
		got, err := s.at(fmt.Sprint(i))
		require.NoError(t, err)
		require.Equal(t, text(i), got)
	}
}

func TestManySharedStrings(t *testing.T) {
	const count = 5000
	var texts, rows strings.Builder
	for i := range count {
		fmt.Fprintf(&texts, `<si><t>user%d</t></si>`, i)
		// Every text is used once, far from its neighbours.
		fmt.Fprintf(&rows, `<row><c><v>%d</v></c><c/><c t="s"><v>%d</v></c></row>`, i, i*7919%count)
	}
	file := workbook(t, zipped{sheet1: sheet(headRow + rows.String()), strings1: `<sst>` + texts.String() + `</sst>`})
	for name, memory := range map[string]int64{"in memory": 16 << 20, "in a file": 5000} {
		t.Run(name, func(t *testing.T) {
			setLimit(t, &maxInMemory, memory)
			folder := t.TempDir()
			t.Setenv("TMPDIR", folder)
			i := 0
			_, err := ReadTable(bytes.NewReader(file), int64(len(file)), Logins, func(row Row) error {
				fields := row.Fields
				require.Equal(t, Field{"user_name", fmt.Sprintf("user%d", i*7919%count)}, fields[1])
				i++
				return nil
			})
			require.NoError(t, err)
			assert.Equal(t, count, i)
			left, err := os.ReadDir(folder)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
	t.Run("nowhere to put the file", func(t *testing.T) {
		setLimit(t, &maxInMemory, 5000)
		t.Setenv("TMPDIR", t.TempDir()+"/none")
		_, _, err := read(file)
		assert.ErrorContains(t, err, "making a temporary file (the environment variable TMPDIR says where)")
	})
}
