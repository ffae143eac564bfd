package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// PageQuery asks for a page of the records of a window. Whether a window includes its
// ends, and by which time of a record it selects, the API does not say.
type PageQuery struct {
	From, To time.Time
	Limit    int // records
	Offset   int
}

// values are the query's parameters that all lists have.
func (q PageQuery) values() url.Values {
	return url.Values{"limit": {strconv.Itoa(q.Limit)}, "offset": {strconv.Itoa(q.Offset)}}
}

// Page is one page of records, in no known order.
type Page[T any] struct {
	Count int // records in the window, on all pages; -1 if the answer does not say
	Items []T
}

// getPage sends k, whose answer is a page. The error is an *Error; no part of a page
// that could not be read whole is returned.
func getPage[T any](ctx context.Context, c *Client, k call, countName, itemsName string) (*Page[T], error) {
	var page Page[T]
	k.auth = c.auth
	k.decode = func(_ http.Header, body io.Reader) (err error) {
		page.Count, page.Items, err = decodePage[T](body, countName, itemsName)
		return err
	}
	if err := c.do(ctx, k); err != nil {
		return nil, err
	}
	return &page, nil
}

// maxItems is far more than a page of the API ever has, and few enough that a page
// of empty records does not fill the memory.
const maxItems = 50_000

// A full page has 100 items and some 70 kB.
const (
	usualItems = 100
	usualBytes = 96 << 10
)

var (
	errEmpty    = errors.New("the answer is empty")
	errNoObject = errors.New("the answer is not a JSON object")
)

// bodies are used again: what a record keeps of one is a copy.
var bodies = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, usualBytes)) }}

// decodePage reads an answer that is one object with the total number of items
// and an array of some of them, under these names. The count is -1 if the answer
// has none. Items are decoded one by one: how much they tolerate is up to T.
func decodePage[T any](r io.Reader, countName, itemsName string) (count int, items []T, err error) {
	count = -1
	// Read whole first: the decoder starts a long token, or a long blank, again each
	// time more of it arrives.
	body := bodies.Get().(*bytes.Buffer)
	defer func() {
		if body.Reset(); body.Cap() <= 4*usualBytes {
			bodies.Put(body)
		}
	}()
	if _, err := body.ReadFrom(r); err != nil {
		return count, nil, err
	}
	d := jsontext.NewDecoder(body, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	found := false
	err = eachMember(d, func(name string) (err error) {
		switch name {
		case countName:
			found = true
			count, err = decodeCount(d)
		case itemsName:
			found = true
			items, err = decodeItems[T](d)
		default:
			return d.SkipValue()
		}
		if err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("the answer has neither %q nor %q", countName, itemsName)
	}
	if err == nil {
		err = atEnd(d)
	}
	return count, items, err
}

// eachMember reads an object and has read decode the value of each member.
func eachMember(d *jsontext.Decoder, read func(name string) error) error {
	token, err := d.ReadToken()
	switch {
	case errors.Is(err, io.EOF):
		return errEmpty
	case err != nil:
		return err
	case token.Kind() != '{':
		return errNoObject
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		if err := read(name.String()); err != nil {
			return err
		}
	}
	_, err = d.ReadToken()
	return err
}

func atEnd(d *jsontext.Decoder) error {
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object of the answer")
	}
	return nil
}

// maxCount is more than any list has. A larger count means nothing.
const maxCount = 1<<31 - 1

// decodeCount reads a number, or a decimal in a string. A count is a claim, which the
// reader of a list has to test: one that cannot be true is as good as none.
func decodeCount(d *jsontext.Decoder) (int, error) {
	token, err := d.ReadToken()
	if err != nil {
		return -1, err
	}
	switch token.Kind() {
	case 'n':
		return -1, nil
	case '"', '0':
		text := strings.TrimSpace(token.String())
		if text == "" {
			return -1, nil
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsNaN(n) {
			return -1, errors.New("not the number of items")
		}
		if n < 0 || n != math.Trunc(n) {
			return -1, nil
		}
		return int(min(n, maxCount)), nil
	}
	return -1, errors.New("neither a number nor null")
}

func decodeItems[T any](d *jsontext.Decoder) ([]T, error) {
	token, err := d.ReadToken()
	switch {
	case err != nil:
		return nil, err
	case token.Kind() == 'n':
		return nil, nil
	case token.Kind() != '[':
		return nil, errors.New("neither an array nor null")
	}
	items := make([]T, 0, usualItems)
	for d.PeekKind() != ']' {
		if len(items) == maxItems {
			return nil, fmt.Errorf("more than %d items", maxItems)
		}
		items = append(items, *new(T))
		if err := json.UnmarshalDecode(d, &items[len(items)-1]); err != nil {
			return nil, err
		}
	}
	_, err = d.ReadToken()
	return items, err
}
