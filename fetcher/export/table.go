// Package export has the service export tables of records, and reads them. Tasks
// makes an export task, waits for its file and deletes it afterwards; a restart in
// between takes the same task up again. ReadTable reads a file: of what kind it is
// (XLSX, text of several flavours, JSON, or an archive of these) is recognised by its content,
// what a column means by its name; no row of a file is ever left out silently.
package export

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Field is one cell of a row: the name of the field, as the API writes it, and
// its text, or Unreadable.
type Field struct{ Name, Value string }

// Unreadable is the value of a field that has one of a kind that no field has, such as a
// list. No text is a character that is none.
const Unreadable = "\uFFFF"

// Row is a row of a table.
type Row struct {
	Number int // in the file, from 1
	// Fields are those that are not empty; none if only columns that mean nothing have
	// text. They are good until the next row.
	Fields []Field
	// IsRecord is false for totals, comments, trailing characters: for what has no time,
	// readable or not, or does not say whose or which it is.
	IsRecord bool
}

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
	// SkippedSheets counts the sheets of a workbook that stand before the table and are
	// no part of it, such as a cover, and SkippedRows their rows: they have not been read.
	SkippedSheets, SkippedRows int
	// Ignored are the titles of columns that mean nothing, but for those that are dropped
	// on purpose. There are at most maxColumnsTold of them.
	Ignored []string
}

// maxCellBytes is how much of a cell is read.
const maxCellBytes = 64 << 10

// ReadTable reads the table in f, which is size bytes long, and calls row for
// each of its data rows.
//
// The file's kind, character set and separator are found out; the header row may
// have up to 19 rows of titles before it. Columns that columns does not know are
// ignored, and listed. Of columns of the same field, the first that says something counts. A time
// whose column's title names a zone is given in UTC.
//
// An error says that the file is damaged, is no table, lacks a column that is
// needed, or is an archive bomb; or it is the one that row returned, wrapped. It
// may come after rows have been handed out: then there may be more rows that were
// not. No error holds text of a data row.
func ReadTable(f io.ReaderAt, size int64, columns Columns, row func(Row) error) (Summary, error) {
	t := &table{columns: columns, row: row}
	err := t.readFile(f, size)
	return t.summary, err
}

// readFile reads a file of any kind.
func (t *table) readFile(f io.ReaderAt, size int64) error {
	start := make([]byte, 4)
	n, err := f.ReadAt(start, 0)
	if err != nil && !isEnd(err) {
		return fmt.Errorf("reading the file's first bytes: %w", err)
	}
	switch start = start[:n]; {
	case n == 0:
		return errors.New("the file is empty")
	case bytes.Equal(start, []byte("PK\x03\x04")):
		return t.readArchive(f, size)
	case bytes.Equal(start, []byte("PK\x05\x06")):
		return errors.New("an archive (ZIP) without a file")
	case bytes.HasPrefix(start, []byte("\x1F\x8B")):
		return errors.New("a file that is packed (gzip): unpack it first")
	case bytes.Equal(start, []byte("\xD0\xCF\x11\xE0")):
		return errors.New("an Excel workbook of the old kind (.xls), or one with a password: save it as .xlsx or .csv")
	}
	return t.readText(io.NewSectionReader(f, 0, size))
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
	row     func(Row) error
	summary Summary

	// candidates are the kinds of which a table may be, of which kind is the number;
	// none if it is known. Then nothing is read but the header.
	candidates []Columns
	kind       int

	// header is that of the last table that had one.
	header header
	// mac is true if days are counted from 1904 on, as old Macs did.
	mac bool
	// inArchive is true for a file that stands in an archive; unpackable is how many bytes
	// of it may still be unpacked.
	inArchive  bool
	unpackable uint64
	records    int // that were handed out
	// untimed is true if there is no column for a time, so that no row has any.
	untimed bool
	// repeats is true if a row may have several cells of a field.
	repeats bool
	// text is what is read, if it is text; nil for a workbook. In a text a cell without a
	// column can only mean that a separator stands unquoted in some cell, and so all cells
	// after it in a wrong column.
	text   *textRows
	fields []Field
}

// read reads rows from the header row to the end.
func (t *table) read(rows rows) error {
	header, err := t.findHeader(rows)
	if err != nil {
		return err
	}
	if t.candidates != nil {
		return errRecognised
	}
	t.header, t.repeats = header, header.known() < len(header.columns())
	t.untimed = !slices.ContainsFunc(t.columns.times, header.has)
	return t.readData(rows)
}

// readData reads rows that stand under the header.
func (t *table) readData(rows rows) error {
	known := t.header.columns()
	last, ragged := known[len(known)-1], false
	for {
		cells, number, err := rows.next()
		if isEnd(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if t.text != nil && !blank(cells[min(len(t.header), len(cells)):]) && !isComment(cells) {
			return fmt.Errorf("row %d has %d cells, more than the header row with its %d: is a separator or a quote in it not quoted?",
				number, len(cells), len(t.header))
		}
		isShort := len(cells) <= last
		if !t.fill(known, cells) && !hasText(cells) || t.repeatsHeader() {
			continue
		}
		if isShort && !ragged && t.isTorn(cells) {
			return fmt.Errorf("the file ends within row %d: it was cut short; get it again, or end that row with a line end if it is whole", number)
		}
		ragged = ragged || isShort
		isRecord := t.columns.isRecord(t.fields, t.untimed) && !(isComment(cells) && t.isRemark())
		if err := t.hand(number, isRecord); err != nil {
			return err
		}
	}
}

// isTorn reports whether a row that is shorter than all others may go on where a text ends:
// what is there of it may be the half of a record. A total or a remark is short by itself.
func (t *table) isTorn(cells []string) bool {
	return t.text != nil && t.text.isOpen() && len(cells) > 1 && !isComment(cells) && !t.columns.isTotal(t.fields)
}

// hand hands a row out.
func (t *table) hand(number int, isRecord bool) error {
	t.summary.Rows++
	if isRecord {
		t.records++
	}
	if err := t.row(Row{number, t.fields, isRecord}); err != nil {
		return fmt.Errorf("row %d: %w", number, err)
	}
	return nil
}

// isComment reports whether a row begins as what somebody remarks does.
func isComment(cells []string) bool {
	first := strings.TrimSpace(cells[0])
	return strings.HasPrefix(first, "#") && !record.IsNothing(first) // as #N/A is
}

// isRemark reports whether a row that begins with a # is one, and no record of a group
// that is called so: no id or user is, and a record has a time.
func (t *table) isRemark() bool {
	return slices.Contains(t.columns.needs[0], t.header[0].field) || !t.columns.hasReadableTime(t.fields)
}

// hasText reports whether a row that has nothing in the known columns says something. One
// with very many cells does: it would take long to look.
func hasText(cells []string) bool {
	return len(cells) > manyCells || slices.ContainsFunc(cells, func(cell string) bool { return cell != "" && !record.IsNothing(cell) })
}

const manyCells = 256

// fill makes a row's fields of its cells in the known columns. It reports whether there
// are any.
func (t *table) fill(known []int, cells []string) bool {
	t.fields = t.fields[:0]
	for _, i := range known {
		if i < len(cells) && strings.TrimSpace(cells[i]) != "" {
			t.add(t.header[i], cells[i])
		}
	}
	return len(t.fields) > 0
}

// add adds a cell to the row's fields.
func (t *table) add(column column, cell string) {
	if len(cell) > maxCellBytes {
		cell = cut(cell)
		t.summary.Cut++
	}
	t.summary.Replaced += strings.Count(cell, "\uFFFD")
	if slices.Contains(t.columns.times, column.field) {
		cell = t.time(column.zone, cell)
	}
	for i := range t.fields {
		if t.repeats && t.fields[i].Name == column.field {
			if record.IsNothing(t.fields[i].Value) {
				t.fields[i].Value = cell
			}
			return
		}
	}
	t.fields = append(t.fields, Field{column.field, cell})
}

// time writes a time as record reads it, where only the file knows what it is: days since
// 1904, or a time in its column's zone.
func (t *table) time(zone *time.Location, cell string) string {
	if t.mac {
		cell = sinceMac(cell)
	}
	if zone == nil {
		return cell
	}
	at, err := record.ParseTimeIn(cell, zone)
	if err != nil || at.IsZero() {
		return cell
	}
	return at.Format(time.RFC3339Nano)
}

// macDays are the days from the one spreadsheets' zero to the other's.
const macDays = 1462

// sinceMac makes a number of days since 1904, if cell is one of this century and the next,
// one since 1899.
func sinceMac(cell string) string {
	days, part, _ := strings.Cut(strings.TrimSpace(cell), ".")
	n, err := strconv.Atoi(days)
	if err != nil || n < 35_000-macDays || n >= 110_000-macDays {
		return cell
	}
	return strings.TrimSuffix(strconv.Itoa(n+macDays)+"."+part, ".")
}

// repeatsHeader reports whether the row is the header row once more, as where
// one file was appended to another.
func (t *table) repeatsHeader() bool {
	for _, f := range t.fields {
		if len(f.Value) > maxHeaderBytes || t.columns.fields[key(f.Value)] != f.Name &&
			(!strings.ContainsAny(f.Value, "(（[. _+") || t.columns.column(f.Value).field != f.Name) {
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
