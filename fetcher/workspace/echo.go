package workspace

import (
	"encoding/base64"
	"encoding/hex"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// maxDecodings is how many times a text may be escaped, once in the other.
const maxDecodings = 3

// repeats reports whether a text has a secret in some other form than it was sent in:
// with other letters' case, escaped for URLs, HTML or JSON, in base64 or hexadecimal, or
// several of these, as servers and proxies may write what they have received.
func (r *redactor) repeats(s string) bool {
	r.mu.Lock()
	secrets := slices.Clone(r.secrets)
	r.mu.Unlock()
	if len(secrets) == 0 {
		return false
	}
	return holds(s, secrets, maxDecodings)
}

func holds(s string, secrets []string, decodings int) bool {
	folded := foldSecret(s)
	if slices.ContainsFunc(secrets, func(secret string) bool { return strings.Contains(folded, secret) }) {
		return true
	}
	if decodings == 0 {
		return false
	}
	if plain := unescapeAll(s); plain != s && holds(plain, secrets, decodings-1) {
		return true
	}
	return slices.ContainsFunc(packed.FindAllString(s, -1), func(word string) bool {
		return slices.ContainsFunc(unpack(word), func(text string) bool { return holds(text, secrets, decodings-1) })
	})
}

// foldSecret is what is compared of a secret: its letters and digits, without case.
func foldSecret(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return unicode.ToLower(c)
		}
		return -1
	}, s)
}

var (
	percent     = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	jsonEscape  = regexp.MustCompile(`\\+(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2})`)
	packed      = regexp.MustCompile(`[A-Za-z0-9+/_-]{8,}`)
	base64Kinds = []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding}
)

// unescapeAll takes one level of escapes of every kind out of a text.
func unescapeAll(s string) string {
	character := func(digits string) string {
		code, _ := strconv.ParseUint(digits, 16, 32)
		return string(rune(code))
	}
	s = percent.ReplaceAllStringFunc(s, func(e string) string {
		code, _ := strconv.ParseUint(e[1:], 16, 8)
		return string([]byte{byte(code)}) // of a character's bytes, it may be one
	})
	s = jsonEscape.ReplaceAllStringFunc(s, func(e string) string { return character(strings.TrimLeft(e, `\ux`)) })
	return html.UnescapeString(s)
}

// unpack decodes a word in base64, wherever its characters may begin, and in hexadecimal.
func unpack(word string) (texts []string) {
	for skip := range min(4, len(word)) {
		for _, kind := range base64Kinds {
			part := word[skip:]
			if text, err := kind.DecodeString(part[:len(part)-len(part)%4]); err == nil {
				texts = append(texts, string(text))
			}
			if text, err := kind.DecodeString(part); err == nil {
				texts = append(texts, string(text))
			}
		}
	}
	if text, err := hex.DecodeString(word[:len(word)-len(word)%2]); err == nil {
		texts = append(texts, string(text))
	}
	return texts
}
