package export

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Columns tells which column of a file is which field of a record. There is one
// value per kind of record; names.go holds them.
type Columns struct {
	// fields finds a field's name by a column's key: see key.
	fields map[string]string
	// times are the fields that hold a time.
	times []string
	// needs are the columns without which a file is of no use: of every group at
	// least one.
	needs [][]string
}

// names are the names that a field's column goes by, beside the field's own.
type names map[string][]string

func newColumns(needs [][]string, times []string, names names) Columns {
	c := Columns{fields: map[string]string{}, times: times, needs: needs}
	for field, synonyms := range names {
		c.fields[key(field)] = field
		for _, s := range synonyms {
			c.fields[key(s)] = field
		}
	}
	return c
}

// With is c with more names: a column's header and the field it stands for, as
// `columns:` in the configuration gives them. They win over the names that c
// knows. An unknown field is an error.
func (c Columns) With(more map[string]string) (Columns, error) {
	known := maps.Clone(c.fields)
	for column, field := range more {
		if c.fields[key(field)] != field {
			return c, fmt.Errorf("column %q: there is no field %q; allowed are %s", column, field, strings.Join(c.Fields(), ", "))
		}
		if key(column) == "" {
			return c, fmt.Errorf("column %q for field %q: a column's name needs a letter or a digit", column, field)
		}
		known[key(column)] = field
	}
	c.fields = known
	return c, nil
}

// Fields are the names of the fields that c knows columns for, sorted.
func (c Columns) Fields() []string {
	return slices.Compact(slices.Sorted(maps.Values(c.fields)))
}

// key is what is compared of a column's name: its letters and digits, in lower
// case. "UTC" behind a time's name says what holds anyway.
func key(name string) string {
	k := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
	return strings.TrimSuffix(k, "utc")
}

// header is the header row of a table: the name of each column's field, empty
// for a column that means nothing to us.
type header []string

// header reads a row as a header row. A field's first column counts, if there
// are several.
func (c Columns) header(cells []string) header {
	h := make(header, len(cells))
	for i, cell := range cells {
		if len(cell) > maxHeaderBytes {
			continue
		}
		if field := c.fields[key(cell)]; !slices.Contains(h[:i], field) {
			h[i] = field
		}
	}
	return h
}

// columns are those that mean something to us, by number.
func (h header) columns() (known []int) {
	for i, field := range h {
		if field != "" {
			known = append(known, i)
		}
	}
	return known
}

// known is the number of columns that mean something to us.
func (h header) known() int { return len(h.columns()) }

// complete reports whether a table with this header can be read.
func (c Columns) complete(h header) bool {
	for _, group := range c.needs {
		if !slices.ContainsFunc(group, func(field string) bool { return slices.Contains(h, field) }) {
			return false
		}
	}
	return true
}

const (
	maxHeaderRows  = 20  // a header row further down is not looked for
	maxHeaderBytes = 256 // a longer cell is no column's name
	maxColumnsTold = 40  // in an error
)

// findHeader reads rows until one is a header row.
func (c Columns) findHeader(rows rows) (header, error) {
	missing := headerError{columns: c}
	best := 0
	for range maxHeaderRows {
		cells, _, err := rows.next()
		if err != nil {
			return nil, missing.at(err)
		}
		missing.rows++
		if slices.ContainsFunc(cells, isTime) {
			continue // a row of data, or a title that tells the export's time
		}
		h := c.header(cells)
		if c.complete(h) {
			return h, nil
		}
		if n := h.known(); n > best && n > 1 || missing.found == nil && looksLikeHeader(cells) {
			best, missing.found = n, slices.Clone(cells)
		}
	}
	return nil, &missing
}

func isTime(cell string) bool {
	t, err := record.ParseTime(cell)
	return err == nil && !t.IsZero()
}

// looksLikeHeader reports whether cells can be shown as the names of columns: no
// row of data has three cells and no digit, for every record has a time.
func looksLikeHeader(cells []string) bool {
	filled := 0
	for _, cell := range cells {
		if len(cell) > maxHeaderBytes || strings.ContainsFunc(cell, unicode.IsDigit) || strings.ContainsAny(cell, `@\`) {
			return false
		}
		if strings.TrimSpace(cell) != "" {
			filled++
		}
	}
	return filled >= 3
}

// headerError says that a table has no header row that will do.
type headerError struct {
	columns Columns
	rows    int
	// found is the row that came nearest to a header row; nil if none came near.
	found []string
}

// at is the error of a table that ended, or failed with err, before its header row.
func (e *headerError) at(err error) error {
	if isEnd(err) {
		return e
	}
	return err
}

func (e *headerError) Error() string {
	var needs []string
	for _, group := range e.columns.needs {
		needs = append(needs, strings.Join(group, " or "))
	}
	wanted := "a column for " + strings.Join(needs, ", and one for ")
	switch {
	case e.rows == 0:
		return "no rows: a table needs " + wanted
	case e.found == nil:
		return fmt.Sprintf("no header row in the first %d rows: a table needs %s", e.rows, wanted)
	}
	var found []string
	for _, cell := range e.found {
		if name := record.Label(cell); name != "" && len(found) < maxColumnsTold {
			found = append(found, fmt.Sprintf("%q", record.ScrubText(name)))
		}
	}
	return fmt.Sprintf("columns not recognised: a table needs %s, and this one has %s", wanted, strings.Join(found, ", "))
}
