package record

import (
	"encoding/hex"
	"regexp"
	"strings"
	"unicode"
)

// maxSlugBytes is the longest code that is made of a reason.
const maxSlugBytes = 40

var (
	placeholder = regexp.MustCompile(`<(user|client|server|address|id)>`)
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
// it any more: its words in lower case, joined by "_". Words with a digit in them
// are left out, so that ids, addresses and times of day make no codes of their own.
// A reason that is itself a short code stays as it is, in lower case.
//
// The code has ASCII only and at most maxSlugBytes bytes. Where that takes something
// away, the end of the code is a hash of all words, so that reasons that differ get
// different codes. A reason without words is "unknown".
func failureSlug(reason string) string {
	reason = strings.ToLower(strings.TrimSpace(placeholder.ReplaceAllString(reason, " ")))
	if ownCode.MatchString(reason) {
		return reason
	}
	var all, ascii []string
	for _, word := range slugWord.FindAllString(strings.ToValidUTF8(reason, " "), -1) {
		if strings.ContainsFunc(word, unicode.IsDigit) {
			continue
		}
		all = append(all, word)
		if word[0] < 0x80 {
			ascii = append(ascii, word)
		}
	}
	slug := strings.Join(ascii, "_")
	switch {
	case len(all) == 0:
		return "unknown"
	case len(ascii) == len(all) && len(slug) <= maxSlugBytes:
		return slug
	}
	id := identify("slug", all...)
	hash := hex.EncodeToString(id[:4])
	slug = wholeWords(slug, maxSlugBytes-len(hash)-1)
	return strings.TrimLeft(slug+"_"+hash, "_")
}

// wholeWords cuts a slug to at most n bytes, between its words if it has several.
func wholeWords(slug string, n int) string {
	if len(slug) <= n {
		return slug
	}
	if end := strings.LastIndexByte(slug[:n+1], '_'); end > 0 {
		n = end
	}
	return slug[:n]
}
