package export

import (
	"bufio"
	"unicode/utf8"
)

// legalXML is XML in which what XML forbids reads U+FFFD: control characters, written as
// they are or as a reference, and broken UTF-8. Programs write them all the same, and one
// of them must not refuse a file. XML in UTF-16 becomes UTF-8.
type legalXML struct {
	in    *bufio.Reader
	begun bool
	rest  []byte // decoded, and not yet read
}

const replacement = "\uFFFD"

func (l *legalXML) Read(p []byte) (int, error) {
	if !l.begun {
		l.begun = true
		if mark, _ := l.in.Peek(2); string(mark) == "\xFF\xFE" || string(mark) == "\xFE\xFF" {
			l.in = bufio.NewReaderSize(utf16WithMark().NewDecoder().Reader(l.in), 64<<10)
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	for n < len(p) {
		if _, err := l.in.Peek(1); err != nil {
			if n > 0 {
				err = nil
			}
			return n, err
		}
		next, _ := l.in.Peek(min(l.in.Buffered(), len(p)-n))
		plain := 0
		for plain < len(next) && isPlainXML(next[plain]) {
			plain++
		}
		n += copy(p[n:], next[:plain])
		_, _ = l.in.Discard(plain)
		if plain == len(next) {
			continue
		}
		l.rest = l.odd()
		k := copy(p[n:], l.rest)
		l.rest = l.rest[k:]
		n += k
	}
	return n, nil
}

// isPlainXML reports whether a byte is what it is.
func isPlainXML(c byte) bool {
	return c >= ' ' && c < 0x7f && c != '&' || c == '\n' || c == '\t' || c == '\r'
}

// odd reads what is not plain.
func (l *legalXML) odd() []byte {
	c, _ := l.in.ReadByte()
	switch {
	case c == '&':
		return l.reference()
	case c == 0x7f:
		return []byte{c}
	case c < utf8.RuneSelf:
		return []byte(replacement)
	}
	_ = l.in.UnreadByte()
	return l.character()
}

// character reads one that is not ASCII.
func (l *legalXML) character() []byte {
	r, _, _ := l.in.ReadRune() // U+FFFD if it is broken
	if r == '\uFFFE' || r == '\uFFFF' {
		r = utf8.RuneError
	}
	return utf8.AppendRune(nil, r)
}

// reference reads what follows an ampersand. If it is the number of a character that XML
// forbids, it is replaced.
func (l *legalXML) reference() []byte {
	next, _ := l.in.Peek(maxReference)
	number, base, digits := 0, 10, 0
	i := 0
	if len(next) == 0 || next[0] != '#' {
		return []byte("&")
	}
	if i++; i < len(next) && (next[i] == 'x' || next[i] == 'X') {
		base = 16
		i++
	}
	for ; i < len(next) && next[i] != ';'; i++ {
		digit := digitOf(next[i])
		if digit >= base {
			return []byte("&")
		}
		number, digits = min(number*base+digit, utf8.MaxRune+1), digits+1
	}
	if i == len(next) || digits == 0 || isLegal(rune(number)) {
		return []byte("&")
	}
	_, _ = l.in.Discard(i + 1)
	return []byte(replacement)
}

// maxReference is longer than any number of a character is written.
const maxReference = 12

func digitOf(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return 99
}

// isLegal reports whether XML allows a character.
func isLegal(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}
