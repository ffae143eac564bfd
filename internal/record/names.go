package record

import (
	"bytes"
	"cmp"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// withoutNames puts placeholders where a text has names, also where they are written in
// another way: in other letters' case, width or composition, without accents, with other
// separators or none. A name that is part of a longer ASCII word or number stays: the id
// "3" must not eat the 3 of "code 1003".
func withoutNames(text string, names []private) string {
	if text == "" {
		return ""
	}
	in := fold(text)
	names = append(names, in.addresses(names)...)
	names = slices.DeleteFunc(names, func(name private) bool { return !in.mayHold(name.text) })
	if len(names) == 0 {
		return text
	}
	// The longer first: a computer's name may begin with its user's.
	slices.SortStableFunc(names, func(a, b private) int { return cmp.Compare(len(b.text), len(a.text)) })
	covered := make([]int, len(text)) // which name covers each byte, from 1
	for i, name := range names {
		for begin, end := range in.find(strings.TrimSpace(name.text)) {
			for at := begin; at < end; at++ {
				if covered[at] == 0 {
					covered[at] = i + 1
				}
			}
		}
	}
	var out strings.Builder
	placeholder := func(at int) string {
		if covered[at] == 0 {
			return ""
		}
		return names[covered[at]-1].placeholder
	}
	for at := 0; at < len(text); {
		begin, p := at, placeholder(at)
		for at < len(text) && placeholder(at) == p {
			at++
		}
		if out.WriteString(p); p == "" {
			out.WriteString(text[begin:at])
		}
	}
	return out.String()
}

// folded is a text as it is compared: its letters and digits, in lower case and in their
// simplest form. Each byte of the key stands for text[begin[i]:end[i]].
type folded struct {
	text       string
	key        []byte
	begin, end []int
}

func fold(text string) *folded {
	f := &folded{text: text, key: make([]byte, 0, len(text)), begin: make([]int, 0, len(text)), end: make([]int, 0, len(text))}
	for at := 0; at < len(text); {
		size := 1
		if c := text[at]; c >= utf8.RuneSelf {
			_, size = utf8.DecodeRuneInString(text[at:])
			f.wide(at, size)
		} else if isWord(c) {
			f.key = append(f.key, lower(c))
		}
		for len(f.begin) < len(f.key) {
			f.begin, f.end = append(f.begin, at), append(f.end, at+size)
		}
		at += size
	}
	return f
}

// appendKey appends the key of a name, which is nearly always ASCII.
func appendKey[T string | []byte](key []byte, name T) []byte {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return append(key[:0], fold(string(name)).key...)
		}
		if isWord(name[i]) {
			key = append(key, lower(name[i]))
		}
	}
	return key
}

// wide folds a character that is not ASCII. An accent belongs to the letter before it.
func (f *folded) wide(at, size int) {
	for _, part := range norm.NFKD.String(f.text[at : at+size]) {
		switch {
		case unicode.IsLetter(part) || unicode.IsDigit(part):
			f.key = utf8.AppendRune(f.key, unicode.ToLower(part))
		case unicode.Is(unicode.Mn, part) && len(f.end) > 0 && f.end[len(f.end)-1] == at:
			f.end[len(f.end)-1] = at + size
		}
	}
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// mayHold is the quick way out for a name that the text has nowhere, as nearly every one.
func (f *folded) mayHold(name string) bool {
	return holds(f, visible(cut(strings.TrimSpace(name), maxNameBytes)))
}

// holds reports whether the key has that of a name in it.
func holds[T string | []byte](f *folded, name T) bool {
	var buffer [maxNameBytes]byte
	key := appendKey(buffer[:0], name)
	return len(key) > 0 && bytes.Contains(f.key, key)
}

// addresses are the forms of the addresses among names that the text may hold. They consist of
// hexadecimal digits, an x and points: a text without a place for them needs none to be made.
func (f *folded) addresses(names []private) (forms []private) {
	room := longestRun(f.key, func(c byte) bool { return isHex(c) || c == 'x' })
	var scratch [256]byte
	all := scratch[:0]
	for _, name := range names {
		if name.placeholder == addressPlaceholder {
			all = appendForms(all[:0], name.text, room)
			for form := range bytes.FieldsSeq(all) {
				if len(form)-maxPoints <= room && holds(f, form) {
					forms = append(forms, private{string(form), addressPlaceholder})
				}
			}
		}
	}
	return forms
}

// find yields where a name stands in the text, from left to right. Texts and names are
// short, whatever they hold: a search for each name costs less than an index of the text.
func (f *folded) find(name string) iter.Seq2[int, int] {
	whole := len(name) <= maxNameBytes
	name = visible(cut(name, maxNameBytes))
	key := appendKey(nil, name)
	return func(yield func(begin, end int) bool) {
		free := 0 // where the last one found ends
		for next := 0; ; {
			offset := bytes.Index(f.key[next:], key)
			if offset < 0 {
				return
			}
			at := next + offset
			next = at + 1
			begin, end := f.begin[at], f.end[at+len(key)-1]
			if begin < free || continues(f.text, begin) || whole && continues(f.text, end) || !isSpelling(f.text[begin:end], name, key) {
				continue
			}
			if !whole {
				end = len(f.text) // the rest of the name would be left
			}
			if free = end; !yield(begin, end) {
				return
			}
		}
	}
}

// isSpelling reports whether text, which has the key of a name, may be it: "jane_doe" is
// jane.doe, but "1.0" is not the id 10, and a sentence is nobody.
func isSpelling(text, name string, key []byte) bool {
	if len(key) < 4 || len(key) < 6 && bytes.ContainsAny(key, "0123456789") {
		return utf8.RuneCountInString(text) == utf8.RuneCountInString(name)
	}
	return utf8.RuneCountInString(text) <= 3*len(key)+2
}

// continues reports whether a word of ASCII letters and digits goes on across
// position i of s.
func continues(s string, i int) bool {
	return i > 0 && i < len(s) && isWord(s[i-1]) && isWord(s[i])
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
