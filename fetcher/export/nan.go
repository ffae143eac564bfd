package export

import "bufio"

// withoutNaN is JSON in which NaN and Infinity, which Python writes where there is no
// number, are null.
type withoutNaN struct {
	in       *bufio.Reader
	inString bool
	escaped  bool
	rest     string // of a null
}

func (w *withoutNaN) Read(p []byte) (int, error) {
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	for n < len(p) {
		c, err := w.in.ReadByte()
		if err != nil {
			if n > 0 {
				err = nil
			}
			return n, err
		}
		switch {
		case w.escaped:
			w.escaped = false
		case w.inString && c == '\\':
			w.escaped = true
		case c == '"':
			w.inString = !w.inString
		case !w.inString && (c == 'N' || c == 'I' || c == '-'):
			if w.skip(c) {
				k := copy(p[n:], "null")
				w.rest = "null"[k:]
				n += k
				continue
			}
		}
		p[n] = c
		n++
	}
	return n, nil
}

// skip skips the rest of such a word that begins with c, if there is one.
func (w *withoutNaN) skip(c byte) bool {
	for _, word := range [...]string{"NaN", "Infinity", "-Infinity"} {
		if next, _ := w.in.Peek(len(word) - 1); word[0] == c && string(next) == word[1:] {
			_, _ = w.in.Discard(len(word) - 1)
			return true
		}
	}
	return false
}
