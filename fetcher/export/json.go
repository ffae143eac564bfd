package export

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// isJSON reports whether a text begins as JSON with records does: with an object, or an
// array of objects.
func isJSON(head []byte) bool {
	first, rest := firstOf(head)
	second, _ := firstOf(rest)
	switch first {
	case '{':
		return second == '"' || second == '}'
	case '[':
		return second == '{' || second == ']'
	}
	return false
}

// firstOf is the first character that is not blank, and what follows it.
func firstOf(text []byte) (first byte, rest []byte) {
	if text = bytes.TrimLeft(text, "\uFEFF \t\r\n"); len(text) == 0 {
		return 0, nil
	}
	return text[0], text[1:]
}

// envelopes are the members of an answer in which its records are.
var envelopes = []string{"items", "records", "data", "list", "rows", "result", "results", "content"}

// maxEnvelopes is how deep they may stand in each other.
const maxEnvelopes = 4

// jsonTable reads JSON as a table: a row for each object. Objects stand one after the
// other, in arrays, or in whole answers of the API.
type jsonTable struct {
	*table
	in      *jsontext.Decoder
	members map[string]column // by their names
	ignored map[string]bool   // names of members that mean nothing, and are listed
	number  int
}

func (t *table) readJSON(text io.Reader) error {
	t.repeats = true
	j := &jsonTable{table: t, members: map[string]column{}, ignored: map[string]bool{},
		in: jsontext.NewDecoder(&withoutNaN{in: bufio.NewReaderSize(text, 64<<10)}, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))}
	for {
		switch err := j.value(0); {
		case isEnd(err) && t.records == 0 && j.number > 0:
			return fmt.Errorf("JSON without a record: an object needs %s", t.columns.wanted())
		case isEnd(err):
			return nil
		case err != nil:
			return err
		}
	}
}

// value reads a value that is a record, or has records in it.
func (j *jsonTable) value(depth int) error {
	switch kind := j.in.PeekKind(); {
	case kind == '[' && depth < maxEnvelopes:
		return j.array(depth)
	case kind == '{':
		return j.object(depth)
	}
	if err := j.in.SkipValue(); err != nil {
		return j.broken(err)
	}
	j.fields = append(j.fields[:0], Field{j.columns.needs[0][0], Unreadable}) // no record
	return j.row()
}

func (j *jsonTable) array(depth int) error {
	if _, err := j.in.ReadToken(); err != nil {
		return j.broken(err)
	}
	for j.in.PeekKind() != ']' {
		if err := j.value(depth + 1); err != nil {
			return notEnd(err)
		}
	}
	_, err := j.in.ReadToken()
	return j.broken(err)
}

// object reads a record, or an answer with records in it.
func (j *jsonTable) object(depth int) error {
	if _, err := j.in.ReadToken(); err != nil {
		return j.broken(err)
	}
	var fields []Field // of this object: records within have their own
	var ignored []string
	envelope, untimed := false, true
	for j.in.PeekKind() != '}' {
		token, err := j.in.ReadToken()
		if err != nil {
			return j.broken(err)
		}
		name := token.String()
		column := j.column(name)
		untimed = untimed && !slices.Contains(j.columns.times, column.field)
		kind := j.in.PeekKind()
		if column.field == "" && (kind == '[' || kind == '{') && len(fields) == 0 && depth < maxEnvelopes && slices.Contains(envelopes, name) {
			envelope = true
			if err := j.value(depth + 1); err != nil {
				return notEnd(err)
			}
			continue
		}
		if column.field == "" && !j.ignored[name] && len(j.ignored) < maxColumnsTold {
			ignored = append(ignored, name)
		}
		j.fields = fields
		if err := j.member(column); err != nil {
			return notEnd(err)
		}
		fields = j.fields
	}
	if _, err := j.in.ReadToken(); err != nil {
		return j.broken(err)
	}
	if envelope && !j.columns.isRecord(fields, false) {
		return nil
	}
	for _, name := range ignored { // those of an answer with records in it are none of theirs
		j.ignored[name] = true
		j.ignore(column{}, name)
	}
	j.fields, j.untimed = fields, untimed
	return j.row()
}

// member reads a value into the row's fields.
func (j *jsonTable) member(column column) error {
	if column.field == "" {
		return j.broken(j.in.SkipValue())
	}
	value, err := j.in.ReadValue()
	if err != nil {
		return j.broken(err)
	}
	switch value.Kind() {
	case 'n':
	case '"':
		// The only error left is broken UTF-8, which reads U+FFFD.
		if text, _ := jsontext.AppendUnquote(nil, value); len(text) > 0 {
			j.add(column, string(text))
		}
	case '{', '[':
		j.fields = append(j.fields, Field{column.field, Unreadable})
	default: // a number or a truth value is what it looks like
		j.add(column, string(value))
	}
	return nil
}

// column is that of a member's name.
func (j *jsonTable) column(name string) column {
	c, ok := j.members[name]
	if !ok {
		if c = j.columns.column(name); len(j.members) < maxSheetColumns {
			j.members[name] = c
		}
	}
	return c
}

func (j *jsonTable) row() error {
	j.number++
	return j.hand(j.number, j.columns.isRecord(j.fields, j.untimed))
}

// broken is an error of the decoder without what it quotes; the end between two values
// is one.
func (j *jsonTable) broken(err error) error {
	if err == nil || isEnd(err) {
		return err
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return fmt.Errorf("record %d is not JSON, at byte %d", j.number+1, j.in.InputOffset())
	}
	return fmt.Errorf("reading the JSON: %w", err)
}

// notEnd makes the end of the text an error where a value is not whole.
func notEnd(err error) error {
	if isEnd(err) {
		return io.ErrUnexpectedEOF
	}
	return err
}
