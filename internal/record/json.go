package record

import (
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// members are the members of a JSON object, as they stand there. The object is
// known to be valid: to read it token by token takes twice the time.
func members(object string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		var name, value string
		rest := skipFiller(object[1:])
		for rest[0] != '}' {
			name, rest = cutValue(rest)
			value, rest = cutValue(skipFiller(rest))
			if rest = skipFiller(rest); !yield(name, value) {
				return
			}
		}
	}
}

// skipFiller drops what stands before a name or a value.
func skipFiller(s string) string {
	i := 0
	for s[i] <= ' ' || s[i] == ',' || s[i] == ':' {
		i++
	}
	return s[i:]
}

// cutValue cuts the value off that s begins with.
func cutValue(s string) (value, rest string) {
	var end int
	switch s[0] {
	case '"':
		end = stringLength(s)
	case '{', '[':
		end = nestedLength(s)
	default: // a number, true, false or null
		end = strings.IndexAny(s, ",} \t\r\n")
	}
	return s[:end], s[end:]
}

// nestedLength is the length of the object or array that s begins with.
func nestedLength(s string) int {
	end, depth := 0, 0
	for {
		switch s[end] {
		case '"':
			end += stringLength(s[end:])
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if end++; depth == 0 {
			return end
		}
	}
}

// stringLength is the length of the string that s begins with, quotes included.
func stringLength(s string) int {
	for end := 1; ; end++ {
		end += strings.IndexByte(s[end:], '"')
		escapes := 0
		for s[end-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return end + 1
		}
	}
}

// isPlain reports whether every string in s is what stands between its quotes.
func isPlain(s string) bool { return strings.IndexByte(s, '\\') < 0 && utf8.ValidString(s) }

// unquote is the text of a JSON string. Broken UTF-8 reads U+FFFD.
func unquote(s string, plain bool) string {
	if plain || isPlain(s) {
		return s[1 : len(s)-1]
	}
	text, _ := jsontext.AppendUnquote(nil, s)
	return string(text)
}
