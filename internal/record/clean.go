package record

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxLabelBytes is the longest label value that is ever exposed.
const MaxLabelBytes = 128

// maxReasonBytes bounds the work that a hostile failed_reason can cause, and
// maxNameBytes is longer than any name that may stand in one.
const (
	maxReasonBytes = 2048
	maxNameBytes   = 256
)

// Label makes s fit to be a label value: valid UTF-8 in its composed form, nothing that
// cannot be seen or that turns the direction of text, trimmed, at most MaxLabelBytes
// bytes and never cut inside a character.
func Label(s string) string {
	if isClean(s) {
		return s
	}
	return strings.TrimSpace(cut(visible(cut(s, maxReasonBytes)), MaxLabelBytes))
}

// visible is a text without what cannot be seen in it.
func visible(s string) string {
	if isClean(s) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			return ' '
		case isInvisible(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.TrimSpace(norm.NFC.String(s))
}

// isInvisible reports whether a character has no shape of its own: direction marks,
// joiners, fillers.
func isInvisible(r rune) bool {
	return r > unicode.MaxASCII && unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
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
	emailPattern = regexp.MustCompile(`[\w.+*-]+(?:/[\w.+*-]+)?[@＠][\w.*-]+`)
	macPattern   = regexp.MustCompile(`(?i)\b[0-9a-f*]{1,2}([:-][0-9a-fx*]{1,2}){5}\b|\b[0-9a-f]{4}[.-][0-9a-f]{4}[.-][0-9a-f]{4}\b`)
	ipv4Pattern  = regexp.MustCompile(`\d+(\.[\d*]+){3,}(:\d+)?`)
	ipv6Pattern  = regexp.MustCompile(`(?i)[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}(\.\d{1,3}){0,3}(%\w+)?`)
	// hostPattern is an address in a host's name, such as ip-10-20-30-40.
	hostPattern = regexp.MustCompile(`\b\d{1,3}(?:-\d{1,3}){3}\b|\b\d{1,3}(?:_\d{1,3}){3}\b`)

	// uuidPattern is an id of a request, a session, a host. It may hold what looks like a MAC.
	uuidPattern = regexp.MustCompile(`(?i)\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`)
	// idPattern is an id of any kind, phonePattern an international number or a Chinese mobile.
	idPattern    = regexp.MustCompile(`(?i)\b[0-9a-f]{32}\b|` + uuidPattern.String())
	phonePattern = regexp.MustCompile(`\+\d[\d ()-]{7,16}\d\b|\b1[3-9]\d{9}\b`)

	// longNumber is a part of a dotted number that no address has.
	longNumber = regexp.MustCompile(`(^|\.)\d{4,}($|[.:])`)

	// otherMail is a mail name that is not all ASCII. It would take in the words of
	// a Chinese sentence around an ASCII one, so it comes second.
	otherMail = regexp.MustCompile(`[^\s@＠<>,;:()，。；：（）]+[@＠][^\s@＠<>,;:()，。；：（）]+`)

	sidPattern = regexp.MustCompile(`(?i)\bS-1-\d+(-\d+)+\b`)
	// folderPattern is a person's folder, domainPattern a Windows account, dnPattern a
	// name as directories write it.
	folderPattern = regexp.MustCompile(`(?i)([\\/](?:users|home|profiles|documents and settings)\$?[\\/]+)[^\s\\/"'<>|:*?,;]+`)
	domainPattern = regexp.MustCompile(`(^|[^\w\\/:.$<>-])[A-Za-z0-9][\w.-]{0,63}\\{1,2}[\w.$-]+`)
	dnPattern     = regexp.MustCompile(`(?i)\b(CN|UID|SN|sAMAccountName|displayName|givenName|userPrincipalName|UPN)=[^,;<>)"]+`)
)

// maxNames is how many names of a person are looked for in every order.
const maxNames = 4

// unaccented spells letters as those do who have no key for them.
var unaccented = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "Ä", "Ae", "Ö", "Oe", "Ü", "Ue", "ß", "ss", "æ", "ae", "Æ", "Ae", "ø", "oe", "Ø", "Oe", "å", "aa", "Å", "Aa")

// userForms are the forms in which a reason may name a user: with the domain, as
// CORP\jane or jane@corp.example, and without; where the account shows several names, in
// another order, without those in the middle, or with an initial only.
func userForms(name string) []private {
	account, _, _ := strings.Cut(name, "@")
	if i := strings.LastIndexAny(account, `\/`); i >= 0 {
		account = account[i+1:]
	}
	forms := []private{{name, "<user>"}, {account, "<user>"}}
	if plain := unaccented.Replace(account); plain != account {
		forms = append(forms, private{plain, "<user>"})
	}
	names := strings.FieldsFunc(cut(account, maxNameBytes), func(c rune) bool { return !unicode.IsLetter(c) && !unicode.Is(unicode.Mn, c) })
	if len(names) < 2 || len(names) > maxNames {
		return forms
	}
	for _, order := range orders(names) {
		forms = append(forms, private{strings.Join(order, " "), "<user>"})
	}
	given, family := names[0], names[len(names)-1]
	forms = append(forms, private{given + " " + family, "<user>"}, private{family + " " + given, "<user>"})
	for _, short := range []string{initial(given) + family, given + initial(family), initial(family) + given, family + initial(given)} {
		if len(short) >= 4 { // fewer letters make a word of any reason
			forms = append(forms, private{short, "<user>"})
		}
	}
	return forms
}

// orders are all orders of some names.
func orders(names []string) [][]string {
	if len(names) == 1 {
		return [][]string{names}
	}
	var all [][]string
	for i, first := range names {
		for _, rest := range orders(slices.Concat(names[:i], names[i+1:])) {
			all = append(all, append([]string{first}, rest...))
		}
	}
	return all
}

func initial(name string) string {
	_, n := utf8.DecodeRuneInString(name)
	return name[:n]
}

// addressPlaceholder stands where an address of the record stood.
const addressPlaceholder = "<address>"

func addresses(texts ...string) []private {
	all := make([]private, len(texts))
	for i, text := range texts {
		all[i] = private{strings.TrimSpace(text), addressPlaceholder}
	}
	return all
}

// addressForms are the forms in which a reason may have the addresses among names, beside
// those that differ in their separators only.
func addressForms(names []private) []private {
	var forms []private
	for _, name := range names {
		if name.placeholder != addressPlaceholder {
			continue
		}
		for _, form := range slices.Concat(macForms(name.text), ipForms(name.text)) {
			forms = append(forms, private{form, addressPlaceholder})
		}
	}
	return forms
}

// macForms are those of a MAC: as a number, with and without its zeros, and as a part of an
// IPv6 address.
func macForms(address string) []string {
	mac, err := net.ParseMAC(address)
	if err != nil || len(mac) != 6 {
		return nil
	}
	eui := slices.Concat(mac[:3], []byte{0xff, 0xfe}, mac[3:])
	eui[0] ^= 2
	text, short := hex.EncodeToString(mac), ""
	for _, b := range mac {
		short += strconv.FormatUint(uint64(b), 16)
	}
	forms := []string{"0x" + text, short, hex.EncodeToString(eui), strings.TrimLeft(hex.EncodeToString(eui), "0")}
	if number := strings.TrimLeft(text, "0"); len(number) >= 8 { // a shorter one is not a MAC to who reads it
		forms = append(forms, number, "0x"+number)
	}
	return forms
}

// ipForms are those of an IP address: as a number, and backwards, as name servers have it.
func ipForms(address string) []string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return nil
	}
	b := ip.Unmap().AsSlice()
	text := hex.EncodeToString(b)
	forms := []string{text, "0x" + text, "0x" + strings.TrimLeft(text, "0")}
	if v4 := ip.Unmap(); v4.Is4() {
		return append(forms, netip.AddrFrom4([4]byte{b[3], b[2], b[1], b[0]}).String(), strconv.FormatUint(uint64(binary.BigEndian.Uint32(b)), 10))
	}
	digits := []byte(text)
	slices.Reverse(digits)
	return append(forms, string(digits))
}

// maxEscapes is how many times a reason may be escaped, once in the other.
const maxEscapes = 2

// withoutPersonal takes personal text out of a reason: the given fields of its
// record, and whatever looks like an address or a mail name.
func withoutPersonal(reason string, own []private) string {
	whole := len(reason) <= maxReasonBytes
	reason = cut(reason, maxReasonBytes)
	for range maxEscapes {
		reason = Unescape(reason)
	}
	reason = ScrubReason(withoutNames(visible(reason), own))
	if whole {
		return reason
	}
	// Its end may be a part of a name. Something stays: an empty reason is no failure.
	return cmp.Or(strings.TrimSpace(cut(reason, max(0, len(reason)-maxNameBytes))), "…")
}

// ScrubReason replaces, beside what ScrubText does, ids and telephone numbers: they are of no
// use to those who read why others failed.
func ScrubReason(s string) string {
	if longestRun(s, isHex) >= 8 {
		s = idPattern.ReplaceAllString(s, "<id>")
	}
	if strings.Contains(s, "+") || longestRun(s, isDigit) >= 11 {
		s = phonePattern.ReplaceAllString(s, "<phone>")
	}
	return ScrubText(s)
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

// ScrubText replaces whatever looks like a person's name, a MAC or an IP address in
// text that comes from outside and is about to be shown.
func ScrubText(s string) string {
	if strings.Count(s, "-") < 4 { // no UUID
		return scrub(s)
	}
	if id := uuidPattern.FindStringIndex(s); id != nil {
		return scrub(s[:id[0]]) + s[id[0]:id[1]] + ScrubText(s[id[1]:])
	}
	return scrub(s)
}

func scrub(s string) string {
	if strings.ContainsAny(s, "@＠") {
		s = emailPattern.ReplaceAllString(s, "<user>")
		s = otherMail.ReplaceAllString(s, "<user>")
	}
	if strings.ContainsAny(s, `\/`) {
		s = folderPattern.ReplaceAllString(s, "$1<user>")
		s = domainPattern.ReplaceAllString(s, "$1<user>")
	}
	if strings.Contains(s, "=") {
		s = dnPattern.ReplaceAllString(s, "$1=<user>")
	}
	// Each pattern is looked for only where its signs are: that is quick to see.
	if strings.Contains(s, "-1-") {
		s = sidPattern.ReplaceAllString(s, "<id>")
	}
	if strings.Count(s, ":") >= 2 {
		s = ipv6Pattern.ReplaceAllStringFunc(s, func(m string) string {
			if _, err := netip.ParseAddr(m); err != nil {
				return m // a time of day, a code
			}
			return "<address>"
		})
	}
	if strings.Count(s, ":")+strings.Count(s, "-") >= 5 || longestRun(s, isHex) >= 4 {
		s = macPattern.ReplaceAllString(s, "<address>") // after IPv6, whose groups may have two digits
	}
	if strings.Count(s, "-") >= 3 || strings.Count(s, "_") >= 3 {
		s = hostPattern.ReplaceAllString(s, "<address>")
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
