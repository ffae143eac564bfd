package export

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
)

// separators are what may stand between two cells, the likelier first.
var separators = []struct {
	char rune
	name string
}{{',', "commas"}, {';', "semicolons"}, {'\t', "tabs"}, {'|', "bars"}}

// headBytes is how much of a text is looked at for its separator.
const headBytes = 256 << 10

// maxRowBytes is the longest row: beyond it is a quote that was never closed. A
// variable for the tests.
var maxRowBytes = 16 << 20

// maxRowCells is how many cells a line may have: each takes memory, even an empty one.
const maxRowCells = 1 << 18

// readText reads a file of separated values, or of JSON.
func (t *table) readText(f *io.SectionReader) error {
	if t.candidates != nil {
		f = io.NewSectionReader(f, 0, min(f.Size(), headBytes))
	}
	flavour, err := flavourOf(f)
	if err != nil {
		return fmt.Errorf("reading the text: %w", err)
	}
	text := bufio.NewReaderSize(flavour.decode(f), headBytes)
	head, err := text.Peek(headBytes)
	if err != nil && !isEnd(err) {
		return fmt.Errorf("reading the text: %w", err)
	}
	if bytes.IndexByte(head, '\n') < 0 && bytes.IndexByte(head, '\r') >= 0 { // as on old Macs
		head = bytes.ReplaceAll(head, []byte("\r"), []byte("\n"))
		text = bufio.NewReaderSize(transform.NewReader(text, returnsToNewlines), headBytes)
	}
	if isJSON(head) {
		t.summary.Format = "JSON in " + flavour.name
		if t.candidates != nil {
			return t.recogniseJSON(head)
		}
		return t.readJSON(text)
	}
	separator := separators[t.separatorOf(head)]
	t.summary.Format = fmt.Sprintf("text in %s, separated by %s", flavour.name, separator.name)
	t.text = newTextRows(text, separator.char)
	return t.read(t.text)
}

// flavour is how a text is written.
type flavour struct {
	name     string
	encoding encoding.Encoding
}

// returnsToNewlines is for lines that end in a carriage return alone.
var returnsToNewlines = runes.Map(func(r rune) rune {
	if r == '\r' {
		return '\n'
	}
	return r
})

// flavourOf tells a text's character set by its byte order mark, or else by the
// bytes outside of ASCII: text in GB18030 is hardly ever valid UTF-8. It reads
// the whole text, for the first such byte may be anywhere.
func flavourOf(f *io.SectionReader) (flavour, error) {
	in := bufio.NewReaderSize(f, 64<<10)
	mark, _ := in.Peek(3)
	switch {
	case bytes.HasPrefix(mark, []byte("\xFF\xFE")), bytes.HasPrefix(mark, []byte("\xFE\xFF")):
		return flavour{name: "UTF-16", encoding: utf16WithMark()}, nil
	case bytes.HasPrefix(mark, []byte("\xEF\xBB\xBF")):
		return flavour{name: "UTF-8", encoding: unicode.UTF8BOM}, nil
	}
	head, _ := in.Peek(64 << 10)
	if order, ok := utf16Order(head); ok {
		return flavour{name: "UTF-16", encoding: unicode.UTF16(order, unicode.IgnoreBOM)}, nil
	}
	var good, bad int
	for {
		next, _ := in.Peek(in.Buffered())
		_, _ = in.Discard(lengthOfASCII(next))
		r, size, err := in.ReadRune()
		switch {
		case isEnd(err):
			text := flavour{name: "UTF-8", encoding: unicode.UTF8}
			if bad > good {
				text.name, text.encoding = "GB18030", simplifiedchinese.GB18030
			}
			return text, nil
		case err != nil:
			return flavour{}, err
		case r == utf8.RuneError && size == 1:
			bad++
		case size > 1:
			good++
		}
	}
}

// lengthOfASCII is how much of a text's start is ASCII.
func lengthOfASCII(text []byte) int {
	for i, c := range text {
		if c >= utf8.RuneSelf {
			return i
		}
	}
	return len(text)
}

func utf16WithMark() encoding.Encoding { return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM) }

// utf16Order tells text in UTF-16 without a mark: what is ASCII in it, as separators and
// digits are, has a zero in one of its two bytes, always the same.
func utf16Order(head []byte) (order unicode.Endianness, ok bool) {
	var zeros [2]int
	for i, c := range head {
		if c == 0 {
			zeros[i%2]++
		}
	}
	switch few := len(head) / 20; {
	case zeros[1] > few && zeros[0] <= zeros[1]/10:
		return unicode.LittleEndian, true
	case zeros[0] > few && zeros[1] <= zeros[0]/10:
		return unicode.BigEndian, true
	}
	return order, false
}

// decode is the text in UTF-8, from its start.
func (f flavour) decode(text *io.SectionReader) io.Reader {
	return f.encoding.NewDecoder().Reader(io.NewSectionReader(text, 0, text.Size()))
}

// separatorOf is the index of the separator that makes a text's start show the
// most columns: known ones, or else just columns.
func (t *table) separatorOf(head []byte) int {
	best, most := 0, 0
	for i, separator := range separators {
		rows := newTextRows(bytes.NewReader(head), separator.char)
		for range maxHeaderRows {
			cells, _, err := rows.next()
			if err != nil {
				break
			}
			_, known, _ := t.headerOf(cells)
			if n := known*headBytes + len(cells); n > most {
				best, most = i, n
			}
		}
	}
	return best
}

// textRows are the rows of separated values. A row's number is that of its first
// line.
type textRows struct {
	csv    *csv.Reader
	window *window
}

func newTextRows(r io.Reader, separator rune) *textRows {
	w := &window{in: r, separator: []byte(string(separator))}
	reader := csv.NewReader(w)
	reader.Comma = separator
	reader.FieldsPerRecord = -1
	reader.ReuseRecord = true
	reader.TrimLeadingSpace = separator != '\t' // which is a space
	return &textRows{csv: reader, window: w}
}

func (t *textRows) next() ([]string, int, error) {
	t.window.forget(t.csv.InputOffset())
	cells, err := t.csv.Read()
	var broken *csv.ParseError
	if errors.As(err, &broken) {
		cells, err = t.lenient(t.window.upTo(t.csv.InputOffset()))
		if err != nil {
			err = fmt.Errorf("row %d: broken quoting: %w", broken.StartLine, broken.Err)
		}
		return cells, broken.StartLine, err
	}
	if isEnd(err) {
		return nil, 0, io.EOF
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading the text: %w", err)
	}
	line, _ := t.csv.FieldPos(0)
	return cells, line, nil
}

// isOpen reports whether the text ended with the last row, and not with a line end behind it.
func (t *textRows) isOpen() bool {
	return !bytes.HasSuffix(t.window.upTo(t.csv.InputOffset()), []byte("\n"))
}

// lenient reads a row in which quotes stand where they should not. That is done
// only where the row is one line and whole without the next: a quote that swallows
// lines would swallow records.
func (t *textRows) lenient(raw []byte) ([]string, error) {
	line := strings.Trim(string(raw), "\r\n")
	if strings.Contains(line, "\n") {
		return nil, csv.ErrQuote
	}
	// As databases and programs quote: with a backslash, with blanks behind the quote.
	other := blanksBehind(strings.ReplaceAll(line, `\"`, `""`), t.csv.Comma)
	if other != line {
		if cells, err := t.one(other, false); err == nil {
			return cells, nil
		}
	}
	return t.one(line, true)
}

// one reads a row that is one line.
func (t *textRows) one(line string, lazy bool) ([]string, error) {
	const next = "next"
	reader := csv.NewReader(strings.NewReader(line + "\n" + next))
	reader.Comma = t.csv.Comma
	reader.FieldsPerRecord = -1
	reader.LazyQuotes, reader.TrimLeadingSpace = lazy, t.csv.TrimLeadingSpace
	rows, err := reader.ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) != 2 || rows[1][0] != next {
		return nil, csv.ErrQuote
	}
	return rows[0], nil
}

// blanksBehind drops blanks between a quote and the end of its cell.
func blanksBehind(line string, separator rune) string {
	var out strings.Builder
	for {
		quote := strings.IndexByte(line, '"') + 1
		if quote == 0 {
			break
		}
		out.WriteString(line[:quote])
		line = line[quote:]
		if rest := strings.TrimLeft(line, " "); rest == "" || strings.HasPrefix(rest, string(separator)) {
			line = rest
		}
	}
	out.WriteString(line)
	return out.String()
}

// window keeps what was read of the row under way, and what was read ahead: to
// read a row again, and to stop at one without end.
type window struct {
	in        io.Reader
	separator []byte
	kept      []byte
	start     int64 // offset of kept
	cells     int   // of the line that was read last, as far as it was
}

func (w *window) Read(p []byte) (int, error) {
	if len(w.kept) > maxRowBytes {
		return 0, fmt.Errorf("a row is larger than %d bytes: is a quote never closed?", maxRowBytes)
	}
	n, err := w.in.Read(p)
	for line := range bytes.Lines(p[:n]) {
		if w.cells += bytes.Count(line, w.separator); w.cells > maxRowCells {
			return 0, fmt.Errorf("a row has more than %d cells", maxRowCells)
		}
		if line[len(line)-1] == '\n' {
			w.cells = 0
		}
	}
	w.kept = append(w.kept, p[:n]...)
	return n, err
}

// forget drops what stands before offset.
func (w *window) forget(offset int64) {
	w.kept = w.kept[:copy(w.kept, w.kept[offset-w.start:])]
	w.start = offset
}

// upTo is what is kept before offset.
func (w *window) upTo(offset int64) []byte { return w.kept[:offset-w.start] }
