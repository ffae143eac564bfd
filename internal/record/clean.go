package record

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLabelBytes is the longest label value that is ever exposed.
const MaxLabelBytes = 128

// maxReasonBytes bounds the work that a hostile failed_reason can cause.
const maxReasonBytes = 4096

// Label makes s fit to be a label value: valid UTF-8, no control characters,
// trimmed, at most MaxLabelBytes bytes and never cut inside a character.
func Label(s string) string {
	if isClean(s) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(cut(s, maxReasonBytes), "\uFFFD"))
	return strings.TrimSpace(cut(strings.TrimSpace(s), MaxLabelBytes))
}

// isClean is the fast way out for the text that nearly every record has.
func isClean(s string) bool {
	if len(s) > MaxLabelBytes {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return s == "" || s[0] != ' ' && s[len(s)-1] != ' '
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

// private is personal text that a record holds, and what stands in its place.
type private struct{ text, placeholder string }

// Patterns of personal text that may stand in a reason although the record has
// no field with it.
var (
	emailPattern = regexp.MustCompile(`[\w.+*-]+@[\w.*-]+`)
	macPattern   = regexp.MustCompile(`(?i)\b[0-9a-f*]{2}([:-][0-9a-f*]{2}){5}\b`)
	ipv4Pattern  = regexp.MustCompile(`\d+(\.[\d*]+){3,}(:\d+)?`)
	ipv6Pattern  = regexp.MustCompile(`(?i)[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}(\.\d{1,3}){0,3}(%\w+)?`)

	// longNumber is a part of a dotted number that no address has.
	longNumber = regexp.MustCompile(`(^|\.)\d{4,}($|[.:])`)

	// otherMail is a mail name that is not all ASCII. It would take in the words of
	// a Chinese sentence around an ASCII one, so it comes second.
	otherMail = regexp.MustCompile(`[^\s@<>,;:()，。；：（）]+@[^\s@<>,;:()，。；：（）]+`)
)

// userForms are the forms in which a reason may name a user: with the domain, as
// CORP\jane or jane@corp.example, and without.
func userForms(name string) []private {
	account, _, _ := strings.Cut(name, "@")
	if i := strings.LastIndexByte(account, '\\'); i >= 0 {
		account = account[i+1:]
	}
	return []private{{name, "<user>"}, {account, "<user>"}}
}

// scrub is a reason as a label value, without personal text.
func scrub(reason string, own []private) string { return Label(withoutPersonal(reason, own)) }

// withoutPersonal takes personal text out of a reason: the given fields of its
// record, and whatever looks like an address or a mail name.
func withoutPersonal(reason string, own []private) string {
	reason = cut(reason, maxReasonBytes)
	// The longer first: a computer's name may begin with its user's.
	slices.SortStableFunc(own, func(a, b private) int { return cmp.Compare(len(b.text), len(a.text)) })
	for _, p := range own {
		reason = replaceWord(reason, p.text, p.placeholder)
	}
	return ScrubText(reason)
}

// ScrubText replaces whatever looks like a mail name, a MAC or an IP address in
// text that comes from outside and is about to be shown.
func ScrubText(s string) string {
	if strings.Contains(s, "@") {
		s = emailPattern.ReplaceAllString(s, "<user>")
		s = otherMail.ReplaceAllString(s, "<user>")
	}
	if strings.ContainsAny(s, ":-") {
		s = macPattern.ReplaceAllString(s, "<address>")
		s = ipv6Pattern.ReplaceAllStringFunc(s, func(m string) string {
			if _, err := netip.ParseAddr(m); err != nil {
				return m // a time of day, a code
			}
			return "<address>"
		})
	}
	if strings.Contains(s, ".") { // after IPv6, which may end in such an address
		s = ipv4Pattern.ReplaceAllStringFunc(s, func(m string) string {
			if strings.Count(m, ".") == 3 && longNumber.MatchString(m) {
				return m // a version, such as 23.5.0.0519
			}
			return "<address>"
		})
	}
	return s
}

// replaceWord replaces old in s, whatever its case, where it is not part of a
// longer ASCII word or number: the id "3" must not eat the 3 of "code 1003".
func replaceWord(s, old, placeholder string) string {
	old = strings.TrimSpace(old)
	if old == "" {
		return s
	}
	var out strings.Builder
	rest := 0
	for i := 0; i+len(old) <= len(s); {
		end := i + len(old)
		if !strings.EqualFold(s[i:end], old) || continues(s, i) || continues(s, end) {
			i++
			continue
		}
		out.WriteString(s[rest:i])
		out.WriteString(placeholder)
		i, rest = end, end
	}
	if rest == 0 {
		return s
	}
	out.WriteString(s[rest:])
	return out.String()
}

// continues reports whether a word of ASCII letters and digits goes on across
// position i of s.
func continues(s string, i int) bool {
	return i > 0 && i < len(s) && isWord(s[i-1]) && isWord(s[i])
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
