//go:build !race

// With the race detector these would take minutes, and measure its memory.

package export

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Files that are made to hurt end in an error or in cells that are cut, and take no
// more memory, all allocations together, than is said here.
func TestHostileFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("too long for make quick")
	}
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
			summary, err := ReadTable(bytes.NewReader(c.file), int64(len(c.file)), Logins, func(row Row) error {
				fields := row.Fields
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

// directory is a file of so many bytes, an archive whose list of parts has so many, of
// which each is nothing, and states how many there are.
func directory(size, parts int, stated uint64) []byte {
	entry := make([]byte, 46)
	copy(entry, "PK\x01\x02")
	list := bytes.Repeat(entry, parts)
	end := make([]byte, 56+20+22)
	begin := uint64(size - len(list) - len(end))
	copy(end, "PK\x06\x06")
	binary.LittleEndian.PutUint64(end[4:], 44)
	binary.LittleEndian.PutUint64(end[24:], stated)
	binary.LittleEndian.PutUint64(end[32:], stated)
	binary.LittleEndian.PutUint64(end[40:], uint64(len(list)))
	binary.LittleEndian.PutUint64(end[48:], begin)
	copy(end[56:], "PK\x06\x07")
	binary.LittleEndian.PutUint64(end[64:], begin+uint64(len(list)))
	binary.LittleEndian.PutUint32(end[72:], 1)
	copy(end[76:], "PK\x05\x06\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
	return append(list, end...)
}

// A list of parts is kept whole: one that no workbook has is refused before it is read.
func TestArchivesOfManyParts(t *testing.T) {
	const size = 8 << 30
	for name, file := range map[string][]byte{
		"listed":            directory(size, 300_000, 300_000),
		"said to be listed": directory(size, 1, 100_000_000),
		"more than stated":  directory(size, 300_000, 1),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := ReadTable(sparse{file, size}, size, Logins, nil)
			runtime.ReadMemStats(&after)
			require.ErrorContains(t, err, "it lists more parts than a workbook has")
			require.Less(t, (after.TotalAlloc-before.TotalAlloc)>>20, uint64(40), "MB")
		})
	}
}

// sparse is a file with nothing between its first part and its last.
type sparse struct {
	file []byte
	size int64
}

func (s sparse) ReadAt(p []byte, offset int64) (int, error) {
	clear(p)
	if offset == 0 {
		copy(p, "PK\x03\x04")
	}
	if n := s.size - offset; int64(len(p)) > n {
		p = p[:n]
	}
	if begin := s.size - int64(len(s.file)); offset >= begin {
		copy(p, s.file[offset-begin:])
	} else if offset+int64(len(p)) > begin {
		copy(p[begin-offset:], s.file)
	}
	return len(p), nil
}

// A row costs what it has, and not what the farthest of all columns is.
func TestFarColumns(t *testing.T) {
	const rows = 300_000
	far := strings.Repeat(`<row><c r="XFD2"><v>1</v></c></row>`, rows)
	for name, head := range map[string]string{
		"unknown": headRow,
		"known":   `<row><c r="A1" t="str"><v>user_name</v></c><c r="XFC1" t="str"><v>start_time</v></c><c r="XFD1" t="str"><v>id</v></c></row>`,
	} {
		t.Run(name, func(t *testing.T) {
			setLimit(t, &maxRatio, 1e9)
			file := workbook(t, zipped{sheet1: sheet(head + `<row><c r="A2"><v>7</v></c></row>` + far)})
			begun := time.Now()
			got, _, err := read(file)
			require.NoError(t, err)
			require.Less(t, time.Since(begun), 10*time.Second) // on a busy machine
			if name == "known" {
				require.Len(t, got, rows+1)
				require.Equal(t, []Field{{"id", "1"}}, got[rows], "nothing is left of an earlier row")
			}
		})
	}
}
