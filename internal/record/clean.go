package record

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
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

// appendForms appends the forms in which a reason may have an address, beside those that
// differ in their separators only, each with a blank behind it. Those that have no room, in
// bytes, may be left out.
func appendForms(forms []byte, address string, room int) []byte {
	if room >= shortestMAC {
		if mac, err := net.ParseMAC(address); err == nil && len(mac) == 6 {
			return appendMACForms(forms, mac)
		}
	}
	if room < shortestIP {
		return forms
	}
	if ip, err := netip.ParseAddr(address); err == nil {
		return appendIPForms(forms, ip.Unmap())
	}
	return forms
}

// shortestMAC and shortestIP are the shortest forms that appendForms makes, without points: a digit
// for each byte. An address in reverse has up to maxPoints.
const (
	shortestMAC = 6
	shortestIP  = 4
	maxPoints   = 3
)

// appendMACForms appends those of a MAC: as a number, with and without its zeros, and as a
// part of an IPv6 address.
func appendMACForms(forms []byte, mac net.HardwareAddr) []byte {
	forms = append(hex.AppendEncode(append(forms, "0x"...), mac), ' ')
	for _, b := range mac {
		forms = strconv.AppendUint(forms, uint64(b), 16)
	}
	eui := [8]byte{mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]}
	forms = append(hex.AppendEncode(append(forms, ' '), eui[:]), ' ')
	forms = append(strconv.AppendUint(forms, binary.BigEndian.Uint64(eui[:]), 16), ' ')
	if number := binary.BigEndian.Uint64(append([]byte{0, 0}, mac...)); number >= 1<<28 { // a shorter one is not a MAC to who reads it
		forms = append(strconv.AppendUint(append(forms, "0x"...), number, 16), ' ')
		forms = append(strconv.AppendUint(forms, number, 16), ' ')
	}
	return forms
}

// appendIPForms appends those of an IP address: as a number, and backwards, as name servers
// have it.
func appendIPForms(forms []byte, ip netip.Addr) []byte {
	b := ip.AsSlice()
	digits := hex.EncodeToString(b)
	for _, form := range [...]string{digits, " 0x", digits, " 0x", strings.TrimLeft(digits, "0"), " "} {
		forms = append(forms, form...)
	}
	if ip.Is4() {
		forms = append(strconv.AppendUint(forms, uint64(binary.BigEndian.Uint32(b)), 10), ' ')
		slices.Reverse(b)
		return append(netip.AddrFrom4([4]byte(b)).AppendTo(forms), ' ')
	}
	start := len(forms)
	forms = append(forms, digits...)
	slices.Reverse(forms[start:])
	return append(forms, ' ')
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
