package main

import (
	"archive/zip"
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

var day = time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)

// logins are the cells of n logins that began within a time, in no order: of each ten one is
// open, of each twenty one has failed, the others have lasted so long at most.
func logins(n int, from time.Time, within, lasting time.Duration) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		random := rand.New(rand.NewPCG(1, uint64(from.Unix())))
		for i := range n {
			at := from.Add(time.Duration(random.IntN(int(within.Seconds()))) * time.Second)
			text := func(after time.Duration) string { return at.Add(after).Format(time.RFC3339) }
			user, lasted := random.IntN(20_000), time.Duration(random.IntN(int(lasting.Seconds())))*time.Second
			start, end, updated, reason, code := text(4*time.Second), text(4*time.Second+lasted), text(4*time.Second+lasted), "", ""
			switch {
			case i%20 == 0:
				start, end = "", ""
				reason, code = fmt.Sprintf("authentication of user%05d failed at 10.1.2.%d", user, i%250), fmt.Sprintf("WKS.%08d", i/20%12)
			case i%10 == 1:
				end, updated = "", start
			}
			of := map[string]string{
				"id": fmt.Sprintf("%016x", random.Uint64()), "user_name": fmt.Sprintf("user%05d@example.com", user), "desktop_group_name": fmt.Sprintf("group%d", user%300%20),
				"pre_conn_time": text(0), "start_time": start, "end_time": end, "update_time": updated, "failed_reason": reason, "failed_code": code,
				"machine_sid": fmt.Sprintf("S-1-5-21-1213649063-4191095369-2401105760-%d", user%300), "machine_name": fmt.Sprintf("APS-%d", user%300),
				"client_mac": "c8-d9-d2-01-3a-57", "client_name": fmt.Sprintf("PC%d", user), "client_ip": fmt.Sprintf("10.1.%d.%d", user%250, user*31%250),
				"client_version": "23.2.2.0", "client_type": "Windows 10", "agent_version": "23.2.2.0423",
				"vm_ip": "10.2.0.1", "wi_ip": "192.168.1.1", "public_ip": "203.0.113.7", "tenant_id": "a4da8115c9d8464ead3a38309130523f", "connect_type": "2",
			}
			cells := make([]string, len(record.UserConnectionFields))
			for i, name := range record.UserConnectionFields {
				cells[i] = of[name]
			}
			if !yield(cells) {
				return
			}
		}
	}
}

// fileOf makes a file of n logins.
func fileOf(b *testing.B, name string, n int, write func(w io.Writer, n int) error) *os.File {
	f, err := os.Create(filepath.Join(b.TempDir(), name))
	require.NoError(b, err)
	b.Cleanup(func() { _ = f.Close() })
	out := bufio.NewWriterSize(f, 1<<20)
	require.NoError(b, write(out, n))
	require.NoError(b, out.Flush())
	return f
}

func writeCSV(w io.Writer, n int) error {
	out := csv.NewWriter(w)
	if err := out.Write(record.UserConnectionFields); err != nil {
		return err
	}
	for cells := range logins(n, day, 24*time.Hour, 8*time.Hour) {
		if err := out.Write(cells); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// writeXLSX writes a workbook as programs do that stream it: with its texts in their cells.
func writeXLSX(w io.Writer, n int) error {
	const types = "application/vnd.openxmlformats-officedocument.spreadsheetml."
	archive := zip.NewWriter(w)
	for name, content := range map[string]string{
		"[Content_Types].xml": `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
			`<Override PartName="/xl/workbook.xml" ContentType="` + types + `sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="` + types + `worksheet+xml"/></Types>`,
		"_rels/.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
			`<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
		"xl/workbook.xml": `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">` +
			`<sheets><sheet name="Sheet1" sheetId="1" r:id="r1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
			`<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`,
	} {
		part, err := archive.Create(name)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(part, content); err != nil {
			return err
		}
	}
	part, err := archive.Create(sheet)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(part) // which keeps its error to the end
	number := 0
	write := func(cells []string) {
		number++
		fmt.Fprintf(out, `<row r="%d">`, number)
		for i, cell := range cells {
			if cell != "" {
				fmt.Fprintf(out, `<c r="%c%d" t="inlineStr"><is><t>%s</t></is></c>`, 'A'+i, number, cell)
			}
		}
		_, _ = out.WriteString(`</row>`)
	}
	_, _ = out.WriteString(`<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>`)
	write(record.UserConnectionFields)
	for cells := range logins(n, day, 24*time.Hour, 8*time.Hour) {
		write(cells)
	}
	_, _ = out.WriteString(`</sheetData></worksheet>`)
	if err := out.Flush(); err != nil {
		return err
	}
	return archive.Close()
}

const sheet = "xl/worksheets/sheet1.xml"
