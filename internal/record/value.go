package record

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Raw text becomes values here and in time.go, and nowhere else: for pages and files,
// which people pass through spreadsheets, data frames and databases.

// plain is a value without what surrounds it and means nothing: blanks, control
// characters, marks of byte order and direction, and the ="" by which a spreadsheet is
// kept from making a number of it.
func plain(s string) string {
	if s == "" || isTight(s[0]) && isTight(s[len(s)-1]) {
		return s
	}
	s = strings.TrimFunc(s, isFiller)
	if inner, ok := strings.CutPrefix(s, `="`); ok && len(inner) > 0 && inner[len(inner)-1] == '"' {
		s = strings.TrimFunc(strings.ReplaceAll(inner[:len(inner)-1], `""`, `"`), isFiller)
	}
	return s
}

// isTight reports whether c, at the edge of a value, belongs to it.
func isTight(c byte) bool { return c > ' ' && c < 0x7f && c != '=' && c != '"' }

func isFiller(r rune) bool {
	if r < utf8.RuneSelf {
		return r <= ' ' || r == 0x7f
	}
	return r >= '\u200B' && r <= '\u200F' || r >= '\u202A' && r <= '\u202E' || r >= '\u2060' && r <= '\u2069' || r == '\uFEFF' ||
		unicode.IsSpace(r) || unicode.IsControl(r)
}

// quoting is how the values of a record are quoted beyond what their container asks for.
type quoting struct {
	apostrophe, quotes bool
	any                bool // a value may be quoted at all
}

// sees takes a value into account. No number, time or id begins with a quote: if one
// does, the whole record is quoted so.
func (q *quoting) sees(s string) {
	if len(s) < 2 || s[0] != '\'' && s[0] != '"' {
		return
	}
	if q.any = true; s[1] < '0' || s[1] > '9' {
		return
	}
	q.apostrophe = q.apostrophe || s[0] == '\''
	q.quotes = q.quotes || s[0] == '"' && len(s) > 2 && s[len(s)-1] == '"'
}

// strip takes the quotes off a value. An apostrophe that stands before what a
// spreadsheet would take for a formula or a number is always one.
func (q quoting) strip(s string) string {
	switch {
	case len(s) < 2:
	case s[0] == '\'' && (q.apostrophe || strings.IndexByte("=+-@0123456789", s[1]) >= 0):
		s = s[1:]
		if end := len(s) - 1; s[end] == '\'' {
			s = strings.ReplaceAll(s[:end], "''", "'")
		}
		return strings.TrimPrefix(plain(s), "'") // one of the spreadsheet's and one of the file's
	case s[0] == '"' && q.quotes && s[len(s)-1] == '"':
		return plain(s[1 : len(s)-1])
	}
	return s
}

// nothings are the words, in lower case, that tools write where there is no value.
var nothings = map[string]bool{
	"n/a": true, "na": true, "n.a.": true, "#n/a": true, "<na>": true, "nan": true, "nat": true,
	"null": true, "(null)": true, "<null>": true, "[null]": true, "nil": true, "<nil>": true, "none": true, "(none)": true,
	"undefined": true, "#ref!": true, "#value!": true, "#name?": true, "#div/0!": true, "#num!": true, "#null!": true, `\n`: true, "/": true, "无": true, "空": true, "(空)": true,
}

const longestNothing = len("undefined")

// isNothing reports whether a value only says that there is none.
func isNothing(s string) bool {
	if s == "" {
		return true
	}
	if len(s) > 3*longestNothing || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	if n := narrow(s); len(n) <= longestNothing && nothings[strings.ToLower(n)] {
		return true
	}
	return isDashes(s)
}

// IsNothing reports whether a cell only says that there is nothing in it.
func IsNothing(cell string) bool {
	return isNothing(quoting{apostrophe: true, quotes: true}.strip(plain(cell)))
}

// isDashes reports whether there is nothing but dashes and blanks.
func isDashes(s string) bool {
	for _, r := range s {
		if !isDash(r) && !isFiller(r) {
			return false
		}
	}
	return true
}

func isDash(r rune) bool {
	return r == '-' || r >= utf8.RuneSelf && (unicode.Is(unicode.Pd, r) || r == '\u2212' || r == '\u2500')
}

// isNoName is isNothing for names of people and machines, of which some are such words.
func isNoName(s string) bool {
	switch s {
	case "na", "Na", "nan", "Nan", "nat", "Nat":
		return false
	}
	return isNothing(s)
}

// narrow is s with digits, letters and signs of full width, and dashes of all kinds, in
// their usual form.
func narrow(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return strings.Map(func(r rune) rune {
				if unicode.Is(unicode.Pd, r) || r == '\u2212' {
					return '-'
				}
				return r
			}, width.Fold.String(s))
		}
	}
	return s
}

// success are the texts, in lower case, that only say that all went well.
var success = map[string]bool{
	"success": true, "successful": true, "successfully": true, "succeeded": true, "succeed": true, "ok": true, "okay": true, "no error": true, "0": true,
	"成功": true, "正常": true, "登录成功": true, "连接成功": true, "操作成功": true, "无错误": true,
}

// saysSuccess reports whether a reason or a code only says that all went well.
func saysSuccess(s string) bool {
	return len(s) <= 32 && success[strings.ToLower(strings.TrimRight(narrow(s), ".!。 "))]
}

var (
	// exponentForm is a number as a spreadsheet or a program writes one that is long.
	exponentForm = regexp.MustCompile(`^[0-9]{1,3}([.,][0-9]*)?[eE][+-]?[0-9]{1,3}$`)
	// wholeNumber is one with a fraction of nothing, as data frames write it.
	wholeNumber = regexp.MustCompile(`^([0-9]+)[.,]0+$`)
	// groups are thousands, each with its mark.
	groups = regexp.MustCompile(`^[1-9][0-9]{0,2}(,[0-9]{3}|['’][0-9]{3}|[\p{Zs}][0-9]{3})+$`)
)

// exactDigits is how many digits a spreadsheet keeps of a number.
const exactDigits = 15

// isNumeric reports whether s can be a number at all, however written.
func isNumeric(s string) bool {
	return s != "" && s[0] >= '0' && s[0] <= '9' && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsLetter(r) && r != 'e' && r != 'E' || r == ':' || r == '/' || r == '_'
	})
}

// whole is a number without the marks and the fraction that tools give to one that is
// whole. Rounded is true if some of its digits were lost on the way.
func whole(s string) (digits string, rounded bool) {
	if isDigits(s) || !isNumeric(s) || isDotted(s) {
		return s, false
	}
	if exponentForm.MatchString(s) {
		return s, true
	}
	if m := wholeNumber.FindStringSubmatch(s); m != nil {
		return m[1], len(m[1]) > exactDigits
	}
	if groups.MatchString(s) {
		s = strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, s)
	}
	return s, false
}

// isDotted reports whether s is digits with several points between, as addresses and
// versions are. It spares nearly every one the patterns.
func isDotted(s string) bool {
	points := 0
	for i := range len(s) {
		if s[i] == '.' {
			points++
		} else if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return points > 1
}

// isCut reports whether a cell is a number of which a spreadsheet has kept as many
// digits as it can, and made zeros of the others.
func isCut(digits string) bool {
	return len(digits) > exactDigits && digits[0] != '0' && len(strings.TrimRight(digits, "0")) <= exactDigits && isDigits(digits)
}

// number reads a decimal number: with marks between thousands, a point or a comma before
// the fraction, digits of full width.
func number(s string) (float64, bool) {
	s = strings.TrimFunc(narrow(s), isFiller)
	negative := strings.HasPrefix(s, "-")
	s = strings.TrimLeft(s, "+-")
	if !isNumeric(s) && !strings.HasPrefix(s, ".") || strings.HasPrefix(s, "0x") {
		return 0, false
	}
	integer, fraction, sign := s, "", strings.LastIndexAny(s, ".,")
	if sign >= 0 && !groups.MatchString(s) {
		integer, fraction = s[:sign], s[sign+1:]
		if s[sign] == ',' { // what stands before a comma may have points between thousands
			integer = strings.ReplaceAll(integer, ".", ",")
		}
	}
	if groups.MatchString(integer) {
		integer, _ = whole(integer)
	}
	f, err := strconv.ParseFloat(integer+"."+fraction, 64)
	if sign < 0 || fraction == "" {
		f, err = strconv.ParseFloat(integer, 64)
	}
	if negative {
		f = -f
	}
	return f, err == nil
}

// Mask shows the form of a value without what it says: each digit is a 9, each letter an x.
func Mask(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsDigit(r):
			return '9'
		case unicode.IsLetter(r) || unicode.IsMark(r):
			return 'x'
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, strings.ToValidUTF8(cut(s, maxMaskBytes), "\uFFFD"))
	return strings.TrimSpace(s)
}

// maxMaskBytes is how much of a value Mask shows.
const maxMaskBytes = 40
