package record

import (
	"net/netip"
	"regexp"
	"strings"
)

// sign is what a kind of personal text looks like, where a record has no field with it.
type sign struct {
	// may is false where the pattern matches nothing: that is quicker to see.
	may     func(s string) bool
	pattern *regexp.Regexp
	// with is what to put in its place, as Regexp.ReplaceAllString takes it.
	with string
	// but is true for a match that is something else, and stays; nil if there is none.
	but func(match string) bool
}

// uuidPattern is an id of a request, a session, a host. It may hold what looks like a MAC.
var uuidPattern = regexp.MustCompile(`(?i)\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`)

// idSigns are those of ids of any kind, and of international and Chinese mobile numbers.
var idSigns = []sign{
	{may: hasRun(8, isHex), pattern: regexp.MustCompile(`(?i)\b[0-9a-f]{32}\b|` + uuidPattern.String()), with: "<id>"},
	{may: either(hasAny("+"), hasRun(11, isDigit)), pattern: regexp.MustCompile(`\+\d[\d ()-]{7,16}\d\b|\b1[3-9]\d{9}\b`), with: "<phone>"},
}

// signs are those of people and addresses, in the order in which they are looked for.
var signs = []sign{
	{may: hasAny("@＠"), pattern: regexp.MustCompile(`[\w.+*-]+(?:/[\w.+*-]+)?[@＠][\w.*-]+`), with: "<user>"},
	// A mail name that is not all ASCII. It would take in the words of a Chinese sentence
	// around an ASCII one, so it comes second.
	{may: hasAny("@＠"), pattern: regexp.MustCompile(`[^\s@＠<>,;:()，。；：（）]+[@＠][^\s@＠<>,;:()，。；：（）]+`), with: "<user>"},
	// A person's folder.
	{may: hasAny(`\/`), pattern: regexp.MustCompile(`(?i)([\\/](?:users|home|profiles|documents and settings)\$?[\\/]+)[^\s\\/"'<>|:*?,;]+`), with: "$1<user>"},
	// A Windows account.
	{may: hasAny(`\`), pattern: regexp.MustCompile(`(^|[^\w\\/:.$<>-])[A-Za-z0-9][\w.-]{0,63}\\{1,2}[\w.$-]+`), with: "$1<user>"},
	// A name as directories write it.
	{may: hasAny("="), pattern: regexp.MustCompile(`(?i)\b(CN|UID|SN|sAMAccountName|displayName|givenName|userPrincipalName|UPN)=[^,;<>)"]+`), with: "$1=<user>"},
	// A security identifier.
	{may: hasMany("-", 3), pattern: regexp.MustCompile(`(?i)\bS-1-\d+(-\d+)+\b`), with: "<id>"},
	// IPv6. A time of day and a code may look like it.
	{may: hasMany(":", 2), pattern: regexp.MustCompile(`(?i)[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}(\.\d{1,3}){0,3}(%\w+)?`), with: addressPlaceholder, but: isNoIPv6},
	// MAC, after IPv6, whose groups may have two digits.
	{may: either(hasMany(":-", 5), hasRun(4, isHex)), pattern: regexp.MustCompile(`(?i)\b[0-9a-f*]{1,2}([:-][0-9a-fx*]{1,2}){5}\b|\b[0-9a-f]{4}[.-][0-9a-f]{4}[.-][0-9a-f]{4}\b`), with: addressPlaceholder},
	// An address in a host's name, such as ip-10-20-30-40.
	{may: hasMany("-_", 3), pattern: regexp.MustCompile(`\b\d{1,3}(?:-\d{1,3}){3}\b|\b\d{1,3}(?:_\d{1,3}){3}\b`), with: addressPlaceholder},
	// IPv4, after IPv6, which may end in one.
	{may: hasMany(".", 3), pattern: regexp.MustCompile(`\d+(\.[\d*]+){3,}(:\d+)?`), with: addressPlaceholder, but: isVersion},
}

// longNumber is a part of a dotted number that no address has.
var longNumber = regexp.MustCompile(`(^|\.)\d{4,}($|[.:])`)

// isVersion reports whether a dotted number is a version, such as 23.5.0.0519.
func isVersion(dotted string) bool {
	return strings.Count(dotted, ".") == 3 && longNumber.MatchString(dotted)
}

func isNoIPv6(s string) bool {
	_, err := netip.ParseAddr(s)
	return err != nil
}

// ScrubReason replaces, beside what ScrubText does, ids and telephone numbers: they are of no
// use to those who read why others failed.
func ScrubReason(s string) string { return ScrubText(scrub(s, idSigns)) }

// ScrubText replaces whatever looks like a person's name, a MAC or an IP address in
// text that comes from outside and is about to be shown.
func ScrubText(s string) string {
	if mayBeUUID(s) {
		if id := uuidPattern.FindStringIndex(s); id != nil {
			return scrub(s[:id[0]], signs) + s[id[0]:id[1]] + ScrubText(s[id[1]:])
		}
	}
	return scrub(s, signs)
}

var mayBeUUID = hasMany("-", 4)

func scrub(s string, signs []sign) string {
	for _, sign := range signs {
		switch {
		case !sign.may(s):
		case sign.but == nil:
			s = sign.pattern.ReplaceAllString(s, sign.with)
		default:
			s = sign.pattern.ReplaceAllStringFunc(s, func(match string) string {
				if sign.but(match) {
					return match
				}
				return sign.with
			})
		}
	}
	return s
}

// hasAny is true for texts that have one of some characters.
func hasAny(chars string) func(string) bool {
	return func(s string) bool { return strings.ContainsAny(s, chars) }
}

// hasMany is true for texts that have n of some bytes, or more.
func hasMany(bytes string, n int) func(string) bool {
	return func(s string) bool {
		count := 0
		for i := range len(bytes) {
			count += strings.Count(s, bytes[i:i+1])
		}
		return count >= n
	}
}

// hasRun is true for texts in which n bytes of a kind stand together.
func hasRun(n int, is func(byte) bool) func(string) bool {
	return func(s string) bool { return longestRun(s, is) >= n }
}

func either(a, b func(string) bool) func(string) bool {
	return func(s string) bool { return a(s) || b(s) }
}

// longestRun is how many bytes of a kind stand together in s, at most.
func longestRun[T string | []byte](s T, is func(byte) bool) int {
	longest, n := 0, 0
	for i := range len(s) {
		if n++; !is(s[i]) {
			n = 0
		}
		longest = max(longest, n)
	}
	return longest
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || lower(c) >= 'a' && lower(c) <= 'f' }
