package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
)

// field is one field of a kind of record: its name in the API, and what the
// vendor's pages call it in English and in Chinese.
type field struct {
	name, english, chinese string
	index                  int // in its struct
}

type fields []field

// fieldsOf reads the tags of a struct.
func fieldsOf(record any) fields {
	var all fields
	t := reflect.TypeOf(record)
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		if name, _, _ := strings.Cut(tag.Get("json"), ","); name != "-" {
			all = append(all, field{name, tag.Get("en"), tag.Get("zh"), i})
		}
	}
	return all
}

// text writes a field as a file does. What the API leaves out is empty.
func (f field) text(record reflect.Value) string {
	switch v := record.Field(f.index); v.Kind() {
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int:
		if v.Int() == 0 {
			return ""
		}
		return strconv.FormatInt(v.Int(), 10)
	default:
		return v.String()
	}
}

// text is the text of a field by its name; "" if there is no such field.
func (fs fields) text(record any, name string) string {
	for _, f := range fs {
		if f.name == name {
			return f.text(reflect.ValueOf(record).Elem())
		}
	}
	return ""
}

// equalField matches the records whose field has a value.
func equalField[T listed](fs fields, name, value string) func(*T) bool {
	return func(record *T) bool { return fs.text(record, name) == value }
}

// every matches what all tests match; nil without any.
func every[T any](tests []func(*T) bool) func(*T) bool {
	if len(tests) == 0 {
		return nil
	}
	return func(record *T) bool {
		for _, test := range tests {
			if !test(record) {
				return false
			}
		}
		return true
	}
}

// readBody wants one JSON object of strings, with known fields only.
func readBody(body []byte, known []string) (map[string]string, error) {
	var given map[string]*string
	if err := decodeOne(body, &given); err != nil || given == nil {
		return nil, errors.New("the body must be one JSON object of strings")
	}
	values := map[string]string{}
	for name, value := range given {
		if !contains(known, name) {
			return nil, fmt.Errorf("unknown field %q", name)
		}
		if value == nil {
			return nil, fmt.Errorf("%s must be a string", name)
		}
		values[name] = *value
	}
	return values, nil
}

// decodeOne decodes a body of one JSON value, without fields that v does not have.
func decodeOne(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the value")
	}
	return nil
}

// readPage reads where in a list a page begins, and how long it may be.
func (r *request) readPage(q *query, usual, lowest, highest int) (err error) {
	if q.limit, err = intParameter(r.parameters, "limit", usual, lowest, highest); err != nil {
		return err
	}
	q.offset, err = intParameter(r.parameters, "offset", 0, 0, 1<<31-1)
	return err
}

func intParameter(parameters map[string]string, name string, usual, lowest, highest int) (int, error) {
	value, given := parameters[name]
	if !given {
		return usual, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < lowest || n > highest {
		return 0, fmt.Errorf("%s must be a number from %d to %d", name, lowest, highest)
	}
	return n, nil
}

// oneOf wants a parameter, if it is there at all, to be one of some values.
func oneOf(parameters map[string]string, name string, values ...string) error {
	if value, given := parameters[name]; given && !contains(values, value) {
		return fmt.Errorf("%s must be one of %s", name, strings.Join(values, ", "))
	}
	return nil
}
