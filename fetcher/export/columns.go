package export

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

// Columns tells which column of a file is which field of a record.
type Columns struct {
	// fields finds a field's name by a column's key: see key. Columns that are dropped
	// have an empty one.
	fields map[string]string
	// times are the fields that hold a time.
	times []string
	// needs are the columns without which a file is of no use: of every group at
	// least one. The first group is those that say whose a record is.
	needs [][]string
}

// ColumnsOf are the columns of files of a kind of record.
func ColumnsOf(r record.Columns) Columns {
	c := Columns{fields: map[string]string{}, times: r.Times, needs: r.Required}
	for field, titles := range r.Titles {
		c.fields[key(field)] = field
		for _, title := range titles {
			c.fields[key(title)] = field
		}
	}
	return c
}

// With is c with more names: a column's header and the field it stands for, as
// `columns:` in the configuration gives them; an empty field drops the column. They win
// over the names that c knows. An unknown field is an error.
func (c Columns) With(more map[string]string) (Columns, error) {
	if len(more) == 0 {
		return c, nil // what is not changed is shared by all sources
	}
	known := maps.Clone(c.fields)
	for column, field := range more {
		if field != "" && c.fields[key(field)] != field {
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
	fields := slices.Compact(slices.Sorted(maps.Values(c.fields)))
	if len(fields) > 0 && fields[0] == "" {
		fields = fields[1:]
	}
	return fields
}

// Times are the names of the fields that hold a time.
func (c Columns) Times() []string { return c.times }

// isRecord reports whether the fields of a row are a record: it has a time, readable or
// not, and says whose or which it is. In a table without times it must have all that is
// needed, and not be called a total.
func (c Columns) isRecord(fields []Field, untimed bool) bool {
	if !untimed {
		return saysAnyOf(fields, c.times) && saysAnyOf(fields, c.needs[0]) && (c.hasReadableTime(fields) || !c.isTotal(fields))
	}
	for _, group := range c.needs {
		if !saysAnyOf(fields, group) {
			return false
		}
	}
	return !c.isTotal(fields)
}

func (c Columns) isTotal(fields []Field) bool {
	return slices.ContainsFunc(fields, func(f Field) bool {
		return (slices.Contains(c.needs[0], f.Name) || slices.Contains(c.times, f.Name)) && total.MatchString(f.Value)
	})
}

func (c Columns) hasReadableTime(fields []Field) bool {
	return slices.ContainsFunc(fields, func(f Field) bool { return slices.Contains(c.times, f.Name) && isTime(f.Value) })
}

func saysAnyOf(fields []Field, names []string) bool {
	return slices.ContainsFunc(fields, func(f Field) bool { return slices.Contains(names, f.Name) && !record.IsNothing(f.Value) })
}

// total is what stands where a user or an id would, before the sum of all.
var total = regexp.MustCompile(`(?i)^[^\pL\pN#]*(#|(grand |sub)?totals?\b|sum\b|合计|总计|小计|总数|共计|汇总)`)

// key is what is compared of a column's name: its letters and digits, in lower
// case.
func key(name string) string {
	var buffer [64]byte
	key := buffer[:0]
	for i := range len(name) {
		switch c := name[i]; {
		case c >= utf8.RuneSelf:
			return wideKey(name)
		case c >= 'A' && c <= 'Z':
			key = append(key, c+'a'-'A')
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			key = append(key, c)
		}
	}
	return string(key)
}

// wideKey is the key of a name that is not all ASCII.
func wideKey(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, width.Fold.String(name))
}

// column is what a column of a table is: the name of its field, empty for one that means
// nothing to us, and the zone of its times, if its title names one.
type column struct {
	field string
	zone  *time.Location
}

// header is the header row of a table.
type header []column

// repeated is a title that a data frame has made of one that stood there twice.
var repeated = regexp.MustCompile(`\.[0-9]+$`)

// column finds the column of a title.
func (c Columns) column(title string) column {
	if len(title) > maxHeaderBytes {
		return column{}
	}
	if field, ok := c.fields[key(title)]; ok {
		return column{field, nil}
	}
	title = strings.Trim(title, "\"'=` ")
	if end := repeated.FindStringIndex(title); end != nil {
		return c.column(title[:end[0]])
	}
	rest, zone := record.TitleZone(title)
	if utc, ok := strings.CutSuffix(key(title), "utc"); zone == nil && ok {
		rest, zone = utc, time.UTC
	}
	if field := c.fields[key(rest)]; zone != nil && slices.Contains(c.times, field) {
		return column{field, zone}
	}
	if m := remark.FindStringSubmatch(title); m != nil {
		// The same in two languages, or how the values are written.
		if field := c.fields[key(m[1])]; field == c.fields[key(m[2])] || written.MatchString(m[2]) {
			return column{field, nil}
		}
	}
	return column{}
}

var (
	// remark is a title with a remark behind it.
	remark = regexp.MustCompile(`^(.*?)\s*[(（\[]([^()（）\[\]]+)[)）\]]\s*$`)
	// written is a remark that says how the values are written, and not what they are.
	written = regexp.MustCompile(`(?i)^(ms|毫秒|[ymdhst/:. -]*(yyyy|hh)[ymdhst/:. -]*)$`)
)

// doubtful is the title of a time with a remark that is not understood: it may be a zone,
// and without it the times would be others. Empty if there is none.
func (c Columns) doubtful(cells []string) string {
	for _, title := range cells {
		m := remark.FindStringSubmatch(title)
		if len(title) > maxHeaderBytes || m == nil {
			continue
		}
		if _, told := c.fields[key(title)]; !told && slices.Contains(c.times, c.fields[key(m[1])]) && c.column(title).field == "" {
			return title
		}
	}
	return ""
}

// header reads a row as a header row.
func (c Columns) header(cells []string) header {
	h := make(header, len(cells))
	for i, cell := range cells {
		h[i] = c.column(cell)
	}
	return h
}

// columns are those that mean something to us, by number.
func (h header) columns() (known []int) {
	for i, column := range h {
		if column.field != "" {
			known = append(known, i)
		}
	}
	return known
}

// known is the number of fields that the columns have.
func (h header) known() int {
	fields := map[string]bool{}
	for _, i := range h.columns() {
		fields[h[i].field] = true
	}
	return len(fields)
}

func (h header) has(field string) bool {
	return slices.ContainsFunc(h, func(c column) bool { return c.field == field })
}

// complete reports whether a table with this header can be read.
func (c Columns) complete(h header) bool {
	for _, group := range c.needs {
		if !slices.ContainsFunc(group, h.has) {
			return false
		}
	}
	return true
}

const (
	maxHeaderRows  = 20  // a header row further down is not looked for
	maxHeaderBytes = 256 // a longer cell is no column's name
	maxColumnsTold = 40  // in an error, or in a summary
)

// findHeader reads rows until one is a header row.
func (t *table) findHeader(rows rows) (header, error) {
	missing := headerError{columns: t.columns}
	best := 0
	for range maxHeaderRows {
		cells, _, err := rows.next()
		if err != nil {
			return nil, missing.at(err)
		}
		missing.rows++
		missing.markup = missing.markup || missing.rows == 1 && strings.HasPrefix(strings.TrimSpace(cells[0]), "<")
		if slices.ContainsFunc(cells, isTime) {
			continue // a row of data, or a title that tells the export's time
		}
		h, known, complete := t.headerOf(cells)
		if complete {
			if title := t.columns.doubtful(cells); title != "" {
				return nil, fmt.Errorf("the column %q is a time in a zone that is not known: write the zone like (GMT+08:00), or tell by `columns:` what the column is", record.ScrubText(record.Label(title)))
			}
			for i, column := range h {
				t.ignore(column, cells[i])
			}
			return h, nil
		}
		if known > best && known > 1 || missing.found == nil && looksLikeHeader(cells) {
			best, missing.found = known, slices.Clone(cells)
		}
	}
	return nil, &missing
}

// headerOf reads a row as the header row of the kind of table of which it knows most. It
// says how many fields it knows, and whether the table can be read; then it is of this
// kind.
func (t *table) headerOf(cells []string) (best header, known int, complete bool) {
	for i, columns := range t.kinds() {
		h := columns.header(cells)
		n, whole := h.known(), columns.complete(h)
		if whole == complete && n > known || whole && !complete {
			best, known, complete = h, n, whole
			if whole {
				t.kind = i
			}
		}
	}
	if complete {
		t.columns = t.kinds()[t.kind]
	}
	return best, known, complete
}

// ignore lists the title of a column if it means nothing.
func (t *table) ignore(column column, title string) {
	if _, dropped := t.columns.fields[key(title)]; column.field != "" || dropped || len(t.summary.Ignored) == maxColumnsTold {
		return
	}
	name := strings.Clone(record.ScrubText(record.Label(title)))
	if name != "" && !slices.Contains(t.summary.Ignored, name) {
		t.summary.Ignored = append(t.summary.Ignored, name)
	}
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
	// markup is true if the first row begins as a web page does.
	markup bool
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
	wanted := e.columns.wanted()
	switch {
	case e.rows == 0:
		return "no rows: a table needs " + wanted
	case e.markup:
		return "a web page or XML, which may tell an error, in place of a table with " + wanted
	case e.found == nil && e.rows == 1:
		return "one row that is no header row: a table needs " + wanted
	case e.found == nil:
		return fmt.Sprintf("no header row in the first %d rows: a table needs %s", e.rows, wanted)
	}
	var found []string
	for _, cell := range e.found {
		if name := record.Label(cell); name != "" && len(found) < maxColumnsTold {
			found = append(found, fmt.Sprintf("%q", record.ScrubText(name)))
		}
	}
	return fmt.Sprintf("columns not recognised: a table needs %s, and this one has %d: %s", wanted, len(e.found), strings.Join(found, ", "))
}

// wanted says which columns a table needs.
func (c Columns) wanted() string {
	var needs []string
	for _, group := range c.needs {
		needs = append(needs, strings.Join(group, " or "))
	}
	return "a column for " + strings.Join(needs, ", and one for ")
}
