// Package keytext tells what may be a key, a token or a password, as people and their
// tools put them into files.
package keytext

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	encoding "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Kind is what a text is to be.
type Kind int

// The kinds.
const (
	Any      Kind = iota // whatever it is: a PEM block, say
	Key                  // a key or a token
	Password             // of a person or a program: it may have quotes and blanks in it
)

const byteOrderMark = '\uFEFF'

// Decode reads the content of a file, of which a byte order mark may say that it is
// UTF-16, and takes off what editors put around it.
func Decode(content []byte) string {
	text, _, err := transform.Bytes(encoding.BOMOverride(transform.Nop), content)
	if err != nil {
		text = content // Check refuses what it holds
	}
	return Trim(string(text))
}

// Trim takes white space and byte order marks off both ends.
func Trim(text string) string {
	return strings.TrimFunc(text, func(r rune) bool { return unicode.IsSpace(r) || r == byteOrderMark })
}

// Check refuses what cannot be of that kind. The error does not show the text.
func (k Kind) Check(text string) error {
	if k == Any {
		return nil
	}
	for _, r := range text {
		if problem := k.problem(r); problem != "" {
			return errors.New("has " + problem + " in it")
		}
	}
	return nil
}

// problem is what is wrong with a character; empty if nothing is.
func (k Kind) problem(r rune) string {
	switch {
	case r == unicode.ReplacementChar:
		return "a byte that is not UTF-8"
	case unicode.IsControl(r):
		return "a line break or another control character"
	case unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r):
		return fmt.Sprintf("an invisible character (U+%04X)", r)
	case k == Password && (unicode.IsPrint(r) || unicode.Is(unicode.Zs, r)):
		return ""
	case strings.ContainsRune("\"'`“”‘’„‚«»‹›＂＇", r):
		return "a quote"
	case unicode.IsSpace(r):
		return "a blank"
	case r > unicode.MaxASCII:
		return "a character that is not ASCII"
	case strings.ContainsRune(`\,;(){}[]`, r):
		return "punctuation that no key has"
	}
	return ""
}

// Quoted reports whether a text begins and ends with the same quote.
func Quoted(text string) bool {
	return len(text) > 1 && strings.ContainsRune("\"'`", rune(text[0])) && text[0] == text[len(text)-1]
}
