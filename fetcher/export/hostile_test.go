//go:build !race

// With the race detector these would take minutes, and measure its memory.

package export

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Files that are made to hurt end in an error or in cells that are cut, and take no
// more memory, all allocations together, than is said here.
func TestHostileFiles(t *testing.T) {
	const mb = 1 << 20
	laughs := `<!DOCTYPE x [<!ENTITY a0 "ha">`
	for i := 1; i < 10; i++ {
		laughs += fmt.Sprintf(`<!ENTITY a%d "%s">`, i, strings.Repeat(fmt.Sprintf("&a%d;", i-1), 10))
	}
	laughs += `]>`
	outside := `<!DOCTYPE x [<!ENTITY a9 SYSTEM "file:///etc/hostname">]>`
	row := func(cell string) string { return `<row><c><v>1</v></c><c/>` + cell + `</row>` }
	deep := strings.Repeat("<a>", mb/4)
	workbookOf := func(parts zipped) []byte { return workbook(t, parts) }
	many := zipped{sheet1: sheet(headRow + row(""))}
	for i := range 20_000 {
		many[fmt.Sprintf("xl/media/%d", i)] = ""
	}
	huge := strings.Repeat("x", 10*mb)
	const head = "id,start_time,user_name\n"
	for name, c := range map[string]struct {
		file   []byte
		err    string // "" if the file is read
		memory uint64 // MB
	}{
		"billion laughs in a cell":  {workbookOf(zipped{sheet1: laughs + sheet(headRow+row(`<c t="str"><v>&a9;</v></c>`))}), "broken XML", 5},
		"billion laughs in texts":   {workbookOf(zipped{sheet1: sheet(headRow), strings1: laughs + `<sst><si><t>&a9;</t></si></sst>`}), "broken XML", 5},
		"a file named in the XML":   {workbookOf(zipped{sheet1: outside + sheet(headRow+row(`<c t="str"><v>&a9;</v></c>`))}), "broken XML", 5},
		"deep XML in a sheet":       {workbookOf(zipped{sheet1: sheet(headRow) + deep}), "", 200},
		"deep XML in a row":         {workbookOf(zipped{sheet1: sheet(headRow + `<row>` + deep)}), "", 200},
		"deep XML in a cell":        {workbookOf(zipped{sheet1: sheet(headRow + `<row><c t="str">` + deep)}), "unexpected EOF", 200},
		"deep XML in texts":         {workbookOf(zipped{sheet1: sheet(headRow), strings1: `<sst><si>` + deep}), "unexpected EOF", 200},
		"deep XML in properties":    {workbookOf(zipped{sheet1: sheet(headRow), "xl/workbook.xml": "<workbook>" + deep}), "", 200},
		"many attributes":           {workbookOf(zipped{sheet1: sheet(headRow + `<row` + strings.Repeat(` a="1"`, mb/4) + `></row>`)}), "", 400},
		"a cell of 10 MB":           {workbookOf(zipped{sheet1: sheet(headRow + row(`<c t="str"><v>`+huge+`</v></c>`))}), "", 120},
		"a text of 10 MB":           {workbookOf(zipped{sheet1: sheet(headRow + row(`<c t="s"><v>0</v></c>`)), strings1: `<sst><si><t>` + huge + `</t></si></sst>`}), "", 120},
		"a cell of 20 MB":           {workbookOf(zipped{sheet1: sheet(headRow + row(`<c t="str"><v>`+huge+huge+`</v></c>`))}), "a text or tag larger than", 120},
		"many empty parts":          {workbookOf(many), "", 60},
		"many empty rows":           {workbookOf(zipped{sheet1: sheet(headRow + strings.Repeat("<row/>", mb/4))}), "", 400},
		"a cell of 10 MB as text":   {[]byte(head + "1,," + huge + "\n"), "", 150},
		"quoted":                    {[]byte(head + `1,,"` + strings.Repeat("x\n,\"\"", 2*mb) + "\"\n"), "", 250},
		"never closed":              {[]byte(head + `1,,"` + huge + huge), "is a quote never closed?", 400},
		"a line of 20 MB":           {[]byte(head + "1,," + huge + huge), "larger than", 400},
		"a row of 10 million cells": {[]byte(head + "1,," + strings.Repeat(",", 10*mb) + "\n"), "more than 262144 cells", 120},
		"a head of 10 million":      {[]byte(strings.Repeat("id,", 10*mb) + "\n"), "more than 262144 cells", 120},
		"zeros":                     {make([]byte, 10*mb), "no header row", 500},
		"line breaks":               {bytes.Repeat([]byte("\n"), 10*mb), "no rows", 400},
	} {
		t.Run(name, func(t *testing.T) {
			setLimit(t, &maxRatio, 1e9)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			summary, err := ReadTable(bytes.NewReader(c.file), int64(len(c.file)), Logins, func(_ int, fields []Field) error {
				for _, f := range fields {
					require.LessOrEqual(t, len(f.Value), maxCellBytes)
				}
				return nil
			})
			runtime.ReadMemStats(&after)
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.err)
				assert.Less(t, len(err.Error()), 1000)
			}
			assert.LessOrEqual(t, summary.Rows, 1)
			took := (after.TotalAlloc - before.TotalAlloc) / mb
			t.Logf("%d MB", took)
			assert.LessOrEqual(t, took, c.memory, "MB")
		})
	}
}
