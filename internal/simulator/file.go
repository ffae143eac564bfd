package simulator

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// FileFormat is what an exported file looks like. No page of the API says; the zero
// value is a workbook with English headers, a column for each field in the API's
// order, and the times as in the API.
type FileFormat struct {
	Kind FileKind
	// Separator of a text: comma, which is the default, semicolon or tab.
	Separator rune
	// Charset of a text.
	Charset Charset
	Header  Header
	// Titles are rows of one cell each above the header; an empty one is a blank row.
	Titles []string
	// Shuffled puts the columns into an order that the seed decides.
	Shuffled bool
	// Omit are the fields, by the API's names, that have no column: "id", say.
	Omit []string
	// TimeLayout, of package time, is how times are written. Default: as in the API.
	TimeLayout string
}

// FileKind is the kind of a file.
type FileKind int

const (
	// XLSX is a workbook.
	XLSX FileKind = iota
	// CSV is a text.
	CSV
)

// Charset is how the characters of a text are written.
type Charset int

const (
	// UTF8 is without a byte order mark.
	UTF8 Charset = iota
	// UTF8BOM is with one.
	UTF8BOM
	// GB18030 is the Chinese national standard.
	GB18030
)

// Header says what stands above the columns.
type Header int

const (
	// EnglishHeader are the vendor's English descriptions. A request that asks for
	// another language gets it.
	EnglishHeader Header = iota
	// ChineseHeader are the Chinese ones. Likewise.
	ChineseHeader
	// FieldHeader are the API's names, whatever the language.
	FieldHeader
)

func (f FileFormat) validate() error {
	switch {
	case f.Kind < XLSX || f.Kind > CSV || f.Charset < UTF8 || f.Charset > GB18030 || f.Header < EnglishHeader || f.Header > FieldHeader:
		return errors.New("a file has an unknown kind, charset or header")
	case f.Separator != 0 && !strings.ContainsRune(",;\t", f.Separator):
		return errors.New("a file's separator must be a comma, a semicolon or a tab")
	}
	return nil
}

// table is what an export holds, before it becomes a file.
type table struct {
	name     string // of the file
	fields   fields
	language string // asked for; may be empty
	rows     iter.Seq[reflect.Value]
}

func tableOf[T any](name string, fields fields, items []T) table {
	return table{name: name, fields: fields, rows: func(yield func(reflect.Value) bool) {
		for i := range items {
			if !yield(reflect.ValueOf(&items[i]).Elem()) {
				return
			}
		}
	}}
}

// encode writes a table as a file.
func (f FileFormat) encode(t table, seed uint64) []byte {
	columns := f.columns(t, seed)
	write := writeXLSX
	if f.Kind == CSV {
		write = f.writeCSV
	}
	var file bytes.Buffer
	if err := write(&file, f.lines(t, columns)); err != nil {
		panic("simulator: writing an export: " + err.Error()) // to memory
	}
	return file.Bytes()
}

// columns are the fields that have one, in their order.
func (f FileFormat) columns(t table, seed uint64) fields {
	columns := slices.DeleteFunc(slices.Clone(t.fields), func(c field) bool { return contains(f.Omit, c.name) })
	if f.Shuffled {
		random := rand.New(rand.NewPCG(seed, hash(t.name)))
		random.Shuffle(len(columns), func(i, j int) { columns[i], columns[j] = columns[j], columns[i] })
	}
	return columns
}

// lines are the rows of the file, from the titles on. A row is good until the next.
func (f FileFormat) lines(t table, columns fields) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for _, title := range f.Titles {
			if !yield([]string{title}) {
				return
			}
		}
		line := make([]string, len(columns))
		for i, c := range columns {
			line[i] = f.header(c, t.language)
		}
		if !yield(line) {
			return
		}
		for record := range t.rows {
			for i, c := range columns {
				line[i] = f.cell(c, record)
			}
			if !yield(line) {
				return
			}
		}
	}
}

func (f FileFormat) header(c field, language string) string {
	switch {
	case f.Header == FieldHeader:
		return c.name
	case language == "zh_CN" || language == "" && f.Header == ChineseHeader:
		return c.chinese
	}
	return c.english
}

func (f FileFormat) cell(c field, record reflect.Value) string {
	text := c.text(record)
	if f.TimeLayout != "" && strings.HasSuffix(c.name, "_time") {
		if t := parseAny(text); !t.IsZero() {
			return t.Format(f.TimeLayout)
		}
	}
	return text
}

func (f FileFormat) extension() string {
	if f.Kind == CSV {
		return ".csv"
	}
	return ".xlsx"
}

func (f FileFormat) writeCSV(file io.Writer, lines iter.Seq[[]string]) error {
	encoder := unicode.UTF8.NewEncoder()
	switch f.Charset {
	case UTF8BOM:
		encoder = unicode.UTF8BOM.NewEncoder()
	case GB18030:
		encoder = simplifiedchinese.GB18030.NewEncoder()
	}
	encoded := transform.NewWriter(file, encoder)
	w := csv.NewWriter(encoded)
	if f.Separator != 0 {
		w.Comma = f.Separator
	}
	for line := range lines {
		if err := w.Write(line); err != nil {
			return err
		}
	}
	w.Flush()
	return errors.Join(w.Error(), encoded.Close())
}
