package export

import (
	"archive/zip"
	"bufio"
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/orisano/gosax"
)

// xmlReader reads a part of a workbook, token by token, in bounded memory. It does not check
// that tags match: the rows count their own.
type xmlReader struct {
	part  io.ReadCloser
	in    *gosax.Reader
	limit *tokenLimit
	last  xmlToken
	err   error  // of the last token's attributes
	done  int64  // bytes of the part
	cell  []byte // scratch
}

const xmlBuffer = 64 << 10

func openXML(part *zip.File) (*xmlReader, error) {
	in, err := part.Open()
	if err != nil {
		return nil, err
	}
	return newXMLReader(in), nil
}

func newXMLReader(part io.ReadCloser) *xmlReader {
	limit := &tokenLimit{in: &legalXML{in: bufio.NewReaderSize(part, xmlBuffer)}}
	in := gosax.NewReaderSize(limit, xmlBuffer)
	in.EmitSelfClosingTag = true
	return &xmlReader{part: part, in: in, limit: limit}
}

func (x *xmlReader) close() { _ = x.part.Close() }

// verify reads the rest of the part: whether its checksum is right shows at its
// end.
func (x *xmlReader) verify() error {
	if _, err := io.Copy(io.Discard, x.part); err != nil {
		return fmt.Errorf("damaged: %w", err)
	}
	return nil
}

type xmlKind int

const (
	xmlOther xmlKind = iota // a comment, or what is meant for a program
	xmlStart                // a tag; one of an empty element is followed by its xmlEnd
	xmlEnd
	xmlText
)

// xmlToken is a tag or a text.
type xmlToken struct {
	kind       xmlKind
	reader     *xmlReader
	name       []byte // of a tag, without its prefix
	attributes []byte // as they stand there
	text       []byte // as it stands there
}

// token is the next token, good until the next call. The end of the part is
// io.EOF.
func (x *xmlReader) token() (*xmlToken, error) {
	if x.err != nil {
		return nil, x.err
	}
	x.limit.read = 0
	event, err := x.in.Event()
	switch {
	case err != nil && x.limit.err != nil:
		return nil, x.limit.err
	case err != nil: // its message may hold text of the file
		return nil, x.broken()
	}
	x.last = xmlToken{reader: x}
	switch event.Type() {
	case gosax.EventEOF:
		return nil, io.EOF
	case gosax.EventStart:
		x.last.kind = xmlStart
		err = x.tag(event.Bytes)
	case gosax.EventEnd:
		if x.last.kind = xmlEnd; event.Bytes[1] != '/' { // the tag of an empty element comes twice
			x.done -= int64(len(event.Bytes))
		}
		err = x.tag(event.Bytes)
	case gosax.EventText:
		x.last.kind, x.last.text = xmlText, event.Bytes
	case gosax.EventCData:
		x.last.kind = xmlText
		err = x.section(event.Bytes)
	case gosax.EventComment, gosax.EventProcessingInstruction, gosax.EventDocType:
	default:
		err = x.broken()
	}
	x.done += int64(len(event.Bytes))
	return &x.last, err
}

// section is text in which no reference is one: now it is written as in any other text.
func (x *xmlReader) section(section []byte) error {
	text, ok := bytes.CutPrefix(section, []byte("<![CDATA["))
	if !ok {
		return x.broken()
	}
	x.last.text = bytes.ReplaceAll(text[:len(text)-len("]]>")], []byte("&"), []byte("&amp;"))
	return nil
}

func (x *xmlReader) broken() error {
	return fmt.Errorf("broken XML behind byte %d of the part", x.done)
}

// tag reads a tag, of which the library has looked for no more than the end.
func (x *xmlReader) tag(tag []byte) error {
	name, attributes := gosax.Name(tag)
	switch {
	case len(name) == 0 || !isNameStart(name[0]),
		bytes.IndexByte(tag[1:], '<') >= 0, // one without an end has swallowed the next
		tag[1] == '/' && len(bytes.TrimSpace(attributes)) > 0:
		return x.broken()
	}
	if i := bytes.IndexByte(name, ':'); i > 0 && i+1 < len(name) {
		name = name[i+1:]
	}
	x.last.name, x.last.attributes = name, attributes
	return nil
}

func isNameStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == ':' || c >= utf8.RuneSelf
}

// attribute is the value of an attribute without a prefix; empty if the tag has none.
func (t *xmlToken) attribute(name string) []byte { return t.find(name, false) }

// prefixed is the value of an attribute with whatever prefix.
func (t *xmlToken) prefixed(name string) []byte { return t.find(name, true) }

// find finds an attribute. What is broken on the way is the error of the next token, of which
// every tag has one.
func (t *xmlToken) find(name string, prefixed bool) []byte {
	for rest := t.attributes; ; {
		attribute, after, err := gosax.NextAttribute(rest)
		if err == nil && len(attribute.Key) == 0 {
			return nil
		}
		if err != nil || len(attribute.Value) < 2 {
			t.reader.err = t.reader.broken()
			return nil
		}
		key := attribute.Key
		if prefixed {
			_, key, _ = bytes.Cut(key, []byte(":"))
		}
		if string(key) == name {
			value, err := unescapeXML(attribute.Value[1 : len(attribute.Value)-1])
			if err != nil {
				t.reader.err = t.reader.broken()
			}
			return value
		}
		rest = after
	}
}

// unescapeXML is a text without references. The library would decode it where it stands.
func unescapeXML(text []byte) ([]byte, error) {
	if bytes.IndexByte(text, '&') < 0 && bytes.IndexByte(text, '\r') < 0 {
		return text, nil
	}
	return gosax.Unescape(bytes.Clone(text))
}

// text is the text of the element just started: of all v and t inside it, but not
// of the readings of characters (rPh). It reads on to the element's end.
func (x *xmlReader) text(element string) (string, error) {
	x.cell = x.cell[:0]
	inText, inReading := false, false
	for {
		token, err := x.token()
		if isEnd(err) {
			return "", io.ErrUnexpectedEOF
		}
		if err != nil {
			return "", err
		}
		switch token.kind {
		case xmlStart:
			inText = string(token.name) == "v" || string(token.name) == "t"
			inReading = inReading || string(token.name) == "rPh"
		case xmlText:
			if inText && !inReading {
				text, err := unescapeXML(token.text)
				if err != nil {
					return "", x.broken()
				}
				// One byte more than is used, so that it shows that it was cut.
				x.cell = append(x.cell, text[:min(len(text), max(0, maxCellBytes+1-len(x.cell)))]...)
			}
		case xmlEnd:
			inText = false
			if string(token.name) == "rPh" {
				inReading = false
			}
			if string(token.name) == element {
				return unescape(string(x.cell)), nil
			}
		}
	}
}

// escaped is how a workbook writes a character that XML cannot hold.
var escaped = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

func unescape(text string) string {
	if !strings.Contains(text, "_x") {
		return text
	}
	return escaped.ReplaceAllStringFunc(text, func(e string) string {
		code, _ := strconv.ParseUint(e[2:6], 16, 16)
		return string(rune(code))
	})
}

// tokenLimit fails where a single token is larger than maxXMLToken: the reader
// keeps it whole in memory.
type tokenLimit struct {
	in   io.Reader
	read int
	err  error // other than the end
}

func (l *tokenLimit) Read(p []byte) (int, error) {
	if l.read > maxXMLToken {
		l.err = fmt.Errorf("a text or tag larger than %d bytes", maxXMLToken)
		return 0, l.err
	}
	n, err := l.in.Read(p[:min(len(p), xmlBuffer)]) // a buffer that has grown would read far beyond the limit
	l.read += n
	if err != nil && !isEnd(err) {
		l.err = err
	}
	return n, err
}
