package export

import (
	"bytes"
	"errors"
	"io"
)

// errRecognised ends a reading that only looks for the kind of a table.
var errRecognised = errors.New("recognised")

// Recognise tells of which kind a table is, by its columns: of the kinds that it can be,
// the one of which it has most columns. It is not ok if it can be none.
func Recognise(f io.ReaderAt, size int64, kinds ...Columns) (kind int, ok bool) {
	t := &table{columns: kinds[0], candidates: kinds}
	err := t.readFile(f, size)
	return t.kind, errors.Is(err, errRecognised)
}

// kinds are those of which the table may be.
func (t *table) kinds() []Columns {
	if t.candidates == nil {
		return []Columns{t.columns}
	}
	return t.candidates
}

// recogniseJSON looks at the records with which JSON begins.
func (t *table) recogniseJSON(head []byte) error {
	best := 0
	for i, columns := range t.candidates {
		one := &table{columns: columns, inArchive: t.inArchive}
		fields := map[string]bool{}
		one.row = func(row Row) error {
			for _, f := range row.Fields {
				fields[f.Name] = true
			}
			return nil
		}
		_ = one.readJSON(bytes.NewReader(head)) // which may end anywhere
		if one.records > 0 && len(fields) > best {
			best, t.kind = len(fields), i
		}
	}
	if best == 0 {
		return errors.New("no record")
	}
	return errRecognised
}
