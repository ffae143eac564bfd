// Package export has the service export tables of records, and reads them. Tasks
// makes an export task, waits for its file and deletes it afterwards; a restart in
// between takes the same task up again. ReadTable reads a file: of what kind it is
// (XLSX, or text of several flavours) is told by its content, what a column means by
// its name; no row of a file is ever left out silently.
package export

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Field is one cell of a row: the name of the field, as the API writes it, and
// its text.
type Field struct{ Name, Value string }

// Summary tells what was read.
type Summary struct {
	// Format is the kind of file, in words.
	Format string
	// Rows is how many data rows there were, blank ones not counted.
	Rows int
	// Replaced counts the characters that could not be decoded, among the cells
	// of known columns: they read U+FFFD now.
	Replaced int
	// Cut counts the cells that were longer than 64 KiB and have been cut.
	Cut int
	// SkippedSheets counts the sheets of a workbook that hold rows but no header
	// row that is recognised: their rows have not been read.
	SkippedSheets int
}

// maxCellBytes is how much of a cell is read.
const maxCellBytes = 64 << 10

// ReadTable reads the table in f, which is size bytes long, and calls row for
// each of its data rows: with the row's number in the file, from 1, and all its
// fields that are not empty. The slice is good until row returns.
//
// The file's kind, character set and separator are found out; the header row may
// have up to 19 rows of titles before it. Columns that columns does not know are
// ignored.
//
// An error says that the file is damaged, is no table, lacks a column that is
// needed, or is an archive bomb; or it is the one that row returned, wrapped. It
// may come after rows have been handed out: then there may be more rows that were
// not. No error holds text of a data row.
func ReadTable(f io.ReaderAt, size int64, columns Columns, row func(number int, fields []Field) error) (Summary, error) {
	t := &table{columns: columns, row: row, dayZero: dayZero1900}
	start := make([]byte, 4)
	n, err := f.ReadAt(start, 0)
	if err != nil && !isEnd(err) {
		return Summary{}, fmt.Errorf("reading the file's first bytes: %w", err)
	}
	switch start = start[:n]; {
	case n == 0:
		err = errors.New("the file is empty")
	case bytes.Equal(start, []byte("PK\x03\x04")):
		err = t.readXLSX(f, size)
	case bytes.Equal(start, []byte("\xD0\xCF\x11\xE0")):
		err = errors.New("an Excel workbook of the old kind (.xls), or one with a password: save it as .xlsx or .csv")
	default:
		err = t.readText(io.NewSectionReader(f, 0, size))
	}
	return t.summary, err
}

// rows is a text or a sheet, row by row.
type rows interface {
	// next returns the cells of the next row that has any, and the row's number.
	// The cells are good until the next call. After the last row it returns io.EOF.
	next() (cells []string, number int, err error)
}

// table is the state of one reading.
type table struct {
	columns Columns
	row     func(int, []Field) error
	summary Summary

	// dayZero is the day that the file's numbers of days start from.
	dayZero time.Time
	// strict is true if a cell without a column can only mean that a separator
	// stands unquoted in some cell, and so all cells after it in a wrong column.
	strict bool
	fields []Field
}

// read reads rows from the header row to the end.
func (t *table) read(rows rows) error {
	header, err := t.columns.findHeader(rows)
	if err != nil {
		return err
	}
	known := header.columns()
	for {
		cells, number, err := rows.next()
		if isEnd(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if t.strict && !blank(cells[min(len(header), len(cells)):]) {
			return fmt.Errorf("row %d has %d cells, more than the header row with its %d: is a separator or a quote in it not quoted?",
				number, len(cells), len(header))
		}
		if !t.fill(header, known, cells) || t.repeatsHeader() {
			continue
		}
		t.summary.Rows++
		if err := t.row(number, t.fields); err != nil {
			return fmt.Errorf("row %d: %w", number, err)
		}
	}
}

// fill makes a row's fields of its cells in the known columns. It reports whether there
// are any.
func (t *table) fill(header header, known []int, cells []string) bool {
	t.fields = t.fields[:0]
	for _, i := range known {
		if i >= len(cells) || strings.TrimSpace(cells[i]) == "" {
			continue
		}
		cell := cells[i]
		if len(cell) > maxCellBytes {
			cell = cut(cell)
			t.summary.Cut++
		}
		t.summary.Replaced += strings.Count(cell, "\uFFFD")
		if slices.Contains(t.columns.times, header[i]) {
			cell = t.date(cell)
		}
		t.fields = append(t.fields, Field{header[i], cell})
	}
	return len(t.fields) > 0
}

// repeatsHeader reports whether the row is the header row once more, as where
// one file was appended to another.
func (t *table) repeatsHeader() bool {
	for _, f := range t.fields {
		if len(f.Value) > maxHeaderBytes || t.columns.fields[key(f.Value)] != f.Name {
			return false
		}
	}
	return len(t.fields) > 1
}

// cut shortens a cell to maxCellBytes, between characters. It copies, so that
// the whole of the cell can be forgotten.
func cut(cell string) string {
	return strings.Clone(strings.ToValidUTF8(cell[:maxCellBytes], ""))
}

func blank(cells []string) bool {
	return !slices.ContainsFunc(cells, func(cell string) bool { return strings.TrimSpace(cell) != "" })
}

// isEnd reports whether err is the end of the input itself: an end wrapped in an
// error is a failure, of a file cut short.
func isEnd(err error) bool { return err == io.EOF } // one that wraps it is a broken reading

// A spreadsheet writes a time as a number of days. Its day zero is such that
// every date after February 1900 is right; the other one is of old Macs.
var (
	dayZero1900 = time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	dayZero1904 = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
)

// date turns a number of days, if cell is one, into text that record.ParseTime
// reads. Numbers that would be of before 2000 or after 2200 are not dates.
func (t *table) date(cell string) string {
	days, err := strconv.ParseFloat(strings.TrimSpace(cell), 64)
	if err != nil || !(days >= 35_000 && days < 110_000) {
		return cell
	}
	// A day's fraction is exact to some microseconds.
	ms := time.Duration(math.Round(days*24*60*60*1000)) * time.Millisecond
	date := t.dayZero.Add(ms)
	if date.Year() < 2000 || date.Year() >= 2200 {
		return cell
	}
	return date.Format("2006-01-02T15:04:05.999Z07:00")
}
