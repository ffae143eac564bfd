package record

import (
	"html"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	percentBytes = regexp.MustCompile(`(?:%[0-9A-Fa-f]{2})+`)
	escapedBytes = regexp.MustCompile(`(?:\\+x[0-9A-Fa-f]{2})+|(?:\\+[0-3][0-7]{2})+|(?:=[0-9A-F]{2}){2,}`)
	escapedRune  = regexp.MustCompile(`\\+u(?:[0-9A-Fa-f]{4}|\{[0-9A-Fa-f]{1,6}\})`)
)

// Unescape takes one level of escapes out of a text: those of URLs, HTML, JSON, programs
// and mail. What would not become text stays as it is.
func Unescape(s string) string {
	if strings.Contains(s, "%") {
		s = percentBytes.ReplaceAllStringFunc(s, func(run string) string { return unescapeBytes(run, "%", 16) })
	}
	if strings.ContainsAny(s, `\=`) {
		s = escapedRune.ReplaceAllStringFunc(s, unescapeRune)
		s = escapedBytes.ReplaceAllStringFunc(s, func(run string) string {
			base := 8
			if strings.ContainsAny(run, "x=") {
				base = 16
			}
			return unescapeBytes(run, `\x=`, base)
		})
	}
	if strings.Contains(s, "&") {
		s = html.UnescapeString(s)
	}
	return s
}

// unescapeBytes decodes a run of escaped bytes, each a number behind some marks.
func unescapeBytes(run, marks string, base int) string {
	var b []byte
	for _, digits := range strings.FieldsFunc(run, func(r rune) bool { return strings.ContainsRune(marks, r) }) {
		n, err := strconv.ParseUint(digits, base, 8)
		if err != nil {
			return run
		}
		b = append(b, byte(n))
	}
	if !utf8.Valid(b) {
		return run
	}
	return string(b)
}

func unescapeRune(escape string) string {
	n, err := strconv.ParseUint(strings.Trim(escape, `\u{}`), 16, 32)
	if err != nil || !utf8.ValidRune(rune(n)) {
		return escape
	}
	return string(rune(n))
}
