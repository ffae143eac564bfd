package record

import (
	"regexp"
	"strings"
	"unicode"
)

// maxSlugBytes is the longest code that is made of a reason.
const maxSlugBytes = 80

var (
	// ownCode is a reason that is nothing but a code, like ERR_1003 or 17. More
	// digits than that may be somebody's number.
	ownCode = regexp.MustCompile(`^[A-Za-z]{0,12}[_.-]?[0-9]{1,6}$`)
	// slugWord is a word: letters and digits of ASCII, or letters of other scripts.
	slugWord = regexp.MustCompile(`[A-Za-z0-9]+|[^\x00-\x7F\PL]+`)
)

// saysSomething reports whether a reason is one: files may have a dash where there
// is none.
func saysSomething(reason string) bool {
	return strings.ContainsFunc(reason, func(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) })
}

// failureSlug makes a failure code of a reason in words that has no personal text in
// it any more: its words in lower case, joined by "_", in whatever script. What stands
// for personal text, such as <user>, is a word, too. Words with a digit in them
// are left out, so that ids, addresses and times of day make no codes of their own, and so
// is a word's repetition ("user jane").
// A reason that is itself a short code stays as it is, in lower case.
//
// The code has at most maxSlugBytes bytes, and ends with a whole word if it has several. A
// reason without words is "unknown".
func failureSlug(reason string) string {
	reason = strings.ToLower(strings.TrimSpace(reason))
	if ownCode.MatchString(reason) {
		return reason
	}
	var slug strings.Builder
	last := ""
	for _, word := range slugWord.FindAllString(strings.ToValidUTF8(reason, " "), -1) {
		if word == last || strings.ContainsFunc(word, unicode.IsDigit) {
			continue
		}
		last = word
		if slug.Len() > 0 {
			if slug.Len()+1+len(word) > maxSlugBytes {
				break
			}
			slug.WriteByte('_')
		}
		slug.WriteString(cut(word, maxSlugBytes))
	}
	if slug.Len() == 0 {
		return "unknown"
	}
	return slug.String()
}
