package export

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// What a workbook may be at most. Variables for the tests.
var (
	maxUnpacked uint64 = 2 << 30  // bytes, all parts together
	maxRatio    uint64 = 100      // of the unpacked size to the file's
	maxXMLToken        = 16 << 20 // bytes, a tag or a text
)

// maxSheetColumns is the format's own limit (column XFD).
const maxSheetColumns = 16384

// readXLSX reads every sheet of a workbook; large exports go on in a second sheet. Sheets
// are streamed from the archive: libraries that read them end without an error where the
// XML is broken, and do not tell numbers from text.
func (t *table) readXLSX(archive *zip.Reader) error {
	t.summary.Format = "XLSX"
	book, err := readProperties(archive)
	if err != nil {
		return fmt.Errorf("reading the workbook's properties: %w", err)
	}
	shared, err := readSharedStrings(archive)
	if err != nil {
		return fmt.Errorf("reading the workbook's texts: %w", err)
	}
	defer shared.close()
	t.mac = book.mac
	return t.readSheets(book.inOrder(archive), shared)
}

// maxDirectoryBytes is how much of an archive may be the list of its parts: room for
// tens of thousands, where workbooks have dozens.
const maxDirectoryBytes = 4 << 20

// directoryLimit fails where an archive lists more parts than a workbook has: their
// list is kept in memory.
type directoryLimit struct {
	f    io.ReaderAt
	left int
	read bool // the directory has been, and what follows are parts
}

func (d *directoryLimit) ReadAt(p []byte, offset int64) (int, error) {
	n, err := d.f.ReadAt(p, offset)
	if d.read {
		return n, err
	}
	// Room is made for as many parts as the directory's end states, before any is read.
	end, isEnd := bytes.CutPrefix(p[:n], []byte("PK\x06\x06"))
	stated := isEnd && len(end) >= 36 && binary.LittleEndian.Uint64(end[28:]) > maxDirectoryBytes/46
	if d.left -= n; d.left < 0 || stated {
		return 0, errors.New("it lists more parts than a workbook has")
	}
	return n, err
}

// refuseBomb looks at the sizes that the archive states; reading a part fails
// where it turns out to be larger than that. An archive in an archive has what the outer
// one has left.
func (t *table) refuseBomb(archive *zip.Reader, size int64) error {
	limit := min(maxUnpacked, maxRatio*uint64(size))
	if t.inArchive {
		limit = min(limit, t.unpackable)
	}
	t.unpackable = limit
	for _, part := range archive.File {
		if part.UncompressedSize64 > t.unpackable {
			return fmt.Errorf("refused as an archive bomb: unpacked, the workbook is larger than %d bytes (at most %d bytes, and %d times the file, are read)",
				limit, maxUnpacked, maxRatio)
		}
		t.unpackable -= part.UncompressedSize64
	}
	return nil
}

// readSheets reads the sheets that have a header row of their own, and those that go on
// under the last one. A sheet that does neither refuses the file: its rows would be lost.
// But what stands before the first table, such as a cover, is left out and logged.
func (t *table) readSheets(sheets []*zip.File, shared *sharedStrings) error {
	var before []*zip.File
	var missing error = errors.New("a ZIP archive without a worksheet: not a workbook (XLSX)")
	for _, sheet := range sheets {
		err := t.readSheet(sheet, shared, t.read)
		var headless *headerError
		switch {
		case !errors.As(err, &headless):
			if err != nil {
				return ofSheet(sheet, err)
			}
		case headless.rows == 0: // it is empty
			if len(before) == 0 {
				missing = err
			}
		case t.header == nil:
			before = append(before, sheet)
			missing = err
		default:
			if err := t.readSheet(sheet, shared, t.readOn); err != nil {
				return ofSheet(sheet, err)
			}
		}
	}
	if t.header == nil {
		return missing
	}
	return t.leaveOut(before, shared)
}

func ofSheet(sheet *zip.File, err error) error {
	return fmt.Errorf("worksheet %q: %w", record.ScrubText(record.Label(path.Base(sheet.Name))), err)
}

// leaveOut counts the rows of sheets that stand before the first table. If they would fit
// under its header, they are no cover.
func (t *table) leaveOut(sheets []*zip.File, shared *sharedStrings) error {
	for _, sheet := range sheets {
		t.summary.SkippedSheets++
		err := t.readSheet(sheet, shared, func(rows rows) error {
			for first := true; ; first = false {
				cells, _, err := rows.next()
				switch {
				case isEnd(err):
					return nil
				case err != nil:
					return err
				case first && t.fits(cells):
					return errors.New("its rows stand before the sheet with the header row: move it behind")
				}
				t.summary.SkippedRows++
			}
		})
		if err != nil {
			return ofSheet(sheet, err)
		}
	}
	return nil
}

// readOn reads a sheet that goes on where the one before it ended.
func (t *table) readOn(rows rows) error {
	first := &pushedBack{rows: rows}
	if err := first.peek(); err != nil {
		return err
	}
	if !t.fits(first.cells) {
		return fmt.Errorf("it has neither a header row nor the %d columns of the sheet before it: remove it, or give it a header row", t.width())
	}
	return t.readData(first)
}

// width is the number of columns under the header.
func (t *table) width() int {
	return widthOf(len(t.header), func(i int) bool { return t.header[i].field != "" })
}

func widthOf(n int, has func(i int) bool) int {
	for n > 0 && !has(n-1) {
		n--
	}
	return n
}

// fits reports whether a row can stand under the header: it has as many cells, or is a
// record there.
func (t *table) fits(cells []string) bool {
	width := widthOf(len(cells), func(i int) bool { return strings.TrimSpace(cells[i]) != "" })
	if width == len(t.header) || width == t.width() {
		return true
	}
	if width > len(t.header) || !t.fill(t.header.columns(), cells) || !t.columns.isRecord(t.fields, t.untimed) {
		return false
	}
	return t.columns.hasReadableTime(t.fields)
}

// pushedBack are rows of which the first was looked at.
type pushedBack struct {
	rows
	cells  []string
	number int
	held   bool
}

func (p *pushedBack) peek() (err error) {
	p.cells, p.number, err = p.rows.next()
	p.held = err == nil
	return err
}

func (p *pushedBack) next() ([]string, int, error) {
	if p.held {
		p.held = false
		return p.cells, p.number, nil
	}
	return p.rows.next()
}

func (t *table) readSheet(part *zip.File, shared *sharedStrings, read func(rows) error) error {
	r, err := openXML(part)
	if err != nil {
		return err
	}
	defer r.close()
	if err := read(&sheetRows{xml: r, shared: shared}); err != nil {
		return err
	}
	return r.verify()
}

// properties are what a workbook says of itself.
type properties struct {
	mac    bool     // days are counted from 1904 on
	sheets []string // their ids, in order
	files  map[string]string
}

// readProperties reads what says in which order the sheets stand, and how days are counted.
func readProperties(archive *zip.Reader) (w properties, err error) {
	w.files = map[string]string{}
	err = eachElement(find(archive, "workbook.xml"), func(e *xmlToken) {
		switch string(e.name) {
		case "workbookPr":
			v := string(e.attribute("date1904"))
			w.mac = v == "1" || v == "true"
		case "sheet":
			if id := string(e.prefixed("id")); id != "" && len(w.sheets) < maxSheetColumns {
				w.sheets = append(w.sheets, id)
			}
		}
	})
	if err != nil {
		return w, err
	}
	err = eachElement(find(archive, "workbook.xml.rels"), func(e *xmlToken) {
		if string(e.name) == "Relationship" {
			w.files[path.Base(string(e.attribute("Target")))] = string(e.attribute("Id"))
		}
	})
	return w, err
}

// eachElement calls seen for each element of a part, if there is one.
func eachElement(part *zip.File, seen func(*xmlToken)) error {
	if part == nil {
		return nil
	}
	r, err := openXML(part)
	if err != nil {
		return err
	}
	defer r.close()
	for {
		token, err := r.token()
		if isEnd(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if token.kind == xmlStart {
			seen(token)
		}
	}
}

// sheetNumber is the number in a sheet's file name.
var sheetNumber = regexp.MustCompile(`[0-9]{1,9}`)

// inOrder are the worksheets in the workbook's order, or else in that of their numbers.
func (w *properties) inOrder(archive *zip.Reader) []*zip.File {
	sheets := worksheets(archive)
	place := func(f *zip.File) int {
		base := path.Base(slashed(f.Name))
		if i := slices.Index(w.sheets, w.files[base]); i >= 0 {
			return i - len(w.sheets)
		}
		n, _ := strconv.Atoi(sheetNumber.FindString(base))
		return n
	}
	places := make(map[*zip.File]int, len(sheets))
	for _, f := range sheets {
		places[f] = place(f)
	}
	slices.SortStableFunc(sheets, func(a, b *zip.File) int { return cmp.Compare(places[a], places[b]) })
	return sheets
}

// worksheets are the parts of a workbook that are sheets.
func worksheets(archive *zip.Reader) (sheets []*zip.File) {
	for _, part := range archive.File {
		name := slashed(part.Name)
		if path.Ext(name) == ".xml" && path.Base(path.Dir(name)) == "worksheets" {
			sheets = append(sheets, part)
		}
	}
	return sheets
}

func slashed(name string) string { return strings.ReplaceAll(name, `\`, "/") }

// find finds a part of the archive by the last element of its path.
func find(archive *zip.Reader, base string) *zip.File {
	for _, part := range archive.File {
		if strings.EqualFold(path.Base(slashed(part.Name)), base) {
			return part
		}
	}
	return nil
}

// sheetRows are the rows of a worksheet.
type sheetRows struct {
	xml    *xmlReader
	shared *sharedStrings
	cells  []string // "" beyond its length, too
	filled []int    // the columns that are not, in no order
	number int
}

func (s *sheetRows) next() ([]string, int, error) {
	for {
		token, err := s.xml.token()
		if isEnd(err) {
			return nil, 0, fmt.Errorf("damaged: it ends after row %d, before its end mark", s.number)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("damaged after row %d: %w", s.number, err)
		}
		switch token.kind {
		case xmlStart:
			switch string(token.name) {
			case "row":
				s.startRow(token)
			case "c":
				if err := s.addCell(token); err != nil {
					return nil, 0, fmt.Errorf("row %d: %w", s.number, err)
				}
			}
		case xmlEnd:
			switch string(token.name) {
			case "row":
				if len(s.cells) > 0 {
					return s.cells, s.number, nil
				}
			case "sheetData":
				return nil, 0, io.EOF
			}
		}
	}
}

func (s *sheetRows) startRow(e *xmlToken) {
	for _, column := range s.filled { // of a row with few cells, few: the last may be far out
		s.cells[column] = ""
	}
	s.cells, s.filled = s.cells[:0], s.filled[:0]
	s.number++
	if n, err := strconv.Atoi(string(e.attribute("r"))); err == nil {
		s.number = n
	}
}

// addCell reads a cell and puts it into its column: the one it names, or else the
// next.
func (s *sheetRows) addCell(e *xmlToken) error {
	column, kind := len(s.cells), kindOf(e.attribute("t"))
	if reference := e.attribute("r"); len(reference) > 0 {
		var err error
		if column, err = columnOf(reference); err != nil {
			return err
		}
	}
	if column >= maxSheetColumns {
		return errors.New("more columns than a worksheet can have")
	}
	text, err := s.xml.text("c")
	if err != nil {
		return err
	}
	switch kind {
	case cellShared:
		if text, err = s.shared.at(text); err != nil {
			return err
		}
	case cellError:
		text = ""
	case cellNumber:
		text = plainNumber(text)
	}
	if column >= cap(s.cells) {
		s.cells = slices.Grow(s.cells, column+1-len(s.cells))
	}
	s.cells = s.cells[:max(len(s.cells), column+1)]
	if text != "" {
		if s.cells[column] == "" {
			s.filled = append(s.filled, column)
		}
		s.cells[column] = text
	}
	return nil
}

// cellKind is what the text of a cell stands for.
type cellKind int

const (
	cellText   cellKind = iota
	cellNumber          // or a date
	cellShared          // the number of a shared string
	cellError           // such as #N/A: no value
)

func kindOf(t []byte) cellKind {
	switch string(t) {
	case "", "n":
		return cellNumber
	case "s":
		return cellShared
	case "e":
		return cellError
	}
	return cellText
}

// columnOf is the column, from 0, of a reference such as "AB12".
func columnOf(reference []byte) (int, error) {
	column := 0
	for _, r := range reference {
		if r < 'A' || r > 'Z' {
			break
		}
		if column = column*26 + int(r-'A') + 1; column > maxSheetColumns {
			break
		}
	}
	if column == 0 || column > maxSheetColumns {
		return 0, errors.New("a cell whose reference names no column")
	}
	return column - 1, nil
}

// plainNumber writes a whole number as one: some programs write 394 as "394.0", which
// would be another id. One with more digits than a spreadsheet keeps is written in
// exponent form, so that nobody takes it for what it was.
func plainNumber(text string) string {
	n, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || math.IsInf(n, 0):
		return text
	case math.Abs(n) >= maxExact:
		return strconv.FormatFloat(n, 'E', -1, 64)
	case strings.ContainsAny(text, ".eE"):
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return text
}

// maxExact is the first number with more digits than a spreadsheet keeps.
const maxExact = 1e15
