package workspace

import (
	"cmp"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/workspace-exporter/workspace_exporter/internal/record"
)

const (
	secretText = "<secret>"
	// repeatedText stands for a text that has a secret in another form.
	repeatedText = "<a text that repeats a secret>"
	userText     = "<user>"

	maxCleanBytes = 200     // of the server's text in an error
	maxShownBytes = 4 << 10 // of a body, before it is cleaned and cut
	maxReadBytes  = 2 << 10 // of a text, without its blanks, before it is searched for secrets
	maxPrivate    = 256     // texts remembered: those of rotated secrets fall out
	minPartial    = 6       // a beginning of a secret this long is hidden too
)

// redactor takes out of text what must never be shown.
type redactor struct {
	mu      sync.Mutex
	private []replacement // the oldest first
	keys    [][]string    // of each secret: see keysOf
}

type replacement struct{ text, placeholder string }

// add remembers texts, and the forms in which a server may echo them.
func (r *redactor) add(placeholder string, texts ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, text := range texts {
		if text == "" || slices.Contains(r.private, replacement{text, placeholder}) {
			continue
		}
		if placeholder == secretText {
			r.keys = append(r.keys, keysOf(text))
		}
		for _, form := range []string{html.EscapeString(text), url.QueryEscape(text), url.PathEscape(text), text} {
			if p := (replacement{form, placeholder}); !slices.Contains(r.private, p) {
				r.private = append(r.private, p)
			}
		}
	}
	r.private = r.private[max(0, len(r.private)-maxPrivate):]
	r.keys = r.keys[max(0, len(r.keys)-maxPrivate):]
}

// redact replaces the remembered texts in s, also one that s was cut in.
func (r *redactor) redact(s string) string {
	r.mu.Lock()
	private := slices.Clone(r.private)
	r.mu.Unlock()
	slices.SortStableFunc(private, func(a, b replacement) int { return cmp.Compare(len(b.text), len(a.text)) })
	var pairs []string
	for _, p := range private {
		pairs = append(pairs, p.text, p.placeholder)
	}
	s = strings.NewReplacer(pairs...).Replace(s)
	for _, p := range private {
		for n := len(p.text) - 1; n >= minPartial; n-- {
			if head, found := strings.CutSuffix(s, p.text[:n]); found {
				s = head + p.placeholder
				break
			}
		}
	}
	return s
}

// namedUser is a user's name in the words of IAM and of the gateway, like
// "User: iam::123:user:jane is not authorized".
var namedUser = regexp.MustCompile(`(?i)\b(user(?:[ _]?name)?)(["']?\s*[:=]\s*["']?)[^\s"',;:<>…]+(?:::?[^\s"',;:<>…]+)*`)

// signature is that of a signed request, which a server may echo.
var signature = regexp.MustCompile(`(?i)(signature["']?\s*[:=]\s*["']?)[0-9a-z+/=%-]+`)

// clean makes text that comes from outside fit for an error: private text gone,
// one line, at most maxCleanBytes long.
func (r *redactor) clean(s string) string {
	if s = r.secretless(s); s == repeatedText {
		return s
	}
	s = record.ScrubText(record.Unescape(s))
	s = signature.ReplaceAllString(namedUser.ReplaceAllString(s, "$1$2"+userText), "$1"+secretText)
	return cut(oneLine(s), maxCleanBytes)
}

// secretless is a text in one line and without secrets; names stay.
func (r *redactor) secretless(s string) string {
	s = oneLine(strings.ToValidUTF8(r.redact(s), "\uFFFD"))
	if s = cut(s, maxReadBytes); r.repeats(s) {
		return repeatedText
	}
	return s
}

func oneLine(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// shape shows how a body begins: text is cleaned, and from its first bracket on
// only the structure of JSON is kept.
func (r *redactor) shape(body string) string {
	body = r.redact(cut(body, maxShownBytes))
	if i := strings.IndexAny(body, "{["); i >= 0 {
		body = body[:i] + maskJSON(body[i:])
	}
	return r.clean(body)
}

// jsonName is a member's name that is a field's and not, say, a user's.
var jsonName = regexp.MustCompile(`^"[A-Za-z][A-Za-z0-9_-]{0,40}"$`)

// maskJSON masks the values in s, which may be cut anywhere or be no JSON at all.
// Names, numbers and the words true, false and null stay.
func maskJSON(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		n := 1
		switch c := s[0]; {
		case c == '"':
			n = stringLength(s)
			b.WriteString(maskString(s[:n], s[n:]))
		case isBareword(c):
			for n < len(s) && isBareword(s[n]) {
				n++
			}
			b.WriteString(maskWord(s[:n]))
		default:
			b.WriteByte(c)
		}
		s = s[n:]
	}
	return b.String()
}

// stringLength is the length of the JSON string that s begins with, quotes
// included, or that of s if the string does not end.
func stringLength(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}

func maskString(s, rest string) string {
	isName := strings.HasPrefix(strings.TrimLeft(rest, " \t\r\n"), ":") && jsonName.MatchString(s)
	if isName || s == `""` {
		return s
	}
	return `"…"`
}

func maskWord(s string) string {
	if s == "true" || s == "false" || s == "null" || strings.Trim(s, "0123456789") == "" {
		return s
	}
	return "?"
}

func isBareword(c byte) bool {
	return c >= utf8.RuneSelf || c == '_' || c == '\\' || unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c))
}

// cut shortens s to at most n bytes, at the start of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
