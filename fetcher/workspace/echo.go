package workspace

import (
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

const (
	// maxDecodings is how many times a text may be escaped or packed, once in the other.
	maxDecodings = 3
	// pieceBytes is how much of a long secret is enough to know it by: servers cut what
	// they repeat, at either end.
	pieceBytes = 10
	// endBytes is how much of each end of a secret it is known by; only tokens are longer.
	endBytes = 500
)

// repeats reports whether a text has a secret in some other form than it was sent in:
// with other letters' case, escaped for URLs, HTML or JSON, in base64, as numbers of its
// bytes, or several of these, as servers and proxies may write what they have received.
func (r *redactor) repeats(s string) bool {
	r.mu.Lock()
	keys := slices.Concat(r.keys...)
	r.mu.Unlock()
	return len(keys) > 0 && holds(s, keys, maxDecodings)
}

// keysOf are what a secret is known by: all of it, or its pieces if it is long; with and
// without its signs, which are what escapes change.
func keysOf(secret string) (keys []string) {
	for _, text := range []string{tight(secret), letters(secret)} {
		if len(text) < 2*pieceBytes {
			keys = append(keys, text)
			continue
		}
		for at := 0; at < len(text); at += pieceBytes {
			if at >= endBytes && at < len(text)-endBytes {
				continue
			}
			begin := min(at, len(text)-pieceBytes)
			keys = append(keys, text[begin:begin+pieceBytes])
		}
	}
	return slices.DeleteFunc(keys, func(key string) bool { return len(key) < minPartial })
}

func holds(s string, keys []string, decodings int) bool {
	for _, text := range []string{tight(s), letters(s)} {
		if slices.ContainsFunc(keys, func(key string) bool { return strings.Contains(text, key) }) {
			return true
		}
	}
	return decodings > 0 && slices.ContainsFunc(decoded(s), func(text string) bool { return text != s && holds(text, keys, decodings-1) })
}

// tight is what is compared of a text: what can be seen of it, in its simplest form.
func tight(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) || unicode.IsControl(c) || unicode.Is(unicode.Cf, c) {
			return -1
		}
		return unicode.ToLower(c)
	}, norm.NFKC.String(s))
}

// letters is a text without signs.
func letters(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return c
		}
		return -1
	}, tight(s))
}

var (
	// base64Word is one in either alphabet, and hexWord one of whole bytes.
	base64Word = regexp.MustCompile(`[A-Za-z0-9+/_-]{8,}`)
	hexWord    = regexp.MustCompile(`[0-9A-Fa-f]{12,}`)
	// latin1 is an escaped character of which others take it for a byte.
	latin1 = regexp.MustCompile(`(?:%|\\+x)[0-9A-Fa-f]{2}`)
	// byteNumbers are bytes as a program prints a list of them.
	byteNumbers = regexp.MustCompile(`\d{1,3}(?:[\s,]+\d{1,3}){5,}`)

	unified   = strings.NewReplacer("-", "+", "_", "/")
	undumped  = strings.NewReplacer("0x", "", `\x`, "", ":", "", ",", "", ";", "", "=", "", "%", "", "-", "")
	unspacing = func(c rune) rune {
		if unicode.IsSpace(c) {
			return -1
		}
		return c
	}
)

// decoded is what a text may have been before it was escaped or packed. Lines may break
// what is packed, and a word may begin anywhere.
func decoded(s string) []string {
	texts := []string{record.Unescape(s), latin1.ReplaceAllStringFunc(s, func(escape string) string {
		c, _ := strconv.ParseUint(escape[len(escape)-2:], 16, 8)
		return string(rune(c))
	})}
	joined := strings.Map(unspacing, s)
	for _, word := range base64Word.FindAllString(joined, -1) {
		word = unified.Replace(word)
		for skip := range 4 {
			part := word[skip:]
			if len(part)%4 == 1 {
				part = part[:len(part)-1]
			}
			text, _ := base64.RawStdEncoding.DecodeString(part) // of this alphabet and length
			texts = append(texts, string(text))
		}
	}
	for _, word := range hexWord.FindAllString(undumped.Replace(joined), -1) {
		for skip := range 2 {
			part := word[skip:]
			text, _ := hex.DecodeString(part[:len(part)-len(part)%2])
			texts = append(texts, string(text))
		}
	}
	for _, list := range byteNumbers.FindAllString(s, -1) {
		var text []byte
		for _, number := range strings.FieldsFunc(list, func(c rune) bool { return !unicode.IsDigit(c) }) {
			n, _ := strconv.Atoi(number)
			text = append(text, byte(n))
		}
		texts = append(texts, string(text))
	}
	return texts
}
